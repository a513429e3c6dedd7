/* The interface of include/linux/xkvm_io.h over the mock bus. */
#ifndef MOCK_XKVM_IO_H
#define MOCK_XKVM_IO_H

#include "bus.h"

struct io_insn {
	u8 kind, flags;
	u16 port;
	u32 val;
	u64 data;
};

#define XKVM_OUTB 1
#define XKVM_OUTW 2
#define XKVM_OUTL 3
#define XKVM_INB 4
#define XKVM_INW 5
#define XKVM_INL 6
#define XKVM_IOWRITE8 0x81
#define XKVM_IOWRITE16 0x82
#define XKVM_IOWRITE32 0x83
#define XKVM_IOREAD8 0x84
#define XKVM_IOREAD16 0x85
#define XKVM_IOREAD32 0x86

#define IO_VAL(i) (io_out[i].val)

#ifdef CONFIG_XKVM_IO

#define IO_OUT(i, kind, value, addr)                                       \
	do {                                                               \
		struct io_insn *__xkvm_insn = &io_out[i];                  \
		__xkvm_insn->val = (value);                                \
		io_record(__xkvm_insn, XKVM_##kind, (unsigned long)(addr)); \
	} while (0)
#define IO_IN(i, kind, addr)                                               \
	do {                                                               \
		struct io_insn *__xkvm_insn = &io_out[i];                  \
		__xkvm_insn->val = 0;                                      \
		io_record(__xkvm_insn, XKVM_##kind, (unsigned long)(addr)); \
	} while (0)
void io_record(struct io_insn *insn, u8 kind, unsigned long addr);
void io_execute(struct io_insn *insn, unsigned int len, unsigned int room);
#define xkvm_io_coalesce(array, len) \
	io_execute(array, len, sizeof(array) / sizeof((array)[0]))

#else

#define XKVM_NOW_OUTB(value, addr) outb(value, addr)
#define XKVM_NOW_OUTW(value, addr) outw(value, addr)
#define XKVM_NOW_OUTL(value, addr) outl(value, addr)
#define XKVM_NOW_IOWRITE8(value, addr) iowrite8(value, addr)
#define XKVM_NOW_IOWRITE16(value, addr) iowrite16(value, addr)
#define XKVM_NOW_IOWRITE32(value, addr) iowrite32(value, addr)
#define XKVM_NOW_INB(addr) inb(addr)
#define XKVM_NOW_INW(addr) inw(addr)
#define XKVM_NOW_INL(addr) inl(addr)
#define XKVM_NOW_IOREAD8(addr) ioread8(addr)
#define XKVM_NOW_IOREAD16(addr) ioread16(addr)
#define XKVM_NOW_IOREAD32(addr) ioread32(addr)
#define IO_OUT(i, kind, value, addr)                              \
	do {                                                      \
		struct io_insn *__xkvm_insn = &io_out[i];         \
		__xkvm_insn->val = (value);                       \
		XKVM_NOW_##kind(__xkvm_insn->val, addr);          \
	} while (0)
#define IO_IN(i, kind, addr)                                      \
	do {                                                      \
		struct io_insn *__xkvm_insn = &io_out[i];         \
		__xkvm_insn->val = XKVM_NOW_##kind(addr);         \
	} while (0)
#define xkvm_io_coalesce(array, len) ((void)(array), (void)(len))

#endif
#endif
