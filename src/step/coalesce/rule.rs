//! The soundness rules: each has a code that reports use, and each can be switched off,
//! but only by the tests, which show that every one of them is needed.

use std::fmt;

macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident = $code:literal,)*) => {
        /// Why two operations may not share a batch, or a statement may not be moved.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Rule { $($(#[$doc])* $name,)* }

        impl Rule {
            /// All of them.
            pub const ALL: &[Rule] = &[$(Rule::$name,)*];

            /// The short code in reports.
            pub fn code(self) -> &'static str {
                match self { $(Rule::$name => $code,)* }
            }
        }
    };
}

rules! {
    /// A call stands between: it may do I/O, wait, lock, or look at memory.
    Call = "call",
    /// A call inside an operand is not known to be pure.
    OperandCall = "operand-call",
    /// I/O inside an operand or a condition: it would run before what is recorded.
    NestedIo = "nested-io",
    /// The code uses the value of a read that is still to come.
    DependentRead = "dependent-read",
    /// The code changes what the destination of a pending read is computed from.
    MovedDestination = "moved-destination",
    /// A store to memory other code or a device can see.
    Store = "store",
    /// The destination itself has side effects.
    DestinationEffect = "destination-effect",
    /// A loop.
    Loop = "loop",
    /// A branch whose arms are more than I/O.
    Branch = "branch",
    /// A switch.
    Switch = "switch",
    /// A label: control may arrive here without the operations before.
    Label = "label",
    /// A jump: control may leave here without the operations after.
    Jump = "jump",
    /// Inline assembly.
    Asm = "asm",
    /// A preprocessor line.
    Preproc = "preprocessor",
    /// A `volatile` object.
    Volatile = "volatile",
    /// An accessor that also delays.
    Pause = "pause",
    /// A declaration that cannot be split from its value (`const`, several declarators, before other declarations).
    Declaration = "declaration",
    /// A conditional read whose condition may change before the values are handed out.
    UnstableCondition = "unstable-condition",
    /// A run with conditions that has both reads and writes: the values could not be handed out simply.
    MixedConditional = "mixed-conditional",
    /// The recipe's limit of operations a batch.
    Limit = "limit",
    /// The file defines the accessor, or a name that generated code needs, itself.
    NameTaken = "name-taken",
    /// The parser does not understand the function.
    ParseError = "parse-error",
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// A rule that applies at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hurdle {
    /// Which rule.
    pub rule: Rule,
    /// A clause for people: "call to `udelay`".
    pub reason: String,
    /// Byte offset in the file.
    pub at: usize,
}

impl Hurdle {
    /// A hurdle at byte `at` of the file.
    pub fn new(rule: Rule, reason: impl Into<String>, at: usize) -> Self {
        Self {
            rule,
            reason: reason.into(),
            at,
        }
    }
}
