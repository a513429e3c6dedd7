//! The one error type: what went wrong, where, and what the user can do about it.

use std::fmt;
use std::path::{Path, PathBuf};

/// What kind of failure it is; decides the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The command line, a recipe or the tree is not usable as given (exit code 2).
    Usage,
    /// A recipe does not do what it says on this tree, or a sample fails (exit code 1).
    Failed,
    /// The operating system refused something (exit code 3).
    Io,
}

/// A place in a file. `line` and `column` count from 1; 0 means "the whole file".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file, as the user would name it.
    pub file: PathBuf,
    /// Line, from 1; 0 when the whole file is meant.
    pub line: usize,
    /// Column in bytes, from 1; 0 when the whole line is meant.
    pub column: usize,
}

/// An error with an optional place and hint.
#[derive(Debug, Clone)]
pub struct Error {
    /// What kind of failure.
    pub kind: Kind,
    /// One sentence without a full stop.
    pub message: String,
    /// Where, if it is in a file.
    pub place: Option<Place>,
    /// What to do about it.
    pub hint: Option<String>,
}

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A usage error: bad input of any sort.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    /// The input is fine, but what was asked could not be done.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Kind::Failed, message)
    }

    /// An operating system error about `path`.
    pub fn io(path: &Path, action: &str, cause: &std::io::Error) -> Self {
        Self::new(
            Kind::Io,
            format!("cannot {action} {}: {cause}", path.display()),
        )
    }

    fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            place: None,
            hint: None,
        }
    }

    /// Adds the place.
    #[must_use]
    pub fn at(mut self, file: impl Into<PathBuf>, line: usize, column: usize) -> Self {
        self.place = Some(Place {
            file: file.into(),
            line,
            column,
        });
        self
    }

    /// Adds the remedy.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The process exit code for this error.
    pub fn exit_code(&self) -> u8 {
        match self.kind {
            Kind::Failed => 1,
            Kind::Usage => 2,
            Kind::Io => 3,
        }
    }
}

/// The known name that `wrong` is most probably a slip of, if any is near enough.
pub fn did_you_mean<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let (near, score) = known
        .into_iter()
        .map(|name| (name, strsim::jaro_winkler(wrong, name)))
        .max_by(|a, b| a.1.total_cmp(&b.1).then_with(|| b.0.cmp(a.0)))?;
    (score > 0.8).then_some(near)
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
            if self.column > 0 {
                write!(f, ":{}", self.column)?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
