//! What a host answers when it refuses.

use core::fmt;

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
