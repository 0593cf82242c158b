//! Figures and what is asked of them.

use std::{fmt::Write, time::Duration};

#[derive(Default)]
pub(crate) struct Report {
    lines: String,
}

impl Report {
    /// Under which circumstances the figures behind it were taken.
    pub(crate) fn told(&mut self, circumstances: &str) {
        let _ = writeln!(self.lines, "{circumstances}:");
    }

    /// A figure without a target.
    pub(crate) fn shown(&mut self, name: &str, value: f64) {
        let _ = writeln!(self.lines, "{name:<52}{value:>10.2}");
    }

    /// A figure that should stay below its target.
    pub(crate) fn at_most(&mut self, name: &str, value: f64, target: f64) {
        self.judged(name, value, "≤", target, value <= target);
    }

    /// A figure that should reach its target.
    pub(crate) fn at_least(&mut self, name: &str, value: f64, target: f64) {
        self.judged(name, value, "≥", target, value >= target);
    }

    /// How far the rounds behind the last figure lie apart.
    pub(crate) fn spread(&mut self, values: &[f64]) {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (low, high) = (sorted[sorted.len() / 10], sorted[sorted.len() * 9 / 10]);
        let _ = writeln!(self.lines, "  eight rounds in ten: {low:.2} to {high:.2}");
    }

    pub(crate) fn print(&self) {
        println!("{}", self.lines);
    }

    fn judged(&mut self, name: &str, value: f64, relation: &str, target: f64, met: bool) {
        let verdict = if met { "met" } else { "MISSED" };
        let _ = writeln!(self.lines, "{name:<52}{value:>10.2}   {relation} {target:<6} {verdict}");
    }
}

pub(crate) fn median(times: &[Duration]) -> Duration {
    percentile(times, 50)
}

pub(crate) fn percentile(times: &[Duration], percent: usize) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted[(sorted.len() - 1) * percent / 100]
}

pub(crate) fn middle(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}
