//! The format as C, for the guest's `include/linux/xkvm_io.h`.

use core::fmt;

use super::{
    CPUID_BASE, CPUID_LAST, CPUID_SIGNATURE, CPUID_STRIDE, FEATURES, HEADER_SIZE, Kind,
    MAX_ENTRIES, NO_ANSWER, PAGE_SIZE, TUNNEL_HYPERCALL, VERSION,
};

/// Displays the format as C in kernel style: constants, `struct io_insn`, `struct xkvm_page`.
///
/// It uses the kernel's `u8`, `u16`, `u32`, `s32`, `u64`; the text ends with a newline.
#[derive(Debug, Clone, Copy, Default)]
pub struct CHeader;

impl fmt::Display for CHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "/* Wire format, version {VERSION}: batches of port I/O, shared with the host */\n"
        )?;
        for kind in Kind::ALL {
            define(f, kind.name(), format_args!("{}", kind as u8))?;
        }
        writeln!(f)?;
        define(f, "VERSION", format_args!("{VERSION}"))?;
        define(f, "MAX_INSNS", format_args!("{MAX_ENTRIES}"))?;
        define(f, "NO_ANSWER", format_args!("({NO_ANSWER})"))?;
        define(f, "HC_TUNNEL", format_args!("{TUNNEL_HYPERCALL}"))?;
        writeln!(f)?;
        define(f, "CPUID_BASE", format_args!("{CPUID_BASE:#010x}"))?;
        define(f, "CPUID_LAST", format_args!("{CPUID_LAST:#010x}"))?;
        define(f, "CPUID_STRIDE", format_args!("{CPUID_STRIDE:#x}"))?;
        let signature = core::str::from_utf8(&CPUID_SIGNATURE).map_err(|_| fmt::Error)?;
        define(f, "CPUID_SIGNATURE", format_args!("\"{signature}\""))?;
        writeln!(f)?;
        for (name, bits) in FEATURES {
            writeln!(
                f,
                "#define XKVM_FEATURE_{name}{}{:#x}",
                tabs("XKVM_FEATURE_".len() + name.len()),
                bits.0
            )?;
        }
        f.write_str(STRUCTS_BEFORE_PAGE)?;
        writeln!(
            f,
            " * struct xkvm_page - a batch as the host reads it, one page of {PAGE_SIZE} bytes\n\
             \x20* @len: number of operations\n\
             \x20* @result: what the host answers: @len, or a negative error and nothing was done\n\
             \x20* @reserved: 0; @insn starts at byte {HEADER_SIZE}\n\
             \x20* @insn: the operations, in order\n\
             \x20*/\n\
             struct xkvm_page {{\n\
             \tu32 len;\n\
             \ts32 result;\n\
             \tu64 reserved;\n\
             \tstruct io_insn insn[XKVM_MAX_INSNS];\n\
             }};"
        )
    }
}

const STRUCTS_BEFORE_PAGE: &str = "
/**
 * struct io_insn - one port operation
 * @kind: XKVM_OUTB to XKVM_INSL
 * @flags: 0
 * @port: the port
 * @val: value written or read; number of elements for strings
 * @data: guest physical address of a string's buffer, else 0
 */
struct io_insn {
	u8 kind;
	u8 flags;
	u16 port;
	u32 val;
	u64 data;
};

/**
";

fn define(f: &mut fmt::Formatter<'_>, name: &str, value: fmt::Arguments<'_>) -> fmt::Result {
    writeln!(
        f,
        "#define XKVM_{name}{}{value}",
        tabs("XKVM_".len() + name.len())
    )
}

/// Tabs that bring the value to column 40, at least one.
fn tabs(name: usize) -> &'static str {
    const TABS: &str = "\t\t\t\t";
    let column = "#define ".len() + name;
    let wanted = 40usize.saturating_sub(column).div_ceil(8).max(1);
    TABS.get(..wanted).unwrap_or(TABS)
}

#[cfg(test)]
mod tests {
    use super::super::{Entry, Features, Header};
    use super::CHeader;
    use std::fmt::Write as _;
    use std::process::Command;
    use std::string::{String, ToString};
    use std::{eprintln, format, fs};

    #[test]
    fn values_stand_in_one_column() {
        for line in CHeader
            .to_string()
            .lines()
            .filter(|l| l.starts_with("#define"))
        {
            let column = line.chars().fold(0, |col, c| {
                if c == '\t' {
                    (col / 8 + 1) * 8
                } else {
                    col + 1
                }
            });
            let value = line.rsplit('\t').next().unwrap_or_default().len();
            assert_eq!(column - value, 40, "{line}");
        }
    }

    /// The C compiler's view of the header against ours.
    #[test]
    fn c_agrees_with_rust() {
        let mut c = String::from(
            "#include <stddef.h>\n#include <stdint.h>\n\
             typedef uint8_t u8; typedef uint16_t u16; typedef uint32_t u32; typedef int32_t s32; typedef uint64_t u64;\n",
        );
        let _ = write!(c, "{CHeader}");
        let mut is = |c_expression: &str, value: i64| {
            let _ = writeln!(
                c,
                "_Static_assert(({c_expression}) == {value}LL, \"{c_expression}\");"
            );
        };
        is("sizeof(struct io_insn)", size_of::<Entry>() as i64);
        is(
            "offsetof(struct io_insn, kind)",
            core::mem::offset_of!(Entry, kind) as i64,
        );
        is(
            "offsetof(struct io_insn, flags)",
            core::mem::offset_of!(Entry, flags) as i64,
        );
        is(
            "offsetof(struct io_insn, port)",
            core::mem::offset_of!(Entry, port) as i64,
        );
        is(
            "offsetof(struct io_insn, val)",
            core::mem::offset_of!(Entry, val) as i64,
        );
        is(
            "offsetof(struct io_insn, data)",
            core::mem::offset_of!(Entry, data) as i64,
        );
        is("sizeof(struct xkvm_page)", super::PAGE_SIZE as i64);
        is(
            "offsetof(struct xkvm_page, len)",
            core::mem::offset_of!(Header, len) as i64,
        );
        is(
            "offsetof(struct xkvm_page, result)",
            Header::RESULT_OFFSET as i64,
        );
        is(
            "offsetof(struct xkvm_page, reserved)",
            core::mem::offset_of!(Header, reserved) as i64,
        );
        is(
            "offsetof(struct xkvm_page, insn)",
            super::HEADER_SIZE as i64,
        );
        for kind in super::Kind::ALL {
            is(&format!("XKVM_{}", kind.name()), i64::from(kind as u8));
        }
        for (name, bits) in super::FEATURES {
            is(&format!("XKVM_FEATURE_{name}"), i64::from(bits.0));
        }
        is("XKVM_FEATURE_STRINGS", i64::from(Features::STRINGS.0));
        is("XKVM_VERSION", i64::from(super::VERSION));
        is("XKVM_MAX_INSNS", super::MAX_ENTRIES as i64);
        is("XKVM_NO_ANSWER", i64::from(super::NO_ANSWER));
        is("XKVM_HC_TUNNEL", i64::from(super::TUNNEL_HYPERCALL));
        is("XKVM_CPUID_BASE", i64::from(super::CPUID_BASE));
        is("XKVM_CPUID_LAST", i64::from(super::CPUID_LAST));
        is("XKVM_CPUID_STRIDE", i64::from(super::CPUID_STRIDE));
        is(
            "sizeof(XKVM_CPUID_SIGNATURE)",
            super::CPUID_SIGNATURE.len() as i64 + 1,
        );

        let dir = std::env::temp_dir().join(format!("xkvm-abi-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let source = dir.join("abi.c");
        fs::write(&source, &c).unwrap();
        for word in ["-m64", "-m32"] {
            let run = Command::new("cc")
                .args([
                    "-std=gnu11",
                    "-Wall",
                    "-Werror",
                    "-ffreestanding",
                    "-fsyntax-only",
                    word,
                ])
                .arg(&source)
                .output();
            match run {
                Err(_) => {
                    eprintln!("SKIPPED: no `cc`, the C view of the wire format was not compared")
                }
                Ok(out) => {
                    let errors = String::from_utf8_lossy(&out.stderr);
                    // A compiler for another architecture, or without 32-bit headers, cannot be asked.
                    if !out.status.success()
                        && (errors.contains("unrecognized") || errors.contains("stubs-32.h"))
                    {
                        eprintln!("SKIPPED: cc does not take {word}");
                        continue;
                    }
                    assert!(out.status.success(), "{word}:\n{errors}");
                }
            }
        }
        let _ = fs::remove_dir_all(&dir);
    }
}
