//! From runs to edits: the array, the records, the call, and the values handed out.

use std::ops::Range;

use tree_sitter::Node;

use super::items::{Destination, Io, Item};
use super::layout::{
    after_line, call, column_of, decoded, deeper, encoded, indent_column, indent_of, is_inline_gap,
    newline,
};
use super::runs::{Run, is_declaration, is_parted};
use super::source::FunctionSource;
use crate::c::edit::{Edit, apply};

/// How generated code counts.
#[derive(Clone, Copy)]
enum Index {
    /// Known beforehand: the paper's form.
    Fixed(usize),
    /// `io_len++`, in a run with conditions.
    Running,
}

impl Index {
    fn next(&mut self) -> String {
        match self {
            Self::Fixed(n) => {
                *n += 1;
                (*n - 1).to_string()
            }
            Self::Running => "io_len++".into(),
        }
    }
}

/// One run's edits, before the array has its place.
struct Batch<'t> {
    list: Node<'t>,
    first: usize,
    ops: usize,
    conditional: bool,
    edits: Vec<Edit>,
}

/// The edits of one function, collected.
pub struct Plan<'a, 't> {
    source: &'a FunctionSource<'a>,
    batches: Vec<Batch<'t>>,
}

impl<'a, 't> Plan<'a, 't> {
    /// A plan without edits.
    pub fn new(source: &'a FunctionSource<'a>) -> Self {
        Self {
            source,
            batches: Vec::new(),
        }
    }

    /// Adds the run `items` of the statement list `list`.
    pub fn batch(&mut self, list: Node<'t>, items: &[Item<'t>], run: &Run) {
        let first = start(self.source, &items[0]);
        let last = end(self.source, items.last().expect("a run has items"));
        let newline = newline(self.source.text);
        let indent = indent_of(self.source.text, first);
        let mut edits = Vec::new();
        let mut index = if run.conditional {
            Index::Running
        } else {
            Index::Fixed(0)
        };

        // Reads parted from their declarations are recorded after the group of declarations.
        let parted: Vec<&Io<'t>> = items
            .iter()
            .filter(|i| is_parted(i))
            .filter_map(io_of)
            .collect();
        let mut lines: Vec<String> = Vec::new();
        for io in &parted {
            let Destination::Declare { declarator, .. } = &io.destination else {
                continue;
            };
            let name = declarator
                .child_by_field_name("declarator")
                .expect("an init declarator has one");
            edits.push(Edit {
                range: self.source.range(name).end..self.source.range(*declarator).end,
                with: Vec::new(),
            });
            lines.push(self.record(io, &mut index, &indent));
        }
        // They are the first operations of the run, so that the entries stay in order.
        if let Some(group) = items
            .iter()
            .take_while(|i| is_declaration(i))
            .last()
            .filter(|_| !parted.is_empty())
        {
            let at = after_line(self.source.text, end(self.source, group));
            let text: String = lines
                .iter()
                .map(|l| format!("{newline}{indent}{l}"))
                .collect();
            if end(self.source, group) == last {
                lines = vec![text]; // the flush follows at the same place
            } else {
                edits.push(Edit {
                    range: at..at,
                    with: encoded(&(newline.to_owned() + &text)),
                });
                lines.clear();
            }
        }
        let recorded = lines
            .pop()
            .map(|text| newline.to_owned() + &text)
            .unwrap_or_default();

        self.records(items, &mut index, &mut edits);
        for pair in items.windows(2) {
            let gap = end(self.source, &pair[0])..start(self.source, &pair[1]);
            if is_inline_gap(self.source.text, gap.clone()) {
                edits.push(Edit {
                    range: gap,
                    with: encoded(&format!("{newline}{indent}")),
                });
            }
        }

        let count = if run.conditional {
            "io_len".to_owned()
        } else {
            run.ops.to_string()
        };
        let mut text = format!("{recorded}{newline}{indent}xkvm_io_coalesce(io_out, {count});");
        for line in self.values(items, run.conditional) {
            text += &format!("{newline}{indent}{line}");
        }
        let at = after_line(self.source.text, last);
        let follows = self.source.step.guard.is_none()
            && self.source.text[at..]
                .trim_ascii_start()
                .first()
                .is_some_and(|b| *b != b'\n')
            && at == last
            && !at_line_end(self.source.text, at);
        if follows {
            text += &format!("{newline}{indent}");
        }
        let blanks = if follows {
            self.source.text[at..]
                .iter()
                .take_while(|b| matches!(b, b' ' | b'\t'))
                .count()
        } else {
            0
        };
        edits.push(Edit {
            range: at..at + blanks,
            with: encoded(&text),
        });

        if let Some(guard) = &self.source.step.guard {
            edits = vec![self.guarded(guard, first..at, edits, run, &indent, newline)];
        }
        self.batches.push(Batch {
            list,
            first,
            ops: run.ops,
            conditional: run.conditional,
            edits,
        });
    }

    /// `if (guard) { batch } else { original }`.
    fn guarded(
        &self,
        guard: &str,
        region: Range<usize>,
        edits: Vec<Edit>,
        run: &Run,
        indent: &str,
        newline: &str,
    ) -> Edit {
        let original = decoded(&self.source.text[region.clone()]);
        let moved = edits.into_iter().map(|e| Edit {
            range: e.range.start - region.start..e.range.end - region.start,
            with: e.with,
        });
        let batch = decoded(&apply(&self.source.text[region.clone()], moved.collect()));
        let mut declarations = format!("{indent}\tstruct io_insn io_out[{}];{newline}", run.ops);
        if run.conditional {
            declarations += &format!("{indent}\tunsigned int io_len = 0;{newline}");
        }
        let arm = |text: &str| deeper(&format!("{indent}{text}"));
        let text = format!(
            "if ({guard}) {{{newline}{declarations}{newline}{}{newline}{indent}}} else {{{newline}{}{newline}{indent}}}",
            arm(&batch),
            arm(&original),
        );
        Edit {
            range: region,
            with: encoded(&text),
        }
    }

    /// Replaces each operation by its record.
    fn records(&self, items: &[Item<'t>], index: &mut Index, edits: &mut Vec<Edit>) {
        for item in items {
            match item {
                Item::Io(io) if !is_parted(item) => {
                    let range = self.source.range(io.statement);
                    let indent = indent_of(self.source.text, range.start);
                    edits.push(Edit {
                        range,
                        with: encoded(&self.record(io, index, &indent)),
                    });
                }
                Item::If {
                    then, otherwise, ..
                } => {
                    self.records(then, index, edits);
                    self.records(otherwise, index, edits);
                }
                _ => {}
            }
        }
    }

    fn record(&self, io: &Io<'t>, index: &mut Index, indent: &str) -> String {
        let at = self.source.at(io.statement);
        let start = if is_parted_io(io) {
            column_of(indent.as_bytes(), indent.len())
        } else {
            column_of(self.source.text, at)
        };
        let node = |n: Node<'_>| decoded(&self.source.text[self.source.range(n)]);
        let mut args = vec![index.next(), io.kind.name().to_owned()];
        args.extend(io.value.map(node));
        args.push(node(io.port));
        let name = if io.kind.is_read() { "IO_IN" } else { "IO_OUT" };
        let newline = newline(self.source.text);
        if self.source.step.guard.is_none() {
            return call(start, name, &args, newline);
        }
        // The guard will move all lines by one tab, the broken ones too.
        call(start + 8, name, &args, newline).replace(&format!("{newline}\t"), newline)
    }

    /// The lines that hand out the values, in order.
    fn values(&self, items: &[Item<'t>], conditional: bool) -> Vec<String> {
        let mut lines = Vec::new();
        if !has_values(items) {
            return lines;
        }
        if conditional {
            lines.push("io_len = 0;".into());
            self.replay(items, "", &mut lines);
            return lines;
        }
        let declared = items.iter().filter(|i| is_parted(i));
        let others = items.iter().filter(|i| !is_parted(i));
        for (index, io) in declared.chain(others).filter_map(io_of).enumerate() {
            lines.extend(self.value(io, &index.to_string()));
        }
        lines
    }

    /// Walks the conditions again; they are stable, so each value meets its own destination.
    fn replay(&self, items: &[Item<'t>], indent: &str, lines: &mut Vec<String>) {
        for item in items {
            match item {
                Item::Io(io) => {
                    let line = self
                        .value(io, "io_len++")
                        .unwrap_or_else(|| "io_len++;".into());
                    lines.push(format!("{indent}{line}"));
                }
                Item::If {
                    node,
                    then,
                    otherwise,
                    ..
                } => {
                    let condition = node
                        .child_by_field_name("condition")
                        .map(|c| decoded(&self.source.text[self.source.range(c)]));
                    let condition = condition.unwrap_or_default();
                    let inner = format!("{indent}\t");
                    let (mut yes, mut no) = (Vec::new(), Vec::new());
                    self.replay(then, &inner, &mut yes);
                    self.replay(otherwise, &inner, &mut no);
                    let braces = yes.len() != 1 || no.len() > 1;
                    lines.push(format!(
                        "{indent}if {condition}{}",
                        if braces { " {" } else { "" }
                    ));
                    lines.extend(yes);
                    if !no.is_empty() {
                        lines.push(format!(
                            "{indent}{}",
                            if braces { "} else {" } else { "else" }
                        ));
                        lines.extend(no);
                    }
                    if braces {
                        lines.push(format!("{indent}}}"));
                    }
                }
                _ => {}
            }
        }
    }

    /// The statement that hands out the value of `io`, if it has a destination.
    fn value(&self, io: &Io<'t>, index: &str) -> Option<String> {
        let (range, computed) = match &io.destination {
            Destination::None => return None,
            Destination::Assign { computed, .. } => (self.source.range(io.statement), *computed),
            Destination::Declare {
                computed,
                declarator,
                ..
            } => (self.source.range(*declarator), *computed),
        };
        let hole = self.source.range(io.call);
        // Arithmetic starts from the accessor's own type, as it did before.
        let cast = if computed {
            format!("({})", io.kind.result_type().unwrap_or("u32"))
        } else {
            String::new()
        };
        let text = decoded(&self.source.text[range.start..hole.start])
            + &format!("{cast}IO_VAL({index})")
            + &decoded(&self.source.text[hole.end..range.end]);
        let text = super::layout::one_line(&text);
        Some(if text.ends_with(';') {
            text
        } else {
            text + ";"
        })
    }

    /// All edits of the function, with the declarations.
    pub fn finish(self) -> Vec<Edit> {
        let mut edits = Vec::new();
        if self.source.step.guard.is_some() {
            edits.extend(self.batches.into_iter().flat_map(|b| b.edits));
            return edits;
        }
        let own: Vec<Node<'t>> = self
            .batches
            .iter()
            .map(|b| declaring_block(b.list))
            .collect();
        // A block inside another that has an array uses that one: no name hides another.
        let blocks: Vec<Node<'t>> = own
            .iter()
            .map(|block| {
                *own.iter()
                    .filter(|o| contains(**o, *block))
                    .max_by_key(|o| o.byte_range().len())
                    .unwrap_or(block)
            })
            .collect();
        let mut done: Vec<Node<'t>> = Vec::new();
        for block in &blocks {
            if done.contains(block) {
                continue;
            }
            done.push(*block);
            let here: Vec<&Batch<'t>> = self
                .batches
                .iter()
                .zip(&blocks)
                .filter(|(_, b)| *b == block)
                .map(|(b, _)| b)
                .collect();
            let ops = here.iter().map(|b| b.ops).max().unwrap_or(0);
            let conditional: Vec<&&Batch<'t>> = here.iter().filter(|b| b.conditional).collect();
            let once =
                conditional.len() == 1 && conditional[0].list == *block && !has_label(*block);
            edits.push(self.declaration(*block, ops, !conditional.is_empty(), once));
            if !once {
                for batch in conditional {
                    let indent = indent_of(self.source.text, batch.first);
                    let with =
                        encoded(&format!("io_len = 0;{}{indent}", newline(self.source.text)));
                    edits.push(Edit {
                        range: batch.first..batch.first,
                        with,
                    });
                }
            }
        }
        edits.extend(self.batches.into_iter().flat_map(|b| b.edits));
        edits
    }

    fn declaration(&self, block: Node<'t>, ops: usize, counted: bool, initialised: bool) -> Edit {
        let text = self.source.text;
        let newline = newline(text);
        if let Some(first) =
            leading_declaration(block).filter(|_| block.kind().starts_with("preproc_"))
        {
            let at = self.source.at(first);
            let indent = indent_of(text, at);
            let mut with = format!("struct io_insn io_out[{ops}];{newline}{indent}");
            if counted {
                with += &format!(
                    "unsigned int io_len{};{newline}{indent}",
                    if initialised { " = 0" } else { "" }
                );
            }
            return Edit {
                range: at..at,
                with: encoded(&with),
            };
        }
        let open = self.source.range(block).start + 1;
        let mut cursor = block.walk();
        let children: Vec<Node<'t>> = block
            .named_children(&mut cursor)
            .filter(|c| c.kind() != "comment")
            .collect();
        // Labels and directives stand further left than statements.
        let usual = children
            .iter()
            .find(|c| c.kind() != "labeled_statement" && !c.kind().starts_with("preproc"));
        let indent = match usual {
            Some(child)
                if column_of(text, self.source.at(*child))
                    == indent_column(text, self.source.at(*child)) =>
            {
                indent_of(text, self.source.at(*child))
            }
            _ => "\t".repeat(indent_column(text, open - 1) / 8 + 1),
        };
        let first = children.first();
        let mut with = format!("{newline}{indent}struct io_insn io_out[{ops}];");
        if counted {
            with += &format!(
                "{newline}{indent}unsigned int io_len{};",
                if initialised { " = 0" } else { "" }
            );
        }
        let at = after_line(text, open);
        if first.is_none_or(|c| c.kind() != "declaration") {
            with += newline;
        }
        if at == open && !at_line_end(text, open) {
            with += &format!("{newline}{indent}");
        }
        Edit {
            range: at..at,
            with: encoded(&with),
        }
    }
}

fn at_line_end(text: &[u8], at: usize) -> bool {
    let rest = text[at..]
        .iter()
        .find(|b| !matches!(b, b' ' | b'\t' | b'\r'));
    matches!(rest, None | Some(b'\n'))
}

fn io_of<'i, 't>(item: &'i Item<'t>) -> Option<&'i Io<'t>> {
    match item {
        Item::Io(io) => Some(io),
        _ => None,
    }
}

fn is_parted_io(io: &Io<'_>) -> bool {
    matches!(io.destination, Destination::Declare { .. })
}

fn has_values(items: &[Item<'_>]) -> bool {
    items.iter().any(|item| match item {
        Item::Io(io) => !matches!(io.destination, Destination::None),
        Item::If {
            then, otherwise, ..
        } => has_values(then) || has_values(otherwise),
        _ => false,
    })
}

fn start(source: &FunctionSource<'_>, item: &Item<'_>) -> usize {
    super::start_of(source, item)
}

fn end(source: &FunctionSource<'_>, item: &Item<'_>) -> usize {
    match item {
        Item::Io(io) => source.range(io.statement).end,
        Item::Plain { node, .. } | Item::If { node, .. } => source.range(*node).end,
        Item::Hurdle(hurdle) | Item::Unrecorded(hurdle) => hurdle.at,
    }
}

/// Whether arrays for a run in `list` can be declared: a preprocessor branch must begin with declarations of its own,
/// for outside of it the array would be unused when the branch is not compiled.
pub fn can_declare(list: Node<'_>) -> bool {
    let mut node = list;
    while node.kind() != "compound_statement" {
        if node.kind().starts_with("preproc_") {
            return leading_declaration(node).is_some();
        }
        match node.parent() {
            Some(parent) => node = parent,
            None => return false,
        }
    }
    true
}

/// Whether the block that would declare the array for a run in `list` has one already.
pub fn has_array(list: Node<'_>, text: &[u8]) -> bool {
    let block = declaring_block(list);
    let mut cursor = block.walk();
    block
        .named_children(&mut cursor)
        .filter(|c| c.kind() == "declaration")
        .any(|c| memchr::memmem::find(&text[c.byte_range()], b" io_out[").is_some())
}

/// The declaration that a preprocessor branch begins with.
fn leading_declaration(branch: Node<'_>) -> Option<Node<'_>> {
    let is_head = |c: Node<'_>| {
        ["name", "condition"]
            .iter()
            .any(|f| branch.child_by_field_name(f) == Some(c))
    };
    let mut cursor = branch.walk();
    branch
        .named_children(&mut cursor)
        .find(|c| c.kind() != "comment" && !is_head(*c))
        .filter(|c| c.kind() == "declaration")
}

/// The block that can hold the declarations for a run in `list`: a switch body cannot, its beginning is never run.
fn declaring_block(list: Node<'_>) -> Node<'_> {
    let mut node = list;
    loop {
        if leading_declaration(node).is_some() && node.kind().starts_with("preproc_") {
            return node;
        }
        let is_switch = node
            .parent()
            .is_some_and(|p| p.kind() == "switch_statement");
        if node.kind() == "compound_statement" && !is_switch {
            return node;
        }
        match node.parent() {
            Some(parent) => node = parent,
            None => return list,
        }
    }
}

/// Whether names declared at the head of `outer` are known in `inner`.
fn contains(outer: Node<'_>, inner: Node<'_>) -> bool {
    let within =
        |o: Node<'_>| o.start_byte() <= inner.start_byte() && inner.end_byte() <= o.end_byte();
    // The `#else` of a branch is inside its node, but not compiled with it.
    let other = outer
        .child_by_field_name("alternative")
        .filter(|_| outer.kind().starts_with("preproc_"));
    within(outer) && !other.is_some_and(within)
}

fn has_label(node: Node<'_>) -> bool {
    if node.kind() == "labeled_statement" {
        return true;
    }
    let mut cursor = node.walk();
    node.named_children(&mut cursor).any(has_label)
}
