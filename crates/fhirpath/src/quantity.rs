//! Quantities (FHIRPath §4.1.8), compared only where their units are the same: nothing is converted.

use serde_json::Value;

use crate::decimal::Decimal;

/// A number and its unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Quantity {
    pub(crate) value: Decimal,
    /// A UCUM code, or the singular of a calendar unit (`day`).
    pub(crate) unit: String,
}

/// UCUM's units of time that are the calendar's under another name (§6.7 leaves out year and month).
const UCUM_TIMES: [(&str, &str); 6] =
    [("wk", "week"), ("d", "day"), ("h", "hour"), ("min", "minute"), ("s", "second"), ("ms", "millisecond")];

/// The singular of a calendar unit, or nothing if the word is none.
pub(crate) fn calendar_unit(word: &str) -> Option<&'static str> {
    Some(match word {
        "year" | "years" => "year",
        "month" | "months" => "month",
        "week" | "weeks" => "week",
        "day" | "days" => "day",
        "hour" | "hours" => "hour",
        "minute" | "minutes" => "minute",
        "second" | "seconds" => "second",
        "millisecond" | "milliseconds" => "millisecond",
        _ => return None,
    })
}

/// One name for every unit that is the same.
fn canonical(unit: &str) -> &str {
    match unit {
        "" => "1",
        unit => UCUM_TIMES
            .iter()
            .find(|(ucum, _)| *ucum == unit)
            .map_or_else(|| calendar_unit(unit).unwrap_or(unit), |(_, word)| *word),
    }
}

impl Quantity {
    /// FHIR's Quantity as FHIRPath's: the code if there is one, else the unit as people read it.
    pub(crate) fn of_json(json: &Value) -> Option<Self> {
        let object = json.as_object()?;
        let Some(Value::Number(value)) = object.get("value") else {
            return None;
        };
        // `<5 mg` is no quantity.
        if object.contains_key("comparator") {
            return None;
        }
        let unit = object.get("code").or_else(|| object.get("unit")).and_then(Value::as_str);
        Some(Self { value: Decimal::parse(&value.to_string())?, unit: unit.unwrap_or("1").to_owned() })
    }

    /// `4`, `4 'mg'`, `4 days` (toQuantity, §5.5.8).
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (number, unit) = text.split_once(char::is_whitespace).unwrap_or((text, "'1'"));
        let unit = unit.trim();
        let unit = match unit.strip_prefix('\'').and_then(|unit| unit.strip_suffix('\'')) {
            Some(quoted) => quoted,
            None => calendar_unit(unit)?,
        };
        Some(Self { value: Decimal::parse(number)?, unit: unit.to_owned() })
    }

    pub(crate) fn same_unit(&self, other: &Self) -> bool {
        canonical(&self.unit) == canonical(&other.unit)
    }

    /// The calendar unit, as date arithmetic needs it.
    pub(crate) fn calendar(&self) -> Option<&'static str> {
        calendar_unit(canonical(&self.unit))
    }
}

impl std::fmt::Display for Quantity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match calendar_unit(&self.unit) {
            Some(_) => write!(f, "{} {}", self.value, self.unit),
            None => write!(f, "{} '{}'", self.value, self.unit),
        }
    }
}
