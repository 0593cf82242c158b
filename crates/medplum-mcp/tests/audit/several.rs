//! One file and several processes, one after the other and at the same time; files that are rotated; lines cut short.

use std::io::Write;

use serde_json::{Value, json};

use crate::common::{Host, PATIENT, Stub};
use crate::{AuditFile, verify};

fn read() -> Value {
    json!({"resource_type": "Patient", "resource_id": PATIENT})
}

fn host(stub: &Stub, name: &str) -> Host {
    Host::on_stub(stub, &[("MEDPLUM_AUDIT_LOG", name), ("MEDPLUM_ENABLE_WRITES", "true")])
}

#[test]
fn processes_share_one_chain() {
    const CALLS: usize = 40;
    let stub = Stub::start();
    let file = AuditFile::new();
    let name = file.name();
    let workers: Vec<_> = (0..3)
        .map(|_| {
            let mut host = host(&stub, &name);
            std::thread::spawn(move || {
                for number in 0..CALLS {
                    host.call("read_resource", read()).record();
                    if number % 8 == 0 {
                        host.call("create_resource", json!({"resource": {"resourceType": "Patient"}})).record();
                    }
                }
                host.end();
            })
        })
        .collect();
    workers.into_iter().for_each(|worker| worker.join().unwrap());
    let found = verify(&[&name]);
    assert_eq!(found.code, Some(0), "{found:?}");
    let lines = file.lines();
    let numbers: Vec<u64> = lines.iter().map(|line| line["seq"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    assert_eq!((file.of("start").len(), file.of("call").len(), file.of("end").len()), (3, 3 * CALLS, 3 * 5));
    // They did write in between each other, or the test shows nothing.
    let processes: Vec<&str> = lines.iter().filter_map(|line| line["call"].as_str()?.split('-').next()).collect();
    assert!(processes.windows(2).filter(|two| two[0] != two[1]).count() > 3);
}

#[test]
fn a_restart_goes_on_with_the_chain() {
    let stub = Stub::start();
    let file = AuditFile::new();
    for _ in 0..3 {
        let mut host = host(&stub, &file.name());
        host.call("read_resource", read()).record();
        host.end();
    }
    let opens: Vec<bool> = file.of("start").iter().map(|line| line["opens"] == true).collect();
    assert_eq!(opens, [true, false, false]);
    assert_eq!(verify(&[&file.name()]).code, Some(0));
}

#[test]
fn a_renamed_file_is_followed_by_a_new_one_bound_to_its_end() {
    let stub = Stub::start();
    let file = AuditFile::new();
    let name = file.name();
    let (mut one, mut two) = (host(&stub, &name), host(&stub, &name));
    one.call("read_resource", read()).record();
    two.call("read_resource", read()).record();
    let kept = head(&verify(&[&name]).stdout);
    let old = file.at("audit.jsonl.1");
    std::fs::rename(file.path(), &old).unwrap();
    let old = old.to_str().unwrap();
    one.call("read_resource", read()).record();
    two.call("create_resource", json!({"resource": {"resourceType": "Patient"}})).record();
    one.end();
    two.end();
    let both = verify(&[old, &name, "--head", &kept]);
    assert_eq!(both.code, Some(0), "{both:?}");
    assert!(both.stdout.contains("The head that you kept is in it; 5 lines since."), "{both:?}");
    // The new one alone says what it goes on from, in its first line.
    let first = &file.lines()[0];
    assert_eq!((&first["line"], &first["opens"], &first["prev"]), (&json!("start"), &json!(true), &json!(kept)));
    let alone = verify(&[&name, "--head", &kept]);
    assert_eq!(alone.code, Some(0), "{alone:?}");
    assert!(alone.stdout.contains(&format!("an earlier file, whose head must be {kept}")), "{alone:?}");
    // In the wrong order, or with one of the two missing its end, it shows.
    assert_eq!(verify(&[&name, old]).code, Some(1));
    let text = std::fs::read_to_string(old).unwrap();
    let cut: Vec<&str> = text.lines().collect();
    std::fs::write(old, format!("{}\n", cut[..cut.len() - 1].join("\n"))).unwrap();
    let cut = verify(&[old, &name]);
    assert!(cut.code == Some(1) && cut.stdout.contains("a line is missing before it"), "{cut:?}");
}

#[test]
fn a_removed_or_emptied_file_does_not_hide_that_there_was_one() {
    let stub = Stub::start();
    let file = AuditFile::new();
    let name = file.name();
    let mut host = host(&stub, &name);
    for change in ["remove", "empty"] {
        host.call("read_resource", read()).record();
        let kept = head(&verify(&[&name]).stdout);
        match change {
            "remove" => std::fs::remove_file(file.path()).unwrap(),
            _ => std::fs::write(file.path(), "").unwrap(),
        }
        host.call("read_resource", read()).record();
        let found = verify(&[&name]);
        assert!(found.stdout.contains(&format!("an earlier file, whose head must be {kept}")), "{change}: {found:?}");
    }
}

#[test]
fn lines_cut_off_while_the_server_runs_leave_a_gap() {
    let stub = Stub::start();
    let file = AuditFile::new();
    let mut host = host(&stub, &file.name());
    for _ in 0..3 {
        host.call("read_resource", read()).record();
    }
    let text = file.text();
    let kept: Vec<&str> = text.lines().take(2).collect();
    std::fs::write(file.path(), format!("{}\n", kept.join("\n"))).unwrap();
    host.call("read_resource", read()).record();
    let found = verify(&[&file.name()]);
    assert!(found.stdout.contains("line 3: lines are missing before it: numbers 3 to 4."), "{found:?}");
}

#[test]
fn a_line_cut_short_is_found_and_does_not_break_the_chain() {
    let stub = Stub::start();
    let file = AuditFile::new();
    let name = file.name();
    let mut first = host(&stub, &name);
    first.call("read_resource", read()).record();
    first.end();
    let whole = file.text();
    // Half a line, as a loss of power leaves it; twice, with and without the newline behind it.
    for (cut, rest) in [("{\"seq\":3,\"prev\":\"", ""), ("{\"seq\":", "\n"), ("", "\n")] {
        std::fs::write(file.path(), &whole).unwrap();
        let mut open = std::fs::OpenOptions::new().append(true).open(file.path()).unwrap();
        open.write_all(format!("{cut}{rest}").as_bytes()).unwrap();
        let mut next = host(&stub, &name);
        next.call("read_resource", read()).record();
        next.end();
        let found = verify(&[&name]);
        assert_eq!(found.code, Some(1), "{found:?}");
        assert!(found.stdout.contains("line 3: cut short"), "{found:?}");
        assert!(found.stdout.contains(" 1 finding."), "{found:?}");
        // What is left of it cannot be changed afterwards, and neither can what stands before it.
        let text = file.text();
        for (from, to) in [(format!("\n{cut}\n"), format!("\n{cut} \n")), ("\"ms\":".into(), "\"MS\":".into())] {
            std::fs::write(file.path(), text.replacen(&from, &to, 1)).unwrap();
            let found = verify(&[&name]);
            assert!(!found.stdout.contains(" 1 finding."), "{from:?}: {found:?}");
        }
    }
}

/// The head that `audit verify` printed.
pub(crate) fn head(printed: &str) -> String {
    let line = printed.lines().find_map(|line| line.strip_prefix("head ")).unwrap();
    line.split(' ').next().unwrap().to_owned()
}
