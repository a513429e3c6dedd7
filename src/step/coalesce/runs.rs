//! Runs: the longest sequences of items that may share one batch, and what cut them.

use std::ops::RangeInclusive;

use super::effects::Place;
use super::items::{Destination, Io, Item};
use super::rule::{Hurdle, Rule};
use super::source::FunctionSource;

/// A part of a statement list that becomes one batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Indices of its items in the list; starts and ends with an operation (or the declarations a read is parted from).
    pub items: RangeInclusive<usize>,
    /// Most operations it can make.
    pub ops: usize,
    /// Whether some are conditional: then a running index is needed.
    pub conditional: bool,
}

/// What a statement list gives.
#[derive(Debug, Default)]
pub struct Runs {
    /// The batches, in order; every operation of the list that is in none stands alone.
    pub runs: Vec<Run>,
    /// Where two neighbouring operations could not be joined, by the index of the item that came after.
    pub cuts: Vec<(usize, Hurdle)>,
}

/// Finds the runs of `list`.
pub fn find(source: &FunctionSource<'_>, list: &[Item<'_>]) -> Runs {
    let mut found = Runs::default();
    let mut open = Open::new(source);
    let mut first = 0;
    for (i, item) in list.iter().enumerate() {
        let hurdle = match item.hurdle() {
            Some(hurdle) => Some((hurdle.clone(), false)),
            None => open.add(item, &[]).err().map(|h| (h, true)),
        };
        if let Some((hurdle, again)) = hurdle {
            close(source, list, first, i, &mut found);
            found.cuts.push((i, hurdle));
            open = Open::new(source);
            first = i + 1;
            // What did not fit behind the others may begin a run of its own.
            if again && open.add(item, &[]).is_ok() {
                first = i;
            } else {
                open = Open::new(source);
            }
        }
    }
    close(source, list, first, list.len(), &mut found);
    found
}

/// Judges the items `first..end`, all of which fit together, as one run.
fn close(
    source: &FunctionSource<'_>,
    list: &[Item<'_>],
    first: usize,
    end: usize,
    found: &mut Runs,
) {
    let is_io = |i: &usize| list[*i].bound() > 0;
    let (Some(from), Some(mut to)) = ((first..end).find(is_io), (first..end).rev().find(is_io))
    else {
        return;
    };
    let ops: usize = list[from..=to].iter().map(Item::bound).sum();
    // One branch by itself: its inner list is the run.
    let lone_branch = (from..=to).filter(is_io).count() == 1;
    if ops < 2 || lone_branch {
        return;
    }
    if let Some(last) = (from..=to).rev().find(|i| is_parted(&list[*i])) {
        // The recording comes after the whole group of declarations, so none may lie outside the run.
        let mut group = last;
        while group + 1 < list.len() && is_declaration(&list[group + 1]) {
            group += 1;
        }
        if group >= end && source.on(Rule::Declaration) {
            let Item::Io(io) = &list[last] else { return };
            let reason = "the value of a declaration is needed by the next declaration";
            found.cuts.push((
                last,
                Hurdle::new(Rule::Declaration, reason, source.at(io.statement)),
            ));
            return;
        }
        to = to.max(group.min(end - 1));
    }
    let conditional = list[from..=to].iter().any(|i| matches!(i, Item::If { .. }));
    found.runs.push(Run {
        items: from..=to,
        ops,
        conditional,
    });
}

/// Whether `item` is a declaration whose initial value is a read.
pub fn is_parted(item: &Item<'_>) -> bool {
    matches!(item, Item::Io(io) if matches!(io.destination, Destination::Declare { .. }))
}

/// Whether `item` is a declaration.
pub fn is_declaration(item: &Item<'_>) -> bool {
    is_parted(item) || matches!(item, Item::Plain { node, .. } if node.kind() == "declaration")
}

/// Whether `items` make a read.
fn has_read(items: &[Item<'_>]) -> bool {
    items.iter().any(|item| match item {
        Item::Io(io) => io.kind.is_read(),
        Item::If {
            then, otherwise, ..
        } => has_read(then) || has_read(otherwise),
        _ => false,
    })
}

/// A run being grown.
struct Open<'a> {
    source: &'a FunctionSource<'a>,
    /// What pending reads will write at the flush.
    pending: Vec<Place>,
    /// What will be read again at the flush, and so must not change before.
    pinned: Vec<Place>,
    ops: usize,
    /// Whether anything but declarations follows the first operation.
    past_declarations: bool,
    has_branch: bool,
    has_read: bool,
    has_write: bool,
}

impl<'a> Open<'a> {
    fn new(source: &'a FunctionSource<'a>) -> Self {
        Self {
            source,
            pending: Vec::new(),
            // The guard is asked once, before all of the run.
            pinned: source.guard_places(),
            past_declarations: false,
            ops: 0,
            has_branch: false,
            has_read: false,
            has_write: false,
        }
    }

    /// Adds `item`, which runs under the conditions that read `conditions`.
    fn add(&mut self, item: &Item<'_>, conditions: &[Place]) -> Result<(), Hurdle> {
        self.join(item, conditions)?;
        self.past_declarations |= self.ops > 0 && !is_declaration(item);
        Ok(())
    }

    fn join(&mut self, item: &Item<'_>, conditions: &[Place]) -> Result<(), Hurdle> {
        match item {
            Item::Hurdle(hurdle) | Item::Unrecorded(hurdle) => Err(hurdle.clone()),
            Item::Plain { node, effects } => {
                self.judge(&effects.reads, &effects.writes, self.source.at(*node))
            }
            Item::Io(io) => self.io(io, conditions),
            Item::If {
                node,
                condition,
                then,
                otherwise,
            } => {
                let at = self.source.at(*node);
                self.judge(&condition.reads, &condition.writes, at)?;
                self.has_branch = true;
                let mut inner = conditions.to_vec();
                inner.extend(condition.reads.iter().cloned());
                if !condition.writes.is_empty() {
                    inner.push(Place::Memory); // evaluating it again would not be the same
                }
                // Handing out values asks the condition again, after all the arms do.
                if has_read(then) || has_read(otherwise) {
                    self.pinned.extend(inner.iter().cloned());
                }
                let before = self.ops;
                for item in then {
                    self.add(item, &inner)?;
                }
                let after_then = std::mem::replace(&mut self.ops, before);
                for item in otherwise {
                    self.add(item, &inner)?;
                }
                self.ops = self.ops.max(after_then);
                let declares = then.iter().chain(otherwise).any(is_declaration);
                if declares && self.has_read && self.source.on(Rule::Declaration) {
                    return Err(Hurdle::new(
                        Rule::Declaration,
                        "a declaration inside a branch with reads",
                        at,
                    ));
                }
                self.mixed(at)
            }
        }
    }

    fn io(&mut self, io: &Io<'_>, conditions: &[Place]) -> Result<(), Hurdle> {
        let at = self.source.at(io.statement);
        self.judge(&io.operands.reads, &io.operands.writes, at)?;
        if self.ops == self.source.step.max_ops && self.source.on(Rule::Limit) {
            let reason = format!(
                "the limit of {} operations in a batch",
                self.source.step.max_ops
            );
            return Err(Hurdle::new(Rule::Limit, reason, at));
        }
        self.ops += 1;
        self.has_write |= !io.kind.is_read();
        self.has_read |= io.kind.is_read();
        // Values are handed out by asking the conditions again: they must be sure to answer the same. A read without
        // a destination counts too, for its entry is passed over.
        let stable = || conditions.iter().all(|c| self.source.is_stable(c));
        if io.kind.is_read() && !stable() && self.source.on(Rule::UnstableCondition) {
            let reason = "a read under a condition that other code could change meanwhile";
            return Err(Hurdle::new(Rule::UnstableCondition, reason, at));
        }
        match &io.destination {
            Destination::None => {}
            Destination::Assign { place, reads, .. } => {
                self.pinned.extend(reads.iter().cloned());
                self.pending.push(place.clone());
            }
            Destination::Declare { place, reads, .. } => {
                // Its operands are recorded after the declarations that follow.
                let late = self.past_declarations && self.source.on(Rule::Declaration);
                if late {
                    let reason = "a declaration with a value, behind other operations";
                    return Err(Hurdle::new(Rule::Declaration, reason, at));
                }
                let scoped = !conditions.is_empty() || !io.operands.writes.is_empty();
                if scoped && self.source.on(Rule::Declaration) {
                    let reason = "a declaration that cannot be parted from its value";
                    return Err(Hurdle::new(Rule::Declaration, reason, at));
                }
                self.pinned
                    .extend(reads.iter().chain(&io.operands.reads).cloned());
                self.pending.push(place.clone());
            }
        }
        self.mixed(at)
    }

    fn mixed(&self, at: usize) -> Result<(), Hurdle> {
        if self.has_branch
            && self.has_read
            && self.has_write
            && self.source.on(Rule::MixedConditional)
        {
            return Err(Hurdle::new(
                Rule::MixedConditional,
                "reads and writes in one run with conditions",
                at,
            ));
        }
        Ok(())
    }

    /// Code that reads and writes these places runs before the flush instead of after the reads.
    fn judge(&self, reads: &[Place], writes: &[Place], at: usize) -> Result<(), Hurdle> {
        let hits = |a: &[Place], b: &[Place]| {
            a.iter()
                .any(|a| b.iter().any(|b| self.source.overlap(a, b)))
        };
        if hits(reads, &self.pending) && self.source.on(Rule::DependentRead) {
            return Err(Hurdle::new(
                Rule::DependentRead,
                "needs a value that is read just before",
                at,
            ));
        }
        if (hits(writes, &self.pending) || hits(writes, &self.pinned))
            && self.source.on(Rule::MovedDestination)
        {
            return Err(Hurdle::new(
                Rule::MovedDestination,
                "changes what a value read just before is stored by",
                at,
            ));
        }
        Ok(())
    }
}
