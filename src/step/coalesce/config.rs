//! The settings of a `coalesce-io` step.

use serde::Deserialize;

use super::accessors::{AccessorSpec, Accessors};
use super::rule::Rule;

/// Calls that only compute: they may stand in an operand. (include/linux/{const,kconfig,compiler,kernel,bits,minmax}.h, byteorder, netdevice.)
const PURE: &[&str] = &[
    "likely",
    "unlikely",
    "cpu_to_le16",
    "cpu_to_le32",
    "cpu_to_be16",
    "cpu_to_be32",
    "le16_to_cpu",
    "le32_to_cpu",
    "be16_to_cpu",
    "be32_to_cpu",
    "swab16",
    "swab32",
    "_AC",
    "_UL",
    "_ULL",
    "UL",
    "ULL",
    "IS_ENABLED",
    "BIT",
    "BIT_ULL",
    "GENMASK",
    "FIELD_PREP",
    "FIELD_GET",
    "ARRAY_SIZE",
    "lower_32_bits",
    "upper_32_bits",
    "min",
    "max",
    "min_t",
    "max_t",
    "clamp",
    "DIV_ROUND_UP",
    "htons",
    "htonl",
    "ntohs",
    "ntohl",
    "netdev_priv",
    "virt_to_phys",
    "phys_to_virt",
    "virt_to_bus",
    "isa_virt_to_bus",
    "isa_bus_to_virt",
];

/// A `coalesce-io` step as a recipe states it.
#[derive(Debug, Clone, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CoalesceStep {
    /// Globs of function names; all functions when empty.
    #[serde(default)]
    pub functions: Vec<String>,
    /// Built-in accessor tables: `port`, `iomap`.
    #[serde(default)]
    pub accessors: Vec<String>,
    /// Further accessors.
    #[serde(default)]
    pub accessor: Vec<AccessorSpec>,
    /// A C expression, valid wherever a run stands, that proves the accessors to be port I/O.
    /// With it the original code stays as the else branch.
    #[serde(default)]
    pub guard: Option<String>,
    /// Calls that neither touch the device nor change memory a run looks at (debug messages).
    #[serde(default)]
    pub transparent: Vec<String>,
    /// Calls without effects that may stand in operands.
    #[serde(default)]
    pub pure: Vec<String>,
    /// Globs of names that are constants although no macro in reach says so: enumerators.
    #[serde(default)]
    pub constants: Vec<String>,
    /// Structure members that may be stored to inside a run: no device and no interrupt handler looks at them.
    #[serde(default)]
    pub stores: Vec<String>,
    /// Whether the delay of `*_p` accessors is void.
    #[serde(default)]
    pub pauses_are_void: bool,
    /// Most operations in one batch (the array lives on the stack, 16 bytes each).
    #[serde(default = "default_max_ops")]
    pub max_ops: usize,
}

fn default_max_ops() -> usize {
    32
}

impl Default for CoalesceStep {
    fn default() -> Self {
        Self {
            functions: Vec::new(),
            accessors: vec!["port".into(), "iomap".into()],
            accessor: Vec::new(),
            guard: None,
            transparent: Vec::new(),
            pure: Vec::new(),
            constants: Vec::new(),
            stores: Vec::new(),
            pauses_are_void: false,
            max_ops: default_max_ops(),
        }
    }
}

/// A step made ready: tables built, globs compiled.
#[derive(Debug, Clone)]
pub struct Compiled {
    /// The accessors.
    pub accessors: Accessors,
    /// Finds words that could be accessors.
    words: aho_corasick::AhoCorasick,
    /// Names of functions to look at; `None` means all.
    functions: Option<globset::GlobSet>,
    /// See [`CoalesceStep::guard`].
    pub guard: Option<String>,
    transparent: Vec<String>,
    pure: Vec<String>,
    constants: globset::GlobSet,
    /// See [`CoalesceStep::stores`].
    pub stores: Vec<String>,
    /// See [`CoalesceStep::pauses_are_void`].
    pub pauses_are_void: bool,
    /// See [`CoalesceStep::max_ops`].
    pub max_ops: usize,
    /// A rule that is out of force: only the tests set it, to show that the rule is needed.
    pub(super) disabled: Option<Rule>,
}

impl Compiled {
    /// Compiles `step`.
    ///
    /// # Errors
    /// A sentence that names what is wrong in the step.
    pub fn new(step: &CoalesceStep) -> Result<Self, String> {
        if !(2..=255).contains(&step.max_ops) {
            return Err(format!(
                "max-ops is {}, but a batch has 2 to 255 operations",
                step.max_ops
            ));
        }
        let functions = match step.functions.as_slice() {
            [] => None,
            globs => Some(glob_set(globs)?),
        };
        let accessors = Accessors::new(&step.accessors, &step.accessor)?;
        let words = aho_corasick::AhoCorasick::new(accessors.words()).map_err(|e| e.to_string())?;
        Ok(Self {
            accessors,
            words,
            functions,
            guard: step.guard.clone(),
            transparent: step.transparent.clone(),
            pure: step.pure.clone(),
            constants: glob_set(&step.constants)?,
            stores: step.stores.clone(),
            pauses_are_void: step.pauses_are_void,
            max_ops: step.max_ops,
            disabled: None,
        })
    }

    /// Puts `rule` out of force. Only for tests, which show that each rule is needed: what comes out may be wrong.
    #[doc(hidden)]
    pub fn disable(&mut self, rule: Rule) {
        self.disabled = Some(rule);
    }

    /// Whether `body` has a word that could be an accessor at all.
    pub fn mentions_accessor(&self, body: &[u8]) -> bool {
        self.words.is_match(body)
    }

    /// Whether the step looks at the function `name`.
    pub fn wants(&self, name: &str) -> bool {
        self.functions.as_ref().is_none_or(|set| set.is_match(name))
    }

    /// Whether a call of `name` gives nothing but a function of its arguments.
    pub fn is_plain(&self, name: &str) -> bool {
        PURE.contains(&name)
    }

    /// Whether calling `name` is known to have no effect.
    pub fn is_pure(&self, name: &str) -> bool {
        PURE.contains(&name) || self.pure.iter().any(|p| p == name)
    }

    /// Whether the recipe vouches for `name` as a constant.
    pub fn is_constant(&self, name: &str) -> bool {
        self.constants.is_match(name)
    }

    /// Whether a statement that calls `name` may stand inside a run.
    pub fn is_transparent(&self, name: &str) -> bool {
        self.transparent.iter().any(|t| t == name)
    }
}

fn glob_set(globs: &[String]) -> Result<globset::GlobSet, String> {
    let mut set = globset::GlobSetBuilder::new();
    for glob in globs {
        set.add(globset::Glob::new(glob).map_err(|e| e.to_string())?);
    }
    set.build().map_err(|e| e.to_string())
}
