//! What a member may see and change: the member's AccessPolicy.

use serde_json::Value;

use crate::auth::Client;
use crate::store::Store;

/// Types that only an administrator sees unless a policy names them.
const ADMINISTRATION: [&str; 5] =
    ["PasswordChangeRequest", "Project", "ProjectMembership", "User", "UserSecurityRequest"];
/// Types that nobody in a project sees.
const INTERNAL: [&str; 3] = ["DomainConfiguration", "JsonWebKey", "Login"];
/// Types that even an administrator only reads.
const READ_ONLY: [&str; 2] = ["SearchParameter", "StructureDefinition"];

/// One entry of an AccessPolicy.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    resource_type: String,
    readonly: bool,
    interactions: Option<Vec<String>>,
    /// A search that a resource must match, without its leading type.
    pub(crate) criteria: Option<String>,
    pub(crate) hidden_fields: Vec<String>,
}

impl Rule {
    fn parse(rule: &Value) -> Option<Self> {
        let strings = |key: &str| -> Option<Vec<String>> {
            let list = rule.get(key)?.as_array()?;
            Some(list.iter().filter_map(|s| s.as_str().map(str::to_owned)).collect())
        };
        let criteria = rule.get("criteria").and_then(Value::as_str);
        Some(Self {
            resource_type: rule.get("resourceType")?.as_str()?.to_owned(),
            readonly: rule.get("readonly").and_then(Value::as_bool).unwrap_or(false),
            interactions: strings("interaction"),
            criteria: criteria.and_then(|text| text.split_once('?')).map(|(_, query)| query.to_owned()),
            hidden_fields: strings("hiddenFields").unwrap_or_default(),
        })
    }

    fn allows(&self, interaction: Interaction) -> bool {
        if let Some(listed) = &self.interactions {
            return listed.iter().any(|name| name == interaction.name());
        }
        !(self.readonly && interaction.writes())
    }
}

/// What somebody wants to do with a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interaction {
    Read,
    VersionRead,
    History,
    Search,
    Create,
    Update,
    Delete,
}

impl Interaction {
    fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::VersionRead => "vread",
            Self::History => "history",
            Self::Search => "search",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }

    pub(crate) fn writes(self) -> bool {
        matches!(self, Self::Create | Self::Update | Self::Delete)
    }
}

/// The rules that hold for one actor.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    admin: bool,
    /// Nothing where no AccessPolicy was given: everything but administration.
    rules: Option<Vec<Rule>>,
}

impl Policy {
    pub(crate) fn of_client(store: &Store, client: &Client) -> Self {
        Self { admin: client.admin, rules: client.policy.as_deref().map(|id| rules(store, id)) }
    }

    pub(crate) fn of_membership(store: &Store, membership: &Value) -> Self {
        let reference = membership.pointer("/accessPolicy/reference").and_then(Value::as_str);
        let id = reference.and_then(|text| text.strip_prefix("AccessPolicy/"));
        Self {
            admin: membership.get("admin").and_then(Value::as_bool).unwrap_or(false),
            rules: id.map(|id| rules(store, id)),
        }
    }

    /// The rules under which the interaction is allowed on that type; none if it is forbidden.
    pub(crate) fn rules_for(&self, resource_type: &str, interaction: Interaction) -> Vec<&Rule> {
        let fits = |rule: &&Rule| {
            let named = rule.resource_type == resource_type;
            let any = rule.resource_type == "*" && !ADMINISTRATION.contains(&resource_type);
            (named || any) && rule.allows(interaction)
        };
        self.rules.iter().flatten().filter(fits).collect()
    }

    /// Whether the interaction is allowed on that type at all.
    pub(crate) fn allows(&self, resource_type: &str, interaction: Interaction) -> bool {
        if INTERNAL.contains(&resource_type) {
            return false;
        }
        if self.rules.is_some() {
            return !self.rules_for(resource_type, interaction).is_empty();
        }
        if interaction.writes() && READ_ONLY.contains(&resource_type) {
            return false;
        }
        self.admin || !ADMINISTRATION.contains(&resource_type)
    }

    /// Whether there is an AccessPolicy, so that single resources and fields must be looked at too.
    pub(crate) fn is_restricted(&self) -> bool {
        self.rules.is_some()
    }
}

fn rules(store: &Store, id: &str) -> Vec<Rule> {
    let policy = store.find("AccessPolicy", id).and_then(|record| record.live()?.parse());
    let listed = policy.as_ref().and_then(|policy| policy.get("resource")?.as_array());
    listed.into_iter().flatten().filter_map(Rule::parse).collect()
}
