//! What the documents say of the program, held against the program.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use medplum_mcp::settings::SETTINGS;

fn document(path: &str) -> String {
    std::fs::read_to_string(format!("{}/../../{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

#[test]
fn the_readme_lists_every_setting_with_its_default() {
    let readme = document("README.md");
    for setting in SETTINGS {
        let row =
            readme.lines().find(|line| line.starts_with('|') && line.contains(&format!("`{}`", setting.variable)));
        let row = row.unwrap_or_else(|| panic!("README.md lacks {}", setting.variable));
        if let Some(default) = setting.default {
            assert!(
                row.contains(&format!("| `{default}` |")),
                "README.md: the default of {} is {default}: {row}",
                setting.variable
            );
        }
    }
}

#[test]
fn the_json_in_the_documents_is_json() {
    for path in ["README.md", "docs/answers.md", "docs/query.md"] {
        for block in document(path).split("```json").skip(1) {
            let json = block.split("```").next().unwrap();
            serde_json::from_str::<serde_json::Value>(json).unwrap_or_else(|error| panic!("{path}: {error}: {json}"));
        }
    }
}

#[test]
fn architecture_names_every_file_of_the_server() {
    let text = document("ARCHITECTURE.md");
    let src = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for entry in std::fs::read_dir(src).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let named = text.contains(&name) || name == "lib.rs" || name.ends_with(".txt");
        assert!(named, "ARCHITECTURE.md does not name {name}");
    }
}
