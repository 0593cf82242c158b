//! What changes in a file, as a person reads it: no secret is shown.

use anstyle::{AnsiColor, Style};
use similar::{ChangeTag, TextDiff};

/// Lines around a change.
const AROUND: usize = 2;
/// A longer line is not shown: a file on one line would be all of it.
const LONGEST: usize = 300;

/// The changed lines with a few around them.
pub(super) fn shown(file: &str, before: &str, after: &str) -> String {
    let difference = TextDiff::from_lines(before, after);
    let mut page = format!("--- {file}\n+++ {file}\n");
    for group in difference.grouped_ops(AROUND) {
        let first = group.first().map_or(0, |operation| operation.new_range().start);
        page.push_str(&format!("@@ line {} @@\n", first.saturating_add(1)));
        for change in group.iter().flat_map(|operation| difference.iter_changes(operation)) {
            let (sign, style) = match change.tag() {
                ChangeTag::Delete => ('-', AnsiColor::Red.on_default()),
                ChangeTag::Insert => ('+', AnsiColor::Green.on_default()),
                ChangeTag::Equal => (' ', Style::new()),
            };
            let line = without_secret(change.value().trim_end_matches(['\r', '\n']));
            page.push_str(&format!("{style}{sign}{line}{style:#}\n"));
        }
    }
    page
}

/// A line without the values that sound like secrets: behind a key or a flag that does, or with a bearer's token in
/// them. A variable's name in the value's place is no secret.
fn without_secret(line: &str) -> String {
    let length = line.chars().count();
    if length > LONGEST {
        return format!("… (a line of {length} characters)");
    }
    let mut shown = String::with_capacity(line.len());
    let (mut key, mut word, mut is_value, mut rest) = (String::new(), String::new(), false, line);
    while let Some(next) = rest.chars().next() {
        let token = match next {
            '"' | '\'' => quoted(rest),
            c if is_of_word(c) => rest.find(|c| !is_of_word(c)).and_then(|end| rest.get(..end)).unwrap_or(rest),
            _ => rest.get(..next.len_utf8()).unwrap_or(rest),
        };
        rest = rest.get(token.len()..).unwrap_or_default();
        match next {
            '"' | '\'' => {
                let text = token.trim_matches(['"', '\'']);
                let named = (is_value && sounds_secret(&key)) || (word.starts_with('-') && sounds_secret(&word));
                let within = text.contains("Bearer ") || (text.contains('=') && sounds_secret(text));
                let secret = (named || within) && !names_variable(text);
                shown.push_str(if secret { "\"…\"" } else { token });
                word = text.to_owned();
                is_value = false;
            }
            ':' | '=' => {
                key = std::mem::take(&mut word);
                is_value = true;
                shown.push_str(token);
            }
            c if is_of_word(c) => {
                word = token.to_owned();
                is_value = false;
                shown.push_str(token);
            }
            _ => {
                is_value &= next.is_whitespace();
                shown.push_str(token);
            }
        }
    }
    shown
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || "_-.".contains(c)
}

/// The string that a text begins with, in its quotes; all of it, if it does not end.
fn quoted(text: &str) -> &str {
    let mut characters = text.char_indices();
    let Some((_, quote)) = characters.next() else { return text };
    let mut escaped = false;
    for (at, c) in characters {
        if c == quote && !escaped {
            return text.get(..at.saturating_add(1)).unwrap_or(text);
        }
        escaped = c == '\\' && !escaped;
    }
    text
}

/// `$NAME`, or `${NAME}` somewhere in it.
fn names_variable(text: &str) -> bool {
    let name = text.strip_prefix('$');
    text.contains("${") || name.is_some_and(|name| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
}

fn sounds_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let sounds = ["SECRET", "TOKEN", "KEY", "PASSW", "AUTH", "CREDENTIAL"];
    !name.ends_with("_FILE") && sounds.iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sounds_like_a_secret_is_not_shown() {
        for (line, expected) in [
            (r#"  "GITHUB_TOKEN": "ghp_12345","#, r#"  "GITHUB_TOKEN": "…","#),
            (r#"  "Authorization": "Bearer x y""#, r#"  "Authorization": "…""#),
            (r#"api_key = 'abc' # mine"#, r#"api_key = "…" # mine"#),
            (r#"env = { A = "1", A_TOKEN = "x\"y", B = "2" }"#, r#"env = { A = "1", A_TOKEN = "…", B = "2" }"#),
            (
                r#"{"env": {"API_KEY": "x", "URL": "https://a.example/"}}"#,
                r#"{"env": {"API_KEY": "…", "URL": "https://a.example/"}}"#,
            ),
            (
                r#""args": ["--port", "1", "--api-key", "abc", "--token=x"]"#,
                r#""args": ["--port", "1", "--api-key", "…", "…"]"#,
            ),
            (r#""args": ["--header", "X: Bearer abc"]"#, r#""args": ["--header", "…"]"#),
            (
                r#"  "MEDPLUM_CLIENT_SECRET": "${MEDPLUM_CLIENT_SECRET}""#,
                r#"  "MEDPLUM_CLIENT_SECRET": "${MEDPLUM_CLIENT_SECRET}""#,
            ),
            (r#"  "MEDPLUM_CLIENT_SECRET_FILE": "/run/s""#, r#"  "MEDPLUM_CLIENT_SECRET_FILE": "/run/s""#),
            (r#"  "command": "medplum-mcp""#, r#"  "command": "medplum-mcp""#),
            (r#"env_vars = ["MEDPLUM_CLIENT_SECRET"]"#, r#"env_vars = ["MEDPLUM_CLIENT_SECRET"]"#),
            (r#"password = "pa$$word""#, r#"password = "…""#),
            (r#"  "TOKEN": "$GIT_TOKEN","#, r#"  "TOKEN": "$GIT_TOKEN","#),
            ("  }", "  }"),
        ] {
            assert_eq!(without_secret(line), expected);
        }
        assert!(!without_secret(&format!("{{\"a\":\"{}\"}}", "s3cret".repeat(100))).contains("s3cret"));
    }
}
