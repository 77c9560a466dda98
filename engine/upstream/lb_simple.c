/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/base/check.h"
#include "engine/upstream/balancer.h"
#include "engine/upstream/up_impl.h"

/*
 * Balancers that need no state of their own: smooth weighted round robin (as nginx does it: each
 * peer gains its weight, the highest is picked and pays the sum), the lesser of two random choices
 * by active requests over weight (Mitzenmacher, 2001), and weighted random.
 */

static bool
is_tried(const struct pick *pick, const struct up_peer *peer)
{
	for (unsigned i = 0; i < pick->n_tried; i++) {
		if (addr_eq(&pick->tried[i]->addr, &peer->server->addr))
			return (true);
	}
	return (false);
}

/* The first after `i` that was not tried; `i` itself when all were. */
static struct up_peer *
untried(struct up_local *l, const struct pick *pick, unsigned i)
{
	for (unsigned k = 0; k < l->n_peers && pick->n_tried > 0; k++) {
		struct up_peer *peer = l->peers[(i + k) % l->n_peers];

		if (!is_tried(pick, peer))
			return (peer);
	}
	return (l->peers[i]);
}

static struct up_peer *
pick_round_robin(struct up_local *l, const struct pick *pick)
{
	struct up_peer *best = NULL;
	unsigned at = 0;

	for (unsigned i = 0; i < l->n_peers; i++) {
		struct up_peer *peer = l->peers[i];

		peer->rr_current += peer->server->weight;
		if (best == NULL || peer->rr_current > best->rr_current) {
			best = peer;
			at = i;
		}
	}
	best->rr_current -= (int64_t)l->weight_sum;
	return (untried(l, pick, at));
}

/* a/wa < b/wb without a division. */
static bool
is_less_loaded(const struct up_peer *a, const struct up_peer *b)
{
	return ((uint64_t)(a->active + 1) * b->server->weight <
	    (uint64_t)(b->active + 1) * a->server->weight);
}

static unsigned
weighted_index(struct up_local *l)
{
	uint64_t at = rnd_below(&l->worker->rnd, l->weight_sum);
	unsigned i = 0;

	if (l->weight_sum == l->n_peers)
		return ((unsigned)at);
	while (at >= l->peers[i]->server->weight)
		at -= l->peers[i++]->server->weight;
	return (i);
}

static struct up_peer *
pick_least_request(struct up_local *l, const struct pick *pick)
{
	unsigned a, b;

	if (l->n_peers == 1)
		return (l->peers[0]);
	a = (unsigned)rnd_below(&l->worker->rnd, l->n_peers);
	b = (unsigned)rnd_below(&l->worker->rnd, l->n_peers - 1);
	if (b >= a)
		b++;
	if (is_less_loaded(l->peers[b], l->peers[a]))
		a = b;
	return (untried(l, pick, a));
}

static struct up_peer *
pick_random(struct up_local *l, const struct pick *pick)
{
	return (untried(l, pick, weighted_index(l)));
}

const struct balancer_ops lb_round_robin = { .name = "round_robin", .pick = pick_round_robin };
const struct balancer_ops lb_least_request = { .name = "least_request", .pick = pick_least_request };
const struct balancer_ops lb_random = { .name = "random", .pick = pick_random };
