// SPDX-License-Identifier: GPL-2.0
/* A status poll: the driver looks at the device between two writes. */
#include <linux/io.h>

void mini_serial_put(unsigned long base, const char *text)
{
	while (*text) {
		while (!(inb(base + 5) & 0x20))
			;
		outb(*text++, base);
	}
}

void mini_serial_set(unsigned long base, u16 divisor)
{
	u8 line = inb(base + 3);

	outb(line | 0x80, base + 3);
	outb(divisor & 0xff, base);
	outb(divisor >> 8, base + 1);
	outb(line, base + 3);
}
