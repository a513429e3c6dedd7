//! An index of headers, filled as files ask for them: which header includes, defines and unites what.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, RwLock};

use super::lex;
use super::macros::ReadHeader;

/// What has been learnt of the headers of one tree. Can be shared by threads; the tree must not change meanwhile.
///
/// It keeps names, not texts.
#[derive(Debug, Default)]
pub struct Headers {
    state: RwLock<State>,
}

#[derive(Debug, Default)]
struct State {
    /// `None`: there is no such file.
    ids: HashMap<String, Option<usize>>,
    headers: Vec<Arc<Header>>,
    /// The headers that define a name.
    defines: HashMap<Box<[u8]>, Vec<usize>>,
    /// The unions a member name is in.
    members: HashMap<Box<[u8]>, Vec<usize>>,
    /// For each union, the header it is in.
    unions: Vec<usize>,
}

#[derive(Debug)]
struct Header {
    path: String,
    includes: Vec<Include>,
    /// What the includes lead to, once asked for.
    edges: OnceLock<Edges>,
}

#[derive(Debug, Default)]
struct Edges {
    to: Vec<usize>,
    complete: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Include {
    Quoted(String),
    Angle(String),
}

/// The headers one file can see.
#[derive(Debug)]
pub(crate) struct Reach {
    seen: Vec<bool>,
    /// Every `"quoted"` include was found.
    pub complete: bool,
}

impl Reach {
    fn contains(&self, id: usize) -> bool {
        self.seen.get(id).copied().unwrap_or(false)
    }
}

/// Where `<asm/…>` lies for x86, from today's trees to the oldest.
const ASM: &[&str] = &[
    "arch/x86/include/asm",
    "arch/x86/include/uapi/asm",
    "include/asm-x86",
    "include/asm-i386",
    "include/asm-x86_64",
];

impl Headers {
    /// The headers that the file `path` with the content `text` includes, directly or not.
    pub(crate) fn reach(&self, path: &str, text: &[u8], read: &ReadHeader<'_>) -> Reach {
        let first = self.resolve(path, &includes(text), read);
        let mut reach = Reach {
            seen: Vec::new(),
            complete: first.complete,
        };
        let mut waiting = first.to;
        while let Some(id) = waiting.pop() {
            if reach.seen.len() <= id {
                reach.seen.resize(id + 1, false);
            }
            if std::mem::replace(&mut reach.seen[id], true) {
                continue;
            }
            let header = self.state.read().expect("no panic while locked").headers[id].clone();
            let edges = header
                .edges
                .get_or_init(|| self.resolve(&header.path, &header.includes, read));
            // A header of another architecture or a generated one may be missing; only the driver's own matter.
            reach.complete &= edges.complete
                || header.path.starts_with("include/")
                || header.path.starts_with("arch/");
            waiting.extend(edges.to.iter().filter(|id| !reach.contains(**id)));
        }
        reach
    }

    /// The paths of the headers in `reach` that define `name`.
    pub(crate) fn definers(&self, reach: &Reach, name: &[u8]) -> Vec<String> {
        let state = self.state.read().expect("no panic while locked");
        let ids = state
            .defines
            .get(name)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let mut paths: Vec<String> = ids
            .iter()
            .filter(|id| reach.contains(**id))
            .map(|id| state.headers[*id].path.clone())
            .collect();
        // The order of loading depends on threads.
        paths.sort();
        paths
    }

    /// Whether `a` and `b` are in one union of a header in `reach`.
    pub(crate) fn share_union(&self, reach: &Reach, a: &[u8], b: &[u8]) -> bool {
        let state = self.state.read().expect("no panic while locked");
        let unions = |name| {
            state
                .members
                .get(name)
                .map(Vec::as_slice)
                .unwrap_or_default()
        };
        unions(a)
            .iter()
            .any(|union| reach.contains(state.unions[*union]) && unions(b).contains(union))
    }

    fn resolve(&self, path: &str, includes: &[Include], read: &ReadHeader<'_>) -> Edges {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let mut edges = Edges {
            to: Vec::new(),
            complete: true,
        };
        for include in includes {
            let before = edges.to.len();
            match include {
                Include::Quoted(name) => {
                    // Makefiles add folders to the search path: mostly parents, or an `include` beside.
                    let found = quoted(folder, name)
                        .into_iter()
                        .find_map(|p| self.load(&p, read));
                    edges.to.extend(found);
                    edges.complete &= found.is_some();
                }
                Include::Angle(name) => {
                    if let Some(rest) = name.strip_prefix("asm/") {
                        edges.to.extend(
                            ASM.iter()
                                .filter_map(|dir| self.load(&format!("{dir}/{rest}"), read)),
                        );
                        if edges.to.len() == before {
                            edges
                                .to
                                .extend(self.load(&format!("include/asm-generic/{rest}"), read));
                        }
                    } else if let Some(rest) = name.strip_prefix("uapi/asm/") {
                        edges
                            .to
                            .extend(self.load(&format!("{}/{rest}", ASM[1]), read));
                    } else {
                        edges.to.extend(
                            ["include", "include/uapi"]
                                .iter()
                                .filter_map(|dir| self.load(&format!("{dir}/{name}"), read)),
                        );
                        if edges.to.len() == before && !name.contains('/') {
                            edges.to.extend(ASM.iter().filter_map(|dir| {
                                self.load(&format!("{dir}/mach-default/{name}"), read)
                            }));
                        }
                    }
                }
            }
        }
        edges
    }

    fn load(&self, path: &str, read: &ReadHeader<'_>) -> Option<usize> {
        if let Some(known) = self
            .state
            .read()
            .expect("no panic while locked")
            .ids
            .get(path)
        {
            return *known;
        }
        let text = read(path);
        let learnt = text
            .as_deref()
            .map(|text| (includes(text), defined_names(text), unions(text)));
        let mut state = self.state.write().expect("no panic while locked");
        let state = &mut *state;
        if let Some(known) = state.ids.get(path) {
            return *known;
        }
        let Some((includes, names, unions)) = learnt else {
            state.ids.insert(path.to_owned(), None);
            return None;
        };
        let id = state.headers.len();
        state.ids.insert(path.to_owned(), Some(id));
        state.headers.push(Arc::new(Header {
            path: path.to_owned(),
            includes,
            edges: OnceLock::new(),
        }));
        for name in names {
            state.defines.entry(name.into()).or_default().push(id);
        }
        for union in unions {
            let number = state.unions.len();
            state.unions.push(id);
            for member in union {
                state.members.entry(member.into()).or_default().push(number);
            }
        }
        Some(id)
    }
}

/// Where a quoted include of a file in `folder` may lie, the likeliest first.
fn quoted(folder: &str, name: &str) -> Vec<String> {
    let mut places = Vec::new();
    let mut at = Some(folder);
    while let Some(dir) = at {
        for sub in ["", "include"] {
            places.extend(join(&[dir, sub, name]));
        }
        at = if dir.is_empty() {
            None
        } else {
            Some(dir.rsplit_once('/').map_or("", |(up, _)| up))
        };
    }
    places
}

/// The parts as one path without `.` and `..`; `None` when it leaves the tree.
fn join(parts: &[&str]) -> Option<String> {
    let mut path: Vec<&str> = Vec::new();
    for part in parts.iter().flat_map(|p| p.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                path.pop()?;
            }
            _ => path.push(part),
        }
    }
    Some(path.join("/"))
}

/// If the word at `at` is the name in a `#define` or what follows `keyword` in another directive: the offset of the `#`.
fn after_keyword(text: &[u8], at: usize, keyword: &[u8]) -> Option<usize> {
    let blanks = |mut i: usize| {
        while i > 0 && matches!(text[i - 1], b' ' | b'\t') {
            i -= 1;
        }
        i
    };
    let end = blanks(at);
    let start = end.checked_sub(keyword.len())?;
    if &text[start..end] != keyword || end == at && lex::is_word(text[at]) {
        return None;
    }
    let hash = blanks(start).checked_sub(1)?;
    (text[hash] == b'#' && lex::at_line_start(text, hash)).then_some(hash)
}

/// The `#` of the definition whose name starts at `at`, if that is one.
pub(crate) fn defined_at(text: &[u8], at: usize) -> Option<usize> {
    after_keyword(text, at, b"define")
}

fn defined_names(text: &[u8]) -> Vec<Vec<u8>> {
    let mut names: Vec<Vec<u8>> = Vec::new();
    for hit in memchr::memmem::find_iter(text, b"define") {
        let mut at = hit + 6;
        while matches!(text.get(at), Some(b' ' | b'\t')) {
            at += 1;
        }
        if at < text.len() && lex::is_word(text[at]) && defined_at(text, at).is_some() {
            names.push(text[at..lex::word_end(text, at)].to_vec());
        }
    }
    names.sort();
    names.dedup();
    names
}

fn includes(text: &[u8]) -> Vec<Include> {
    let mut found = Vec::new();
    for hit in memchr::memmem::find_iter(text, b"include") {
        let mut at = hit + 7;
        while matches!(text.get(at), Some(b' ' | b'\t')) {
            at += 1;
        }
        let close = match text.get(at) {
            Some(b'"') => b'"',
            Some(b'<') => b'>',
            _ => continue,
        };
        if after_keyword(text, at, b"include").is_none() {
            continue;
        }
        let Some(len) = memchr::memchr2(close, b'\n', &text[at + 1..]) else {
            continue;
        };
        if text[at + 1 + len] != close {
            continue;
        }
        let Ok(name) = std::str::from_utf8(&text[at + 1..at + 1 + len]) else {
            continue;
        };
        let include = if close == b'"' {
            Include::Quoted(name.to_owned())
        } else {
            Include::Angle(name.to_owned())
        };
        if !found.contains(&include) {
            found.push(include);
        }
    }
    found
}

/// The words inside each union of `text` (types too: they do no harm), with the names behind its closing brace.
pub(crate) fn unions(text: &[u8]) -> Vec<Vec<Vec<u8>>> {
    let mut found = Vec::new();
    for hit in memchr::memmem::find_iter(text, b"union") {
        if hit > 0 && lex::is_word(text[hit - 1]) || lex::word_end(text, hit) != hit + 5 {
            continue;
        }
        let tag = lex::skip_blank(text, hit + 5);
        let open = lex::skip_blank(text, lex::word_end(text, tag.min(text.len())));
        if text.get(open) == Some(&b'{') {
            found.push(words_of_block(text, open));
        }
    }
    found
}

/// The words from the brace at `open` to the semicolon behind its partner.
fn words_of_block(text: &[u8], open: usize) -> Vec<Vec<u8>> {
    let mut words: Vec<Vec<u8>> = Vec::new();
    let (mut i, mut depth) = (open, 0usize);
    while i < text.len() {
        i = lex::skip_invisible(text, i);
        match text.get(i) {
            None => break,
            Some(b'"' | b'\'') => i = lex::literal_end(text, i),
            Some(b) if lex::is_word(*b) => {
                let end = lex::word_end(text, i);
                words.push(text[i..end].to_vec());
                i = end;
            }
            Some(b) => {
                match b {
                    b'{' => depth += 1,
                    b'}' => depth = depth.saturating_sub(1),
                    b';' if depth == 0 => break,
                    _ => {}
                }
                i += 1;
            }
        }
    }
    words.sort();
    words.dedup();
    words
}
