//! What the rewritten functions must show, so that the test does not become empty.

/// A name, how many of 1,000 rewritten functions at least show it, and how to see it in the original and the rewritten text.
pub type Feature = (&'static str, usize, fn(&str, &str) -> bool);

/// Whether a line hands out a value and has one of `words`.
fn handed(new: &str, words: &[&str]) -> bool {
    new.lines()
        .filter(|l| l.contains("IO_VAL("))
        .any(|l| words.iter().any(|w| l.contains(w)))
}

/// Whether a line records and has one of `words`.
fn recorded(new: &str, words: &[&str]) -> bool {
    new.lines()
        .filter(|l| l.contains("IO_OUT(") || l.contains("IO_IN("))
        .any(|l| words.iter().any(|w| l.contains(w)))
}

/// Whether a line between the records of one batch has one of `words`.
fn amid(new: &str, words: &[&str]) -> bool {
    let mut open = false;
    let mut seen = false;
    for line in new.lines() {
        if line.contains("xkvm_io_coalesce(") {
            (open, seen) = (false, false);
        } else if line.contains("IO_OUT(") || line.contains("IO_IN(") {
            if open && seen {
                return true;
            }
            open = true;
        } else {
            seen |= open && words.iter().any(|w| line.contains(w));
        }
    }
    false
}

fn has(text: &str, words: &[&str]) -> bool {
    words.iter().any(|w| text.contains(w))
}

/// All of them.
pub const FEATURES: &[Feature] = &[
    ("write", 500, |_, n| n.contains("IO_OUT(")),
    ("read", 500, |_, n| n.contains("IO_IN(")),
    ("a batch in conditions", 200, |_, n| {
        n.contains("(io_len++, ")
    }),
    ("values by conditions", 70, |_, n| {
        n.contains("IO_VAL(io_len++)")
    }),
    ("an else of conditions", 70, |_, n| {
        n.contains("\telse\n\t\tIO_")
            || n.contains("} else {\n\t\tIO_")
            || n.contains("\telse\n\t\t\tIO_")
    }),
    ("a parted declaration", 60, |_, n| {
        n.lines()
            .any(|l| l.contains("\td_") && l.contains("= ") && l.contains("IO_VAL("))
    }),
    ("compound assignment", 200, |_, n| {
        handed(n, &["|=", "-=", "+=", "^="])
    }),
    ("arithmetic around a read", 200, |_, n| {
        handed(n, &["(u8)IO_VAL", "(u16)IO_VAL", "(u32)IO_VAL"])
    }),
    ("a cast of a read", 15, |_, n| {
        handed(
            n,
            &[
                "(s8)IO_VAL",
                "(s16)IO_VAL",
                "(bool)IO_VAL",
                "(u64)IO_VAL",
                "(s32)IO_VAL",
            ],
        )
    }),
    ("bit-fields", 15, |_, n| {
        handed(n, &["->b3 ", "->b5 ", "->sb ", "->one "])
    }),
    ("unions", 30, |_, n| {
        handed(n, &["->ulo ", "->uw ", "un.word ", "un.part"])
    }),
    ("pointers that alias", 50, |_, n| {
        handed(n, &["\t*q ", "\t*r ", "\tq[1] "])
    }),
    ("exposed locals", 20, |_, n| {
        handed(n, &["\te ", "*pe ", "xarr[", "*xp ", "\tad ", "*pad "])
    }),
    ("private arrays", 10, |_, n| handed(n, &["\tarr["])),
    ("structures", 20, |_, n| {
        handed(n, &["\tls.", "\tlst[", "\tlt."])
    }),
    ("globals", 30, |_, n| {
        handed(n, &["\tg8 ", "\tgs.", "\tg32 ", "\tg16 ", "garr[", "\tsh "])
    }),
    ("signed and wide locals", 30, |_, n| {
        handed(
            n,
            &["\th8 ", "\th16 ", "\th32 ", "\th64 ", "\ta64 ", "\tfl "],
        )
    }),
    ("cookies", 300, |_, n| has(n, &["IOWRITE", "IOREAD"])),
    ("cookies of memory", 30, |_, n| recorded(n, &[", mm"])),
    ("ports by macros", 50, |_, n| {
        recorded(n, &["PORT_A", "REG(", "PORT_OF(", "M_DEREF"])
    }),
    ("ports by members", 10, |_, n| {
        recorded(n, &["t->port", "t->addr"])
    }),
    ("operands with effects", 100, |_, n| {
        recorded(
            n,
            &[
                "a64 >>= 8",
                "i++",
                "--a16",
                "p++",
                "ck++",
                "n--",
                "a8 = b8",
                "c ?",
            ],
        )
    }),
    ("discarded reads", 30, |_, n| {
        n.matches("IO_IN(").count() > n.matches("IO_VAL(").count()
    }),
    ("assignments between", 50, |_, n| {
        amid(n, &[" = ", " |= ", " += ", " -= ", " ^= ", "++;", "--;"])
    }),
    ("transparent calls between", 20, |_, n| amid(n, &["trace("])),
    ("comments between", 80, |_, n| amid(n, &["/* note */"])),
    ("comments behind", 20, |o, n| {
        has(o, &["// behind", "/* behind */"]) && n.contains("behind")
    }),
    ("comments in calls", 50, |o, _| {
        has(o, &["/* port */", "// value"])
    }),
    ("a guard", 50, |_, n| n.contains("if (!hw->mmio) {\n")),
    ("a guard over conditions", 15, |_, n| {
        n.contains("if (!hw->mmio) {\n") && n.contains("(io_len++, ")
    }),
    ("several batches", 200, |_, n| {
        n.matches("xkvm_io_coalesce(").count() > 1
    }),
    ("batches in a case", 20, |_, n| {
        n.contains("switch (") && n.contains("\t\t\tIO_") || n.contains(":\n\t\tIO_")
    }),
    ("loops", 50, |o, _| {
        has(o, &["for (k_", "while (k_", "do {\n"])
    }),
    ("labels", 50, |o, _| o.contains("goto ")),
    ("conditionals", 50, |o, _| o.contains("#endif")),
    ("unknown calls", 50, |o, _| {
        has(o, &["opaque(", "opaque_val(", "M_FN", "M_PTR"])
    }),
    ("nested I/O", 30, |o, _| {
        has(o, &["M_IN", "inb(p) | 1", "FLUSH", "inb(p) & 1"])
    }),
    ("delays", 30, |o, _| has(o, &["outb_p(", "inb_p("])),
    ("stores that a device sees", 20, |o, _| {
        has(o, &["gd.", "gdma[", "gseen"])
    }),
    ("what interrupts change", 20, |o, _| o.contains("g_irq")),
    ("names that hide others", 20, |o, _| {
        o.lines().filter(|l| l.starts_with("\t\t")).any(|l| {
            [" g8 = ", " sh = ", " g16 = ", " a8 = ", " b8 = "]
                .iter()
                .any(|n| {
                    crate::tables::TYPES
                        .iter()
                        .any(|t| l.contains(&format!("{t}{n}")))
                })
        })
    }),
    ("copies of structures", 60, |o, _| {
        has(o, &["ls = ", "lt = ls", "*u = ls", "gs = *t"])
    }),
    ("several on a line", 100, |o, _| {
        o.lines()
            .any(|l| l.matches(';').count() > 1 && !l.contains("for ("))
    }),
];
