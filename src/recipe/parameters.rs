//! `[parameters]`: named values that stand in a recipe as `${name}`, and that `--set RECIPE.NAME=VALUE` replaces.

use std::borrow::Cow;
use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::step::Fault;

/// The key of the table.
pub(super) const KEY: &str = "parameters";

/// Values by name.
#[derive(Debug, Default)]
pub(super) struct Parameters(BTreeMap<String, String>);

impl Parameters {
    /// Takes the table out of the front matter.
    pub(super) fn take(front: &mut DeTable<'_>) -> Result<Self, Fault> {
        let Some(value) = front.remove(KEY) else {
            return Ok(Self::default());
        };
        let span = value.span();
        let DeValue::Table(table) = value.into_inner() else {
            return Err(Fault::at(span, format!("`{KEY}` is not a table")));
        };
        let mut found = BTreeMap::new();
        for (name, value) in table {
            let text = match value.get_ref() {
                DeValue::String(text) => text.clone().into_owned(),
                DeValue::Integer(number) => number.as_str().to_owned(),
                _ => {
                    return Err(Fault::at(
                        value.span(),
                        "the value of a parameter is a string or a whole number",
                    ));
                }
            };
            found.insert(name.into_inner().into_owned(), text);
        }
        Ok(Self(found))
    }

    /// The names, sorted.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Puts the values into every string of `table`.
    pub(super) fn fill(&self, table: &mut DeTable<'_>) -> Result<(), Fault> {
        for (_, value) in table.iter_mut() {
            self.fill_value(value)?;
        }
        Ok(())
    }

    fn fill_value(&self, value: &mut Spanned<DeValue<'_>>) -> Result<(), Fault> {
        let span = value.span();
        match value.get_mut() {
            DeValue::String(text) if text.contains("${") => {
                let filled = self.text(text).map_err(|name| {
                    Fault::at(span, format!("there is no parameter `{name}`"))
                        .hint(format!("name it in `[{KEY}]`"))
                })?;
                *text = Cow::Owned(filled);
            }
            DeValue::Array(items) => {
                for item in items.iter_mut() {
                    self.fill_value(item)?;
                }
            }
            DeValue::Table(table) => self.fill(table)?,
            _ => {}
        }
        Ok(())
    }

    /// `text` with the values in it; the name of the first that is not known.
    pub(super) fn text(&self, text: &str) -> Result<String, String> {
        let mut out = String::new();
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            let Some(end) = rest[at..].find('}') else {
                break;
            };
            let name = &rest[at + 2..at + end];
            let value = self.0.get(name).ok_or_else(|| name.to_owned())?;
            out.push_str(&rest[..at]);
            out.push_str(value);
            rest = &rest[at + end + 1..];
        }
        out.push_str(rest);
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_in_every_string() {
        let text = "a = 'HZ_${hz}'\nb = ['$A', '${hz}${hz}']\n[parameters]\nhz = 100\n";
        let mut front = DeTable::parse(text).unwrap().into_inner();
        let parameters = Parameters::take(&mut front).unwrap();
        parameters.fill(&mut front).unwrap();
        assert_eq!(front["a"].get_ref().as_str(), Some("HZ_100"));
        assert_eq!(front["b"].get_ref()[1].get_ref().as_str(), Some("100100"));
        assert_eq!(parameters.text("${no}"), Err("no".into()));
    }
}
