//! Which command does what.

use super::MAX_MULTIPLE;
use super::address::Form;

/// A command the drive knows. Everything else is aborted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    /// PIO transfer of blocks of one sector, or as many as SET MULTIPLE MODE said.
    Pio {
        write: bool,
        form: Form,
        multiple: bool,
    },
    Dma {
        write: bool,
        form: Form,
    },
    Verify(Form),
    Flush,
    Identify,
    SetFeatures,
    SetMultiple,
    InitParameters,
    Diagnostic,
    CheckPower,
    /// Says yes and does nothing: seek, idle, standby.
    Nothing,
}

impl Command {
    pub fn decode(byte: u8) -> Option<Self> {
        use Form::{Long, Short};
        let pio = |write, form, multiple| Self::Pio {
            write,
            form,
            multiple,
        };
        Some(match byte {
            0x20 | 0x21 => pio(false, Short, false),
            0x24 => pio(false, Long, false),
            0x29 => pio(false, Long, true),
            0xc4 => pio(false, Short, true),
            0x30 | 0x31 => pio(true, Short, false),
            0x34 => pio(true, Long, false),
            0x39 => pio(true, Long, true),
            0xc5 => pio(true, Short, true),
            0xc8 | 0xc9 => Self::Dma {
                write: false,
                form: Short,
            },
            0x25 => Self::Dma {
                write: false,
                form: Long,
            },
            0xca | 0xcb => Self::Dma {
                write: true,
                form: Short,
            },
            0x35 => Self::Dma {
                write: true,
                form: Long,
            },
            0x40 | 0x41 => Self::Verify(Short),
            0x42 => Self::Verify(Long),
            0xe7 | 0xea => Self::Flush,
            0xec => Self::Identify,
            0xef => Self::SetFeatures,
            0xc6 => Self::SetMultiple,
            0x91 => Self::InitParameters,
            0x90 => Self::Diagnostic,
            0xe5 => Self::CheckPower,
            0x10..=0x1f | 0x70 | 0xe0..=0xe3 | 0xe6 => Self::Nothing,
            _ => return None,
        })
    }
}

/// What SET FEATURES was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Feature {
    Mode(u8),
    WriteCache(bool),
    /// Accepted, without effect here.
    Nothing,
}

impl Feature {
    pub fn decode(feature: u8, count: u8) -> Option<Self> {
        Some(match feature {
            // PIO default and flow control modes, multiword DMA 0-2, Ultra DMA 0-5
            0x03 if matches!(count, 0..=1 | 0x08..=0x0c | 0x20..=0x22 | 0x40..=0x45) => {
                Self::Mode(count)
            }
            0x02 => Self::WriteCache(true),
            0x82 => Self::WriteCache(false),
            // Look-ahead and power-on defaults
            0xaa | 0x55 | 0x66 | 0xcc => Self::Nothing,
            _ => return None,
        })
    }
}

/// Whether SET MULTIPLE MODE takes this block size; 0 turns multiple transfers off.
pub(super) fn is_block(count: u8) -> bool {
    count == 0 || count.is_power_of_two() && count <= MAX_MULTIPLE
}
