/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LINUX_MINI_DISK_H
#define _LINUX_MINI_DISK_H

#include <linux/types.h>

/* What one command needs; the old_* half is for addresses that do not fit. */
struct mini_command {
	unsigned int flags;
	u8 feature, count, lba_low, lba_mid, lba_high, select, opcode;
	u8 old_feature, old_count, old_low, old_mid, old_high;
	u8 status, error;
};

#define MINI_WIDE	0x01	/* the address needs the old_* half */
#define MINI_ADDRESS	0x02	/* there is an address at all */
#define MINI_SELECT	0x04	/* another disk than the last time */

struct mini_channel {
	void __iomem *data, *error, *count, *low, *mid, *high, *select, *status;
	void __iomem *dma_control, *dma_table;
	u32 table;
	unsigned long port;
	u8 mmio;
	void (*mm_write)(u8 value, unsigned long addr);
	void (*port_write)(u8 value, unsigned long addr);
};

#endif
