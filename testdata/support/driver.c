// SPDX-License-Identifier: GPL-2.0
/* Uses everything that <linux/xkvm_io.h> gives to drivers. */
#include <linux/module.h>
#include <linux/init.h>
#include <linux/xkvm_io.h>

struct xd_regs {
	unsigned long base;
	void __iomem *cookie;
	u8 feature, count;
	unsigned int lba48:1, status:5;
	signed char sign;
};

/* The straight form: constant indices, operands with side effects */
int xd_straight(struct xd_regs *r, unsigned long block, int mmio);
int xd_straight(struct xd_regs *r, unsigned long block, int mmio)
{
	struct io_insn io_out[9];
	int status;

	if (mmio)
		return -1;
	IO_OUT(0, OUTB, r->feature, r->base + 1);
	IO_OUT(1, OUTB, block, r->base + 2);
	IO_OUT(2, OUTB, block >>= 8, r->base + 3);
	IO_OUT(3, OUTW, ~0x10, 0x170);
	IO_OUT(4, OUTL, r->lba48, r->base + 5);
	IO_IN(5, INB, r->base + 7);
	IO_IN(6, INW, r->base + 7);
	IO_IN(7, INL, r->base + 7);
	IO_IN(8, INB, r->base + 6);
	xkvm_io_coalesce(io_out, 9);
	status = IO_VAL(5);
	r->sign = IO_VAL(8);
	r->status = IO_VAL(7);
	return status + IO_VAL(6);
}

/* The conditional form: a running index */
unsigned int xd_conditional(struct xd_regs *r, int hob, int device);
unsigned int xd_conditional(struct xd_regs *r, int hob, int device)
{
	struct io_insn io_out[7];
	unsigned int io_len = 0;

	if (hob) {
		IO_OUT(io_len++, IOWRITE8, r->feature, r->cookie);
		IO_OUT(io_len++, IOWRITE8, r->count, r->cookie + 2);
	}
	if (device) {
		IO_OUT(io_len++, IOWRITE16, r->count, r->cookie + 4);
		IO_OUT(io_len++, IOWRITE32, r->count, r->cookie + 8);
	}
	xkvm_io_coalesce(io_out, io_len);

	io_len = 0;
	IO_IN(io_len++, IOREAD8, r->cookie);
	IO_IN(io_len++, IOREAD16, r->cookie + 2);
	IO_IN(io_len++, IOREAD32, r->cookie + 4);
	xkvm_io_coalesce(io_out, io_len);
	return IO_VAL(0) + IO_VAL(1) + IO_VAL(2);
}

void xd_strings(struct xd_regs *r, const void *out, void *in, unsigned int n);
void xd_strings(struct xd_regs *r, const void *out, void *in, unsigned int n)
{
	xkvm_outsb(r->base, out, n);
	xkvm_outsw(r->base, out, n);
	xkvm_outsl(r->base, out, n);
	xkvm_insb(r->base, in, n);
	xkvm_insw(r->base, in, n);
	xkvm_insl(r->base, in, n);
	xkvm_iowrite8_rep(r->cookie, out, n);
	xkvm_iowrite16_rep(r->cookie, out, n);
	xkvm_iowrite32_rep(r->cookie, out, n);
	xkvm_ioread8_rep(r->cookie, in, n);
	xkvm_ioread16_rep(r->cookie, in, n);
	xkvm_ioread32_rep(r->cookie, in, n);
}

MODULE_DESCRIPTION("Uses everything of the helper");
MODULE_LICENSE("GPL");
