// SPDX-License-Identifier: GPL-2.0
/* Index and data: writes and reads mixed, and accessors that also wait. */
#include <linux/io.h>

struct mini_time {
	u8 seconds, minutes, hours;
};

void mini_rtc_read(unsigned long base, struct mini_time *now)
{
	outb(0, base);
	now->seconds = inb(base + 1);
	outb(2, base);
	now->minutes = inb(base + 1);
	outb(4, base);
	now->hours = inb(base + 1);
}

/* The pause belongs to the access. */
void mini_rtc_set(unsigned long base, u8 reg, u8 value)
{
	outb_p(reg, base);
	outb_p(value, base + 1);
}
