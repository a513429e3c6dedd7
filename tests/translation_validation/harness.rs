//! Transforms a file of functions, compiles both versions over the mock bus, runs and compares them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use guestpatch::c::headers::Headers;
use guestpatch::step::Surroundings;
use guestpatch::step::Verdict;
use guestpatch::step::coalesce::{AccessorSpec, Arg, CoalesceStep, Compiled, Kind, Rule, run};

use crate::render::Mode;

const BUS_H: &str = include_str!("c/bus.h");
const BUS_C: &str = include_str!("c/bus.c");
const HEAD_H: &str = include_str!("c/head.h");
const XKVM_IO_H: &str = include_str!("c/xkvm_io.h");

/// As the kernel is compiled, as far as it matters for what C leaves open.
const FLAGS: &[&str] = &[
    "-O1",
    "-fwrapv",
    "-fno-strict-aliasing",
    "-fno-strict-overflow",
    "-std=gnu11",
    "-w",
    "-DCFG_A",
];

/// How a file is transformed and compiled.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    pub mode: Mode,
    /// Most operations in a batch.
    pub max_ops: usize,
    /// Whether the header records, or does the I/O at once (an architecture without batches).
    pub batches: bool,
    /// A rule that is out of force.
    pub without: Option<Rule>,
}

impl Setting {
    fn step(&self) -> Compiled {
        let mut step = CoalesceStep {
            transparent: vec!["trace".into()],
            pure: vec!["pure_fn".into(), "pure_mem".into()],
            stores: vec!["st".into()],
            max_ops: self.max_ops,
            ..CoalesceStep::default()
        };
        if self.mode == Mode::Pointers {
            let spec = |name: &str, kind: Kind| AccessorSpec {
                call: format!("hw->{name}"),
                kind,
                args: if kind.is_read() {
                    vec![Arg::Port]
                } else {
                    vec![Arg::Value, Arg::Port]
                },
                pausing: false,
                builtin: false,
            };
            step.accessors = Vec::new();
            step.accessor = vec![
                spec("OUTB", Kind::Outb),
                spec("OUTW", Kind::Outw),
                spec("OUTL", Kind::Outl),
                spec("INB", Kind::Inb),
                spec("INW", Kind::Inw),
                spec("INL", Kind::Inl),
            ];
            step.guard = Some("!hw->mmio".into());
        }
        let mut step = Compiled::new(&step).expect("the step is valid");
        if let Some(rule) = self.without {
            step.disable(rule);
        }
        step
    }
}

/// A file of functions `f0`, `f1`, …, and what the engine makes of it.
pub struct Transformed {
    pub original: String,
    pub rewritten: String,
    /// Numbers of the functions with a batch.
    pub changed: BTreeSet<usize>,
}

/// Transforms `functions`, each in a file of its own (the engine looks at whole files, and the time adds up), and puts them together.
pub fn transform(setting: &Setting, functions: &[String]) -> Transformed {
    let step = setting.step();
    let head = format!("#include \"bus.h\"\n{HEAD_H}\n");
    let mut all = Transformed {
        original: head.clone(),
        rewritten: format!("#include \"xkvm_io.h\"\n{head}"),
        changed: BTreeSet::new(),
    };
    for (k, function) in functions.iter().enumerate() {
        let file = format!("{head}{function}\n");
        let read = |path: &str| path.ends_with("bus.h").then(|| BUS_H.into());
        let (text, sites) = run(
            &step,
            "drivers/generated.c",
            file.as_bytes(),
            Surroundings {
                read: &read,
                headers: &Headers::default(),
            },
        );
        if sites.iter().any(|s| s.verdict == Verdict::Rewritten) {
            all.changed.insert(k);
        }
        all.original += &file[head.len()..];
        match text {
            Some(text) => {
                let text = String::from_utf8(text).expect("ASCII in, ASCII out");
                all.rewritten += text.strip_prefix(&head).expect("the head stays");
            }
            None => all.rewritten += &file[head.len()..],
        }
    }
    all
}

/// The text of function `k` in a file made by [`transform`].
pub fn function_text(file: &str, k: usize) -> &str {
    let from = file.find(&format!("s64 f{k}(")).expect("in the file");
    let len = file[from..].find("\n}\n").expect("a function ends") + 3;
    &file[from..from + len]
}

/// Why the two versions are not the same.
#[derive(Debug, Clone)]
pub enum Finding {
    /// They did not do the same.
    Mismatch { function: usize, what: String },
    /// The rewritten file does not compile.
    Compile(String),
}

/// A folder with the mock bus; files in it are named after `worker`.
pub struct Bench {
    folder: tempfile::TempDir,
    cc: String,
}

impl Bench {
    /// Sets one up, if there is a C compiler.
    pub fn new() -> Option<Self> {
        let cc = std::env::var("CC").unwrap_or_else(|_| "cc".into());
        let works = Command::new(&cc)
            .arg("--version")
            .output()
            .is_ok_and(|o| o.status.success());
        if !works {
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder for the C files");
        for (name, text) in [("bus.h", BUS_H), ("bus.c", BUS_C), ("xkvm_io.h", XKVM_IO_H)] {
            std::fs::write(folder.path().join(name), text).expect("write the mock bus");
        }
        let bench = Self { folder, cc };
        for max_ops in [3, 32] {
            let defines = [format!("-DMAX_OPS={max_ops}")];
            bench
                .compile("bus.c", &format!("bus{max_ops}.o"), &defines)
                .expect("the mock bus compiles");
        }
        Some(bench)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn compile(&self, from: &str, to: &str, more: &[String]) -> Result<(), String> {
        let out = Command::new(&self.cc)
            .current_dir(self.folder.path())
            .args(FLAGS)
            .args([
                "-Werror=implicit-function-declaration",
                "-c",
                from,
                "-o",
                to,
            ])
            .args(more)
            .output()
            .expect("start the compiler");
        if out.status.success() {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&out.stderr);
        Err(text
            .lines()
            .filter(|l| l.contains("error"))
            .take(4)
            .collect::<Vec<_>>()
            .join("\n"))
    }

    fn table(&self, name: &str, text: &str, table: &str, count: usize) {
        let mut text = text.to_owned();
        let list: Vec<String> = (0..count).map(|k| format!("f{k}")).collect();
        text += &format!(
            "static test_fn *const fns[] = {{ {} }};\nconst struct table {table} = {{ {count}, fns }};\n",
            list.join(", ")
        );
        // The functions of both files have the same names.
        let text = text.replace("\ns64 f", "\nstatic s64 f");
        std::fs::write(self.path(name), text).expect("write a C file");
    }

    /// Compares the two versions of `count` functions. Also gives the number of events logged.
    pub fn compare(
        &self,
        worker: &str,
        setting: &Setting,
        files: &Transformed,
        count: usize,
    ) -> (Vec<Finding>, u64) {
        let (old, new) = (format!("{worker}_old"), format!("{worker}_new"));
        self.table(&format!("{old}.c"), &files.original, "original", count);
        self.table(&format!("{new}.c"), &files.rewritten, "rewritten", count);
        if let Err(text) = self.compile(&format!("{old}.c"), &format!("{old}.o"), &[]) {
            let kept = std::env::temp_dir().join("translation_validation_invalid.c");
            let _ = std::fs::copy(self.path(&format!("{old}.c")), &kept);
            panic!("the generator made invalid C ({}):\n{text}", kept.display());
        }
        let defines: &[String] = if setting.batches {
            &["-DCONFIG_XKVM_IO".to_owned()]
        } else {
            &[]
        };
        if let Err(text) = self.compile(&format!("{new}.c"), &format!("{new}.o"), defines) {
            return (vec![Finding::Compile(text)], 0);
        }
        let program = self.path(worker);
        let linked = Command::new(&self.cc)
            .current_dir(self.folder.path())
            .args([
                &format!("{old}.o"),
                &format!("{new}.o"),
                &format!("bus{}.o", setting.max_ops),
                "-o",
            ])
            .arg(&program)
            .output()
            .expect("start the linker");
        assert!(
            linked.status.success(),
            "link: {}",
            String::from_utf8_lossy(&linked.stderr)
        );
        execute(&program)
    }
}

fn execute(program: &Path) -> (Vec<Finding>, u64) {
    let out = Command::new(program).output().expect("run the comparison");
    let text = String::from_utf8_lossy(&out.stdout);
    let mut found = Vec::new();
    let mut events = None;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("MISMATCH ") {
            let function = rest.split(' ').next().and_then(|n| n.parse().ok());
            found.push(Finding::Mismatch {
                function: function.expect("the bus names the function"),
                what: rest.to_owned(),
            });
        } else if let Some(Finding::Mismatch { what, .. }) = found.last_mut()
            && line.starts_with("  ")
        {
            what.push('\n');
            what.push_str(line);
        } else if let Some(count) = line.strip_prefix("DONE ") {
            events = count.parse().ok();
        }
    }
    assert!(
        events.is_some() || !found.is_empty(),
        "the comparison ended early: {out:?}"
    );
    (found, events.unwrap_or(0))
}
