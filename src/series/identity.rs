//! Who a message is from.

use std::path::{Path, PathBuf};

use git2::{Config, ConfigLevel, Repository};

use crate::{Error, Result};

/// A name and a mail address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The name, in UTF-8.
    pub name: String,
    /// The address, without angle brackets.
    pub email: String,
}

impl Identity {
    /// The program itself. Messages are from it unless the user signs them off: no person has vouched for them,
    /// and the output depends on the tree alone, not on whose machine made it.
    pub fn neutral() -> Self {
        Self {
            name: "guestpatch".to_owned(),
            email: "guestpatch@localhost".to_owned(),
        }
    }

    /// The user's git identity, as `git commit` would use it in `root` for the committer: the environment
    /// (GIT_COMMITTER_NAME, GIT_COMMITTER_EMAIL, EMAIL), then git's configuration. Nothing is guessed from the
    /// login or host name.
    ///
    /// # Errors
    /// When name or address is not set.
    pub fn of_user(root: &Path) -> Result<Self> {
        let config = configuration(root).ok();
        Self::from_sources(
            |key| std::env::var(key).ok(),
            |key| config.as_ref()?.get_string(key).ok(),
        )
    }

    fn from_sources(
        env: impl Fn(&str) -> Option<String>,
        config: impl Fn(&str) -> Option<String>,
    ) -> Result<Self> {
        // git drops these from names and addresses, for they would end the field early.
        let clean = |text: String| {
            let kept: String = text
                .chars()
                .filter(|c| !matches!(c, '<' | '>') && !c.is_control())
                .collect();
            let kept = kept.trim().to_owned();
            (!kept.is_empty()).then_some(kept)
        };
        let env = |key| env(key).and_then(clean);
        let config = |key| config(key).and_then(clean);
        let name = env("GIT_COMMITTER_NAME")
            .or_else(|| config("committer.name"))
            .or_else(|| config("user.name"));
        let email = env("GIT_COMMITTER_EMAIL")
            .or_else(|| config("committer.email"))
            .or_else(|| config("user.email"))
            .or_else(|| env("EMAIL"));
        match (name, email) {
            (Some(name), Some(email)) => Ok(Self { name, email }),
            (name, _) => {
                let missing = if name.is_none() {
                    "user.name"
                } else {
                    "user.email"
                };
                Err(Error::usage(format!("git does not know who you are: {missing} is not set")).hint(
                    "git config --global user.name \"Your Name\"; git config --global user.email you@example.org",
                ))
            }
        }
    }

    /// `Name <address>`, plain: for trailers.
    pub fn plain(&self) -> String {
        format!("{} <{}>", self.name, self.email)
    }
}

/// git's configuration as seen in `root`, which need not be a repository.
fn configuration(root: &Path) -> Result<Config, git2::Error> {
    let repo = Repository::open(root).ok();
    let Some(global) = std::env::var_os("GIT_CONFIG_GLOBAL") else {
        return repo.map_or_else(Config::open_default, |repo| repo.config());
    };
    // libgit2 does not know this variable, by which scripts and tests set the user's own files aside.
    let mut config = Config::new()?;
    if std::env::var_os("GIT_CONFIG_NOSYSTEM").is_none()
        && let Ok(system) = Config::find_system()
    {
        config.add_file(&system, ConfigLevel::System, false)?;
    }
    let global = PathBuf::from(global);
    if global.is_file() {
        config.add_file(&global, ConfigLevel::Global, false)?;
    }
    if let Some(repo) = repo {
        config.add_file(&repo.commondir().join("config"), ConfigLevel::Local, false)?;
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(env: &[(&str, &str)], config: &[(&str, &str)]) -> Result<Identity> {
        let get = |list: &[(&str, &str)], key: &str| {
            list.iter()
                .find(|(k, _)| *k == key)
                .map(|(_, value)| (*value).to_owned())
        };
        Identity::from_sources(|key| get(env, key), |key| get(config, key))
    }

    #[test]
    fn the_environment_wins_and_brackets_go() {
        let config = [("user.name", "Config"), ("user.email", "<c@x>")];
        assert_eq!(look(&[], &config).unwrap().plain(), "Config <c@x>");
        assert_eq!(
            look(&[("GIT_COMMITTER_NAME", "Env")], &config)
                .unwrap()
                .plain(),
            "Env <c@x>"
        );
        assert_eq!(look(&[("EMAIL", "e@x")], &config).unwrap().email, "c@x");
    }

    #[test]
    fn nothing_is_guessed() {
        let error = look(&[], &[("user.name", "A")]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "git does not know who you are: user.email is not set"
        );
        assert!(error.hint.is_some());
        assert!(look(&[], &[("user.name", " "), ("user.email", "a@b")]).is_err());
    }
}
