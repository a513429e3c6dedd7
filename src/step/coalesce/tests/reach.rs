//! What an access can reach: through macros, casts, pointers and names that hide others.

use super::{CoalesceStep, blocked, codes, joined, rewrite};

#[test]
fn macros_reach_locals_and_each_other() {
    blocked("#define REG (v + 1)", "v = inb(p); outb(1, REG);");
    blocked("#define ADD(x) (v + (x))", "v = inb(p); outb(ADD(1), p);");
    blocked("#define ALIAS status", "status = inb(p); outb(ALIAS, p);");
    blocked(
        "#define GET(o, f) ((o)->f)",
        "d->a = inb(p); outb(GET(o, a), p);",
    );
    blocked("#define AT ((u8)*q)", "d->a = inb(p); outb(AT, p);");
    joined("#define REG (w + 1)", "v = inb(p); outb(1, REG);");
    joined(
        "#define COMMAND 7\n#define SLOT (COMMAND + 1)",
        "*q = inb(p); outb(COMMAND, SLOT);",
    );
}

#[test]
fn macros_that_act_are_seen() {
    blocked("#define STATUS inb(0x1f7)", "outb(1, p); outb(STATUS, p);");
    blocked(
        "#define WAIT outb(0, 0x80)",
        "outb(1, p); WAIT; outb(2, p);",
    );
    blocked("", "outb(1, p); SLOW_DOWN_IO; outb(2, p);");
    blocked(
        "#define STATUS (hw->read(hw))",
        "outb(1, p); outb(STATUS, p);",
    );
    blocked(
        "#define STATUS (*reader)(p)",
        "outb(1, p); outb(STATUS, p);",
    );
    blocked("#define GET inb", "outb(1, p); v = GET(p); outb(2, p);");
    joined("#define LOW(x) ((u8)(x))", "outb(LOW(v), p); outb(2, p);");
    joined(
        "#define LOW(x) ((ushort)(ulong)(x))",
        "outw(LOW(v), p); outb(2, p);",
    );
    joined("#define SIZE _AC(64, UL)", "outb(SIZE, p); outb(2, p);");
}

#[test]
fn macros_that_take_addresses_expose() {
    let body = "u8 *x = ADDR(v); v = inb(p); outb(*x, p);";
    blocked("#define ADDR(x) (&(x))", body);
    blocked("#define INNER(x) &(x)\n#define ADDR(x) INNER(x)", body);
    joined(
        "#define ADDR(x) (&(x)->y)",
        "u8 *x = ADDR(d); v = inb(p); outb(*x, p);",
    );
}

#[test]
fn a_structure_is_its_members() {
    let head = "struct s { u8 a; };";
    blocked(
        head,
        "struct s t; struct s u; t.a = inb(p); u = t; outb(1, p); done(u.a);",
    );
    blocked(
        head,
        "struct s t; t.a = inb(p); struct s u = t; outb(1, p); done(u.a);",
    );
    blocked(
        head,
        "struct s t[2]; struct s *u = &global; t[0].a = inb(p); t[0] = *u; outb(1, p);",
    );
}

#[test]
fn exposed_locals_may_be_members_elsewhere() {
    blocked(
        "",
        "u32 x = 1; struct dev *m = (struct dev *)&x; m->a = inb(p); outl(x, p);",
    );
}

#[test]
fn casts_that_look_like_arithmetic() {
    blocked("", "d->a = inb(p); outb((u8)*q, p);");
    blocked("", "long x = (long)&v; v = inb(p); outb(*(u8 *)x, p);");
    joined("", "v = (u8)(inb(p) & 1); w = (u8)(inb(p) >> 1);");
}

#[test]
fn a_name_that_hides_another_is_another() {
    blocked(
        "static u8 g;",
        "g = inb(p); outb(*q, p); if (w) { u8 g = 1; done(g); }",
    );
    blocked("static u8 g;", "g = inb(p); u8 g = 1; outb(g, p); done(g);");
}

#[test]
fn pure_functions_may_look_at_memory() {
    let step = CoalesceStep {
        pure: vec!["sum".into()],
        ..CoalesceStep::default()
    };
    let source = "void f(struct dev *d, int p)\n{\n\td->a = inb(p);\n\toutb(sum(d), p);\n}\n";
    assert_eq!(rewrite(&step, None, source).0, None);
}

#[test]
fn the_value_of_a_statement_expression_stays() {
    blocked("", "v = ({ outb(1, p); inb(p); });");
}

#[test]
fn an_array_size_is_read() {
    blocked("", "u8 n = inb(p); u8 m = inb(p); u8 b[n]; done(b, m);");
}

#[test]
fn an_accessor_of_another_kind_is_left_alone() {
    for (before, parameter) in [
        (
            "static inline void outl(u32 v, int p)\n{\n\tmm_write(p, v);\n}\n",
            "",
        ),
        ("#define outl(v, p) mm_write(p, v)\n", ""),
        ("", "void (*outl)(u32, int), "),
    ] {
        let source =
            format!("{before}void f({parameter}int p)\n{{\n\toutl(1, p);\n\toutl(2, p);\n}}\n");
        let (text, sites) = rewrite(&CoalesceStep::default(), None, &source);
        assert_eq!(
            (text, codes(&sites)),
            (None, vec!["name-taken"]),
            "{source}"
        );
    }
}

#[test]
fn a_macro_may_not_mean_our_names() {
    let source = "#define PORT(x) (io_len + (x))\nvoid f(void)\n{\n\toutb(1, PORT(0));\n\toutb(2, PORT(1));\n}\n";
    assert_eq!(rewrite(&CoalesceStep::default(), None, source).0, None);
}

#[test]
fn volatile_members_and_globals_are_not_moved() {
    let head = "struct d { volatile int done; };\nstatic volatile int flag;\n";
    for operand in ["d->done", "flag", "jiffies"] {
        let source = format!(
            "{head}int f(struct d *d, int p)\n{{\n\tint v;\n\n\toutb(1, p);\n\tv = {operand};\n\toutb(2, p);\n\treturn v;\n}}\n"
        );
        let (text, sites) = rewrite(&CoalesceStep::default(), None, &source);
        assert_eq!((text, codes(&sites)), (None, vec!["volatile"]), "{operand}");
    }
}

#[test]
fn an_attribute_stays_with_its_declaration() {
    let source = "int f(int p)\n{\n\tu8 a __attribute__((unused)) = inb(p);\n\tu8 b = inb(p);\n\n\treturn b;\n}\n";
    let (text, sites) = rewrite(&CoalesceStep::default(), None, source);
    assert_eq!((text, codes(&sites)), (None, vec!["declaration"]));
}

#[test]
fn code_nested_without_end_is_reported() {
    let deep = format!("{}1{}", "(".repeat(60_000), ")".repeat(60_000));
    let source = format!("void f(int p)\n{{\n\toutb({deep}, p);\n\toutb(2, p);\n}}\n");
    let (text, sites) = rewrite(&CoalesceStep::default(), None, &source);
    assert_eq!((text, codes(&sites)), (None, vec!["parse-error"]));
}
