/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "engine/mem/alloc.h"
#include "tests/unit/upstream/rig.h"

enum { MANY = 10000 };

static struct pick nothing;

static unsigned
index_of(const struct up_local *l, const struct up_peer *peer)
{
	for (unsigned i = 0; i < l->n_peers; i++) {
		if (l->peers[i] == peer)
			return (i);
	}
	fail_msg("a peer of another list");
	return (0);
}

static unsigned
pick_one(struct up_local *l, const struct pick *pick)
{
	return (index_of(l, l->upstream->balancer->pick(l, pick)));
}

/* How often each of up to 8 servers is picked in n picks. */
static void
count(struct up_local *l, unsigned n, unsigned *counts)
{
	memset(counts, 0, 8 * sizeof *counts);
	for (unsigned i = 0; i < n; i++)
		counts[pick_one(l, &nothing)]++;
}

#define assert_near(got, want, percent)                                                            \
	assert_in_range((got), (want) - (want) * (percent) / 100,                                  \
	    (want) + (want) * (percent) / 100)

static void
test_round_robin_equal(void **state)
{
	struct upstream *u;
	struct up_local *l;
	unsigned first;

	(void)state;
	rig_begin();
	u = rig_upstream(&lb_round_robin, "10.0.0.1:80 10.0.0.2:80 10.0.0.3:80");
	l = rig_local(u);
	first = pick_one(l, &nothing);
	for (unsigned i = 1; i < 30; i++)
		assert_int_equal(pick_one(l, &nothing), (first + i) % 3);
	rig_drop(&u);
	rig_end();
}

/* In any run of a whole round each server has its weight, give or take one. */
static void
test_round_robin_smooth(void **state)
{
	static const unsigned weights[] = { 5, 1, 1, 3 };
	enum { ROUND = 10, PICKS = 2000 };
	unsigned char seen[PICKS];
	struct upstream *u;
	struct up_local *l;

	(void)state;
	rig_begin();
	u = rig_upstream(&lb_round_robin, "10.0.0.1:80*5 10.0.0.2:80 10.0.0.3:80 10.0.0.4:80*3");
	l = rig_local(u);
	for (unsigned i = 0; i < PICKS; i++)
		seen[i] = (unsigned char)pick_one(l, &nothing);
	for (unsigned at = 0; at + ROUND <= PICKS; at++) {
		unsigned n[4] = { 0 };

		for (unsigned i = at; i < at + ROUND; i++)
			n[seen[i]]++;
		for (unsigned s = 0; s < 4; s++)
			assert_in_range(n[s], weights[s] - 1, weights[s] + 1);
	}
	rig_drop(&u);
	rig_end();
}

/* Turns are compared by difference: a long life does not upset them. */
static void
test_round_robin_long(void **state)
{
	struct upstream *u;
	struct up_local *l;
	unsigned n[8];

	(void)state;
	rig_begin();
	u = rig_upstream(&lb_round_robin, "10.0.0.1:80*1000 10.0.0.2:80*999 10.0.0.3:80");
	l = rig_local(u);
	count(l, 2000000, n);
	assert_in_range(n[0], 999990, 1000010);
	assert_in_range(n[1], 998990, 999010);
	assert_in_range(n[2], 998, 1002);
	rig_drop(&u);
	rig_end();
}

static void
test_random(void **state)
{
	struct upstream *u;
	struct up_local *l;
	unsigned n[8];

	(void)state;
	rig_begin();
	u = rig_upstream(&lb_random, "10.0.0.1:80*7 10.0.0.2:80*2 10.0.0.3:80 10.0.0.4:80*10");
	l = rig_local(u);
	count(l, 200000, n);
	assert_near(n[0], 70000, 3);
	assert_near(n[1], 20000, 3);
	assert_near(n[2], 10000, 4);
	assert_near(n[3], 100000, 3);
	rig_drop(&u);
	u = rig_upstream(&lb_random, "10.0.0.1:80 10.0.0.2:80");
	l = rig_local(u);
	count(l, 100000, n);
	assert_near(n[0], 50000, 3);
	rig_drop(&u);
	rig_end();
}

/* Idle servers get shares by weight; of two busy ones the lesser for its weight is picked. */
static void
test_least_request(void **state)
{
	struct upstream *u;
	struct up_local *l;
	unsigned n[8];

	(void)state;
	rig_begin();
	u = rig_upstream(&lb_least_request, "10.0.0.1:80*3 10.0.0.2:80");
	l = rig_local(u);
	count(l, 100000, n);
	assert_near(n[0], 75000, 3);
	assert_near(n[1], 25000, 3);
	l->peers[0]->active = 4;
	l->peers[1]->active = 1;
	count(l, 1000, n);
	assert_int_equal(n[1], 1000);
	l->peers[0]->active = 2;
	count(l, 1000, n);
	assert_int_equal(n[0], 1000);
	l->peers[0]->active = l->peers[1]->active = 0;
	rig_drop(&u);

	u = rig_upstream(&lb_least_request, "10.0.0.1:80 10.0.0.2:80 10.0.0.3:80 10.0.0.4:80");
	l = rig_local(u);
	l->peers[2]->active = 9;
	count(l, 100000, n);
	assert_int_equal(n[2], 0);
	assert_near(n[0], 33333, 4);
	l->peers[2]->active = 0;
	rig_drop(&u);
	rig_end();
}

/* Requests that last: with any weights the load follows them. */
static void
test_least_request_load(void **state)
{
	enum { STEPS = 200000, BUSY = 400 };
	struct upstream *u;
	struct up_local *l;
	unsigned char who[BUSY];
	unsigned sum[2] = { 0 };

	(void)state;
	rig_begin();
	u = rig_upstream(&lb_least_request, "10.0.0.1:80*3 10.0.0.2:80");
	l = rig_local(u);
	for (unsigned i = 0; i < STEPS; i++) {
		unsigned at = (unsigned)rnd_below(&rig_worker.rnd, BUSY);

		if (i >= BUSY)
			l->peers[who[at]]->active--;
		else
			at = i;
		who[at] = (unsigned char)pick_one(l, &nothing);
		l->peers[who[at]]->active++;
	}
	sum[0] = l->peers[0]->active;
	sum[1] = l->peers[1]->active;
	assert_in_range(sum[0], 295, 305);
	assert_in_range(sum[1], 95, 105);
	l->peers[0]->active = l->peers[1]->active = 0;
	rig_drop(&u);
	rig_end();
}

static void
test_tried(void **state)
{
	static const struct balancer_ops *all[] = { &lb_round_robin, &lb_least_request,
		&lb_random, &lb_hash };

	(void)state;
	rig_begin();
	for (unsigned b = 0; b < 4; b++) {
		struct upstream *u = rig_upstream(all[b],
		    "10.0.0.1:80*9 10.0.0.2:80 10.0.0.3:80 10.0.0.4:80");
		struct up_local *l = rig_local(u);
		struct pick pick = { .n_tried = 3 };

		pick.tried[0] = &l->peers[0]->server;
		pick.tried[1] = &l->peers[1]->server;
		pick.tried[2] = &l->peers[3]->server;
		for (unsigned i = 0; i < 200; i++)
			assert_int_equal(pick_one(l, &pick), 2);
		/* When none is left, one of them all the same. */
		pick.tried[pick.n_tried++] = &l->peers[2]->server;
		for (unsigned i = 0; i < 20; i++)
			assert_in_range(pick_one(l, &pick), 0, 3);
		rig_drop(&u);
	}
	rig_end();
}

/* ---- hashing ---- */

static struct msg_req req;

/* The address that a path goes to. */
static const struct addr *
where(struct up_local *l, unsigned key)
{
	struct pick pick = { .req = &req };
	static char path[32];	/* req, which others look at later, keeps it */

	req.path = slice_of(path, (size_t)snprintf(path, sizeof path, "/%u", key));
	return (&l->upstream->balancer->pick(l, &pick)->server.addr);
}

static struct upstream *
by_path(const char *servers)
{
	struct upstream *u = rig_upstream(&lb_hash, servers);

	rig_conf(u)->hash_by = UPSTREAM_HASH_PATH;
	return (u);
}

static void
test_hash_spread(void **state)
{
	struct upstream *u;
	struct up_local *l;
	unsigned n[8] = { 0 };

	(void)state;
	rig_begin();
	u = by_path("10.0.0.1:80 10.0.0.2:80*3 10.0.0.3:80 unix:/run/a.sock");
	l = rig_local(u);
	for (unsigned k = 0; k < 60000; k++) {
		const struct addr *a = where(l, k);

		assert_ptr_equal(a, where(l, k));
		for (unsigned i = 0; i < 4; i++)
			n[i] += addr_eq(a, &l->peers[i]->server.addr);
	}
	assert_near(n[0], 10000, 5);
	assert_near(n[1], 30000, 5);
	assert_near(n[2], 10000, 5);
	assert_near(n[3], 10000, 5);
	rig_drop(&u);
	rig_end();
}

/* One server of ten goes: its keys are spread, hardly any other moves. The file's order is nothing. */
static void
test_hash_stable(void **state)
{
	enum { KEYS = 20000 };
	struct upstream *u, *less, *other;
	unsigned moved = 0, homeless = 0;
	struct addr gone;

	(void)state;
	rig_begin();
	u = by_path("10.0.0.0:80 10.0.0.1:80 10.0.0.2:80 10.0.0.3:80 10.0.0.4:80 10.0.0.5:80 "
	    "10.0.0.6:80 10.0.0.7:80 10.0.0.8:80 10.0.0.9:80");
	less = by_path("10.0.0.0:80 10.0.0.1:80 10.0.0.2:80 10.0.0.4:80 10.0.0.5:80 "
	    "10.0.0.6:80 10.0.0.7:80 10.0.0.8:80 10.0.0.9:80");
	other = by_path("10.0.0.9:80 10.0.0.1:80 10.0.0.5:80 10.0.0.3:80 10.0.0.4:80 10.0.0.2:80 "
	    "10.0.0.6:80 10.0.0.0:80 10.0.0.8:80 10.0.0.7:80");
	assert_true(addr_parse(SLICE("10.0.0.3:80"), &gone));
	for (unsigned k = 0; k < KEYS; k++) {
		const struct addr *before = where(rig_local(u), k);

		assert_true(addr_eq(before, where(rig_local(other), k)));
		if (addr_eq(before, &gone))
			homeless++;
		else
			moved += !addr_eq(before, where(rig_local(less), k));
	}
	assert_near(homeless, KEYS / 10, 10);
	assert_in_range(moved, 0, KEYS * 3 / 100);
	rig_drop(&u);
	rig_drop(&less);
	rig_drop(&other);
	rig_end();
}

/* A request without the key goes anywhere, by weight. */
static void
test_hash_no_key(void **state)
{
	struct pick pick = { .req = &req };
	struct upstream *u;
	struct up_local *l;
	unsigned n[2] = { 0 };
	struct addr client;

	(void)state;
	rig_begin();
	u = rig_upstream(&lb_hash, "10.0.0.1:80*4 10.0.0.2:80");
	l = rig_local(u);
	for (unsigned i = 0; i < 20000; i++)
		n[pick_one(l, &pick)]++;
	assert_near(n[0], 16000, 5);
	/* With a client: always the same, whatever its port. */
	assert_true(addr_parse(SLICE("192.0.2.7:1"), &client));
	pick.client = &client;
	n[0] = pick_one(l, &pick);
	for (unsigned i = 0; i < 100; i++) {
		addr_set_port(&client, (uint16_t)(1000 + i));
		assert_int_equal(pick_one(l, &pick), n[0]);
	}
	rig_drop(&u);
	rig_end();
}

static unsigned
pick_by(struct up_local *l, const char *name, const char *value)
{
	struct arena *a = arena_new("headers");
	struct pick pick = { .req = &req };
	unsigned i;

	msg_req_init(&req, a);
	if (value != NULL)
		assert_true(headers_add(&req.m.headers, slice_str(name), slice_str(value)));
	i = pick_one(l, &pick);
	memset(&req, 0, sizeof req);
	arena_free(&a);
	return (i);
}

static void
test_hash_header_cookie(void **state)
{
	struct upstream *u;
	struct up_local *l;
	unsigned seen = 0;
	char text[64];

	(void)state;
	rig_begin();
	u = rig_upstream(&lb_hash, "10.0.0.1:80 10.0.0.2:80 10.0.0.3:80");
	rig_conf(u)->hash_by = UPSTREAM_HASH_HEADER;
	rig_conf(u)->hash_name = SLICE("X-User");
	l = rig_local(u);
	for (unsigned k = 0; k < 50; k++) {
		unsigned i;

		(void)snprintf(text, sizeof text, "user%u", k);
		i = pick_by(l, "x-user", text);
		assert_int_equal(pick_by(l, "X-USER", text), i);
		seen |= 1u << i;
	}
	assert_int_equal(seen, 7);
	rig_drop(&u);

	u = rig_upstream(&lb_hash, "10.0.0.1:80 10.0.0.2:80 10.0.0.3:80");
	rig_conf(u)->hash_by = UPSTREAM_HASH_COOKIE;
	rig_conf(u)->hash_name = SLICE("sid");
	l = rig_local(u);
	seen = 0;
	for (unsigned k = 0; k < 50; k++) {
		unsigned i;

		(void)snprintf(text, sizeof text, "sid=%u; a=b", k);
		i = pick_by(l, "Cookie", text);
		(void)snprintf(text, sizeof text, "x=y; sid=%u", k);
		assert_int_equal(pick_by(l, "Cookie", text), i);
		seen |= 1u << i;
	}
	assert_int_equal(seen, 7);
	rig_drop(&u);
	rig_end();
}

/* ---- many ---- */

static struct upstream_server *
many_servers(void)
{
	struct upstream_server *v = xcalloc(MANY, sizeof *v);
	char text[64];

	for (unsigned i = 0; i < MANY; i++) {
		size_t n = (size_t)snprintf(text, sizeof text, "10.1.%u.%u:80", i / 256, i % 256);

		assert_true(addr_parse(slice_of(text, n), &v[i].addr));
		v[i].text = SLICE("many");
		v[i].weight = 1 + i % 3;
	}
	return (v);
}

static void
test_many(void **state)
{
	static const struct balancer_ops *all[] = { &lb_round_robin, &lb_least_request,
		&lb_random, &lb_hash };
	struct upstream_server *v = many_servers();

	(void)state;
	rig_begin();
	for (unsigned b = 0; b < 4; b++) {
		struct upstream *u = rig_upstream_v(all[b], v, MANY);
		struct up_local *l;
		uint64_t weights = 0;

		rig_conf(u)->hash_by = UPSTREAM_HASH_PATH;
		l = rig_local(u);
		for (unsigned i = 0; i < 100000; i++) {
			if (all[b] == &lb_hash)
				(void)where(l, i);
			weights += l->upstream->balancer->pick(l, &(struct pick){ .req = &req })
			    ->server.weight;
		}
		/* By weight, picks weigh (1 + 4 + 9) / (1 + 2 + 3) on average. */
		if (all[b] != &lb_hash)
			assert_in_range(weights, 230000, 237000);
		rig_drop(&u);
	}
	rig_end();
	xfree(v);
}

/* Whatever allocation fails: no leak, and the list that was there goes on. */
static void
test_no_memory(void **state)
{
	static const struct balancer_ops *all[] = { &lb_round_robin, &lb_least_request, &lb_hash };

	(void)state;
	rig_begin();
	for (unsigned b = 0; b < 3; b++) {
		struct upstream *u = rig_upstream(all[b], "10.0.0.1:80*2 10.0.0.2:80");
		struct endset *more = rig_set("10.0.0.2:80 10.0.0.3:80*4 10.0.0.4:80");
		bool done = false;

		for (uint64_t at = 1; !done; at++) {
			mem_fail_at(at);
			done = pool_local(&rig_worker, u) != NULL;
			mem_fail_off();
		}
		done = false;
		for (uint64_t at = 1; !done; at++) {
			mem_fail_at(at);
			done = pool_swap(rig_local(u), more);
			mem_fail_off();
			assert_int_equal(rig_local(u)->n_peers, done ? 3 : 2);
			(void)pick_one(rig_local(u), &nothing);
		}
		endset_unref(&more);
		rig_drop(&u);
	}
	rig_end();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_robin_equal),
		cmocka_unit_test(test_round_robin_smooth),
		cmocka_unit_test(test_round_robin_long),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_least_request),
		cmocka_unit_test(test_least_request_load),
		cmocka_unit_test(test_tried),
		cmocka_unit_test(test_hash_spread),
		cmocka_unit_test(test_hash_stable),
		cmocka_unit_test(test_hash_no_key),
		cmocka_unit_test(test_hash_header_cookie),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_no_memory),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
