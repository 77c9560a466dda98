/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/http/hdr_id.h"

#include <string.h>

#include "engine/http/headers.h"
#include "engine/http/hdr_id_table.def"

/* The flags as hdr.def spells them. */
enum {
	HOP = HDR_HOP,
	SECRET = HDR_SECRET,
	ONE = 0x80
};

const struct hdr_info hdr_info[HDR__MAX] = {
	[HDR_OTHER] = { SLICE_INIT(""), 0, false },
#define HDR(NAME, text, spelled, flags)                                                            \
	[HDR_##NAME] = { SLICE_INIT(text), (uint8_t)((flags) & ~ONE), ((flags) & ONE) != 0 },
#include "engine/http/hdr.def"
#undef HDR
};

const char *const hdr_spelled[HDR__MAX] = {
	[HDR_OTHER] = "",
#define HDR(NAME, text, spelled, flags) [HDR_##NAME] = spelled,
#include "engine/http/hdr.def"
#undef HDR
};

_Static_assert(HDR__MAX <= 255, "an id fits in a byte of struct hdr and of the slot table");

#define FOLD	0x2020202020202020u

/*
 * Setting bit 5 of every byte folds letters, and would also take control bytes for digits and
 * dashes: those have neither bit 5 nor bit 6, which no byte of a name lacks.
 */
static inline bool
have_control(uint64_t a, uint64_t b)
{
	return (((a | a << 1) & (b | b << 1) & 0x4040404040404040u) != 0x4040404040404040u);
}

static inline uint64_t
load4(const char *p)
{
	uint32_t w;

	memcpy(&w, p, sizeof(w));
	return (w);
}

static inline uint64_t
short_word(const char *p, size_t n)
{
	if (n >= 4)
		return (load4(p) | load4(p + n - 4) << 32);
	return ((FOLD & ~(uint64_t)0xffffff) | (uint64_t)(uint8_t)p[0] |
	    (uint64_t)(uint8_t)p[n / 2] << 8 | (uint64_t)(uint8_t)p[n - 1] << 16);
}

/* The bytes between the first and the last eight. */
static bool
middle_is(const char *p, const char *lower, size_t n)
{
	for (size_t i = 8; i + 8 < n; i += 8) {
		size_t at = i + 16 > n ? n - 16 : i;
		uint64_t w = slice_load8(p + at);

		if ((w | FOLD) != slice_load8(lower + at) || have_control(w, w))
			return (false);
	}
	return (true);
}

enum hdr_id
hdr_id_of(struct slice name)
{
	const struct hdr_info *info;
	uint64_t first, last, hash;
	uint8_t id;

	if (likely(name.len >= 8)) {
		first = slice_load8(name.p);
		last = slice_load8(name.p + name.len - 8);
	} else if (unlikely(name.len == 0)) {
		return (HDR_OTHER);
	} else {
		first = last = short_word(name.p, name.len);
	}
	if (unlikely(have_control(first, last)))
		return (HDR_OTHER);
	first |= FOLD;
	last |= FOLD;
	hash = ((first ^ (last << 23 | last >> 41)) + name.len) * HDR_ID_FACTOR;
	id = hdr_id_slots[hash >> (64 - HDR_ID_BITS)];
	info = &hdr_info[id];
	if (info->name.len != name.len)
		return (HDR_OTHER);
	if (name.len < 8)
		return ((short_word(info->name.p, name.len) | FOLD) == first ? id : HDR_OTHER);
	if (slice_load8(info->name.p) != first ||
	    slice_load8(info->name.p + name.len - 8) != last ||
	    (name.len > 16 && !middle_is(name.p, info->name.p, name.len)))
		return (HDR_OTHER);
	return (id);
}
