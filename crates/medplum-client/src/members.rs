//! The members of an object, and where they stand in its text: what need not be changed is shown from there.

use crate::skim::{Name, Skim};

/// Most resources have no more.
const USUAL: usize = 16;

/// A member of an object, in JSON as it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member<'a> {
    /// Its name, as it is written between the quotes.
    pub name: &'a str,
    /// Its value.
    pub value: &'a str,
    /// Whether no white space stands between the parts of the value.
    pub is_compact: bool,
    /// Whether the value, or a part of it, is empty: `""`, `null`, `[]`, `{}`.
    pub has_empty: bool,
}

/// Where the members of an object stand in its text.
#[derive(Debug, Clone, PartialEq)]
pub struct Members {
    spans: Vec<Span>,
    /// White space stands around the members.
    has_space: bool,
    /// A name is written with an escape.
    has_escape: bool,
}

/// Where a member stands, from and to so many bytes behind the start of its object.
#[derive(Debug, Clone, PartialEq)]
struct Span {
    name: (u32, u32),
    value: (u32, u32),
    is_compact: bool,
    has_empty: bool,
}

impl Members {
    /// Those of the object that this text is; none if it is something else.
    pub fn of(object: &str) -> Option<Self> {
        let mut skim = Skim::of(object);
        let members = Self::go_over(&mut skim, |skim, _| skim.value())?;
        (skim.at() == object.len()).then_some(members)
    }

    /// Goes over the object that stands here. `member` goes over the value of each member.
    pub(crate) fn go_over<'a>(
        skim: &mut Skim<'a>,
        mut member: impl FnMut(&mut Skim<'a>, Name<'a>) -> Option<()>,
    ) -> Option<Self> {
        let start = skim.at();
        skim.take_seen();
        let mut members = Self { spans: Vec::with_capacity(USUAL), has_space: false, has_escape: false };
        skim.object(|skim, name| {
            members.has_space |= skim.take_seen().space;
            members.has_escape |= name.has_escape;
            let value = skim.at();
            member(skim, name)?;
            let seen = skim.take_seen();
            members.spans.push(Span {
                name: span(start, name.at, name.at.checked_add(name.len())?)?,
                value: span(start, value, skim.at())?,
                is_compact: !seen.space,
                has_empty: seen.empty,
            });
            Some(())
        })?;
        members.has_space |= skim.take_seen().space;
        Some(members)
    }

    /// The members, in the text of their object. None if it is not plain: white space around members, a name with an
    /// escape, two members of one name.
    pub fn plain<'a>(&self, object: &'a str) -> Option<Vec<Member<'a>>> {
        if self.has_space || self.has_escape {
            return None;
        }
        let mut members: Vec<Member<'a>> = Vec::with_capacity(self.spans.len());
        for span in &self.spans {
            let member = span.of(object)?;
            if members.iter().any(|known| known.name == member.name) {
                return None;
            }
            members.push(member);
        }
        Some(members)
    }

    /// Whether no white space stands between the parts of the object.
    pub fn are_compact(&self) -> bool {
        !self.has_space && self.spans.iter().all(|span| span.is_compact)
    }
}

impl Span {
    fn of<'a>(&self, object: &'a str) -> Option<Member<'a>> {
        let text = |(from, to): (u32, u32)| object.get(usize::try_from(from).ok()?..usize::try_from(to).ok()?);
        Some(Member {
            name: text(self.name)?,
            value: text(self.value)?,
            is_compact: self.is_compact,
            has_empty: self.has_empty,
        })
    }
}

/// No answer is so long that a place in it would not fit.
fn span(start: usize, from: usize, to: usize) -> Option<(u32, u32)> {
    let behind = |place: usize| u32::try_from(place.checked_sub(start)?).ok();
    Some((behind(from)?, behind(to)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(object: &str) -> Option<Vec<(&str, &str, bool, bool)>> {
        let members = Members::of(object).unwrap().plain(object)?;
        Some(members.iter().map(|m| (m.name, m.value, m.is_compact, m.has_empty)).collect())
    }

    #[test]
    fn a_member_is_shown_from_its_place() {
        assert_eq!(
            plain(r#"{"a":[1,{"b":"x"}],"c\"":2}"#),
            None,
            "a name with an escape is another than it looks like"
        );
        assert_eq!(
            plain(r#"{"a":[1,{"b":"x"}],"é":"","d":{"e":[ ]},"f":[1, 2],"g":null}"#).unwrap(),
            [
                ("a", r#"[1,{"b":"x"}]"#, true, false),
                ("é", r#""""#, true, true),
                ("d", r#"{"e":[ ]}"#, false, true),
                ("f", "[1, 2]", false, false),
                ("g", "null", true, true),
            ]
        );
        assert_eq!(plain("{}").unwrap(), []);
    }

    #[test]
    fn what_is_not_plain_has_no_members_to_show() {
        for object in [r#"{ "a":1}"#, r#"{"a" :1}"#, r#"{"a":1 }"#, r#"{"a":1, "b":2}"#, r#"{"a":1,"a":2}"#] {
            assert_eq!(plain(object), None, "{object}");
        }
        // What stands before a value counts as a part of it.
        assert_eq!(plain(r#"{"a": 1}"#).unwrap(), [("a", " 1", false, false)]);
    }

    #[test]
    fn it_is_compact_without_white_space_anywhere() {
        for (object, compact) in [
            ("{}", true),
            ("{ }", false),
            (r#"{"a":{"b":[1,"c d"]}}"#, true),
            (r#"{"\u0061":1}"#, true),
            (r#"{"a":{"b":[1, 2]}}"#, false),
            (r#"{"a": 1}"#, false),
            (r#"{"a":1 ,"b":2}"#, false),
            ("{\"a\":1\n}", false),
        ] {
            assert_eq!(Members::of(object).unwrap().are_compact(), compact, "{object}");
        }
        for other in ["[]", "1", r#"{"a":1}x"#, r#"{"a":1} "#, r#"{"a":}"#] {
            assert_eq!(Members::of(other), None, "{other}");
        }
    }
}
