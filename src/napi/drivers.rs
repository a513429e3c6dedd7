//! Which files make one driver: what the Makefiles link into one object.

use std::collections::BTreeMap;

use super::find::Looked;
use super::words::SEVERAL;
use super::{Driver, Place, What};
use crate::Result;
use crate::kernel::Overlay;

/// The Makefiles of a tree, read when they are needed.
pub(super) struct Makefiles<'a> {
    overlay: &'a Overlay<'a>,
    /// By folder: the object that another one is linked into, both as the Makefile writes them.
    known: BTreeMap<String, BTreeMap<String, String>>,
}

/// So many folders up a Makefile can name a file.
const LEVELS: usize = 4;

impl<'a> Makefiles<'a> {
    pub(super) fn new(overlay: &'a Overlay<'a>) -> Self {
        Self {
            overlay,
            known: BTreeMap::new(),
        }
    }

    /// Folder and name of the driver that the C file at `path` belongs to: its own when no Makefile links it into another.
    pub(super) fn driver_of(&mut self, path: &str) -> Result<(String, String)> {
        let object = path.strip_suffix(".c").unwrap_or(path);
        let mut folder = parent(object);
        for _ in 0..LEVELS {
            let relative = object[folder.len()..].trim_start_matches('/');
            let links = self.links(folder)?;
            if let Some(mut name) = links.get(relative) {
                // A part of a part; a Makefile that goes round is no reason to.
                for _ in 0..LEVELS {
                    match links.get(name) {
                        Some(next) if next != name => name = next,
                        _ => break,
                    }
                }
                return Ok((folder.to_owned(), name.clone()));
            }
            if folder.is_empty() {
                break;
            }
            folder = parent(folder);
        }
        let folder = parent(object);
        let name = object[folder.len()..].trim_start_matches('/').to_owned();
        Ok((folder.to_owned(), name))
    }

    fn links(&mut self, folder: &str) -> Result<&BTreeMap<String, String>> {
        if !self.known.contains_key(folder) {
            let mut links = BTreeMap::new();
            for name in ["Makefile", "Kbuild"] {
                let path = format!("{folder}/{name}");
                if let Some(text) = self.overlay.read(path.trim_start_matches('/'))? {
                    links.append(&mut read(&String::from_utf8_lossy(&text)));
                }
            }
            self.known.insert(folder.to_owned(), links);
        }
        Ok(&self.known[folder])
    }
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// The lines `whole-y += part.o` of a Makefile: what each part belongs to, without `.o`.
fn read(text: &str) -> BTreeMap<String, String> {
    let mut links = BTreeMap::new();
    let joined = text.replace("\\\n", " ");
    for line in joined.lines() {
        let line = line.split('#').next().unwrap_or(line);
        let Some((left, right)) = line.split_once('=') else {
            continue;
        };
        let left = left.trim_end_matches(['+', ':', '?', ' ', '\t']).trim();
        let Some((whole, _)) = ["-objs", "-y", "-m", "-$("]
            .iter()
            .filter_map(|mark| left.split_once(mark))
            .min_by_key(|(whole, _)| whole.len())
        else {
            continue;
        };
        if matches!(whole, "obj" | "lib" | "subdir" | "ccflags" | "hostprogs") {
            continue;
        }
        for part in right.split_whitespace() {
            if let Some(part) = part.strip_suffix(".o") {
                links.insert(part.to_owned(), whole.to_owned());
            }
        }
    }
    links
}

/// Whether one of `files` includes the header at `path`: by its way from the file's folder, or from one around it that the
/// compiler is told of.
pub(super) fn includes(files: &[(String, Looked)], path: &str) -> bool {
    files.iter().any(|(file, looked)| {
        looked.includes.iter().any(|include| {
            std::iter::successors(Some(parent(file)), |folder| Some(parent(folder)))
                .take(LEVELS)
                .any(|folder| leads_to(folder, include, path))
        })
    })
}

/// Whether `include` means `path` where it is looked for in `folder`.
fn leads_to(mut folder: &str, mut include: &str, path: &str) -> bool {
    while let Some(rest) = include.strip_prefix("../") {
        folder = parent(folder);
        include = rest;
    }
    path.strip_prefix(folder)
        .is_some_and(|rest| rest.trim_start_matches('/') == include && rest != include)
}

/// The driver of these files; `None` when it adds no poll function.
pub(super) fn driver(folder: String, name: String, files: Vec<(String, Looked)>) -> Option<Driver> {
    let mut driver = Driver {
        name,
        folder,
        files: Vec::new(),
        recipe: None,
        refused: Vec::new(),
        cautions: Vec::new(),
        places: Vec::new(),
    };
    let mut polls: Vec<&String> = files.iter().flat_map(|(_, l)| &l.polls).collect();
    polls.sort();
    polls.dedup();
    for (path, looked) in &files {
        driver.places.extend(looked.places.iter().cloned());
        for (name, line) in &looked.defined {
            if polls.contains(&name) {
                driver.places.push(Place {
                    file: path.clone(),
                    line: *line,
                    what: What::Poll,
                    word: name.clone(),
                    function: name.clone(),
                });
            }
        }
        let lists = [
            (&mut driver.refused, &looked.refused),
            (&mut driver.cautions, &looked.cautions),
        ];
        for (all, here) in lists {
            for reason in here {
                if !all.iter().any(|r| r.what == reason.what) {
                    all.push(reason.clone());
                }
            }
        }
    }
    driver.places.sort();
    let mut adds = driver.places.iter().filter(|p| p.what == What::Add);
    adds.next()?;
    if let Some(second) = adds.next().filter(|_| polls.len() > 1)
        && !driver.cautions.iter().any(|c| c.what == SEVERAL)
    {
        driver.cautions.push(super::Reason {
            what: SEVERAL,
            word: second.word.clone(),
            file: second.file.clone(),
            line: second.line,
        });
    }
    driver.refused.sort();
    driver.cautions.sort();
    driver.files = files.into_iter().map(|(path, _)| path).collect();
    driver.files.sort();
    Some(driver)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_belong_to_wholes() {
        let text = "obj-$(CONFIG_A) += a.o b.o\na-objs := a_main.o \\\n\ta_hw.o\nb-y += b_main.o # no.o\nb-$(CONFIG_B_X) += x/b_x.o\nccflags-y += -Da.o\n";
        let links = read(text);
        let whole = |part: &str| links.get(part).map(String::as_str);
        assert_eq!(whole("a_hw"), Some("a"));
        assert_eq!(whole("x/b_x"), Some("b"));
        assert_eq!(whole("b_main"), Some("b"));
        assert_eq!(whole("no"), None);
        assert_eq!(whole("a"), None);
    }

    #[test]
    fn headers_belong_to_who_includes_them() {
        let looked = Looked {
            includes: vec!["sub/x.h".into(), "../y.h".into()],
            ..Looked::default()
        };
        let files = [("drivers/net/a/b.c".to_owned(), looked)];
        assert!(includes(&files, "drivers/net/a/sub/x.h"));
        assert!(includes(&files, "drivers/net/y.h"));
        assert!(includes(&files, "drivers/net/sub/x.h"));
        assert!(!includes(&files, "drivers/net/a/x.h"));
        assert!(!includes(&files, "drivers/net/ab/sub/x.h"));
        assert!(!includes(&files, "drivers/usb/sub/x.h"));
    }
}
