//! Configurations: fragments in the form of a `.config`, merged, and the check that nothing asked for was dropped.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context, Result, bail};
use include_dir::{Dir, include_dir};

static FRAGMENTS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/configs");

/// Symbols, with their prefix, and values as in a `.config`; `n` for unset.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config(BTreeMap<String, String>);

impl Config {
    /// Reads a `.config` or a part of one. A symbol named twice has its last value.
    ///
    /// # Errors
    /// A line that says nothing.
    pub fn parse(text: &str) -> Result<Self> {
        let mut symbols = BTreeMap::new();
        for (at, line) in text.lines().map(str::trim_end).enumerate() {
            let unset = line
                .strip_prefix("# ")
                .and_then(|rest| rest.strip_suffix(" is not set"));
            let set = line.split_once('=');
            let (symbol, value) = match (unset, set) {
                (Some(symbol), _) => (symbol, "n"),
                _ if line.is_empty() || line.starts_with('#') => continue,
                (None, Some((symbol, value))) => (symbol, value),
                (None, None) => bail!("line {}: `{line}` sets nothing", at + 1),
            };
            if !symbol.starts_with("CONFIG_") {
                bail!("line {}: `{symbol}` does not begin with CONFIG_", at + 1);
            }
            symbols.insert(symbol.to_owned(), value.to_owned());
        }
        Ok(Self(symbols))
    }

    /// The fragments `names` of the lab, later ones over earlier ones.
    ///
    /// # Errors
    /// When the lab has no such fragment.
    pub fn fragments(names: &[&str]) -> Result<Self> {
        let mut all = Self::default();
        for name in names {
            let file = FRAGMENTS
                .get_file(format!("{name}.config"))
                .and_then(|file| file.contents_utf8())
                .with_context(|| format!("there is no configuration fragment {name}"))?;
            let one = Self::parse(file).with_context(|| format!("in the fragment {name}"))?;
            all = all.with(&one);
        }
        Ok(all)
    }

    /// This one, with `over` on top.
    #[must_use]
    pub fn with(&self, over: &Self) -> Self {
        let mut all = self.clone();
        for (symbol, value) in &over.0 {
            all.0.insert(symbol.clone(), value.clone());
        }
        all
    }

    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of a symbol; `n` when it is not named.
    pub fn value(&self, symbol: &str) -> &str {
        self.0.get(symbol).map_or("n", String::as_str)
    }

    /// The timer interrupts a second that it chooses, if it does.
    pub fn hz(&self) -> Option<&str> {
        let chosen = self.0.iter().filter(|(_, value)| *value == "y");
        chosen
            .filter_map(|(symbol, _)| symbol.strip_prefix("CONFIG_HZ_"))
            .find(|rate| rate.parse::<u32>().is_ok())
    }

    /// The text of a `.config`.
    pub fn render(&self) -> String {
        let mut out = String::new();
        for (symbol, value) in &self.0 {
            let _ = match value.as_str() {
                "n" => writeln!(out, "# {symbol} is not set"),
                _ => writeln!(out, "{symbol}={value}"),
            };
        }
        out
    }

    /// What was asked for here and is otherwise in `got`, a whole `.config`: one line each.
    pub fn missing_in(&self, got: &Self) -> Vec<String> {
        let wrong = self.0.iter().filter(|(s, v)| got.value(s) != v.as_str());
        wrong
            .map(|(symbol, value)| format!("{symbol}={value} became {}", got.value(symbol)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fragment_is_read_and_written() {
        let config =
            Config::parse("# a comment\n\nCONFIG_B=y\n# CONFIG_A is not set\nCONFIG_C=\"x=y\"\n")
                .unwrap();
        assert_eq!(config.value("CONFIG_A"), "n");
        assert_eq!(config.value("CONFIG_B"), "y");
        assert_eq!(config.value("CONFIG_C"), "\"x=y\"");
        let text = "# CONFIG_A is not set\nCONFIG_B=y\nCONFIG_C=\"x=y\"\n";
        assert_eq!(config.render(), text);
        assert_eq!(Config::parse(text).unwrap(), config);
    }

    #[test]
    fn what_is_no_fragment_is_refused() {
        for (text, line) in [("CONFIG_A=y\nB=y", "line 2"), ("hello", "line 1")] {
            let error = Config::parse(text).unwrap_err().to_string();
            assert!(error.starts_with(line), "{error}");
        }
    }

    #[test]
    fn later_fragments_win() {
        let below = Config::parse("CONFIG_A=y\nCONFIG_B=y").unwrap();
        let over = Config::parse("# CONFIG_A is not set\nCONFIG_C=m").unwrap();
        assert_eq!(
            below.with(&over).render(),
            "# CONFIG_A is not set\nCONFIG_B=y\nCONFIG_C=m\n"
        );
    }

    #[test]
    fn the_chosen_rate_is_found() {
        let text = "CONFIG_HZ_100=y\n# CONFIG_HZ_250 is not set\nCONFIG_HZ_PERIODIC=y\n";
        assert_eq!(Config::parse(text).unwrap().hz(), Some("100"));
        let none = Config::parse("# CONFIG_HZ_250 is not set").unwrap();
        assert_eq!(none.hz(), None);
    }

    #[test]
    fn a_dropped_symbol_is_found() {
        let asked = Config::parse("CONFIG_A=y\nCONFIG_B=m\n# CONFIG_C is not set\nCONFIG_D=y");
        let got = Config::parse("CONFIG_A=y\nCONFIG_B=y\nCONFIG_C=y\n").unwrap();
        assert_eq!(
            asked.unwrap().missing_in(&got),
            [
                "CONFIG_B=m became y",
                "CONFIG_C=n became y",
                "CONFIG_D=y became n"
            ]
        );
    }

    #[test]
    fn the_fragments_of_the_lab_can_be_read() {
        for file in FRAGMENTS.files() {
            let name = file.path().file_stem().unwrap().to_str().unwrap();
            let config = Config::fragments(&[name]).unwrap();
            assert_ne!(config, Config::default(), "{name}");
        }
        assert!(Config::fragments(&["nothing"]).is_err());
    }
}
