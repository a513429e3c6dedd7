//! Generated functions: what they are made of, and strategies that shrink.
//!
//! Numbers are indices into the tables of `render.rs`, taken modulo their length, so every program is valid.

use proptest::collection::vec;
use proptest::prelude::*;

/// One C function.
#[derive(Debug, Clone)]
pub struct Program {
    /// Groups of places that the function works on: few, so that accesses meet.
    pub groups: Vec<u8>,
    pub body: Vec<Line>,
}

/// A statement and its layout.
#[derive(Debug, Clone)]
pub struct Line {
    pub stmt: Stmt,
    /// 1: on the line before; 2: comment behind; 3: blank line before; 4: comment line before.
    pub layout: u8,
}

/// A statement.
#[derive(Debug, Clone)]
pub enum Stmt {
    Write(Access, Value),
    Read(Access, To, Vec<Wrap>),
    /// `T name = …read…;`
    DeclareRead(Access, Name, Vec<Wrap>),
    Declare(Name, Expr),
    Assign {
        to: u8,
        op: u8,
        value: Value,
    },
    Step(u8, bool),
    /// An assignment to a local.
    Local(u8, Expr),
    /// Statements that are likely to share a batch.
    Several(Vec<Line>),
    /// A store that the device may see.
    Publish(u8, Expr),
    If {
        on: Condition,
        then: Vec<Line>,
        other: Vec<Line>,
        braces: bool,
    },
    Loop {
        form: u8,
        times: u8,
        body: Vec<Line>,
    },
    Switch {
        on: Expr,
        cases: Vec<(Vec<Line>, bool)>,
    },
    Back {
        on: Expr,
        body: Vec<Line>,
    },
    Out {
        on: Expr,
        body: Vec<Line>,
    },
    Call(u8, Expr),
    Ifdef {
        which: u8,
        yes: Vec<Line>,
        no: Vec<Line>,
    },
    Block(Vec<Line>),
    Return {
        on: Expr,
        value: Expr,
    },
    /// A statement from a list of things that are seldom met.
    Odd(u8),
    /// `if (g_irq) place = read`: only this asks what an interrupt handler changes.
    Interrupted(Access, u8),
}

/// An accessor, its port, and how the call is laid out.
#[derive(Debug, Clone)]
pub struct Access {
    pub accessor: u8,
    pub port: u8,
    pub hot: u8,
    pub layout: u8,
}

/// A value written or assigned.
#[derive(Debug, Clone)]
pub enum Value {
    Pure(Expr),
    Effect(u8),
}

/// Where a read goes.
#[derive(Debug, Clone)]
pub enum To {
    Nowhere,
    Place { place: u8, op: u8 },
    Effect(u8),
}

/// What is declared.
#[derive(Debug, Clone)]
pub struct Name {
    pub ty: u8,
    /// 0–2: a new name; then: one that hides another; then `const`; then with a second declarator.
    pub form: u8,
}

/// A condition.
#[derive(Debug, Clone)]
pub enum Condition {
    /// Of parameters.
    Stable(u8),
    Pure(Expr),
    Effect(u8),
}

/// Arithmetic around a read.
#[derive(Debug, Clone)]
pub enum Wrap {
    Cast(u8),
    Shift(u8),
    Unary(u8),
    Left(u8, Expr),
    Right(u8, Expr),
    And(Expr),
    Choose(Expr),
}

/// An expression without effects.
#[derive(Debug, Clone)]
pub enum Expr {
    /// A place of the function's groups, or a local declared in scope.
    Hot(u8),
    Number(u8),
    Other(u8),
    Binary(u8, Box<Expr>, Box<Expr>),
    Unary(u8, Box<Expr>),
    Cast(u8, Box<Expr>),
    Choose(Box<Expr>, Box<Expr>, Box<Expr>),
    Call(u8, Box<Expr>),
}

fn expr() -> BoxedStrategy<Expr> {
    let leaf = prop_oneof![
        2 => any::<u8>().prop_map(Expr::Number),
        8 => any::<u8>().prop_map(Expr::Hot),
        2 => any::<u8>().prop_map(Expr::Other),
    ]
    .boxed();
    let small = leaf
        .clone()
        .prop_recursive(2, 5, 2, |inner| {
            let b = inner.clone().prop_map(Box::new).boxed();
            prop_oneof![
                4 => (any::<u8>(), b.clone(), b.clone()).prop_map(|(o, a, b)| Expr::Binary(o, a, b)),
                1 => (any::<u8>(), b.clone()).prop_map(|(o, a)| Expr::Unary(o, a)),
                2 => (any::<u8>(), b.clone()).prop_map(|(o, a)| Expr::Cast(o, a)),
                1 => (b.clone(), b.clone(), b.clone()).prop_map(|(a, b, c)| Expr::Choose(a, b, c)),
                2 => (any::<u8>(), b).prop_map(|(o, a)| Expr::Call(o, a)),
            ]
        })
        .boxed();
    prop_oneof![3 => leaf, 2 => small].boxed()
}

fn access() -> BoxedStrategy<Access> {
    (
        any::<u8>(),
        prop_oneof![3 => Just(0u8), 2 => any::<u8>()],
        any::<u8>(),
        any::<u8>(),
    )
        .prop_map(|(accessor, port, hot, layout)| Access {
            accessor,
            port,
            hot,
            layout,
        })
        .boxed()
}

fn value() -> BoxedStrategy<Value> {
    prop_oneof![6 => expr().prop_map(Value::Pure), 1 => any::<u8>().prop_map(Value::Effect)].boxed()
}

fn name() -> BoxedStrategy<Name> {
    (any::<u8>(), 0..24u8)
        .prop_map(|(ty, form)| Name { ty, form })
        .boxed()
}

fn wraps() -> BoxedStrategy<Vec<Wrap>> {
    let wrap = prop_oneof![
        3 => any::<u8>().prop_map(Wrap::Cast),
        2 => any::<u8>().prop_map(Wrap::Shift),
        2 => any::<u8>().prop_map(Wrap::Unary),
        2 => (any::<u8>(), expr()).prop_map(|(o, e)| Wrap::Left(o, e)),
        2 => (any::<u8>(), expr()).prop_map(|(o, e)| Wrap::Right(o, e)),
        1 => expr().prop_map(Wrap::And),
        1 => expr().prop_map(Wrap::Choose),
    ]
    .boxed();
    prop_oneof![3 => Just(Vec::new()), 2 => vec(wrap, 1..3)].boxed()
}

fn read() -> BoxedStrategy<Stmt> {
    let to = prop_oneof![
        2 => Just(To::Nowhere),
        8 => (any::<u8>(), any::<u8>()).prop_map(|(place, op)| To::Place { place, op }),
        1 => any::<u8>().prop_map(To::Effect),
    ];
    (access(), to, wraps())
        .prop_map(|(a, t, w)| Stmt::Read(a, t, w))
        .boxed()
}

fn write() -> BoxedStrategy<Stmt> {
    (access(), value())
        .prop_map(|(a, v)| Stmt::Write(a, v))
        .boxed()
}

fn io() -> BoxedStrategy<Stmt> {
    prop_oneof![
        5 => write(),
        5 => read(),
        1 => (access(), name(), wraps()).prop_map(|(a, n, w)| Stmt::DeclareRead(a, n, w)),
    ]
    .boxed()
}

fn plain() -> BoxedStrategy<Stmt> {
    prop_oneof![
        2 => (name(), expr()).prop_map(|(n, e)| Stmt::Declare(n, e)),
        6 => (any::<u8>(), any::<u8>(), value()).prop_map(|(to, op, value)| Stmt::Assign { to, op, value }),
        2 => (any::<u8>(), any::<bool>()).prop_map(|(p, up)| Stmt::Step(p, up)),
        3 => (any::<u8>(), expr()).prop_map(|(p, e)| Stmt::Local(p, e)),
        1 => (any::<u8>(), expr()).prop_map(|(k, e)| Stmt::Publish(k, e)),
        2 => (any::<u8>(), expr()).prop_map(|(k, e)| Stmt::Call(k, e)),
        3 => any::<u8>().prop_map(Stmt::Odd),
        1 => (expr(), expr()).prop_map(|(on, value)| Stmt::Return { on, value }),
    ]
    .boxed()
}

fn lines(stmt: &BoxedStrategy<Stmt>, count: std::ops::Range<usize>) -> BoxedStrategy<Vec<Line>> {
    let line = (prop_oneof![4 => Just(0u8), 2 => 0..5u8], stmt.clone())
        .prop_map(|(layout, stmt)| Line { stmt, layout });
    vec(line, count).boxed()
}

fn condition() -> BoxedStrategy<Condition> {
    prop_oneof![
        6 => any::<u8>().prop_map(Condition::Stable),
        8 => expr().prop_map(Condition::Pure),
        1 => any::<u8>().prop_map(Condition::Effect),
    ]
    .boxed()
}

/// Statements with blocks of `inner` in them.
fn nest(inner: &BoxedStrategy<Stmt>) -> BoxedStrategy<Stmt> {
    let (some, few) = (lines(inner, 1..5), lines(inner, 0..4));
    let case = (some.clone(), any::<bool>());
    prop_oneof![
        10 => (condition(), some.clone(), few.clone(), any::<bool>())
            .prop_map(|(on, then, other, braces)| Stmt::If { on, then, other, braces }),
        10 => (condition(), some.clone(), any::<bool>())
            .prop_map(|(on, then, braces)| Stmt::If { on, then, other: Vec::new(), braces }),
        3 => (any::<u8>(), 1..4u8, some.clone()).prop_map(|(form, times, body)| Stmt::Loop { form, times, body }),
        2 => (expr(), vec(case, 1..4)).prop_map(|(on, cases)| Stmt::Switch { on, cases }),
        2 => (expr(), some.clone()).prop_map(|(on, body)| Stmt::Back { on, body }),
        2 => (expr(), some.clone()).prop_map(|(on, body)| Stmt::Out { on, body }),
        3 => (any::<u8>(), some.clone(), few).prop_map(|(which, yes, no)| Stmt::Ifdef { which, yes, no }),
        1 => some.prop_map(Stmt::Block),
    ]
    .boxed()
}

/// Functions.
pub fn program() -> BoxedStrategy<Program> {
    let flat = prop_oneof![
        10 => io(),
        4 => plain(),
        1 => (access(), any::<u8>()).prop_map(|(a, p)| Stmt::Interrupted(a, p)),
    ]
    .boxed();
    // Branches that hold nothing but I/O are what conditional runs are made of.
    let pure_branch = {
        let body = lines(&io(), 1..4);
        (
            condition(),
            body.clone(),
            prop_oneof![2 => Just(Vec::new()), 1 => body],
            any::<bool>(),
        )
            .prop_map(|(on, then, other, braces)| Stmt::If {
                on,
                then,
                other,
                braces,
            })
            .boxed()
    };
    // So are neighbours that go the same way, and code between them that does not matter.
    let alike = |io: BoxedStrategy<Stmt>| {
        let arm = lines(&io, 1..3);
        let branch = (
            any::<u8>().prop_map(Condition::Stable),
            arm.clone(),
            prop_oneof![2 => Just(Vec::new()), 1 => arm],
            any::<bool>(),
        )
            .prop_map(|(on, then, other, braces)| Stmt::If {
                on,
                then,
                other,
                braces,
            });
        let between = prop_oneof![
            (any::<u8>(), expr()).prop_map(|(p, e)| Stmt::Local(p, e)),
            expr().prop_map(|e| Stmt::Call(0, e)),
        ];
        let any = prop_oneof![4 => branch, 3 => io, 2 => between].boxed();
        lines(&any, 2..5).prop_map(Stmt::Several)
    };
    let alike = prop_oneof![alike(read()), alike(write())].boxed();
    let level = |inner: &BoxedStrategy<Stmt>| {
        prop_oneof![
            10 => flat.clone(),
            2 => pure_branch.clone(),
            2 => alike.clone(),
            3 => nest(inner),
        ]
        .boxed()
    };
    let two = level(&level(&flat));
    (vec(any::<u8>(), 1..4), lines(&two, 1..12))
        .prop_map(|(groups, body)| Program { groups, body })
        .boxed()
}
