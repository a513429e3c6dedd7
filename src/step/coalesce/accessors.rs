//! The accessor table: which calls are port I/O, and what they carry.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

/// What one operation does; the names the generated code pastes after `XKVM_`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Kind {
    /// 8-bit OUT to a port number.
    Outb,
    /// 16-bit OUT to a port number.
    Outw,
    /// 32-bit OUT to a port number.
    Outl,
    /// 8-bit IN from a port number.
    Inb,
    /// 16-bit IN from a port number.
    Inw,
    /// 32-bit IN from a port number.
    Inl,
    /// 8-bit write through an iomap cookie.
    Iowrite8,
    /// 16-bit write through an iomap cookie.
    Iowrite16,
    /// 32-bit write through an iomap cookie.
    Iowrite32,
    /// 8-bit read through an iomap cookie.
    Ioread8,
    /// 16-bit read through an iomap cookie.
    Ioread16,
    /// 32-bit read through an iomap cookie.
    Ioread32,
}

impl Kind {
    /// The name as generated code spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Outb => "OUTB",
            Self::Outw => "OUTW",
            Self::Outl => "OUTL",
            Self::Inb => "INB",
            Self::Inw => "INW",
            Self::Inl => "INL",
            Self::Iowrite8 => "IOWRITE8",
            Self::Iowrite16 => "IOWRITE16",
            Self::Iowrite32 => "IOWRITE32",
            Self::Ioread8 => "IOREAD8",
            Self::Ioread16 => "IOREAD16",
            Self::Ioread32 => "IOREAD32",
        }
    }

    /// Whether it brings a value in.
    pub fn is_read(self) -> bool {
        self.result_type().is_some()
    }

    /// The C type that the accessor returns, for a read: what arithmetic on the value starts from.
    /// (`ioread*` return `unsigned int` whatever their width, lib/iomap.c.)
    pub fn result_type(self) -> Option<&'static str> {
        match self {
            Self::Inb => Some("u8"),
            Self::Inw => Some("u16"),
            Self::Inl => Some("u32"),
            Self::Ioread8 | Self::Ioread16 | Self::Ioread32 => Some("u32"),
            _ => None,
        }
    }
}

/// What an argument of an accessor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arg {
    /// The value written.
    Value,
    /// The port number, or the iomap cookie.
    Port,
    /// Evaluated by the original, not needed for the operation; must be a plain name, which is dropped.
    Ignored,
}

/// One accessor, as a recipe's `[[step.accessor]]` gives it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessorSpec {
    /// The callee without blanks: `outb`, `hwif->OUTB`, or `*->OUTB` for any base.
    pub call: String,
    /// What it does.
    pub kind: Kind,
    /// Its arguments, in order.
    pub args: Vec<Arg>,
    /// Whether it also delays.
    #[serde(default)]
    pub pausing: bool,
    /// Whether it is the kernel's: then a local thing of its name is something else.
    #[serde(skip)]
    pub builtin: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    kind: Kind,
    args: Vec<Arg>,
    #[serde(default)]
    pausing: bool,
}

static BUILTIN: LazyLock<BTreeMap<String, BTreeMap<String, Row>>> = LazyLock::new(|| {
    toml::from_str(include_str!("accessors.toml")).expect("the built-in accessor table is valid")
});

/// The accessors a step knows.
#[derive(Debug, Default, Clone)]
pub struct Accessors {
    specs: Vec<AccessorSpec>,
}

impl Accessors {
    /// Builds the table from the named built-in tables plus `extra`.
    ///
    /// # Errors
    /// A sentence that names what is wrong: an unknown table, or arguments that do not fit the kind.
    pub fn new(tables: &[String], extra: &[AccessorSpec]) -> Result<Self, String> {
        let mut specs = extra.to_vec();
        for table in tables {
            let rows = BUILTIN.get(table).ok_or_else(|| {
                format!(
                    "unknown accessor table `{table}` (there are: {})",
                    BUILTIN.keys().cloned().collect::<Vec<_>>().join(", ")
                )
            })?;
            specs.extend(rows.iter().map(|(call, row)| AccessorSpec {
                call: call.clone(),
                kind: row.kind,
                args: row.args.clone(),
                pausing: row.pausing,
                builtin: true,
            }));
        }
        for spec in &specs {
            let count = |arg| spec.args.iter().filter(|a| **a == arg).count();
            if count(Arg::Port) != 1 || count(Arg::Value) != usize::from(!spec.kind.is_read()) {
                return Err(format!(
                    "accessor `{}`: a {} takes one port and {} value",
                    spec.call,
                    spec.kind.name(),
                    if spec.kind.is_read() { "no" } else { "one" }
                ));
            }
        }
        Ok(Self { specs })
    }

    /// The accessor that the callee text (without blanks) names.
    pub fn find(&self, callee: &str) -> Option<&AccessorSpec> {
        self.specs
            .iter()
            .find(|spec| match spec.call.strip_prefix('*') {
                Some(suffix) => callee.len() > suffix.len() && callee.ends_with(suffix),
                None => spec.call == callee,
            })
    }

    /// The last identifier of each accessor: the words a file must have to be of interest.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.specs
            .iter()
            .map(|s| s.call.rsplit(['>', '.', '*']).next().unwrap_or(&s.call))
    }
}
