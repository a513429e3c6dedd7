// SPDX-License-Identifier: GPL-2.0
/*
 * A disk channel whose registers are iomap cookies: ports on a PC, memory elsewhere.
 * Shapes: conditional writes, conditional reads, a string write, a true dependency.
 */
#include <linux/io.h>
#include <linux/mini_disk.h>

/* Conditional writes: one batch with a running index. */
void ata_sff_tf_load(struct mini_channel *ch, const struct mini_command *cmd)
{
	if (cmd->flags & MINI_WIDE) {
		iowrite8(cmd->old_feature, ch->error);
		iowrite8(cmd->old_count, ch->count);
		iowrite8(cmd->old_low, ch->low);
		iowrite8(cmd->old_mid, ch->mid);
		iowrite8(cmd->old_high, ch->high);
	}

	if (cmd->flags & MINI_ADDRESS) {
		iowrite8(cmd->feature, ch->error);
		iowrite8(cmd->count, ch->count);
		/* low to high, as the disk wants it */
		iowrite8(cmd->lba_low, ch->low);
		iowrite8(cmd->lba_mid, ch->mid);
		iowrite8(cmd->lba_high, ch->high);
	}

	if (cmd->flags & MINI_SELECT)
		iowrite8(cmd->select, ch->select);

	mini_pause(1);
}

/* Reads: the values arrive when the batch is done. */
void ata_sff_tf_read(struct mini_channel *ch, struct mini_command *cmd)
{
	cmd->error = ioread8(ch->error);
	cmd->count = ioread8(ch->count);
	cmd->lba_low = ioread8(ch->low);
	cmd->lba_mid = ioread8(ch->mid);
	cmd->lba_high = ioread8(ch->high);
	cmd->select = ioread8(ch->select);
}

/* A pulse: three writes in a straight line. */
void ata_sff_pulse(struct mini_channel *ch, u8 control)
{
	iowrite8(control, ch->select);
	iowrite8(control | 0x04, ch->select);
	iowrite8(control, ch->select);
}

/* A string write: 256 exits a sector on stock KVM. */
unsigned int ata_sff_data_xfer(struct mini_channel *ch, u8 *buf, unsigned int bytes, int out)
{
	unsigned int words = bytes >> 1;

	if (out)
		iowrite16_rep(ch->data, buf, words);
	else
		ioread16_rep(ch->data, buf, words);
	return words << 1;
}

/* What is written depends on what was read: this must stay as it is. */
void ata_bmdma_begin(struct mini_channel *ch)
{
	u8 control;

	control = ioread8(ch->dma_control);
	iowrite8(control | 0x01, ch->dma_control);
}
