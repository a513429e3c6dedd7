//! Who called the function that trapped, read from the guest's stack.

use std::collections::HashMap;

use kvm_bindings::{kvm_regs, kvm_sregs};
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};

/// Words of the stack looked at: the trapping leaf keeps few.
const DEPTH: u64 = 16;
/// Answers remembered at most; a hostile guest must not fill our memory.
const MOST: usize = 1 << 16;

const CR0_PAGING: u64 = 1 << 31;
const CR4_PAE: u64 = 1 << 5;
const CR4_LA57: u64 = 1 << 12;
const EFER_LONG: u64 = 1 << 10;

/// Finds callers; remembers which words on the stack are return addresses.
#[derive(Debug, Default)]
pub(super) struct Callers {
    returns: HashMap<u64, bool>,
}

impl Callers {
    /// The first word on the stack that follows a call instruction. Frame pointers are not needed.
    pub fn find(
        &mut self,
        memory: &GuestMemoryMmap,
        regs: &kvm_regs,
        sregs: &kvm_sregs,
    ) -> Option<u64> {
        let space = Space { memory, sregs };
        let size = if sregs.cs.l != 0 { 8 } else { 4 };
        for n in 0..DEPTH {
            let mut word = [0; 8];
            let to = word.get_mut(..size as usize)?;
            space.read(regs.rsp.wrapping_add(n * size), to)?;
            let word = u64::from_le_bytes(word);
            // Data and code of a kernel are in the upper half; all else is cheap to sort out.
            if word >> (size * 8 - 1) == 0 {
                continue;
            }
            let known = self.returns.get(&word).copied();
            let is_return = known.unwrap_or_else(|| {
                let yes = space.follows_call(word);
                if self.returns.len() < MOST {
                    self.returns.insert(word, yes);
                }
                yes
            });
            if is_return {
                return Some(word);
            }
        }
        None
    }
}

/// The guest's address space.
struct Space<'a> {
    memory: &'a GuestMemoryMmap,
    sregs: &'a kvm_sregs,
}

impl Space<'_> {
    fn read(&self, at: u64, to: &mut [u8]) -> Option<()> {
        // A word in two pages is rare, and not worth two walks.
        if at % 4096 + to.len() as u64 > 4096 {
            return None;
        }
        let gpa = self.translate(at)?;
        self.memory.read_slice(to, GuestAddress(gpa)).ok()
    }

    /// Whether the bytes before `at` are a call: relative, or through a register or memory.
    fn follows_call(&self, at: u64) -> bool {
        let mut bytes = [0; 7];
        let Some(start) = at.checked_sub(7) else {
            return false;
        };
        if self.read(start, &mut bytes).is_none() {
            return false;
        }
        let indirect = |len: usize| {
            bytes
                .get(7 - len..)
                .is_some_and(|b| matches!(b, [0xff, modrm, ..] if modrm >> 3 & 7 == 2))
        };
        bytes[2] == 0xe8 || [2, 3, 6, 7].into_iter().any(indirect)
    }

    /// Walks the guest's page tables; bounded by their depth.
    fn translate(&self, at: u64) -> Option<u64> {
        let s = self.sregs;
        if s.cr0 & CR0_PAGING == 0 {
            return Some(at);
        }
        let (levels, entry_size, bits) = match (s.efer & EFER_LONG != 0, s.cr4 & CR4_PAE != 0) {
            (true, _) if s.cr4 & CR4_LA57 != 0 => (5, 8, 9),
            (true, _) => (4, 8, 9),
            (false, true) => (3, 8, 9),
            (false, false) => (2, 4, 10),
        };
        const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
        let mut table = s.cr3
            & match (levels, entry_size) {
                (3, _) => 0xffff_ffe0,
                (_, 4) => 0xffff_f000,
                _ => ADDRESS,
            };
        for level in (0..levels).rev() {
            let shift = 12 + bits * level;
            let index = at >> shift & ((1 << bits) - 1);
            let mut bytes = [0; 8];
            let to = bytes.get_mut(..entry_size)?;
            let place = GuestAddress(table + index * entry_size as u64);
            self.memory.read_slice(to, place).ok()?;
            let entry = u64::from_le_bytes(bytes);
            if entry & 1 == 0 {
                return None;
            }
            // A large page, above the lowest level; the PAE root has none.
            let large = entry & 0x80 != 0 && level != 0 && !(levels == 3 && level == 2);
            if level == 0 || large {
                let offset = (1u64 << shift) - 1;
                return Some(entry & ADDRESS & !offset | at & offset);
            }
            table = entry & ADDRESS;
        }
        None
    }
}
