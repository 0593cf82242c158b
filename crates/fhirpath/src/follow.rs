//! Where the paths of an expression lead, without a resource: by what somebody who has the definitions says of types.

use crate::ast::{Call, Expr, Namespace, Step, TypeName};
use crate::expression::Expression;
use crate::function::Function;

/// Somebody who knows which elements the types have.
pub trait Guide {
    /// What is known of the values at one point of an expression.
    type Place: Clone;
    /// That a step leads nowhere.
    type Error;

    /// The elements of that name; none where nothing certain can be said of them.
    ///
    /// # Errors
    /// If no value that can be here has such an element.
    fn element(&self, from: &Self::Place, name: &str) -> Result<Option<Self::Place>, Self::Error>;

    /// The values of a type among these, for `ofType`, `as` and `is`; or those that are known by their type alone.
    ///
    /// # Errors
    /// If there is no such type.
    fn of_type(&self, from: Option<&Self::Place>, name: &str) -> Result<Option<Self::Place>, Self::Error>;

    /// The values of a type that a path starts with: `Patient.name`.
    ///
    /// # Errors
    /// If none of these is of the type.
    fn start(&self, from: &Self::Place, name: &str) -> Result<Option<Self::Place>, Self::Error>;

    /// Values that are at one of two points.
    fn either(&self, one: Self::Place, other: Self::Place) -> Self::Place;
}

impl Expression {
    /// Follows every path, those in arguments and behind operators too, from what the expression starts at. Gives what
    /// is known of the values that it finds.
    ///
    /// # Errors
    /// The first step that leads nowhere.
    pub fn follow<G: Guide>(&self, guide: &G, root: &G::Place) -> Result<Option<G::Place>, G::Error> {
        Walk { guide, root }.expr(self.tree(), Some(root))
    }

    /// The names of a path that is nothing but names, such as `name.given`, with or without indexes.
    #[must_use]
    pub fn plain_path(&self) -> Option<Vec<&str>> {
        let Expr::Path { base: None, steps } = self.tree() else { return None };
        let mut names = Vec::new();
        for step in steps {
            match step {
                Step::Member(member) => names.push(member.name.as_str()),
                Step::At(Expr::Literal(_)) => {}
                Step::At(_) | Step::Call(_) => return None,
            }
        }
        Some(names)
    }
}

struct Walk<'w, G: Guide> {
    guide: &'w G,
    root: &'w G::Place,
}

impl<G: Guide> Walk<'_, G> {
    fn expr(&self, expr: &Expr, this: Option<&G::Place>) -> Result<Option<G::Place>, G::Error> {
        Ok(match expr {
            Expr::Empty | Expr::Literal(_) | Expr::Index | Expr::Total => None,
            Expr::This => this.cloned(),
            Expr::Variable(name) => {
                ["resource", "rootResource", "context"].contains(&name.as_str()).then(|| self.root.clone())
            }
            Expr::Path { base, steps } => self.path(base.as_deref(), steps, this)?,
            Expr::Sign { operand, .. } => {
                self.expr(operand, this)?;
                None
            }
            Expr::Binary { left, right, .. } => {
                self.expr(left, this)?;
                self.expr(right, this)?;
                None
            }
            Expr::Union(branches) => self.either(branches, this)?,
            Expr::Type { cast, operand, name } => {
                let operand = self.expr(operand, this)?;
                self.of_type(operand, name)?.filter(|_| *cast)
            }
        })
    }

    fn path(&self, base: Option<&Expr>, steps: &[Step], this: Option<&G::Place>) -> Result<Option<G::Place>, G::Error> {
        let mut here = match base {
            Some(base) => self.expr(base, this)?,
            None => this.cloned(),
        };
        for (at, step) in steps.iter().enumerate() {
            let starts = at == 0 && base.is_none();
            here = match (step, here) {
                (Step::Member(member), Some(here)) if starts && member.may_be_type => {
                    self.guide.start(&here, &member.name)?
                }
                (Step::Member(member), Some(here)) => self.guide.element(&here, &member.name)?,
                (Step::Member(_), None) => None,
                (Step::Call(call), here) => self.call(call, here, this)?,
                (Step::At(index), here) => {
                    self.expr(index, this)?;
                    here
                }
            };
        }
        Ok(here)
    }

    fn call(
        &self,
        call: &Call,
        input: Option<G::Place>,
        this: Option<&G::Place>,
    ) -> Result<Option<G::Place>, G::Error> {
        if let Some(name) = &call.type_name {
            let typed = self.of_type(input, name)?;
            return Ok(typed.filter(|_| call.function != Function::Is));
        }
        let of_each = || call.arguments.iter().try_for_each(|argument| self.expr(argument, input.as_ref()).map(drop));
        let of_this = || call.arguments.iter().try_for_each(|argument| self.expr(argument, this).map(drop));
        match call.function {
            Function::Where | Function::All | Function::Exists => of_each()?,
            // What is repeated is asked of what it finds too, which may have what the first has not.
            Function::Repeat if matches!(call.arguments.as_slice(), [Expr::Union(_)]) => return Ok(None),
            Function::Repeat | Function::Aggregate => {
                of_each()?;
                return Ok(None);
            }
            Function::Select => return call.arguments.first().map_or(Ok(None), |of| self.expr(of, input.as_ref())),
            Function::Iif => {
                of_each()?;
                return self.either(call.arguments.get(1..).unwrap_or_default(), input.as_ref());
            }
            Function::Union | Function::Combine => {
                let other = call.arguments.first().map_or(Ok(None), |of| self.expr(of, this))?;
                return Ok(input.zip(other).map(|(one, other)| self.guide.either(one, other)));
            }
            // What is traced is not looked at.
            Function::Trace => {}
            _ => of_this()?,
        }
        Ok(match call.function {
            Function::Where
            | Function::First
            | Function::Last
            | Function::Tail
            | Function::Skip
            | Function::Take
            | Function::Single
            | Function::Distinct
            | Function::Exclude
            | Function::Trace => input,
            Function::Extension => self.guide.of_type(input.as_ref(), "Extension")?,
            _ => None,
        })
    }

    fn either(&self, all: &[Expr], this: Option<&G::Place>) -> Result<Option<G::Place>, G::Error> {
        let mut places = Vec::new();
        for one in all {
            places.push(self.expr(one, this)?);
        }
        let places: Option<Vec<G::Place>> = places.into_iter().collect();
        Ok(places.and_then(|places| places.into_iter().reduce(|one, other| self.guide.either(one, other))))
    }

    fn of_type(&self, from: Option<G::Place>, name: &TypeName) -> Result<Option<G::Place>, G::Error> {
        // Of the types that both have names for, Quantity alone has elements.
        if name.namespace == Some(Namespace::System) || (name.is_system() && name.name != "Quantity") {
            return Ok(None);
        }
        self.guide.of_type(from.as_ref(), &name.name)
    }
}
