//! `remove-file`: a header that nothing refers to any more.

use serde::Deserialize;
use toml::Spanned;

use super::insert::plain_path;
use super::removal::{blocked, site};
use super::{Context, Fault, Outcome, Verdict};
use crate::Result;
use crate::c::edit::line_of;
use crate::kernel::Overlay;
use crate::kernel::files::{self, Globs, Needles};
use crate::recipe::load;

/// The keys of the step.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    file: Spanned<String>,
    #[serde(default)]
    users: Vec<Spanned<String>>,
}

/// What a build leaves beside the sources: `.x.o.cmd` names every header.
const HIDDEN: &str = "!**/.*";

impl Config {
    pub(super) fn compile(self) -> Result<RemoveFile, Fault> {
        let path = self.file.get_ref();
        let name = path.rsplit('/').next().unwrap_or(path);
        let refuse = |what: String, hint: &str| Err(Fault::at(self.file.span(), what).hint(hint));
        if !name.ends_with(".h") {
            return refuse(
                format!("`{path}` is not a header"),
                "only a header is always referred to by its name",
            );
        }
        if path.split('/').any(|folder| folder == "uapi") {
            return refuse(
                format!("`{path}` is a header for user space"),
                "nothing in the tree tells whether a program includes it",
            );
        }
        let needles =
            Needles::words(&[name]).map_err(|e| Fault::at(self.file.span(), e.message))?;
        let mut users = load::files(&self.users)?.patterns().to_vec();
        if users.is_empty() {
            users.push("**".to_owned());
        }
        users.push(HIDDEN.to_owned());
        Ok(RemoveFile {
            file: plain_path(self.file)?,
            needles,
            users: Globs::new(&users).map_err(|e| Fault::new(e.message))?,
        })
    }
}

/// The step, ready to run.
#[derive(Debug)]
pub struct RemoveFile {
    file: String,
    /// Its name without folders: an `#include` may have any of these in front, and a Makefile or a list of files too.
    needles: Needles,
    users: Globs,
}

impl RemoveFile {
    pub(super) fn run(&self, context: &Context<'_>) -> Result<Outcome> {
        if !context.overlay.contains(&self.file) {
            return Ok(Outcome {
                already: 1,
                ..Outcome::default()
            });
        }
        let mut outcome = Outcome::default();
        let verdict = match self.first_user(context.overlay)? {
            Some((user, line)) => blocked("still-used", &format!("{user}:{line} refers to it"), 0),
            None => {
                outcome.files.push((self.file.clone(), None));
                outcome.changed = 1;
                Verdict::Rewritten
            }
        };
        outcome.sites.push(site(&self.file, 1, "", verdict));
        Ok(outcome)
    }

    /// The first file that names it, and the line. A comment counts, as it would refer to nothing; an object file does not.
    fn first_user(&self, overlay: &Overlay<'_>) -> Result<Option<(String, usize)>> {
        let line = |path: &str, text: &[u8]| {
            let other = path != self.file && memchr::memchr(0, text).is_none();
            let name = self.needles.all(text).into_iter().next()?;
            other.then(|| line_of(text, name.start))
        };
        let (found, _) = files::search(overlay, &self.users, &self.needles, &|_, _| {}, &line)?;
        Ok(found
            .into_iter()
            .find_map(|(path, line)| Some((path, line?))))
    }
}
