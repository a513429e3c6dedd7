//! Which ports a batch may touch.

use core::ops::RangeInclusive;

use super::{Fault, Width};

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
}

/// Says which ports a batch must not touch.
pub trait PortRules {
    /// Judges an access of `width` from `port` on.
    ///
    /// # Errors
    /// [`Fault::PortRange`], [`Fault::Doorbell`] or [`Fault::ReservedPort`].
    fn allow(&self, port: u16, width: Width) -> Result<(), Fault>;
}

impl PortRules for Ports<'_> {
    fn allow(&self, port: u16, width: Width) -> Result<(), Fault> {
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
