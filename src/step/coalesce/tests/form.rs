//! What generated code looks like.

use super::{CoalesceStep, codes, rewrite, saved};
use crate::c::headers::Headers;
use crate::step::coalesce::{AccessorSpec, Arg, Kind};

/// The rewritten function, without the file's head.
fn rewritten(step: &CoalesceStep, source: &str) -> String {
    let text = rewrite(step, None, source).0.expect("something to rewrite");
    text.replace("#include <linux/xkvm_io.h>\n", "")
}

#[test]
fn a_straight_run_takes_the_papers_form() {
    let source = "void f(int p)\n{\n\toutb(1, p); /* one */\n\n\t/* two */\n\toutw(2, p + 1);\n}\n";
    insta::assert_snapshot!(rewritten(&CoalesceStep::default(), source), @r"
    void f(int p)
    {
    	struct io_insn io_out[2];

    	IO_OUT(0, OUTB, 1, p); /* one */

    	/* two */
    	IO_OUT(1, OUTW, 2, p + 1);
    	xkvm_io_coalesce(io_out, 2);
    }
    ");
}

#[test]
fn branches_count_with_a_running_index() {
    let source = "void f(struct tf *tf, void *a)\n{\n\tint x = tf->x;\n\n\tif (x) {\n\t\tiowrite8(tf->a, a);\n\t\tiowrite8(tf->b, a);\n\t}\n\tif (tf->y)\n\t\tiowrite8(tf->c, a);\n\telse\n\t\tiowrite8(tf->d, a);\n}\n";
    insta::assert_snapshot!(rewritten(&CoalesceStep::default(), source), @r"
    void f(struct tf *tf, void *a)
    {
    	struct io_insn io_out[3];
    	unsigned int io_len = 0;
    	int x = tf->x;

    	if (x) {
    		IO_OUT(io_len++, IOWRITE8, tf->a, a);
    		IO_OUT(io_len++, IOWRITE8, tf->b, a);
    	}
    	if (tf->y)
    		IO_OUT(io_len++, IOWRITE8, tf->c, a);
    	else
    		IO_OUT(io_len++, IOWRITE8, tf->d, a);
    	xkvm_io_coalesce(io_out, io_len);
    }
    ");
}

#[test]
fn values_of_reads_are_handed_out_by_c_itself() {
    let source = "int f(struct tf *tf, int p)\n{\n\tu8 lo = inb(p);\n\tu8 hi = inb(p + 1);\n\n\ttf->bits = inw(p) >> 4;\n\ttf->n |= inb(p);\n\tinb(p);\n\treturn lo | hi << 8;\n}\n";
    insta::assert_snapshot!(rewritten(&CoalesceStep::default(), source), @r"
    int f(struct tf *tf, int p)
    {
    	struct io_insn io_out[5];
    	u8 lo;
    	u8 hi;

    	IO_IN(0, INB, p);
    	IO_IN(1, INB, p + 1);

    	IO_IN(2, INW, p);
    	IO_IN(3, INB, p);
    	IO_IN(4, INB, p);
    	xkvm_io_coalesce(io_out, 5);
    	lo = IO_VAL(0);
    	hi = IO_VAL(1);
    	tf->bits = (u16)IO_VAL(2) >> 4;
    	tf->n |= (u8)IO_VAL(3);
    	return lo | hi << 8;
    }
    ");
}

#[test]
fn conditional_reads_ask_their_stable_conditions_again() {
    let source = "#define A 1\n#define B 2\nvoid f(struct tf *tf, int p, u8 valid)\n{\n\tif (valid & A)\n\t\ttf->a = inb(p);\n\tif (valid & B) {\n\t\ttf->b = inb(p);\n\t\tinb(p);\n\t}\n}\n";
    insta::assert_snapshot!(rewritten(&CoalesceStep::default(), source), @r"
    #define A 1
    #define B 2
    void f(struct tf *tf, int p, u8 valid)
    {
    	struct io_insn io_out[3];
    	unsigned int io_len = 0;

    	if (valid & A)
    		IO_IN(io_len++, INB, p);
    	if (valid & B) {
    		IO_IN(io_len++, INB, p);
    		IO_IN(io_len++, INB, p);
    	}
    	xkvm_io_coalesce(io_out, io_len);
    	io_len = 0;
    	if (valid & A)
    		tf->a = IO_VAL(io_len++);
    	if (valid & B) {
    		tf->b = IO_VAL(io_len++);
    		io_len++;
    	}
    }
    ");
}

#[test]
fn a_guard_keeps_the_original() {
    let spec = AccessorSpec {
        call: "*->OUTB".into(),
        kind: Kind::Outb,
        args: vec![Arg::Value, Arg::Port],
        pausing: false,
        builtin: false,
    };
    let step = CoalesceStep {
        accessors: vec![],
        accessor: vec![spec],
        guard: Some("is_pio(hw)".into()),
        ..CoalesceStep::default()
    };
    let source = "void f(struct hw *hw, u64 b)\n{\n\thw->OUTB(b, R1);\n\thw->OUTB(b >>= 8, R2);\n\tdone(hw);\n}\n";
    insta::assert_snapshot!(rewritten(&step, source), @r"
    void f(struct hw *hw, u64 b)
    {
    	if (is_pio(hw)) {
    		struct io_insn io_out[2];

    		IO_OUT(0, OUTB, b, R1);
    		IO_OUT(1, OUTB, b >>= 8, R2);
    		xkvm_io_coalesce(io_out, 2);
    	} else {
    		hw->OUTB(b, R1);
    		hw->OUTB(b >>= 8, R2);
    	}
    	done(hw);
    }
    ");
}

#[test]
fn a_second_pass_finds_nothing() {
    let spec = AccessorSpec {
        call: "*->OUTB".into(),
        kind: Kind::Outb,
        args: vec![Arg::Value, Arg::Port],
        pausing: false,
        builtin: false,
    };
    let guarded = CoalesceStep {
        accessor: vec![spec],
        guard: Some("is_pio(hw)".into()),
        ..CoalesceStep::default()
    };
    for (step, source) in [
        (
            guarded,
            "void f(struct hw *hw)\n{\n\thw->OUTB(1, 2);\n\thw->OUTB(3, 4);\n}\n",
        ),
        (
            CoalesceStep::default(),
            "void f(int p)\n{\n\tint v;\n\n\toutb(1, p);\n\tv = inb(p);\n\tif (v)\n\t\toutb(2, p);\n\toutb(3, p);\n}\n",
        ),
    ] {
        let once = rewrite(&step, None, source)
            .0
            .expect("something to rewrite");
        let (twice, sites) = rewrite(&step, None, &once);
        assert_eq!(twice, None, "{once}\n{sites:?}");
    }
}

#[test]
fn arrays_do_not_hide_each_other() {
    let source = "void f(int p, int x)\n{\n\toutb(1, p);\n\toutb(2, p);\n\tif (x) {\n\t\toutb(1, p);\n\t\toutb(2, p);\n\t\toutb(3, p);\n\t\treturn;\n\t}\n}\n";
    let text = rewritten(&CoalesceStep::default(), source);
    assert_eq!(
        text.matches("struct io_insn io_out[3];").count(),
        1,
        "{text}"
    );
    assert_eq!(text.matches("struct io_insn").count(), 1, "{text}");
}

#[test]
fn two_on_a_line_labels_and_switches_keep_their_meaning() {
    let source = "void f(int p, int z)\n{\nagain:\n\tif (p)\n\t\toutb(1, p);\n\toutb(2, p);\n\tswitch (p) {\n\tcase 1: outb(1, p); outb(2, p); break;\n\t}\n\tif (z)\n\t\tgoto again;\n}\n";
    insta::assert_snapshot!(rewritten(&CoalesceStep::default(), source), @r"
    void f(int p, int z)
    {
    	struct io_insn io_out[2];
    	unsigned int io_len;

    again:
    	io_len = 0;
    	if (p)
    		IO_OUT(io_len++, OUTB, 1, p);
    	IO_OUT(io_len++, OUTB, 2, p);
    	xkvm_io_coalesce(io_out, io_len);
    	switch (p) {
    	case 1: IO_OUT(0, OUTB, 1, p);
    		IO_OUT(1, OUTB, 2, p);
    		xkvm_io_coalesce(io_out, 2);
    		break;
    	}
    	if (z)
    		goto again;
    }
    ");
}

#[test]
fn bytes_that_are_no_utf8_and_crlf_survive() {
    let source =
        b"void f(int p)\r\n{\r\n\tint a;\r\n\r\n\toutb(1, p); /* \xe9 */\r\n\toutb(2, p);\r\n}\r\n";
    let step = super::Compiled::new(&CoalesceStep::default()).unwrap();
    let (text, _) = super::run(&step, "x.c", source, super::alone(&Headers::default()));
    let text = text.unwrap();
    assert!(text.windows(5).any(|w| w == b"/* \xe9 "));
    let head = memchr::memmem::find(&text, b"void").unwrap();
    let lone = text[head..]
        .windows(2)
        .any(|w| w[1] == b'\n' && w[0] != b'\r');
    assert!(!lone, "{}", String::from_utf8_lossy(&text));
}

#[test]
fn neighbours_left_alone_are_explained() {
    let source = "void f(int p)\n{\n\toutb(1, p);\n\tudelay(1);\n\toutb(2, p);\n\tudelay(1);\n\toutb(3, p);\n}\n";
    let (text, sites) = rewrite(&CoalesceStep::default(), None, source);
    assert_eq!((text, saved(&sites)), (None, 0));
    assert_eq!(codes(&sites), ["call"]);
    assert_eq!((sites[0].line, sites[0].ops), (3, 3));
}
