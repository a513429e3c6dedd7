//! All recipes there are: the built-in ones, and those of `--recipes DIR` over them.

use std::collections::BTreeSet;
use std::path::Path;

use super::load::{Override, load};
use super::source::{Assets, BUILT_IN, Source};
use super::{Recipe, Target};
use crate::error::did_you_mean;
use crate::{Error, Result};

/// The recipes, by place in the series, then by name.
#[derive(Debug)]
pub struct Catalogue {
    recipes: Vec<Recipe>,
    notes: Vec<String>,
}

impl Catalogue {
    /// Reads the built-in recipes and those in `folder`; a recipe there replaces the built-in one of its name.
    ///
    /// # Errors
    /// The first recipe that is not right, with the place; an override that names no recipe.
    pub fn load(folder: Option<&Path>, overrides: &[Override]) -> Result<Self> {
        let mut recipes = Vec::new();
        for file in BUILT_IN.files().filter(|f| is_recipe(f.path())) {
            let name = Path::new("recipes").join(file.path());
            let text = file
                .contents_utf8()
                .ok_or_else(|| Error::usage("a recipe must be UTF-8").at(&name, 0, 0))?;
            recipes.push(load(
                text,
                Source {
                    file: name,
                    assets: Assets::BuiltIn,
                },
                overrides,
            )?);
        }
        let mut notes = Vec::new();
        for recipe in folder
            .map(|f| load_folder(f, overrides))
            .transpose()?
            .unwrap_or_default()
        {
            let before = recipes.len();
            recipes.retain(|r| r.name != recipe.name);
            if recipes.len() < before {
                notes.push(format!(
                    "{} replaces the built-in recipe {}",
                    recipe.source.file.display(),
                    recipe.name
                ));
            }
            recipes.push(recipe);
        }
        recipes.sort_by(|a, b| (a.order, &a.name).cmp(&(b.order, &b.name)));
        let catalogue = Self { recipes, notes };
        catalogue.check_requires()?;
        for change in overrides {
            catalogue.get(&change.recipe).map_err(|mut e| {
                e.message = format!("--set: {}", e.message);
                e
            })?;
        }
        Ok(catalogue)
    }

    /// What the user should know, such as a built-in recipe that was replaced.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// All recipes in the order of the series.
    pub fn recipes(&self) -> &[Recipe] {
        &self.recipes
    }

    /// The recipe `name`.
    ///
    /// # Errors
    /// When there is none; the hint has the nearest name.
    pub fn get(&self, name: &str) -> Result<&Recipe> {
        self.recipes.iter().find(|r| r.name == name).ok_or_else(|| {
            let error = Error::usage(format!("there is no recipe `{name}`"));
            match did_you_mean(name, self.recipes.iter().map(|r| r.name.as_str())) {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None => error.hint("`guestpatch recipes list` shows them all"),
            }
        })
    }

    /// The recipes for a series: `names` and what they require, or the default ones when no name is given.
    ///
    /// # Errors
    /// An unknown name, or one that is for the other target.
    pub fn choose(&self, names: &[String], target: Target) -> Result<Vec<&Recipe>> {
        let mut wanted: BTreeSet<&str> = BTreeSet::new();
        let mut open: Vec<&Recipe> = Vec::new();
        if names.is_empty() {
            open.extend(
                self.recipes
                    .iter()
                    .filter(|r| r.default && r.target == target),
            );
        }
        for name in names {
            let recipe = self.get(name)?;
            if recipe.target != target {
                let other = if recipe.target == Target::Host {
                    "host"
                } else {
                    "guest"
                };
                return Err(
                    Error::usage(format!("the recipe `{name}` is for {other} kernels"))
                        .hint(format!("add `--target {other}`")),
                );
            }
            open.push(recipe);
        }
        while let Some(recipe) = open.pop() {
            if wanted.insert(&recipe.name) {
                for name in &recipe.requires {
                    open.push(self.get(name)?);
                }
            }
        }
        Ok(self
            .recipes
            .iter()
            .filter(|r| wanted.contains(r.name.as_str()))
            .collect())
    }

    fn check_requires(&self) -> Result<()> {
        for recipe in &self.recipes {
            let (line, column) = recipe.requires_at;
            for name in &recipe.requires {
                let required = self
                    .get(name)
                    .map_err(|e| e.at(&recipe.source.file, line, column))?;
                if (required.order, &required.name) >= (recipe.order, &recipe.name) {
                    return Err(Error::usage(format!(
                        "`{}` (order {}) requires `{name}`, which comes later (order {})",
                        recipe.name, recipe.order, required.order
                    ))
                    .at(&recipe.source.file, line, column)
                    .hint(format!("give it an order above {}", required.order)));
                }
            }
        }
        Ok(())
    }
}

/// Reads one recipe file.
///
/// # Errors
/// When it cannot be read or is not right.
pub fn load_file(file: &Path, overrides: &[Override]) -> Result<Recipe> {
    let bytes = std::fs::read(file).map_err(|e| Error::io(file, "read", &e))?;
    let text = String::from_utf8(bytes)
        .map_err(|_| Error::usage("a recipe must be UTF-8").at(file, 0, 0))?;
    let folder = file.parent().unwrap_or(Path::new("")).to_path_buf();
    load(
        &text,
        Source {
            file: file.to_path_buf(),
            assets: Assets::Folder(folder),
        },
        overrides,
    )
}

fn load_folder(folder: &Path, overrides: &[Override]) -> Result<Vec<Recipe>> {
    let entries = std::fs::read_dir(folder).map_err(|e| Error::io(folder, "read", &e))?;
    let mut files = entries
        .map(|entry| {
            entry
                .map(|e| e.path())
                .map_err(|e| Error::io(folder, "read", &e))
        })
        .collect::<Result<Vec<_>>>()?;
    files.retain(|f| is_recipe(f));
    files.sort();
    if files.is_empty() {
        return Err(
            Error::usage(format!("{} holds no recipe", folder.display()))
                .hint("recipes are files named NAME.md, directly in the folder"),
        );
    }
    files.iter().map(|f| load_file(f, overrides)).collect()
}

fn is_recipe(file: &Path) -> bool {
    file.extension().is_some_and(|e| e == "md") && file.file_stem().is_some_and(|s| s != "README")
}
