//! "Kernels" of a few instructions in hand-made bzImages.
#![allow(dead_code, reason = "each test uses its part")]

use std::fs;
use std::path::PathBuf;

use iced_x86::code_asm::*;
use xkvm_host::abi::{DOORBELL_PORT, Entry};

pub const LOAD: u64 = 0x10_0000;
/// Where the guest makes its batch.
pub const PAGE: u32 = 0x20_0000;

/// A folder that goes away.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("xkvm-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
    pub fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A setup sector and a half, then the code.
pub fn bzimage(mut code: CodeAssembler) -> Vec<u8> {
    let mut image = vec![0; 1024];
    let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
    put(0x1f1, &[1]);
    put(0x1fe, &[0x55, 0xaa, 0xeb, 0x66]);
    put(0x202, b"HdrS");
    put(0x206, &0x020fu16.to_le_bytes());
    put(0x211, &[1]);
    put(0x214, &(LOAD as u32).to_le_bytes());
    put(0x22c, &0x7fff_ffffu32.to_le_bytes());
    put(0x238, &255u32.to_le_bytes());
    image.extend(code.assemble(LOAD).unwrap());
    image
}

pub fn say(a: &mut CodeAssembler, text: &str) {
    a.mov(dx, 0x3f8u32).unwrap();
    for byte in text.bytes() {
        a.mov(al, u32::from(byte)).unwrap();
        a.out(dx, al).unwrap();
    }
}

/// Writes a batch and rings; leaves the answer in eax.
pub fn ring(a: &mut CodeAssembler, entries: &[Entry]) {
    a.mov(dword_ptr(PAGE), entries.len() as u32).unwrap();
    a.mov(dword_ptr(PAGE + 4), (-1000i32) as u32).unwrap();
    for (i, entry) in entries.iter().enumerate() {
        for (word, bytes) in entry.encode().chunks(4).enumerate() {
            let value = u32::from_le_bytes(bytes.try_into().unwrap());
            let at = PAGE + 16 + 16 * i as u32 + 4 * word as u32;
            a.mov(dword_ptr(at), value).unwrap();
        }
    }
    a.mov(eax, PAGE >> 12).unwrap();
    a.mov(dx, u32::from(DOORBELL_PORT)).unwrap();
    a.out(dx, eax).unwrap();
    a.mov(eax, dword_ptr(PAGE + 4)).unwrap();
}

pub fn power_off(a: &mut CodeAssembler) {
    a.mov(dx, 0x604u32).unwrap();
    a.mov(ax, 5u32 << 10 | 1 << 13).unwrap();
    a.out(dx, ax).unwrap();
    a.hlt().unwrap();
}

pub fn code() -> CodeAssembler {
    CodeAssembler::new(32).unwrap()
}
