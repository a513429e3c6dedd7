//! The three ways a guest hands a batch over, decoded to the same thing.

use super::{ENTRY_SIZE, Fault, HEADER_SIZE, MAX_ENTRIES, PAGE_SIZE};

/// Where a batch's entries lie: an array inside one page, aligned, of valid length. Whether that page is guest RAM is for the
/// VMM's memory to say ([`Fault::NotRam`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    gpa: u64,
    len: usize,
}

impl Call {
    /// Decodes the vmcall transport: guest physical address of the first entry, number of entries, flags.
    ///
    /// # Errors
    /// When flags are not 0, or the array is unaligned, of bad length or crosses a page.
    pub fn from_vmcall(gpa: u64, len: u64, flags: u64) -> Result<Self, Fault> {
        if flags != 0 {
            return Err(Fault::Flags);
        }
        Self::new(gpa, len)
    }

    /// Decodes the tunnel: batch page, number of pages, `offset << 32 | len`.
    ///
    /// Offset 0 means [`HEADER_SIZE`]: a 32-bit guest's registers cannot hold an offset.
    ///
    /// # Errors
    /// When `page` is unaligned, `pages` is not 1, or the array is unaligned, of bad length or leaves the page.
    pub fn from_tunnel(page: u64, pages: u64, packed: u64) -> Result<Self, Fault> {
        if !page.is_multiple_of(PAGE_SIZE as u64) {
            return Err(Fault::Unaligned);
        }
        if pages != 1 {
            return Err(Fault::Flags);
        }
        let offset = match packed >> 32 {
            0 => HEADER_SIZE as u64,
            offset @ 1..4096 => offset,
            _ => return Err(Fault::CrossesPage),
        };
        Self::new(page | offset, packed & u64::from(u32::MAX))
    }

    /// Decodes the doorbell: the frame number rung, and [`Header::len`](super::Header::len) of that page.
    ///
    /// # Errors
    /// When the length is 0 or above [`MAX_ENTRIES`].
    pub fn from_doorbell(frame: u32, len: u32) -> Result<Self, Fault> {
        Self::new(
            u64::from(frame) * PAGE_SIZE as u64 + HEADER_SIZE as u64,
            u64::from(len),
        )
    }

    fn new(gpa: u64, len: u64) -> Result<Self, Fault> {
        let len = match usize::try_from(len) {
            Ok(0) => return Err(Fault::Empty),
            Ok(len @ 1..=MAX_ENTRIES) => len,
            _ => return Err(Fault::TooLong),
        };
        if !gpa.is_multiple_of(ENTRY_SIZE as u64) {
            return Err(Fault::Unaligned);
        }
        if gpa % PAGE_SIZE as u64 + (len * ENTRY_SIZE) as u64 > PAGE_SIZE as u64 {
            return Err(Fault::CrossesPage);
        }
        Ok(Self { gpa, len })
    }

    /// Guest physical address of the first entry.
    pub const fn gpa(&self) -> u64 {
        self.gpa
    }

    /// Guest physical address of the batch page.
    pub const fn page(&self) -> u64 {
        self.gpa & !(PAGE_SIZE as u64 - 1)
    }

    /// Number of entries, 1 to [`MAX_ENTRIES`].
    #[expect(clippy::len_without_is_empty, reason = "a call is never empty")]
    pub const fn len(&self) -> usize {
        self.len
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_transports_name_the_same_array() {
        let page = 0x1234_5000;
        let want = Ok(Call {
            gpa: 0x1234_5010,
            len: 255,
        });
        assert_eq!(Call::from_vmcall(page + 16, 255, 0), want);
        assert_eq!(Call::from_tunnel(page, 1, (16 << 32) | 255), want);
        assert_eq!(
            Call::from_tunnel(page, 1, 255),
            want,
            "a 32-bit guest sends no offset"
        );
        assert_eq!(Call::from_doorbell(0x1_2345, 255), want);
        assert_eq!(want.map(|c| c.page()), Ok(page));
    }

    #[test]
    fn lengths_are_bounded() {
        for (len, fault) in [
            (0, Fault::Empty),
            (256, Fault::TooLong),
            (u64::MAX, Fault::TooLong),
        ] {
            assert_eq!(Call::from_vmcall(0x1010, len, 0), Err(fault));
        }
        assert_eq!(Call::from_doorbell(1, 0), Err(Fault::Empty));
        assert_eq!(Call::from_doorbell(1, u32::MAX), Err(Fault::TooLong));
    }

    #[test]
    fn the_array_stays_in_its_page() {
        assert!(Call::from_vmcall(0x1ff0, 1, 0).is_ok());
        assert_eq!(Call::from_vmcall(0x1ff0, 2, 0), Err(Fault::CrossesPage));
        assert_eq!(Call::from_vmcall(0x1008, 1, 0), Err(Fault::Unaligned));
        assert_eq!(
            Call::from_vmcall(u64::MAX - 15, 2, 0),
            Err(Fault::CrossesPage)
        );
        assert_eq!(
            Call::from_tunnel(0x1000, 1, (4096 << 32) | 1),
            Err(Fault::CrossesPage)
        );
        assert_eq!(
            Call::from_tunnel(0x1000, 1, (8 << 32) | 1),
            Err(Fault::Unaligned)
        );
        assert_eq!(Call::from_tunnel(0x1010, 1, 1), Err(Fault::Unaligned));
    }

    #[test]
    fn reserved_arguments_are_refused() {
        assert_eq!(Call::from_vmcall(0x1010, 1, 1), Err(Fault::Flags));
        assert_eq!(Call::from_tunnel(0x1000, 2, 1), Err(Fault::Flags));
    }

    #[test]
    fn the_highest_frame_does_not_overflow() {
        assert_eq!(
            Call::from_doorbell(u32::MAX, 1).map(|c| c.gpa()),
            Ok(0xfff_ffff_f010)
        );
    }
}
