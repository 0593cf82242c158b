//! What the stored version has wrong already, so that an old record can still be mended.

use super::{Fault, FaultKind, Report, validate};
use serde_json::Value;

impl Report {
    /// Moves the faults that the stored version has as well to [`Report::known`]. They may have moved in a list, so
    /// the place is compared without its indexes; each fault of the stored version excuses one of the new.
    #[must_use]
    pub fn beside_stored(mut self, stored: &Value) -> Self {
        if self.faults.is_empty() {
            return self;
        }
        let mut old: Vec<(String, FaultKind, String)> = validate(stored).faults.iter().map(key).collect();
        let faults = std::mem::take(&mut self.faults);
        for fault in faults {
            match old.iter().position(|o| *o == key(&fault)) {
                Some(index) => {
                    old.swap_remove(index);
                    self.known.push(fault);
                }
                None => self.faults.push(fault),
            }
        }
        self
    }
}

fn key(fault: &Fault) -> (String, FaultKind, String) {
    let mut inside = false;
    let place = fault.path.chars().filter(|c| {
        inside = *c == '[' || inside && *c != ']';
        !inside && *c != ']'
    });
    (place.collect(), fault.kind, fault.message.clone())
}
