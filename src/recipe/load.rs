//! From the text of a recipe file to a checked [`Recipe`]; every error names file, line and column.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use toml::Spanned;

use super::schema::{self, Front, RawStep};
use super::{Expected, NameGlobs, Recipe, Source, Step, VersionRange, facts, prose};
use crate::kernel::files::Globs;
use crate::step::Fault;
use crate::{Error, Result};

pub use super::schema::Override;

/// Longest subject line of a patch.
pub const SUBJECT_MAX: usize = 70;

/// Reads and checks one recipe. `overrides` are those of `--set` that name it.
///
/// # Errors
/// The first thing wrong with it, with its place.
pub fn load(text: &str, source: Source, overrides: &[Override]) -> Result<Recipe> {
    let file = source.file.clone();
    let parts = split(text).map_err(|fault| place(text, 0, &file, fault))?;
    let front_text = &text[parts.front.clone()];
    let in_front = |fault: Fault| place(text, parts.front.start, &file, fault);

    // An override names a recipe, and the name is only known once the front matter is read.
    let (front, _, known) = schema::read(front_text, &[]).map_err(in_front)?;
    let mine: Vec<&Override> = overrides
        .iter()
        .filter(|o| o.recipe == *front.name.get_ref())
        .collect();
    // It could be read as it is, so what is wrong now is wrong with the overrides, which stand in no file.
    let of_override = |fault: Fault| {
        let parameters: Vec<&str> = known.names().collect();
        let hint = match fault.hint {
            // The keys are those of the recipe, while it is mostly a parameter that was meant.
            Some(hint) if hint.starts_with("keys here") && !parameters.is_empty() => {
                Some(format!("parameters: {}; {hint}", parameters.join(", ")))
            }
            hint => hint,
        };
        let fault = Fault {
            span: None,
            hint,
            ..fault
        };
        let names: Vec<String> = mine
            .iter()
            .map(|o| format!("{}.{}", o.recipe, o.key))
            .collect();
        let error = place(text, 0, &file, fault);
        Error {
            message: format!("--set {}: {}", names.join(", "), error.message),
            place: None,
            ..error
        }
    };
    let (front, raw_steps, parameters) = schema::read(front_text, &mine).map_err(of_override)?;

    let mut recipe = check_front(front, source).map_err(in_front)?;
    recipe.requires_at = line_and_column(text, parts.front.start + recipe.requires_at.0);
    recipe.steps = raw_steps
        .into_iter()
        .map(|raw| check_step(raw, &recipe, text, parts.front.start))
        .collect::<Result<_, _>>()
        .map_err(in_front)?;
    if recipe.steps.is_empty() {
        return Err(in_front(
            Fault::new("this recipe has no step").hint("add a `[[step]]` to the front matter"),
        ));
    }

    let markdown = &text[parts.rest.clone()];
    let page =
        prose::read(markdown).map_err(|fault| place(text, parts.rest.start, &file, fault))?;
    recipe.text = text.to_owned();
    // What is no parameter stays as it is written: it may be C or shell.
    recipe.prose = parameters.text(&page.prose).unwrap_or(page.prose);
    recipe.body = parameters.text(&page.body).unwrap_or(page.body);
    recipe.samples = page.samples;
    for sample in &mut recipe.samples {
        sample.line += line_and_column(text, parts.rest.start).0 - 1;
    }
    check_samples(&recipe).map_err(|(line, fault)| {
        let error = Error::usage(fault.message).at(&file, line, 0);
        match fault.hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    })?;
    Ok(recipe)
}

struct Parts {
    front: Range<usize>,
    rest: Range<usize>,
}

fn split(text: &str) -> Result<Parts, Fault> {
    let mut at = 0;
    let mut front = None;
    for line in text.split_inclusive('\n') {
        let here = at;
        at += line.len();
        match front {
            None if line.trim_end() == "+++" => front = Some(at),
            None => break,
            Some(start) if line.trim_end() == "+++" => {
                return Ok(Parts {
                    front: start..here,
                    rest: at..text.len(),
                });
            }
            Some(_) => {}
        }
    }
    Err(match front {
        None => Fault::at(0..0, "a recipe begins with a line `+++`")
            .hint("its TOML front matter stands between two lines `+++`; see `guestpatch recipes show xkvm-io`"),
        Some(_) => Fault::at(0..0, "the front matter has no end").hint("close it with a line `+++`"),
    })
}

fn check_front(front: Front, source: Source) -> Result<Recipe, Fault> {
    let name = front.name.get_ref();
    if name.is_empty()
        || !name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    {
        return Err(
            Fault::at(front.name.span(), format!("`{name}` is not a recipe name"))
                .hint("use lower-case letters, digits and `-`"),
        );
    }
    let stem = source
        .file
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy();
    if stem != name.as_str() {
        return Err(Fault::at(
            front.name.span(),
            format!("the recipe `{name}` is in a file named {stem}.md"),
        )
        .hint(format!("name the file {name}.md")));
    }
    if *front.version.get_ref() == 0 {
        return Err(Fault::at(front.version.span(), "versions count from 1"));
    }
    check_subject(&front)?;
    if *front.order.get_ref() > 999 {
        return Err(Fault::at(
            front.order.span(),
            format!("order {} is out of range", front.order.get_ref()),
        )
        .hint("0-99 support, 100-899 conversions, 900-999 Kconfig defaults"));
    }
    let kernels = match &front.kernels {
        None => None,
        Some(text) => Some(VersionRange::parse(text.get_ref()).map_err(|message| {
            Fault::at(text.span(), message).hint("write bounds such as `>=2.6.26, <5.14`")
        })?),
    };
    if let Some(max) = front.expect.max
        && max < front.expect.min
    {
        return Err(Fault::new(format!(
            "`expect` wants at least {} and at most {max}",
            front.expect.min
        )));
    }
    for (name, probe) in &front.probe {
        let identifier =
            name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') && !name.is_empty();
        if !identifier || facts::NAMES.contains(&name.as_str()) {
            return Err(
                Fault::at(probe.span(), format!("`{name}` cannot be a probe's name")).hint(
                    "use letters, digits and `_`, and not a name that expressions have already",
                ),
            );
        }
        if probe.get_ref().files.is_empty() {
            return Err(Fault::at(
                probe.span(),
                format!("the probe `{name}` names no file"),
            ));
        }
    }
    Ok(Recipe {
        files: files(&front.files)?,
        name: front.name.into_inner(),
        version: front.version.into_inner(),
        subject: front.subject.into_inner(),
        target: front.target,
        default: front.default,
        order: front.order.into_inner(),
        kernels,
        needles: words(&front.needles)?,
        expect: front.expect,
        gone: names(&front.gone)?,
        refuse: front
            .refuse
            .into_iter()
            .map(super::guard::RefuseConfig::compile)
            .collect::<Result<_, _>>()?,
        patch: front.patch,
        requires_at: front
            .requires
            .first()
            .map_or((0, 0), |r| (r.span().start, 0)),
        requires: front
            .requires
            .into_iter()
            .map(Spanned::into_inner)
            .collect(),
        probes: front
            .probe
            .into_iter()
            .map(|(k, v)| (k, v.into_inner()))
            .collect::<BTreeMap<_, _>>(),
        config: config(front.config)?,
        steps: Vec::new(),
        prose: String::new(),
        body: String::new(),
        samples: Vec::new(),
        source,
        text: String::new(),
    })
}

/// The symbols of `[config]` with their values.
fn config(table: BTreeMap<Spanned<String>, String>) -> Result<BTreeMap<String, String>, Fault> {
    let bad = |name: &str| !name.starts_with("CONFIG_");
    match table.keys().find(|k| bad(k.get_ref())) {
        Some(key) => Err(Fault::at(
            key.span(),
            format!("`{}` is not a configuration symbol", key.get_ref()),
        )
        .hint("write it with `CONFIG_`")),
        None => Ok(table
            .into_iter()
            .map(|(k, v)| (k.into_inner(), v))
            .collect()),
    }
}

fn check_subject(front: &Front) -> Result<(), Fault> {
    let subject = front.subject.get_ref();
    let at = |message: String| Fault::at(front.subject.span(), message);
    if subject.chars().count() > SUBJECT_MAX {
        let long = subject.chars().count();
        return Err(at(format!(
            "the subject has {long} characters, {SUBJECT_MAX} are allowed"
        )));
    }
    let per_file = front.patch == super::PatchMode::PerFile;
    let tidy = !subject.contains('\n') && subject.trim() == subject && !subject.ends_with('.');
    if !tidy || !(per_file || subject.contains(": ")) {
        return Err(at(format!("`{subject}` is not a subject line"))
            .hint("write `subsystem: summary`, on one line, without a full stop"));
    }
    if subject.contains("{file}") && !per_file {
        return Err(
            at("`{file}` has no meaning in a recipe of one patch".into())
                .hint("add `patch = \"per-file\"`"),
        );
    }
    Ok(())
}

/// Compiles file patterns; an error is at the bad one.
pub(crate) fn files(patterns: &[Spanned<String>]) -> Result<Globs, Fault> {
    for pattern in patterns {
        Globs::new(&[pattern.get_ref()]).map_err(|error| bad_glob(pattern, error.message))?;
    }
    let texts: Vec<&str> = patterns.iter().map(|p| p.get_ref().as_str()).collect();
    Globs::new(&texts).map_err(|error| Fault::new(error.message))
}

fn bad_glob(pattern: &Spanned<String>, message: String) -> Fault {
    Fault::at(pattern.span(), message)
        .hint("paths count from the tree's top; `*` stays in one folder, `**` is any folders, `{a,b}` and `[ab]` are choices")
}

/// Compiles patterns for names; an error is at the bad one.
pub(crate) fn names(patterns: &[Spanned<String>]) -> Result<NameGlobs, Fault> {
    let texts: Vec<&str> = patterns.iter().map(|p| p.get_ref().as_str()).collect();
    NameGlobs::new(&texts).map_err(|(index, message)| {
        Fault::at(
            patterns[index].span(),
            format!("bad glob `{}`: {message}", texts[index]),
        )
        .hint("`*` is any letters, `{a,b}` and `[ab]` are choices")
    })
}

fn words(needles: &[Spanned<String>]) -> Result<Vec<String>, Fault> {
    for needle in needles {
        let text = needle.get_ref();
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Err(Fault::at(
                needle.span(),
                format!("the needle `{text}` is not a C word"),
            )
            .hint("needles are whole identifiers: letters, digits and `_`"));
        }
    }
    Ok(needles.iter().map(|n| n.get_ref().clone()).collect())
}

fn check_step(raw: RawStep, recipe: &Recipe, text: &str, offset: usize) -> Result<Step, Fault> {
    if let Some(when) = &raw.when {
        facts::check(when.get_ref(), &recipe.probes).map_err(|(message, hint)| {
            let fault = Fault::at(when.span(), format!("bad `when`: {message}"));
            match hint {
                Some(hint) => fault.hint(hint),
                None => {
                    fault.hint("an expression such as `version >= v(2, 6, 26) and not vmmcall`")
                }
            }
        })?;
    }
    let whole = raw.span.clone();
    let or_whole = |mut fault: Fault| {
        fault.span.get_or_insert(whole.clone());
        fault
    };
    let action = raw.action.compile(recipe).map_err(or_whole)?;
    if action.is_file_wise() && recipe.files.patterns().is_empty() {
        return Err(Fault::at(
            raw.span,
            format!("the step `{}` needs files to work on", action.kind()),
        )
        .hint("add `files = [\"drivers/…/*.c\"]` to the recipe"));
    }
    Ok(Step {
        when: raw.when.map(Spanned::into_inner),
        at_least: raw.at_least,
        line: line_and_column(text, offset + raw.span.start).0,
        action,
    })
}

fn check_samples(recipe: &Recipe) -> Result<(), (usize, Fault)> {
    for (index, sample) in recipe.samples.iter().enumerate() {
        if let Some(first) = recipe.samples[..index]
            .iter()
            .find(|s| s.name == sample.name)
        {
            let fault = Fault::new(format!("there are two samples named `{}`", sample.name))
                .hint(format!("the first is at line {}", first.line));
            return Err((sample.line, fault));
        }
        if !recipe.steps.iter().any(|s| s.action.is_file_wise()) {
            let fault = Fault::new(format!("the sample `{}` has no step to run", sample.name))
                .hint("samples are for steps that change C: coalesce-io, rewrite, remove-…");
            return Err((sample.line, fault));
        }
    }
    let changes = recipe
        .samples
        .iter()
        .any(|s| matches!(s.expected, Expected::After(_)));
    match recipe.steps.iter().find(|s| s.action.is_file_wise()) {
        Some(step) if !changes => {
            let fault = Fault::new(format!(
                "no sample shows what the step `{}` does",
                step.action.kind()
            ))
            .hint("add `## Sample: NAME` with a ```c before and a ```c after block");
            Err((step.line, fault))
        }
        _ => Ok(()),
    }
}

fn place(text: &str, offset: usize, file: &Path, fault: Fault) -> Error {
    let error = Error::usage(fault.message);
    let error = match fault.span {
        None => error.at(file, 0, 0),
        Some(span) => {
            let (line, column) = line_and_column(text, offset + span.start);
            error.at(file, line, column)
        }
    };
    match fault.hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// 1-based line and byte column of `offset`.
fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = &text.as_bytes()[..offset.min(text.len())];
    let line_start = memchr::memrchr(b'\n', before).map_or(0, |at| at + 1);
    (
        memchr::memchr_iter(b'\n', before).count() + 1,
        before.len() - line_start + 1,
    )
}
