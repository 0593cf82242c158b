//! What the definitions are made of: plain, small, shared structs over one text that lives as long as the program.

use std::fmt;

/// A run of rows in one of the tables of [`Definitions`](crate::Definitions).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Span {
    /// The rows of the run; none if it does not lie inside the table.
    pub(crate) fn of<T>(self, table: &[T]) -> &[T] {
        table.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

/// What sort of type a [`TypeInfo`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TypeKind {
    /// A resource that can be stored: `Patient`.
    Resource,
    /// A base that is never stored itself: `DomainResource`.
    Abstract,
    /// A data type with elements: `HumanName`.
    Complex,
    /// A data type that is one JSON value: `date`.
    Primitive,
    /// A type that exists at one path only: `Patient.contact`.
    Nested,
    /// A model without storage of its own: `MetadataResource`.
    Logical,
}

/// A resource type, a data type or a nested type.
///
/// FHIR: one StructureDefinition, or one BackboneElement inside of it.
/// <https://hl7.org/fhir/R4/structuredefinition.html>
#[derive(Debug, Clone, Copy)]
pub struct TypeInfo {
    /// Its name; for a nested type, its path: `Patient.contact`.
    pub name: &'static str,
    /// What sort of type it is.
    pub kind: TypeKind,
    /// The name of the type that it extends, empty for `Element` and `Resource`.
    pub base: &'static str,
    /// Whether Medplum added it to FHIR.
    pub medplum: bool,
    /// Whether it can be searched.
    pub searchable: bool,
    /// One line of description.
    pub short: &'static str,
    pub(crate) base_index: u32,
    pub(crate) elements: Span,
    pub(crate) constraints: Span,
    pub(crate) params: Span,
}

/// One element of a type, as the type itself defines it (inherited ones belong to the base).
///
/// FHIR: ElementDefinition. <https://hl7.org/fhir/R4/elementdefinition.html>
#[derive(Debug, Clone, Copy)]
pub struct Element {
    /// Its name, without the `[x]` of a choice: `birthDate`, `value`.
    pub name: &'static str,
    /// Whether its JSON name ends in one of its types: `valueQuantity`.
    pub choice: bool,
    /// How many there must be.
    pub min: u32,
    /// How many there may be; [`u32::MAX`] for any number. Zero if it must not be there.
    pub max: u32,
    /// Whether JSON holds it as an array.
    pub array: bool,
    /// Whether Medplum added it to a type of HL7's.
    pub medplum: bool,
    /// The codes that may stand here.
    pub binding: Option<Binding>,
    /// One line of description.
    pub short: &'static str,
    pub(crate) types: Span,
    pub(crate) constraints: Span,
}

impl Element {
    /// The name as FHIR writes it: `value[x]`.
    pub fn full_name(&self) -> String {
        if self.choice { format!("{}[x]", self.name) } else { self.name.to_owned() }
    }
}

/// One of the types that an element may have.
#[derive(Debug, Clone, Copy)]
pub struct ElementType {
    /// The type's name; for a nested type, its path.
    pub name: &'static str,
    pub(crate) index: u32,
    pub(crate) targets: Span,
}

/// How strictly a value set binds.
///
/// FHIR: <https://hl7.org/fhir/R4/terminologies.html#strength>
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strength {
    /// No other code may stand here.
    Required,
    /// Another code only where none of these fits.
    Extensible,
    /// These are recommended.
    Preferred,
    /// These only show what is meant.
    Example,
}

/// The value set of an element.
#[derive(Debug, Clone, Copy)]
pub struct Binding {
    /// How strictly it binds.
    pub strength: Strength,
    /// The canonical URL of the value set.
    pub value_set: &'static str,
    pub(crate) index: u32,
}

/// A value set with as many of its codes as are listed here.
#[derive(Debug, Clone, Copy)]
pub struct ValueSet {
    /// Its canonical URL.
    pub url: &'static str,
    /// What it is called.
    pub title: &'static str,
    /// Whether [`codes`](crate::Definitions::codes) are all of its codes. If not, none are listed.
    pub closed: bool,
    pub(crate) systems: Span,
}

/// Codes of one code system.
#[derive(Debug, Clone, Copy)]
pub struct CodeList {
    /// The URL of the code system.
    pub system: &'static str,
    pub(crate) codes: &'static str,
}

impl CodeList {
    /// The codes.
    pub fn codes(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.codes.split('\t').filter(|c| !c.is_empty())
    }
}

/// An invariant of severity error, as a FHIRPath expression.
///
/// FHIR: <https://hl7.org/fhir/R4/conformance-rules.html#constraints>
#[derive(Debug, Clone, Copy)]
pub struct Constraint {
    /// Its key, such as `pat-1`.
    pub key: &'static str,
    /// What must hold.
    pub expression: &'static str,
    /// The same in words.
    pub human: &'static str,
    /// Its place in the table of constraints.
    pub(crate) index: u32,
}

/// The kind of a search parameter, which decides what its values look like.
///
/// FHIR: <https://hl7.org/fhir/R4/search.html#ptypes>
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ParameterKind {
    /// A number with an optional prefix.
    Number,
    /// A date or time with an optional prefix.
    Date,
    /// Text, matched from its beginning.
    String,
    /// A code, an identifier or a boolean, with or without its system.
    Token,
    /// Another resource.
    Reference,
    /// Two or more values joined by a dollar sign.
    Composite,
    /// A number with a unit.
    Quantity,
    /// A URI, matched as a whole.
    Uri,
    /// A parameter with rules of its own.
    Special,
}

impl ParameterKind {
    /// Its name in FHIR.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Date => "date",
            Self::String => "string",
            Self::Token => "token",
            Self::Reference => "reference",
            Self::Composite => "composite",
            Self::Quantity => "quantity",
            Self::Uri => "uri",
            Self::Special => "special",
        }
    }

    pub(crate) fn parse(text: &str) -> Self {
        match text {
            "number" => Self::Number,
            "date" => Self::Date,
            "string" => Self::String,
            "token" => Self::Token,
            "reference" => Self::Reference,
            "composite" => Self::Composite,
            "quantity" => Self::Quantity,
            "uri" => Self::Uri,
            _ => Self::Special,
        }
    }
}

impl fmt::Display for ParameterKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A search parameter as one type has it.
///
/// FHIR: SearchParameter. <https://hl7.org/fhir/R4/searchparameter.html>
#[derive(Debug, Clone, Copy)]
pub struct SearchParameter {
    /// Its name in a query.
    pub code: &'static str,
    /// What its values look like.
    pub kind: ParameterKind,
    /// The FHIRPath of what it looks at, narrowed to this type; empty if it has none.
    pub expression: &'static str,
    /// One line of description.
    pub description: &'static str,
    /// The value set of its codes, with how strictly it binds the element that is looked at.
    pub binding: Option<Binding>,
    pub(crate) element_types: &'static str,
    pub(crate) targets: &'static str,
    pub(crate) components: &'static str,
}

impl SearchParameter {
    /// The types of the elements that the expression leads to; empty where they are not known.
    pub fn element_types(&self) -> impl Iterator<Item = &'static str> + use<> {
        list(self.element_types)
    }

    /// The resource types that a reference may lead to; `Resource` for any.
    pub fn targets(&self) -> impl Iterator<Item = &'static str> + use<> {
        list(self.targets)
    }

    /// The parts of a composite: each part's parameter, and its expression from the composite's own.
    pub fn components(&self) -> impl Iterator<Item = (&'static str, &'static str)> + use<> {
        list(self.components).filter_map(|part| part.split_once('='))
    }
}

/// What may be written before the value and behind the name of parameters of one kind.
#[derive(Debug, Clone, Copy)]
pub struct KindRules {
    /// The kind.
    pub kind: ParameterKind,
    pub(crate) prefixes: &'static str,
    pub(crate) modifiers: &'static str,
    pub(crate) unadvertised: &'static str,
}

impl KindRules {
    /// Comparison prefixes of values: `ge`.
    pub fn prefixes(&self) -> impl Iterator<Item = &'static str> + use<> {
        list(self.prefixes)
    }

    /// Modifiers that are worth an agent's attention: `exact`.
    pub fn modifiers(&self) -> impl Iterator<Item = &'static str> + use<> {
        list(self.modifiers)
    }

    /// Modifiers that FHIR knows and that the server is left to judge.
    pub fn unadvertised(&self) -> impl Iterator<Item = &'static str> + use<> {
        list(self.unadvertised)
    }
}

/// An operation: one of FHIR's definitions, or one that Medplum routes itself.
///
/// FHIR: OperationDefinition. <https://hl7.org/fhir/R4/operationdefinition.html>
#[derive(Debug, Clone, Copy)]
pub struct Operation {
    /// Its name without the dollar sign.
    pub code: &'static str,
    /// One line of description; empty for those that Medplum routes.
    pub title: &'static str,
    pub(crate) types: &'static str,
    pub(crate) levels: &'static str,
    pub(crate) methods: &'static str,
}

impl Operation {
    /// The types that it is for; `Resource` stands for every type, none for the system alone.
    pub fn types(&self) -> impl Iterator<Item = &'static str> + use<> {
        list(self.types)
    }

    /// Whether it can be called on the system, without a type.
    #[must_use]
    pub fn on_system(&self) -> bool {
        self.levels.contains('s')
    }

    /// Whether it can be called on a type.
    #[must_use]
    pub fn on_type(&self) -> bool {
        self.levels.contains('t')
    }

    /// Whether it can be called on one resource.
    #[must_use]
    pub fn on_instance(&self) -> bool {
        self.levels.contains('i')
    }

    /// Whether Medplum's router answers it itself. Any other name may be a bot.
    #[must_use]
    pub fn routed(&self) -> bool {
        !self.methods.is_empty()
    }

    /// The HTTP methods that Medplum routes it for.
    pub fn methods(&self) -> impl Iterator<Item = &'static str> + use<> {
        list(self.methods)
    }
}

/// How resources of one type come into a compartment.
///
/// FHIR: CompartmentDefinition. <https://hl7.org/fhir/R4/compartmentdefinition.html>
#[derive(Debug, Clone, Copy)]
pub struct CompartmentEntry {
    /// The type whose compartment it is: `Patient`.
    pub compartment: &'static str,
    /// The type that belongs to it: `Observation`.
    pub resource_type: &'static str,
    pub(crate) params: &'static str,
}

impl CompartmentEntry {
    /// The search parameters that link the one to the other.
    pub fn parameters(&self) -> impl Iterator<Item = &'static str> + use<> {
        list(self.params)
    }
}

fn list(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.split(',').filter(|part| !part.is_empty())
}
