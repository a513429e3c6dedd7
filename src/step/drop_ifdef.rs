//! `drop-ifdef`: a configuration symbol gets a fixed answer, as `unifdef` does it.
//!
//! In C, conditionals that the answer decides go, and the losing side with them. In a Makefile `ifeq ($(CONFIG_X),y)` and `obj-$(CONFIG_X)` are
//! decided; in Kconfig the symbol's entry goes. A condition that asks for more than the symbol is left and reported.

use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;

use super::removal::{blocked, cut, line_end, line_start, site, words};
use super::{Fault, FileOutcome, Verdict, kconfig};
use crate::c::edit::{Edit, apply, line_of};
use crate::c::lex::{self, Directive};

/// The keys of the step.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    symbol: Spanned<String>,
    value: Spanned<String>,
}

impl Config {
    pub(super) fn compile(self) -> Result<DropIfdef, Fault> {
        let symbol = self.symbol.get_ref();
        let name = symbol.strip_prefix("CONFIG_").unwrap_or("");
        if name.is_empty() || !name.bytes().all(lex::is_word) {
            return Err(Fault::at(
                self.symbol.span(),
                format!("`{symbol}` is not a configuration symbol"),
            )
            .hint("write it with `CONFIG_`"));
        }
        let value = match self.value.get_ref().as_str() {
            "y" => true,
            "n" => false,
            _ => {
                return Err(Fault::at(self.value.span(), "`value` is `y` or `n`"));
            }
        };
        Ok(DropIfdef {
            symbol: symbol.clone(),
            value,
        })
    }
}

/// The step, ready to run.
#[derive(Debug)]
pub struct DropIfdef {
    symbol: String,
    value: bool,
}

impl DropIfdef {
    /// Decides everything about the symbol in one file.
    pub(super) fn edit(&self, path: &str, text: &[u8]) -> FileOutcome {
        let name = path.rsplit('/').next().unwrap_or(path);
        let (new, mut outcome) = if name.starts_with("Kconfig") {
            self.kconfig(path, text)
        } else if name.starts_with("Makefile") || name == "Kbuild" {
            self.makefile(path, text)
        } else {
            self.code(path, text)
        };
        let own = self.symbol.as_bytes();
        let bare = &own["CONFIG_".len()..];
        for word in words(&new) {
            let word_is = |w: &[u8]| new[word.clone()] == *w;
            if word_is(own) || name.starts_with("Kconfig") && word_is(bare) {
                let line = line_of(&new, word.start);
                let reason = format!("{} is asked for in another way here", self.symbol);
                outcome
                    .sites
                    .push(site(path, line, "", blocked("still-used", &reason, line)));
            }
        }
        outcome.text = (new != text).then_some(new);
        outcome
    }

    fn rewritten(&self, outcome: &mut FileOutcome, path: &str, text: &[u8], at: usize) {
        let line = line_of(text, at);
        outcome.sites.push(site(path, line, "", Verdict::Rewritten));
    }

    fn code(&self, path: &str, text: &[u8]) -> (Vec<u8>, FileOutcome) {
        let mut outcome = FileOutcome::default();
        let mut text = text.to_vec();
        // One conditional at a time: what is inside a decided one may be gone afterwards.
        while let Some((at, new)) = self.decide_one(&text) {
            self.rewritten(&mut outcome, path, &text, at);
            text = new;
        }
        (text, outcome)
    }

    /// Decides the first conditional that can be: its offset and the new text.
    fn decide_one(&self, text: &[u8]) -> Option<(usize, Vec<u8>)> {
        let mut open: Vec<Vec<Range<usize>>> = Vec::new();
        let mut groups = Vec::new();
        for line in lex::directives(text) {
            match lex::directive(&text[line.clone()]) {
                Directive::If { .. } => open.push(vec![line]),
                Directive::Else => open.last_mut()?.push(line),
                Directive::Endif => {
                    let mut group = open.pop()?;
                    group.push(line);
                    groups.push(group);
                }
                Directive::Other => {}
            }
        }
        groups.sort_by_key(|g| g[0].start);
        groups
            .iter()
            .find_map(|g| Some((g[0].start, self.decide(text, g)?)))
    }

    /// The text with one conditional decided; `None` when the symbol does not decide it.
    fn decide(&self, text: &[u8], group: &[Range<usize>]) -> Option<Vec<u8>> {
        let branches = &group[..group.len() - 1];
        let answers: Vec<Option<bool>> = branches
            .iter()
            .map(|line| self.answer(&text[line.clone()]))
            .collect();
        answers.iter().find(|a| a.is_some())?;
        let lines = |r: &Range<usize>| line_start(text, r.start)..line_end(text, r.end);
        let mut gone = Vec::new();
        let mut edits = Vec::new();
        // Whether a branch that stays has its own line; whether one is always taken.
        let (mut kept, mut settled) = (false, false);
        for (n, line) in branches.iter().enumerate() {
            let body = line_end(text, line.end)..line_start(text, group[n + 1].start);
            let keyword = keyword(&text[line.clone()]);
            match answers[n] {
                _ if settled => gone.extend([lines(line), body]),
                Some(false) => gone.extend([lines(line), body]),
                Some(true) => {
                    settled = true;
                    if kept {
                        edits.push((line.clone(), b"#else".to_vec()));
                    } else {
                        gone.push(lines(line));
                    }
                }
                None if keyword == b"else" => {
                    settled = true;
                    if !kept {
                        gone.push(lines(line));
                    }
                }
                None => {
                    if !kept && keyword == b"elif" {
                        let mut with = b"#if".to_vec();
                        let rest = text[line.clone()].trim_ascii_start();
                        let at = memchr::memmem::find(rest, b"elif")? + 4;
                        with.extend_from_slice(&rest[at..]);
                        edits.push((line.clone(), with));
                    }
                    kept = true;
                }
            }
        }
        if !kept {
            gone.push(lines(&group[group.len() - 1]));
        }
        // Lines that change keep their place: they are put in first, from the last one on.
        let mut new = text.to_vec();
        for (range, with) in edits.into_iter().rev() {
            let grown = with.len() as isize - range.len() as isize;
            let from = range.end;
            new = apply(&new, vec![Edit { range, with }]);
            let shift = |n: &mut usize| {
                if *n >= from {
                    *n = n.saturating_add_signed(grown);
                }
            };
            for range in &mut gone {
                shift(&mut range.start);
                shift(&mut range.end);
            }
        }
        gone.retain(|r| !r.is_empty());
        Some(cut(&new, gone))
    }

    /// What the symbol makes of a conditional's line; `None` when it does not decide it.
    fn answer(&self, line: &[u8]) -> Option<bool> {
        let rest = line.strip_prefix(b"#")?.trim_ascii_start();
        let word = keyword(line);
        let rest = &rest[word.len()..];
        let names_it = words(rest).any(|w| self.module(&rest[w.clone()]).is_some());
        if !names_it {
            return None;
        }
        let mut tokens = tokens(rest).into_iter().peekable();
        match word {
            b"ifdef" => self.module(tokens.next()?),
            b"ifndef" => self.module(tokens.next()?).map(|v| !v),
            b"if" | b"elif" => {
                let value = self.or(&mut tokens);
                if tokens.peek().is_some() { None } else { value }
            }
            _ => None,
        }
    }

    /// The value of the symbol itself, or of its `_MODULE` twin.
    fn module(&self, word: &[u8]) -> Option<bool> {
        let rest = word.strip_prefix(self.symbol.as_bytes())?;
        match rest {
            b"" => Some(self.value),
            b"_MODULE" => Some(false),
            _ => None,
        }
    }

    fn or<'t>(&self, tokens: &mut Tokens<'t>) -> Option<bool> {
        let mut value = self.and(tokens);
        while tokens.next_if_eq(&&b"||"[..]).is_some() {
            value = match (value, self.and(tokens)) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            };
        }
        value
    }

    fn and<'t>(&self, tokens: &mut Tokens<'t>) -> Option<bool> {
        let mut value = self.operand(tokens);
        while tokens.next_if_eq(&&b"&&"[..]).is_some() {
            value = match (value, self.operand(tokens)) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            };
        }
        value
    }

    /// A comparison or a sum is not evaluated.
    fn operand<'t>(&self, tokens: &mut Tokens<'t>) -> Option<bool> {
        let mut value = self.unary(tokens);
        while tokens
            .next_if(|t| !matches!(*t, b"&&" | b"||" | b")"))
            .is_some()
        {
            self.unary(tokens);
            value = None;
        }
        value
    }

    fn unary<'t>(&self, tokens: &mut Tokens<'t>) -> Option<bool> {
        match tokens.next()? {
            b"!" => self.unary(tokens).map(|v| !v),
            b"(" => {
                let value = self.or(tokens);
                tokens.next();
                value
            }
            b"defined" | b"IS_ENABLED" | b"IS_BUILTIN" | b"IS_REACHABLE" => {
                let parens = tokens.next_if_eq(&&b"("[..]).is_some();
                let value = self.module(tokens.next()?);
                if parens {
                    tokens.next();
                }
                value
            }
            b"0" => Some(false),
            b"1" => Some(true),
            word => {
                let value = self.module(word);
                // A macro with arguments.
                if tokens.next_if_eq(&&b"("[..]).is_some() {
                    self.or(tokens);
                    tokens.next();
                    return None;
                }
                value
            }
        }
    }

    fn makefile(&self, path: &str, text: &[u8]) -> (Vec<u8>, FileOutcome) {
        let mut outcome = FileOutcome::default();
        let reference = format!("$({})", self.symbol);
        let mut gone: Vec<Range<usize>> = Vec::new();
        let mut edits = Vec::new();
        // For each open conditional: whether it is decided, and whether its present side stays.
        let mut open: Vec<Option<bool>> = Vec::new();
        let mut at = 0;
        while at < text.len() {
            let mut end = line_end(text, at);
            while text[at..end].trim_ascii_end().ends_with(b"\\") && end < text.len() {
                end = line_end(text, end);
            }
            let line = text[at..end].trim_ascii();
            let word = line.split(u8::is_ascii_whitespace).next().unwrap_or(b"");
            let own = memchr::memmem::find(line, reference.as_bytes());
            let dead = open.contains(&Some(false));
            match word {
                b"ifeq" | b"ifneq" | b"ifdef" | b"ifndef" => {
                    let asked = self.make_condition(line);
                    if asked.is_some() && !dead {
                        self.rewritten(&mut outcome, path, text, at);
                        gone.push(at..end);
                    } else if dead {
                        gone.push(at..end);
                    }
                    open.push(if dead { None } else { asked });
                }
                b"else" | b"endif" => {
                    let top = open.last_mut();
                    let decided = top.as_ref().is_some_and(|t| t.is_some());
                    if word == b"endif" {
                        open.pop();
                    } else if let Some(Some(stays)) = top {
                        *stays = !*stays;
                    }
                    if decided || open.contains(&Some(false)) {
                        gone.push(at..end);
                    }
                }
                _ if dead => gone.push(at..end),
                _ => {
                    let assigns = line.windows(2).any(|w| w == b"+=" || w == b":=")
                        && own.is_some_and(|o| {
                            line.get(o + reference.len())
                                .is_some_and(u8::is_ascii_whitespace)
                        });
                    if assigns && self.value {
                        let from = at
                            + memchr::memmem::find(&text[at..end], reference.as_bytes())
                                .unwrap_or(0);
                        edits.push(Edit {
                            range: from..from + reference.len(),
                            with: b"y".to_vec(),
                        });
                        self.rewritten(&mut outcome, path, text, at);
                    } else if assigns {
                        gone.push(at..end);
                        self.rewritten(&mut outcome, path, text, at);
                    }
                }
            }
            at = end;
        }
        if !open.is_empty() {
            return (text.to_vec(), FileOutcome::default());
        }
        // Cut first: `y` for a reference is the only edit, and it moves nothing before itself.
        let mut new = text.to_vec();
        for edit in edits.into_iter().rev() {
            let (from, less) = (edit.range.end, edit.range.len() - 1);
            new = apply(&new, vec![edit]);
            for range in &mut gone {
                if range.start >= from {
                    *range = range.start - less..range.end - less;
                }
            }
        }
        (cut(&new, gone), outcome)
    }

    /// What the symbol makes of `ifeq ($(CONFIG_X),y)`, `ifdef CONFIG_X` and their like.
    fn make_condition(&self, line: &[u8]) -> Option<bool> {
        let text: String = String::from_utf8_lossy(line)
            .chars()
            .filter(|c| !c.is_whitespace() && *c != '"')
            .collect();
        let symbol = &self.symbol;
        let equal = |keyword: &str| {
            ["y", ""].into_iter().find_map(|value| {
                (text == format!("{keyword}($({symbol}),{value})"))
                    .then_some(self.value == (value == "y"))
            })
        };
        equal("ifeq")
            .or_else(|| equal("ifneq").map(|v| !v))
            .or_else(|| (text == format!("ifdef{symbol}")).then_some(self.value))
            .or_else(|| (text == format!("ifndef{symbol}")).then_some(!self.value))
    }

    fn kconfig(&self, path: &str, text: &[u8]) -> (Vec<u8>, FileOutcome) {
        let mut outcome = FileOutcome::default();
        let Some((start, end)) = kconfig::entry(text, &self.symbol["CONFIG_".len()..]) else {
            return (text.to_vec(), outcome);
        };
        self.rewritten(&mut outcome, path, text, start);
        (cut(text, std::iter::once(start..end).collect()), outcome)
    }
}

type Tokens<'t> = std::iter::Peekable<std::vec::IntoIter<&'t [u8]>>;

fn keyword(line: &[u8]) -> &[u8] {
    let rest = line.strip_prefix(b"#").unwrap_or(line).trim_ascii_start();
    &rest[..lex::word_end(rest, 0)]
}

/// Words and operators of a condition, without comments and line continuations.
fn tokens(text: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    let mut i = lex::skip_blank(text, 0);
    while i < text.len() {
        let end = match text[i] {
            b if lex::is_word(b) => lex::word_end(text, i),
            b'&' | b'|' | b'=' | b'<' | b'>' | b'!'
                if text
                    .get(i + 1)
                    .is_some_and(|n| *n == text[i] && *n != b'!' || *n == b'=') =>
            {
                i + 2
            }
            _ => i + 1,
        };
        found.push(&text[i..end]);
        i = lex::skip_blank(text, end);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(value: bool, path: &str, text: &str) -> (String, Vec<String>) {
        let step = DropIfdef {
            symbol: "CONFIG_NAPI".into(),
            value,
        };
        let outcome = step.edit(path, text.as_bytes());
        let codes = outcome.sites.iter().filter_map(|s| match &s.verdict {
            Verdict::Blocked { code, .. } => Some(code.clone()),
            Verdict::Rewritten => None,
        });
        let codes = codes.collect();
        (
            String::from_utf8(outcome.text.unwrap_or_else(|| text.into())).unwrap(),
            codes,
        )
    }

    fn code(value: bool, text: &str) -> String {
        after(value, "a.c", text).0
    }

    #[test]
    fn each_way_to_ask() {
        for ask in [
            "#ifdef CONFIG_NAPI",
            "# if defined(CONFIG_NAPI)",
            "#if defined CONFIG_NAPI || defined(CONFIG_NAPI_MODULE)",
            "#if IS_ENABLED(CONFIG_NAPI) /* why */",
            "#if !(!CONFIG_NAPI)",
        ] {
            let text = format!("a;\n{ask}\nb;\n#else\nc;\n#endif\nd;\n");
            assert_eq!(code(true, &text), "a;\nb;\nd;\n", "{ask}");
            assert_eq!(code(false, &text), "a;\nc;\nd;\n", "{ask}");
        }
        assert_eq!(code(false, "#ifndef CONFIG_NAPI\nb;\n#endif\n"), "b;\n");
    }

    #[test]
    fn other_questions_stay() {
        let other = "#ifdef CONFIG_NAPI_X\nb;\n#endif\n";
        assert_eq!(code(true, other), other);
        let both = "#if defined(CONFIG_NAPI) && A > 1\nb;\n#endif\n";
        assert_eq!(code(false, both), "");
        let (same, codes) = after(true, "a.c", both);
        assert_eq!(
            (same.as_str(), codes),
            (both, vec!["still-used".to_owned()])
        );
        let used = "x = IS_ENABLED(CONFIG_NAPI);\n";
        assert_eq!(after(true, "a.c", used).1, ["still-used"]);
    }

    #[test]
    fn chains_and_nests() {
        let chain = "#if A\na;\n#elif defined(CONFIG_NAPI)\nb;\n#elif C\nc;\n#else\nd;\n#endif\n";
        assert_eq!(code(true, chain), "#if A\na;\n#else\nb;\n#endif\n");
        assert_eq!(
            code(false, chain),
            "#if A\na;\n#elif C\nc;\n#else\nd;\n#endif\n"
        );
        let first = "#ifdef CONFIG_NAPI\na;\n#elif C /* c */\nc;\n#endif\n";
        assert_eq!(code(false, first), "#if C /* c */\nc;\n#endif\n");
        let nest =
            "#ifdef CONFIG_NAPI\n#ifndef CONFIG_NAPI\nx;\n#endif\n#ifdef A\na;\n#endif\n#endif\n";
        assert_eq!(code(true, nest), "#ifdef A\na;\n#endif\n");
        assert_eq!(code(false, nest), "");
    }

    #[test]
    fn makefiles_and_kconfig() {
        let make = "obj-y := a.o\nifeq ($(CONFIG_NAPI),y)\nccflags-y += -DN\nelse\nccflags-y += -DM\nendif\nobj-$(CONFIG_NAPI) += n.o \\\n\tm.o\nobj-$(CONFIG_B) += b.o\n";
        assert_eq!(
            after(true, "drivers/Makefile", make).0,
            "obj-y := a.o\nccflags-y += -DN\nobj-y += n.o \\\n\tm.o\nobj-$(CONFIG_B) += b.o\n"
        );
        assert_eq!(
            after(false, "drivers/Makefile", make).0,
            "obj-y := a.o\nccflags-y += -DM\nobj-$(CONFIG_B) += b.o\n"
        );
        let kconfig = "config A\n\tbool\n\nconfig NAPI\n\tbool \"x\"\n\thelp\n\t  X.\n\nconfig B\n\tselect NAPI\n";
        let (text, codes) = after(false, "drivers/net/Kconfig", kconfig);
        assert_eq!(text, "config A\n\tbool\n\nconfig B\n\tselect NAPI\n");
        assert_eq!(codes, ["still-used"]);
    }
}
