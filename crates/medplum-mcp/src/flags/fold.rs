//! Texts as they are compared: in small letters, without accents, and every letter as the one that it looks like.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::Form;

/// Letters of other scripts, and what they look like.
const LOOKS: &[(&str, &str)] = &[
    // Cyrillic
    ("АВЕЅІЈКМНОРСТУХЁԌԚԜӀ", "abesijkmhopctyxegqwi"),
    ("авеѕіјкмнорстухёԁһӏԛԝїгп", "abesijkmhopctyxedhiqwirn"),
    // Greek
    ("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "abezhikmnoptyx"),
    ("αβεηικνορτυχωγ", "abenikvoptuxwy"),
    // Armenian, Cherokee
    ("օսոհցզքյ", "ounhgqpj"),
    ("ᎠᎡᎢᎥᎪᎫᎬᎳᎷᎻᎾᏀᏂᏃᏆᏒᏔᏚᏞᏟᏢᏦ", "dritaegwmhoghztrwsicpk"),
    // Latin letters in small capitals and with a stroke
    ("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢıȷɑɡøđłŧħʋɩⅼ", "abcdefghijklmnoprstuvwyzijagodlthvil"),
];

/// A text in which letters can be compared.
pub(super) fn folded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    text.chars().for_each(|c| push(c, &mut out));
    out
}

/// The letters alone, and what frames them, as they stand in JSON: by this a rule's words are looked for.
pub(super) fn squeezed(text: &str, form: Form) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    squeeze(text, form, |byte| out.push(byte));
    out
}

/// What stands between two strings of a JSON: no word has it.
const BREAK: u8 = 0;

/// The same, byte by byte. Of a JSON, what its strings hold, each for itself: numbers are no letters, and no word stands in
/// two strings.
pub(super) fn squeeze(text: &str, form: Form, mut take: impl FnMut(u8)) {
    let mut other = String::new();
    let mut rest = text.as_bytes();
    if form == Form::Json {
        rest = next_string(rest);
    }
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        let class = CLASSES.get(usize::from(byte)).copied().unwrap_or(GOES);
        if class < FIRST_MARK {
            if class != GOES {
                take(class);
            }
            continue;
        }
        match class {
            QUOTE if form == Form::Json => {
                take(BREAK);
                rest = next_string(behind);
            }
            BACKSLASH => rest = behind_escape(behind, form),
            OTHER => {
                let at = text.len().saturating_sub(behind.len()).saturating_sub(1);
                let Some(c) = text.get(at..).and_then(|rest| rest.chars().next()) else { continue };
                rest = behind.get(c.len_utf8().saturating_sub(1)..).unwrap_or_default();
                other.clear();
                push(c, &mut other);
                let is_kept = |c: &char| if c.is_ascii() { kept_of(*c as u8) != GOES } else { c.is_alphanumeric() };
                let mut bytes = [0; 4];
                for c in other.chars().filter(is_kept) {
                    c.encode_utf8(&mut bytes).bytes().for_each(&mut take);
                }
            }
            _ => {}
        }
    }
}

/// What stands behind the next quote.
fn next_string(json: &[u8]) -> &[u8] {
    let quote = json.iter().position(|byte| *byte == b'"');
    quote.and_then(|at| json.get(at.saturating_add(1)..)).unwrap_or_default()
}

/// What stands behind a backslash, and what it makes of the next character: that is no letter, as in `\n`, and no end of
/// a string, as in `\"`.
fn behind_escape(text: &[u8], form: Form) -> &[u8] {
    let more = text.iter().take_while(|byte| **byte == b'\\').count();
    let behind = text.get(more..).unwrap_or_default();
    match behind.split_first() {
        // The backslashes before it are themselves escaped.
        Some((b'"', _)) if form == Form::Json && more % 2 == 1 => behind,
        Some((escaped, rest)) if escaped.is_ascii() => rest,
        _ => behind,
    }
}

/// What a byte is to [`squeeze`]: a letter as it is compared, or one of these.
static CLASSES: [u8; 256] = {
    let mut table = [OTHER; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        // Within the table: it has a place for each byte.
        #[allow(clippy::indexing_slicing)]
        {
            table[byte as usize] = match byte {
                b'"' => QUOTE,
                b'\\' => BACKSLASH,
                byte => kept_of(byte),
            };
        }
        byte += 1;
    }
    table
};

const GOES: u8 = 0;
const FIRST_MARK: u8 = 128;
const QUOTE: u8 = FIRST_MARK;
const BACKSLASH: u8 = FIRST_MARK + 1;
/// No ASCII.
const OTHER: u8 = FIRST_MARK + 2;

const fn kept_of(byte: u8) -> u8 {
    match ascii(byte) {
        letter @ (b'a'..=b'z' | b'0'..=b'9' | b'<' | b'>' | b'[' | b']' | b'/' | b'|' | b'#' | b'_') => letter,
        _ => GOES,
    }
}

/// A character of ASCII as it is compared: digits stand for the letters that they look like.
const fn ascii(byte: u8) -> u8 {
    match byte.to_ascii_lowercase() {
        b'0' => b'o',
        b'1' | b'l' => b'i',
        b'3' => b'e',
        b'4' | b'@' => b'a',
        b'5' => b's',
        b'7' => b't',
        other => other,
    }
}

fn push(c: char, out: &mut String) {
    if c.is_ascii() {
        out.push(char::from(ascii(c as u8)));
        return;
    }
    if let '\u{1f150}'..='\u{1f169}' | '\u{1f170}'..='\u{1f189}' | '\u{1f1e6}'..='\u{1f1ff}' = c {
        // Letters in black circles and squares, and those of flags.
        let first = [0x1f1e6, 0x1f170, 0x1f150].into_iter().find(|first| u32::from(c) >= *first).unwrap_or_default();
        let place = u32::from(c).saturating_sub(first);
        out.extend(u8::try_from(place).ok().map(|place| char::from(ascii(b'a'.saturating_add(place)))));
        return;
    }
    for part in std::iter::once(c).nfkd().filter(|part| !is_combining_mark(*part)) {
        match part {
            '\u{200c}' | '\u{200d}' => {}
            '\u{2018}' | '\u{2019}' | '\u{2bc}' => out.push('\''),
            '\u{201c}' | '\u{201d}' => out.push('"'),
            part if part.is_ascii() => out.push(char::from(ascii(part as u8))),
            part => match looks_like(part) {
                Some(letter) => out.push(char::from(ascii(letter))),
                None => out.extend(part.to_lowercase()),
            },
        }
    }
}

fn looks_like(c: char) -> Option<u8> {
    LOOKS.iter().find_map(|(letters, look)| {
        letters.chars().position(|letter| letter == c).and_then(|at| look.as_bytes().get(at).copied())
    })
}

/// The text with characters as they are meant, where it is HTML or JSON.
pub(super) fn decoded(text: &str) -> Cow<'_, str> {
    let mut text: Cow<'_, str> = text.into();
    if text.contains('\\') {
        text = text.replace("\\n", "\n").replace("\\r", "\n").replace("\\t", " ").replace("\\\"", "\"").into();
    }
    if text.contains('&') {
        text = entities(&text).into();
    }
    text
}

fn entities(text: &str) -> String {
    const NAMED: &[(&str, char)] =
        &[("lt", '<'), ("gt", '>'), ("amp", '&'), ("quot", '"'), ("apos", '\''), ("nbsp", ' ')];
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('&') {
        out.push_str(before);
        let entity = behind.split_once(';').filter(|(name, _)| name.len() <= 8);
        let meant = entity.and_then(|(name, after)| {
            let named = NAMED.iter().find(|(known, _)| *known == name).map(|(_, c)| *c);
            let number = || match name.strip_prefix('#')?.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok(),
                None => name.get(1..)?.parse().ok(),
            };
            Some((named.or_else(|| number().and_then(char::from_u32))?, after))
        });
        match meant {
            Some((c, after)) => {
                out.push(c);
                rest = after;
            }
            None => {
                out.push('&');
                rest = behind;
            }
        }
    }
    out.push_str(rest);
    out
}

/// A folded text without its markup and its apostrophes: `<b>don't</b>` is `dont`.
pub(super) fn without_markup(folded: &str) -> String {
    let mut out = String::with_capacity(folded.len());
    let mut rest = folded;
    while let Some((before, behind)) = rest.split_once('<') {
        out.push_str(before);
        // A remark, `<!-- … -->`, says what it says.
        let is_tag = |tag: &str| tag.len() <= LONGEST_TAG && !tag.contains('<') && !tag.starts_with('!');
        let tag = behind.split_once('>').filter(|(tag, _)| is_tag(tag));
        out.push(' ');
        rest = tag.map_or(behind, |(_, after)| after);
    }
    out.push_str(rest);
    out.retain(|c| c != '\'');
    out
}

const LONGEST_TAG: usize = 60;

/// The words of a folded text in their order; between them a colon, `.` where a sentence ends, and `\n` for a line.
pub(super) fn tokens(plain: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut start = None;
    for (at, c) in plain.char_indices() {
        if c.is_alphanumeric() {
            start.get_or_insert(at);
            continue;
        }
        tokens.extend(start.take().and_then(|start| plain.get(start..at)));
        match c {
            ':' => tokens.push(":"),
            '.' | '!' | '?' | '。' => tokens.push("."),
            '\n' => tokens.push("\n"),
            _ => {}
        }
    }
    tokens.extend(start.and_then(|start| plain.get(start..)));
    tokens
}

/// Whether it is a word, and no mark between words.
pub(super) fn is_word(token: &str) -> bool {
    ![":", ".", "\n"].contains(&token)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The same, character by character.
    fn squeezed_slowly(text: &str, form: Form) -> Vec<u8> {
        let (mut out, mut before, mut escaped, mut within) = (Vec::new(), ' ', false, form == Form::Lines);
        for c in text.chars() {
            if form == Form::Json && c == '"' && !escaped {
                within = !within;
                if !within {
                    out.push(BREAK);
                }
            }
            escaped = c == '\\' && !escaped;
            let mut looks = String::new();
            push(c, &mut looks);
            let is_kept = |c: &char| if c.is_ascii() { kept_of(*c as u8) != GOES } else { c.is_alphanumeric() };
            if within && (before != '\\' || !c.is_ascii()) {
                out.extend(looks.chars().filter(is_kept).collect::<String>().bytes());
            }
            before = c;
        }
        out
    }

    proptest! {
        #[test]
        fn a_text_is_squeezed_character_by_character(text in "([a-e\"\\\\n:,\u{eb}\u{2014}\u{430}]|\\PC){0,30}") {
            prop_assert_eq!(squeezed(&text, Form::Lines), squeezed_slowly(&text, Form::Lines));
            let json = serde_json::json!({ "a": [text, 1], "b": text }).to_string();
            prop_assert_eq!(squeezed(&json, Form::Json), squeezed_slowly(&json, Form::Json));
        }
    }

    #[test]
    fn what_looks_the_same_is_the_same() {
        let plain = folded("ignore all");
        for text in [
            "IGNORE ALL",
            "1gn0r3 @l1",
            "ｉｇｎｏｒｅ　ａｌｌ",
            "іgnоrе аll",
            "ígnörè àll",
            "ɪɢɴᴏʀᴇ ᴀʟʟ",
            "𝐢𝐠𝐧𝐨𝐫𝐞 𝒂𝒍𝒍",
            "🅘🅖🅝🅞🅡🅔 🅰🅻🅻",
            "ⓘⓖⓝⓞⓡⓔ ⓐⓛⓛ",
        ] {
            assert_eq!(folded(text), plain, "{text}");
        }
        for (letters, look) in LOOKS {
            assert_eq!(letters.chars().count(), look.len(), "{letters}");
        }
    }

    #[test]
    fn what_is_squeezed_is_the_same_with_and_without_other_letters() {
        assert_eq!(squeezed("A\\nb <i>c</i> 1", Form::Lines), squeezed("А\\nb <i>ç</i> 1", Form::Lines));
        let json = r#"{"a":"de\nl_1","rank":1,"b":"\"c\\","d":null}"#;
        let of_form = |form| String::from_utf8(squeezed(json, form)).unwrap();
        assert_eq!(of_form(Form::Lines), "adei_irankibcdnuii");
        assert_eq!(of_form(Form::Json), "a\0dei_i\0rank\0b\0c\0d\0");
    }

    #[test]
    fn words_stand_between_marks() {
        assert_eq!(tokens("a b: c.\nd, e-f"), ["a", "b", ":", "c", ".", "\n", "d", "e", "f"]);
        assert_eq!(without_markup("<b>don't</b> < 5"), " dont    5");
        assert_eq!(without_markup("<!-- a -->"), " !-- a -->");
        assert_eq!(decoded("&lt;a&gt; &#105;&#x67; a & b\\n"), "<a> ig a & b\n");
    }
}
