//! The errors that a person looks up are, word for word, those that the program says.

use std::path::Path;

use super::document;

/// What the program says is in its sources, and in the tests' snapshots of what it said.
fn said(folder: &Path, all: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            said(&path, all);
        } else if path.extension().is_some_and(|extension| extension == "rs" || extension == "snap") {
            all.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn what_troubleshooting_quotes_is_what_the_program_says() {
    let mut all = String::new();
    for of_crate in ["medplum-client", "medplum-mcp", "medplum-sandbox"] {
        for part in ["src", "tests"] {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(of_crate).join(part);
            // Not this test.
            if folder.is_dir() && !folder.ends_with("docs") {
                said(&folder, &mut all);
            }
        }
    }
    let mut quoted = 0;
    for row in document("docs/troubleshooting.md").lines().filter(|line| line.starts_with("| ")) {
        let says = row.split(" | ").next().unwrap();
        for text in
            says.split('`').skip(1).step_by(2).filter(|text| !text.starts_with("MEDPLUM_") || text.contains(' '))
        {
            // What stands in between differs from case to case.
            let parts = text.split(['…', '"', '(', ')']).flat_map(|part| part.split(": "));
            for part in parts.map(str::trim).filter(|part| !part.is_empty()) {
                // The name of a variable or a status is put in.
                let fixed = part.split(' ').filter(|word| !word.starts_with("MEDPLUM_")).collect::<Vec<_>>().join(" ");
                let begins = part.starts_with("MEDPLUM_");
                let part = if begins { fixed.as_str() } else { part };
                assert!(all.contains(part), "nothing says: {part}");
                quoted += 1;
            }
        }
    }
    assert!(quoted > 14, "{quoted}");
}
