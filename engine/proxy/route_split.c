/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <endian.h>

#include "engine/base/check.h"
#include "engine/base/rnd.h"
#include "engine/base/siphash.h"
#include "engine/proxy/route.h"

/*
 * Sticky shares by weighted rendezvous: each target draws, for this key, an exponentially
 * distributed time whose rate is its weight, and the earliest one wins. A target's draw depends on
 * the key and its name alone, so a changed weight moves keys only towards targets whose weight grew
 * more than that of the one they leave; a new target takes from the others what it needs, and one
 * that goes leaves its keys to them. Neither the order in the file nor the worker or the process
 * matters: gateways side by side agree. The time is -log2(draw) / weight, in integers, so that
 * machines of all kinds do too.
 */

/* Not those of balancers: within one target all keys must look alike to these. */
static const uint8_t key_of_keys[SIPHASH_KEY_BYTES] = "weir: split   k";
static const uint8_t key_of_names[SIPHASH_KEY_BYTES] = "weir: split   n";
static const uint8_t key_of_draws[SIPHASH_KEY_BYTES] = "weir: split   d";

enum {
	/* of a logarithm behind its point: with 7 before it and the 20 of a weight less than 64 */
	LOG_BITS = 36,
	DRAW_BITS = 64
};

_Static_assert(sizeof(unsigned long long) * 8 == DRAW_BITS, "for clzll");

uint64_t
route_split_seed(struct slice name)
{
	return (siphash(key_of_names, name.p, name.len));
}

/* -log2(x / 2^64): the bits behind the point by squaring what lies between 1 and 2. */
static uint64_t
minus_log2(uint64_t x)
{
	__extension__ typedef unsigned __int128 wide;
	unsigned zeros = (unsigned)__builtin_clzll(x);
	uint64_t bits = 0;

	x <<= zeros;
	for (unsigned i = 0; i < LOG_BITS; i++) {
		wide square = (wide)x * x;
		unsigned bit = (unsigned)(square >> (2 * DRAW_BITS - 1));

		x = (uint64_t)(square >> (DRAW_BITS - 1 + bit));
		bits = bits << 1 | bit;
	}
	return ((((uint64_t)zeros + 1) << LOG_BITS) - bits);
}

static uint32_t
weight_of(const struct route_split *s, unsigned i)
{
	return (s->v[i].upto - (i == 0 ? 0 : s->v[i - 1].upto));
}

bool
route_split_side(const struct route_split *s, const struct msg_req *req,
    const struct addr *client, unsigned *side_r)
{
	uint64_t draw[2], best = 0, best_weight = 0;

	if (!s->is_sticky || !lb_key_hash(&s->by, req, client, key_of_keys, &draw[0]))
		return (false);
	draw[0] = htole64(draw[0]);
	for (unsigned i = 0; i < s->n; i++) {
		uint64_t weight = weight_of(s, i), time;

		draw[1] = htole64(s->v[i].seed);
		time = minus_log2(siphash(key_of_draws, draw, sizeof draw) | 1);
		/* time / weight against the earliest so far */
		if (i > 0 && time * best_weight >= best * weight)
			continue;
		best = time;
		best_weight = weight;
		*side_r = i;
	}
	return (true);
}

unsigned
route_split_pick(const struct route_split *s, const struct msg_req *req,
    const struct addr *client, struct rnd *rnd)
{
	unsigned side = 0;
	uint32_t at;

	if (route_split_side(s, req, client, &side))
		return (side);
	at = (uint32_t)rnd_below(rnd, s->v[s->n - 1].upto);
	while (at >= s->v[side].upto)
		side++;
	return (side);
}
