//! C text of the generated programs.

use std::collections::HashSet;

use crate::program::{Access, Condition, Expr, Line, Name, Program, Stmt, To, Value, Wrap};

/// Which accessors a file uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Port functions and iomap cookies.
    Direct,
    /// Function pointers, under a guard.
    Pointers,
}

/// Places that are worth using together, since they are, or look like, the same storage. Those marked `true` can be assigned.
const GROUPS: &[&[(&str, bool)]] = &[
    &[
        ("t->cmd", true),
        ("u->cmd", true),
        ("GET(t, cmd)", false),
        ("M_MEM", false),
        ("pure_mem(t)", false),
    ],
    &[("a8", true), ("M_LOC", false), ("M_ARG(1)", false)],
    &[
        ("a8", true),
        ("b8", true),
        ("a16", true),
        ("h16", true),
        ("h8", true),
    ],
    &[("t->ulo", true), ("t->uw", true), ("u->ulo", true)],
    &[("g8", true), ("M_ALIAS", true), ("*q", true)],
    &[("e", true), ("*pe", true)],
    &[
        ("xarr[i & 3]", true),
        ("*xp", true),
        ("xp[1]", true),
        ("i", true),
    ],
    &[("arr[i & 3]", true), ("i", true), ("arr[1]", true)],
    &[
        ("t->arr[i & 3]", true),
        ("*q", true),
        ("q[1]", true),
        ("*r", true),
    ],
    &[
        ("ls.cmd", true),
        ("ls.w", true),
        ("lst[1].cmd", true),
        ("lst[i & 1].w", true),
        ("lt.cmd", true),
    ],
    &[
        ("t->b3", true),
        ("t->b5", true),
        ("t->sb", true),
        ("t->one", true),
        ("u->b3", true),
    ],
    &[
        ("gs.cmd", true),
        ("t->cmd", true),
        ("gs.w", true),
        ("t->w", true),
    ],
    &[
        ("a32", true),
        ("h32", true),
        ("a64", true),
        ("h64", true),
        ("fl", true),
    ],
    &[
        ("t->sub.in1", true),
        ("u->sub.in1", true),
        ("ls.sub.in1", true),
    ],
    &[
        ("m2[1][i & 3]", true),
        ("row[1]", true),
        ("*row", true),
        ("m2[0][1]", true),
    ],
    &[
        ("t->w", true),
        ("t->l", true),
        ("t->q", true),
        ("t->sg", true),
        ("t->flag", true),
        ("u->sl", true),
    ],
    &[("sh", true), ("g16", true), ("a8", true)],
    &[
        ("un.word", true),
        ("un.part.lo", true),
        ("t->un.word", true),
        ("t->un.part.hi", true),
    ],
    &[("ad", true), ("*pad", true)],
    &[("t->st", true), ("u->st", true), ("*q", true)],
    &[
        ("g32", true),
        ("garr[i & 3]", true),
        ("g_base", true),
        ("PORT_A", false),
    ],
    &[("n", true), ("c", true), ("w", true)],
    &[("io_len", true), ("a16", true)],
];

/// Locals by name, declaration, and what the result takes of them. A pointer stands behind its target.
const LOCALS: &[(&str, &str, &[&str])] = &[
    (
        "arr",
        "u8 arr[4] = { 1, 2, 3, 4 };",
        &["arr[0]", "arr[1]", "arr[2]", "arr[3]"],
    ),
    (
        "xarr",
        "u8 xarr[4] = { 5, 6, 7, 8 };",
        &["xarr[0]", "xarr[1]", "xarr[2]", "xarr[3]"],
    ),
    (
        "m2",
        "u8 m2[2][4] = { { 1 }, { 2 } };",
        &["m2[0][1]", "m2[1][0]", "m2[1][1]", "m2[1][3]"],
    ),
    (
        "ls",
        "struct tf ls = { 0 };",
        &["ls.cmd", "ls.w", "ls.sub.in1", "ls.l", "ls.b3", "ls.arr[1]"],
    ),
    (
        "lt",
        "struct tf lt = { 0 };",
        &["lt.cmd", "lt.w", "lt.sub.in1", "lt.q", "lt.uw"],
    ),
    (
        "lst",
        "struct tf lst[2] = { { 0 } };",
        &["lst[0].cmd", "lst[0].w", "lst[1].cmd", "lst[1].w"],
    ),
    ("un", "union pair un = { 7 };", &["un.word"]),
    ("a8", "u8 a8 = n;", &["a8"]),
    ("b8", "u8 b8 = c;", &["b8"]),
    ("h8", "s8 h8 = w;", &["h8"]),
    ("a16", "u16 a16 = n;", &["a16"]),
    ("h16", "s16 h16 = w >> 3;", &["h16"]),
    ("a32", "u32 a32 = n;", &["a32"]),
    ("h32", "s32 h32 = w >> 5;", &["h32"]),
    ("a64", "u64 a64 = w;", &["a64"]),
    ("h64", "s64 h64 = n - w;", &["h64"]),
    ("fl", "bool fl = c & 1;", &["fl"]),
    ("i", "int i = c;", &["i"]),
    ("k", "int k = 0;", &["k"]),
    ("e", "u8 e = n;", &["e"]),
    ("pe", "u8 *pe = &e;", &[]),
    ("xp", "u8 *xp = xarr;", &[]),
    ("row", "u8 *row = m2[1];", &[]),
    ("ad", "u8 ad = n;", &["ad"]),
    ("pad", "u8 *pad = ADDR_OF(ad);", &[]),
    ("vv", "volatile u8 vv = 1;", &["vv"]),
    ("io_len", "u32 io_len = c;", &["io_len"]),
];

/// Words that bring in a local without naming it.
const NEEDS: &[(&str, &str)] = &[
    ("pe", "e"),
    ("xp", "xarr"),
    ("row", "m2"),
    ("pad", "ad"),
    ("M_LOC", "a8"),
    ("M_ARG", "a8"),
    ("SETA", "a8"),
];

const TYPES: &[&str] = &["u8", "s8", "u16", "s16", "u32", "s32", "u64", "s64", "bool"];

const BINARY: &[&str] = &["+", "-", "&", "|", "^", "*", "==", "<", "!=", "<<", ">>"];

const ASSIGN: &[&str] = &["=", "=", "=", "=", "|=", "-=", "+=", "^="];

const OTHER: &[&str] = &[
    "CONST_A",
    "n",
    "c",
    "w",
    "t->w",
    "t->cmd",
    "u->l",
    "gs.w",
    "g16",
    "a16",
    "M_DEREF",
    "sizeof(a32)",
    "garr[1]",
    "*r",
    "i",
    "t->st",
    "'x'",
    "(c & 1)",
];

/// Values whose evaluation does something.
const EFFECTS: &[&str] = &[
    "a64 >>= 8",
    "i++",
    "--a16",
    "*q++",
    "c ? i++ : b8",
    "(i++, b8)",
    "a8 = b8",
    "M_IN",
    "M_FN",
    "M_PTR",
    "opaque_val(3)",
    "inb(p) | 1",
    "e++",
    "g8++",
    "t->cmd++",
    "arr[1]++",
    "a8 += 3",
    "vv",
    "SETA(3)",
    "(a8 = 5) + 1",
    "n--",
    "ls.cmd++",
    "a64 >>= 8",
    "i++",
    "*q++",
];

const DESTINATIONS: &[&str] = &[
    "arr[i++ & 3]",
    "*q++",
    "xarr[i++ & 3]",
    "t->arr[i++ & 3]",
    "q++[0]",
];

const CONDITIONS: &[&str] = &[
    "i++ < 2",
    "(a8 = b8)",
    "!c--",
    "opaque_val(1) & 1",
    "M_IN & 1",
    "inb(p) & 1",
    "(a16 = inw(p)) & 2",
    "a64 >>= 1",
    "n-- & 1",
    "M_FN & 2",
];

const ODD: &[&str] = &[
    "ls = *t;",
    "*u = ls;",
    "lt = ls;",
    "lst[1] = ls;",
    "ls = lst[i & 1];",
    "ls.sub = t->sub;",
    "t->sub = u->sub;",
    "gs = *t;",
    "un.word = un.part.lo;",
    "FLUSH;",
    "NOTHING;",
    "hw = hw2;",
    "t = u;",
    "each_bit(k, c) outb(k, p);",
    "each_bit(k, c) {\n\toutb(k, p);\n\toutb(k, p + 1);\n}",
    "a32 = ({ outb(1, p); outb(2, p); inb(p); });",
    "({ outb(1, p); outb(2, p); outb(3, p); });",
    "a8 = b8 = inb(p);",
    "outb(1, p), outb(2, p);",
    ";",
    "q += 1;",
    "xp = &xarr[1];",
    "(void)inb(p);",
    "p += 2;",
    "SETA(4);",
    "M_FN;",
    "hw->get(hw);",
    "row = m2[0];",
    "barrier();",
    "pure_fn(a8);",
    "(outb)(1, p);",
    "keep(&b8, 1);",
    "opaque_val(2);",
    "t->st = 3;",
    "t->st = a8;",
    "b8 = a8;",
    "i = 1;",
    "{\n\tu8 inner[a8 % 3 + 1];\n\n\tb8 = sizeof(inner);\n}",
    "asm volatile (\"addl $1, %0\" : \"+r\" (a32));",
];

/// What a name declared inside may hide.
const HIDDEN: &[&str] = &["g8", "sh", "g16", "a8", "b8", "c"];

const DIRECT: (&[&str], &[&str]) = (
    &[
        "outb",
        "outw",
        "outl",
        "outb",
        "iowrite8",
        "iowrite16",
        "iowrite32",
        "outb",
        "outw",
        "iowrite8",
        "outb_p",
    ],
    &[
        "inb", "inw", "inl", "inb", "ioread8", "ioread16", "ioread32", "inb", "inw", "ioread8",
        "inb_p",
    ],
);
const POINTERS: (&[&str], &[&str]) = (
    &["hw->OUTB", "hw->OUTW", "hw->OUTL", "hw->OUTB", "outb"],
    &["hw->INB", "hw->INW", "hw->INL", "hw->INB", "inb"],
);

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
                self.out += if from % 2 == 0 {
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
                if text.starts_with("asm") && !cfg!(target_arch = "x86_64") {
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
