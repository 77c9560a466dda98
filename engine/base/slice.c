/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/base/slice.h"

/* Rows of 16; only rows 4 and 5 (0x41 to 0x5a) differ from the identity. */
#define ROW(b)                                                                                     \
	(b), (b) + 1, (b) + 2, (b) + 3, (b) + 4, (b) + 5, (b) + 6, (b) + 7, (b) + 8, (b) + 9,      \
	    (b) + 10, (b) + 11, (b) + 12, (b) + 13, (b) + 14, (b) + 15

const uint8_t slice_lower[256] = {
	ROW(0x00), ROW(0x10), ROW(0x20), ROW(0x30),
	'@', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o',
	'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z', '[', '\\', ']', '^', '_',
	ROW(0x60), ROW(0x70), ROW(0x80), ROW(0x90), ROW(0xa0), ROW(0xb0),
	ROW(0xc0), ROW(0xd0), ROW(0xe0), ROW(0xf0),
};

ssize_t
slice_find(struct slice s, struct slice needle)
{
	const char *at;

	if (needle.len == 0)
		return (0);
	at = s.len == 0 ? NULL : memmem(s.p, s.len, needle.p, needle.len);
	return (at == NULL ? -1 : at - s.p);
}
