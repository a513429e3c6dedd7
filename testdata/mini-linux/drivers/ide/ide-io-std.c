// SPDX-License-Identifier: GPL-2.0
/*
 * The older kind of disk channel: the accessor is a function pointer, chosen at run time.
 * The guard `!mmio` tells that it is port I/O; otherwise the original code runs.
 */
#include <linux/io.h>
#include <linux/mini_disk.h>

void ide_tf_load(struct mini_channel *ch, struct mini_command *cmd, u8 valid)
{
	void (*tf_outb)(u8 value, unsigned long addr);
	u8 mmio = ch->mmio;

	if (mmio)
		tf_outb = ch->mm_write;
	else
		tf_outb = ch->port_write;

	if (valid & 0x01)
		tf_outb(cmd->count, ch->port + 2);
	if (valid & 0x02)
		tf_outb(cmd->lba_low, ch->port + 3);
	if (valid & 0x04)
		tf_outb(cmd->lba_mid, ch->port + 4);
	if (valid & 0x08)
		tf_outb(cmd->lba_high, ch->port + 5);
}

void ide_output_data(struct mini_channel *ch, void *buf, unsigned int bytes, int wide)
{
	if (wide)
		outsl(ch->port, buf, bytes / 4);
	else
		outsw(ch->port, buf, bytes / 2);
}
