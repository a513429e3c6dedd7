//! What is known about the tree at hand: names that `when` expressions and templates may use.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{DynObject, Object, ObjectRepr};
use minijinja::{Environment, UndefinedBehavior, Value};

use super::Probe;
use crate::kernel::{Overlay, Version};
use crate::{Error, Result};

/// Names that every expression and template may use, besides the recipe's probes.
pub const NAMES: [&str; 5] = ["version", "v", "exists", "abi", "hypercall"];

/// A kernel version as expressions see it: compares with `v(2, 6, 26)`, renders as `2.6.26`.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct VersionValue(u32, u32, u32);

impl Object for VersionValue {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<Ordering> {
        Some((**self).cmp(other.downcast_ref::<Self>()?))
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// The facts of one tree for one recipe.
#[derive(Debug)]
pub struct Facts {
    env: Environment<'static>,
    values: BTreeMap<String, Value>,
}

impl Facts {
    /// Answers the probes on `overlay` and fixes the version.
    ///
    /// # Errors
    /// When a file that a probe names is there but cannot be read.
    pub fn new(overlay: &Overlay<'_>, probes: &BTreeMap<String, Probe>) -> Result<Self> {
        let mut facts = Self::of_version(overlay.tree().version());
        for (name, probe) in probes {
            facts
                .values
                .insert(name.clone(), Value::from(answer(overlay, probe)?));
        }
        let root = overlay.tree().root().to_path_buf();
        let pending: BTreeSet<String> = overlay.pending_paths().map(str::to_owned).collect();
        let removed: BTreeSet<String> = overlay.removed_paths().map(str::to_owned).collect();
        facts.env.add_function("exists", move |path: String| {
            pending.contains(&path) || !removed.contains(&path) && root.join(&path).exists()
        });
        Ok(facts)
    }

    /// Facts without a tree: the version alone, every `exists` false.
    pub fn of_version(version: &Version) -> Self {
        let mut env = environment();
        env.add_function("exists", |_: String| false);
        let (a, b, c) = version.triple();
        let values = BTreeMap::from([
            (
                "version".to_owned(),
                Value::from_object(VersionValue(a, b, c)),
            ),
            (
                "abi".to_owned(),
                Value::from(xkvm_host::abi::CHeader.to_string()),
            ),
            (
                "hypercall".to_owned(),
                Value::from(xkvm_host::abi::HYPERCALL),
            ),
        ]);
        Self { env, values }
    }

    /// Adds or replaces a name.
    pub fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.values.insert(name.to_owned(), value.into());
    }

    /// Whether `expression` is true here.
    ///
    /// # Errors
    /// What is wrong with the expression.
    pub fn holds(&self, expression: &str) -> Result<bool, String> {
        let compiled = self
            .env
            .compile_expression(expression)
            .map_err(|e| reason(&e))?;
        Ok(compiled
            .eval(self.context())
            .map_err(|e| reason(&e))?
            .is_true())
    }

    /// Renders a template.
    ///
    /// # Errors
    /// The line in the template (0 when unknown) and what is wrong there.
    pub fn render(&self, template: &str) -> Result<String, (usize, String)> {
        self.env
            .render_str(template, self.context())
            .map_err(|e| (e.line().unwrap_or(0), reason(&e)))
    }

    fn context(&self) -> Value {
        Value::from_pairs(self.values.iter().map(|(k, v)| (k.clone(), v.clone())))
    }
}

/// Checks an expression without a tree: its syntax, and that every name in it is known.
///
/// # Errors
/// What is wrong, and a hint.
pub fn check(
    expression: &str,
    probes: &BTreeMap<String, Probe>,
) -> Result<(), (String, Option<String>)> {
    let env = environment();
    let compiled = env
        .compile_expression(expression)
        .map_err(|e| (reason(&e), None))?;
    let known = || {
        NAMES
            .into_iter()
            .filter(|n| *n != "abi")
            .chain(probes.keys().map(String::as_str))
    };
    let mut used: Vec<String> = compiled.undeclared_variables(false).into_iter().collect();
    used.sort();
    match used
        .iter()
        .find(|name| !known().any(|k| k == name.as_str()))
    {
        None => Ok(()),
        Some(name) => {
            let hint = match crate::error::did_you_mean(name, known()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known here: {}", known().collect::<Vec<_>>().join(", ")),
            };
            Err((
                format!("unknown name `{name}` in this expression"),
                Some(hint),
            ))
        }
    }
}

fn environment() -> Environment<'static> {
    let mut env = Environment::new();
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    // Tags stand on lines of their own in C templates and must leave no empty lines behind.
    let syntax = SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .keep_trailing_newline(true)
        .build();
    env.set_syntax(syntax.expect("the usual delimiters are valid"));
    env.add_function("v", |a: u32, b: u32, c: Option<u32>| {
        Value::from_object(VersionValue(a, b, c.unwrap_or(0)))
    });
    env
}

fn reason(error: &minijinja::Error) -> String {
    match error.detail() {
        Some(detail) => detail.to_owned(),
        None => error.kind().to_string(),
    }
}

fn answer(overlay: &Overlay<'_>, probe: &Probe) -> Result<bool> {
    for path in &probe.files {
        let Some(text) = overlay.read(path)? else {
            continue;
        };
        match &probe.contains {
            None => return Ok(true),
            Some(needle) if memchr::memmem::find(&text, needle.as_bytes()).is_some() => {
                return Ok(true);
            }
            Some(_) => {}
        }
    }
    Ok(false)
}

/// An error of a `when` expression that passed its check but cannot be evaluated here.
pub(super) fn broken(recipe: &super::Recipe, line: usize, message: &str) -> Error {
    Error::usage(format!("`when` cannot be evaluated: {message}")).at(&recipe.source.file, line, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        let text = b"VERSION = 2\nPATCHLEVEL = 6\nSUBLEVEL = 27\nEXTRAVERSION = .7\n";
        let mut facts = Facts::of_version(&Version::from_makefile(text).unwrap());
        facts.set("vmmcall", false);
        facts
    }

    #[test]
    fn versions_compare_as_versions() {
        let facts = facts();
        assert_eq!(
            facts.holds("version >= v(2, 6, 26) and not vmmcall"),
            Ok(true)
        );
        assert_eq!(facts.holds("version >= v(2, 6, 100)"), Ok(false));
        assert_eq!(facts.holds("version < v(3, 0)"), Ok(true));
        assert_eq!(facts.holds("version == v(2, 6, 27)"), Ok(true));
        assert_eq!(facts.holds("exists('Makefile')"), Ok(false));
        assert_eq!(facts.render("{{ version }}"), Ok("2.6.27".into()));
    }

    #[test]
    fn a_removed_file_does_not_exist() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("Makefile"), "VERSION = 5\nPATCHLEVEL = 4\n").unwrap();
        let tree = crate::kernel::Tree::open(dir.path()).unwrap();
        let mut overlay = Overlay::new(&tree);
        let exists = |overlay: &Overlay<'_>| {
            let facts = Facts::new(overlay, &BTreeMap::new()).unwrap();
            facts.holds("exists('Makefile')")
        };
        assert_eq!(exists(&overlay), Ok(true));
        overlay.remove("Makefile");
        assert_eq!(exists(&overlay), Ok(false));
    }

    #[test]
    fn tags_leave_no_empty_lines() {
        let text = "a\n{% if version < v(3, 0) %}\nb\n{% else %}\nc\n{% endif %}\nd\n";
        assert_eq!(facts().render(text), Ok("a\nb\nd\n".into()));
        let (line, _) = facts().render("a\n{{ nothing }}\n").unwrap_err();
        assert_eq!(line, 2);
    }

    #[test]
    fn unknown_names_and_bad_syntax_are_told() {
        let probes = BTreeMap::from([(
            "vmmcall".to_owned(),
            Probe {
                files: vec!["a".into()],
                contains: None,
            },
        )]);
        assert_eq!(
            check("version > v(2,6) or vmmcall or exists('x')", &probes),
            Ok(())
        );
        let (message, hint) = check("vmcall", &probes).unwrap_err();
        assert_eq!(message, "unknown name `vmcall` in this expression");
        assert_eq!(hint.as_deref(), Some("did you mean `vmmcall`?"));
        assert!(check("version >=", &probes).is_err());
    }
}
