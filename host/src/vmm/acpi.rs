//! ACPI tables: what makes Linux use the PM timer, find the PCI root, and switch the machine off.

use acpi_tables::Aml;
use acpi_tables::aml::{
    AddressSpace, Device, EISAName, IO, Name, Package, ResourceTemplate, Scope, ZERO,
};
use acpi_tables::fadt::{FADTBuilder, Flags};
use acpi_tables::gas::{AccessSize, AddressSpace as Space, GAS};
use acpi_tables::madt::{
    EnabledStatus, IoApic, LocalInterruptController, MADT, ProcessorLocalApic,
};
use acpi_tables::rsdp::Rsdp;
use acpi_tables::sdt::Sdt;
use acpi_tables::xsdt::XSDT;
use anyhow::{Context, Result};
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};

use crate::devices::pm::{PM_BASE, PM_TIMER, PM1_CONTROL, SLEEP_TYPE_S5};

/// The RSDP; the other tables follow it. In the BIOS area, where guests look.
pub const RSDP: u64 = 0xe_0000;
/// End of the area the tables may fill.
const END: u64 = 0xf_0000;

const OEM: [u8; 6] = *b"XKVM  ";
const TABLE: [u8; 8] = *b"XKVM    ";
const SCI: u16 = 9;
const LOCAL_APIC: u32 = 0xfee0_0000;
const IO_APIC: u32 = 0xfec0_0000;

/// Writes all tables. `pci`: whether there is a PCI root; `cpus`: number of processors, with APIC numbers from 0.
///
/// # Errors
/// When they do not fit.
pub fn write(memory: &GuestMemoryMmap, pci: bool, cpus: u8) -> Result<()> {
    let mut at = RSDP + 64;
    let mut put = |table: &dyn Aml| -> Result<u64> {
        let mut bytes = Vec::new();
        table.to_aml_bytes(&mut bytes);
        let place = at;
        at = (at + bytes.len() as u64).next_multiple_of(64);
        anyhow::ensure!(at <= END, "the ACPI tables are too long");
        memory
            .write_slice(&bytes, GuestAddress(place))
            .context("no memory for ACPI tables")?;
        Ok(place)
    };

    let dsdt = put(&dsdt(pci))?;
    let fadt = put(&fadt(dsdt))?;
    let mut madt = MADT::new(OEM, TABLE, 1, LocalInterruptController::Address(LOCAL_APIC));
    for id in 0..cpus {
        madt.add_structure(ProcessorLocalApic::new(id, id, EnabledStatus::Enabled));
    }
    madt.add_structure(IoApic::new(0, IO_APIC, 0));
    let madt = put(&madt)?;
    let mut xsdt = XSDT::new(OEM, TABLE, 1);
    xsdt.add_entry(fadt);
    xsdt.add_entry(madt);
    let xsdt = put(&xsdt)?;

    let mut rsdp = Vec::new();
    Rsdp::new(OEM, xsdt).to_aml_bytes(&mut rsdp);
    memory
        .write_slice(&rsdp, GuestAddress(RSDP))
        .context("no memory for ACPI tables")
}

fn port(port: u16, bits: u8, access: AccessSize) -> GAS {
    GAS::new(Space::SystemIo, bits, 0, access, port.into())
}

fn fadt(dsdt: u64) -> acpi_tables::fadt::FADT {
    let mut fadt = FADTBuilder::new(OEM, TABLE, 1)
        .dsdt_64(dsdt)
        .flag(Flags::Wbinvd)
        .flag(Flags::ProcC1)
        .flag(Flags::TmrValExt)
        .flag(Flags::ResetRegSup)
        .flag(Flags::PwrButton)
        .flag(Flags::SlpButton);
    let (control, timer) = (PM_BASE + PM1_CONTROL, PM_BASE + PM_TIMER);
    fadt.dsdt = u32::try_from(dsdt).unwrap_or_default().into();
    fadt.sci_int = SCI.into();
    fadt.pm1a_evt_blk = u32::from(PM_BASE).into();
    fadt.pm1a_cnt_blk = u32::from(control).into();
    fadt.pm_tmr_blk = u32::from(timer).into();
    (fadt.pm1_evt_len, fadt.pm1_cnt_len, fadt.pm_tmr_len) = (4, 2, 4);
    fadt.x_pm1a_evt_blk = port(PM_BASE, 32, AccessSize::WordAccess);
    fadt.x_pm1a_cnt_blk = port(control, 16, AccessSize::WordAccess);
    fadt.x_pm_tmr_blk = port(timer, 32, AccessSize::DwordAccess);
    // C2 and C3 are not there
    fadt.p_lvl2_lat = 101.into();
    fadt.p_lvl3_lat = 1001.into();
    // Legacy devices, and a keyboard controller
    fadt.iapc_boot_arch = 3.into();
    fadt.century = 0x32;
    fadt.reset_reg = port(crate::devices::i8042::COMMAND, 8, AccessSize::ByteAccess);
    fadt.reset_value = 0xfe;
    fadt.finalize()
}

fn dsdt(pci: bool) -> Sdt {
    let mut aml = Vec::new();
    let s5: u8 = SLEEP_TYPE_S5;
    Name::new("_S5_".into(), &Package::new(vec![&s5, &s5, &ZERO, &ZERO])).to_aml_bytes(&mut aml);
    let hid = EISAName::new("PNP0A03");
    let hid = Name::new("_HID".into(), &hid);
    let adr = Name::new("_ADR".into(), &ZERO);
    let config = IO::new(0xcf8, 0xcf8, 1, 8);
    let buses = AddressSpace::new_bus_number(0u16, 0);
    let below = AddressSpace::new_io(0u16, 0x0cf7, None);
    let above = AddressSpace::new_io(0x0d00u16, 0xffff, None);
    let resources = ResourceTemplate::new(vec![&config, &buses, &below, &above]);
    let crs = Name::new("_CRS".into(), &resources);
    let root = Device::new("PCI0".into(), vec![&hid, &adr, &crs]);
    if pci {
        Scope::new("\\_SB_".into(), vec![&root]).to_aml_bytes(&mut aml);
    }
    let mut table = Sdt::new(*b"DSDT", 36, 6, OEM, TABLE, 1);
    table.append_slice(&aml);
    table
}
