//! What a module asks of the kernel.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use object::{Object, ObjectSymbol};

/// The names that the module `file` uses and does not have itself, sorted.
///
/// # Errors
/// When it cannot be read or is no ELF file.
pub fn imports(file: &Path) -> Result<Vec<String>> {
    let data = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let elf = object::File::parse(data.as_slice())
        .with_context(|| format!("{} is no module", file.display()))?;
    let undefined = elf.symbols().filter(ObjectSymbol::is_undefined);
    let mut names: Vec<String> = undefined
        .filter_map(|symbol| symbol.name().ok())
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect();
    names.sort();
    names.dedup();
    Ok(names)
}
