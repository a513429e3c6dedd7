// SPDX-License-Identifier: GPL-2.0-only
/*
 * sector write|read DISK NUMBER FILE: one sector of the disk, past the page cache, from or to FILE.
 * busybox' dd cannot: its buffer does not lie where the kernel wants it, and it goes on with the page cache.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SIZE = 512 };

static char buffer[SIZE] __attribute__((aligned(4096)));

static int fail(const char *what)
{
	perror(what);
	return 1;
}

int main(int argc, char **argv)
{
	int out, disk, file;
	off_t at;

	if (argc != 5)
		return 2;
	out = strcmp(argv[1], "write") == 0;
	at = strtoll(argv[3], NULL, 10) * SIZE;
	disk = open(argv[2], O_DIRECT | (out ? O_WRONLY : O_RDONLY));
	if (disk < 0)
		return fail(argv[2]);
	file = out ? open(argv[4], O_RDONLY) : open(argv[4], O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (file < 0)
		return fail(argv[4]);
	if (out && read(file, buffer, SIZE) != SIZE)
		return fail("read");
	if ((out ? pwrite(disk, buffer, SIZE, at) : pread(disk, buffer, SIZE, at)) != SIZE)
		return fail("sector");
	if (!out && write(file, buffer, SIZE) != SIZE)
		return fail("write");
	return 0;
}
