//! What an expression is evaluated in: the surrounding resource, the model, the clock, the limits.

use std::collections::HashMap;
use std::hash::BuildHasher;

use serde_json::Value;

/// The steps that an evaluation may take unless told otherwise: a step is about one element looked at.
pub const DEFAULT_STEP_LIMIT: u64 = 1_000_000;

/// The definitions of types, for exactness. Without one, choice elements and types are told from the JSON alone.
pub trait Model {
    /// The element `name` of `parent_type`, `value` for `value[x]`. `None` if the type has no such element.
    ///
    /// A nested type is named by whatever [`ChildInfo::type_name`] said of it, such as `Observation.component`.
    fn child(&self, parent_type: &str, name: &str) -> Option<ChildInfo<'_>>;

    /// Whether `a` is `b` or derived from it: `Age` from `Quantity`, `code` from `string`, `Patient` from
    /// `DomainResource`, `Observation.component` from `BackboneElement`.
    fn is_subtype(&self, a: &str, b: &str) -> bool;
}

/// What a [`Model`] knows of an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ChildInfo<'m> {
    /// Its type; `None` if it is a choice, or not known.
    pub type_name: Option<&'m str>,
    /// Whether it is a choice, such as `value[x]`: then the key in JSON tells the type.
    pub choice: bool,
}

/// Finds the resource behind a reference, for `resolve()`.
pub trait Resolver {
    /// The resource that the text of a reference points to, such as `Patient/123`.
    fn resolve(&self, reference: &str) -> Option<&Value>;
}

impl<S: BuildHasher> Resolver for HashMap<String, Value, S> {
    fn resolve(&self, reference: &str) -> Option<&Value> {
        self.get(reference)
    }
}

/// What an expression is evaluated in. Cheap to make: everything in it is borrowed.
#[derive(Clone, Default)]
pub struct Context<'a> {
    pub(crate) resource: Option<&'a Value>,
    pub(crate) root_resource: Option<&'a Value>,
    pub(crate) context: Option<&'a Value>,
    pub(crate) variables: Option<&'a HashMap<String, Value>>,
    pub(crate) model: Option<&'a dyn Model>,
    pub(crate) resolver: Option<&'a dyn Resolver>,
    pub(crate) now: Option<&'a str>,
    pub(crate) step_limit: Option<u64>,
}

impl std::fmt::Debug for Context<'_> {
    /// What is set, not what it is: a resource has no place in a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("resource", &self.resource.is_some())
            .field("model", &self.model.is_some())
            .field("resolver", &self.resolver.is_some())
            .field("now", &self.now)
            .field("step_limit", &self.step_limit())
            .finish_non_exhaustive()
    }
}

impl<'a> Context<'a> {
    /// A context that knows nothing: `%resource` is then the focus.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// `%resource`: the resource that the focus is a part of. By default the focus itself.
    #[must_use]
    pub fn with_resource(mut self, resource: &'a Value) -> Self {
        self.resource = Some(resource);
        self
    }

    /// `%rootResource`: the container, if `%resource` is contained. By default `%resource`.
    #[must_use]
    pub fn with_root_resource(mut self, resource: &'a Value) -> Self {
        self.root_resource = Some(resource);
        self
    }

    /// `%context`: by default the focus.
    #[must_use]
    pub fn with_context(mut self, context: &'a Value) -> Self {
        self.context = Some(context);
        self
    }

    /// More variables, by name without the percent sign. An array is a collection.
    #[must_use]
    pub fn with_variables(mut self, variables: &'a HashMap<String, Value>) -> Self {
        self.variables = Some(variables);
        self
    }

    /// The definitions of types.
    #[must_use]
    pub fn with_model(mut self, model: &'a dyn Model) -> Self {
        self.model = Some(model);
        self
    }

    /// Where `resolve()` finds resources. Without one it still tells their types, from the reference.
    #[must_use]
    pub fn with_resolver(mut self, resolver: &'a dyn Resolver) -> Self {
        self.resolver = Some(resolver);
        self
    }

    /// The time, as a FHIR dateTime with its offset: what `now()`, `today()` and `timeOfDay()` answer.
    #[must_use]
    pub fn with_now(mut self, now: &'a str) -> Self {
        self.now = Some(now);
        self
    }

    /// The most steps that an evaluation may take, [`DEFAULT_STEP_LIMIT`] if not said. A step is about one element
    /// looked at, or a few characters made.
    #[must_use]
    pub fn with_step_limit(mut self, limit: u64) -> Self {
        self.step_limit = Some(limit);
        self
    }

    pub(crate) fn step_limit(&self) -> u64 {
        self.step_limit.unwrap_or(DEFAULT_STEP_LIMIT)
    }
}
