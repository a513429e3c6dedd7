//! Where a recipe came from: built into the program, or a folder of the user's.

use std::path::{Path, PathBuf};

use include_dir::{Dir, include_dir};

use crate::{Error, Result};

/// The recipes this program was built with.
pub(super) static BUILT_IN: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/recipes");

/// The folder that a recipe's templates are looked up in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Assets {
    /// The built-in recipes.
    BuiltIn,
    /// A folder on disk.
    Folder(PathBuf),
}

impl Assets {
    /// The text of `path`, relative to the folder.
    ///
    /// # Errors
    /// When there is no such file, it lies outside the folder, or it is not UTF-8.
    pub fn read(&self, path: &str) -> Result<String> {
        if Path::new(path)
            .components()
            .any(|c| !matches!(c, std::path::Component::Normal(_)))
        {
            return Err(Error::usage(format!(
                "template `{path}` lies outside the recipe's folder"
            )));
        }
        match self {
            Self::BuiltIn => BUILT_IN
                .get_file(path)
                .and_then(|f| f.contents_utf8())
                .map(str::to_owned)
                .ok_or_else(|| Error::usage(format!("there is no built-in template `{path}`"))),
            Self::Folder(folder) => {
                let full = folder.join(path);
                std::fs::read_to_string(&full).map_err(|e| Error::io(&full, "read", &e))
            }
        }
    }
}

/// The file a recipe was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The file as the user would name it; `recipes/NAME.md` for a built-in one.
    pub file: PathBuf,
    /// Where its templates are.
    pub assets: Assets,
}

impl Source {
    /// Whether it is part of the program.
    pub fn is_built_in(&self) -> bool {
        self.assets == Assets::BuiltIn
    }
}
