//! Runs of port I/O become one batch (paper section 3.1.1): an array with one entry an operation,
//! and one call that executes them in order.
//!
//! ```text
//! function -> items (what each statement is) -> runs (what may share a batch) -> edits
//! ```

mod accessors;
mod config;
mod effects;
mod emit;
mod items;
mod layout;
mod rule;
mod runs;
mod scope;
mod source;
#[cfg(test)]
mod tests;

pub use accessors::{AccessorSpec, Accessors, Arg, Kind};
pub use config::{CoalesceStep, Compiled};
pub use rule::Rule;

use tree_sitter::Node;

use self::effects::Judge;
use self::items::{Item, Reader};
use self::rule::Hurdle;
use self::scope::Scope;
use self::source::FunctionSource;
use super::{Site, Surroundings, Verdict};
use crate::c::edit::{Edit, apply, line_of};
use crate::c::functions::{FunctionSpan, functions};
use crate::c::macros::Macros;
use crate::c::parse;

/// Names that generated code uses: a file that has its own meaning for them is left alone.
const OWN_NAMES: [&str; 5] = ["io_out", "io_len", "IO_OUT", "IO_IN", "IO_VAL"];

/// Applies `step` to one file. `around` gives other files of the tree (headers).
///
/// Returns the new text when something was rewritten (without the `#include` it needs), and every site.
pub fn run(
    step: &Compiled,
    path: &str,
    text: &[u8],
    around: Surroundings<'_>,
) -> (Option<Vec<u8>>, Vec<Site>) {
    let mut edits = Vec::new();
    let mut sites = Vec::new();
    let macros = Macros::with_headers(around.headers, around.read, path, text);
    let spans = functions(text);
    let file = File {
        path,
        text,
        macros: &macros,
        functions: &spans,
    };
    for span in &spans {
        if step.wants(&span.name) && step.mentions_accessor(&text[span.body.clone()]) {
            function(step, &file, span, &mut edits, &mut sites);
        }
    }
    if edits.is_empty() {
        return (None, sites);
    }
    (Some(apply(text, edits)), sites)
}

/// One file, and what its functions have in common.
struct File<'a> {
    path: &'a str,
    text: &'a [u8],
    macros: &'a Macros<'a>,
    functions: &'a [FunctionSpan],
}

fn function(
    step: &Compiled,
    file: &File<'_>,
    span: &FunctionSpan,
    edits: &mut Vec<Edit>,
    sites: &mut Vec<Site>,
) {
    let text = file.text;
    let syntax = parse::parse(text, span);
    let site = |at: usize, ops: usize, saved: usize, verdict| Site {
        file: file.path.to_owned(),
        line: line_of(text, at),
        function: span.name.clone(),
        ops,
        exits_saved: saved,
        verdict,
    };
    let blocked = |h: &Hurdle| Verdict::Blocked {
        code: h.rule.code().to_owned(),
        reason: h.reason.clone(),
        line: line_of(text, h.at),
    };
    if let Some(at) = syntax
        .first_error()
        .filter(|_| step.disabled != Some(Rule::ParseError))
    {
        let hurdle = Hurdle::new(
            Rule::ParseError,
            "the parser does not understand this function",
            at,
        );
        sites.push(site(span.range.start, 0, 0, blocked(&hurdle)));
        return;
    }
    let root = syntax.tree.root_node();
    let Some(body) = body_of(root) else { return };
    let source = FunctionSource {
        text,
        syntax: &syntax,
        step,
        functions: file.functions,
        macros: file.macros,
    };
    let mut scope = Scope::new(root, &syntax.masked, &|name| source.addressed(name));
    for hidden in &syntax.hidden {
        scope.expose_all_in(&text[hidden.clone()]);
    }
    let reader = Reader {
        judge: Judge {
            source: &source,
            scope: &scope,
        },
    };

    let taken = own_name(text, span).filter(|_| step.disabled != Some(Rule::NameTaken));
    let mut plan = emit::Plan::new(&source);
    let mut lists = vec![body];
    collect_lists(body, &source, &mut lists);
    let mut consumed: Vec<std::ops::Range<usize>> = Vec::new();
    for list in lists {
        let range = source.range(list);
        if consumed
            .iter()
            .any(|c| c.start <= range.start && range.end <= c.end)
        {
            continue;
        }
        let items = reader.list(list);
        let mut found = runs::find(&source, &items);
        let homeless = (!emit::can_declare(list) && step.guard.is_none()).then(|| {
            Hurdle::new(
                Rule::Preproc,
                "a preprocessor branch that does not begin with declarations",
                range.start,
            )
        });
        let crowded = (emit::has_array(list, &syntax.masked) && step.guard.is_none()).then(|| {
            Hurdle::new(
                Rule::NameTaken,
                "the block has the batches of an earlier step",
                range.start,
            )
        });
        let hurdle = taken.as_ref().or(homeless.as_ref()).or(crowded.as_ref());
        if let Some(hurdle) = hurdle {
            for run in found.runs.drain(..) {
                let first = start_of(&source, &items[*run.items.start()]);
                sites.push(site(first, run.ops, 0, blocked(hurdle)));
            }
        }
        for run in &found.runs {
            for item in &items[run.items.clone()] {
                if let Item::If { node, .. } = item {
                    consumed.push(source.range(*node));
                }
            }
            let first = start_of(&source, &items[*run.items.start()]);
            sites.push(site(first, run.ops, run.ops - 1, Verdict::Rewritten));
            plan.batch(list, &items[run.items.clone()], run);
        }
        for (at, ops, hurdle) in left_alone(&source, &items, &found) {
            sites.push(site(at, ops, 0, blocked(hurdle)));
        }
    }
    edits.extend(plan.finish());
}

/// Groups of operations that stayed alone although others are near: where, how many, and the first thing between them.
fn left_alone<'f>(
    source: &FunctionSource<'_>,
    items: &[Item<'_>],
    found: &'f runs::Runs,
) -> Vec<(usize, usize, &'f Hurdle)> {
    let in_run = |i: usize| found.runs.iter().any(|r| r.items.contains(&i));
    let ops = |i: usize| items[i].bound() + usize::from(matches!(items[i], Item::Unrecorded(_)));
    let operations: Vec<usize> = (0..items.len()).filter(|i| ops(*i) > 0).collect();
    let mut groups = Vec::new();
    let mut group: Option<(usize, usize, &Hurdle)> = None;
    for pair in operations.windows(2) {
        let cut = found
            .cuts
            .iter()
            .find(|(at, _)| *at > pair[0] && *at <= pair[1])
            .or_else(|| found.cuts.iter().find(|(at, _)| *at == pair[0]));
        let lone = !in_run(pair[0]) || !in_run(pair[1]);
        match (cut, lone) {
            (Some((_, hurdle)), true) => match &mut group {
                Some((_, count, _)) => *count += ops(pair[1]),
                None => {
                    let count = ops(pair[0]) + ops(pair[1]);
                    group = Some((start_of(source, &items[pair[0]]), count, hurdle));
                }
            },
            _ => groups.extend(group.take()),
        }
    }
    groups.extend(group);
    groups
}

fn start_of(source: &FunctionSource<'_>, item: &Item<'_>) -> usize {
    match item {
        Item::Io(io) => source.at(io.statement),
        Item::Plain { node, .. } | Item::If { node, .. } => source.at(*node),
        Item::Hurdle(hurdle) | Item::Unrecorded(hurdle) => hurdle.at,
    }
}

fn body_of(root: Node<'_>) -> Option<Node<'_>> {
    if root.kind() == "function_definition" {
        return root.child_by_field_name("body");
    }
    let mut cursor = root.walk();
    root.named_children(&mut cursor)
        .filter(|c| c.kind() == "function_definition")
        .find_map(|c| c.child_by_field_name("body"))
}

/// Every statement list below `node`, outer ones first; the native arm behind a batch of ours is done already.
fn collect_lists<'t>(node: Node<'t>, source: &FunctionSource<'_>, lists: &mut Vec<Node<'t>>) {
    let mut cursor = node.walk();
    for child in node.named_children(&mut cursor) {
        if child.kind() == "else_clause" && follows_batch(child, source) {
            continue;
        }
        // The last statement of a statement expression is its value.
        if child.kind() == "compound_statement" && node.kind() == "parenthesized_expression" {
            continue;
        }
        let is_list = matches!(child.kind(), "compound_statement" | "case_statement")
            || child.kind().starts_with("preproc_");
        if is_list && child.named_child_count() > 0 {
            lists.push(child);
        }
        collect_lists(child, source, lists);
    }
}

fn follows_batch(else_clause: Node<'_>, source: &FunctionSource<'_>) -> bool {
    else_clause
        .parent()
        .and_then(|p| p.child_by_field_name("consequence"))
        .is_some_and(|c| {
            memchr::memmem::find(&source.text[source.range(c)], b"xkvm_io_coalesce(").is_some()
        })
}

/// A name that generated code needs and this function (or a macro of the file) uses for something else.
fn own_name(text: &[u8], span: &FunctionSpan) -> Option<Hurdle> {
    let is_word = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
    let body = &text[span.range.clone()];
    if memchr::memmem::find(body, b"xkvm_io_coalesce(").is_some() {
        return None; // ours, from an earlier series
    }
    OWN_NAMES.iter().find_map(|name| {
        memchr::memmem::find_iter(body, name.as_bytes())
            .find(|at| {
                !is_word(at.checked_sub(1).and_then(|i| body.get(i)))
                    && !is_word(body.get(at + name.len()))
            })
            .map(|at| {
                Hurdle::new(
                    Rule::NameTaken,
                    format!("the function uses the name `{name}` itself"),
                    span.range.start + at,
                )
            })
    })
}
