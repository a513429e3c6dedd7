//! The Markdown below the front matter: the commit message's body, and the samples.

use std::ops::Range;

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Parser, Tag, TagEnd};

use super::{Expected, Sample};
use crate::step::Fault;

/// Width of a commit message's text.
const WIDTH: usize = 72;

/// What the Markdown says. Sample lines are relative to the Markdown.
#[derive(Debug)]
pub(super) struct Page {
    pub prose: String,
    pub body: String,
    pub samples: Vec<Sample>,
}

/// Reads the page. Spans in errors are relative to `markdown`.
pub(super) fn read(markdown: &str) -> Result<Page, Fault> {
    let sections = sections(markdown);
    let end = sections.first().map_or(markdown.len(), |s| s.span.start);
    let prose = markdown[..end].trim().to_owned();
    let body = plain(&prose);
    if body.is_empty() {
        return Err(Fault::at(0..0, "this recipe has no prose").hint(
            "say under the front matter why the change is right: it becomes the commit message",
        ));
    }
    check_body(&body)?;
    let samples = sections
        .iter()
        .filter_map(|section| sample(markdown, section).transpose())
        .collect::<Result<_, _>>()?;
    Ok(Page {
        prose,
        body,
        samples,
    })
}

/// What `git am` would take for the end of the message.
fn check_body(body: &str) -> Result<(), Fault> {
    let cut = body
        .lines()
        .find(|l| *l == "---" || l.starts_with("diff -") || l.starts_with("Index: "));
    match cut {
        None => Ok(()),
        Some(line) => Err(Fault::at(
            0..0,
            format!("the line `{line}` would end the commit message"),
        )
        .hint("indent it, or say it in other words")),
    }
}

struct Section {
    title: String,
    span: Range<usize>,
    blocks: Vec<Block>,
}

struct Block {
    info: String,
    text: String,
    span: Range<usize>,
}

fn sections(markdown: &str) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    let mut in_title = false;
    let mut in_block = false;
    for (event, span) in Parser::new(markdown).into_offset_iter() {
        match event {
            Event::Start(Tag::Heading {
                level: HeadingLevel::H2,
                ..
            }) => {
                sections.push(Section {
                    title: String::new(),
                    span,
                    blocks: Vec::new(),
                });
                in_title = true;
            }
            Event::End(TagEnd::Heading(HeadingLevel::H2)) => in_title = false,
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) => {
                if let Some(section) = sections.last_mut() {
                    section.blocks.push(Block {
                        info: info.trim().to_owned(),
                        text: String::new(),
                        span,
                    });
                    in_block = true;
                }
            }
            Event::End(TagEnd::CodeBlock) => in_block = false,
            Event::Text(text) | Event::Code(text) => {
                let Some(section) = sections.last_mut() else {
                    continue;
                };
                if in_title {
                    section.title.push_str(&text);
                } else if in_block && let Some(block) = section.blocks.last_mut() {
                    block.text.push_str(&text);
                }
            }
            _ => {}
        }
    }
    sections
}

fn sample(markdown: &str, section: &Section) -> Result<Option<Sample>, Fault> {
    let title = section.title.trim();
    if !title.to_ascii_lowercase().starts_with("sample") {
        return Ok(None);
    }
    let malformed = || {
        Fault::at(
            section.span.clone(),
            format!("`## {title}` is not a sample's heading"),
        )
        .hint("write `## Sample: NAME` or `## Sample (blocked CODE): NAME`")
    };
    let (head, name) = title.split_once(':').ok_or_else(malformed)?;
    let name = name.trim();
    let option = head.strip_prefix("Sample").ok_or_else(malformed)?.trim();
    if name.is_empty() {
        return Err(malformed());
    }
    let blocked = match option.strip_prefix('(').and_then(|o| o.strip_suffix(')')) {
        Some(option) => Some(
            option
                .trim()
                .strip_prefix("blocked ")
                .ok_or_else(malformed)?
                .trim(),
        ),
        None if option.is_empty() => None,
        None => return Err(malformed()),
    };
    let block = |info: &str| -> Result<String, Fault> {
        let mut found = section.blocks.iter().filter(|b| b.info == info);
        match (found.next(), found.next()) {
            (Some(block), None) => Ok(block.text.clone()),
            (Some(_), Some(second)) => Err(Fault::at(
                second.span.clone(),
                format!("the sample `{name}` has two ```{info} blocks"),
            )),
            _ => Err(Fault::at(
                section.span.clone(),
                format!("the sample `{name}` has no ```{info} block"),
            )),
        }
    };
    if let Some(other) = section.blocks.iter().find(|b| match blocked {
        None => b.info != "c before" && b.info != "c after",
        Some(_) => b.info != "c",
    }) {
        let wanted = if blocked.is_some() {
            "one ```c block"
        } else {
            "```c before and ```c after"
        };
        return Err(Fault::at(
            other.span.clone(),
            format!("a block ```{} has no meaning in this sample", other.info),
        )
        .hint(format!("this sample has {wanted}")));
    }
    let (before, expected) = match blocked {
        None => (block("c before")?, Expected::After(block("c after")?)),
        Some(code) => (block("c")?, Expected::Blocked(code.to_owned())),
    };
    let line = memchr::memchr_iter(b'\n', &markdown.as_bytes()[..section.span.start]).count() + 1;
    Ok(Some(Sample {
        name: name.to_owned(),
        line,
        before,
        expected,
    }))
}

/// Markdown as plain text: paragraphs and lists wrapped at 72 columns, code indented and kept.
pub(super) fn plain(markdown: &str) -> String {
    let mut out = Plain::default();
    for event in Parser::new(markdown) {
        out.event(event);
    }
    out.text.trim().to_owned()
}

#[derive(Default)]
struct Plain {
    text: String,
    /// Words of the paragraph being read; `\n` asks for a line break.
    paragraph: String,
    /// Lists we are in: the number of the next item, or none for bullets.
    lists: Vec<Option<u64>>,
    /// Mark before the next paragraph, such as `- `.
    mark: String,
    /// Where a link goes, when its text does not say so already.
    link: Option<String>,
    code: Option<String>,
    in_heading: bool,
}

impl Plain {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start(Tag::Heading { .. }) => self.in_heading = true,
            Event::End(TagEnd::Heading(_)) => {
                self.in_heading = false;
                self.paragraph.clear();
            }
            Event::Start(Tag::List(first)) => {
                self.flush(false);
                self.lists.push(first);
            }
            Event::End(TagEnd::List(_)) => {
                self.lists.pop();
                if self.lists.is_empty() {
                    self.gap();
                }
            }
            Event::Start(Tag::Item) => {
                self.mark = match self.lists.last_mut() {
                    Some(Some(number)) => {
                        *number += 1;
                        format!("{}. ", *number - 1)
                    }
                    _ => "- ".to_owned(),
                };
            }
            Event::End(TagEnd::Item) => self.flush(false),
            Event::End(TagEnd::Paragraph) => self.flush(self.lists.is_empty()),
            Event::Start(Tag::CodeBlock(_)) => {
                self.flush(true);
                self.code = Some(String::new());
            }
            Event::End(TagEnd::CodeBlock) => self.end_code(),
            Event::Start(Tag::Link { dest_url, .. }) => self.link = Some(dest_url.into_string()),
            Event::End(TagEnd::Link) => {
                if let Some(url) = self
                    .link
                    .take()
                    .filter(|url| !self.paragraph.ends_with(url.as_str()))
                {
                    self.paragraph.push_str(&format!(" <{url}>"));
                }
            }
            Event::Text(text) => match &mut self.code {
                Some(code) => code.push_str(&text),
                None => self.paragraph.push_str(&text),
            },
            Event::Code(text) => self.paragraph.push_str(&text),
            Event::SoftBreak => self.paragraph.push(' '),
            Event::HardBreak => self.paragraph.push('\n'),
            _ => {}
        }
    }

    /// Writes the paragraph out; `gap` leaves an empty line after it.
    fn flush(&mut self, gap: bool) {
        let text = std::mem::take(&mut self.paragraph);
        if text.trim().is_empty() {
            return;
        }
        let depth = self.lists.len().saturating_sub(1) * 2;
        let mark = std::mem::take(&mut self.mark);
        let hang = if self.lists.is_empty() {
            0
        } else {
            depth + mark.len().max(2)
        };
        let mut indent = format!("{:depth$}{mark}", "");
        for part in text.split('\n') {
            for line in wrap(part, WIDTH - hang) {
                self.text.push_str(&format!("{indent}{line}\n"));
                indent = " ".repeat(hang);
            }
        }
        if gap {
            self.gap();
        }
    }

    fn gap(&mut self) {
        if !self.text.ends_with("\n\n") && !self.text.is_empty() {
            self.text.push('\n');
        }
    }

    fn end_code(&mut self) {
        let code = self.code.take().unwrap_or_default();
        self.gap();
        for line in code.lines() {
            let line = if line.is_empty() {
                "\n".to_owned()
            } else {
                format!("    {line}\n")
            };
            self.text.push_str(&line);
        }
        self.gap();
    }
}

/// Breaks `text` into lines of at most `width` characters, at spaces.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_becomes_a_commit_message() {
        let text = plain(
            "Each `iowrite8()` on an emulated controller leaves the *guest*, so a command\n\
             costs **eleven** exits before it has even begun, and the host emulates each.\n\n\
             Two things follow:\n\n- batch them, which needs one entry for each of the registers that the driver writes\n- keep their order\n\n\
             ```c\nfoo();\n\n\tbar();\n```\n\nSee [the paper](http://x.example/p).",
        );
        insta::assert_snapshot!(text, @r"
        Each iowrite8() on an emulated controller leaves the guest, so a command
        costs eleven exits before it has even begun, and the host emulates each.

        Two things follow:

        - batch them, which needs one entry for each of the registers that the
          driver writes
        - keep their order

            foo();

            	bar();

        See the paper <http://x.example/p>.
        ");
    }

    #[test]
    fn samples_are_read() {
        let page = read(
            "Why.\n\n## Sample: a\n```c before\nx;\n```\n```c after\ny;\n```\n## Notes\n```sh\nls\n```\n## Sample (blocked call): b\n```c\nz;\n```\n",
        )
        .unwrap();
        assert_eq!(page.body, "Why.");
        assert_eq!(page.samples.len(), 2);
        assert_eq!(page.samples[0].before, "x;\n");
        assert_eq!(page.samples[0].expected, Expected::After("y;\n".into()));
        assert_eq!(page.samples[1].expected, Expected::Blocked("call".into()));
        assert_eq!(page.samples[1].line, 14);
    }

    #[test]
    fn a_sample_without_its_after_is_refused() {
        let fault = read("Why.\n## Sample: a\n```c before\nx;\n```\n").unwrap_err();
        assert_eq!(fault.message, "the sample `a` has no ```c after block");
        let fault = read("Why.\n## Samples: a\n").unwrap_err();
        assert!(fault.message.contains("not a sample's heading"));
    }

    #[test]
    fn what_would_cut_the_message_is_refused() {
        assert!(read("Why.\n\ndiff --git is what it says\n").is_err());
        assert!(read("\n").unwrap_err().message.contains("no prose"));
    }
}
