//! One processor for the benchmark, its stub and the server: what is measured there is work, and not how long the machine
//! takes to wake up another processor, which depends on where it happens to put whom.

/// While it lives, this thread, and whatever it starts, stays on one processor.
pub(crate) struct Pinned {
    #[cfg(target_os = "linux")]
    before: rustix::thread::CpuSet,
}

#[cfg(target_os = "linux")]
impl Pinned {
    /// None where the system does not allow it.
    pub(crate) fn to_one() -> Option<Self> {
        use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};

        let before = sched_getaffinity(None).ok()?;
        let mut one = CpuSet::new();
        one.set(sched_getcpu());
        sched_setaffinity(None, &one).ok()?;
        Some(Self { before })
    }
}

#[cfg(not(target_os = "linux"))]
impl Pinned {
    /// None: only Linux can be asked for it here.
    pub(crate) fn to_one() -> Option<Self> {
        None
    }
}

#[cfg(target_os = "linux")]
impl Drop for Pinned {
    fn drop(&mut self) {
        let _ = rustix::thread::sched_setaffinity(None, &self.before);
    }
}
