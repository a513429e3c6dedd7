//! Renders the support recipe for a tree, without the engine: for tests of the templates themselves.
#![allow(dead_code, reason = "each user takes a part of it")]

use std::collections::BTreeMap;
use std::path::Path;

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, UndefinedBehavior, Value};

/// The files the recipe makes or changes for `tree`, by path.
pub fn render(tree: &Path) -> BTreeMap<String, Vec<u8>> {
    let recipe = front_matter();
    let (env, names) = facts(tree, &recipe);
    let mut files = BTreeMap::new();
    for step in recipe["step"].as_array().expect("steps") {
        let key = |k: &str| step.get(k).and_then(toml::Value::as_str);
        if let Some(when) = key("when") {
            let holds = env
                .compile_expression(when)
                .expect("when")
                .eval(&names)
                .expect("when")
                .is_true();
            if !holds {
                continue;
            }
        }
        match key("kind").expect("kind") {
            "add-file" => {
                let template = Path::new("recipes").join(key("template").expect("template"));
                let template = std::fs::read_to_string(template).expect("template");
                let text = env
                    .render_str(&template, &names)
                    .unwrap_or_else(|e| panic!("{e:#}"));
                files.insert(key("path").expect("path").to_owned(), text.into_bytes());
            }
            "insert" => {
                let file = key("file").expect("file");
                let old = files
                    .remove(file)
                    .unwrap_or_else(|| std::fs::read(tree.join(file)).expect("file"));
                let anchor = key("after").or(key("before")).expect("anchor");
                let new = insert(
                    &old,
                    anchor,
                    key("after").is_some(),
                    key("text").expect("text"),
                )
                .unwrap_or_else(|| panic!("{file}: no line `{anchor}`"));
                files.insert(file.to_owned(), new);
            }
            other => panic!("step kind {other}"),
        }
    }
    files
}

/// The C file and the header alone, with the probes given by name.
pub fn render_source(probes: &[&str]) -> (String, String) {
    let recipe = front_matter();
    let env = environment();
    let mut names: BTreeMap<String, Value> = recipe["probe"]
        .as_table()
        .expect("probes")
        .keys()
        .map(|k| (k.clone(), probes.contains(&k.as_str()).into()))
        .collect();
    names.insert("abi".into(), xkvm_host::abi::CHeader.to_string().into());
    let get = |name: &str| {
        let text = std::fs::read_to_string(format!("recipes/support/{name}.j2")).expect("template");
        env.render_str(&text, &names)
            .unwrap_or_else(|e| panic!("{e:#}"))
    };
    (get("xkvm_io.c"), get("xkvm_io.h"))
}

fn front_matter() -> toml::Value {
    let text = std::fs::read_to_string("recipes/xkvm-io.md").expect("recipe");
    let front = text
        .strip_prefix("+++\n")
        .and_then(|t| t.split_once("\n+++\n"))
        .expect("front matter")
        .0;
    toml::from_str(front).expect("TOML")
}

fn environment() -> Environment<'static> {
    let mut env = Environment::new();
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    let syntax = SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .keep_trailing_newline(true)
        .build();
    env.set_syntax(syntax.expect("syntax"));
    env
}

fn facts(tree: &Path, recipe: &toml::Value) -> (Environment<'static>, BTreeMap<String, Value>) {
    let mut env = environment();
    let root = tree.to_path_buf();
    env.add_function("exists", move |path: String| root.join(path).exists());
    let mut names = BTreeMap::from([(
        "abi".to_owned(),
        Value::from(xkvm_host::abi::CHeader.to_string()),
    )]);
    for (name, probe) in recipe["probe"].as_table().expect("probes") {
        let needle = probe
            .get("contains")
            .and_then(toml::Value::as_str)
            .unwrap_or_default();
        let found = probe["files"]
            .as_array()
            .expect("files")
            .iter()
            .any(|file| {
                let text = std::fs::read(tree.join(file.as_str().expect("path")));
                text.is_ok_and(|t| memchr::memmem::find(&t, needle.as_bytes()).is_some())
            });
        names.insert(name.clone(), found.into());
    }
    (env, names)
}

fn insert(old: &[u8], anchor: &str, after: bool, text: &str) -> Option<Vec<u8>> {
    let lines: Vec<&[u8]> = old.split_inclusive(|b| *b == b'\n').collect();
    let at = lines
        .iter()
        .position(|l| l.trim_ascii_end() == anchor.as_bytes())?
        + usize::from(after);
    Some(
        [
            &lines[..at].concat(),
            text.as_bytes(),
            &lines[at..].concat(),
        ]
        .concat(),
    )
}
