use super::*;

fn step(keys: &str) -> Result<ReplaceCode, Fault> {
    toml::from_str::<Config>(keys).unwrap().compile()
}

/// The body of `f` after the step, or the code of the first refusal; a second run must change nothing.
fn after(keys: &str, body: &str) -> Result<String, String> {
    let head = "int f(int a)\n{\n";
    let text = format!("{head}{body}}}\n");
    let step = step(keys).unwrap();
    let outcome = step.edit("a.c", text.as_bytes());
    if let Some(Verdict::Blocked { code, .. }) = outcome.sites.first().map(|s| &s.verdict) {
        assert_eq!(outcome.text, None);
        return Err(code.clone());
    }
    let new = outcome.text.unwrap_or_else(|| text.into_bytes());
    let again = step.edit("a.c", &new);
    assert_eq!((again.text, again.sites.len()), (None, 0), "a second run");
    let new = String::from_utf8(new).unwrap();
    let body = new.strip_prefix(head).expect("the head stays");
    Ok(body
        .strip_suffix("}\n")
        .expect("the brace stays")
        .to_owned())
}

#[test]
fn statements_become_others_at_their_indentation() {
    let keys = "code = 'if (done($A)) { stop(a); }'\nto = '''\nif (over($A))\n\tleave(a);\n'''\n";
    assert_eq!(
        after(
            keys,
            "\tif (a) {\n\t\tif (done (a + g(1, 2))) {\n\t\t\tstop(a);\n\t\t}\n\t}\n"
        ),
        Ok("\tif (a) {\n\t\tif (over(a + g(1, 2)))\n\t\t\tleave(a);\n\t}\n".into())
    );
}

#[test]
fn what_is_only_a_part_does_not_match() {
    let keys = "code = 'a++;'\nto = 'b();'\n";
    for part in [
        "\tx = a++;\n",
        "\treturn y ? a : a++;\n",
        "\tif (x)\n\t\ta++;\n",
        "\tx <<= a++;\n",
    ] {
        assert_eq!(after(keys, part), Ok(part.into()));
    }
    assert_eq!(after(keys, "out:\n\ta++;\n"), Ok("out:\n\tb();\n".into()));
    assert_eq!(
        after(keys, "\tswitch (x) {\n\tcase 1:\n\t\ta++;\n\t}\n"),
        Ok("\tswitch (x) {\n\tcase 1:\n\t\tb();\n\t}\n".into())
    );
    let less = "code = 'while (a < $B)'\nto = 'while (a > $B)'\n";
    assert_eq!(
        after(less, "\twhile (a << 1)\n\t\tg();\n"),
        Ok("\twhile (a << 1)\n\t\tg();\n".into())
    );
}

#[test]
fn an_else_may_govern_what_is_replaced_but_not_what_goes() {
    let body = "\tif (x)\n\t\tb();\n\telse\n#endif\n\t\ta(x);\n";
    assert_eq!(
        after("code = 'a($A);'\nto = 'c($A);'", body),
        Ok(body.replace("a(x)", "c(x)"))
    );
    for other in ["code = 'a(x);'", "code = 'a($A);'\nto = 'c(); d();'"] {
        assert_eq!(after(other, body), Ok(body.into()));
    }
}

#[test]
fn code_that_stays_in_its_replacement_is_not_replaced_again() {
    let keys = "code = 'clear(a);'\nto = '''\nreset();\nclear(a);'''\n";
    assert_eq!(
        after(keys, "\tg();\n\tclear(a);\n"),
        Ok("\tg();\n\treset();\n\tclear(a);\n".into())
    );
}

#[test]
fn heads_are_replaced_alone() {
    let keys = "code = 'while (x && a < 1 && $C)'\nto = '''\nagain:\nwhile (x && $C)'''\n";
    assert_eq!(
        after(
            keys,
            "\tg();\n\twhile (x && a < 1\n\t       && (h() & 2) == 0) {\n\t\tg();\n\t}\n"
        ),
        Ok("\tg();\nagain:\n\twhile (x && (h() & 2) == 0) {\n\t\tg();\n\t}\n".into())
    );
    let step = step("code = 'static int p($$$ARGS)'\nto = '''/* new */\nstatic void q(int a)'''\n")
        .unwrap();
    let text = b"static int p(int *a);\n\nstatic int p (int *a)\n{\n\tint p = p(a);\n}\n";
    assert_eq!(
        step.edit("a.c", text).text.unwrap(),
        b"/* new */\nstatic void q(int a);\n\n/* new */\nstatic void q(int a)\n{\n\tint p = p(a);\n}\n"
    );
}

#[test]
fn entries_of_a_list() {
    let keys = "code = 'A = $X, B = A | C,'\nto = 'B = $X | C,'\n";
    let step = step(keys).unwrap();
    let text = b"enum {\n\tZ = 1,\t/* one */\n\n\tA = 1 | 2,\n\tB = A | C,\n};\n";
    assert_eq!(
        step.edit("a.c", text).text.unwrap(),
        b"enum {\n\tZ = 1,\t/* one */\n\n\tB = 1 | 2 | C,\n};\n"
    );
}

#[test]
fn code_is_taken_out_with_what_belongs_to_it() {
    let keys = "code = 'if (a) { g(); } return a;'\nwith-comment = true\n";
    assert_eq!(
        after(
            keys,
            "\th();\n\n\t/* why */\n\tif (a) {\n\t\tg(); /* g */\n\t}\n\n\treturn a;\t/* done */\n"
        ),
        Ok("\th();\n".into())
    );
    assert_eq!(
        after("code = 'g();'", "\th();\nout:\n\tg();\n\th();\n"),
        Ok("\th();\nout:\n\th();\n".into())
    );
}

#[test]
fn a_loop_goes_with_all_that_is_in_it() {
    let keys = "code = 'for (i = $A; $B; $C) { put(&p->x[i]); }'\nwith-comment = true\n";
    assert_eq!(
        after(
            keys,
            "\tint i;\n\n\t/* all */\n\tfor (i = 0; i < 3; i++) {\n\t\t/* why */\n\t\tput(&p->x[i]);\n\t}\n\n\treturn 1;\n"
        ),
        Ok("\tint i;\n\n\treturn 1;\n".into())
    );
    let governed = "\tif (a)\n\t\ta |= X;\n\treturn a;\n";
    assert_eq!(after("code = 'a |= X;'", governed), Ok(governed.into()));
}

#[test]
fn what_the_replacement_repeats_has_new_code_beside_it() {
    let behind = "code = 'set(1);'\nto = '''\nset(1);\n/* why */\nwait();'''\n";
    assert_eq!(
        after(behind, "\tset(1); /* x */\n\n\tg();\n"),
        Ok("\tset(1);\n\t/* why */\n\twait(); /* x */\n\n\tg();\n".into())
    );
    let before = "code = 'set(1);'\nto = '''\n/* why */\nwait();\nset(1);'''\n";
    assert_eq!(
        after(before, "\tset(1);\n\tg();\n"),
        Ok("\t/* why */\n\twait();\n\tset(1);\n\tg();\n".into())
    );
    // Below a condition, it would govern only the first.
    let governed = "\tif (a)\n\t\tset(1);\n";
    assert_eq!(after(behind, governed), Ok(governed.into()));
}

#[test]
fn a_label_goes_with_its_statement() {
    let keys = "code = 'int rx; again: rx = 0; ack();'\nto = 'int rx;'\n";
    assert_eq!(
        after(keys, "\tint rx;\n\nagain:\n\trx = 0;\n\tack();\n\n\tg();\n"),
        Ok("\tint rx;\n\n\tg();\n".into())
    );
    let keys = "code = 'again: rx = 0; ack();'\nto = 'ack();'\n";
    assert_eq!(
        after(keys, "\tint rx;\n\nagain:\n\trx = 0;\n\tack();\n"),
        Ok("\tint rx;\n\n\tack();\n".into())
    );
}

#[test]
fn what_would_be_lost_or_left_blocks() {
    let replace = "code = 'g(); h();'\nto = 'i();'\n";
    assert_eq!(
        after(replace, "\tg();\n\t/* why */\n\th();\n"),
        Err("comment".into())
    );
    assert_eq!(
        after(
            "code = 'if ($A) g();'\nto = 'h();'",
            "\tif (a)\n\t\tg();\n\telse\n\t\ti();\n"
        ),
        Err("else".into())
    );
    let many = "code = 'g($$$A);'\nto = 'h();'\n";
    assert_eq!(
        after(many, "\tg(a,\n#ifdef X\n\t  1,\n#endif\n\t  2);\n"),
        Err("preprocessor".into())
    );
    let out = "code = 'g();'";
    assert_eq!(
        after(out, "\tif (a) {\n\t\tg();\n\t}\n"),
        Err("empty-body".into())
    );
    assert_eq!(after(out, "\th();\nout:\n\tg();\n"), Err("label".into()));
    assert_eq!(after(out, "\th(); g();\n"), Err("shared-line".into()));
    assert_eq!(
        after("code = 'g();'\nto = 'g() h;'", "\tg();\n"),
        Err("parse-error".into())
    );
}

#[test]
fn only_the_functions_named() {
    let step = step("code = 'a();'\nto = 'b();'\nfunctions = ['f']").unwrap();
    let text = b"int f(void)\n{\n\ta();\n}\n\nint g(void)\n{\n\ta();\n}\n";
    let outcome = step.edit("a.c", text);
    assert_eq!(
        outcome.text.unwrap(),
        b"int f(void)\n{\n\tb();\n}\n\nint g(void)\n{\n\ta();\n}\n"
    );
    assert_eq!(outcome.sites[0].function, "f");
}

#[test]
fn bad_steps_are_told() {
    for (keys, why) in [
        ("code = 'a + b'\nto = 'c'", "neither statements"),
        ("code = 'a(;'\nto = 'c;'", "brackets do not match"),
        ("code = 'a();'\nto = 'b(;'", "brackets of `to`"),
        ("code = 'a($X);'\nto = 'b($Y);'", "`Y` is not in `code`"),
        ("code = 'a($x);'\nto = 'b();'", "no metavariable"),
        ("code = 'a($X, $X);'\nto = 'b();'", "twice"),
        ("code = '$$$X;'\nto = 'b();'", "begin and end with code"),
        ("code = '(1);'\nto = 'b();'", "names nothing"),
        ("code = 'while (1)'", "only statements"),
        ("code = 'a();'\nto = ''", "`to` is empty"),
        ("code = '''\n#if A\na();'''", "preprocessor line"),
    ] {
        let fault = step(keys).unwrap_err();
        assert!(fault.message.contains(why), "{keys}: {}", fault.message);
    }
}
