//! Putting one `#include` where kernel C has its includes.

use std::borrow::Cow;

use super::anchor::with_line_ends_of;

/// `text` with `#include <header>` after its last unconditional `#include <linux/…>`, once.
///
/// # Errors
/// A sentence when the file has no include to stand beside.
pub fn add(text: &[u8], header: &str) -> Result<Vec<u8>, String> {
    let wanted = format!("<{header}>");
    let mut linux = None;
    let mut other = None;
    let mut conditionals = Conditionals::default();
    for (line, end) in code_lines(text) {
        // Code has begun: an include below it may stand anywhere for any reason.
        if line.first() == Some(&b'{') {
            break;
        }
        let line = line.trim_ascii();
        let Some(directive) = line.strip_prefix(b"#").map(<[u8]>::trim_ascii) else {
            continue;
        };
        conditionals.see(directive);
        let Some(target) = directive.strip_prefix(b"include").map(<[u8]>::trim_ascii) else {
            continue;
        };
        if !conditionals.open() {
            if target.starts_with(wanted.as_bytes()) {
                return Ok(text.to_vec());
            }
            if target.starts_with(b"<linux/") {
                linux = Some(end);
            } else {
                other = Some(end);
            }
        }
    }
    let place = linux
        .or(other)
        .ok_or_else(|| format!("the file includes nothing, so {header} has no place"))?;
    let addition = format!("#include {wanted}\n");
    let mut out = text[..place].to_vec();
    out.extend_from_slice(&with_line_ends_of(text, &addition));
    out.extend_from_slice(&text[place..]);
    Ok(out)
}

/// Which `#if`s are open; a header's own include guard does not count.
#[derive(Default)]
struct Conditionals {
    depth: usize,
    guards: usize,
    seen: usize,
    maybe_guard: Option<Vec<u8>>,
}

impl Conditionals {
    fn see(&mut self, directive: &[u8]) {
        let mut words = directive
            .split(u8::is_ascii_whitespace)
            .filter(|w| !w.is_empty());
        let (keyword, name) = (
            words.next().unwrap_or_default(),
            words.next().unwrap_or_default(),
        );
        self.seen += 1;
        if keyword.starts_with(b"if") {
            self.depth += 1;
            self.maybe_guard = (self.seen == 1 && keyword == b"ifndef").then(|| name.to_vec());
            return;
        }
        if keyword == b"define" && self.maybe_guard.take().is_some_and(|guard| guard == name) {
            self.guards = 1;
        } else if keyword == b"endif" {
            self.depth = self.depth.saturating_sub(1);
            self.guards = self.guards.min(self.depth);
        }
        self.maybe_guard = None;
    }

    fn open(&self) -> bool {
        self.depth > self.guards
    }
}

/// The lines outside block comments, each with the offset after it.
fn code_lines(text: &[u8]) -> impl Iterator<Item = (Cow<'_, [u8]>, usize)> {
    let mut at = 0;
    let mut in_comment = false;
    text.split_inclusive(|b| *b == b'\n').map(move |line| {
        at += line.len();
        (without_comments(line, &mut in_comment), at)
    })
}

fn without_comments<'t>(line: &'t [u8], in_comment: &mut bool) -> Cow<'t, [u8]> {
    if !*in_comment && memchr::memmem::find(line, b"/*").is_none() {
        return Cow::Borrowed(line);
    }
    let mut out = Vec::new();
    let mut rest = line;
    while !rest.is_empty() {
        let mark: &[u8] = if *in_comment { b"*/" } else { b"/*" };
        let Some(found) = memchr::memmem::find(rest, mark) else {
            if !*in_comment {
                out.extend_from_slice(rest);
            }
            break;
        };
        if !*in_comment {
            out.extend_from_slice(&rest[..found]);
        }
        *in_comment = !*in_comment;
        rest = &rest[found + 2..];
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added(text: &str) -> String {
        String::from_utf8(add(text.as_bytes(), "linux/x.h").unwrap()).unwrap()
    }

    #[test]
    fn after_the_last_unconditional_linux_header() {
        let text = "#include <linux/a.h>\n#ifdef Y\n#include <linux/b.h>\n#endif\n#include <asm/io.h>\nint f(void)\n{\n}\n";
        assert!(added(text).starts_with("#include <linux/a.h>\n#include <linux/x.h>\n#ifdef Y\n"));
    }

    #[test]
    fn once_and_not_in_comments_or_code() {
        let text = "/*\n * #include <linux/c.h>\n */\n#include <linux/a.h> /* why */\nint f(void)\n{\n}\n#include <linux/z.h>\n";
        let once = added(text);
        assert!(once.contains("/* why */\n#include <linux/x.h>\nint f"));
        assert_eq!(added(&once), once);
    }

    #[test]
    fn a_headers_guard_does_not_count() {
        let text = "#ifndef _H\n#define _H\n#include <linux/a.h>\n#if X\n#include <linux/b.h>\n#endif\n#endif\n";
        assert!(added(text).contains("<linux/a.h>\n#include <linux/x.h>\n#if X"));
    }

    #[test]
    fn other_headers_will_do_and_none_is_an_error() {
        assert_eq!(
            added("#include \"a.h\"\r\nint x;\r\n"),
            "#include \"a.h\"\r\n#include <linux/x.h>\r\nint x;\r\n"
        );
        assert!(add(b"int x;\n", "linux/x.h").is_err());
    }
}
