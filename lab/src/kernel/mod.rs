//! From a kernel tree to a kernel that boots: copied, patched by a series, configured, built. Everything is kept by the hash of
//! what went into it.

pub mod build;
pub mod config;
pub mod modules;
pub mod patches;
pub mod series;
pub mod tree;

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::Lab;
use config::Config;
use series::Series;
use tree::Source;

/// What a kernel is built for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Arch {
    /// 64 bits.
    #[default]
    #[value(name = "x86_64")]
    X86_64,
    /// 32 bits.
    I386,
}

impl Arch {
    /// As the kernel's make calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::I386 => "i386",
        }
    }

    /// That of kernels with this configuration.
    fn of(config: &Config) -> Self {
        match config.value("CONFIG_64BIT") {
            "n" => Self::I386,
            _ => Self::X86_64,
        }
    }
}

/// What to build.
#[derive(Debug)]
pub struct Spec<'a> {
    /// A word for it in the names of logs and steps.
    pub name: &'a str,
    /// The kernel tree.
    pub source: &'a Source,
    /// The series on top of it.
    pub series: &'a Series,
    /// What the configuration must have, besides what the series asks for.
    pub config: &'a Config,
    /// A name for configurations that are much alike: their kernels are built in one folder, one after the other.
    pub profile: &'a str,
}

/// A kernel in the cache.
#[derive(Debug, Clone)]
pub struct Kernel {
    folder: PathBuf,
}

impl Kernel {
    /// Takes the kernel from the cache, or builds it.
    ///
    /// # Errors
    /// When a step fails; the error tells which, and shows the end of its log.
    pub fn get(lab: &Lab, spec: &Spec<'_>) -> Result<Self> {
        build::kernel(lab, spec).map(|folder| Self { folder })
    }

    /// The bootable image.
    pub fn image(&self) -> PathBuf {
        self.folder.join("bzImage")
    }

    /// The addresses of its symbols.
    pub fn system_map(&self) -> PathBuf {
        self.folder.join("System.map")
    }

    /// The kernel as ELF.
    pub fn vmlinux(&self) -> PathBuf {
        self.folder.join("vmlinux")
    }

    /// One of the objects that it was linked of, such as `libata-sff.o`: of [`build::OBJECTS`] those that it has.
    pub fn object(&self, name: &str) -> PathBuf {
        self.folder.join("objects").join(name)
    }

    /// Its modules: names as `lsmod` shows them, and files.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn modules(&self) -> Result<Vec<(String, PathBuf)>> {
        let folder = self.folder.join("modules");
        let mut modules = Vec::new();
        for entry in folder
            .read_dir()
            .with_context(|| format!("cannot read {}", folder.display()))?
        {
            let path = entry.context("cannot read a folder of the cache")?.path();
            if let Some(name) = path.file_stem().and_then(|stem| stem.to_str()) {
                modules.push((name.to_owned(), path.clone()));
            }
        }
        modules.sort();
        Ok(modules)
    }
}
