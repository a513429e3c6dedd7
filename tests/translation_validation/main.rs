//! Translation validation: generated functions are rewritten, both versions run over a mock bus, and must do the same.
//!
//! `GUESTPATCH_TV_CASES` sets the number of functions (1,200 unless told), `GUESTPATCH_TV_SEED` where they start.

mod features;
mod harness;
mod mutation;
mod program;
mod render;
mod tables;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use proptest::strategy::{BoxedStrategy, Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use features::FEATURES;
use harness::{Bench, Finding, Setting, function_text, transform};
use program::Program;
use render::{Mode, function};

/// Functions in one C file.
const BATCH: usize = 150;

type Tree = Box<dyn ValueTree<Value = Program>>;

fn env(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{name} is no number: {text}")),
        Err(_) => default,
    }
}

/// The functions of file `number` of the run `seed`.
fn generate(
    strategy: &BoxedStrategy<Program>,
    seed: u64,
    number: usize,
    count: usize,
) -> Vec<Tree> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..16].copy_from_slice(&(number as u64).to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    (0..count)
        .map(|_| {
            strategy
                .new_tree(&mut runner)
                .expect("the strategies filter nothing")
        })
        .collect()
}

fn setting(number: usize) -> Setting {
    Setting {
        mode: if number % 5 == 3 {
            Mode::Pointers
        } else {
            Mode::Direct
        },
        max_ops: if number % 5 == 4 { 3 } else { 32 },
        batches: number % 7 != 6,
        without: None,
    }
}

fn texts<'t>(trees: impl IntoIterator<Item = &'t Program>, mode: Mode) -> Vec<String> {
    trees
        .into_iter()
        .enumerate()
        .map(|(k, p)| function(p, &format!("f{k}"), mode))
        .collect()
}

/// Makes `tree` as small as it still fails; gives the report.
fn shrink(bench: &Bench, worker: &str, setting: &Setting, mut tree: Tree) -> Option<String> {
    let check = |program: &Program| {
        let functions = texts([program], setting.mode);
        let files = transform(setting, &functions);
        if files.changed.is_empty() {
            return None;
        }
        let (found, _) = bench.compare(worker, setting, &files, 1);
        found.into_iter().next().map(|finding| {
            format!(
                "{setting:?}\n{finding:?}\n--- original\n{}--- rewritten\n{}",
                function_text(&files.original, 0),
                function_text(&files.rewritten, 0)
            )
        })
    };
    let mut report = check(&tree.current())?;
    let mut tries = 0;
    while tries < 1500 && tree.simplify() {
        loop {
            tries += 1;
            if let Some(smaller) = check(&tree.current()) {
                report = smaller;
                break;
            }
            if tries >= 1500 || !tree.complicate() {
                break;
            }
        }
    }
    Some(report)
}

/// The function to blame when a whole file does not compile.
fn culprit(
    bench: &Bench,
    worker: &str,
    setting: &Setting,
    trees: &[Tree],
    changed: impl IntoIterator<Item = usize>,
) -> Option<usize> {
    changed.into_iter().find(|k| {
        let functions = texts([&trees[*k].current()], setting.mode);
        let files = transform(setting, &functions);
        !bench.compare(worker, setting, &files, 1).0.is_empty()
    })
}

#[derive(Default)]
struct Totals {
    functions: usize,
    rewritten: usize,
    events: u64,
    features: Vec<usize>,
    reports: Vec<String>,
}

#[test]
fn rewritten_functions_do_the_same() {
    let Some(bench) = Bench::new() else {
        println!("SKIPPED: no C compiler: NOTHING WAS VALIDATED");
        eprintln!("SKIPPED: no C compiler: NOTHING WAS VALIDATED");
        return;
    };
    let cases = usize::try_from(env("GUESTPATCH_TV_CASES", 1200)).expect("fits");
    let seed = env("GUESTPATCH_TV_SEED", 1);
    let files = cases.div_ceil(BATCH);
    println!("seed {seed}, {files} files of {BATCH} functions");
    let began = Instant::now();
    let totals = Mutex::new(Totals {
        features: vec![0; FEATURES.len()],
        ..Totals::default()
    });
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for worker in ["a", "b"] {
            let (bench, totals, next) = (&bench, &totals, &next);
            scope.spawn(move || {
                let strategy = program::program();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= files || totals.lock().expect("no panic").reports.len() >= 5 {
                        break;
                    }
                    one_file(bench, worker, &strategy, seed, number, totals);
                }
            });
        }
    });
    let totals = totals.into_inner().expect("no panic");
    println!(
        "{} functions, {} rewritten ({} %), {} accesses compared, {:.1} s",
        totals.functions,
        totals.rewritten,
        totals.rewritten * 100 / totals.functions.max(1),
        totals.events,
        began.elapsed().as_secs_f64()
    );
    for ((name, _, _), count) in FEATURES.iter().zip(&totals.features) {
        println!("  {name}: {count}");
    }
    assert!(totals.reports.is_empty(), "{}", totals.reports.join("\n\n"));
    assert!(
        totals.rewritten * 100 >= totals.functions * 30,
        "too few functions are rewritten"
    );
    for ((name, least, _), count) in FEATURES.iter().zip(&totals.features) {
        assert!(
            count * 1000 >= least * totals.rewritten,
            "too few rewritten functions with: {name}"
        );
    }
}

fn one_file(
    bench: &Bench,
    worker: &str,
    strategy: &BoxedStrategy<Program>,
    seed: u64,
    number: usize,
    totals: &Mutex<Totals>,
) {
    let setting = setting(number);
    let mut trees = generate(strategy, seed, number, BATCH);
    let programs: Vec<Program> = trees.iter().map(|t| t.current()).collect();
    let functions = texts(&programs, setting.mode);
    let files = transform(&setting, &functions);
    let (found, events) = bench.compare(worker, &setting, &files, BATCH);
    let mut features = vec![0; FEATURES.len()];
    for k in &files.changed {
        let (old, new) = (
            function_text(&files.original, *k),
            function_text(&files.rewritten, *k),
        );
        for (count, (_, _, shows)) in features.iter_mut().zip(FEATURES) {
            *count += usize::from(shows(old, new));
        }
    }
    let mut reports = Vec::new();
    if let Some(finding) = found.first() {
        let blamed = match finding {
            Finding::Mismatch { function, .. } => Some(*function),
            Finding::Compile(_) => culprit(
                bench,
                worker,
                &setting,
                &trees,
                files.changed.iter().copied(),
            ),
        };
        let report = blamed.and_then(|k| shrink(bench, worker, &setting, trees.swap_remove(k)));
        reports.push(format!(
            "seed {seed}, file {number}: {}",
            report.unwrap_or_else(|| format!("not reproduced alone: {finding:?}"))
        ));
    }
    let mut totals = totals.lock().expect("no panic");
    totals.functions += BATCH;
    // Long runs are left alone for hours: say how far they are.
    if totals.functions.is_multiple_of(3000) {
        println!("{} functions so far", totals.functions);
    }
    totals.rewritten += files.changed.len();
    totals.events += events;
    totals.reports.extend(reports);
    for (sum, count) in totals.features.iter_mut().zip(features) {
        *sum += count;
    }
}
