//! Whether the host in this program serves the guests of a series.

use std::path::Path;

use crate::report::series::{Abi, HostView};
use crate::{Error, Result};

/// Compares the wire format in a series' report (`json`, from `file`) with that of the host in this program.
///
/// # Errors
/// When the file is no such report, or its guests would not find in the host what they were made for.
pub fn check(json: &str, file: &Path) -> Result<()> {
    let usage = |message: String| Error::usage(message).at(file, 0, 0);
    let report: HostView = serde_json::from_str(json).map_err(|e| {
        usage(format!("not the report of a series: {e}"))
            .hint("name the folder that `guestpatch series -o` wrote, or the report.json in it")
    })?;
    if report.target != "guest" {
        return Err(
            usage(format!("this series is for a {} kernel", report.target))
                .hint("name the series of the guest's kernel"),
        );
    }
    let Some(guest) = report.abi else {
        return Err(
            usage("the kernels of this series make no batches".to_owned())
                .hint("a host is needed for a series with the recipe xkvm-io"),
        );
    };
    let differs = |what: &str, guest: &str, host: &str| {
        usage(format!("{what}: the series has {guest}, the host in this guestpatch {host}"))
            .hint(format!(
                "build the host with {} {}, which wrote the series, or write the series again with this one",
                report.tool.name, report.tool.version
            ))
    };
    let host = Abi::current();
    if guest.version != host.version {
        let (guest, host) = (guest.version.to_string(), host.version.to_string());
        return Err(differs("another version of the wire format", &guest, &host));
    }
    if let Some(unknown) = guest
        .transports
        .iter()
        .find(|t| !host.transports.contains(t))
    {
        let offered = host.transports.join(", ");
        return Err(differs("a transport the host has not", unknown, &offered));
    }
    if guest.strings && !host.strings {
        return Err(differs("string operations", "them", "none"));
    }
    if guest.max_entries > host.max_entries {
        let (guest, host) = (guest.max_entries.to_string(), host.max_entries.to_string());
        return Err(differs("longer batches", &guest, &host));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn report(change: impl FnOnce(&mut Value)) -> Value {
        let mut report = json!({
            "target": "guest",
            "tool": { "name": "guestpatch", "version": "9.9.9" },
            "abi": Abi::current(),
        });
        change(&mut report);
        report
    }

    fn refusal(report: &Value) -> Option<String> {
        let error = check(&report.to_string(), Path::new("report.json")).err()?;
        Some(format!(
            "{error}; {}",
            error.hint.clone().unwrap_or_default()
        ))
    }

    #[test]
    fn the_series_of_this_program_matches() {
        assert_eq!(refusal(&report(|_| ())), None);
        // A guest that knows less is served too.
        let less = report(|r| r["abi"]["transports"] = json!(["doorbell"]));
        assert_eq!(refusal(&less), None);
    }

    #[test]
    fn every_difference_is_named_with_both_sides() {
        let told = |change: fn(&mut Value)| refusal(&report(change)).expect("a refusal");
        let version = told(|r| r["abi"]["version"] = json!(2));
        assert!(
            version.contains("the series has 2, the host in this guestpatch 1"),
            "{version}"
        );
        assert!(
            version.contains("build the host with guestpatch 9.9.9"),
            "{version}"
        );
        let transport = told(|r| r["abi"]["transports"] = json!(["doorbell", "pigeon"]));
        assert!(
            transport.contains("has pigeon, the host in this guestpatch doorbell, tunnel, vmcall"),
            "{transport}"
        );
        let longer = told(|r| r["abi"]["max_entries"] = json!(511));
        assert!(
            longer.contains("has 511, the host in this guestpatch 255"),
            "{longer}"
        );
    }

    #[test]
    fn what_has_no_guests_needs_no_host() {
        let told = |change: fn(&mut Value)| refusal(&report(change)).expect("a refusal");
        assert!(told(|r| r["abi"] = Value::Null).contains("make no batches"));
        assert!(told(|r| r["target"] = json!("host")).contains("for a host kernel"));
        let text = check("{}", Path::new("x.json")).expect_err("no report");
        assert!(
            text.to_string()
                .starts_with("x.json: not the report of a series")
        );
    }
}
