//! Messages as `git format-patch` writes them: one file a message, each a mailbox of its own.

use sha2::{Digest, Sha256};

use super::diff::{FileDiff, Stat};
use super::identity::Identity;
use super::message::TOOL;
use super::text::mail_date;
use crate::kernel::hex;

/// Columns of a header line before it is folded (git's limits for plain and for encoded text).
const HEADER_WIDTH: usize = 78;
const ENCODED_WIDTH: usize = 76;
/// Longest name of a patch file plus one, as git counts it (FORMAT_PATCH_NAME_MAX).
const NAME_MAX: usize = 64;

/// What the messages of one series share.
#[derive(Debug, Clone)]
pub(super) struct Envelope {
    /// Who the messages are from.
    pub from: Identity,
    /// Seconds since 1970 of the cover letter; patch n is n seconds later, so that mail programs keep the order.
    pub date: i64,
    /// Patches in the series.
    pub total: usize,
    /// Hex digits that stand for base, recipes and content.
    pub id: String,
}

impl Envelope {
    /// The Message-Id of patch `number`, 0 for the cover letter; without angle brackets.
    pub fn message_id(&self, number: usize) -> String {
        format!("{}.{number}.guestpatch@localhost", self.id)
    }

    /// The whole message. `content` is what follows the body, from `---` or the like to before the signature.
    pub fn message(&self, number: usize, subject: &str, body: &str, content: &[u8]) -> Vec<u8> {
        let mut head = String::new();
        let id = self.message_id(number);
        let hash = hex(&Sha256::digest(&id)[..20]);
        head.push_str(&format!(
            "From {hash} Mon Sep 17 00:00:00 2001\nMessage-ID: <{id}>\n"
        ));
        if number > 0 {
            let cover = self.message_id(0);
            head.push_str(&format!("In-Reply-To: <{cover}>\nReferences: <{cover}>\n"));
        }
        head.push_str(&from_header(&self.from));
        head.push_str(&format!(
            "Date: {}\n",
            mail_date(self.date.saturating_add(number as i64))
        ));
        head.push_str(&subject_header(number, self.total, subject));
        // The diff may be in any encoding; the charset is stated when it is true of the whole or matters for the body.
        let utf8_diff = !content.is_ascii() && std::str::from_utf8(content).is_ok();
        if utf8_diff || !body.is_ascii() || !subject.is_ascii() || !self.from.name.is_ascii() {
            head.push_str(
                "MIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: 8bit\n",
            );
        }
        head.push('\n');
        head.push_str(body);
        let mut out = head.into_bytes();
        out.extend_from_slice(content);
        out.extend_from_slice(format!("-- \n{TOOL}\n\n").as_bytes());
        out
    }
}

/// Diffstat and diff of one patch, from the `---` line on.
pub(super) fn patch_content(diffs: &[FileDiff]) -> Vec<u8> {
    let stat = Stat(diffs.iter().map(|d| d.stat.clone()).collect());
    let mut out = format!("---\n{}\n", stat.render()).into_bytes();
    for diff in diffs {
        out.extend_from_slice(&diff.text);
    }
    out
}

/// `0001-subject-in-short.patch`, as git names it.
pub fn file_name(number: usize, subject: &str) -> String {
    const SUFFIX: &str = ".patch";
    let mut name = format!("{number:04}-{}", slug(subject));
    name.truncate(NAME_MAX - (SUFFIX.len() + 1));
    name + SUFFIX
}

/// Letters, digits, `.` and `_` stay; whatever is between becomes one `-`. ASCII only.
fn slug(subject: &str) -> String {
    let mut out = String::new();
    let mut gap = false;
    for c in subject.chars() {
        if c.is_ascii_alphanumeric() || matches!(c, '.' | '_') {
            if gap && !out.is_empty() {
                out.push('-');
            }
            gap = false;
            if c != '.' || !out.ends_with('.') {
                out.push(c);
            }
        } else {
            gap = true;
        }
    }
    out.truncate(out.trim_end_matches(['.', '-']).len());
    out
}

fn subject_header(number: usize, total: usize, subject: &str) -> String {
    let digits = total.to_string().len();
    let prefix = format!("Subject: [PATCH {number:0digits$}/{total}] ");
    let text = if needs_encoding(subject) {
        encode(subject, prefix.len(), false)
    } else {
        fold(subject, prefix.len())
    };
    format!("{prefix}{text}\n")
}

fn from_header(who: &Identity) -> String {
    let prefix = "From: ";
    let name = if needs_encoding(&who.name) {
        encode(&who.name, prefix.len(), true)
    } else if who.name.contains([
        '(', ')', '<', '>', '[', ']', ':', ';', '@', '\\', ',', '.', '"',
    ]) {
        format!(
            "\"{}\"",
            who.name.replace('\\', "\\\\").replace('"', "\\\"")
        )
    } else {
        who.name.clone()
    };
    let name = if needs_encoding(&who.name) {
        name
    } else {
        fold(&name, prefix.len())
    };
    let column = name.rsplit('\n').next().map_or(0, str::len)
        + if name.contains('\n') { 0 } else { prefix.len() };
    let gap = if column + who.email.len() + 3 > HEADER_WIDTH {
        "\n "
    } else {
        " "
    };
    format!("{prefix}{name}{gap}<{}>\n", who.email)
}

fn needs_encoding(text: &str) -> bool {
    !text.is_ascii() || text.contains("=?")
}

/// Breaks ASCII text at blanks; a line that goes on starts with one blank.
fn fold(text: &str, mut column: usize) -> String {
    let mut out = String::new();
    for (at, word) in text.split(' ').enumerate() {
        if at > 0 {
            let fits = column + 1 + word.len() <= HEADER_WIDTH;
            out.push_str(if fits { " " } else { "\n " });
            column = if fits { column + 1 } else { 1 };
        }
        out.push_str(word);
        column += word.len();
    }
    out
}

/// RFC 2047 "Q" encoding, split between characters so that no line is too long. Blanks become `=20`, as git
/// does it, for some readers do not undo `_`.
fn encode(text: &str, column: usize, address: bool) -> String {
    const START: &str = "=?UTF-8?q?";
    let mut out = START.to_owned();
    let mut column = column + START.len();
    for c in text.chars() {
        let plain = c.is_ascii_graphic()
            && if address {
                c.is_ascii_alphanumeric() || matches!(c, '!' | '*' | '+' | '-' | '/')
            } else {
                !matches!(c, '=' | '?' | '_')
            };
        let mut bytes = [0; 4];
        let bytes = c.encode_utf8(&mut bytes).as_bytes();
        let piece = if plain {
            c.to_string()
        } else {
            bytes.iter().map(|b| format!("={b:02X}")).collect()
        };
        if column + piece.len() + 2 > ENCODED_WIDTH {
            out.push_str("?=\n ");
            out.push_str(START);
            column = START.len() + 1;
        }
        column += piece.len();
        out.push_str(&piece);
    }
    out + "?="
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_are_gits() {
        assert_eq!(
            file_name(1, "ata: libata-sff: batch task file"),
            "0001-ata-libata-sff-batch-task-file.patch"
        );
        assert_eq!(file_name(12, "..a...b (c)."), "0012-.a.b-c.patch");
        let long = file_name(2, &"word ".repeat(14));
        assert_eq!(long.len(), NAME_MAX - 1);
    }

    #[test]
    fn headers_fold_and_encode() {
        let subject = "a".repeat(40) + " " + &"b".repeat(29);
        assert_eq!(
            subject_header(3, 12, &subject),
            format!(
                "Subject: [PATCH 03/12] {}\n {}\n",
                "a".repeat(40),
                "b".repeat(29)
            )
        );
        assert_eq!(
            subject_header(1, 1, "caf\u{e9} = x"),
            "Subject: [PATCH 1/1] =?UTF-8?q?caf=C3=A9=20=3D=20x?=\n"
        );
        let who = |name: &str| Identity {
            name: name.to_owned(),
            email: "a@b".to_owned(),
        };
        assert_eq!(from_header(&who("J. Doe")), "From: \"J. Doe\" <a@b>\n");
        assert_eq!(
            from_header(&who("J\u{f6}rg")),
            "From: =?UTF-8?q?J=C3=B6rg?= <a@b>\n"
        );
    }
}
