//! Where in a resource something stands, without an allocation until somebody has to be told.

use std::fmt;

/// A step from the root of a resource; each step borrows the one above it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Path<'p> {
    above: Option<&'p Path<'p>>,
    step: Step<'p>,
}

#[derive(Debug, Clone, Copy)]
enum Step<'p> {
    Root,
    Name(&'p str),
    Index(usize),
}

impl<'p> Path<'p> {
    pub(super) const ROOT: Path<'static> = Path { above: None, step: Step::Root };

    pub(super) fn name(&'p self, name: &'p str) -> Path<'p> {
        Path { above: Some(self), step: Step::Name(name) }
    }

    pub(super) fn index(&'p self, index: usize) -> Path<'p> {
        Path { above: Some(self), step: Step::Index(index) }
    }

    fn is_root(&self) -> bool {
        matches!(self.step, Step::Root)
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(above) = self.above {
            above.fmt(f)?;
        }
        let dot = if self.above.is_some_and(|a| !a.is_root()) { "." } else { "" };
        match self.step {
            Step::Root => Ok(()),
            Step::Name(name) => write!(f, "{dot}{}", super::fault::clipped(name)),
            Step::Index(index) => write!(f, "[{index}]"),
        }
    }
}
