//! `guestpatch napi-report`: what a strip of NAPI would touch, driver by driver.

use std::path::PathBuf;

use guestpatch::Result;
use guestpatch::kernel::Tree;
use guestpatch::kernel::files::Globs;
use guestpatch::napi::survey;
use guestpatch::recipe::Catalogue;
use guestpatch::report::{self, napi};

use super::{Ui, require_files};

/// Lists what taking NAPI out of each network driver would touch, and which drivers must keep it; the easiest first.
///
/// The recipes `napi-*` take it out of some drivers. This is for all others: nothing is written, and what is not a place in the
/// list (locks, bounds, what an interrupt may do) is left to you.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Columns:
  field   contexts (`struct napi_struct`) in structures
  add     where a poll function is made known     poll  poll functions
  on/off  enabling, disabling, deleting           sched where a poll is asked for
  done    where a poll ends                       recv  packets handed over as softirqs do
  buf     buffers got or freed as polls do

What the last column means:
  possible        nothing stands in the way
  mind: …         several contexts (queues have one each), locks (with _bh: a hard interrupt that takes
                  them, too, can deadlock), statistics (u64_stats: readers must keep interrupts away)
  refused: …      XDP, a page pool or busy polling work with NAPI only
  recipe NAME     that recipe does it

Examples:
  guestpatch napi-report ~/linux --limit 20
  guestpatch napi-report ~/linux --verbose --files 'drivers/net/ethernet/realtek/*'
  guestpatch napi-report ~/linux --json | jq '.drivers[] | select(.refused == []) | .name'")]
pub struct NapiReport {
    /// The top folder of a kernel tree.
    #[arg(value_name = "TREE")]
    tree: PathBuf,
    /// Only files that match, by path from the tree's top; may be given several times.
    #[arg(long, value_name = "GLOB")]
    files: Vec<String>,
    /// Every place, and the reasons, below each driver.
    #[arg(short, long, conflicts_with = "json")]
    verbose: bool,
    /// JSON on standard output (format: docs/report.md).
    #[arg(long)]
    json: bool,
    /// At most this many drivers; the totals count all of them.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

/// How the names of recipes that strip a driver begin.
const STRIPS: &str = "napi-";

impl NapiReport {
    pub fn run(self, ui: &Ui) -> Result<u8> {
        let only = match self.files.is_empty() {
            true => None,
            false => Some(Globs::new(&self.files)?),
        };
        let tree = Tree::open(&self.tree)?;
        let catalogue = Catalogue::load(None, &[])?;
        let recipes: Vec<(&str, &Globs)> = catalogue
            .recipes()
            .iter()
            .filter(|r| r.name.starts_with(STRIPS))
            .filter(|r| {
                r.kernels
                    .as_ref()
                    .is_none_or(|k| k.contains(tree.version()))
            })
            .map(|r| (r.name.as_str(), &r.files))
            .collect();
        let bar = ui.progress();
        let found = survey(&tree, only.as_ref(), &recipes, &|done, all| {
            Ui::advance(&bar, "", done, all);
        });
        bar.finish_and_clear();
        let found = found?;
        require_files(found.scanned)?;
        let limit = self.limit.unwrap_or(usize::MAX);
        if self.json {
            let report = napi::NapiReport::new(&found, tree.version(), limit);
            ui.data(&report::to_json(&report))?;
        } else {
            ui.data(&napi::table(&found, limit, self.verbose))?;
        }
        Ok(0)
    }
}
