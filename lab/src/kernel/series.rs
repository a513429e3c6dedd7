//! The series on top of a kernel: what guestpatch writes for the tree, or a folder that somebody else wrote.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use guestpatch::kernel::Base;
use guestpatch::recipe::load::load;
use guestpatch::recipe::run::{self, Status};
use guestpatch::recipe::{self, Assets, Catalogue, Override, Recipe, Target, fragment};
use guestpatch::series::{self as letters, Cover};

use include_dir::{Dir, include_dir};

use super::config::Config;
use super::tree::{Source, told};

static RECIPES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/recipes");

/// Patches, and what a configuration must have for them.
#[derive(Debug, Default)]
pub struct Series {
    /// File names and contents, in order.
    pub patches: Vec<(String, Vec<u8>)>,
    /// The series' own configuration fragment.
    pub config: Config,
    /// What became of each recipe: its name, and why it is not in the series.
    pub recipes: Vec<(String, Option<String>)>,
}

/// Which recipes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Choice {
    /// None but those named with -r.
    None,
    /// What `guestpatch series` takes without -r.
    Default,
    /// Every guest recipe but `io-generic`, which is not meant for whole trees.
    All,
}

/// What `guestpatch` is to do.
#[derive(Debug)]
pub struct Request {
    /// The recipes to begin with.
    pub choice: Choice,
    /// Recipes on top of those; they must apply.
    pub names: Vec<String>,
    /// The user's own recipes.
    pub folder: Option<PathBuf>,
    /// Changed keys of recipes.
    pub set: Vec<Override>,
}

impl Series {
    /// Whether the kernel is as it was.
    pub fn is_empty(&self) -> bool {
        self.patches.is_empty()
    }

    /// Whether the recipe `name` is in it.
    pub fn has(&self, name: &str) -> bool {
        self.recipes
            .iter()
            .any(|(recipe, missing)| recipe == name && missing.is_none())
    }

    /// Runs guestpatch on the tree.
    ///
    /// # Errors
    /// Those of guestpatch; and when a recipe asked for by name does not apply.
    pub fn make(source: &Source, request: &Request) -> Result<Self> {
        let catalogue = Catalogue::load(request.folder.as_deref(), &request.set).map_err(told)?;
        let mut names: Vec<String> = match request.choice {
            Choice::None => Vec::new(),
            Choice::Default => names(&catalogue, |r| r.default),
            Choice::All => names(&catalogue, |r| r.name != "io-generic"),
        };
        names.extend(request.names.iter().cloned());
        if names.is_empty() {
            return Ok(Self::default());
        }
        let recipes = catalogue.choose(&names, Target::Guest).map_err(told)?;
        let series = Self::run(source, &recipes)?;
        for (name, missing) in &series.recipes {
            match missing {
                Some(because) if request.names.contains(name) => {
                    bail!("the recipe {name} does not apply: {because}")
                }
                _ => {}
            }
        }
        Ok(series)
    }

    /// Runs guestpatch on the tree of a host's kernel.
    ///
    /// # Errors
    /// Those of guestpatch; and when a recipe does not apply.
    pub fn for_host(source: &Source) -> Result<Self> {
        let catalogue = Catalogue::load(None, &[]).map_err(told)?;
        let is_host = |recipe: &&Recipe| recipe.target == Target::Host && recipe.default;
        let recipes = catalogue.recipes().iter().filter(is_host);
        let names: Vec<String> = recipes.map(|recipe| recipe.name.clone()).collect();
        let recipes = catalogue.choose(&names, Target::Host).map_err(told)?;
        Self::run(source, &recipes)?.whole("host recipe")
    }

    /// This series, when every recipe has applied.
    fn whole(self, what: &str) -> Result<Self> {
        match self.recipes.iter().find(|(_, missing)| missing.is_some()) {
            Some((name, because)) => bail!(
                "the {what} {name} does not apply: {}",
                because.as_deref().unwrap_or_default()
            ),
            None => Ok(self),
        }
    }

    /// Runs recipes of the lab's own, without which its machines cannot use something.
    ///
    /// # Errors
    /// When there is no such recipe, or it does not apply.
    pub fn of_lab(source: &Source, names: &[&str]) -> Result<Self> {
        if names.is_empty() {
            return Ok(Self::default());
        }
        let recipes: Vec<Recipe> = names.iter().map(|n| own(n)).collect::<Result<_>>()?;
        Self::run(source, &recipes.iter().collect::<Vec<_>>())?.whole("lab's recipe")
    }

    /// This series on top of another for the same tree.
    #[must_use]
    pub fn on(mut self, below: &Self) -> Self {
        let renamed = below
            .patches
            .iter()
            .map(|(n, text)| (format!("lab-{n}"), text.clone()));
        self.patches.splice(0..0, renamed);
        self.config = below.config.with(&self.config);
        self
    }

    fn run(source: &Source, recipes: &[&Recipe]) -> Result<Self> {
        let tree = source.tree();
        let plan = run::run(tree, recipes, None, &|_| {}).map_err(told)?;
        if let Some(error) = plan.failures.first() {
            return Err(told(error.clone()));
        }
        let config = Config::parse(&plan.fragment().unwrap_or_default())?;
        let done = plan.recipes.iter().map(|done| {
            let missing = match &done.status {
                Status::Applied | Status::AlreadyApplied => None,
                Status::NotApplicable { because } | Status::Failed { because } => {
                    Some(because.clone())
                }
            };
            (done.recipe.name.clone(), missing)
        });
        let done = done.collect();
        let base = Base::detect(tree, None).map_err(told)?;
        let series =
            letters::Series::new(base, Cover::default(), plan.patches, None).map_err(told)?;
        let patches = series.render();
        Ok(Self {
            patches: patches.into_iter().filter(|(n, _)| is_patch(n)).collect(),
            config,
            recipes: done,
        })
    }

    /// Takes a folder that `guestpatch series` wrote.
    ///
    /// # Errors
    /// When it cannot be read, or has no patch.
    pub fn read(folder: &Path) -> Result<Self> {
        let mut patches = Vec::new();
        for entry in
            fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?
        {
            let path = entry.context("cannot read a folder")?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if is_patch(&name) {
                let text =
                    fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
                patches.push((name.into_owned(), text));
            }
        }
        if patches.is_empty() {
            bail!("there is no patch in {}", folder.display());
        }
        patches.sort();
        let file = folder.join(fragment::FILE);
        let config = match fs::read_to_string(&file) {
            Ok(text) => Config::parse(&text)
                .with_context(|| format!("{} is not a configuration", file.display()))?,
            Err(_) => Config::default(),
        };
        let recipes = named(&patches)
            .into_iter()
            .map(|name| (name, None))
            .collect();
        Ok(Self {
            patches,
            config,
            recipes,
        })
    }
}

/// A recipe of the lab.
fn own(name: &str) -> Result<Recipe> {
    let file = PathBuf::from(format!("{name}.md"));
    let text = RECIPES
        .get_file(&file)
        .and_then(|file| file.contents_utf8())
        .with_context(|| format!("the lab has no recipe {name}"))?;
    let source = recipe::Source {
        file,
        assets: Assets::Folder(PathBuf::new()),
    };
    load(text, source, &[]).map_err(told)
}

fn names(catalogue: &Catalogue, wanted: impl Fn(&Recipe) -> bool) -> Vec<String> {
    let guest = |recipe: &&Recipe| recipe.target == Target::Guest && wanted(recipe);
    let recipes = catalogue.recipes().iter().filter(guest);
    recipes.map(|recipe| recipe.name.clone()).collect()
}

fn is_patch(name: &str) -> bool {
    name.ends_with(".patch") && !name.starts_with("0000-")
}

/// The recipes that patches say they are made by.
fn named(patches: &[(String, Vec<u8>)]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for (_, text) in patches {
        let text = String::from_utf8_lossy(text);
        let generator = |line: &&str| line.starts_with("Generator: guestpatch ");
        for line in text.lines().filter(generator) {
            let Some((_, rest)) = line.split_once("(recipe ") else {
                continue;
            };
            if let Some(name) = rest.split_whitespace().next() {
                names.push(name.to_owned());
            }
        }
    }
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use guestpatch::recipe::samples;

    use super::*;

    #[test]
    fn the_recipes_of_the_lab_do_what_their_samples_say() {
        for file in RECIPES.files() {
            let name = file.path().file_stem().unwrap().to_str().unwrap();
            let recipe = own(name).unwrap();
            assert_eq!(recipe.name, name);
            assert!(!recipe.samples.is_empty());
            for sample in &recipe.samples {
                samples::run(&recipe, sample).unwrap();
            }
        }
    }

    #[test]
    fn the_recipes_of_patches_are_found() {
        let mail = |body: &str| ("0001-x.patch".to_owned(), body.as_bytes().to_vec());
        let patches = [
            mail("Subject: x\n\nGenerator: guestpatch 0.1.0 (recipe b v1)\n---\n"),
            mail("Subject: y\n\nGenerator: guestpatch 0.1.0 (recipe a-b v12)\n---\n"),
            mail("Subject: z\n\nby hand (recipe c)\n---\n"),
        ];
        assert_eq!(named(&patches), ["a-b", "b"]);
    }

    #[test]
    fn a_folder_of_patches_is_read_in_order() {
        let home = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("0002-b.patch", "b"),
            ("0001-a.patch", "a"),
            ("0000-cover-letter.patch", "c"),
            ("series", "s"),
            ("guest.config", "CONFIG_HZ_100=y\n"),
        ] {
            fs::write(home.path().join(name), text).unwrap();
        }
        let series = Series::read(home.path()).unwrap();
        let names: Vec<&str> = series.patches.iter().map(|(n, _)| n.as_str()).collect();
        assert_eq!(names, ["0001-a.patch", "0002-b.patch"]);
        assert_eq!(series.config.value("CONFIG_HZ_100"), "y");
        let empty = tempfile::tempdir().unwrap();
        assert!(Series::read(empty.path()).is_err());
    }
}
