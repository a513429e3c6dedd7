//! Operations stay in order, and what is asked twice answers the same.

use super::{CoalesceStep, blocked, joined, rewrite};
use crate::step::coalesce::{AccessorSpec, Arg, Kind};

#[test]
fn entries_keep_their_order_around_declarations() {
    blocked("", "outb(1, p); u8 a = inb(p); done(a);");
    blocked("", "inb(p); u8 a = inb(p); done(a);");
    blocked("", "u8 a = inb(p); v = 1; u8 b = inb(p); done(a, b);");
    joined(
        "",
        "u8 a = inb(p); int n = 1; u8 b = inb(p); done(a, b, n);",
    );
}

#[test]
fn a_later_declaration_does_not_delay_an_earlier_read() {
    let source = "void f(int p, int c)\n{\n\tu8 a = inb(p);\n\n\tif (c)\n\t\tinb(p + 1);\n\tint k = 3;\n\tinb(p + k);\n\tdone(a);\n}\n";
    let text = rewrite(&CoalesceStep::default(), None, source)
        .0
        .expect("a run");
    assert!(
        text.find("IO_IN(io_len++, INB, p);") < text.find("if (c)"),
        "{text}"
    );
}

#[test]
fn conditions_of_reads_do_not_change_under_way() {
    blocked("", "if (v) { v = 0; d->a = inb(p); } d->b = inb(p);");
    blocked("", "if (v) inb(p); v = 0; d->b = inb(p);");
    blocked("", "if (d->x) inb(p); d->b = inb(p);");
    joined("", "if (v) inb(p); w = 0; d->b = inb(p);");
}

#[test]
fn the_guard_holds_for_the_whole_run() {
    let step = CoalesceStep {
        accessors: vec![],
        accessor: vec![AccessorSpec {
            call: "hw->OUTB".into(),
            kind: Kind::Outb,
            args: vec![Arg::Value, Arg::Port],
            pausing: false,
            builtin: false,
        }],
        guard: Some("!hw->mmio".into()),
        ..CoalesceStep::default()
    };
    let source =
        "void f(struct hw *hw)\n{\n\thw->OUTB(1, 2);\n\thw = next(hw);\n\thw->OUTB(3, 4);\n}\n"
            .replace("next(hw)", "hw + 1");
    assert_eq!(rewrite(&step, None, &source).0, None);
}

#[test]
fn each_branch_of_a_conditional_has_its_array() {
    let source = "void f(int p)\n{\n#ifdef A\n\tint x = 1;\n\n\toutb(1, p);\n\toutb(x, p);\n#else\n\tint y = 1;\n\n\toutb(1, p);\n\toutb(y, p);\n#endif\n}\n";
    let (text, _) = rewrite(&CoalesceStep::default(), None, source);
    let text = text.expect("two runs");
    assert_eq!(text.matches("struct io_insn").count(), 2, "{text}");
}

#[test]
fn a_second_step_does_not_declare_the_array_again() {
    let source = "void f(int p, void *q)\n{\n\toutb(1, p);\n\toutb(2, p);\n\twait();\n\tiowrite8(1, q);\n\tiowrite8(2, q);\n\tif (p)\n\t\tiowrite8(3, q);\n}\n";
    let mut text = source.to_owned();
    for table in ["port", "iomap"] {
        let step = CoalesceStep {
            accessors: vec![table.into()],
            ..CoalesceStep::default()
        };
        text = rewrite(&step, None, &text).0.unwrap_or(text);
    }
    assert_eq!(text.matches("struct io_insn io_out").count(), 1, "{text}");
}
