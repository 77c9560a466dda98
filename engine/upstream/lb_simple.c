/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/base/check.h"
#include "engine/mem/alloc.h"
#include "engine/upstream/balancer.h"
#include "engine/upstream/up_impl.h"

/*
 * Balancers by chance and by turn. With equal weights they need no table; else random choices are
 * drawn from an alias table (Walker 1977, Vose 1991), and turns come from a heap of due times.
 */

bool
lb_is_tried(const struct pick *pick, const struct up_peer *peer)
{
	for (unsigned i = 0; i < pick->n_tried; i++) {
		CHECK_OBJ(pick->tried[i], SERVER_MAGIC);
		if (addr_eq(&pick->tried[i]->addr, &peer->server.addr))
			return (true);
	}
	return (false);
}

struct up_peer *
lb_untried(struct up_local *l, const struct pick *pick, unsigned i)
{
	for (unsigned k = 0; k < l->n_peers && pick->n_tried > 0; k++) {
		struct up_peer *peer = l->peers[(i + k) % l->n_peers];

		if (!lb_is_tried(pick, peer))
			return (peer);
	}
	return (l->peers[i]);
}

static bool
is_even(struct up_peer *const *peers, unsigned n)
{
	for (unsigned i = 1; i < n; i++) {
		if (peers[i]->server.weight != peers[0]->server.weight)
			return (false);
	}
	return (true);
}

/* ---- chance ---- */

/* Row i is drawn as often as any; below its limit it means i, else `other`. */
struct alias_row {
	uint64_t	 limit;		/* of weight_sum */
	uint32_t	 other;
};

struct alias {
	uint64_t	 weight_sum;
	struct alias_row row[];
};

/*
 * Each row is worth weight_sum; server i has weight * n to spread. A poor one leaves the rest of
 * its row to a rich one, which may become poor by that. `todo` holds the poor from the left and
 * the rich from the right.
 */
static void
fill_alias(struct alias *a, uint32_t *todo, struct up_peer *const *peers, unsigned n)
{
	unsigned poor = 0, rich = n;

	for (unsigned i = 0; i < n; i++) {
		a->row[i].limit = (uint64_t)peers[i]->server.weight * n;
		a->row[i].other = i;
		if (a->row[i].limit < a->weight_sum)
			todo[poor++] = i;
		else
			todo[--rich] = i;
	}
	while (poor > 0 && rich < n) {
		struct alias_row *small = &a->row[todo[--poor]];
		uint32_t giver = todo[rich];

		small->other = giver;
		a->row[giver].limit -= a->weight_sum - small->limit;
		if (a->row[giver].limit < a->weight_sum) {
			rich++;
			todo[poor++] = giver;
		}
	}
}

static bool
build_alias(struct up_local *l, struct up_peer *const *peers, unsigned n, void **state_r)
{
	struct alias *a;
	uint32_t *todo;

	(void)l;
	*state_r = NULL;
	if (is_even(peers, n))
		return (true);
	a = mem_try_malloc(sizeof *a + n * sizeof a->row[0]);
	todo = mem_try_calloc(n, sizeof *todo);
	if (a == NULL || todo == NULL) {
		xfree(a);
		xfree(todo);
		return (false);
	}
	a->weight_sum = 0;
	for (unsigned i = 0; i < n; i++)
		a->weight_sum += peers[i]->server.weight;
	fill_alias(a, todo, peers, n);
	xfree(todo);
	*state_r = a;
	return (true);
}

static unsigned
draw(struct up_local *l)
{
	unsigned i = (unsigned)rnd_below(&l->worker->rnd, l->n_peers);
	const struct alias *a = l->balance;

	if (a != NULL && rnd_below(&l->worker->rnd, a->weight_sum) >= a->row[i].limit)
		i = a->row[i].other;
	return (i);
}

static struct up_peer *
pick_random(struct up_local *l, const struct pick *pick)
{
	unsigned i = l->n_peers == 1 ? 0 : draw(l);

	return (pick->n_tried == 0 ? l->peers[i] : lb_untried(l, pick, i));
}

/*
 * By active requests over weight, without a division. When both are equally busy (idle, most
 * often) the first choice stays, which was drawn by weight.
 */
static bool
is_less_loaded(const struct up_peer *a, const struct up_peer *b)
{
	return ((uint64_t)a->active * b->server.weight < (uint64_t)b->active * a->server.weight);
}

/* The lesser of two random choices (Mitzenmacher, 2001). */
static struct up_peer *
pick_least_request(struct up_local *l, const struct pick *pick)
{
	unsigned a, b;

	if (l->n_peers == 1)
		return (l->peers[0]);
	a = draw(l);
	b = (unsigned)rnd_below(&l->worker->rnd, l->n_peers - 1);
	if (b >= a)
		b++;
	if (is_less_loaded(l->peers[b], l->peers[a]))
		a = b;
	return (pick->n_tried == 0 ? l->peers[a] : lb_untried(l, pick, a));
}

/* ---- turns ---- */

enum {
	/* A server's next turn is this much over its weight after its last. */
	TURN = 1 << 30
};

struct turn {
	uint64_t	 due;		/* wraps: compared by difference */
	uint32_t	 step;
	uint32_t	 peer;
};

/* A binary heap, the next one first. Equal weights: the cursor alone moves. */
struct turns {
	uint32_t	 cursor;
	bool		 even;
	struct turn	 heap[];
};

static bool
is_sooner(const struct turn *a, const struct turn *b)
{
	int64_t d = (int64_t)(a->due - b->due);

	if (d != 0)
		return (d < 0);
	return (a->step != b->step ? a->step < b->step : a->peer < b->peer);
}

static void
sink(struct turn *heap, unsigned n, unsigned i)
{
	struct turn t = heap[i];

	for (;;) {
		unsigned k = 2 * i + 1;

		if (k >= n)
			break;
		if (k + 1 < n && is_sooner(&heap[k + 1], &heap[k]))
			k++;
		if (!is_sooner(&heap[k], &t))
			break;
		heap[i] = heap[k];
		i = k;
	}
	heap[i] = t;
}

static uint32_t
next_turn(struct turns *t, unsigned n)
{
	uint32_t peer = t->heap[0].peer;

	t->heap[0].due += t->heap[0].step;
	sink(t->heap, n, 0);
	return (peer);
}

/* Workers begin at different places, so that the first server does not get all first requests. */
static bool
build_turns(struct up_local *l, struct up_peer *const *peers, unsigned n, void **state_r)
{
	bool even = is_even(peers, n);
	size_t rows = even ? 0 : n;
	struct turns *t = mem_try_calloc(1, sizeof *t + rows * sizeof t->heap[0]);

	*state_r = t;
	if (t == NULL)
		return (false);
	t->even = even;
	t->cursor = n == 0 ? 0 : (uint32_t)rnd_below(&l->worker->rnd, n);
	for (unsigned i = 0; i < rows; i++) {
		t->heap[i].step = TURN / peers[i]->server.weight;
		/* Spread over the first round: servers of one weight do not come in a row. */
		t->heap[i].due = (uint64_t)t->heap[i].step * (i + 1) / (n + 1);
		t->heap[i].peer = i;
	}
	for (size_t i = rows / 2; i-- > 0;)
		sink(t->heap, n, (unsigned)i);
	for (uint32_t i = 0; !even && i < t->cursor; i++)
		(void)next_turn(t, n);
	return (true);
}

static struct up_peer *
pick_round_robin(struct up_local *l, const struct pick *pick)
{
	struct turns *t = l->balance;
	unsigned i;

	if (t->even) {
		i = t->cursor;
		t->cursor = i + 1 < l->n_peers ? i + 1 : 0;
	} else {
		i = next_turn(t, l->n_peers);
	}
	return (pick->n_tried == 0 ? l->peers[i] : lb_untried(l, pick, i));
}

const struct balancer_ops lb_round_robin = {
	.name = "round_robin", .build = build_turns, .pick = pick_round_robin,
};
const struct balancer_ops lb_least_request = {
	.name = "least_request", .build = build_alias, .pick = pick_least_request,
};
const struct balancer_ops lb_random = {
	.name = "random", .build = build_alias, .pick = pick_random,
};
