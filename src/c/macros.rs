//! What a name in an operand stands for: macro definitions and unions in the file and in the headers it includes, however deep.
//!
//! Nothing is read before something is asked. Conditionals are not evaluated: every definition in reach is reported.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;

use super::headers::{self, Headers, Reach};
use super::lex;

/// Reads a file of the tree by its path from the top; `None` when there is none.
pub type ReadHeader<'a> = dyn Fn(&str) -> Option<Vec<u8>> + 'a;

/// One definition of a macro.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MacroDef {
    /// The parameters of a function-like macro; a variadic one ends with `...` (or `name...`).
    pub params: Option<Vec<String>>,
    /// What it stands for, without comments and line splices.
    pub body: Vec<u8>,
}

/// The macros and unions one file can see.
pub struct Macros<'a> {
    headers: Shared<'a>,
    read: &'a ReadHeader<'a>,
    path: &'a str,
    text: &'a [u8],
    reach: OnceCell<Reach>,
    unions: OnceCell<Vec<Vec<Vec<u8>>>>,
    known: RefCell<HashMap<String, Vec<MacroDef>>>,
}

enum Shared<'a> {
    Own(Box<Headers>),
    With(&'a Headers),
}

impl<'a> Macros<'a> {
    /// For the file `path` (from the tree's top) with the content `text`; `read` gives its headers.
    pub fn for_file(read: &'a ReadHeader<'a>, path: &'a str, text: &'a [u8]) -> Self {
        Self::new(Shared::Own(Box::default()), read, path, text)
    }

    /// As [`Macros::for_file`], with what has been learnt of the headers for other files. `read` must give the same headers for all of them.
    pub fn with_headers(
        headers: &'a Headers,
        read: &'a ReadHeader<'a>,
        path: &'a str,
        text: &'a [u8],
    ) -> Self {
        Self::new(Shared::With(headers), read, path, text)
    }

    fn new(headers: Shared<'a>, read: &'a ReadHeader<'a>, path: &'a str, text: &'a [u8]) -> Self {
        Self {
            headers,
            read,
            path,
            text,
            reach: OnceCell::new(),
            unions: OnceCell::new(),
            known: RefCell::default(),
        }
    }

    /// Every different definition of `name` in the file and the headers in its reach; empty if it is no macro.
    pub fn get(&self, name: &str) -> Vec<MacroDef> {
        if let Some(found) = self.known.borrow().get(name) {
            return found.clone();
        }
        let mut found = definitions(self.text, name.as_bytes());
        for path in self.headers().definers(self.reach(), name.as_bytes()) {
            for definition in (self.read)(&path)
                .map(|text| definitions(&text, name.as_bytes()))
                .unwrap_or_default()
            {
                if !found.contains(&definition) {
                    found.push(definition);
                }
            }
        }
        self.known
            .borrow_mut()
            .insert(name.to_owned(), found.clone());
        found
    }

    /// Whether the file, or a header that is not the kernel's own, defines `name` as a macro.
    pub fn is_redefined(&self, name: &str) -> bool {
        let of_the_kernel =
            |path: &String| path.starts_with("include/") || path.starts_with("arch/");
        !definitions(self.text, name.as_bytes()).is_empty()
            || !self
                .headers()
                .definers(self.reach(), name.as_bytes())
                .iter()
                .all(of_the_kernel)
    }

    /// Whether members called `a` and `b` can share storage: they have the same name or are both inside one union (however deep) in reach.
    ///
    /// Also true when the file includes a header of its own that cannot be found.
    pub fn may_overlap(&self, a: &str, b: &str) -> bool {
        let (x, y) = (a.as_bytes(), b.as_bytes());
        let own = self.unions.get_or_init(|| headers::unions(self.text));
        let has = |union: &[Vec<u8>], name: &[u8]| union.iter().any(|member| member == name);
        a == b
            || !self.reach().complete
            || own.iter().any(|union| has(union, x) && has(union, y))
            || self.headers().share_union(self.reach(), x, y)
    }

    fn headers(&self) -> &Headers {
        match &self.headers {
            Shared::Own(headers) => headers,
            Shared::With(headers) => headers,
        }
    }

    fn reach(&self) -> &Reach {
        self.reach
            .get_or_init(|| self.headers().reach(self.path, self.text, self.read))
    }
}

/// The different definitions of `name` in `text`.
fn definitions(text: &[u8], name: &[u8]) -> Vec<MacroDef> {
    let mut found: Vec<MacroDef> = Vec::new();
    if name.is_empty() {
        return found;
    }
    for at in memchr::memmem::find_iter(text, name) {
        let end = at + name.len();
        if lex::word_end(text, at) != end || headers::defined_at(text, at).is_none() {
            continue;
        }
        let definition = definition(text, end);
        if !found.contains(&definition) {
            found.push(definition);
        }
    }
    found
}

/// The definition whose name ends at `end`.
fn definition(text: &[u8], end: usize) -> MacroDef {
    let line = &text[end..lex::directive_end(text, end)];
    let body = clean(line);
    if line.first() != Some(&b'(') {
        return MacroDef { params: None, body };
    }
    let close = memchr::memchr(b')', &body).unwrap_or(body.len());
    let params = String::from_utf8_lossy(&body[1.min(close)..close]);
    let params = params
        .split(',')
        .map(str::trim)
        .filter(|p| !p.is_empty())
        .map(str::to_owned)
        .collect();
    let body = body
        .get(close + 1..)
        .unwrap_or_default()
        .trim_ascii()
        .to_vec();
    MacroDef {
        params: Some(params),
        body,
    }
}

/// `line` without comments and splices.
fn clean(line: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(line.len());
    let mut i = 0;
    while i < line.len() {
        let from = i;
        i = match line[i] {
            b'"' | b'\'' => lex::literal_end(line, i),
            _ => match lex::skip_blank(line, i) {
                skipped if skipped > i => {
                    out.push(b' ');
                    i = skipped;
                    continue;
                }
                _ => i + 1,
            },
        };
        out.extend_from_slice(&line[from..i]);
    }
    out.trim_ascii().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADERS: &[(&str, &str)] = &[
        (
            "drivers/x/own.h",
            "#include \"../common/deep.h\"\n#define OWN(p) \\\n\t((p)->base /* where */ + 1)\n",
        ),
        (
            "drivers/common/deep.h",
            "#include \"../x/own.h\"\n#define DEEP 0x10\nunion u { struct { int inner; } s; long outer; } both;\nstruct s { int apart, other; };\n",
        ),
        (
            "include/linux/a.h",
            "#include <asm/b.h>\n#define A 1\n#define AA 2\n",
        ),
        ("include/uapi/linux/a.h", "#  define A\t3\n"),
        (
            "arch/x86/include/asm/b.h",
            "#define B(x, y...)  f(x, ## y)\n#define STR \"/* no */\"\n",
        ),
    ];

    fn read(path: &str) -> Option<Vec<u8>> {
        HEADERS
            .iter()
            .find(|(p, _)| *p == path)
            .map(|(_, text)| text.as_bytes().to_vec())
    }

    const FILE: &str = "#include \"own.h\"\n#include <linux/a.h>\n#include <linux/none.h>\n#define LOCAL a\n# define LOCAL() b\n#define LOCAL a\nint NOT_MACRO;\n\
                        struct t { union { u8 x; u16 y[2]; }; int z; };\n";

    fn bodies(macros: &Macros<'_>, name: &str) -> Vec<String> {
        macros
            .get(name)
            .into_iter()
            .map(|d| String::from_utf8(d.body).unwrap())
            .collect()
    }

    #[test]
    fn finds_definitions_near_and_far() {
        let macros = Macros::for_file(&read, "drivers/x/f.c", FILE.as_bytes());
        assert_eq!(bodies(&macros, "LOCAL"), ["a", "b"]);
        assert_eq!(
            macros.get("OWN"),
            [MacroDef {
                params: Some(vec!["p".into()]),
                body: b"((p)->base + 1)".to_vec()
            }]
        );
        assert_eq!(bodies(&macros, "DEEP"), ["0x10"]);
        assert_eq!(bodies(&macros, "A"), ["1", "3"]);
        assert_eq!(
            macros.get("B")[0].params,
            Some(vec!["x".to_owned(), "y...".to_owned()])
        );
        assert_eq!(bodies(&macros, "STR"), ["\"/* no */\""]);
        for none in ["NOT_MACRO", "AAA", "", "base", "define"] {
            assert!(macros.get(none).is_empty(), "{none}");
        }
    }

    #[test]
    fn union_members_overlap() {
        let headers = Headers::default();
        for _ in 0..2 {
            let macros = Macros::with_headers(&headers, &read, "drivers/x/f.c", FILE.as_bytes());
            assert!(
                macros.may_overlap("x", "y")
                    && macros.may_overlap("inner", "outer")
                    && macros.may_overlap("z", "z")
            );
            assert!(macros.may_overlap("both", "inner"));
            assert!(
                !macros.may_overlap("x", "z")
                    && !macros.may_overlap("apart", "other")
                    && !macros.may_overlap("x", "outer")
            );
        }
        let stranger = Macros::with_headers(&headers, &read, "lib/g.c", b"#include <linux/a.h>\n");
        assert!(
            !stranger.may_overlap("inner", "outer"),
            "not in reach of this file"
        );
        assert!(stranger.get("DEEP").is_empty());
        let lost = Macros::with_headers(&headers, &read, "lib/g.c", b"#include \"lost.h\"\n");
        assert!(lost.may_overlap("x", "y"));
    }

    #[test]
    fn nothing_is_read_unless_asked() {
        let read = |_: &str| -> Option<Vec<u8>> { panic!("read") };
        let macros = Macros::for_file(&read, "a.c", b"#include <linux/a.h>\n");
        assert!(macros.may_overlap("a", "a"));
    }

    #[test]
    fn odd_input() {
        let text = b"#define\n#define X\\\r\n 1\r\n#define Y( a\n#define Z(\xff) \"\n#include\n#include \"\n#include <x\nunion\nunion {\nunion { a";
        let macros = Macros::for_file(&|_| None, "a.c", text);
        assert_eq!(bodies(&macros, "X"), ["1"]);
        assert_eq!(macros.get("Y").len(), 1);
        assert_eq!(macros.get("Z").len(), 1);
        assert!(!macros.may_overlap("p", "q"));
    }
}
