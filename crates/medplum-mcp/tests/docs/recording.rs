//! The README's picture of the demo: drawn from what the demo prints on a terminal, and held against it.

use std::fmt::Write as _;

use crate::common::host::run;

const PICTURE: &str = "docs/demo.svg";

/// How large a character is, and how far the lines are apart.
const CHARACTER: f64 = 7.23;
const LINE: usize = 17;
const MARGIN: usize = 16;

/// What stands behind the escape of each colour that the demo uses.
const COLOURS: &[(&str, &str)] =
    &[("1", "b"), ("2", "d"), ("31", "r"), ("32", "g"), ("33", "y"), ("36", "c"), ("0", "")];

const STYLE: &str = "\
text{font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;fill:#d0d7de;white-space:pre}\
.b{font-weight:bold;fill:#fff}.d{fill:#8b949e}.r{fill:#ff7b72}.g{fill:#7ee787}.y{fill:#e3b341}.c{fill:#79c0ff}";

/// A row of a terminal as SVG: its text, each part in its colour.
fn row(line: &str) -> String {
    let mut drawn = String::new();
    let mut parts = line.split('\u{1b}');
    let plain = parts.next().unwrap_or_default();
    drawn.push_str(&escaped(plain));
    for part in parts {
        let (code, text) =
            part.strip_prefix('[').and_then(|part| part.split_once('m')).expect("a colour and nothing else");
        let (_, class) = COLOURS.iter().find(|(known, _)| *known == code).unwrap_or_else(|| panic!("no colour {code}"));
        match (text.is_empty(), class.is_empty()) {
            (true, _) => {}
            (false, true) => drawn.push_str(&escaped(text)),
            (false, false) => write!(drawn, "<tspan class=\"{class}\">{}</tspan>", escaped(text)).unwrap(),
        }
    }
    drawn
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A row without the time that a call took: in these tests the program is not the one that is given to people.
fn without_time(row: &str) -> String {
    match row.split_once(" tokens in ") {
        Some((before, after)) => {
            format!("{before} tokens{}", after.split_once(" ms").map_or(after, |(_, behind)| behind))
        }
        None => row.to_owned(),
    }
}

/// What a terminal shows, as a picture.
fn picture(printed: &str) -> String {
    let rows: Vec<String> = printed.trim_end().lines().map(without_time).collect();
    let plain = |row: &str| {
        row.split('\u{1b}')
            .map(|part| part.split_once('m').map_or(part, |(_, text)| text))
            .map(|text| text.chars().count())
            .sum::<usize>()
    };
    let columns = rows.iter().map(|row| plain(row)).max().unwrap_or_default();
    let width = (columns as f64 * CHARACTER) as usize + 2 * MARGIN;
    let height = (rows.len() + 2) * LINE + 2 * MARGIN;
    let mut drawn = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"medplum-mcp demo\">\n\
         <!-- Drawn from what `medplum-mcp demo` prints; CONTRIBUTING.md says how. -->\n\
         <style>{STYLE}</style>\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#0d1117\"/>\n"
    );
    let prompt = "<tspan class=\"d\">$</tspan> medplum-mcp demo".to_owned();
    for (index, text) in [prompt, String::new()].into_iter().chain(rows.iter().map(|text| row(text))).enumerate() {
        if !text.is_empty() {
            writeln!(
                drawn,
                "<text x=\"{MARGIN}\" y=\"{}\" xml:space=\"preserve\">{text}</text>",
                MARGIN + (index + 1) * LINE - 5
            )
            .unwrap();
        }
    }
    drawn.push_str("</svg>\n");
    drawn
}

/// Without what differs from day to day and from machine to machine: a patient grows older, and the number of a port in a
/// link may cost a token more.
fn lasting(text: &str) -> String {
    let counts = |line: &str| line.contains(" tokens<") || line.contains("<tspan class=\"g\">  ");
    let lines = text.lines().map(|line| match line.split_once("\"age\":") {
        _ if counts(line) => line.chars().filter(|c| !c.is_ascii_digit()).collect(),
        Some((before, after)) => format!("{before}\"age\":{}", after.trim_start_matches(|c: char| c.is_ascii_digit())),
        None => line.to_owned(),
    });
    lines.collect::<Vec<String>>().join("\n")
}

#[test]
fn the_picture_of_the_demo_is_what_it_prints() {
    let ended = run(&["demo"], &[("CLICOLOR_FORCE", "1")], "");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let made = picture(&ended.stdout);
    let place = format!("{}/../../{PICTURE}", env!("CARGO_MANIFEST_DIR"));
    let kept = std::fs::read_to_string(&place).unwrap_or_default().replace("\r\n", "\n");
    if lasting(&kept) == lasting(&made) {
        return;
    }
    if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
        std::fs::write(&place, &made).unwrap();
        return;
    }
    panic!("{PICTURE} is out of date: INSTA_UPDATE=always cargo test -p medplum-mcp --test docs");
}

#[test]
fn a_row_is_drawn_in_its_colours() {
    assert_eq!(row("a<b"), "a&lt;b");
    assert_eq!(row("  \u{1b}[36m> x {\"a\":1}\u{1b}[0m"), "  <tspan class=\"c\">&gt; x {\"a\":1}</tspan>");
    assert_eq!(without_time("\u{1b}[2mabout 57 tokens in 2.9 ms\u{1b}[0m"), "\u{1b}[2mabout 57 tokens\u{1b}[0m");
    assert_eq!(lasting("next: c.Ab-_9 (x) \"age\":68,\n"), "next: c.Ab-_9 (x) \"age\":,");
}
