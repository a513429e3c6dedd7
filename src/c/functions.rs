//! Cutting a C file into its function definitions without parsing it.
//!
//! One pass over the bytes: brace matching outside comments, literals and preprocessor lines. The state is saved at `#if` and restored at `#else`,
//! so that branches which each open (or close) the same block count once. What `#if 0` hides is dead code and yields nothing.

use std::ops::Range;

use super::lex::{self, Directive};

/// Where one function definition lies in its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionSpan {
    /// The function's name: the identifier before the parameter list (the macro's name for `SYSCALL_DEFINE3(…)` and its like).
    pub name: String,
    /// From the first byte of its specifiers to just after the closing brace.
    pub range: Range<usize>,
    /// From the opening brace to just after the closing one.
    pub body: Range<usize>,
}

/// The function definitions of `text`, in order.
///
/// A function whose body is closed in several branches of an `#if` reaches to the last of them.
/// A closing brace in column 0 always ends the function, so that one unbalanced body does not swallow the rest of the file.
pub fn functions(text: &[u8]) -> Vec<FunctionSpan> {
    Cutter {
        text,
        state: State::default(),
        saved: Vec::new(),
        found: Vec::new(),
    }
    .run()
}

/// Words before a parenthesis that never are a function's name.
const ATTRIBUTES: &[&[u8]] = &[
    b"__attribute__",
    b"__attribute",
    b"__printf",
    b"__scanf",
    b"__acquires",
    b"__releases",
    b"__acquire",
    b"__release",
    b"__must_hold",
    b"__cond_acquires",
    b"__cond_lock",
    b"__section",
    b"__aligned",
    b"__alloc_size",
    b"__assume_aligned",
    b"__no_sanitize",
    b"__asm__",
    b"asm",
    b"__declspec",
    b"__typeof__",
    b"typeof",
    b"__nonnull",
    b"__alias",
    b"__target",
    b"__malloc",
    b"__realloc_size",
    b"__diagnose_as",
    b"__counted_by",
    b"_Alignas",
    b"__context__",
    b"if",
    b"while",
    b"for",
    b"switch",
    b"return",
    b"sizeof",
    b"__bpf_kfunc",
    b"__releases_shared",
    b"__acquires_shared",
    b"__flatten",
];

/// A word with a parenthesised group behind it, at file level.
#[derive(Clone, Copy, Default)]
struct Group {
    name: (usize, usize),
    open: usize,
    close: usize,
    /// Ordinary words between the previous group and this one's name.
    words: usize,
}

/// What has been read of the present file-level declaration.
#[derive(Clone, Copy, Default)]
struct Decl {
    start: Option<usize>,
    word: Option<(usize, usize)>,
    /// The last token was a closing parenthesis.
    closed: bool,
    groups: [Group; 6],
    count: usize,
    words: usize,
    assigned: bool,
    typedef: bool,
    /// `struct`, `union` or `enum` was seen after the last group.
    aggregate: bool,
    linkage: bool,
}

#[derive(Clone, Copy)]
struct Open {
    name: (usize, usize),
    start: usize,
    body: usize,
}

#[derive(Clone, Copy, Default)]
struct State {
    braces: usize,
    parens: usize,
    decl: Decl,
    /// A declaration that may turn out to be an old-style function's head.
    old_style: Option<Decl>,
    function: Option<Open>,
}

struct Cutter<'t> {
    text: &'t [u8],
    state: State,
    saved: Vec<State>,
    found: Vec<FunctionSpan>,
}

/// Bytes that mean something inside a body.
const STOPS: [bool; 256] = {
    let mut table = [false; 256];
    let stops = b"{}\"'/#";
    let mut i = 0;
    while i < stops.len() {
        table[stops[i] as usize] = true;
        i += 1;
    }
    table
};

impl Cutter<'_> {
    fn run(mut self) -> Vec<FunctionSpan> {
        let t = self.text;
        let mut i = 0;
        while i < t.len() {
            if self.state.braces > 0 {
                match t[i..].iter().position(|b| STOPS[*b as usize]) {
                    Some(n) => i += n,
                    None => break,
                }
            }
            match t[i] {
                b'"' => {
                    let end = lex::literal_end(t, i);
                    if self.state.braces == 0 && self.state.parens == 0 {
                        self.token(i);
                        self.state.decl.linkage |= &t[i..end] == b"\"C\"";
                    }
                    i = end;
                }
                b'\'' => i = lex::literal_end(t, i),
                b'/' => i = lex::comment_end(t, i).unwrap_or(i + 1),
                b'#' if lex::at_line_start(t, i) => i = self.directive(i),
                b'{' => {
                    self.open_brace(i);
                    i += 1;
                }
                b'}' => {
                    self.close_brace(i);
                    i += 1;
                }
                _ if self.state.braces > 0 => i += 1,
                b if lex::is_word(b) => {
                    let end = lex::word_end(t, i);
                    if self.state.parens == 0 {
                        self.word(i, end);
                    }
                    i = end;
                }
                b => {
                    self.punctuation(b, i);
                    i += 1;
                }
            }
        }
        self.found
    }

    /// Handles the preprocessor line at `i`; returns where to go on.
    fn directive(&mut self, i: usize) -> usize {
        let end = lex::directive_end(self.text, i).max(i + 1);
        match lex::directive(&self.text[i..end]) {
            Directive::If { dead } => {
                self.saved.push(self.state);
                if dead {
                    return lex::dead_end(self.text, end);
                }
            }
            Directive::Else => {
                if let Some(state) = self.saved.last() {
                    self.state = *state;
                }
            }
            Directive::Endif => {
                self.saved.pop();
            }
            Directive::Other => {}
        }
        end
    }

    fn token(&mut self, i: usize) {
        self.state.decl.start.get_or_insert(i);
        self.state.decl.word = None;
        self.state.decl.closed = false;
    }

    fn word(&mut self, i: usize, end: usize) {
        self.token(i);
        let decl = &mut self.state.decl;
        match &self.text[i..end] {
            b"struct" | b"union" | b"enum" => decl.aggregate = true,
            b"typedef" => decl.typedef = true,
            _ => {}
        }
        decl.word = Some((i, end));
        decl.words += 1;
    }

    fn punctuation(&mut self, b: u8, i: usize) {
        match b {
            b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c | b'\\' => {}
            b'(' => self.open_paren(i),
            b')' => {
                self.state.parens = self.state.parens.saturating_sub(1);
                if self.state.parens == 0 {
                    let decl = &mut self.state.decl;
                    if let Some(group) = decl
                        .count
                        .checked_sub(1)
                        .and_then(|n| decl.groups.get_mut(n))
                        && group.close == 0
                    {
                        group.close = i + 1;
                    }
                    decl.word = None;
                    decl.closed = true;
                }
            }
            _ if self.state.parens > 0 => {}
            b';' => {
                let decl = std::mem::take(&mut self.state.decl);
                if decl.count > 0 && decl.words > 0 && !decl.assigned && !decl.typedef {
                    self.state.old_style = Some(decl);
                } else if decl.count > 0 || decl.assigned || decl.typedef {
                    self.state.old_style = None;
                }
            }
            b'=' => {
                self.token(i);
                self.state.decl.assigned = true;
            }
            _ => self.token(i),
        }
    }

    fn open_paren(&mut self, i: usize) {
        self.state.parens += 1;
        if self.state.parens > 1 {
            return;
        }
        let text = self.text;
        let decl = &mut self.state.decl;
        decl.start.get_or_insert(i);
        if decl.closed && decl.count > 0 {
            // `int (*get(int x))(void)`: the group before was the declarator.
            let group = &mut decl.groups[decl.count - 1];
            if group.close > 0
                && let Some(name) = declared_name(text, group.open + 1..group.close - 1)
            {
                group.name = name;
            }
        } else if let Some(word) = decl.word
            && !ATTRIBUTES.contains(&&text[word.0..word.1])
        {
            // A declaration with more groups than fit keeps its last ones.
            if decl.count == decl.groups.len() {
                decl.groups.rotate_left(1);
                decl.count -= 1;
            }
            decl.groups[decl.count] = Group {
                name: word,
                open: i,
                close: 0,
                words: decl.words,
            };
            decl.count += 1;
            decl.words = 0;
            decl.aggregate = false;
        } else if decl.word.is_some() {
            // The word was an attribute: it is no part of a type.
            decl.words = decl.words.saturating_sub(1);
        }
    }

    fn open_brace(&mut self, i: usize) {
        if self.state.braces == 0 {
            if self.state.parens > 0 {
                return;
            }
            let decl = std::mem::take(&mut self.state.decl);
            let old_style = self.state.old_style.take();
            if decl.linkage && decl.count == 0 {
                return;
            }
            self.state.function = match old_style {
                Some(head) if decl.start.is_none() => head.function(self.text, i),
                _ if decl.aggregate => None,
                _ => decl.function(self.text, i),
            };
        }
        self.state.braces += 1;
    }

    fn close_brace(&mut self, i: usize) {
        let column_0 = i == 0 || self.text[i - 1] == b'\n';
        if self.state.braces == 0 {
            if column_0 || self.state.parens == 0 {
                self.state.parens = 0;
                self.state.decl = Decl::default();
            }
            return;
        }
        self.state.braces = if column_0 { 0 } else { self.state.braces - 1 };
        if self.state.braces > 0 {
            return;
        }
        self.state.parens = 0;
        self.state.decl = Decl::default();
        let Some(open) = self.state.function.take() else {
            return;
        };
        if let Some(last) = self.found.last_mut()
            && last.body.start == open.body
        {
            last.range.end = i + 1;
            last.body.end = i + 1;
            return;
        }
        self.found.push(FunctionSpan {
            name: String::from_utf8_lossy(&self.text[open.name.0..open.name.1]).into_owned(),
            range: open.start..i + 1,
            body: open.body..i + 1,
        });
    }
}

impl Decl {
    /// The function this declaration is the head of, given the offset of the brace that follows it.
    fn function(&self, text: &[u8], body: usize) -> Option<Open> {
        if self.assigned || self.typedef || self.count == 0 {
            return None;
        }
        // `EXPORT_SYMBOL(a)` or `__setup(…)` without a semicolon, then `static int f(int a)`: two words or more between the groups make a new declaration.
        let groups = &self.groups[..self.count];
        let parameters = (1..groups.len())
            .rev()
            .find(|n| groups[*n].words >= 2)
            .unwrap_or(0);
        let start = match parameters.checked_sub(1) {
            Some(previous) => lex::skip_invisible(text, groups[previous].close),
            None => self.start?,
        };
        Some(Open {
            name: groups[parameters].name,
            start,
            body,
        })
    }
}

/// The declared identifier of a parenthesised declarator such as `*get(int x)` or `*handler[2]`.
fn declared_name(t: &[u8], range: Range<usize>) -> Option<(usize, usize)> {
    let mut name = None;
    let mut i = range.start;
    while i < range.end {
        if lex::is_word(t[i]) {
            let end = lex::word_end(t, i).min(range.end);
            name = Some((i, end));
            i = end;
        } else if t[i] == b'(' && name.is_some() {
            break;
        } else {
            i += 1;
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names(text: &str) -> Vec<String> {
        functions(text.as_bytes())
            .into_iter()
            .map(|f| f.name)
            .collect()
    }

    fn heads(text: &str) -> Vec<&str> {
        functions(text.as_bytes())
            .into_iter()
            .map(|f| &text[f.range.start..f.body.start])
            .collect()
    }

    #[test]
    fn finds_plain_definitions_only() {
        let text = "/* int no(void) { */\nstatic inline int one(int a)\n{\n\treturn '{' + \"}\"[0];\n}\nint proto(void);\n\
                    struct s { int (*call)(int); };\nstatic struct s table[] = { { .call = one }, };\nenum e { A, B };\n\
                    union u {\n\tint a;\n};\nvoid __attribute__((weak)) two(void (*cb)(int, char),\n\t\tint x) { cb(x, 'a'); }\n";
        assert_eq!(names(text), ["one", "two"]);
        assert_eq!(heads(text)[0], "static inline int one(int a)\n");
        assert!(heads(text)[1].starts_with("void __attribute__"));
    }

    #[test]
    fn names_macro_made_functions_after_the_macro() {
        assert_eq!(
            names("SYSCALL_DEFINE3(put, int, a, int, b)\n{\n}\nDEFINE_X(q) { }\n"),
            ["SYSCALL_DEFINE3", "DEFINE_X"]
        );
        assert_eq!(names("static DEFINE_X(q) = { 1 };\n"), [""; 0]);
    }

    #[test]
    fn attributes_are_not_names() {
        let text = "static __printf(1, 2) int f(int a, ...) __acquires(lock) { }\nint g(int a)\n__releases(a) { }";
        assert_eq!(names(text), ["f", "g"]);
        assert!(heads(text)[0].starts_with("static __printf"));
    }

    #[test]
    fn macros_without_semicolon_stay_outside() {
        let text = "EXPORT_IT(old)\n/* about f */\n#define X 1\nstatic int f(void) { }\nEXPORT_IT(f)\nstruct t { int a; };";
        assert_eq!(heads(text), ["static int f(void) "]);
        assert_eq!(names(text), ["f"]);
    }

    #[test]
    fn old_style_heads() {
        let text =
            "int f(a, b)\n\tint a;\n\tstruct s *b;\n{ return a; }\nint p(int);\nint q = 1;\n{ }\n";
        assert_eq!(heads(text), ["int f(a, b)\n\tint a;\n\tstruct s *b;\n"]);
    }

    #[test]
    fn declarators_in_parentheses() {
        assert_eq!(
            names("static int (*pick(int n))(void) { }\nint (plain)(int a) { }"),
            ["pick", "plain"]
        );
    }

    #[test]
    fn branches_that_open_one_block_count_once() {
        let text = "int f(void)\n{\n#ifdef A\n\tif (a) {\n#elif B\n\tif (b) {\n#else\n\t{\n#endif\n\t}\n}\nint g(void) { }\n";
        assert_eq!(names(text), ["f", "g"]);
        let text = "#ifdef A\nint f(int a)\n#else\nint f(void)\n#endif\n{\n}\nint g(void)\n{\n#ifdef A\n}\n#else\n\tx();\n}\n#endif\nint h(void) { }";
        assert_eq!(names(text), ["f", "g", "h"]);
        let g = &functions(text.as_bytes())[1];
        assert!(text[g.range.clone()].ends_with("x();\n}"));
    }

    #[test]
    fn dead_code_is_skipped() {
        let text = "#if 0\nint f(void) { don't }}}\n#if X\n#else\n#endif\n#else\nint g(void) {\n#if 0 /* no */\n } }\n#endif\n}\n#endif\nint h(void) { }";
        assert_eq!(names(text), ["g", "h"]);
    }

    #[test]
    fn column_0_brace_resyncs() {
        assert_eq!(
            names("int f(void)\n{\n\tif (a) {\n}\nint g(void)\n{\n}\n"),
            ["f", "g"]
        );
        assert_eq!(
            names("MACRO((a)\nint f(void)\n{\n}\nint g(void)\n{\n}\n"),
            ["g"]
        );
    }

    #[test]
    fn linkage_blocks_are_transparent() {
        assert_eq!(
            names("extern \"C\" {\nint f(void) { }\n}\nint g(void) { }"),
            ["f", "g"]
        );
    }

    #[test]
    fn directives_hide_braces_and_continue() {
        let text = "#define A(x) { \\\r\n\tdo { \\\r\n\r\nint f(void)\r\n{\r\n#error don't {\r\n#define B /* { \r\n { */ {\r\n}\r\n";
        assert_eq!(names(text), ["f"]);
    }

    #[test]
    fn other_encodings_pass() {
        let text = b"/* J\xf6rg */ int f(void) { p(\"\xe4{\"); }";
        assert_eq!(functions(text)[0].body.end, text.len());
    }

    proptest! {
        #[test]
        fn never_panics_and_stays_inside(text in proptest::collection::vec(any::<u8>(), 0..400)) {
            for f in functions(&text) {
                prop_assert!(f.range.start <= f.body.start && f.body.end == f.range.end && f.range.end <= text.len());
            }
        }

        #[test]
        fn never_panics_on_c_like_noise(words in proptest::collection::vec(
            proptest::sample::select(vec!["{", "}", "(", ")", ";", "\n", "#if 0\n", "#if A\n", "#else\n", "#endif\n", "\n}", "int ", "f",
                "\"", "'", "/*", "*/", "//", "\\\n", "=", "struct ", "#define ", "extern \"C\" ", ","]), 0..60)) {
            let text = words.concat();
            for f in functions(text.as_bytes()) {
                prop_assert_eq!(text.as_bytes()[f.body.start], b'{');
                prop_assert_eq!(text.as_bytes()[f.body.end - 1], b'}');
            }
        }
    }
}
