//! Where the network drivers of a tree depend on NAPI: what a strip would touch, and what forbids one.

mod drivers;
mod find;
mod words;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::Result;
use crate::kernel::files::{self, Globs, Needles, Scanned};
use crate::kernel::{Overlay, Tree};

/// What a place has to do with NAPI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// A `struct napi_struct` in a structure; before 2.6.24 there is none.
    Field,
    /// A poll function is made known.
    Add,
    /// The poll function itself.
    Poll,
    /// Polling is allowed, forbidden or waited for.
    Switch,
    /// A poll is asked for.
    Schedule,
    /// A poll says that it is done.
    Complete,
    /// A packet is handed to the stack in a way that belongs to softirqs.
    Receive,
    /// A buffer is got or freed in a way that belongs to polls.
    Buffer,
}

impl What {
    /// All, in the order of the report's columns.
    pub const ALL: [Self; 8] = [
        Self::Field,
        Self::Add,
        Self::Poll,
        Self::Switch,
        Self::Schedule,
        Self::Complete,
        Self::Receive,
        Self::Buffer,
    ];
}

/// One place that a strip would touch.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// File, relative to the tree's top.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// What is there.
    pub what: What,
    /// The identifier: the function called or defined, or the field's type.
    pub word: String,
    /// The enclosing function; empty outside functions.
    pub function: String,
}

/// A reason against a strip, and one place where it shows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Reason {
    /// A word or two: `XDP`, `page pool`, `busy polling`, `several contexts`, `locks`, `statistics`.
    pub what: &'static str,
    /// The identifier.
    pub word: String,
    /// File, relative to the tree's top.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
}

/// One driver: what its folder's Makefile links into one object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Driver {
    /// The object's name without `.o`.
    pub name: String,
    /// The folder of the Makefile that names it.
    pub folder: String,
    /// Its files that have anything to do with NAPI.
    pub files: Vec<String>,
    /// The recipe that strips it, if there is one.
    pub recipe: Option<String>,
    /// Why it must keep NAPI; empty when nothing forbids a strip.
    pub refused: Vec<Reason>,
    /// What a strip would have to look after.
    pub cautions: Vec<Reason>,
    /// Every place to change, in order.
    pub places: Vec<Place>,
}

impl Driver {
    /// How many places of one kind.
    pub fn count(&self, what: What) -> usize {
        self.places.iter().filter(|p| p.what == what).count()
    }
}

/// The drivers of a tree that use NAPI.
#[derive(Debug, Default)]
pub struct Survey {
    /// The easiest first, those refused last.
    pub drivers: Vec<Driver>,
    /// Files and bytes read.
    pub scanned: Scanned,
}

/// Where drivers of network devices are.
const FILES: [&str; 3] = [
    "drivers/**/*.[ch]",
    "arch/*/drivers/**/*.[ch]",
    "net/**/*.[ch]",
];

/// Looks through the drivers of `tree`. `only` narrows the files; `recipes` are the names and files of recipes that strip a driver.
///
/// # Errors
/// When the tree cannot be read.
pub fn survey(
    tree: &Tree,
    only: Option<&Globs>,
    recipes: &[(&str, &Globs)],
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Survey> {
    let overlay = Overlay::new(tree);
    let (mut paths, _) = files::list(&overlay, &Globs::new(&FILES)?)?;
    paths.retain(|path| only.is_none_or(|o| o.matches(path)));
    let needles = Needles::words(&words::needles())?;
    let (found, scanned) = files::search_in(&overlay, &paths, &needles, progress, &find::look)?;
    let mut makefiles = drivers::Makefiles::new(&overlay);
    let mut drivers: BTreeMap<(String, String), Vec<(String, find::Looked)>> = BTreeMap::new();
    let mut headers = Vec::new();
    for (path, looked) in found {
        if path.ends_with(".h") {
            headers.push((path, looked));
        } else {
            let key = makefiles.driver_of(&path)?;
            drivers.entry(key).or_default().push((path, looked));
        }
    }
    for (path, looked) in headers {
        for users in drivers.values_mut() {
            if drivers::includes(users, &path) {
                users.push((path.clone(), looked.clone()));
            }
        }
    }
    let mut drivers: Vec<Driver> = drivers
        .into_iter()
        .filter_map(|((folder, name), files)| drivers::driver(folder, name, files))
        .collect();
    for driver in &mut drivers {
        let strips = |(_, globs): &&(&str, &Globs)| driver.files.iter().any(|f| globs.matches(f));
        driver.recipe = recipes
            .iter()
            .find(strips)
            .map(|(name, _)| (*name).to_owned());
    }
    drivers.sort_by(|a, b| {
        let key = |d: &Driver| {
            (
                !d.refused.is_empty(),
                d.cautions.iter().any(|c| c.what == words::SEVERAL),
                d.places.len(),
            )
        };
        key(a)
            .cmp(&key(b))
            .then_with(|| (&a.folder, &a.name).cmp(&(&b.folder, &b.name)))
    });
    Ok(Survey { drivers, scanned })
}
