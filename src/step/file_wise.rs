//! The step kinds that look at one file's text and nothing else.

use serde::Deserialize;
use toml::de::ValueDeserializer;

use super::{
    Fault, FileOutcome, drop_ifdef, kconfig_default, remove_argument, remove_call,
    remove_directive, remove_field, remove_function, remove_parameter, remove_variable,
    replace_code, replace_define, replace_function, replace_line,
};

/// A step that turns one file's text into another.
pub(crate) trait FileStep: std::fmt::Debug + Send + Sync {
    /// What it makes of the file at `path`.
    fn edit(&self, path: &str, text: &[u8]) -> FileOutcome;

    /// What an existing configuration must set for the change to have an effect: symbols and values (`n` for unset).
    fn config(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    /// The header that a changed file must include, such as `linux/io.h`.
    fn include(&self) -> Option<&str> {
        None
    }
}

macro_rules! kinds {
    ($($kind:literal => $variant:ident($config:ty, $step:ty) { $($config_fn:item)* })*) => {
        /// One step's keys as TOML has them.
        #[derive(Debug)]
        pub(crate) enum Config {
            $($variant($config),)*
        }

        /// The kinds here.
        #[cfg(test)]
        pub(crate) const KINDS: &[&str] = &[$($kind),*];

        impl Config {
            /// Reads the keys of a step of `kind`; `None` when it is none of these.
            pub(crate) fn read(
                kind: &str,
                keys: ValueDeserializer<'_>,
            ) -> Option<Result<Self, toml::de::Error>> {
                match kind {
                    $($kind => Some(Deserialize::deserialize(keys).map(Self::$variant)),)*
                    _ => None,
                }
            }

            /// Checks the keys and makes them ready to run; with the kind's name.
            pub(crate) fn compile(self) -> Result<(&'static str, Box<dyn FileStep>), Fault> {
                Ok(match self {
                    $(Self::$variant(config) => ($kind, Box::new(config.compile()?)),)*
                })
            }
        }

        $(impl FileStep for $step {
            fn edit(&self, path: &str, text: &[u8]) -> FileOutcome {
                <$step>::edit(self, path, text)
            }
            $($config_fn)*
        })*
    };
}

kinds! {
    "remove-function" => RemoveFunction(remove_function::Config, remove_function::RemoveFunction) {}
    "remove-variable" => RemoveVariable(remove_variable::Config, remove_variable::RemoveVariable) {}
    "remove-field" => RemoveField(remove_field::Config, remove_field::RemoveField) {}
    "remove-call" => RemoveCall(remove_call::Config, remove_call::RemoveCall) {}
    "remove-directive" => RemoveDirective(remove_directive::Config, remove_directive::RemoveDirective) {}
    "remove-argument" => RemoveArgument(remove_argument::Config, remove_argument::RemoveArgument) {}
    "remove-parameter" => RemoveParameter(remove_parameter::Config, remove_parameter::RemoveParameter) {}
    "replace-define" => ReplaceDefine(replace_define::Config, replace_define::ReplaceDefine) {
        fn include(&self) -> Option<&str> {
            replace_define::ReplaceDefine::include(self)
        }
    }
    "replace-code" => ReplaceCode(replace_code::Config, replace_code::ReplaceCode) {}
    "replace-function" => ReplaceFunction(replace_function::Config, replace_function::ReplaceFunction) {}
    "replace-line" => ReplaceLine(replace_line::Config, replace_line::ReplaceLine) {}
    "drop-ifdef" => DropIfdef(drop_ifdef::Config, drop_ifdef::DropIfdef) {}
    "kconfig-default" => KconfigDefault(kconfig_default::Config, kconfig_default::KconfigDefault) {
        fn config(&self) -> Vec<(String, String)> {
            kconfig_default::KconfigDefault::config(self)
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_kind_is_listed() {
        let listed = crate::step::Config::KINDS;
        assert!(super::KINDS.iter().all(|kind| listed.contains(kind)));
    }
}
