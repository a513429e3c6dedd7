//! Every rule has a sample that it blocks, and that would be rewritten (wrongly) without it.

use super::{CoalesceStep, Rule, codes, rewrite, saved};

/// A sample body in which only `rule` stands between operations that would else share a batch.
fn sample(rule: Rule) -> (CoalesceStep, &'static str) {
    let step = CoalesceStep::default();
    let body = match rule {
        Rule::Call => "outb(1, p); udelay(5); outb(2, p);",
        Rule::OperandCall => "outb(1, p); outb(next_value(d), p);",
        Rule::NestedIo => "outb(1, p); outb(inb(p) | 1, p);",
        Rule::DependentRead => "v = inb(p); outb(v, p);",
        Rule::MovedDestination => "d[i] = inb(p); i = 0; outb(2, p);",
        Rule::Store => "outb(1, p); d->ready = 1; outb(2, p);",
        Rule::DestinationEffect => "d[i++] = inb(p); outb(2, p);",
        Rule::Loop => "outb(1, p); while (v) v--; outb(2, p);",
        Rule::Branch => "outb(1, p); if (v) report(d); outb(2, p);",
        Rule::Switch => "outb(1, p); switch (v) { case 1: i = 2; } outb(2, p);",
        Rule::Label => "outb(1, p);\nagain:\noutb(2, p);",
        Rule::Jump => "outb(1, p); return; outb(2, p);",
        Rule::Asm => "outb(1, p); asm (\"nop\"); outb(2, p);",
        Rule::Preproc => "outb(1, p);\n#ifdef CONFIG_X\n\ti = 1;\n#endif\noutb(2, p);",
        Rule::Volatile => "outb(1, p); outb(shared, p);",
        Rule::Pause => "outb_p(1, p); outb_p(2, p);",
        Rule::Declaration => "const u8 a = inb(p); const u8 b = inb(p); done(d, a, b);",
        Rule::UnstableCondition => "if (d->flags) v = inb(p); if (v2) w = inb(p);",
        Rule::MixedConditional => "v = inb(p); if (w) outb(1, p);",
        Rule::Limit => "outb(1, p); outb(2, p); outb(3, p);",
        Rule::NameTaken => "int io_len = 3; outb(1, p); outb(2, p);",
        Rule::ParseError => "outb(1, p); outb(2, p); if (v { }",
    };
    let step = match rule {
        Rule::Limit => CoalesceStep { max_ops: 2, ..step },
        _ => step,
    };
    (step, body)
}

fn function(body: &str) -> String {
    format!(
        "#include <linux/kernel.h>\n\nvoid f(struct dev *d, int p, u8 v, u8 w, u8 v2, int i)\n{{\n\tvolatile int shared;\n\n\t{body}\n}}\n"
    )
}

#[test]
fn every_rule_blocks_its_sample_and_is_needed() {
    for rule in Rule::ALL {
        let (step, body) = sample(*rule);
        let source = function(body);
        let (_, with) = rewrite(&step, None, &source);
        assert!(
            codes(&with).contains(&rule.code()),
            "{rule}: not reported for `{body}`: {with:?}"
        );
        let (_, without) = rewrite(&step, Some(*rule), &source);
        assert!(
            saved(&without) > saved(&with),
            "{rule}: switching it off changes nothing for `{body}`: {without:?}"
        );
    }
}

#[test]
fn a_redefined_accessor_is_left_alone() {
    let source = format!(
        "#define outb(v, p) my_out(v, p)\n{}",
        function("outb(1, p); outb(2, p);")
    );
    let (text, sites) = rewrite(&CoalesceStep::default(), None, &source);
    assert_eq!(text, None);
    assert_eq!(codes(&sites), ["name-taken"]);
}

#[test]
fn pauses_join_when_the_recipe_says_they_are_void() {
    let step = CoalesceStep {
        pauses_are_void: true,
        ..CoalesceStep::default()
    };
    let (_, sites) = rewrite(&step, None, &function("outb_p(1, p); outb_p(2, p);"));
    assert_eq!(saved(&sites), 1);
}

#[test]
fn a_declaration_that_needs_the_value_keeps_the_reads_before_it() {
    let source = function("u8 a = inb(p); u8 b = inb(p); int c = a + b; done(d, c);");
    let (text, sites) = rewrite(&CoalesceStep::default(), None, &source);
    assert_eq!((text, codes(&sites)), (None, vec!["declaration"]));
}

#[test]
fn a_recipe_vouches_for_enumerators() {
    let source = function("if (v & A) w = inb(p); if (v & B) v2 = inb(p);");
    let unknown = rewrite(&CoalesceStep::default(), None, &source).1;
    assert_eq!(codes(&unknown), ["unstable-condition"]);
    let step = CoalesceStep {
        constants: vec!["[AB]".into()],
        ..CoalesceStep::default()
    };
    assert_eq!(saved(&rewrite(&step, None, &source).1), 1);
}
