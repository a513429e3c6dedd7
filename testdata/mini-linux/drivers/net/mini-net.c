// SPDX-License-Identifier: GPL-2.0
/* A network card: reads into a statistics block, and an address written behind a window register. */
#include <linux/io.h>

struct mini_stats {
	u32 rx, tx, errors;
};

/* Reads that are added up one by one: each needs the one before only for its own sum. */
void mini_net_stats(unsigned long base, struct mini_stats *stats)
{
	u16 rx, tx, errors;

	outw(0x6, base + 0xe);
	rx = inw(base);
	tx = inw(base + 2);
	errors = inw(base + 4);
	stats->rx += rx;
	stats->tx += tx;
	stats->errors += errors;
}

void mini_net_address(unsigned long base, const u8 *mac)
{
	int i;

	outw(0x2, base + 0xe);
	/* a loop is not unrolled */
	for (i = 0; i < 6; i++)
		outb(mac[i], base + i);
	outw(0x1, base + 0xe);
}

/* The wait is what the driver wants: nothing may move across it. */
void mini_net_reset(unsigned long base)
{
	outw(0x8000, base + 0xe);
	mini_pause(10);
	outw(0, base + 0xe);
}
