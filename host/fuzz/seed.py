#!/usr/bin/env python3
"""Writes the committed seeds of the corpus: one accepted batch a transport, with strings, and one of each refusal."""
import pathlib
import struct

OUT = pathlib.Path(__file__).parent / "corpus" / "batch"
OUT.mkdir(parents=True, exist_ok=True)


def entry(kind, port, val=0, data=0, flags=0):
    return struct.pack("<BBHIQ", kind, flags, port, val, data)


def seed(name, transport, words, entries, features=7):
    page = struct.pack("<IiQ", len(entries), -1000, 0) + b"".join(entries)
    memory = bytes(4096) + page.ljust(4096, b"\0")
    (OUT / name).write_bytes(bytes([transport, features]) + struct.pack("<3Q", *words) + memory)


taskfile = [entry(1, 0x1F2 + i % 6, i) for i in range(10)] + [entry(4, 0x1F7)]
strings = [entry(8, 0x1F0, 256, 0x2000), entry(11, 0x1F0, 256, 0x3000)]
seed("doorbell", 0, (1, 0, 0), taskfile)
seed("tunnel", 1, (0x1000, 1, 16 << 32 | 2), strings)
seed("vmcall", 2, (0x1010, 11, 0), taskfile)
seed("full-page", 0, (1, 0, 0), [entry(4, 0x1F7)] * 255)
seed("names-the-doorbell", 0, (1, 0, 0), [entry(3, 0x0EC0, 1)])
seed("names-the-pic", 0, (1, 0, 0), [entry(1, 0x20, 0x20)])
seed("own-page", 0, (1, 0, 0), [entry(12, 0x1F0, 4, 0x1FF0)])
seed("not-ram", 0, (1, 0, 0), [entry(12, 0x1F0, 4, 0x7FFFF000)])
seed("unknown-kind", 0, (1, 0, 0), [entry(0x81, 0x1F0)])
seed("crosses-page", 2, (0x1FF0, 2, 0), taskfile)
