//! Running a recipe's samples: what stands in the file must be what the steps do.

use similar::TextDiff;

use super::{Expected, Recipe, Sample, guard};
use crate::c::headers::Headers;
use crate::step::{Site, Surroundings, Verdict};

/// Runs `sample` through the file-wise steps of `recipe`, whatever their `when` says.
///
/// # Errors
/// What is different, as text for people: a unified diff where there is one.
pub fn run(recipe: &Recipe, sample: &Sample) -> Result<(), String> {
    let (after, sites) = apply(recipe, &sample.before);
    match &sample.expected {
        Expected::After(expected) => {
            if after != *expected {
                let mut told = diff(expected, &after, "after", "what the recipe makes of it");
                for reason in blocked(&sites) {
                    told.push_str(&format!("blocked: {reason}\n"));
                }
                return Err(told);
            }
            let (again, _) = apply(recipe, expected);
            if again != *expected {
                return Err(format!(
                    "a second run changes it again:\n{}",
                    diff(expected, &again, "after", "what a second run makes of it")
                ));
            }
            Ok(())
        }
        Expected::Blocked(code) => {
            if after != sample.before {
                return Err(format!(
                    "it should have been left alone:\n{}",
                    diff(
                        &sample.before,
                        &after,
                        "sample",
                        "what the recipe makes of it"
                    )
                ));
            }
            let found = sites
                .iter()
                .any(|s| matches!(&s.verdict, Verdict::Blocked { code: c, .. } if c == code));
            if found {
                return Ok(());
            }
            let mut told = format!("no site is blocked by `{code}`\n");
            for reason in blocked(&sites) {
                told.push_str(&format!("blocked: {reason}\n"));
            }
            Err(told)
        }
    }
}

fn apply(recipe: &Recipe, text: &str) -> (String, Vec<Site>) {
    let before = text;
    let mut text = text.as_bytes().to_vec();
    let mut sites = Vec::new();
    let whole = |code: &str, reason: String, line: usize| Site {
        file: "sample.c".into(),
        line,
        function: String::new(),
        ops: 0,
        exits_saved: 0,
        verdict: Verdict::Blocked {
            code: code.into(),
            reason,
            line,
        },
    };
    for refusal in &recipe.refuse {
        if let Some(word) = refusal.find(&text) {
            let site = whole("refused", refusal.because.clone(), word.line);
            return (before.to_owned(), vec![site]);
        }
    }
    // A snippet without includes is about the code alone.
    let with_header = memchr::memmem::find(&text, b"#include").is_some();
    for step in recipe.steps.iter().filter(|s| s.action.is_file_wise()) {
        let alone = Surroundings {
            read: &|_| None,
            headers: &Headers::default(),
        };
        let outcome = if with_header {
            step.action.edit("sample.c", &text, alone)
        } else {
            step.action.edit_code("sample.c", &text, alone)
        };
        sites.extend(outcome.sites);
        text = outcome.text.unwrap_or(text);
    }
    if let Some(word) = guard::first(&text, &recipe.gone) {
        // The recipe as a whole changes nothing then.
        sites.push(whole(
            "left-over",
            format!("`{}` is left", word.text),
            word.line,
        ));
        return (before.to_owned(), sites);
    }
    (String::from_utf8_lossy(&text).into_owned(), sites)
}

fn blocked(sites: &[Site]) -> impl Iterator<Item = String> {
    sites.iter().filter_map(|site| match &site.verdict {
        Verdict::Blocked { code, reason, line } => Some(format!(
            "{code}: {reason} (line {line} of the sample, run at line {})",
            site.line
        )),
        Verdict::Rewritten => None,
    })
}

fn diff(expected: &str, found: &str, from: &str, to: &str) -> String {
    TextDiff::from_lines(expected, found)
        .unified_diff()
        .context_radius(3)
        .header(from, to)
        .to_string()
}
