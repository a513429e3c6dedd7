//! Looking without changing: every place the recipes know, in a tree as it is.

use std::collections::BTreeSet;

use serde::Serialize;

use super::Recipe;
use super::select::{Selection, select};
use crate::Result;
use crate::c::headers::Headers;
use crate::kernel::files::{self, Globs, Needles, Scanned};
use crate::kernel::{Overlay, Tree};
use crate::step::{Site, Surroundings};

/// A site and the recipe that found it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Found {
    /// The recipe's name.
    pub recipe: String,
    /// The place and its verdict.
    #[serde(flatten)]
    pub site: Site,
}

/// All sites of a tree.
#[derive(Debug, Default)]
pub struct Scan {
    /// Most exits saved first, then by place.
    pub found: Vec<Found>,
    /// Files and bytes read, over all recipes.
    pub scanned: Scanned,
    /// Recipes that have nothing to do with this tree: name, and a clause that follows "because".
    pub not_applicable: Vec<(String, String)>,
}

/// Runs the file-wise steps of `recipes` on `tree`, each on the tree as it is. A place that an earlier recipe
/// (by the order of the series) has found already is not listed again. `progress` is told from any thread how many files
/// are done, out of how many, and which recipe runs.
///
/// # Errors
/// When the tree cannot be read.
pub fn scan(
    tree: &Tree,
    recipes: &[&Recipe],
    only: Option<&Globs>,
    progress: &(dyn Fn(&str, usize, usize) + Sync),
) -> Result<Scan> {
    let overlay = Overlay::new(tree);
    let mut scan = Scan::default();
    let headers = Headers::default();
    let mut seen: BTreeSet<(String, usize, String)> = BTreeSet::new();
    for recipe in recipes {
        let chosen = match select(recipe, &overlay, only)? {
            Selection::Applies(chosen) => chosen,
            Selection::Not(because) => {
                scan.not_applicable.push((recipe.name.clone(), because));
                continue;
            }
        };
        let actions: Vec<_> = chosen
            .steps
            .iter()
            .map(|i| &recipe.steps[*i].action)
            .filter(|a| a.is_file_wise())
            .collect();
        let needles = Needles::words(&recipe.needles)?;
        let read = |other: &str| overlay.read(other).ok().flatten();
        let around = Surroundings {
            read: &read,
            headers: &headers,
        };
        let visit = |path: &str, text: &[u8]| -> Vec<Site> {
            actions
                .iter()
                .flat_map(|a| a.edit(path, text, around).sites)
                .collect()
        };
        let told = |done, all| progress(&recipe.name, done, all);
        let (found, scanned) = files::search_in(&overlay, &chosen.files, &needles, &told, &visit)?;
        scan.scanned.files += scanned.files;
        scan.scanned.bytes += scanned.bytes;
        for site in found.into_iter().flat_map(|(_, sites)| sites) {
            if seen.insert((site.file.clone(), site.line, site.function.clone())) {
                scan.found.push(Found {
                    recipe: recipe.name.clone(),
                    site,
                });
            }
        }
    }
    scan.found.sort_by(|a, b| {
        let key = |f: &Found| {
            (
                std::cmp::Reverse(f.site.exits_saved),
                std::cmp::Reverse(f.site.ops),
            )
        };
        key(a)
            .cmp(&key(b))
            .then_with(|| (&a.site.file, a.site.line).cmp(&(&b.site.file, b.site.line)))
    });
    Ok(scan)
}
