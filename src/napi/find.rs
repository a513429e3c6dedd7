//! What one file has to do with NAPI.

use tree_sitter::Node;

use super::words::{CONTEXT, SEVERAL, call, caution, refusal};
use super::{Place, Reason, What};
use crate::c::edit::line_of;
use crate::c::functions::{FunctionSpan, functions};
use crate::c::lex;
use crate::c::parse::{Syntax, parse};
use crate::step::words;

/// What was found in one file.
#[derive(Debug, Clone, Default)]
pub(super) struct Looked {
    pub places: Vec<Place>,
    pub refused: Vec<Reason>,
    pub cautions: Vec<Reason>,
    /// Names of poll functions that are made known here.
    pub polls: Vec<String>,
    /// Names and lines of the functions defined here.
    pub defined: Vec<(String, usize)>,
    /// What it includes with quotes.
    pub includes: Vec<String>,
}

/// Looks at one file.
pub(super) fn look(path: &str, text: &[u8]) -> Looked {
    let mut live = text.to_vec();
    lex::strip_dead(&mut live);
    let mut file = File {
        path,
        text: &live,
        old_polls: false,
        looked: Looked::default(),
    };
    let spans = functions(&live);
    file.words(&spans);
    for span in &spans {
        file.function(span);
    }
    let mut looked = file.looked;
    looked.includes = includes(&live);
    looked.defined = spans
        .iter()
        .map(|s| (s.name.clone(), line_of(&live, s.range.start)))
        .collect();
    looked
}

struct File<'a> {
    path: &'a str,
    text: &'a [u8],
    /// Up to 2.6.23, poll functions are members of the device.
    old_polls: bool,
    looked: Looked,
}

impl File<'_> {
    /// What single identifiers tell.
    fn words(&mut self, spans: &[FunctionSpan]) {
        let all: Vec<_> = words(self.text).collect();
        for (n, range) in all.iter().enumerate() {
            let Ok(word) = std::str::from_utf8(&self.text[range.clone()]) else {
                continue;
            };
            let at = range.start;
            if let Some(what) = refusal(word) {
                self.reason(true, what, word, at);
            }
            if let Some(what) = caution(word) {
                self.reason(false, what, word, at);
            }
            self.old_polls |= word.contains("netif_rx_schedule");
            let inside = spans.iter().any(|s| s.body.contains(&at));
            let before = n.checked_sub(1).map(|b| &self.text[all[b].clone()]);
            if word == CONTEXT && !inside && before == Some(b"struct") {
                self.field(at, all.get(n + 1).map(|r| r.end));
            }
        }
    }

    /// A member of the type of a context: no pointer, no parameter.
    fn field(&mut self, at: usize, name_end: Option<usize>) {
        let from = at + CONTEXT.len();
        let Some(end) = name_end.filter(|e| *e > from) else {
            return;
        };
        let between = &self.text[from..end];
        let after = lex::skip_blank(self.text, end);
        let array = self.text.get(after) == Some(&b'[');
        let ends = array || matches!(self.text.get(after), Some(b';' | b','));
        let plain = between
            .iter()
            .all(|b| lex::is_word(*b) || b.is_ascii_whitespace());
        if ends && plain {
            self.place(What::Field, CONTEXT, at, "");
            if array {
                self.reason(false, SEVERAL, CONTEXT, at);
            }
        }
    }

    fn function(&mut self, span: &FunctionSpan) {
        let body = &self.text[span.body.clone()];
        let asks = |word: &[u8]| std::str::from_utf8(word).is_ok_and(|w| call(w).is_some());
        let old_poll = || self.old_polls && memchr::memmem::find(body, b"poll").is_some();
        let concerned = words(body).any(|w| asks(&body[w])) || old_poll();
        if !concerned {
            return;
        }
        let syntax = parse(self.text, span);
        if syntax.first_error().is_some() {
            return self.by_words(span);
        }
        let mut cursor = syntax.tree.walk();
        loop {
            self.node(span, &syntax, cursor.node());
            if cursor.goto_first_child() || cursor.goto_next_sibling() {
                continue;
            }
            loop {
                if !cursor.goto_parent() {
                    return;
                }
                if cursor.goto_next_sibling() {
                    break;
                }
            }
        }
    }

    /// In a function that does not parse: a known name with a bracket behind it.
    fn by_words(&mut self, span: &FunctionSpan) {
        let text = self.text;
        for range in words(&text[span.body.clone()]) {
            let (start, end) = (range.start + span.body.start, range.end + span.body.start);
            let word = String::from_utf8_lossy(&text[start..end]).into_owned();
            if let Some(what) = call(&word)
                && text.get(lex::skip_blank(text, end)) == Some(&b'(')
            {
                self.place(what, &word, start, &span.name);
            }
        }
    }

    fn node(&mut self, span: &FunctionSpan, syntax: &Syntax, node: Node<'_>) {
        let word = |n: Node<'_>| {
            let text = &syntax.masked[n.byte_range()];
            String::from_utf8_lossy(text).into_owned()
        };
        let at = syntax.base + node.start_byte();
        match node.kind() {
            "call_expression" => {
                let Some(name) = node.child_by_field_name("function").map(word) else {
                    return;
                };
                let Some(what) = call(&name) else { return };
                self.place(what, &name, at, &span.name);
                if what != What::Add {
                    return;
                }
                if in_loop(node) {
                    self.reason(false, SEVERAL, &name, at);
                }
                let poll = node
                    .child_by_field_name("arguments")
                    .and_then(|a| a.named_child(2))
                    .map(word);
                self.looked.polls.extend(poll.as_deref().and_then(name_in));
            }
            "assignment_expression" if self.old_polls => {
                let left = node.child_by_field_name("left").map(word);
                let right = node.child_by_field_name("right").map(word);
                let (Some(left), Some(right)) = (left, right) else {
                    return;
                };
                let Some(poll) = name_in(&right).filter(|_| left.ends_with("->poll")) else {
                    return;
                };
                self.place(What::Add, "poll", at, &span.name);
                self.looked.polls.push(poll);
            }
            _ => {}
        }
    }

    fn place(&mut self, what: What, word: &str, at: usize, function: &str) {
        self.looked.places.push(Place {
            file: self.path.to_owned(),
            line: line_of(self.text, at),
            what,
            word: word.to_owned(),
            function: function.to_owned(),
        });
    }

    /// One place of each reason is enough.
    fn reason(&mut self, refuses: bool, what: &'static str, word: &str, at: usize) {
        let list = match refuses {
            true => &mut self.looked.refused,
            false => &mut self.looked.cautions,
        };
        if !list.iter().any(|r| r.what == what) {
            list.push(Reason {
                what,
                word: word.to_owned(),
                file: self.path.to_owned(),
                line: line_of(self.text, at),
            });
        }
    }
}

/// The name in `name` or `&name`.
fn name_in(argument: &str) -> Option<String> {
    let name = argument.trim_start_matches('&').trim();
    let is_name = !name.is_empty() && name.bytes().all(lex::is_word);
    is_name.then(|| name.to_owned())
}

fn in_loop(node: Node<'_>) -> bool {
    std::iter::successors(node.parent(), Node::parent).any(|n| {
        matches!(
            n.kind(),
            "for_statement" | "while_statement" | "do_statement"
        )
    })
}

/// The files between quotes in `#include` lines.
fn includes(text: &[u8]) -> Vec<String> {
    lex::directives(text)
        .into_iter()
        .filter_map(|line| {
            let line = text[line].strip_prefix(b"#")?.trim_ascii();
            let name = line.strip_prefix(b"include")?.trim_ascii();
            let name = name.strip_prefix(b"\"")?;
            let end = memchr::memchr(b'"', name)?;
            std::str::from_utf8(&name[..end]).ok().map(str::to_owned)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: &str = "#include \"mini.h\"\nstruct mini {\n\tstruct napi_struct napi;\n\tstruct napi_struct *other;\n};\n\n#if 0\nint dead(void)\n{\n\tnapi_enable(0);\n}\n#endif\n\nstatic int mini_poll(struct napi_struct *napi, int budget)\n{\n\t/* napi_disable() */\n\tnapi_gro_receive(napi, skb);\n\tnapi_complete_done(napi, 1);\n\treturn 1;\n}\n\nvoid mini_start(struct mini *m)\n{\n\tint i;\n\n\tfor (i = 0; i < 2; i++)\n\t\tnetif_napi_add(m->dev, &m->napi, mini_poll);\n\tspin_lock_bh(&m->lock);\n}\n";

    #[test]
    fn every_place_once() {
        let looked = look("a.c", NEW.as_bytes());
        let found: Vec<_> = looked.places.iter().map(|p| (p.line, p.what)).collect();
        assert_eq!(
            found,
            [
                (3, What::Field),
                (17, What::Receive),
                (18, What::Complete),
                (27, What::Add)
            ]
        );
        assert_eq!(looked.polls, ["mini_poll"]);
        assert_eq!(looked.includes, ["mini.h"]);
        let cautions: Vec<_> = looked.cautions.iter().map(|c| c.what).collect();
        assert_eq!(cautions, ["locks", SEVERAL]);
        assert!(looked.refused.is_empty());
    }

    #[test]
    fn old_devices_are_polled_themselves() {
        let text = "void f(struct net_device *dev)\n{\n\tdev->poll = &mini_poll;\n\tnetif_rx_schedule(dev);\n}\n";
        let looked = look("a.c", text.as_bytes());
        let found: Vec<_> = looked.places.iter().map(|p| p.what).collect();
        assert_eq!(found, [What::Add, What::Schedule]);
        assert_eq!(looked.polls, ["mini_poll"]);
    }

    #[test]
    fn what_refuses_is_told_once() {
        let text = "static struct page_pool_params p;\nint f(struct xdp_buff *x)\n{\n\treturn XDP_PASS;\n}\n";
        let looked = look("a.c", text.as_bytes());
        let found: Vec<_> = looked.refused.iter().map(|r| (r.line, r.what)).collect();
        assert_eq!(found, [(1, "page pool"), (2, "XDP")]);
    }

    #[test]
    fn a_function_that_does_not_parse_is_read_by_its_words() {
        let text = "void f(void)\n{\n\tint ) = 3;\n\tnapi_enable(&m->napi);\n}\n";
        let looked = look("a.c", text.as_bytes());
        assert_eq!(looked.places.len(), 1);
    }
}
