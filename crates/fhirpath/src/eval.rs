//! The walk over the tree.

use std::cell::{Cell, OnceCell};

use serde_json::Value;

use crate::ast::{Expr, Literal, Step};
use crate::context::Context;
use crate::error::EvalError;
use crate::functions;
use crate::item::{Data, Item};
use crate::operators;
use crate::quantity::Quantity;

/// A collection: FHIRPath has no other values (§3.1).
pub(crate) type Collection<'a> = Vec<Item<'a>>;
pub(crate) type Outcome<'a> = Result<Collection<'a>, EvalError>;

/// What `$this`, `$index` and `$total` are at one point of the tree.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'s, 'a> {
    pub(crate) this: &'s [Item<'a>],
    pub(crate) index: Option<usize>,
    pub(crate) total: &'s [Item<'a>],
}

impl<'s, 'a> Scope<'s, 'a> {
    pub(crate) fn of(this: &'s [Item<'a>]) -> Self {
        Self { this, index: None, total: &[] }
    }

    /// The scope of one item of a list, within this one.
    pub(crate) fn item(&self, item: &'s Item<'a>, index: usize) -> Self {
        Self { this: std::slice::from_ref(item), index: Some(index), total: self.total }
    }
}

/// One evaluation.
pub(crate) struct Engine<'a, 'c> {
    pub(crate) context: &'c Context<'a>,
    /// The item that the evaluation started from.
    focus: Item<'a>,
    /// Its type, looked up once: a search expression asks for it in each of its branches.
    focus_type: OnceCell<Option<&'a str>>,
    steps_left: Cell<u64>,
}

impl<'a, 'c> Engine<'a, 'c> {
    pub(crate) fn run(expr: &'a Expr, focus: Item<'a>, context: &'c Context<'a>) -> Outcome<'a> {
        let engine = Self {
            context,
            focus: focus.clone(),
            focus_type: OnceCell::new(),
            steps_left: Cell::new(context.step_limit()),
        };
        engine.eval(expr, &Scope::of(std::slice::from_ref(&focus)))
    }

    /// The type of an item, as [`Item::type_name`], remembered if it is the focus.
    pub(crate) fn type_of(&self, item: &Item<'a>) -> Option<&'a str> {
        match (&item.data, &self.focus.data) {
            (Data::Json(item_json), Data::Json(focus)) if std::ptr::eq(*item_json, *focus) => {
                *self.focus_type.get_or_init(|| self.focus.type_name())
            }
            _ => item.type_name(),
        }
    }

    /// Pays for work from the budget.
    pub(crate) fn charge(&self, steps: usize) -> Result<(), EvalError> {
        let steps = u64::try_from(steps).unwrap_or(u64::MAX);
        match self.steps_left.get().checked_sub(steps) {
            Some(left) => {
                self.steps_left.set(left);
                Ok(())
            }
            None => Err(EvalError::TooMuchWork { limit: self.context.step_limit() }),
        }
    }

    pub(crate) fn eval(&self, expr: &'a Expr, scope: &Scope<'_, 'a>) -> Outcome<'a> {
        self.charge(1)?;
        match expr {
            Expr::Path { base, steps } => self.path(base.as_deref(), steps, scope),
            Expr::Literal(literal) => Ok(vec![literal_item(literal)]),
            Expr::Binary { op, left, right } => operators::binary(self, *op, left, right, scope),
            Expr::Empty => Ok(Vec::new()),
            Expr::This => Ok(scope.this.to_vec()),
            Expr::Index => Ok(scope.index.map(Item::count).into_iter().collect()),
            Expr::Total => Ok(scope.total.to_vec()),
            Expr::Variable(name) => self.variable(name),
            Expr::Union(branches) => self.union(branches, scope),
            Expr::Sign { negative, operand } => operators::sign(self.eval(operand, scope)?, *negative),
            Expr::Type { cast, operand, name } => {
                let operand = self.eval(operand, scope)?;
                if *cast { Ok(self.of_type(operand, name)) } else { self.is(&operand, name) }
            }
        }
    }

    fn path(&self, base: Option<&'a Expr>, steps: &'a [Step], scope: &Scope<'_, 'a>) -> Outcome<'a> {
        let mut steps = steps.iter();
        let mut current = match base {
            Some(base) => self.eval(base, scope)?,
            None => match steps.next() {
                // The first element is read right off `$this`, without a copy of it.
                Some(Step::Member(member)) => self.first_member(member, scope.this)?,
                Some(Step::Call(call)) => functions::call(self, call, scope.this.to_vec(), scope)?,
                Some(Step::At(_)) | None => scope.this.to_vec(),
            },
        };
        let mut next = Vec::new();
        for step in steps {
            match step {
                Step::Member(member) => {
                    for item in &current {
                        self.member(item, member, &mut next)?;
                    }
                    std::mem::swap(&mut current, &mut next);
                    next.clear();
                }
                Step::Call(call) => current = functions::call(self, call, current, scope)?,
                Step::At(index) => current = self.at(current, index, scope)?,
            }
        }
        Ok(current)
    }

    /// `list[index]` (§5.3.1).
    fn at(&self, mut list: Collection<'a>, index: &'a Expr, scope: &Scope<'_, 'a>) -> Outcome<'a> {
        let index = self.eval(index, scope)?;
        let Some(index) = operators::integer(&index, "an index")? else {
            return Ok(Vec::new());
        };
        Ok(match usize::try_from(index) {
            Ok(index) if index < list.len() => vec![list.swap_remove(index)],
            _ => Vec::new(),
        })
    }

    fn union(&self, branches: &'a [Expr], scope: &Scope<'_, 'a>) -> Outcome<'a> {
        let mut all = Vec::new();
        for branch in branches {
            let values = self.eval(branch, scope)?;
            if all.is_empty() {
                all = values;
            } else {
                all.extend(values);
            }
        }
        functions::sets::distinct(self, all)
    }

    /// `%name` (§9, and FHIR R4 §2.9.1.6).
    fn variable(&self, name: &str) -> Outcome<'a> {
        let context = self.context;
        let own = |json: Option<&'a Value>| vec![json.map_or_else(|| self.focus.clone(), Item::new)];
        Ok(match name {
            "resource" => own(context.resource),
            "rootResource" => own(context.root_resource.or(context.resource)),
            "context" => own(context.context),
            "ucum" => vec![Item::string("http://unitsofmeasure.org")],
            "sct" => vec![Item::string("http://snomed.info/sct")],
            "loinc" => vec![Item::string("http://loinc.org")],
            _ => {
                let value = context.variables.and_then(|variables| variables.get(name));
                match (value, name.split_at_checked(3)) {
                    (Some(Value::Array(values)), _) => values.iter().map(Item::new).collect(),
                    (Some(value), _) => vec![Item::new(value)],
                    (None, Some(("vs-", id))) => {
                        vec![Item::string(format!("http://hl7.org/fhir/ValueSet/{id}"))]
                    }
                    (None, _) => match name.strip_prefix("ext-") {
                        Some(id) => vec![Item::string(format!("http://hl7.org/fhir/StructureDefinition/{id}"))],
                        None => return Err(EvalError::UnknownVariable { name: name.to_owned() }),
                    },
                }
            }
        })
    }

    /// The resource that a fragment reference (`#id`) may point into.
    pub(crate) fn containers(&self) -> impl Iterator<Item = &'a Value> {
        [self.context.resource, self.context.root_resource, self.focus.as_json()].into_iter().flatten()
    }

    /// A collection where a condition is needed: a single value that is no boolean is true (§4.5).
    pub(crate) fn condition(
        &self,
        expr: &'a Expr,
        scope: &Scope<'_, 'a>,
        what: &'static str,
    ) -> Result<Option<bool>, EvalError> {
        truth(&self.eval(expr, scope)?, what)
    }
}

/// A collection as one of true, false and unknown.
pub(crate) fn truth(values: &[Item<'_>], what: &'static str) -> Result<Option<bool>, EvalError> {
    Ok(single(values, what)?.map(|item| item.as_bool().unwrap_or(true)))
}

/// The only value, if there is one.
pub(crate) fn single<'s, 'a>(values: &'s [Item<'a>], what: &'static str) -> Result<Option<&'s Item<'a>>, EvalError> {
    match values {
        [] => Ok(None),
        [only] => Ok(Some(only)),
        several => Err(EvalError::NotSingle { what, count: several.len() }),
    }
}

fn literal_item(literal: &Literal) -> Item<'_> {
    match literal {
        Literal::Boolean(value) => Item::boolean(*value),
        Literal::String(text) => Item::string(text.as_str()),
        Literal::Integer(value) => Item::integer(*value),
        Literal::Decimal(value) => Item::decimal(*value),
        Literal::Temporal(value) => Item::computed(Data::Temporal(Box::new(*value))),
        Literal::Quantity { value, unit } => Item::quantity(Quantity { value: *value, unit: unit.clone() }),
    }
}
