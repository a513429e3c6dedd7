// SPDX-License-Identifier: GPL-2.0
/* Straight writes behind an index register, and two runs that a preprocessor line keeps apart. */
#include <linux/io.h>

#define GPIO_REG(base, n)	((base) + 4 * (n))

void mini_gpio_init(unsigned long base, u32 direction, u32 level)
{
	outl(0xffffffff, GPIO_REG(base, 0));	/* all off */
	outl(direction, GPIO_REG(base, 1));
	outl(level, GPIO_REG(base, 2));
	outl(level >>= 16, GPIO_REG(base, 3));
}

void mini_gpio_stop(unsigned long base)
{
	outl(0, GPIO_REG(base, 1));
#ifdef CONFIG_MINI_GPIO_QUIET
	outl(0, GPIO_REG(base, 2));
#endif
	outl(0, GPIO_REG(base, 3));
}
