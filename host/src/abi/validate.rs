//! What a host checks before it executes anything. Pure rules: no memory, no devices.

use super::{Call, Direction, Entry, Fault, Kind, PAGE_SIZE, PortRules, Refused, Width};

/// A validated entry. Making one is what [`Entry::check`] is for; the fields are plain because no invariant ties them afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Op {
    /// What to do.
    pub kind: Kind,
    /// Where.
    pub port: u16,
    /// Value to write, cut to the width; number of elements for strings; 0 for single reads.
    pub val: u32,
    /// Guest physical address of the string's buffer, which ends inside the same page; 0 for the others.
    pub data: u64,
}

impl Op {
    /// Bytes that go through the port.
    pub const fn bytes(&self) -> u32 {
        if self.kind.is_string() {
            self.val * self.kind.width().bytes()
        } else {
            self.kind.width().bytes()
        }
    }
}

impl Entry {
    /// Checks one entry.
    ///
    /// # Errors
    /// The first rule it breaks.
    #[inline]
    pub fn check(&self, ports: &impl PortRules) -> Result<Op, Fault> {
        let kind = Kind::try_from(self.kind).map_err(|_| Fault::Kind)?;
        if self.flags != 0 {
            return Err(Fault::Flags);
        }
        ports.allow(self.port, kind.width())?;
        let val = if kind.is_string() {
            check_buffer(self.data, self.val, kind.width())?;
            self.val
        } else if self.data != 0 {
            return Err(Fault::Data);
        } else {
            match kind.direction() {
                Direction::Out => self.val & kind.width().mask(),
                Direction::In => 0,
            }
        };
        Ok(Op {
            kind,
            port: self.port,
            val,
            data: self.data,
        })
    }
}

// Strings are rare in number: what they need is kept apart, so that the code for the others stays small.
#[inline(never)]
fn check_buffer(gpa: u64, count: u32, width: Width) -> Result<(), Fault> {
    if count == 0 {
        return Err(Fault::Count);
    }
    let bytes = u64::from(count) * u64::from(width.bytes());
    if gpa % PAGE_SIZE as u64 + bytes > PAGE_SIZE as u64 {
        return Err(Fault::Buffer);
    }
    Ok(())
}

impl Call {
    /// Checks all entries of the batch, before any of them is executed. `entries` is the host's own copy.
    ///
    /// # Errors
    /// The first entry that breaks a rule, or that uses the batch page itself as a buffer.
    pub fn check(&self, entries: &[Entry], ports: &impl PortRules) -> Result<(), Refused> {
        if entries.len() != self.len() {
            return Err(Refused {
                index: 0,
                fault: Fault::Empty,
            });
        }
        for (index, entry) in entries.iter().enumerate() {
            self.check_entry(index, entry, ports)?;
        }
        Ok(())
    }

    /// Checks the entry at `index` of the batch; what it does when it is fine.
    ///
    /// # Errors
    /// When it breaks a rule, or uses the batch page itself as a buffer.
    #[inline]
    pub fn check_entry(
        &self,
        index: usize,
        entry: &Entry,
        ports: &impl PortRules,
    ) -> Result<Op, Refused> {
        let refused = |fault| Refused { index, fault };
        let op = entry.check(ports).map_err(refused)?;
        // Results are written back over the entries: a string read into them would make the outcome depend on the order of the two.
        if op.kind.is_string() && self.holds(op.data) {
            return Err(refused(Fault::Buffer));
        }
        Ok(op)
    }

    /// Whether this is an address in the batch page.
    #[inline(never)]
    fn holds(&self, gpa: u64) -> bool {
        gpa & !(PAGE_SIZE as u64 - 1) == self.page()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{DOORBELL_PORT, Direction, NO_ANSWER, Ports};
    use super::*;

    const PORTS: Ports<'static> = Ports::in_kernel_irqchip(Some(DOORBELL_PORT));

    fn fault(entry: Entry) -> Option<Fault> {
        entry.check(&PORTS).err()
    }

    #[test]
    fn plain_accesses_pass() {
        let op = Entry::output(Width::Byte, 0x1f2, 0x108).check(&PORTS);
        assert_eq!(
            op,
            Ok(Op {
                kind: Kind::Outb,
                port: 0x1f2,
                val: 8,
                data: 0
            })
        );
        let dirty = Entry {
            val: 77,
            ..Entry::input(Width::Long, 0xcfc)
        };
        assert_eq!(
            dirty.check(&PORTS).map(|op| op.val),
            Ok(0),
            "what the guest left in val means nothing"
        );
    }

    #[test]
    fn values_are_cut_to_the_width() {
        let wide = Entry {
            val: 0xdead_beef,
            ..Entry::output(Width::Word, 0x170, 0)
        };
        assert_eq!(wide.check(&PORTS).map(|op| op.val), Ok(0xbeef));
    }

    #[test]
    fn in_kernel_ports_are_refused_at_any_overlap() {
        for port in [0x20, 0x21, 0x40, 0x43, 0x61, 0xa0, 0xa1, 0x4d0, 0x4d1] {
            assert_eq!(
                fault(Entry::input(Width::Byte, port)),
                Some(Fault::ReservedPort),
                "{port:#x}"
            );
        }
        assert_eq!(
            fault(Entry::output(Width::Word, 0x1f, 0)),
            Some(Fault::ReservedPort)
        );
        assert_eq!(
            fault(Entry::output(Width::Long, 0x3d, 0)),
            Some(Fault::ReservedPort)
        );
        for port in [0x1f, 0x22, 0x3f, 0x44, 0x60, 0x64, 0x9f, 0xa2] {
            assert_eq!(fault(Entry::input(Width::Byte, port)), None, "{port:#x}");
        }
    }

    #[test]
    fn the_doorbell_does_not_recurse() {
        for (width, port) in [
            (Width::Long, 0),
            (Width::Byte, 3),
            (Width::Word, -1i32 as u16),
        ] {
            let entry = Entry::output(width, DOORBELL_PORT.wrapping_add(port), 0);
            assert_eq!(fault(entry), Some(Fault::Doorbell));
        }
        assert_eq!(
            fault(Entry::output(Width::Byte, DOORBELL_PORT + 4, 0)),
            None
        );
    }

    #[test]
    fn ports_end_at_ffff() {
        assert_eq!(fault(Entry::input(Width::Byte, 0xffff)), None);
        assert_eq!(
            fault(Entry::input(Width::Word, 0xffff)),
            Some(Fault::PortRange)
        );
        assert_eq!(
            fault(Entry::input(Width::Long, 0xfffd)),
            Some(Fault::PortRange)
        );
    }

    #[test]
    fn reserved_fields_must_be_zero() {
        assert_eq!(
            fault(Entry {
                flags: 1,
                ..Entry::input(Width::Byte, 1)
            }),
            Some(Fault::Flags)
        );
        assert_eq!(
            fault(Entry {
                data: 1,
                ..Entry::input(Width::Byte, 1)
            }),
            Some(Fault::Data)
        );
        assert_eq!(
            fault(Entry {
                kind: 0x81,
                ..Entry::input(Width::Byte, 1)
            }),
            Some(Fault::Kind)
        );
        assert_eq!(fault(Entry::default()), Some(Fault::Kind));
    }

    #[test]
    fn string_buffers_stay_in_a_page() {
        let s = |gpa, count| {
            fault(Entry::string(
                Direction::Out,
                Width::Word,
                0x1f0,
                gpa,
                count,
            ))
        };
        assert_eq!(s(0x5000, 2048), None);
        assert_eq!(s(0x5ffe, 1), None);
        assert_eq!(s(0x5001, 2047), None, "alignment is the guest's affair");
        assert_eq!(s(0x5000, 0), Some(Fault::Count));
        assert_eq!(s(0x5000, 2049), Some(Fault::Buffer));
        assert_eq!(s(0x5fff, 1), Some(Fault::Buffer));
        assert_eq!(s(u64::MAX, u32::MAX), Some(Fault::Buffer));
    }

    #[test]
    fn a_batch_is_refused_by_its_worst_entry() {
        let call = Call::from_doorbell(7, 2).unwrap();
        let good = Entry::output(Width::Byte, 0x1f2, 1);
        assert_eq!(call.check(&[good, good], &PORTS), Ok(()));
        let refused = call
            .check(&[good, Entry::input(Width::Byte, 0x61)], &PORTS)
            .unwrap_err();
        assert_eq!((refused.index, refused.errno()), (1, -1));
        assert!(
            call.check(&[good], &PORTS).is_err(),
            "not the array the call names"
        );
        let own = Entry::string(Direction::In, Width::Byte, 0x1f0, 0x7ff0, 4);
        assert_eq!(
            call.check(&[good, own], &PORTS).map_err(|r| r.fault),
            Err(Fault::Buffer)
        );
    }

    #[test]
    fn no_fault_looks_like_an_absent_host() {
        for f in [
            Fault::Empty,
            Fault::TooLong,
            Fault::NotRam,
            Fault::Kind,
            Fault::Doorbell,
            Fault::Buffer,
        ] {
            assert!(f.errno() < 0 && f.errno() != NO_ANSWER);
        }
    }
}
