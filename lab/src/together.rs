//! Several things at a time: what one of them leaves of the processors, while it links or waits for a disk, is of use to another.

use std::panic::resume_unwind;
use std::sync::OnceLock;
use std::thread::{self, ScopedJoinHandle};

use anyhow::{Error, Result};

use crate::run::Interrupt;

/// Does three things at a time. When one of them fails, the others are ended.
///
/// # Errors
/// That of the first that failed.
pub fn together<A: Send, B: Send, C>(
    interrupt: &Interrupt,
    a: impl FnOnce() -> Result<A> + Send,
    b: impl FnOnce() -> Result<B> + Send,
    c: impl FnOnce() -> Result<C>,
) -> Result<(A, B, C)> {
    let first = OnceLock::new();
    let done = thread::scope(|scope| {
        let a = scope.spawn(|| watch(interrupt, &first, a));
        let b = scope.spawn(|| watch(interrupt, &first, b));
        let c = watch(interrupt, &first, c);
        Some((join(a)?, join(b)?, c?))
    });
    match (done, first.into_inner()) {
        (Some(done), _) => Ok(done),
        (None, Some(error)) => Err(error),
        (None, None) => Err(Error::msg("a step left neither a result nor an error")),
    }
}

fn watch<T>(
    interrupt: &Interrupt,
    first: &OnceLock<Error>,
    work: impl FnOnce() -> Result<T>,
) -> Option<T> {
    work()
        .map_err(|error| {
            // The errors that come of ending the others are later.
            let _ = first.set(error);
            interrupt.give_up();
        })
        .ok()
}

fn join<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| resume_unwind(panic))
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::{Duration, Instant};

    use anyhow::bail;

    use super::*;
    use crate::run::step;

    #[test]
    fn what_is_done_comes_back() {
        let interrupt = Interrupt::default();
        let done = together(&interrupt, || Ok(1), || Ok("b"), || Ok('c'));
        assert_eq!(done.unwrap(), (1, "b", 'c'));
        assert!(!interrupt.is_set());
    }

    #[test]
    fn the_first_that_fails_ends_the_others_and_is_told() {
        let home = tempfile::tempdir().unwrap();
        let interrupt = Interrupt::default();
        let sleep = |log: &str| {
            let mut command = Command::new("sleep");
            command.arg("60");
            let log = home.path().join(log);
            step(
                &command,
                "sleeping",
                &log,
                Duration::from_secs(60),
                &interrupt,
            )
        };
        let begun = Instant::now();
        let fails = || -> Result<()> { bail!("this one") };
        let error = together(&interrupt, || sleep("a"), fails, || sleep("c")).unwrap_err();
        assert_eq!(error.to_string(), "this one");
        assert!(begun.elapsed() < Duration::from_secs(30));
        // Nobody has sent a signal.
        assert!(interrupt.is_set() && !interrupt.is_from_user());
    }
}
