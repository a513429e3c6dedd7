//! `scan --sarif`: SARIF 2.1.0 (OASIS, <https://docs.oasis-open.org/sarif/sarif/v2.1.0/>), for viewers of code findings.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{TOOL, table};
use crate::recipe::scan::Found;
use crate::step::Verdict;

/// The rule of places that are rewritten.
const REWRITTEN: &str = "rewritten";

#[derive(Debug, Serialize)]
struct Log {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [Run; 1],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Run {
    tool: ToolComponent,
    original_uri_base_ids: BTreeMap<&'static str, Base>,
    results: Vec<Finding>,
}

#[derive(Debug, Serialize)]
struct ToolComponent {
    driver: Driver,
}

#[derive(Debug, Serialize)]
struct Driver {
    name: &'static str,
    version: &'static str,
    rules: Vec<Rule>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    id: String,
    short_description: Text,
}

#[derive(Debug, Serialize)]
struct Base {
    description: Text,
}

#[derive(Debug, Serialize)]
struct Text {
    text: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Finding {
    rule_id: String,
    rule_index: usize,
    level: &'static str,
    message: Text,
    locations: [Location; 1],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    related_locations: Vec<Location>,
    properties: Properties,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Location {
    physical_location: Physical,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    logical_locations: Vec<Logical>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Physical {
    artifact_location: Artifact,
    region: Region,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Artifact {
    uri: String,
    uri_base_id: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: usize,
}

#[derive(Debug, Serialize)]
struct Logical {
    name: String,
    kind: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Properties {
    recipe: String,
    operations: usize,
    exits_saved: usize,
}

/// The log of `found` as JSON. Paths are relative to the base `SRCROOT`, the top of the tree.
pub fn render(found: &[Found]) -> String {
    let codes: BTreeSet<&str> = found.iter().map(|f| code(&f.site.verdict)).collect();
    let codes: Vec<&str> = codes.into_iter().collect();
    let rules = codes
        .iter()
        .map(|code| Rule {
            id: (*code).to_owned(),
            short_description: describe(code),
        })
        .collect();
    let results = found.iter().map(|f| finding(f, &codes)).collect();
    let base = Base {
        description: text("the top of the kernel tree"),
    };
    super::to_json(&Log {
        schema: "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        version: "2.1.0",
        runs: [Run {
            tool: ToolComponent {
                driver: Driver {
                    name: TOOL.name,
                    version: TOOL.version,
                    rules,
                },
            },
            original_uri_base_ids: BTreeMap::from([("SRCROOT", base)]),
            results,
        }],
    })
}

fn code(verdict: &Verdict) -> &str {
    match verdict {
        Verdict::Rewritten => REWRITTEN,
        Verdict::Blocked { code, .. } => code,
    }
}

fn describe(code: &str) -> Text {
    text(match code {
        REWRITTEN => "A run of port I/O that can be one exit".to_owned(),
        code => format!("Port I/O left alone: {}", code.replace('-', " ")),
    })
}

fn finding(found: &Found, codes: &[&str]) -> Finding {
    let site = &found.site;
    let id = code(&site.verdict);
    let (level, message, related) = match &site.verdict {
        Verdict::Rewritten => {
            let message = format!(
                "{} can be one exit: saves {}",
                table::count(site.ops, "operation"),
                site.exits_saved
            );
            ("note", message, Vec::new())
        }
        Verdict::Blocked { reason, line, .. } => {
            let message = format!(
                "{} left alone: {reason}",
                table::count(site.ops, "operation")
            );
            ("none", message, vec![location(&site.file, *line, "")])
        }
    };
    Finding {
        rule_id: id.to_owned(),
        rule_index: codes.iter().position(|c| *c == id).unwrap_or_default(),
        level,
        message: text(message),
        locations: [location(&site.file, site.line, &site.function)],
        related_locations: related,
        properties: Properties {
            recipe: found.recipe.clone(),
            operations: site.ops,
            exits_saved: site.exits_saved,
        },
    }
}

fn location(file: &str, line: usize, function: &str) -> Location {
    let function = (!function.is_empty()).then(|| Logical {
        name: function.to_owned(),
        kind: "function",
    });
    Location {
        physical_location: Physical {
            artifact_location: Artifact {
                uri: uri(file),
                uri_base_id: "SRCROOT",
            },
            region: Region { start_line: line },
        },
        logical_locations: function.into_iter().collect(),
    }
}

fn text(text: impl Into<String>) -> Text {
    Text { text: text.into() }
}

/// A relative reference: everything that is not allowed in a path is percent-encoded (RFC 3986).
fn uri(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/+,@=".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::step::Site;

    #[test]
    fn a_log_has_rules_and_results() {
        let site = Site {
            file: "drivers/a b.c".into(),
            line: 3,
            function: "f".into(),
            ops: 4,
            exits_saved: 3,
            verdict: Verdict::Rewritten,
        };
        let blocked = Verdict::Blocked {
            code: "call".into(),
            reason: "a call".into(),
            line: 9,
        };
        let found = [
            Found {
                recipe: "r".into(),
                site: site.clone(),
            },
            Found {
                recipe: "r".into(),
                site: Site {
                    verdict: blocked,
                    exits_saved: 0,
                    ..site
                },
            },
        ];
        let log: serde_json::Value = serde_json::from_str(&render(&found)).unwrap();
        let run = &log["runs"][0];
        assert_eq!(run["tool"]["driver"]["rules"][0]["id"], "call");
        let first = &run["results"][0];
        assert_eq!(first["ruleIndex"], 1);
        let place = &first["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "drivers/a%20b.c");
        assert_eq!(place["region"]["startLine"], 3);
        assert_eq!(
            run["results"][1]["relatedLocations"][0]["physicalLocation"]["region"]["startLine"],
            9
        );
    }
}
