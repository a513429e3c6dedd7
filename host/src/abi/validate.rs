//! What a host refuses. Pure rules: no memory, no devices.

use core::fmt;
use core::ops::RangeInclusive;

use super::{Call, Entry, Kind, PAGE_SIZE, Width};

/// Ports of the devices KVM emulates inside the kernel (PIC, edge/level control, PIT, its gate): user space cannot perform them.
pub const IN_KERNEL_PORTS: [RangeInclusive<u16>; 5] = [
    0x20..=0x21,
    0x40..=0x43,
    0x61..=0x61,
    0xa0..=0xa1,
    0x4d0..=0x4d1,
];

/// Which ports a batch must not touch. An access is refused when any of its bytes does.
#[derive(Debug, Clone, Copy)]
pub struct Ports<'a> {
    /// The doorbell, when offered: four bytes from here. A batch that rings would recurse.
    pub doorbell: Option<u16>,
    /// Ports this VMM does not serve in user space; normally [`IN_KERNEL_PORTS`].
    pub reserved: &'a [RangeInclusive<u16>],
}

impl Ports<'_> {
    /// The rules for a VM with KVM's in-kernel interrupt controller and timer.
    pub const fn in_kernel_irqchip(doorbell: Option<u16>) -> Ports<'static> {
        Ports {
            doorbell,
            reserved: &IN_KERNEL_PORTS,
        }
    }

    fn check(&self, port: u16, width: Width) -> Result<(), Fault> {
        let last = u32::from(port) + width.bytes() - 1;
        let Ok(last) = u16::try_from(last) else {
            return Err(Fault::PortRange);
        };
        let touches = |from: u16, to: u16| port <= to && from <= last;
        if self
            .doorbell
            .is_some_and(|d| touches(d, d.saturating_add(3)))
        {
            return Err(Fault::Doorbell);
        }
        if self.reserved.iter().any(|r| touches(*r.start(), *r.end())) {
            return Err(Fault::ReservedPort);
        }
        Ok(())
    }
}

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
    pub fn check(&self, ports: &Ports<'_>) -> Result<Op, Fault> {
        let kind = Kind::try_from(self.kind).map_err(|_| Fault::Kind)?;
        if self.flags != 0 {
            return Err(Fault::Flags);
        }
        ports.check(self.port, kind.width())?;
        let val = if kind.is_string() {
            self.check_buffer(kind.width())?;
            self.val
        } else if self.data != 0 {
            return Err(Fault::Data);
        } else {
            match kind.direction() {
                super::Direction::Out => self.val & kind.width().mask(),
                super::Direction::In => 0,
            }
        };
        Ok(Op {
            kind,
            port: self.port,
            val,
            data: self.data,
        })
    }

    fn check_buffer(&self, width: Width) -> Result<(), Fault> {
        if self.val == 0 {
            return Err(Fault::Count);
        }
        let bytes = u64::from(self.val) * u64::from(width.bytes());
        if self.data % PAGE_SIZE as u64 + bytes > PAGE_SIZE as u64 {
            return Err(Fault::Buffer);
        }
        Ok(())
    }
}

impl Call {
    /// Checks all entries of the batch, before any of them is executed. `entries` is the host's own copy.
    ///
    /// # Errors
    /// The first entry that breaks a rule, or that uses the batch page itself as a buffer.
    pub fn check(&self, entries: &[Entry], ports: &Ports<'_>) -> Result<(), Refused> {
        if entries.len() != self.len() {
            return Err(Refused {
                index: 0,
                fault: Fault::Empty,
            });
        }
        for (index, entry) in entries.iter().enumerate() {
            let refused = |fault| Refused { index, fault };
            let op = entry.check(ports).map_err(refused)?;
            // Results are written back over the entries: a string read into them would make the outcome depend on the order of the two.
            if op.kind.is_string() && op.data & !(PAGE_SIZE as u64 - 1) == self.page() {
                return Err(refused(Fault::Buffer));
            }
        }
        Ok(())
    }
}

/// Which entry was refused, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// Index of the entry, from 0.
    pub index: usize,
    /// The rule it breaks.
    pub fault: Fault,
}

impl Refused {
    /// The answer to the guest.
    pub const fn errno(&self) -> i32 {
        self.fault.errno()
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "entry {}: {}", self.index, self.fault)
    }
}

impl core::error::Error for Refused {}

/// A broken rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// A batch without entries.
    Empty,
    /// More than [`MAX_ENTRIES`](super::MAX_ENTRIES).
    TooLong,
    /// The array is not aligned to 16 bytes, or the page not to its size.
    Unaligned,
    /// The array leaves its page.
    CrossesPage,
    /// The batch page or a buffer is not guest RAM. Found by the VMM's memory, not here.
    NotRam,
    /// Reserved bits are set.
    Flags,
    /// A kind that v1 does not define.
    Kind,
    /// `data` of an entry that has no buffer is not 0.
    Data,
    /// A string of 0 elements.
    Count,
    /// A string's buffer leaves its page, or is the batch page.
    Buffer,
    /// The access runs past port 0xffff.
    PortRange,
    /// The doorbell port.
    Doorbell,
    /// A port that the VMM does not serve, such as those KVM emulates in the kernel.
    ReservedPort,
}

impl Fault {
    /// The answer to the guest, a negative KVM errno; never [`NO_ANSWER`](super::NO_ANSWER).
    pub const fn errno(self) -> i32 {
        const EPERM: i32 = 1;
        const E2BIG: i32 = 7;
        const EFAULT: i32 = 14;
        const EINVAL: i32 = 22;
        const EOPNOTSUPP: i32 = 95;
        -match self {
            Self::Doorbell | Self::ReservedPort => EPERM,
            Self::TooLong => E2BIG,
            Self::NotRam => EFAULT,
            Self::Kind => EOPNOTSUPP,
            Self::Empty
            | Self::Unaligned
            | Self::CrossesPage
            | Self::Flags
            | Self::Data
            | Self::Count
            | Self::Buffer
            | Self::PortRange => EINVAL,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "no entries",
            Self::TooLong => "more than 255 entries",
            Self::Unaligned => "address not aligned",
            Self::CrossesPage => "array leaves its page",
            Self::NotRam => "not guest memory",
            Self::Flags => "reserved bits set",
            Self::Kind => "unknown kind",
            Self::Data => "data set without a buffer",
            Self::Count => "string of no elements",
            Self::Buffer => "buffer leaves its page or is the batch page",
            Self::PortRange => "access past port 0xffff",
            Self::Doorbell => "doorbell port inside a batch",
            Self::ReservedPort => "port not served by this VMM",
        })
    }
}

impl core::error::Error for Fault {}

#[cfg(test)]
mod tests {
    use super::super::{DOORBELL_PORT, Direction, NO_ANSWER};
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
