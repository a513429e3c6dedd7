// SPDX-License-Identifier: GPL-2.0
#include <linux/io.h>

int first(int a, int b)
{
	return a + b;
}

int second(int a, int b)
{
	return a;
}

int third(int c, int d)
{
	int x, y, z;

	x = 1;
	y = 2;
	z = 3;

	if (c) {
		one();
	}

	return 0;
}

void fourth(void)
{
	one();

	two();
}
/* last */
