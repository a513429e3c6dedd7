//! The harness must be able to fail: with a rule out of force it finds a function that is rewritten wrongly.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

use guestpatch::step::coalesce::Rule;
use proptest::strategy::BoxedStrategy;

use crate::harness::{Bench, Finding, Setting, Transformed, function_text, transform};
use crate::program::{Program, program};
use crate::{generate, setting, texts};

/// Functions in a file. Few of them change when one rule is off, and only those are compiled.
const BATCH: usize = 120;

/// Files tried before a rule counts as not found.
const FILES: usize = 10;

/// Why a program in user space cannot show that a rule is needed; `None` when it can, and then it must.
fn beyond_reach(rule: Rule) -> Option<&'static str> {
    match rule {
        Rule::ParseError => {
            Some("C that the grammar does not know is cut up at random, mostly without effect")
        }
        // All others change what is logged, or do not compile: by order (call, operand-call, nested-io, loop, branch, switch, label,
        // jump, asm, preprocessor), by values (mixed-conditional, dependent-read, moved-destination, destination-effect), by what the device sees in
        // memory (store), by objects that the device or an interrupt changes (volatile, unstable-condition), by the delay, which is
        // logged (pause), by the length of a batch (limit), by the compiler's refusal (declaration, name-taken).
        _ => None,
    }
}

#[test]
fn every_rule_is_missed() {
    let Some(bench) = Bench::new() else {
        eprintln!("SKIPPED: no C compiler: NOTHING WAS VALIDATED");
        return;
    };
    let files: Vec<OnceLock<Pool>> = (0..FILES).map(|_| OnceLock::new()).collect();
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for worker in ["ma", "mb"] {
            let (bench, next, results, files) = (&bench, &next, &results, &files);
            scope.spawn(move || {
                while let Some(rule) = Rule::ALL.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let found = match beyond_reach(*rule) {
                        Some(_) => None,
                        None => search(bench, worker, *rule, files),
                    };
                    results.lock().expect("no panic").push((*rule, found));
                }
            });
        }
    });
    let mut results = results.into_inner().expect("no panic");
    results.sort_by_key(|(rule, _)| *rule);
    for (rule, found) in &results {
        match (found, beyond_reach(*rule)) {
            (Some(finding), _) => println!("{rule}: found: {finding}"),
            (None, Some(why)) => println!("{rule}: not found: {why}"),
            (None, None) => println!("{rule}: NOT FOUND"),
        }
    }
    let lost: Vec<_> = results
        .iter()
        .filter(|(rule, found)| found.is_none() && beyond_reach(*rule).is_none())
        .map(|(rule, _)| rule.code())
        .collect();
    assert!(lost.is_empty(), "the harness misses: {}", lost.join(", "));
}

/// Functions, and what they become with all rules in force.
struct Pool {
    setting: Setting,
    programs: Vec<Program>,
    texts: Vec<String>,
    with: Transformed,
}

impl Pool {
    fn new(strategy: &BoxedStrategy<Program>, number: usize) -> Self {
        // Every second file has the short batches that the limit is about.
        let setting = setting(if number.is_multiple_of(2) { 0 } else { 4 });
        let trees = generate(strategy, 0x5eed, number, BATCH);
        let programs: Vec<_> = trees.iter().map(|t| t.current()).collect();
        let texts = texts(&programs, setting.mode);
        let with = transform(&setting, &texts);
        Self {
            setting,
            programs,
            texts,
            with,
        }
    }
}

/// A function that goes wrong without `rule`: what went wrong, in a line.
fn search(bench: &Bench, worker: &str, rule: Rule, files: &[OnceLock<Pool>]) -> Option<String> {
    for (number, pool) in files.iter().enumerate() {
        let pool = pool.get_or_init(|| Pool::new(&program(), number));
        let off = Setting {
            without: Some(rule),
            ..pool.setting
        };
        let without = transform(&off, &pool.texts);
        let differs = |k: &usize| {
            function_text(&pool.with.rewritten, *k) != function_text(&without.rewritten, *k)
        };
        let changed = without.changed.iter().filter(|k| differs(k));
        let changed: Vec<_> = changed.map(|k| pool.programs[*k].clone()).collect();
        if changed.is_empty() {
            continue;
        }
        let functions = texts(&changed, off.mode);
        let files = transform(&off, &functions);
        let (found, _) = bench.compare(worker, &off, &files, functions.len());
        if let Some(finding) = found.first() {
            let what = match finding {
                Finding::Compile(text) => text,
                Finding::Mismatch { what, .. } => what,
            };
            let line = what.lines().next().unwrap_or_default();
            return Some(format!("{line} (of {} functions)", functions.len()));
        }
    }
    None
}
