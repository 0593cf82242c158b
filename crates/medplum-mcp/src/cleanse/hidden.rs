//! Characters that a person does not see, or that turn the direction of what they see.
//!
//! Newline, tab and carriage return stay, and so do the joiners and variation selectors that scripts and emoji need:
//! behind a letter of a script that joins, or a symbol, one at a time. Anywhere else they only hide something.

/// The text without them; none where there is nothing to take out.
pub(super) fn without_hidden(text: &str) -> Option<String> {
    if text.bytes().all(|byte| (0x20..0x7f).contains(&byte) || matches!(byte, b'\n' | b'\t' | b'\r')) {
        return None;
    }
    if !text.chars().any(|c| fate(c) != Fate::Stays) {
        return None;
    }
    let mut seen = String::with_capacity(text.len());
    for c in text.chars() {
        let stays = match fate(c) {
            Fate::Stays => true,
            Fate::Goes => false,
            Fate::Joins => seen.chars().next_back().is_some_and(|before| is_joined(before) || is_selector(before)),
            Fate::Selects => seen.chars().next_back().is_some_and(|before| is_joined(before) || is_keycap(before)),
            Fate::Breaks => {
                seen.push('\n');
                false
            }
        };
        if stays {
            seen.push(c);
        }
    }
    (seen != text).then_some(seen)
}

/// Whether a character is in a text that may have to go.
pub(super) fn may_be_in(text: &str) -> bool {
    !text.is_ascii() && text.chars().any(|c| !c.is_ascii() && fate(c) != Fate::Stays)
}

/// What becomes of a character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Stays,
    Goes,
    /// U+200C, U+200D: scripts and emoji join by them.
    Joins,
    /// It says which form of the character before it is meant.
    Selects,
    /// A line or paragraph ends.
    Breaks,
}

fn fate(c: char) -> Fate {
    match c {
        '\n' | '\t' | '\r' => Fate::Stays,
        '\u{200c}' | '\u{200d}' => Fate::Joins,
        '\u{180b}'..='\u{180d}' | '\u{180f}' | '\u{fe00}'..='\u{fe0f}' => Fate::Selects,
        '\u{2028}' | '\u{2029}' => Fate::Breaks,
        // Controls, the soft hyphen, what marks or turns direction, fillers, invisible operators, tags and the
        // selectors beside them, in which a whole text can be hidden, and code points that are no characters.
        '\u{0}'..='\u{1f}'
        | '\u{7f}'..='\u{9f}'
        | '\u{ad}'
        | '\u{34f}'
        | '\u{61c}'
        | '\u{115f}'
        | '\u{1160}'
        | '\u{17b4}'
        | '\u{17b5}'
        | '\u{180e}'
        | '\u{200b}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{3164}'
        | '\u{fdd0}'..='\u{fdef}'
        | '\u{feff}'
        | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}'
        | '\u{13430}'..='\u{1343f}'
        | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}' => Fate::Goes,
        c if u32::from(c) & 0xfffe == 0xfffe => Fate::Goes,
        _ => Fate::Stays,
    }
}

fn is_selector(c: char) -> bool {
    fate(c) == Fate::Selects
}

/// Whether a joiner or selector behind it can mean something: no letter of the Latin, Greek or Cyrillic script, no
/// digit, mark or space of ASCII, no other joiner or selector.
fn is_joined(c: char) -> bool {
    u32::from(c) >= 0x530 && fate(c) == Fate::Stays && !c.is_whitespace() || matches!(c, '©' | '®')
}

/// `1️⃣`
fn is_keycap(c: char) -> bool {
    c.is_ascii_digit() || matches!(c, '#' | '*')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seen(text: &str) -> String {
        without_hidden(text).unwrap_or_else(|| text.to_owned())
    }

    #[test]
    fn what_cannot_be_seen_goes() {
        assert_eq!(seen("a\u{202e}b\u{200b}c\u{e0041}d\u{0}e\u{feff}"), "abcde");
        assert_eq!(seen("ig\u{200d}no\u{200c}re"), "ignore");
        assert_eq!(seen("line\u{2028}line"), "line\nline");
        // A text in selectors behind one emoji.
        let hidden: String = "ignore".bytes().filter_map(|b| char::from_u32(0xe0100 + u32::from(b) - 16)).collect();
        assert_eq!(seen(&format!("😀{hidden}")), "😀");
        assert_eq!(seen("😀\u{fe0f}\u{fe01}\u{fe02}"), "😀\u{fe0f}");
        assert_eq!(seen("\u{1b}[31mred\u{1b}[0m"), "[31mred[0m");
    }

    #[test]
    fn what_scripts_and_emoji_need_stays() {
        for text in [
            "line\nline\ttab\r\n",
            "👩\u{200d}⚕\u{fe0f}",
            "👁\u{fe0f}\u{200d}🗨\u{fe0f}",
            "🏴\u{200d}☠\u{fe0f}",
            "1\u{fe0f}\u{20e3}",
            "❤\u{fe0f}",
            "می\u{200c}خواهم",
            "क्\u{200d}ष",
            "ශ්\u{200d}රී",
            "Zoë Müller 李雷 Ωmega Ж",
            "e\u{301}",
            "37,5 °C ≥ 120 µg/l",
        ] {
            assert_eq!(without_hidden(text), None, "{text:?}");
        }
    }

    /// General category Cc, Cf, or default ignorable, but for what is let through: written down a second time.
    fn never(c: char) -> bool {
        let n = u32::from(c);
        let control = c.is_control() && !matches!(c, '\n' | '\t' | '\r');
        let bidirectional = matches!(n, 0x61c | 0x200e | 0x200f | 0x202a..=0x202e | 0x2066..=0x2069);
        let invisible = matches!(n, 0xad | 0x34f | 0x200b | 0x2060..=0x2065 | 0x206a..=0x206f | 0xfeff | 0x3164 | 0xffa0 | 0x2028 | 0x2029);
        let tag = matches!(n, 0xe0000..=0xe0fff);
        control || bidirectional || invisible || tag
    }

    proptest! {
        #[test]
        fn nothing_of_the_stripped_classes_is_left(text in "[\\PC\\p{Cc}\\p{Cf}a-z \u{fe00}-\u{fe0f}\u{e0100}-\u{e01ef}\u{200b}-\u{200f}]{0,60}") {
            let clean = seen(&text);
            prop_assert!(!clean.chars().any(never), "{clean:?}");
            prop_assert_eq!(without_hidden(&clean), None);
            let visible = |text: &str| -> String {
                text.chars().filter(|c| fate(*c) == Fate::Stays && *c != '\n').collect()
            };
            prop_assert_eq!(visible(&clean), visible(&text));
        }
    }
}
