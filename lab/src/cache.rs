//! One folder that keeps what is made once: entries named by the hash of all that went into them, written whole or not at all.

use std::env;
use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::io::{FdFlags, fcntl_setfd};
use sha2::{Digest, Sha256};

use crate::output::say;
use crate::run::Interrupt;

/// The cache; others may use it at the same time.
#[derive(Debug)]
pub struct Cache {
    root: PathBuf,
    // Shared by all users of the cache; whoever cleans has it alone.
    lock: File,
    interrupt: Interrupt,
}

/// Backup programs leave out a folder with this file. It is also how a cache is told from a folder of somebody's, in which
/// nothing may be deleted.
const TAG: &str = "CACHEDIR.TAG";
const SIGNATURE: &str = "Signature: 8a477f597d28d172789f06886806bc55\n";

/// Whether `root` is a cache of ours, or may become one: it is not there, or empty.
fn may_use(root: &Path) -> io::Result<bool> {
    match fs::read(root.join(TAG)) {
        // Empty while another process writes it.
        Ok(text) => return Ok(text.is_empty() || text == SIGNATURE.as_bytes()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    match fs::read_dir(root) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

/// Held while one process, and what it has started, works on one entry.
#[derive(Debug)]
pub struct Guard(File);

impl Drop for Guard {
    fn drop(&mut self) {
        // Others have it open, too: closing alone would not do.
        let _ = self.0.unlock();
    }
}

impl Cache {
    /// Opens the cache in `folder`, or in `guestpatch/lab` of the user's cache folder.
    ///
    /// # Errors
    /// When it cannot be made, or is being cleaned.
    pub fn open(folder: Option<&Path>, interrupt: Interrupt) -> Result<Self> {
        let (root, lock) = Self::lock_file(folder)?;
        match lock.try_lock_shared() {
            Ok(()) => Ok(Self {
                root,
                lock,
                interrupt,
            }),
            Err(TryLockError::WouldBlock) => {
                bail!("{} is being cleaned: try again later", root.display())
            }
            Err(TryLockError::Error(error)) => Err(error).context("cannot lock the cache"),
        }
    }

    fn root(folder: Option<&Path>) -> Result<PathBuf> {
        folder.map_or_else(default_folder, |folder| Ok(folder.to_owned()))
    }

    fn lock_file(folder: Option<&Path>) -> Result<(PathBuf, File)> {
        let root = Self::root(folder)?;
        let failed = || format!("cannot use the folder {}", root.display());
        if !may_use(&root).with_context(failed)? {
            bail!(
                "{} is no cache, but has files in it: name a folder that is new or empty",
                root.display()
            );
        }
        let make = || -> io::Result<(PathBuf, File)> {
            fs::create_dir_all(&root)?;
            let root = root.canonicalize()?;
            fs::write(root.join(TAG), SIGNATURE)?;
            let lock = lock_file(&root.join("lock"))?;
            Ok((root, lock))
        };
        make().with_context(failed)
    }

    /// Deletes everything in the cache. Returns the folder.
    ///
    /// # Errors
    /// When somebody uses it, or it cannot be deleted.
    pub fn clean(folder: Option<&Path>) -> Result<PathBuf> {
        let root = Self::root(folder)?;
        if !root.exists() {
            return Ok(root);
        }
        let (root, lock) = Self::lock_file(folder)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!("{} is in use", root.display()),
            Err(TryLockError::Error(error)) => return Err(error).context("cannot lock the cache"),
        }
        for part in PARTS {
            let part = root.join(part);
            if part.exists() {
                fs::remove_dir_all(&part)
                    .with_context(|| format!("cannot delete {}", part.display()))?;
            }
        }
        Ok(root)
    }

    /// The folder of one sort of things; it is there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn folder(&self, part: &str) -> Result<PathBuf> {
        debug_assert!(PARTS.contains(&part), "clean would not know {part}");
        let folder = self.root.join(part);
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        Ok(folder)
    }

    /// The entry `key`, a folder. If it is not there, `make` fills a new folder, which becomes the entry when `make` succeeds.
    ///
    /// # Errors
    /// Those of `make`, and of the file system.
    pub fn entry(
        &self,
        part: &str,
        key: &Key,
        make: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<PathBuf> {
        let entry = self.folder(part)?.join(key.short());
        if entry.exists() {
            return Ok(entry);
        }
        let _guard = self.guard(part, key)?;
        // Another process may have made it while this one waited.
        if !entry.exists() {
            self.make(&entry, make)?;
        }
        Ok(entry)
    }

    /// The entry `key`, made anew. Until `make` succeeds, the old one stays.
    ///
    /// # Errors
    /// Those of `make`, and of the file system.
    pub fn renewed(
        &self,
        part: &str,
        key: &Key,
        make: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<PathBuf> {
        let entry = self.folder(part)?.join(key.short());
        let _guard = self.guard(part, key)?;
        self.make(&entry, make)?;
        Ok(entry)
    }

    fn make(&self, entry: &Path, make: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        let draft = tempfile::Builder::new()
            .prefix("draft-")
            .tempdir_in(self.folder("drafts")?)
            .context("cannot make a folder in the cache")?;
        make(draft.path())?;
        match fs::remove_dir_all(entry) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot delete {}", entry.display()));
            }
            _ => {}
        }
        let draft = draft.keep();
        fs::rename(&draft, entry)
            .with_context(|| format!("cannot move {} into the cache", entry.display()))
    }

    /// A folder that is worked in again and again, and the right to do so until the guard goes.
    ///
    /// # Errors
    /// When it cannot be made or locked.
    pub fn workspace(&self, key: &Key) -> Result<(PathBuf, Guard)> {
        let guard = self.guard("work", key)?;
        let folder = self.folder("work")?.join(key.short());
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        Ok((folder, guard))
    }

    fn guard(&self, part: &str, key: &Key) -> Result<Guard> {
        let path = self
            .folder("locks")?
            .join(format!("{part}-{}", key.short()));
        let lock = lock_file(&path).with_context(|| format!("cannot open {}", path.display()))?;
        let mut told = false;
        // Not by one call that waits: an interrupt must end it.
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(error)) => {
                    return Err(error).with_context(|| format!("cannot lock {}", path.display()));
                }
                Err(TryLockError::WouldBlock) if self.interrupt.is_set() => {
                    bail!("interrupted while another run made the same")
                }
                Err(TryLockError::WouldBlock) => {
                    if !told {
                        say(&format!(
                            "waiting for another run that makes the same ({part})"
                        ));
                        told = true;
                    }
                    thread::sleep(Duration::from_millis(100));
                }
            }
        }
        Ok(Guard(lock))
    }

    /// Fails when the file system has less than `bytes` left.
    ///
    /// # Errors
    /// That, in words for the user.
    pub fn require_space(&self, bytes: u64, what: &str) -> Result<()> {
        let stat = rustix::fs::statvfs(&self.root).context("cannot read the free disk space")?;
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        if free < bytes {
            bail!(
                "{what} needs {} MiB of disk space in {}, where {} MiB are free; `xkvm-lab clean` deletes what is cached, \
                 `--cache` names another folder",
                bytes >> 20,
                self.root.display(),
                free >> 20
            );
        }
        Ok(())
    }
}

/// Every folder that the cache makes.
const PARTS: &[&str] = &[
    "trees", "work", "kernels", "guests", "files", "logs", "drafts", "locks",
];

impl Drop for Cache {
    fn drop(&mut self) {
        // Closing would do it too; an error has nobody to go to.
        let _ = self.lock.unlock();
    }
}

/// Processes that are started have it open, too: when this one is killed, a lock lasts until the last of them has ended.
fn lock_file(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)?;
    fcntl_setfd(&file, FdFlags::empty())?;
    Ok(file)
}

fn default_folder() -> Result<PathBuf> {
    let absolute = |name| {
        env::var_os(name)
            .map(PathBuf::from)
            .filter(|p| p.is_absolute())
    };
    let base = absolute("XDG_CACHE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
        .context("neither XDG_CACHE_HOME nor HOME names a folder: use --cache")?;
    Ok(base.join("guestpatch/lab"))
}

/// The name of an entry: a hash of all that went into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key(String);

impl Key {
    /// Enough of the hash to tell entries apart, short enough for path names.
    pub fn short(&self) -> &str {
        &self.0[..20]
    }

    /// Starts a key of things of one `kind`.
    pub fn of(kind: &str) -> KeyBuilder {
        KeyBuilder(Sha256::new()).with("kind", kind)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Collects what goes into a key.
#[derive(Debug)]
pub struct KeyBuilder(Sha256);

impl KeyBuilder {
    /// Adds a named part. Lengths are hashed too, so that parts cannot run into each other.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        for part in [name.as_bytes(), value.as_ref()] {
            self.0.update((part.len() as u64).to_le_bytes());
            self.0.update(part);
        }
        self
    }

    /// The key.
    pub fn build(self) -> Key {
        Key(hex(&self.0.finalize()))
    }
}

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(parts: &[(&str, &str)]) -> Key {
        parts
            .iter()
            .fold(Key::of("test"), |k, (name, value)| k.with(name, value))
            .build()
    }

    #[test]
    fn a_key_tells_apart_what_differs_and_only_that() {
        assert_eq!(key(&[("a", "1")]), key(&[("a", "1")]));
        assert_ne!(key(&[("a", "1")]), key(&[("a", "2")]));
        assert_ne!(key(&[("a", "1")]), key(&[("b", "1")]));
        // The same bytes, cut elsewhere.
        assert_ne!(key(&[("a", "bc")]), key(&[("ab", "c")]));
        assert_ne!(key(&[("a", "1"), ("b", "")]), key(&[("a", "1")]));
        assert_ne!(Key::of("x").build(), Key::of("y").build());
    }

    #[test]
    fn an_entry_is_made_once_and_kept() {
        let home = tempfile::tempdir().unwrap();
        let cache = Cache::open(Some(home.path()), Interrupt::default()).unwrap();
        let key = key(&[("a", "1")]);
        let first = cache
            .entry("files", &key, |f| Ok(fs::write(f.join("x"), "once")?))
            .unwrap();
        let second = cache
            .entry("files", &key, |_| bail!("is there already"))
            .unwrap();
        assert_eq!(first, second);
        assert_eq!(fs::read_to_string(second.join("x")).unwrap(), "once");
    }

    #[test]
    fn a_failed_entry_leaves_nothing() {
        let home = tempfile::tempdir().unwrap();
        let cache = Cache::open(Some(home.path()), Interrupt::default()).unwrap();
        let key = key(&[("a", "1")]);
        let failed = cache.entry("files", &key, |f| {
            fs::write(f.join("x"), "half")?;
            bail!("broken")
        });
        assert_eq!(failed.unwrap_err().to_string(), "broken");
        assert_eq!(
            fs::read_dir(cache.folder("files").unwrap())
                .unwrap()
                .count(),
            0
        );
        assert_eq!(
            fs::read_dir(cache.folder("drafts").unwrap())
                .unwrap()
                .count(),
            0
        );
    }

    #[test]
    fn two_that_want_the_same_make_it_once() {
        let home = tempfile::tempdir().unwrap();
        let cache = Cache::open(Some(home.path()), Interrupt::default()).unwrap();
        let key = key(&[("a", "1")]);
        let made = std::sync::atomic::AtomicUsize::new(0);
        let get = || {
            cache.entry("files", &key, |folder| {
                made.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                thread::sleep(Duration::from_millis(300));
                Ok(fs::write(folder.join("x"), "whole")?)
            })
        };
        thread::scope(|scope| {
            let both = [scope.spawn(get), scope.spawn(get)];
            for one in both {
                let entry = one.join().unwrap().unwrap();
                assert_eq!(fs::read_to_string(entry.join("x")).unwrap(), "whole");
            }
        });
        assert_eq!(made.into_inner(), 1);
    }

    #[test]
    fn a_folder_of_somebody_is_neither_used_nor_cleaned() {
        let home = tempfile::tempdir().unwrap();
        let precious = home.path().join("logs/precious");
        fs::create_dir(home.path().join("logs")).unwrap();
        fs::write(&precious, "").unwrap();
        let clean = Cache::clean(Some(home.path())).unwrap_err().to_string();
        assert!(clean.contains("is no cache"), "{clean}");
        assert!(Cache::open(Some(home.path()), Interrupt::default()).is_err());
        // That of another program.
        fs::write(home.path().join(TAG), format!("{SIGNATURE}# cargo\n")).unwrap();
        assert!(Cache::clean(Some(home.path())).is_err());
        assert!(precious.exists());
    }

    #[test]
    fn a_cache_in_use_is_not_cleaned() {
        let home = tempfile::tempdir().unwrap();
        let cache = Cache::open(Some(home.path()), Interrupt::default()).unwrap();
        cache.folder("trees").unwrap();
        assert!(
            Cache::clean(Some(home.path()))
                .unwrap_err()
                .to_string()
                .contains("in use")
        );
        drop(cache);
        Cache::clean(Some(home.path())).unwrap();
        assert!(!home.path().join("trees").exists());
        let nowhere = home.path().join("nowhere");
        Cache::clean(Some(&nowhere)).unwrap();
        assert!(!nowhere.exists());
    }

    #[test]
    fn space_that_no_disk_has_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let cache = Cache::open(Some(home.path()), Interrupt::default()).unwrap();
        cache.require_space(1, "a test").unwrap();
        let error = cache
            .require_space(u64::MAX, "a test")
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("a test needs"), "{error}");
    }
}
