//! Executes one batch: read it once, validate all of it, hand it to the bus, write back what was read.

use vm_memory::{GuestAddress, GuestMemory, Le32, Permissions, VolatileMemory, VolatileSlice};

use crate::abi::{
    Call, Direction, ENTRY_SIZE, Entry, Fault, Kind, MAX_ENTRIES, Op, PortRules, Refused,
};
use crate::bus::PortBus;

/// Executes batches. Keep one per vCPU: it holds the host's copy, so that a batch allocates nothing.
#[derive(Debug)]
pub struct Executor {
    ops: Box<[Op; MAX_ENTRIES]>,
    /// The host's copy of the array.
    copy: Box<[u8; MAX_ENTRIES * ENTRY_SIZE]>,
}

impl Default for Executor {
    fn default() -> Self {
        Self::new()
    }
}

impl Executor {
    /// An executor with room for the longest batch.
    pub fn new() -> Self {
        Self {
            ops: Box::new([NOTHING; MAX_ENTRIES]),
            copy: Box::new([0; MAX_ENTRIES * ENTRY_SIZE]),
        }
    }

    /// Executes the batch and returns the number of entries done: all of them.
    ///
    /// Every byte of the array is read exactly once, into memory the guest cannot reach, before anything is judged; whatever
    /// another vCPU does to it meanwhile changes nothing. The bus gets the whole batch in one call.
    ///
    /// # Errors
    /// The first entry that breaks a rule. Then nothing has been executed and guest memory is untouched.
    pub fn run<M, B, P>(
        &mut self,
        call: Call,
        ports: &P,
        memory: &M,
        bus: &mut B,
    ) -> Result<usize, Refused>
    where
        M: GuestMemory,
        B: PortBus + ?Sized,
        P: PortRules,
    {
        let not_ram = |index| Refused {
            index,
            fault: Fault::NotRam,
        };
        let array = contiguous(memory, call.gpa(), call.len() * ENTRY_SIZE).ok_or(not_ram(0))?;

        array.copy_to(&mut self.copy[..]);

        let entries = self.copy.as_chunks::<ENTRY_SIZE>().0;
        let slots = entries.iter().zip(self.ops.iter_mut()).enumerate();
        for (index, (bytes, op)) in slots.take(call.len()) {
            *op = call.check_entry(index, &Entry::decode(bytes), ports)?;
            if op.kind.is_string() && !in_ram(memory, op) {
                return Err(not_ram(index));
            }
        }
        // A call is never longer than the longest batch.
        let ops = self.ops.get_mut(..call.len()).unwrap_or_default();

        bus.execute(ops, memory);

        // Cannot fail: `array` was made for the whole batch, and is aligned.
        if let Ok(words) = array.get_array_ref::<Le32>(0, call.len() * WORDS) {
            for (index, op) in ops.iter().enumerate() {
                if op.kind.direction() == Direction::In && !op.kind.is_string() {
                    words.store(
                        index * WORDS + VAL_WORD,
                        (op.val & op.kind.width().mask()).into(),
                    );
                }
            }
        }
        Ok(call.len())
    }
}

/// Fills the places of operations that no batch has used yet.
const NOTHING: Op = Op {
    kind: Kind::Inb,
    port: 0,
    val: 0,
    data: 0,
};

/// Whether the buffer of a string is there, and may be used so.
#[inline(never)]
fn in_ram<M: GuestMemory>(memory: &M, op: &Op) -> bool {
    let access = match op.kind.direction() {
        Direction::Out => Permissions::Read,
        Direction::In => Permissions::Write,
    };
    memory.check_range(GuestAddress(op.data), op.bytes() as usize, access)
}

/// An entry as 32-bit words, and which of them is the value.
const WORDS: usize = ENTRY_SIZE / size_of::<Le32>();
const VAL_WORD: usize = core::mem::offset_of!(Entry, val) / size_of::<Le32>();

/// `len` bytes at `gpa`, when they are guest memory in one piece.
pub(crate) fn contiguous<M: GuestMemory>(
    memory: &M,
    gpa: u64,
    len: usize,
) -> Option<VolatileSlice<'_, vm_memory::bitmap::BS<'_, M::Bitmap>>> {
    let mut slices = memory
        .get_slices(GuestAddress(gpa), len, Permissions::ReadWrite)
        .ok()?;
    slices.next()?.ok().filter(|slice| slice.len() == len)
}
