//! The snippets of C that programs are made of.

/// Places that are worth using together, since they are, or look like, the same storage. Those marked `true` can be assigned.
pub const GROUPS: &[&[(&str, bool)]] = &[
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
pub const LOCALS: &[(&str, &str, &[&str])] = &[
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
pub const NEEDS: &[(&str, &str)] = &[
    ("pe", "e"),
    ("xp", "xarr"),
    ("row", "m2"),
    ("pad", "ad"),
    ("M_LOC", "a8"),
    ("M_ARG", "a8"),
    ("SETA", "a8"),
];

pub const TYPES: &[&str] = &["u8", "s8", "u16", "s16", "u32", "s32", "u64", "s64", "bool"];

pub const BINARY: &[&str] = &["+", "-", "&", "|", "^", "*", "==", "<", "!=", "<<", ">>"];

pub const ASSIGN: &[&str] = &["=", "=", "=", "=", "|=", "-=", "+=", "^="];

/// Conditions on parameters.
pub const STABLE: &[&str] = &["c & 1", "n & 1", "w & 4", "c & 2", "n & 8", "c", "!(n & 3)"];

/// Locals that code between operations uses.
pub const BETWEEN: &[&str] = &["b8", "a16", "h32", "i", "a8"];

pub const OTHER: &[&str] = &[
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
pub const EFFECTS: &[&str] = &[
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

pub const DESTINATIONS: &[&str] = &[
    "arr[i++ & 3]",
    "*q++",
    "xarr[i++ & 3]",
    "t->arr[i++ & 3]",
    "q++[0]",
];

pub const CONDITIONS: &[&str] = &[
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

pub const ODD: &[&str] = &[
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
    "a32 = inl(p);\nasm volatile (\"addl $1, %0\" : \"+r\" (a32));\noutb(1, p);",
    "arr[i & 3] = inb(p);\ni = n & 3;\noutb(1, p);",
    "if (a8 & 1)\n\toutb(1, p);\na8 = 0;\nb8 = inb(p);",
    "b8 = inb(p);\nb8 = 7;\noutb(1, p);",
    "if (a8 & 1) {\n\ta8 = 0;\n\tb8 = inb(p);\n}\ni = inb(p);",
];

/// What a name declared inside may hide.
pub const HIDDEN: &[&str] = &["g8", "sh", "g16", "a8", "b8", "c"];

pub const DIRECT: (&[&str], &[&str]) = (
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
pub const POINTERS: (&[&str], &[&str]) = (
    &["hw->OUTB", "hw->OUTW", "hw->OUTL", "hw->OUTB", "outb"],
    &["hw->INB", "hw->INW", "hw->INL", "hw->INB", "inb"],
);
