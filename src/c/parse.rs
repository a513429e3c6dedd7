//! Syntax of one function.

use std::cell::RefCell;
use std::ops::Range;

use super::conditional;
use super::functions::FunctionSpan;
use super::idioms::Idioms;
use super::lex;
use super::mask::Masked;

/// One parsed function: node offsets are relative to `base`.
#[derive(Debug)]
pub struct Syntax {
    /// Offset in the file at which the parsed text starts.
    pub base: usize,
    /// The masked text that was parsed; without what `#if 0` hides.
    pub masked: Vec<u8>,
    /// The syntax tree.
    pub tree: tree_sitter::Tree,
    /// What no rewriting may touch or reach across: byte ranges of the file, in order, apart from one another.
    ///
    /// Normally just the function's preprocessor lines. Where a conditional cuts a statement in two, the range also holds that statement and,
    /// if it could be controlled by it in another configuration, the one behind.
    /// The tree has nodes for the lines only if `plain`; a caller that heeds these ranges need not look at such nodes.
    pub directives: Vec<Range<usize>>,
    /// What is evaluated but not to be seen in `masked`: byte ranges of the file, in order. Branches of conditionals that had to be blanked, code
    /// in a macro's arguments, operands of inline assembly.
    /// What is asked about the whole function (whether an address is taken, say) must be asked of this text too.
    pub hidden: Vec<Range<usize>>,
    /// Whether the preprocessor lines are still in `masked`.
    pub plain: bool,
}

impl Syntax {
    /// Whether the function has ERROR or MISSING nodes: then it is not edited.
    pub fn has_error(&self) -> bool {
        self.tree.root_node().has_error()
    }

    /// The offending place, as an offset in the file, when `has_error`.
    pub fn first_error(&self) -> Option<usize> {
        let mut node = self.tree.root_node();
        if !node.has_error() {
            return None;
        }
        while !node.is_error() && !node.is_missing() {
            let mut cursor = node.walk();
            let inner = node
                .children(&mut cursor)
                .find(|child| child.has_error() || child.is_missing());
            match inner {
                Some(child) => node = child,
                None => break,
            }
        }
        Some(self.base + node.start_byte())
    }
}

/// Masks (by the built-in idioms) and parses `span` of `text`.
///
/// # Panics
/// When `span` does not lie in `text`: it belongs to another text.
pub fn parse(text: &[u8], span: &FunctionSpan) -> Syntax {
    parse_with(text, span, Idioms::builtin())
}

/// As [`parse`], with a table of idioms.
///
/// # Panics
/// When `span` does not lie in `text`.
pub fn parse_with(text: &[u8], span: &FunctionSpan, idioms: &Idioms) -> Syntax {
    let base = span.range.start;
    let mut source = text[span.range.clone()].to_vec();
    let lines = lex::strip_dead(&mut source);
    let Masked {
        text: masked,
        hidden,
    } = idioms.mask(&source);
    let tree = tree(&masked);
    let shift = |ranges: Vec<Range<usize>>| {
        ranges
            .into_iter()
            .map(|r| r.start + base..r.end + base)
            .collect()
    };
    if tree.root_node().has_error() && !lines.is_empty() {
        for keep in [conditional::Keep::First, conditional::Keep::Last] {
            // Masked again from the start: what lies on both sides of a line is now in one piece.
            let flat = conditional::flatten(&source, &lines, keep);
            let again = idioms.mask(&flat.text);
            let tree = self::tree(&again.text);
            if !tree.root_node().has_error() {
                let barriers = conditional::barriers(&flat, &again.text, &tree);
                let mut hidden = again.hidden;
                hidden.extend(flat.hidden);
                hidden.sort_by_key(|h| h.start);
                return Syntax {
                    base,
                    masked: again.text,
                    tree,
                    directives: shift(barriers),
                    hidden: shift(hidden),
                    plain: false,
                };
            }
        }
    }
    Syntax {
        base,
        masked,
        tree,
        directives: shift(lines),
        hidden: shift(hidden),
        plain: true,
    }
}

/// Parses `masked` with this thread's parser.
fn tree(masked: &[u8]) -> tree_sitter::Tree {
    thread_local! {
        static PARSER: RefCell<tree_sitter::Parser> = RefCell::new({
            let mut parser = tree_sitter::Parser::new();
            parser.set_language(&tree_sitter_c::LANGUAGE.into()).expect("the grammar fits the library it is built with");
            parser
        });
    }
    PARSER.with_borrow_mut(|parser| {
        parser
            .parse(masked, None)
            .expect("a parser with a language and no time limit ends")
    })
}
