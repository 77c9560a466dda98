/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <stdlib.h>

#include "engine/base/check.h"
#include "engine/base/siphash.h"
#include "engine/mem/alloc.h"
#include "engine/upstream/balancer.h"
#include "engine/upstream/lb_key.h"
#include "engine/upstream/up_impl.h"
#include "engine/upstream/upstream.h"
#include "engine/upstream/upstream_conf.h"

/*
 * The same server for the same key: a Maglev table (Eisenbud et al., NSDI 2016, 3.4). Each server
 * has its own permutation of the slots; in turn, more often with more weight, each takes the next
 * slot of its permutation that is free. A pick is one lookup, and where a server comes or goes
 * nearly all keys of the others stay. The table depends on addresses and weights alone, not on
 * their order, the worker or the process: gateways side by side agree.
 */

/* Fixed, so that all processes agree. */
static const uint8_t key_of_keys[SIPHASH_KEY_BYTES] = "weir: balance k";
static const uint8_t key_of_offsets[SIPHASH_KEY_BYTES] = "weir: balance o";
static const uint8_t key_of_skips[SIPHASH_KEY_BYTES] = "weir: balance s";

enum {
	/* Slots to a server, so that shares are right within about 1 % (Maglev's own figure). */
	SLOTS_PER_SERVER = 100,
	/* Slots to one part of the weight's sum: a light server next to heavy ones. */
	SLOTS_PER_WEIGHT = 8,
	/* Slots looked at for a server that was not tried, before the list is walked. */
	PROBES_MAX = 256
};

/* A table's size is a prime, so that every skip gives a permutation. The last is 1 MiB. */
static const uint32_t sizes[] = { 1021, 4093, 16381, 65537, 262139 };

struct maglev {
	struct lb_key	 key;			/* its name is the part's, which outlives this */
	uint32_t	 n;
	uint32_t	 slot[];		/* index of a peer */
};

struct candidate {
	uint64_t	 offset, skip;
	uint64_t	 target;		/* has its turn when round * weight reaches it */
	uint32_t	 at;			/* the next slot of its permutation */
	uint32_t	 peer;
	uint32_t	 weight;
};

static int
by_offset(const void *pa, const void *pb)
{
	const struct candidate *a = pa, *b = pb;

	if (a->offset != b->offset)
		return (a->offset < b->offset ? -1 : 1);
	return (a->skip < b->skip ? -1 : a->skip > b->skip);
}

static uint32_t
table_size(struct up_peer *const *peers, unsigned n)
{
	uint64_t want = (uint64_t)n * SLOTS_PER_SERVER, weights = 0;
	unsigned i = 0;

	for (unsigned k = 0; k < n; k++)
		weights += peers[k]->server.weight;
	if (want < weights * SLOTS_PER_WEIGHT)
		want = weights * SLOTS_PER_WEIGHT;
	while (i + 1 < sizeof sizes / sizeof sizes[0] && sizes[i] < want)
		i++;
	return (sizes[i]);
}

/* The next free slot of this server's permutation is its own. */
static void
take_slot(struct maglev *m, struct candidate *c)
{
	while (m->slot[c->at] != UINT32_MAX) {
		c->at += (uint32_t)c->skip;
		if (c->at >= m->n)
			c->at -= m->n;
	}
	m->slot[c->at] = c->peer;
}

static void
fill(struct maglev *m, struct candidate *v, unsigned n)
{
	uint32_t heaviest = 1, left = m->n;

	for (unsigned i = 0; i < n; i++) {
		if (v[i].weight > heaviest)
			heaviest = v[i].weight;
	}
	for (uint32_t i = 0; i < m->n; i++)
		m->slot[i] = UINT32_MAX;
	for (uint64_t round = 1; left > 0; round++) {
		for (unsigned i = 0; i < n && left > 0; i++) {
			if (round * v[i].weight < v[i].target)
				continue;
			v[i].target += heaviest;
			take_slot(m, &v[i]);
			left--;
		}
	}
}

static void
list_candidates(struct candidate *v, uint32_t slots, struct up_peer *const *peers, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		const struct server *s = &peers[i]->server;

		v[i].offset = addr_hash(&s->addr, key_of_offsets);
		v[i].at = (uint32_t)(v[i].offset % slots);
		v[i].skip = addr_hash(&s->addr, key_of_skips) % (slots - 1) + 1;
		v[i].peer = i;
		v[i].weight = s->weight;
	}
	qsort(v, n, sizeof *v, by_offset);
}

static bool
build_hash(struct up_local *l, struct up_peer *const *peers, unsigned n, void **state_r)
{
	uint32_t slots = table_size(peers, n);
	const struct upstream_conf *conf = l->upstream->conf;
	struct candidate *v;
	struct maglev *m;

	*state_r = NULL;
	if (n == 0)
		return (true);
	v = mem_try_calloc(n, sizeof *v);
	m = mem_try_malloc(sizeof *m + slots * sizeof m->slot[0]);
	if (v == NULL || m == NULL) {
		xfree(v);
		xfree(m);
		return (false);
	}
	m->key = lb_key_make(conf->hash_by, conf->hash_name);
	m->n = slots;
	list_candidates(v, slots, peers, n);
	fill(m, v, n);
	xfree(v);
	*state_r = m;
	return (true);
}

/* Requests without the key are spread by chance, by weight. */
static struct up_peer *
pick_hash(struct up_local *l, const struct pick *pick)
{
	const struct maglev *m = l->balance;
	uint64_t hash;
	uint32_t at, i;

	if (lb_key_hash(&m->key, pick->req, pick->client, key_of_keys, &hash))
		at = (uint32_t)(hash % m->n);
	else
		at = (uint32_t)rnd_below(&l->worker->rnd, m->n);
	i = m->slot[at];
	if (pick->n_tried == 0)
		return (l->peers[i]);
	/* The next slots' servers: the keys of one that fails are spread over the others. */
	for (unsigned k = 0; k < PROBES_MAX; k++) {
		struct up_peer *peer = l->peers[m->slot[(at + k) % m->n]];

		if (!lb_is_tried(pick, peer))
			return (peer);
	}
	return (lb_untried(l, pick, i));
}

static bool
is_settled(const struct up_local *l, const struct pick *pick)
{
	const struct maglev *m = l->balance;
	uint64_t hash;

	return (lb_key_hash(&m->key, pick->req, pick->client, key_of_keys, &hash));
}

const struct balancer_ops lb_hash = { .name = "hash", .build = build_hash,
	.pick = pick_hash, .is_settled = is_settled };
