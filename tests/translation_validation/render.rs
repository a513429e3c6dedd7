//! C text of the generated programs.

use std::collections::HashSet;

use crate::program::{Access, Condition, Expr, Line, Name, Program, Stmt, To, Value, Wrap};
use crate::tables::*;

/// Which accessors a file uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Port functions and iomap cookies.
    Direct,
    /// Function pointers, under a guard.
    Pointers,
}

fn pick<'t, T: ?Sized>(table: &[&'t T], index: u8) -> &'t T {
    table[usize::from(index) % table.len()]
}

/// The text of `program` as the function `name`.
pub fn function(program: &Program, name: &str, mode: Mode) -> String {
    let mut r = Renderer {
        mode,
        read: Vec::new(),
        write: Vec::new(),
        out: String::new(),
        depth: 1,
        count: 0,
        ints: Vec::new(),
        hidden: vec![HashSet::from(["a8", "b8", "c"])],
        may_hide: true,
    };
    for group in &program.groups {
        for (place, assigned) in GROUPS[usize::from(*group) % GROUPS.len()] {
            r.read.push((*place).to_owned());
            if *assigned {
                r.write.push((*place).to_owned());
            }
        }
    }
    r.lines(&program.body, true);

    let mut words: HashSet<&str> = r
        .out
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .collect();
    for (word, needed) in NEEDS {
        if words.contains(word) {
            words.insert(needed);
        }
    }
    let used: Vec<_> = LOCALS.iter().filter(|l| words.contains(l.0)).collect();
    let mut text = format!(
        "s64 {name}(struct tf *t, struct tf *u, u8 *q, u16 *r, u32 n, u8 c, u64 w, u32 p,\n\t\tu8 *ck, u8 *mm, struct hw *hw, struct hw *hw2)\n{{\n"
    );
    for (_, declaration, _) in &used {
        text += &format!("\t{declaration}\n");
    }
    for int in &r.ints {
        text += &format!("\tint {int} = 0;\n");
    }
    if words.contains("vv") {
        text += "\n\twatch(&vv);\n";
    }
    text += "\n";
    text += &r.out;
    let fresh = r.read.iter().filter(|p| p.starts_with("d_"));
    let mut result = "p".to_owned();
    for part in used
        .iter()
        .flat_map(|l| l.2.iter().copied())
        .chain(fresh.map(String::as_str))
    {
        result = format!("({result}) * 31ull + (u64){part}");
    }
    text + &format!("\treturn {result};\n}}\n")
}

struct Renderer {
    mode: Mode,
    /// What expressions can use: the program's places, then the names declared in scope.
    read: Vec<String>,
    write: Vec<String>,
    out: String,
    depth: usize,
    count: usize,
    /// Counters that the function needs.
    ints: Vec<String>,
    /// Names that each open scope can not declare (again).
    hidden: Vec<HashSet<&'static str>>,
    /// Whether control always passes declarations here.
    may_hide: bool,
}

impl Renderer {
    fn fresh(&mut self, prefix: &str) -> String {
        self.count += 1;
        format!("{prefix}{}", self.count)
    }

    fn counter(&mut self) -> String {
        let name = self.fresh("k_");
        self.ints.push(name.clone());
        name
    }

    fn text(&mut self, text: &str) {
        for line in text.split('\n') {
            if !line.is_empty() {
                self.out += &"\t".repeat(self.depth);
            }
            self.out += line;
            self.out.push('\n');
        }
    }

    /// The statements of a scope; names declared in it are forgotten behind it unless `keep`.
    fn lines(&mut self, lines: &[Line], keep: bool) {
        let (read, write) = (self.read.len(), self.write.len());
        for line in lines {
            self.line(line);
        }
        if !keep {
            self.read.truncate(read);
            self.write.truncate(write);
        }
    }

    fn block(&mut self, lines: &[Line]) {
        let before = std::mem::replace(&mut self.may_hide, true);
        self.hidden.push(HashSet::new());
        self.depth += 1;
        self.lines(lines, false);
        self.depth -= 1;
        self.hidden.pop();
        self.may_hide = before;
    }

    /// Statements that control may skip.
    fn skipped(&mut self, lines: &[Line]) {
        let before = std::mem::replace(&mut self.may_hide, false);
        self.lines(lines, false);
        self.may_hide = before;
    }

    fn line(&mut self, line: &Line) {
        match line.layout {
            3 if self.out.ends_with(";\n") => self.out.push('\n'),
            4 => self.text("/* note */"),
            _ => {}
        }
        let from = self.out.len();
        self.stmt(&line.stmt);
        let simple = self.out[from..].matches('\n').count() == 1 && self.out.ends_with(";\n");
        match line.layout {
            1 if simple && self.out[..from].ends_with(";\n") => {
                let text = self.out[from..].trim_start().to_owned();
                self.out.truncate(from - 1);
                self.out.push(' ');
                self.out += &text;
            }
            2 if simple => {
                self.out.pop();
                self.out += if from.is_multiple_of(2) {
                    " /* behind */\n"
                } else {
                    " // behind\n"
                };
            }
            _ => {}
        }
    }

    fn stmt(&mut self, stmt: &Stmt) {
        match stmt {
            Stmt::Write(..)
            | Stmt::Read(..)
            | Stmt::Assign { .. }
            | Stmt::Step(..)
            | Stmt::Local(..)
            | Stmt::Publish(..) => {
                let text = self.simple(stmt);
                self.text(&text);
            }
            Stmt::DeclareRead(access, name, wraps) => {
                let read = self.wrapped(access, wraps, false);
                self.declare(name, &read);
            }
            Stmt::Declare(name, value) => {
                let value = self.expr(value);
                self.declare(name, &value);
            }
            Stmt::If {
                on,
                then,
                other,
                braces,
            } => self.branch(on, then, other, *braces),
            Stmt::Loop { form, times, body } => self.repeat(*form, *times, body),
            Stmt::Switch { on, cases } => self.switch(on, cases),
            Stmt::Back { on, body } => {
                let (label, counter) = (self.fresh("back_"), self.counter());
                self.out += &format!("{label}:\n");
                self.label_body(body, |r, body| r.lines(body, false));
                let on = self.expr(on);
                self.text(&format!(
                    "if ({counter}++ < 2 && ({on}) & 1)\n\tgoto {label};"
                ));
            }
            Stmt::Out { on, body } => {
                let (label, on) = (self.fresh("out_"), self.expr(on));
                self.text(&format!("if (({on}) & 1)\n\tgoto {label};"));
                self.skipped(body);
                self.out += &format!("{label}:\n");
                self.text(";");
            }
            Stmt::Several(lines) => {
                for line in lines {
                    self.line(line);
                }
            }
            Stmt::Call(kind, arg) => {
                let arg = self.expr(arg);
                let text = match kind % 8 {
                    0..=3 => format!("trace({arg});"),
                    4 => format!("opaque(t, {arg});"),
                    5 => format!("opaque(u, {arg});"),
                    6 => format!("a32 = opaque(t, {arg});"),
                    _ => format!("pure_fn({arg});"),
                };
                self.text(&text);
            }
            Stmt::Ifdef { which, yes, no } => {
                self.out += pick(
                    &["#ifdef CFG_A\n", "#ifdef CFG_B\n", "#ifndef CFG_A\n"],
                    *which,
                );
                let before = std::mem::replace(&mut self.may_hide, false);
                self.lines(yes, false);
                if !no.is_empty() {
                    self.out += "#else\n";
                    self.lines(no, false);
                }
                self.may_hide = before;
                self.out += "#endif\n";
            }
            Stmt::Block(body) => {
                self.text("{");
                self.block(body);
                self.text("}");
            }
            Stmt::Return { on, value } => {
                let (on, value) = (self.expr(on), self.expr(value));
                self.text(&format!("if ((({on}) & 7) == 5)\n\treturn {value};"));
            }
            Stmt::Odd(k) => {
                let text = pick(ODD, *k);
                if text.contains("asm vol") && !cfg!(target_arch = "x86_64") {
                    return;
                }
                self.text(text);
            }
            Stmt::Interrupted(access, place) => {
                let place = self.place(*place);
                let read = self.call(access, None, false);
                self.text(&format!("if (g_irq)\n\t{place} = {read};"));
            }
        }
    }

    /// A statement of one line that may stand in a branch without braces.
    fn simple(&mut self, stmt: &Stmt) -> String {
        match stmt {
            Stmt::Write(access, value) => {
                let (value, plain) = self.value(value);
                self.call(access, Some(&value), plain) + ";"
            }
            Stmt::Read(access, to, wraps) => match to {
                To::Nowhere => self.call(access, None, false) + ";",
                To::Place { place, op } => {
                    let place = self.place(*place);
                    let read = self.wrapped(access, wraps, false);
                    format!("{place} {} {read};", pick(ASSIGN, *op))
                }
                To::Effect(k) => {
                    let read = self.wrapped(access, &[], true);
                    format!("{} = {read};", pick(DESTINATIONS, *k))
                }
            },
            Stmt::Assign { to, op, value } => {
                let place = self.place(*to);
                // The order of two effects of one statement is not defined.
                match value {
                    Value::Effect(k) => format!("h32 = {};", pick(EFFECTS, *k)),
                    Value::Pure(value) => {
                        format!("{place} {} {};", pick(ASSIGN, *op), self.expr(value))
                    }
                }
            }
            Stmt::Step(place, up) => {
                let place = self.place(*place);
                format!("({place}){};", if *up { "++" } else { "--" })
            }
            Stmt::Local(k, value) => {
                let value = self.expr(value);
                format!("{} = {value};", pick(BETWEEN, *k))
            }
            Stmt::Publish(k, value) => {
                let value = self.expr(value);
                format!(
                    "{} = {value};",
                    pick(&["gd.len", "gd.own", "gdma[1]", "gseen", "gdma[n & 3]"], *k)
                )
            }
            _ => unreachable!("only simple statements are asked for"),
        }
    }

    fn declare(&mut self, name: &Name, value: &str) {
        let ty = pick(TYPES, name.ty);
        if let 16..=19 = name.form {
            let hidden = pick(HIDDEN, name.ty);
            let scope = self.hidden.last_mut().expect("a scope is open");
            if self.may_hide && scope.insert(hidden) {
                // Its own value must not be used in it.
                let used = value
                    .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
                    .any(|w| {
                        w == hidden
                            || NEEDS.iter().any(|n| n.0 == w && n.1 == hidden)
                            || w == "M_ALIAS"
                    });
                if !used {
                    return self.text(&format!("{ty} {hidden} = {value};"));
                }
                scope.remove(hidden);
            }
        }
        let fresh = self.fresh("d_");
        match name.form {
            20 | 21 => self.text(&format!("const {ty} {fresh} = {value};")),
            22 => {
                let second = self.fresh("d_");
                self.text(&format!("{ty} {fresh} = {value}, {second} = {fresh} + 1;"));
                self.read.push(second);
            }
            _ => {
                self.text(&format!("{ty} {fresh} = {value};"));
                self.write.push(fresh.clone());
            }
        }
        self.read.push(fresh);
    }

    /// A label stands before a statement: declarations get an empty one.
    fn label_body(&mut self, body: &[Line], go: impl FnOnce(&mut Self, &[Line])) {
        let declares = !matches!(
            body.first().map(|l| &l.stmt),
            Some(
                Stmt::Write(..)
                    | Stmt::Read(..)
                    | Stmt::Assign { .. }
                    | Stmt::If { .. }
                    | Stmt::Loop { .. }
                    | Stmt::Call(..)
            )
        );
        if declares {
            self.text(";");
        }
        go(self, body);
    }

    fn branch(&mut self, on: &Condition, then: &[Line], other: &[Line], braces: bool) {
        let on = match on {
            Condition::Pure(e) => format!("({}) & 1", self.expr(e)),
            Condition::Stable(k) => pick(STABLE, *k).to_owned(),
            Condition::Effect(k) => pick(CONDITIONS, *k).to_owned(),
        };
        let bare = |lines: &[Line]| {
            lines.len() == 1
                && matches!(
                    lines[0].stmt,
                    Stmt::Write(..) | Stmt::Read(..) | Stmt::Assign { .. } | Stmt::Step(..)
                )
        };
        if !braces && bare(then) && (other.is_empty() || bare(other)) {
            self.text(&format!("if ({on})"));
            let text = self.simple(&then[0].stmt);
            self.text(&format!("\t{text}"));
            if let Some(other) = other.first() {
                self.text("else");
                let text = self.simple(&other.stmt);
                self.text(&format!("\t{text}"));
            }
            return;
        }
        self.text(&format!("if ({on}) {{"));
        self.block(then);
        match other {
            [] => self.text("}"),
            // `else if`
            [
                Line {
                    stmt:
                        Stmt::If {
                            on,
                            then,
                            other,
                            braces,
                        },
                    ..
                },
            ] => {
                let start = self.out.len();
                self.branch(on, then, other, *braces);
                let inner = self.out.split_off(start);
                self.out += &"\t".repeat(self.depth);
                self.out += "} else ";
                self.out += inner.trim_start();
            }
            other => {
                self.text("} else {");
                self.block(other);
                self.text("}");
            }
        }
    }

    fn repeat(&mut self, form: u8, times: u8, body: &[Line]) {
        let counter = self.counter();
        self.text(&match form % 4 {
            0 => format!("for ({counter} = 0; {counter} < {times}; {counter}++) {{"),
            1 => format!("while ({counter}++ < {times}) {{"),
            2 => format!("while ({counter}++ < {times} && !(inb(p + 7) & 1)) {{"),
            _ => "do {".into(),
        });
        self.block(body);
        if form % 8 == 4 {
            self.text(&format!("\tif ({counter} == 1)\n\t\tbreak;"));
        }
        self.text(&match form % 4 {
            3 => format!("}} while (++{counter} < {times});"),
            _ => "}".into(),
        });
    }

    fn switch(&mut self, on: &Expr, cases: &[(Vec<Line>, bool)]) {
        let on = self.expr(on);
        self.text(&format!("switch (({on}) & 3) {{"));
        self.hidden.push(HashSet::new());
        for (i, (body, breaks)) in cases.iter().enumerate() {
            self.text(&if i == 2 {
                "default:".to_owned()
            } else {
                format!("case {i}:")
            });
            self.depth += 1;
            self.label_body(body, Self::skipped);
            if *breaks {
                self.text("break;");
            }
            self.depth -= 1;
        }
        self.hidden.pop();
        self.text("}");
    }

    fn place(&self, k: u8) -> String {
        self.write
            .get(usize::from(k) % self.write.len().max(1))
            .cloned()
            .unwrap_or_else(|| "a8".into())
    }

    /// The text, and whether it has effects (then the port must not depend on anything).
    fn value(&mut self, value: &Value) -> (String, bool) {
        match value {
            Value::Pure(e) => (self.expr(e), false),
            Value::Effect(k) => (pick(EFFECTS, *k).to_owned(), true),
        }
    }

    fn call(&mut self, access: &Access, value: Option<&str>, plain: bool) -> String {
        let tables = match self.mode {
            Mode::Direct => DIRECT,
            Mode::Pointers => POINTERS,
        };
        let name = pick(
            if value.is_some() { tables.0 } else { tables.1 },
            access.accessor,
        );
        let hot = self.expr(&Expr::Hot(access.hot));
        let port = if name.starts_with("io") {
            let forms = [
                "ck".to_owned(),
                "ck + 1".into(),
                "mm".into(),
                "t->addr".into(),
                format!("ck + ({hot} & 7)"),
                "mm + 4".into(),
                "ck++".into(),
            ];
            forms[usize::from(access.port) % if plain { 3 } else { 7 }].clone()
        } else {
            let forms = [
                "p".to_owned(),
                "p + 1".into(),
                "p + 2".into(),
                "PORT_A".into(),
                "REG(2)".into(),
                "PORT_OF(t)".into(),
                "t->port".into(),
                format!("p + {hot}"),
                "p++".into(),
                "p + M_LOC".into(),
                "M_DEREF".into(),
            ];
            forms[usize::from(access.port) % if plain { 3 } else { 11 }].clone()
        };
        let indent = "\t".repeat(self.depth + 2);
        match (value, access.layout % 12) {
            (None, 1) => format!("{name}(/* port */ {port})"),
            (None, 2) => format!("{name} ({port})"),
            (None, 3) => format!("{name}({port} /* port */)"),
            (None, _) => format!("{name}({port})"),
            (Some(v), 1) => format!("{name}({v}, /* port */ {port})"),
            (Some(v), 2) => format!("{name} ({v}, {port})"),
            (Some(v), 3) => format!("{name}({v}, {port} /* port */)"),
            (Some(v), 4) => format!("{name}({v},\n{indent}{port})"),
            (Some(v), 5) => format!("{name}({v}, // value\n{indent}{port})"),
            (Some(v), _) => format!("{name}({v}, {port})"),
        }
    }

    fn wrapped(&mut self, access: &Access, wraps: &[Wrap], plain: bool) -> String {
        let mut text = self.call(access, None, plain);
        for wrap in wraps {
            text = match wrap {
                Wrap::Cast(ty) => format!("({}){text}", pick(TYPES, *ty)),
                Wrap::Shift(k) => format!("({text} << {})", k % 25),
                Wrap::Unary(k) => format!("{}({text})", pick(&["~", "!", "-"], *k)),
                Wrap::Left(op, e) => {
                    let e = self.expr(e);
                    let e = operand(pick(BINARY, *op), e, text);
                    format!("({e})")
                }
                Wrap::Right(op, e) => {
                    let e = self.expr(e);
                    let e = operand(pick(BINARY, *op), text, e);
                    format!("({e})")
                }
                Wrap::And(e) => format!("(({}) && {text})", self.expr(e)),
                Wrap::Choose(e) => format!("(({}) & 1 ? {text} : 1)", self.expr(e)),
            };
        }
        text
    }

    fn expr(&mut self, e: &Expr) -> String {
        match e {
            Expr::Hot(k) => {
                let k = usize::from(*k);
                // A name declared lately comes more often.
                let fresh = self.read.last().filter(|p| p.starts_with("d_"));
                match fresh {
                    Some(fresh) if k % 3 == 2 => fresh.clone(),
                    _ => self
                        .read
                        .get(k % self.read.len().max(1))
                        .cloned()
                        .unwrap_or_else(|| "c".into()),
                }
            }
            Expr::Number(k) => k.to_string(),
            Expr::Other(k) => pick(OTHER, *k).to_owned(),
            Expr::Binary(op, a, b) => {
                let (a, b) = (self.expr(a), self.expr(b));
                format!("({})", operand(pick(BINARY, *op), a, b))
            }
            Expr::Unary(op, a) => {
                let a = self.expr(a);
                format!("{}({a})", pick(&["~", "!", "-"], *op))
            }
            Expr::Cast(ty, a) => {
                let a = self.expr(a);
                format!("({}){a}", pick(TYPES, *ty))
            }
            Expr::Choose(a, b, c) => {
                let (a, b, c) = (self.expr(a), self.expr(b), self.expr(c));
                format!("({a} & 1 ? {b} : {c})")
            }
            Expr::Call(k, a) => {
                let a = self.expr(a);
                format!(
                    "{}({a})",
                    pick(&["pure_fn", "M_ARG", "likely", "REG", "pure_fn"], *k)
                )
            }
        }
    }
}

/// `a op b`; shifts stay below the width.
fn operand(op: &str, a: String, b: String) -> String {
    match op {
        "<<" | ">>" => format!("({a}) {op} (({b}) & 7)"),
        _ => format!("({a}) {op} ({b})"),
    }
}
