//! As much of a shell's grammar as the documents use.

/// A line as a person types it: its text, and the commands in it, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub text: String,
    pub commands: Vec<Vec<String>>,
}

/// The lines of a block; what is continued with a backslash is one.
pub fn lines(block: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut text = String::new();
    for row in block.lines() {
        match row.strip_suffix('\\') {
            Some(start) => text.push_str(start),
            None => {
                text.push_str(row);
                lines.push(std::mem::take(&mut text));
            }
        }
    }
    assert!(text.is_empty(), "the block ends in the middle of a line: {text}");
    let lines = lines.into_iter().map(|text| Line { commands: commands(&text), text });
    lines.filter(|line| !line.commands.is_empty()).collect()
}

/// The commands of a line, without what they are told before (`NAME=value`) and where their streams go.
pub fn commands(text: &str) -> Vec<Vec<String>> {
    let mut reader = Reader { rest: text.chars().collect(), ..Default::default() };
    reader.rest.reverse();
    reader.read();
    let mut found = reader.done;
    found.extend(reader.inner.iter().flat_map(|inner| commands(inner)));
    found
}

#[derive(Default)]
struct Reader {
    /// What is still to be read, the last first.
    rest: Vec<char>,
    word: Option<String>,
    command: Vec<String>,
    done: Vec<Vec<String>>,
    /// What stood in `$(…)`.
    inner: Vec<String>,
    /// The next word is where a stream goes.
    redirected: bool,
}

impl Reader {
    fn read(&mut self) {
        while let Some(c) = self.rest.pop() {
            match c {
                '#' if self.word.is_none() => break,
                '\'' => {
                    let quoted = self.until('\'');
                    self.word().push_str(&quoted);
                }
                '"' => self.double_quoted(),
                '$' if self.rest.last() == Some(&'(') => self.substituted(),
                '\\' => {
                    let next = self.rest.pop().expect("something behind the backslash");
                    self.word().push(next);
                }
                '>' | '<' => {
                    // `2>` names the stream.
                    self.word.take_if(|word| word.chars().all(|c| c.is_ascii_digit()));
                    self.end_word();
                    self.redirected = true;
                }
                '|' | ';' | '&' => self.end_command(),
                c if c.is_whitespace() => self.end_word(),
                c => self.word().push(c),
            }
        }
        self.end_command();
    }

    fn word(&mut self) -> &mut String {
        self.word.get_or_insert_default()
    }

    fn until(&mut self, end: char) -> String {
        let mut text = String::new();
        loop {
            match self.rest.pop().unwrap_or_else(|| panic!("no {end} behind {text}")) {
                c if c == end => return text,
                c => text.push(c),
            }
        }
    }

    fn double_quoted(&mut self) {
        self.word();
        loop {
            match self.rest.pop().expect("the end of the quotes") {
                '"' => return,
                '$' if self.rest.last() == Some(&'(') => self.substituted(),
                '\\' if self.rest.last().is_some_and(|next| "\"\\$`".contains(*next)) => {
                    let next = self.rest.pop().unwrap();
                    self.word().push(next);
                }
                c => self.word().push(c),
            }
        }
    }

    fn substituted(&mut self) {
        self.rest.pop();
        let inner = self.until(')');
        self.word().push_str(&format!("$({inner})"));
        self.inner.push(inner);
    }

    fn end_word(&mut self) {
        let Some(word) = self.word.take() else { return };
        let assigned = word.split_once('=').is_some_and(|(name, _)| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
        });
        let elsewhere = std::mem::take(&mut self.redirected);
        let told_before = assigned && self.command.is_empty();
        if !elsewhere && !told_before {
            self.command.push(word);
        }
    }

    fn end_command(&mut self) {
        self.end_word();
        if !self.command.is_empty() {
            self.done.push(std::mem::take(&mut self.command));
        }
    }
}

#[test]
fn a_line_is_read_as_a_shell_reads_it() {
    for (text, read) in [
        ("a b  c", &[&["a", "b", "c"][..]][..]),
        ("a '{\"x\": 1}' \"b c\"", &[&["a", "{\"x\": 1}", "b c"]]),
        ("X=1 Y_2='a b' a Z=3", &[&["a", "Z=3"]]),
        ("a > out.txt 2> err | b < in && c; d &", &[&["a"], &["b"], &["c"], &["d"]]),
        ("a \"$(b c)\" # and more", &[&["a", "$(b c)"], &["b", "c"]]),
        ("a c#d e\\ f ''", &[&["a", "c#d", "e f", ""]]),
        ("# nothing", &[]),
        ("X=1", &[]),
    ] {
        assert_eq!(commands(text), read, "{text}");
    }
    let block = "# first\na \\\n  b\n\nc\n";
    assert_eq!(lines(block).iter().map(|line| line.commands[0].join(" ")).collect::<Vec<_>>(), ["a b", "c"]);
}
