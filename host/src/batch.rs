//! Executes one batch: read it once, validate all of it, hand it to the bus, write back what was read.

use vm_memory::{Bytes, GuestAddress, GuestMemory, Permissions, VolatileSlice};

use crate::abi::{Call, Direction, ENTRY_SIZE, Entry, Fault, MAX_ENTRIES, Op, Ports, Refused};
use crate::bus::PortBus;

/// Executes batches. Keep one per vCPU: it holds the host's copy, so that a batch allocates nothing.
#[derive(Debug)]
pub struct Executor {
    ops: Vec<Op>,
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
            ops: Vec::with_capacity(MAX_ENTRIES),
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
    pub fn run<M, B>(
        &mut self,
        call: Call,
        ports: &Ports<'_>,
        memory: &M,
        bus: &mut B,
    ) -> Result<usize, Refused>
    where
        M: GuestMemory,
        B: PortBus + ?Sized,
    {
        let not_ram = |index| Refused {
            index,
            fault: Fault::NotRam,
        };
        let array = contiguous(memory, call.gpa(), call.len() * ENTRY_SIZE).ok_or(not_ram(0))?;

        array.copy_to(&mut self.copy[..]);

        self.ops.clear();
        let entries = self.copy.as_chunks::<ENTRY_SIZE>().0;
        for (index, bytes) in entries.iter().take(call.len()).enumerate() {
            let op = call.check_entry(index, &Entry::decode(bytes), ports)?;
            if op.kind.is_string() {
                let access = match op.kind.direction() {
                    Direction::Out => Permissions::Read,
                    Direction::In => Permissions::Write,
                };
                if !memory.check_range(GuestAddress(op.data), op.bytes() as usize, access) {
                    return Err(not_ram(index));
                }
            }
            self.ops.push(op);
        }

        bus.execute(&mut self.ops, memory);

        for (index, op) in self.ops.iter().enumerate() {
            if op.kind.direction() == Direction::In && !op.kind.is_string() {
                let val = op.val & op.kind.width().mask();
                // In range since `array` was made for the whole batch.
                let _ = array.write_obj(val, index * ENTRY_SIZE + VAL_OFFSET);
            }
        }
        Ok(call.len())
    }
}

/// Where in an entry the value lies.
const VAL_OFFSET: usize = core::mem::offset_of!(Entry, val);

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
