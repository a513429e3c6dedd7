//! The commit message of a patch: subject, body, trailers, in a form that mail cannot damage.

use super::Patch;
use super::identity::Identity;
use crate::{Error, Result};

/// Name and version of this program, as they stand in every message.
pub const TOOL: &str = concat!("guestpatch ", env!("CARGO_PKG_VERSION"));

/// Columns a line of a commit message may have (checkpatch's limit).
const WIDTH: usize = 75;
/// Characters a subject may have, without `[PATCH n/m]`.
pub const MAX_SUBJECT: usize = 70;

/// The body and the trailers, ending with a newline, exactly as `git am` will store them.
///
/// The disclosure is `Generator:`, not `Generated-by:`: checkpatch takes every `…-by:` for a signature and
/// warns about those it does not know. `Signed-off-by` is added only for `signoff`, a person's own identity.
pub fn body(patch: &Patch, signoff: Option<&Identity>) -> String {
    let mut out = tidy(&patch.body);
    if !out.is_empty() {
        out.push('\n');
    }
    let recipe = format!("(recipe {} v{})", patch.recipe, patch.recipe_version);
    let line = format!("Generator: {TOOL} {recipe}");
    if line.chars().count() <= WIDTH {
        out.push_str(&line);
    } else {
        // A trailer goes on in a line that starts with a blank.
        out.push_str(&format!("Generator: {TOOL}\n {recipe}"));
    }
    out.push('\n');
    if let Some(who) = signoff {
        out.push_str(&format!("Signed-off-by: {}\n", who.plain()));
    }
    out
}

/// Trims and joins blank lines as `git am` does, and indents by one blank what mail tools would take for
/// something else: a diff, the end of the message, a mailbox separator, a header.
pub(super) fn tidy(body: &str) -> String {
    let mut out = String::new();
    let mut blank = false;
    for line in body.lines() {
        let line = line.trim_end();
        if line.is_empty() {
            blank = !out.is_empty();
            continue;
        }
        if blank {
            out.push('\n');
            blank = false;
        }
        if breaks_mail(line) || (out.is_empty() && is_header(line)) {
            out.push(' ');
        }
        // A NUL would end the message inside git.
        out.extend(line.chars().filter(|c| *c != '\0'));
        out.push('\n');
    }
    out
}

fn breaks_mail(line: &str) -> bool {
    let rule = line
        .strip_prefix("---")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t']));
    rule || ["From ", ">From ", "diff ", "Index: ", "+++ ", "*** ", "@@ "]
        .iter()
        .any(|start| line.starts_with(start))
}

/// `git am` takes such lines at the top of a body for the commit's author, date and subject.
fn is_header(line: &str) -> bool {
    let name = line.split(':').next().unwrap_or_default();
    line.starts_with("[PATCH]")
        || ["From", "Subject", "Date"]
            .iter()
            .any(|h| name.eq_ignore_ascii_case(h))
}

/// Checks that `git am` would keep the subject as it is. `owner` names its source in the error.
///
/// # Errors
/// When it is empty, too long, has line breaks or runs of blanks, or starts like a mail prefix.
pub(super) fn check_subject(subject: &str, owner: &str) -> Result<()> {
    let fail = |what: String| Err(Error::failed(what).hint(format!("see the subject of {owner}")));
    let length = subject.chars().count();
    if length > MAX_SUBJECT {
        return fail(format!(
            "subject has {length} characters, at most {MAX_SUBJECT} are allowed: {subject}"
        ));
    }
    let plain = subject.split_whitespace().collect::<Vec<_>>().join(" ") == subject;
    if subject.is_empty() || !plain || subject.chars().any(char::is_control) {
        return fail(format!("subject is empty or has stray blanks: {subject:?}"));
    }
    let re = subject
        .get(..3)
        .is_some_and(|start| start.eq_ignore_ascii_case("re:"));
    if re || subject.starts_with(['[', ':']) {
        return fail(format!(
            "subject starts with something git am would drop: {subject:?}"
        ));
    }
    Ok(())
}

/// Checks that the body forges nobody's word. `owner` names its source in the error.
///
/// # Errors
/// When a line is a trailer such as `Signed-off-by:` or `Acked-by:`; those are for people to give.
pub(super) fn check_body(body: &str, owner: &str) -> Result<()> {
    let vouches = |line: &&str| {
        let name = line.trim_start().split(':').next().unwrap_or_default();
        let tag = name.len() >= 3 && name.bytes().all(|b| b.is_ascii_alphabetic() || b == b'-');
        tag && line.contains(':') && name.to_ascii_lowercase().ends_with("-by")
    };
    match body.lines().find(vouches) {
        Some(line) => Err(Error::failed(format!(
            "the message of {owner} vouches for a person: {line}"
        ))
        .hint("remove the line; use --signoff to add your own Signed-off-by")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patch(subject: &str, body: &str) -> Patch {
        Patch {
            subject: subject.to_owned(),
            body: body.to_owned(),
            recipe: "sample".to_owned(),
            recipe_version: 3,
            changes: Vec::new(),
            sites: Vec::new(),
        }
    }

    #[test]
    fn dangerous_lines_are_indented_and_blank_lines_joined() {
        let text = "\nSubject: x\n\n\n\nFrom here \n---\n--- a/x\n-----\ndiff -u\n>From x\n\n";
        assert_eq!(
            tidy(text),
            " Subject: x\n\n From here\n ---\n --- a/x\n-----\n diff -u\n >From x\n"
        );
    }

    #[test]
    fn trailers_disclose_the_generator_and_only_a_person_signs() {
        let version = env!("CARGO_PKG_VERSION");
        let disclosure = format!("Generator: guestpatch {version} (recipe sample v3)\n");
        assert_eq!(
            body(&patch("s", "Why."), None),
            format!("Why.\n\n{disclosure}")
        );
        let who = Identity {
            name: "A".to_owned(),
            email: "a@b".to_owned(),
        };
        assert_eq!(
            body(&patch("s", ""), Some(&who)),
            format!("{disclosure}Signed-off-by: A <a@b>\n")
        );
        let mut long = patch("s", "");
        long.recipe = "r".repeat(60);
        assert!(body(&long, None).contains("\n (recipe rrr"));
    }

    #[test]
    fn bad_subjects_are_refused() {
        assert!(check_subject("ata: libata-sff: batch accesses", "r").is_ok());
        assert!(check_subject(&"x".repeat(70), "r").is_ok());
        for bad in [
            &"x".repeat(71),
            "",
            "a  b",
            " a",
            "a\nb",
            "[RFC] a",
            "Re: a",
            "a\u{7}",
        ] {
            assert!(check_subject(bad, "r").is_err(), "{bad:?}");
        }
    }

    #[test]
    fn forged_trailers_are_refused() {
        for bad in [
            "Signed-off-by: A <a@b>",
            "  signed-OFF-by: x",
            "Why.\n\nReviewed-by: x",
        ] {
            assert!(check_body(bad, "r").is_err(), "{bad:?}");
        }
        assert!(check_body("A standby: nothing.\nBy-products\nstep-by: step\n", "r").is_err());
        assert!(check_body("Look at this one: it is followed by: nothing.", "r").is_ok());
    }
}
