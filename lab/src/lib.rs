//! The lab: builds kernels with and without guestpatch's series, runs them, and compares what they say.
//!
//! Dependencies go one way:
//!
//! ```text
//! cache, run -> kernel (tree, series, config, build), debian, busybox, initramfs -> qemu -> boot (is it right?)
//!                                                                                -> kvm_host -> measure (what does it save?)
//! ```

pub mod boot;
pub mod busybox;
pub mod cache;
pub mod check;
pub mod console;
pub mod debian;
pub mod initramfs;
pub mod kernel;
pub mod kvm_host;
pub mod measure;
pub mod output;
pub mod peer;
pub mod qemu;
pub mod run;
pub mod vmm;

use std::path::Path;

use anyhow::Result;

use cache::Cache;
use run::{Interrupt, Logs};

/// What every part of an experiment works with.
#[derive(Debug)]
pub struct Lab {
    /// Where everything that is made once is kept.
    pub cache: Cache,
    /// The logs of this run.
    pub logs: Logs,
    /// Set by Ctrl-C.
    pub interrupt: Interrupt,
}

impl Lab {
    /// Opens the cache in `folder`, or in the user's cache folder, and a new folder of logs in it.
    ///
    /// # Errors
    /// When the folders cannot be made, or `xkvm-lab clean` is at work.
    pub fn open(folder: Option<&Path>) -> Result<Self> {
        let interrupt = Interrupt::catch()?;
        let cache = Cache::open(folder, interrupt.clone())?;
        let logs = Logs::new(&cache.folder("logs")?)?;
        Ok(Self {
            cache,
            logs,
            interrupt,
        })
    }

    /// Tells the user what happens now.
    pub fn say(&self, text: &str) {
        output::say(text);
    }
}
