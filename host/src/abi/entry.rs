//! Entries and the header, as they lie in guest memory.

use core::fmt;

use super::{ENTRY_SIZE, HEADER_SIZE};

/// Size of one element of a port access.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Width {
    /// One byte.
    Byte = 1,
    /// Two bytes.
    Word = 2,
    /// Four bytes.
    Long = 4,
}

impl Width {
    /// Bytes of one element: 1, 2 or 4.
    pub const fn bytes(self) -> u32 {
        self as u32
    }

    /// The bits of `val` that count.
    pub const fn mask(self) -> u32 {
        u32::MAX >> (32 - 8 * self.bytes())
    }
}

/// Which way the data goes, seen from the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// The guest writes to the port.
    Out,
    /// The guest reads from the port.
    In,
}

/// What an entry does. The values are the wire format; all others are reserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
#[expect(missing_docs, reason = "the names are the x86 instructions")]
pub enum Kind {
    Outb = 1,
    Outw = 2,
    Outl = 3,
    Inb = 4,
    Inw = 5,
    Inl = 6,
    Outsb = 7,
    Outsw = 8,
    Outsl = 9,
    Insb = 10,
    Insw = 11,
    Insl = 12,
}

impl Kind {
    /// Every kind, in wire order.
    pub const ALL: [Self; 12] = [
        Self::Outb,
        Self::Outw,
        Self::Outl,
        Self::Inb,
        Self::Inw,
        Self::Inl,
        Self::Outsb,
        Self::Outsw,
        Self::Outsl,
        Self::Insb,
        Self::Insw,
        Self::Insl,
    ];

    /// The kind of a single access.
    pub const fn single(direction: Direction, width: Width) -> Self {
        match (direction, width) {
            (Direction::Out, Width::Byte) => Self::Outb,
            (Direction::Out, Width::Word) => Self::Outw,
            (Direction::Out, Width::Long) => Self::Outl,
            (Direction::In, Width::Byte) => Self::Inb,
            (Direction::In, Width::Word) => Self::Inw,
            (Direction::In, Width::Long) => Self::Inl,
        }
    }

    /// The kind of a string access.
    pub const fn string(direction: Direction, width: Width) -> Self {
        match (direction, width) {
            (Direction::Out, Width::Byte) => Self::Outsb,
            (Direction::Out, Width::Word) => Self::Outsw,
            (Direction::Out, Width::Long) => Self::Outsl,
            (Direction::In, Width::Byte) => Self::Insb,
            (Direction::In, Width::Word) => Self::Insw,
            (Direction::In, Width::Long) => Self::Insl,
        }
    }

    /// Size of one element.
    pub const fn width(self) -> Width {
        match self {
            Self::Outb | Self::Inb | Self::Outsb | Self::Insb => Width::Byte,
            Self::Outw | Self::Inw | Self::Outsw | Self::Insw => Width::Word,
            Self::Outl | Self::Inl | Self::Outsl | Self::Insl => Width::Long,
        }
    }

    /// Which way the data goes.
    pub const fn direction(self) -> Direction {
        match self {
            Self::Outb | Self::Outw | Self::Outl | Self::Outsb | Self::Outsw | Self::Outsl => {
                Direction::Out
            }
            Self::Inb | Self::Inw | Self::Inl | Self::Insb | Self::Insw | Self::Insl => {
                Direction::In
            }
        }
    }

    /// Whether the data lie in a buffer in guest memory instead of in the entry.
    pub const fn is_string(self) -> bool {
        self as u8 >= Self::Outsb as u8
    }

    /// The instruction's name in capitals, as the C header has it after `XKVM_`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Outb => "OUTB",
            Self::Outw => "OUTW",
            Self::Outl => "OUTL",
            Self::Inb => "INB",
            Self::Inw => "INW",
            Self::Inl => "INL",
            Self::Outsb => "OUTSB",
            Self::Outsw => "OUTSW",
            Self::Outsl => "OUTSL",
            Self::Insb => "INSB",
            Self::Insw => "INSW",
            Self::Insl => "INSL",
        }
    }
}

/// A kind byte that v1 does not define; holds the byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownKind(
    /// The byte found.
    pub u8,
);

impl fmt::Display for UnknownKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown kind {:#04x}", self.0)
    }
}

impl core::error::Error for UnknownKind {}

impl TryFrom<u8> for Kind {
    type Error = UnknownKind;

    fn try_from(byte: u8) -> Result<Self, UnknownKind> {
        let index = usize::from(byte).checked_sub(1).ok_or(UnknownKind(byte))?;
        Self::ALL.get(index).copied().ok_or(UnknownKind(byte))
    }
}

/// One operation as it lies in the batch page; nothing in it is trusted until [`Entry::check`](super::Entry::check) has passed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Entry {
    /// A [`Kind`].
    pub kind: u8,
    /// Reserved, 0.
    pub flags: u8,
    /// The port.
    pub port: u16,
    /// Written value, or where the host puts the value read (zero-extended); for strings the number of elements.
    pub val: u32,
    /// Guest physical address of the string's buffer; 0 for the others.
    pub data: u64,
}

const _: () = {
    assert!(size_of::<Entry>() == ENTRY_SIZE);
    assert!(core::mem::offset_of!(Entry, flags) == 1);
    assert!(core::mem::offset_of!(Entry, port) == 2);
    assert!(core::mem::offset_of!(Entry, val) == 4);
    assert!(core::mem::offset_of!(Entry, data) == 8);
};

impl Entry {
    /// A single write of the low bits of `val`.
    pub const fn output(width: Width, port: u16, val: u32) -> Self {
        Self {
            kind: Kind::single(Direction::Out, width) as u8,
            flags: 0,
            port,
            val: val & width.mask(),
            data: 0,
        }
    }

    /// A single read.
    pub const fn input(width: Width, port: u16) -> Self {
        Self {
            kind: Kind::single(Direction::In, width) as u8,
            flags: 0,
            port,
            val: 0,
            data: 0,
        }
    }

    /// `count` elements between `port` and guest memory at `gpa`; the buffer must not leave its page.
    pub const fn string(
        direction: Direction,
        width: Width,
        port: u16,
        gpa: u64,
        count: u32,
    ) -> Self {
        Self {
            kind: Kind::string(direction, width) as u8,
            flags: 0,
            port,
            val: count,
            data: gpa,
        }
    }

    /// Reads an entry from its bytes.
    #[inline]
    pub const fn decode(b: &[u8; ENTRY_SIZE]) -> Self {
        Self {
            kind: b[0],
            flags: b[1],
            port: u16::from_le_bytes([b[2], b[3]]),
            val: u32::from_le_bytes([b[4], b[5], b[6], b[7]]),
            data: u64::from_le_bytes([b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]]),
        }
    }

    /// The entry's bytes.
    pub fn encode(&self) -> [u8; ENTRY_SIZE] {
        let mut b = [0; ENTRY_SIZE];
        b[0] = self.kind;
        b[1] = self.flags;
        b[2..4].copy_from_slice(&self.port.to_le_bytes());
        b[4..8].copy_from_slice(&self.val.to_le_bytes());
        b[8..].copy_from_slice(&self.data.to_le_bytes());
        b
    }
}

/// The first 16 bytes of a batch page. Only the doorbell uses it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Header {
    /// Number of entries that follow.
    pub len: u32,
    /// [`NO_ANSWER`](super::NO_ANSWER) from the guest, then the host's answer.
    pub result: i32,
    /// Reserved, 0; the host ignores it.
    pub reserved: u64,
}

const _: () = {
    assert!(size_of::<Header>() == HEADER_SIZE);
    assert!(core::mem::offset_of!(Header, result) == Header::RESULT_OFFSET as usize);
    assert!(core::mem::offset_of!(Header, reserved) == 8);
};

impl Header {
    /// Where in the page the host writes its answer: 4 bytes.
    pub const RESULT_OFFSET: u64 = 4;

    /// Reads a header from its bytes.
    pub const fn decode(b: &[u8; HEADER_SIZE]) -> Self {
        Self {
            len: u32::from_le_bytes([b[0], b[1], b[2], b[3]]),
            result: i32::from_le_bytes([b[4], b[5], b[6], b[7]]),
            reserved: u64::from_le_bytes([b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]]),
        }
    }

    /// The header's bytes.
    pub fn encode(&self) -> [u8; HEADER_SIZE] {
        let mut b = [0; HEADER_SIZE];
        b[..4].copy_from_slice(&self.len.to_le_bytes());
        b[4..8].copy_from_slice(&self.result.to_le_bytes());
        b[8..].copy_from_slice(&self.reserved.to_le_bytes());
        b
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_round_trip_and_the_rest_is_unknown() {
        for byte in 0..=u8::MAX {
            match Kind::try_from(byte) {
                Ok(kind) => {
                    assert_eq!(kind as u8, byte);
                    let rebuilt = if kind.is_string() {
                        Kind::string
                    } else {
                        Kind::single
                    };
                    assert_eq!(rebuilt(kind.direction(), kind.width()), kind);
                }
                Err(e) => assert!(e.0 == byte && (byte == 0 || byte > 12)),
            }
        }
    }

    #[test]
    fn an_entry_is_little_endian() {
        let e = Entry {
            kind: 8,
            flags: 0,
            port: 0x1f0,
            val: 0x0102_0304,
            data: 0x1122_3344_5566_7788,
        };
        assert_eq!(
            e.encode(),
            [
                8, 0, 0xf0, 0x01, 0x04, 0x03, 0x02, 0x01, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22,
                0x11
            ]
        );
        assert_eq!(Entry::decode(&e.encode()), e);
    }

    #[test]
    fn a_header_round_trips() {
        let h = Header {
            len: 255,
            result: -1000,
            reserved: 7,
        };
        assert_eq!(h.encode()[4..8], [0x18, 0xfc, 0xff, 0xff]);
        assert_eq!(Header::decode(&h.encode()), h);
    }

    #[test]
    fn outputs_keep_the_low_bits() {
        assert_eq!(Entry::output(Width::Byte, 1, 0x1234).val, 0x34);
        assert_eq!(Entry::output(Width::Word, 1, 0xffff_1234).val, 0x1234);
        assert_eq!(Entry::output(Width::Long, 1, 0xffff_1234).val, 0xffff_1234);
    }
}
