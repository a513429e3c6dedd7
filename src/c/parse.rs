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

    /// The offending place, as an offset in the file: what the parser did not understand, or where code is nested so deeply
    /// that walking it could exhaust the stack.
    pub fn first_error(&self) -> Option<usize> {
        if let Some(at) = too_deep(&self.tree) {
            return Some(self.base + at);
        }
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

/// Deeper than any code that people write; walks of the tree recurse.
const MAX_DEPTH: usize = 400;

/// Where the tree is nested too deeply, if it is.
fn too_deep(tree: &tree_sitter::Tree) -> Option<usize> {
    if tree.root_node().descendant_count() <= MAX_DEPTH {
        return None;
    }
    let mut cursor = tree.walk();
    loop {
        if cursor.depth() as usize > MAX_DEPTH {
            return Some(cursor.node().start_byte());
        }
        if cursor.goto_first_child() || cursor.goto_next_sibling() {
            continue;
        }
        loop {
            if !cursor.goto_parent() {
                return None;
            }
            if cursor.goto_next_sibling() {
                break;
            }
        }
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

#[cfg(test)]
mod tests {
    use super::super::functions::functions;
    use super::*;
    use proptest::prelude::*;

    fn one(text: &str) -> Syntax {
        let spans = functions(text.as_bytes());
        parse(text.as_bytes(), &spans[0])
    }

    fn texts<'t>(text: &'t str, ranges: &[Range<usize>]) -> Vec<&'t str> {
        ranges.iter().map(|r| &text[r.clone()]).collect()
    }

    #[test]
    fn offsets_are_the_files() {
        let text = "int a;\n/* x */\nint __init f(void)\n{\n\treturn g(1);\n}\n";
        let syntax = one(text);
        assert!(!syntax.has_error() && syntax.first_error().is_none());
        let at = text.find("g(1)").unwrap() - syntax.base;
        let node = syntax
            .tree
            .root_node()
            .descendant_for_byte_range(at, at + 4)
            .unwrap();
        assert_eq!(node.kind(), "call_expression");
    }

    #[test]
    fn errors_have_a_place() {
        let text = "int z;\nint f(void)\n{\n\tg();\n\tLOOK\n\tif (;\n}\n";
        let syntax = one(text);
        assert!(syntax.has_error());
        let at = syntax.first_error().unwrap();
        assert!(text[at..].starts_with("LOOK") || text[..at].contains("LOOK"));
    }

    #[test]
    fn whole_statements_under_conditionals_stay_plain() {
        let text = "void f(void)\n{\n\ta();\n#ifdef A\n\tb();\n#else\n\tc();\n#endif\n\td();\n}\n";
        let syntax = one(text);
        assert!(syntax.plain && !syntax.has_error());
        assert_eq!(
            texts(text, &syntax.directives),
            ["#ifdef A", "#else", "#endif"]
        );
    }

    #[test]
    fn dead_code_is_gone() {
        let text =
            "void f(void)\n{\n\ta();\n#if 0\n\t} don't {\n#ifdef B\n#endif\n#endif\n\td();\n}\n";
        let syntax = one(text);
        assert!(syntax.plain && !syntax.has_error() && syntax.hidden.is_empty());
        assert_eq!(texts(text, &syntax.directives), ["#if 0", "#endif"]);
        assert_eq!(syntax.masked.len(), text.trim_end().len());
    }

    #[test]
    fn a_statement_under_a_conditional_if_spoils_what_follows() {
        // Without A, `a(1)` hangs on the `if`.
        let text = "void f(void)\n{\n\tz();\n\tif (x)\n#ifdef A\n\t\tb();\n#endif\n\ta(1);\n\ta(2);\n\ta(3);\n}\n";
        let syntax = one(text);
        assert!(!syntax.plain && !syntax.has_error());
        assert_eq!(
            texts(text, &syntax.directives),
            ["if (x)\n#ifdef A\n\t\tb();\n#endif\n\ta(1);"]
        );
    }

    #[test]
    fn an_else_before_a_conditional_spares_the_block_behind() {
        let text = "void f(void)\n{\n#ifdef A\n\tif (x)\n\t\tb();\n\telse\n#endif\n\t{\n\t\ta(1);\n\t\ta(2);\n\t}\n}\n";
        let syntax = one(text);
        assert!(!syntax.has_error());
        // The block may be the `else` part: nothing may be moved across its brace.
        let barriers = texts(text, &syntax.directives);
        assert!(
            barriers.iter().any(|b| b.contains("#endif")),
            "{barriers:?}"
        );
        assert!(barriers.iter().any(|b| b.contains("{")), "{barriers:?}");
    }

    #[test]
    fn heads_in_two_branches() {
        let text = "void f(void)\n{\n#ifdef A\n\tif (x(&p)) {\n#else\n\tif (y) {\n#endif\n\t\ta(1);\n\t\ta(2);\n\t}\n\ta(3);\n}\n";
        let syntax = one(text);
        assert!(!syntax.plain && !syntax.has_error());
        assert_eq!(texts(text, &syntax.hidden), ["\n\tif (y) {\n"]);
        assert_eq!(
            texts(text, &syntax.directives),
            ["#ifdef A", "#else", "#endif"]
        );
    }

    #[test]
    fn alternatives_in_an_expression() {
        let text = "void f(void)\n{\n\ta(0);\n\tx = g(1,\n#ifdef A\n\t\t2);\n#else\n\t\t3);\n#endif\n\ta(1);\n\ta(2);\n}\n";
        let syntax = one(text);
        assert!(!syntax.has_error());
        let barrier = texts(text, &syntax.directives).concat();
        assert!(
            barrier.starts_with("x = g") && barrier.contains("#endif"),
            "{barrier}"
        );
        assert_eq!(texts(text, &syntax.hidden), ["\n\t\t3);\n"]);
    }

    #[test]
    fn lonely_lines_and_other_directives() {
        let text = "#ifdef A\nvoid f(int a)\n{\n#else\nvoid f(void)\n{\n#endif\n\tif (a)\n#define B 1\n\t\tb();\n\tc();\n}\n";
        let syntax = one(text);
        assert!(!syntax.has_error());
        assert!(
            texts(text, &syntax.directives)
                .iter()
                .any(|b| b.contains("#define B 1\n\t\tb();"))
        );
    }

    #[test]
    fn other_encodings_and_line_ends() {
        let text = b"int f(void)\r\n{\r\n\t/* \xe4 */\r\n\tp(\"\xff\");\r\n#ifdef A\r\n\tb();\r\n#endif\r\n}\r\n";
        let syntax = parse(text, &functions(text)[0]);
        assert!(!syntax.has_error());
        assert_eq!(&text[syntax.directives[1].clone()], b"#endif");
    }

    proptest! {
        #[test]
        fn never_panics(words in proptest::collection::vec(proptest::sample::select(vec![
            "{", "}", "(", ")", ";", "\n", "\n#if 0\n", "\n#ifdef A\n", "\n#else\n", "\n#endif\n", "\n#define X\n", "if (a) ", "else ", "g(1); ", "x = ",
            "1", "l: ", "case 1: ", "switch (a) {", "\"", "/*", "*/", "return "]), 0..40)) {
            let text = format!("void f(void) {{{}}}", words.concat());
            for span in functions(text.as_bytes()) {
                let syntax = parse(text.as_bytes(), &span);
                prop_assert_eq!(syntax.masked.len(), span.range.len());
                for range in syntax.directives.iter().chain(&syntax.hidden) {
                    prop_assert!(span.range.start <= range.start && range.end <= span.range.end);
                }
                prop_assert_eq!(syntax.first_error().is_some(), syntax.has_error());
            }
        }
    }
}
