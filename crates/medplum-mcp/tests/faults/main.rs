//! Faults on both sides of the server: between it and Medplum, random ones over every kind of write, held against the
//! sandbox's history; and between it and its host, with the built program.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs, unreachable_pub, dead_code)]

#[path = "../common/mod.rs"]
mod common;
mod dice;
mod host;
/// A Medplum that answers as badly as it is told to.
#[path = "../../../medplum-client/tests/common/mod.rs"]
mod hostile;
mod ledger;
mod logs;
mod memory;
mod schedule;

use std::ops::Range;

use ledger::Ledger;
use medplum_sandbox::Sandbox;

/// The seeds of the schedules. One that failed is run alone with `FAULT_SEED=<seed>`; `FAULT_SCHEDULES=<n>` runs more.
fn seeds() -> Range<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    match number("FAULT_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("FAULT_SCHEDULES").unwrap_or(1_000),
    }
}

/// Runs the schedules of these seeds, one after the other, on a sandbox of their own; what they wrote and were told.
fn run(
    seeds: impl Iterator<Item = u64>,
    transactions_atomic: bool,
) -> (Ledger, Vec<(String, Option<serde_json::Value>)>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let sandbox = Sandbox::builder().unpopulated().transactions_atomic(transactions_atomic).start().await.unwrap();
        let mut ledger = Ledger::default();
        for seed in seeds {
            schedule::run(seed, &sandbox, &mut ledger).await;
        }
        // What was dropped on its way may still be carried out.
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        (ledger, sandbox.history("Patient"))
    })
}

#[test]
fn whatever_goes_wrong_no_write_happens_twice_and_none_is_lost_without_a_word() {
    let seeds = seeds();
    println!("fault schedules {}..{}", seeds.start, seeds.end);
    // One half on a project whose transactions are atomic, the other on one where they are not; side by side.
    let halves = [true, false].map(|atomic| {
        let seeds = seeds.clone().filter(move |seed| (seed % 2 == 0) == atomic);
        std::thread::spawn(move || run(seeds, atomic))
    });
    let mut total = ledger::Counts::default();
    let mut overtaken = 0;
    let mut wrong = Vec::new();
    for half in halves {
        let (ledger, history) = half.join().unwrap();
        let (counts, complaints) = ledger.against(&history);
        total = total + counts;
        overtaken += ledger.overtaken;
        wrong.extend(complaints);
    }
    println!("{total:?}, {overtaken} overtaken");
    assert!(wrong.is_empty(), "{} of the writes:\n{}", wrong.len(), wrong.join("\n"));
    if seeds.end - seeds.start >= 1_000 {
        // The faults are no mere decoration: each kind of end comes often.
        assert!(total.acknowledged > 1_000 && total.in_doubt_and_done > 100, "{total:?}");
        assert!(total.in_doubt_and_not_done > 100 && total.not_done > 100 && total.dropped > 50, "{total:?}");
        // And somebody else was faster, often enough.
        assert!(overtaken > 50, "{overtaken}");
    }
}
