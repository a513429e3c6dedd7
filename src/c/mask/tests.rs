use super::*;
use proptest::prelude::*;

/// What is left of `body` inside a function.
fn masked(body: &str) -> String {
    let text = format!("void f(void) {{{body}}}");
    let out = String::from_utf8(mask(text.as_bytes())).unwrap();
    assert_eq!(out.len(), text.len());
    out["void f(void) {".len()..out.len() - 1].to_owned()
}

/// The same without runs of blanks, for long ones.
fn squeezed(body: &str) -> String {
    masked(body)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

fn hidden(body: &str) -> Vec<String> {
    let text = format!("void f(void) {{{body}}}");
    let masked = Idioms::builtin().mask(text.as_bytes());
    masked
        .hidden
        .into_iter()
        .map(|h| text[h].to_owned())
        .collect()
}

#[test]
fn attributes_vanish() {
    assert_eq!(
        masked("u8 __iomem *p; int a __maybe_unused;"),
        "u8         *p; int a               ;"
    );
    assert_eq!(
        squeezed("static __attribute__((used, aligned(4))) int x __aligned(8) = 1;"),
        "static int x = 1;"
    );
    assert_eq!(squeezed("x = (__force u32)y;"), "x = ( u32)y;");
    assert_eq!(
        squeezed("struct s *p __free(kfree) = g();"),
        "struct s *p = g();"
    );
    assert_eq!(
        squeezed("u8 * __iomem p; __maybe_unused int a;"),
        "u8 * p; int a;"
    );
}

#[test]
fn attribute_names_in_expressions_stay() {
    for body in [
        "p->__unused = 1;",
        "x = __free(p);",
        "__free(p);",
        "goto __section;",
        "g(__used, 1);",
        "if (x) { } __free(p); __free(q);",
        "(void) __free(p);",
        "x = a * __private(p) + __private(q);",
        "__private(p);",
    ] {
        assert_eq!(masked(body), body);
    }
}

#[test]
fn comments_and_literals_stay() {
    let body = " /* __iomem */ p(\"__init\"); // __user\n c = '\"'; __init x; ";
    assert_eq!(
        masked(body),
        " /* __iomem */ p(\"__init\"); // __user\n c = '\"';        x; "
    );
}

#[test]
fn types_as_arguments_become_words() {
    assert_eq!(
        masked("p = container_of(q, struct thing, list);"),
        "p = container_of(q,        thing, list);"
    );
    assert_eq!(
        masked("n = min_t(unsigned int, a, va_arg(v, int));"),
        "n = min_t(Unsigned_int, a, va_arg(v, Int));"
    );
    assert_eq!(
        masked("p = va_arg(v, const struct thing *); q = va_arg(v, t **);"),
        "p = va_arg(v,              thing  ); q = va_arg(v, t   );"
    );
    // Casts, sizeof, declarations and ordinary products are the parser's own business.
    for body in [
        "x = (unsigned int)y;",
        "x = sizeof(struct thing);",
        "int g(struct thing *a, int b);",
        "x = g(a * b, *c, a);",
    ] {
        assert_eq!(masked(body), body);
    }
}

#[test]
fn loop_macros_become_loops() {
    assert_eq!(
        masked("list_for_each_entry(p, &head, list) { g(p); }"),
        "while              (p, &head, list) { g(p); }"
    );
    assert_eq!(
        masked("for_each_it(p)\n\tif (p) g(p);"),
        "while      (p)\n\tif (p) g(p);"
    );
    assert_eq!(
        masked("EACH(p)\n\tg(p);"),
        "for(;;)\n\tg(p);",
        "a name too short keeps nothing but the loop"
    );
    assert_eq!(hidden("EACH(p)\n\tg(p);"), ["EACH(p)"]);
    assert_eq!(masked("if (x) walk_them() g();"), "if (x) for(;;    ) g();");
}

#[test]
fn calls_without_semicolon_before_a_brace() {
    assert_eq!(masked("TRACE(a) "), "TRACE(a);");
    assert_eq!(masked("TRACE(a)\n"), "TRACE();\n");
    assert_eq!(hidden("TRACE(a)\n"), ["a)"]);
    assert_eq!(
        masked("if (a) TRACE(b) else g();"),
        "if (a) TRACE(b);else g();"
    );
}

#[test]
fn code_in_arguments_is_hidden() {
    assert_eq!(
        masked("CHECK(a != 0, return -1;);"),
        "CHECK(a != 0            );"
    );
    assert_eq!(masked("DBG(int n;)\ng();"), "DBG(     );\ng();");
    assert_eq!(masked("DBG(unsigned char *p);"), "DBG(                );");
    assert_eq!(hidden("DBG(if (a) g(&a));"), ["if (a) g(&a)"]);
    assert_eq!(masked("g(a, b, (c));"), "g(a, b, (c));");
}

#[test]
fn labels_and_cases() {
    assert_eq!(masked("goto out; out:\n"), "goto out; ou:;\n");
    assert_eq!(masked("goto l; l : "), "goto l; l :;");
    assert_eq!(
        masked("switch (a) { case 0 ... 3: case 'a'...'z': default: }"),
        "switch (a) { case 0  +  3: case 'a' + 'z': default: }"
    );
    assert_eq!(masked("x = a ? b : c; {}"), "x = a ? b : c; {}");
}

#[test]
fn strings_and_pasting() {
    assert_eq!(
        masked("p(KERN_ERR fmt, a); p(KERN_ERR \"x\" PRI \"y\");"),
        "p(         fmt, a); p(         \"x\" PRI \"y\");"
    );
    assert_eq!(
        masked("p(\"x\" __stringify(A) \"y\"); p(STR(A) \"z\");"),
        "p(\"x\"                \"y\"); p(       \"z\");"
    );
    assert_eq!(masked("p(NAME VERSION \"x\");"), "p(     VERSION \"x\");");
    assert_eq!(
        masked("outb(1, REG(c, 13_RATE));"),
        "outb(1, REG(c, _3_RATE));"
    );
}

#[test]
fn assembly_is_opaque() {
    assert_eq!(
        squeezed(
            "__asm__ __volatile__(\"x %0\" : \"=r\" (a) :: \"memory\"); asm goto (A \"b\" : : : : l);"
        ),
        "asm (\"\" ); asm (\"\" );"
    );
    assert_eq!(hidden("asm(\"x\" : \"=r\" (a));").len(), 1);
}

#[test]
fn types_of_expressions_and_offsets() {
    assert_eq!(masked("typeof(*p) q = g(p);"), "typeof     q = g(p);");
    assert_eq!(
        masked("n = offsetof(struct s, a.b[i]);"),
        "n = offsetof(       s, a     );"
    );
}

#[test]
fn initialisers_are_no_statements() {
    let body = "static const int t[] = { A(1) B(2) };";
    assert_eq!(masked(body), body);
    assert_eq!(masked("static DEFINE_IT(x);"), "       DEFINE_IT(x);");
}

#[test]
fn user_tables() {
    let idioms = Idioms::with("blank = [\"VENDOR\"]\n[replace]\nMY_WHILE = \"while\"\n").unwrap();
    assert_eq!(
        idioms.mask(b"int VENDOR x __init;").text,
        b"int        x       ;"
    );
    for bad in [
        "blank = [\"a b\"]",
        "blank = [\"\"]",
        "nonsense = 1",
        "[replace]\nab = \"abc\"",
        "blank = 3",
    ] {
        assert!(Idioms::with(bad).is_err(), "{bad}");
    }
}

#[test]
fn line_ends_and_other_encodings_survive() {
    let text = b"int f(void)\r\n{\r\n\t__attribute__((\r\n\tx)) int a;\r\n#define __init \\\r\n __exit\r\n\tp(\"\xe4\xff\");\r\n}\r\n";
    let out = mask(text);
    assert_eq!(out.len(), text.len());
    assert!(out.windows(4).any(|w| w == b"\"\xe4\xff\""));
    assert!(out.windows(6).any(|w| w == b"__exit"));
    for (a, b) in text.iter().zip(&out) {
        assert_eq!(matches!(a, b'\r' | b'\n'), matches!(b, b'\r' | b'\n'));
    }
}

fn same_shape(text: &[u8]) -> Result<(), TestCaseError> {
    let masked = Idioms::builtin().mask(text);
    prop_assert_eq!(masked.text.len(), text.len());
    for (a, b) in text.iter().zip(&masked.text) {
        prop_assert_eq!(*a == b'\n', *b == b'\n');
        prop_assert_eq!(*a == b'\r', *b == b'\r');
    }
    for h in masked.hidden {
        prop_assert!(h.start <= h.end && h.end <= text.len());
    }
    Ok(())
}

/// Where there is no room in the line, nothing is put.
#[test]
fn lines_stay_where_they_are() {
    for text in ["asm\n:}", "{ out\n\t: }", "{ for_each\n\n\n\n(a) b(); }"] {
        same_shape(text.as_bytes()).unwrap();
    }
}

proptest! {
    #[test]
    fn shape_is_kept_on_any_bytes(text in proptest::collection::vec(any::<u8>(), 0..300)) {
        same_shape(&text)?;
    }

    #[test]
    fn shape_is_kept_on_c_like_noise(words in proptest::collection::vec(proptest::sample::select(vec![
        "{", "}", "(", ")", ";", ",", ":", "\n", "\r\n", " ", "\t", "*", "&", "...", "case ", "if", "else ", "return ", "static ", "asm", "volatile ",
        "typeof", "__attribute__", "__init ", "KERN_ERR ", "offsetof", "struct ", "unsigned ", "int", "name", "f(", "FOO(x)", "\"s\"", "'c'", "/*", "*/",
        "//", "#if 0\n", "\n#endif\n", "\n#else\n", "1_A", "0", "\\\n", "=", "[", "]", "->", "."]), 0..80)) {
        same_shape(words.concat().as_bytes())?;
    }
}
