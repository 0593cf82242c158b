//! The schema that the definitions make: which fields there are where, and what they are.

use fhir_definitions::{Definitions, TypeInfo, TypeKind};

/// A place in an answer: what its fields are.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    Query,
    Mutation,
    /// A resource or a data type.
    Object(&'static TypeInfo),
    /// Any resource: what a reference leads to.
    Resource,
    /// `PatientConnection`
    Connection(&'static TypeInfo),
    /// An edge of it.
    Edge(&'static TypeInfo),
    Scalar,
}

/// How the value of a field is come by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Means {
    /// It stands in the object.
    Element,
    Read,
    /// A search, nested in a resource if what it finds is to refer to it.
    List,
    Connection,
    /// What the reference leads to.
    Resolve,
    Create,
    Update,
    Patch,
    Delete,
}

/// A field.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    pub(super) means: Means,
    /// What is in it.
    pub(super) place: Place,
    pub(super) list: bool,
}

fn field(means: Means, place: Place, list: bool) -> Field {
    Field { means, place, list }
}

impl Place {
    /// What the place is called in the schema.
    pub(super) fn name(self) -> String {
        match self {
            Self::Query => "Query".to_owned(),
            Self::Mutation => "Mutation".to_owned(),
            Self::Object(info) => info.name.replace('.', ""),
            Self::Resource => "ResourceList".to_owned(),
            Self::Connection(info) => format!("{}Connection", info.name),
            Self::Edge(info) => format!("{}Edge", info.name),
            Self::Scalar => "String".to_owned(),
        }
    }

    /// Its field of that name.
    pub(super) fn field(self, definitions: &'static Definitions, name: &str) -> Option<Field> {
        match self {
            Self::Query => root(definitions, name),
            Self::Mutation => mutation(definitions, name),
            Self::Object(info) => of_object(definitions, info, name),
            Self::Resource | Self::Scalar => None,
            Self::Connection(info) => match name {
                "edges" => Some(field(Means::Element, Self::Edge(info), true)),
                "count" | "offset" | "pageSize" | "first" | "previous" | "next" | "last" => {
                    Some(field(Means::Element, Self::Scalar, false))
                }
                _ => None,
            },
            Self::Edge(info) => match name {
                "resource" => Some(field(Means::Element, Self::Object(info), false)),
                "mode" | "score" => Some(field(Means::Element, Self::Scalar, false)),
                _ => None,
            },
        }
    }

    /// The names of its fields, to find the one that may have been meant.
    pub(super) fn field_names(self, definitions: &'static Definitions) -> Vec<String> {
        match self {
            Self::Object(info) => {
                let elements = definitions.elements(info).flat_map(|element| definitions.json_names(element));
                let mut names: Vec<String> = elements.collect();
                if info.kind == TypeKind::Resource {
                    names.extend(definitions.resource_types().map(|info| format!("{}List", info.name)));
                }
                names
            }
            Self::Query => definitions
                .resource_types()
                .flat_map(|info| ["", "List", "Connection"].map(|end| format!("{}{end}", info.name)))
                .collect(),
            _ => Vec::new(),
        }
    }
}

/// The resource type that a name begins with, if it ends like this.
pub(super) fn type_before(definitions: &'static Definitions, name: &str, end: &str) -> Option<&'static TypeInfo> {
    definitions.resource_type(name.strip_suffix(end)?)
}

fn root(definitions: &'static Definitions, name: &str) -> Option<Field> {
    if let Some(info) = definitions.resource_type(name) {
        return Some(field(Means::Read, Place::Object(info), false));
    }
    if let Some(info) = type_before(definitions, name, "List") {
        return Some(field(Means::List, Place::Object(info), true));
    }
    let info = type_before(definitions, name, "Connection")?;
    Some(field(Means::Connection, Place::Connection(info), false))
}

fn mutation(definitions: &'static Definitions, name: &str) -> Option<Field> {
    let means =
        [("Create", Means::Create), ("Update", Means::Update), ("Patch", Means::Patch), ("Delete", Means::Delete)];
    means.into_iter().find_map(|(end, means)| {
        let info = type_before(definitions, name, end)?;
        Some(field(means, Place::Object(info), false))
    })
}

fn of_object(definitions: &'static Definitions, info: &'static TypeInfo, name: &str) -> Option<Field> {
    if name == "resourceType" && info.kind == TypeKind::Resource {
        return Some(field(Means::Element, Place::Scalar, false));
    }
    if name == "resource" && info.name == "Reference" {
        return Some(field(Means::Resolve, Place::Resource, false));
    }
    if let Some((element, Some(of_type))) = definitions.element(info, name)
        && (!element.choice || name != element.name)
    {
        let place = match definitions.resolve(of_type) {
            Some(info) if info.kind == TypeKind::Primitive => Place::Scalar,
            Some(info) if info.kind == TypeKind::Abstract && info.name.ends_with("Resource") => Place::Resource,
            Some(info) => Place::Object(info),
            None => Place::Scalar,
        };
        return Some(field(Means::Element, place, element.array));
    }
    if info.kind != TypeKind::Resource {
        return None;
    }
    let of_type = type_before(definitions, name, "List")?;
    Some(field(Means::List, Place::Object(of_type), true))
}

/// The arguments that a field takes, as far as they are checked: those that it cannot do without.
pub(super) fn required_arguments(means: Means) -> &'static [(&'static str, &'static str)] {
    match means {
        Means::Read | Means::Delete => &[("id", "ID!")],
        Means::Create => &[("res", "")],
        Means::Update => &[("id", "ID!"), ("res", "")],
        Means::Patch => &[("id", "ID!"), ("patch", "[PatchOperationInput!]!")],
        _ => &[],
    }
}

/// The search parameter that an argument stands for: its name may not have a hyphen.
pub(super) fn parameter_name(definitions: &'static Definitions, info: &TypeInfo, argument: &str) -> Option<String> {
    const SHAPE: [&str; 7] = ["_count", "_offset", "_sort", "_filter", "_cursor", "_total", "_lastUpdated"];
    if SHAPE.contains(&argument) || definitions.search_parameter(info, argument).is_some() {
        return Some(argument.to_owned());
    }
    let hyphens = argument.replace('_', "-");
    definitions.search_parameter(info, &hyphens).map(|_| hyphens)
}
