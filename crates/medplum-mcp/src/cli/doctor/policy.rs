//! What an access policy allows, by type.

use serde_json::Value;

/// The types that somebody may do something with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Types {
    Every,
    Only(Vec<String>),
}

/// What somebody may read and write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Allowed {
    pub(super) reads: Types,
    pub(super) writes: Types,
    /// Whether some of it is narrowed by criteria or hidden elements.
    pub(super) narrowed: bool,
}

const WRITES: [&str; 4] = ["create", "update", "delete", "patch"];

impl Allowed {
    /// By an AccessPolicy resource. The rules for the administration of the project do not count.
    pub(super) fn by(policy: &Value) -> Self {
        let rules: Vec<&Value> = policy.get("resource").and_then(Value::as_array).into_iter().flatten().collect();
        let of_type = |rule: &&Value| rule.get("resourceType").and_then(Value::as_str).map(str::to_owned);
        let administration = |name: &String| ADMINISTRATION.contains(&name.as_str());
        let types = |writing: bool| {
            let rules = rules.iter().filter(|rule| allows(rule, writing));
            let mut names: Vec<String> = rules.filter_map(of_type).filter(|name| !administration(name)).collect();
            names.sort();
            names.dedup();
            if names.iter().any(|name| name == "*") { Types::Every } else { Types::Only(names) }
        };
        let narrows = |rule: &&&Value| {
            ["criteria", "hiddenFields", "readonlyFields"].iter().any(|key| rule.get(key).is_some())
                && !of_type(rule).is_some_and(|name| administration(&name))
        };
        Self { reads: types(false), writes: types(true), narrowed: rules.iter().find(narrows).is_some() }
    }
}

/// Types that are about the project, not about patients.
const ADMINISTRATION: &[&str] = &[
    "AccessPolicy",
    "Bot",
    "ClientApplication",
    "Project",
    "ProjectMembership",
    "SearchParameter",
    "StructureDefinition",
    "User",
    "UserConfiguration",
    "UserSecurityRequest",
];

fn allows(rule: &Value, writing: bool) -> bool {
    if let Some(listed) = rule.get("interaction").and_then(Value::as_array) {
        let listed: Vec<&str> = listed.iter().filter_map(Value::as_str).collect();
        return if writing {
            WRITES.iter().any(|name| listed.contains(name))
        } else {
            listed.contains(&"read") || listed.contains(&"search")
        };
    }
    !(writing && rule.get("readonly") == Some(&Value::Bool(true)))
}

impl std::fmt::Display for Types {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const SHOWN: usize = 8;
        match self {
            Self::Every => f.write_str("every type"),
            Self::Only(names) if names.is_empty() => f.write_str("nothing"),
            Self::Only(names) => {
                let shown: Vec<&str> = names.iter().take(SHOWN).map(String::as_str).collect();
                let rest = names.len().saturating_sub(shown.len());
                let rest = if rest > 0 { format!(" and {rest} more") } else { String::new() };
                write!(f, "{}{rest}", shown.join(", "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_policy_in_a_line() {
        let line = |rules: Value| {
            let allowed = Allowed::by(&json!({"resourceType": "AccessPolicy", "resource": rules}));
            format!("reads {}; writes {}; {}", allowed.reads, allowed.writes, allowed.narrowed)
        };
        assert_eq!(
            line(json!([
                {"resourceType": "*"}, {"resourceType": "StructureDefinition", "readonly": true},
                {"resourceType": "Project", "criteria": "Project?_id=1", "hiddenFields": ["superAdmin"]},
            ])),
            "reads every type; writes every type; false"
        );
        assert_eq!(line(json!([{"resourceType": "*", "readonly": true}])), "reads every type; writes nothing; false");
        assert_eq!(
            line(json!([
                {"resourceType": "Patient", "criteria": "Patient?organization=Organization/1"},
                {"resourceType": "Task", "interaction": ["read", "search", "update"]},
                {"resourceType": "Observation", "readonly": true}, {"resourceType": "Observation", "readonly": true},
                {"resourceType": "Basic", "interaction": ["create"]},
            ])),
            "reads Observation, Patient, Task; writes Basic, Patient, Task; true"
        );
        assert_eq!(line(json!([])), "reads nothing; writes nothing; false");
    }
}
