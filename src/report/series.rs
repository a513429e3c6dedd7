//! `report.json` of a series. The format is described in docs/report.md; host builders and measurements read it.

use serde::{Deserialize, Serialize};
use xkvm_host::abi::{self, Features};

use super::{TOOL, Tool, Totals};
use crate::kernel::{Base, Origin, Version};
use crate::recipe::Target;
use crate::recipe::run::{Plan, Status};
use crate::recipe::scan::Found;
use crate::series::{Patch, mail};

/// The recipe that adds the guest's side of the wire format.
const SUPPORT: &str = "xkvm-io";

/// The document.
#[derive(Debug, Serialize)]
pub struct SeriesReport<'a> {
    /// Counts up when the meaning of a key changes.
    pub format: u32,
    /// What wrote it.
    pub tool: Tool,
    /// Guest or host kernel.
    pub target: Target,
    /// The kernel's version.
    pub kernel: String,
    /// What the series is made against.
    pub base: BaseReport<'a>,
    /// The wire format that the patched guest speaks; absent when the series does not add or find it.
    pub abi: Option<Abi>,
    /// Every recipe that was asked for, in order.
    pub recipes: Vec<RecipeReport<'a>>,
    /// The patches, in order.
    pub patches: Vec<PatchReport<'a>>,
    /// Sums over all sites.
    pub totals: Totals,
    /// Every site, rewritten or left alone, in the order of the recipes.
    pub sites: Vec<Found>,
}

/// What the series is made against.
#[derive(Debug, Serialize)]
pub struct BaseReport<'a> {
    name: &'a str,
    /// The commit of HEAD; absent for an unpacked archive.
    commit: Option<&'a str>,
    /// Date of the messages, seconds since 1970 (UTC).
    date: i64,
}

/// The wire format, with the defaults a host offers.
#[derive(Debug, Serialize, Deserialize)]
pub struct Abi {
    /// Counts up when a guest of one version does not understand a host of another.
    pub version: u32,
    /// How a guest may hand a batch over.
    pub transports: Vec<String>,
    /// Whether an entry may be a string.
    pub strings: bool,
    /// Most entries in a batch.
    pub max_entries: usize,
    doorbell_port: u16,
    hypercall: u32,
    tunnel_hypercall: u32,
}

/// What a host builder reads of a report.
#[derive(Debug, Deserialize)]
pub struct HostView {
    /// What wrote it.
    pub tool: ToolView,
    /// `guest` or `host`.
    pub target: String,
    /// As in [`SeriesReport`].
    pub abi: Option<Abi>,
}

/// The writer of a report.
#[derive(Debug, Deserialize)]
pub struct ToolView {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

impl Abi {
    /// What the support patch speaks, and the host of this program.
    pub fn current() -> Self {
        let transport = |(name, feature): &(&str, Features)| {
            (*feature != Features::STRINGS).then(|| name.to_lowercase())
        };
        Self {
            version: abi::VERSION,
            transports: abi::FEATURES.iter().filter_map(transport).collect(),
            strings: abi::FEATURES.iter().any(|(_, f)| *f == Features::STRINGS),
            max_entries: abi::MAX_ENTRIES,
            doorbell_port: abi::DOORBELL_PORT,
            hypercall: abi::HYPERCALL,
            tunnel_hypercall: abi::TUNNEL_HYPERCALL,
        }
    }
}

/// What became of one recipe.
#[derive(Debug, Serialize)]
pub struct RecipeReport<'a> {
    name: &'a str,
    version: u32,
    /// `built-in`, or the file it was read from.
    source: String,
    #[serde(flatten)]
    status: &'a Status,
    /// Places changed.
    changed: usize,
    /// Places that were done already.
    already: usize,
}

/// One patch.
#[derive(Debug, Serialize)]
pub struct PatchReport<'a> {
    number: usize,
    file: String,
    subject: &'a str,
    recipe: &'a str,
    recipe_version: u32,
    changes: Vec<&'a str>,
    /// Places rewritten.
    rewritten: usize,
    /// I/O operations in the rewritten places.
    ops: usize,
    exits_saved: usize,
}

impl<'a> SeriesReport<'a> {
    /// The report of `plan`, whose patches have become a series.
    pub fn new(
        plan: &'a Plan<'_>,
        patches: &'a [Patch],
        base: &'a Base,
        version: &Version,
        target: Target,
    ) -> Self {
        let has_support = plan.recipes.iter().any(|done| {
            done.recipe.name == SUPPORT
                && matches!(done.status, Status::Applied | Status::AlreadyApplied)
        });
        let sites: Vec<Found> = plan
            .recipes
            .iter()
            .flat_map(|done| {
                done.sites.iter().map(|site| Found {
                    recipe: done.recipe.name.clone(),
                    site: site.clone(),
                })
            })
            .collect();
        Self {
            format: 1,
            tool: TOOL,
            target,
            kernel: version.to_string(),
            base: BaseReport {
                name: base.name(),
                commit: match base.origin() {
                    Origin::Commit { id, .. } => Some(id),
                    Origin::Plain | Origin::Unreadable(_) => None,
                },
                date: base.date(),
            },
            abi: has_support.then(Abi::current),
            recipes: plan
                .recipes
                .iter()
                .map(|done| RecipeReport {
                    name: &done.recipe.name,
                    version: done.recipe.version,
                    source: match done.recipe.source.is_built_in() {
                        true => "built-in".to_owned(),
                        false => done.recipe.source.file.display().to_string(),
                    },
                    status: &done.status,
                    changed: done.changed,
                    already: done.already,
                })
                .collect(),
            patches: patches
                .iter()
                .enumerate()
                .map(|(at, patch)| PatchReport::new(at + 1, patch))
                .collect(),
            totals: Totals::of(sites.iter().map(|f| &f.site)),
            sites,
        }
    }
}

impl<'a> PatchReport<'a> {
    fn new(number: usize, patch: &'a Patch) -> Self {
        let rewritten = || patch.sites.iter().filter(|s| s.is_rewritten());
        Self {
            number,
            file: mail::file_name(number, &patch.subject),
            subject: &patch.subject,
            recipe: &patch.recipe,
            recipe_version: patch.recipe_version,
            changes: patch.changes.iter().map(|c| c.path.as_str()).collect(),
            rewritten: rewritten().count(),
            ops: rewritten().map(|s| s.ops).sum(),
            exits_saved: rewritten().map(|s| s.exits_saved).sum(),
        }
    }
}
