/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/mem/alloc.h"
#include "engine/proxy/facts.h"
#include "engine/proxy/gate.h"
#include "engine/proxy/proxy_stats.h"
#include "engine/proxy/route.h"
#include "engine/stats/stats.h"
#include "engine/upstream/upstream.h"

enum { COST_ROUNDS = 100000, COST_NS = 100 };

#define ANY	SLICE_NONE
#define L(...)	((const struct slice[]){ __VA_ARGS__ })

struct rig {
	struct worker		 w;
	struct proxy_local	 pl;
	struct snapshot		 snap;
	struct snapshot_use	 use;
	struct stats		*stats;
	struct listener		 listener;
	struct listener_local	 local;
	struct route		 routes[8];
	struct upstream		 upstream;
	struct msg_req		 req;
	struct facts		 f;
};

static int
setup(void **state)
{
	static char names[8][8];
	struct rig *r = xcalloc(1, sizeof *r);

	assert_null(worker_init(&r->w, 0, 16));
	r->stats = stats_new();
	r->w.stats = stats_shard_new(r->stats);
	r->w.slot[WORKER_SLOT_PROXY] = &r->pl;
	r->snap.generation = 1;
	r->use.snap = &r->snap;
	r->w.snap = &r->use;
	assert_null(proxy_stats_enter(&r->w, &r->pl.stats));
	assert_non_null(r->pl.stats);
	r->listener.name = SLICE("web");
	r->local.listener = &r->listener;
	r->local.worker = &r->w;
	r->upstream.part.name = SLICE("users");
	for (unsigned i = 0; i < array_len(r->routes); i++) {
		(void)snprintf(names[i], sizeof names[i], "r%u", i);
		r->routes[i].name = slice_str(names[i]);
	}
	r->f = (struct facts){ .req = &r->req, .listener = &r->listener, .route = &r->routes[0],
		.upstream = &r->upstream, .status = 200, .duration_us = 700, .bytes_in = 100,
		.bytes_out = 1000 };
	*state = r;
	return (0);
}

static int
teardown(void **state)
{
	struct rig *r = *state;

	proxy_stats_leave(&r->pl.stats);
	worker_fini(&r->w);
	stats_free(&r->stats);
	xfree(r);
	return (0);
}

static int64_t
requests(struct rig *r, struct slice route, struct slice code, struct slice reason)
{
	return (stats_value(r->stats, STATS_REQUESTS, L(ANY, route, ANY, code, reason)));
}

static void
a_request_is_counted(void **state)
{
	struct rig *r = *state;
	struct stats_sums sums;

	for (unsigned i = 0; i < 3; i++)
		proxy_stats_request(&r->w, &r->f);
	assert_int_equal(requests(r, SLICE("r0"), SLICE("200"), SLICE("")), 3);
	assert_int_equal(stats_value(r->stats, STATS_REQUEST_BYTES, L(ANY, SLICE("r0"))), 300);
	assert_int_equal(stats_value(r->stats, STATS_RESPONSE_BYTES, L(ANY, SLICE("r0"))), 3000);
	sums = stats_collect(r->stats, STATS_REQUEST_DURATION);
	assert_int_equal(sums.n, 1);
	assert_int_equal(hist_count_upto(sums.v[0]->hist, 600), 0);
	assert_int_equal(hist_count_upto(sums.v[0]->hist, 700), 3);
}

static void
outcomes_are_told_apart(void **state)
{
	struct rig *r = *state;

	proxy_stats_request(&r->w, &r->f);
	r->f.status = 504;
	r->f.reason = REASON_UPSTREAM_TIMEOUT;
	proxy_stats_request(&r->w, &r->f);
	r->f = (struct facts){ .req = &r->req, .listener = &r->listener,
		.reason = REASON_CLIENT_STALLED };
	proxy_stats_request(&r->w, &r->f);
	assert_int_equal(requests(r, SLICE("r0"), SLICE("200"), SLICE("")), 1);
	assert_int_equal(requests(r, SLICE("r0"), SLICE("504"), SLICE("upstream_timeout")), 1);
	assert_int_equal(requests(r, SLICE(""), SLICE("0"), SLICE("client_stalled")), 1);
}

static void
many_combinations(void **state)
{
	struct rig *r = *state;
	uint64_t allocs = 0;

	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < 8 * 200; i++) {
			r->f.route = &r->routes[i % 8];
			r->f.status = (uint16_t)(200 + i / 8);
			proxy_stats_request(&r->w, &r->f);
		}
		if (round > 0)
			assert_int_equal(mem_alloc_count(), allocs);
		allocs = mem_alloc_count();
	}
	assert_int_equal(requests(r, ANY, ANY, ANY), 3 * 8 * 200);
	assert_int_equal(requests(r, SLICE("r3"), ANY, ANY), 3 * 200);
	assert_int_equal(requests(r, SLICE("r3"), SLICE("399"), ANY), 3);
}

/* Each time that a set finds its metric full is counted, so looking things up anew would show. */
static void
many_routes_are_remembered(void **state)
{
	enum { ROUTES = 3000, NAME_BYTES = 8 };
	struct route *routes = xcalloc(ROUTES, sizeof *routes);
	char (*names)[NAME_BYTES] = xcalloc(ROUTES, NAME_BYTES);
	const unsigned n_hists = stats_info(STATS_REQUEST_DURATION)->max;
	const unsigned n_bytes = stats_info(STATS_REQUEST_BYTES)->max;
	struct rig *r = *state;
	int64_t refused = 0, now;

	for (unsigned round = 0; round < 4; round++) {
		for (unsigned i = 0; i < ROUTES; i++) {
			(void)snprintf(names[i], NAME_BYTES, "m%u", i);
			routes[i].name = slice_str(names[i]);
			r->f.route = &routes[i];
			proxy_stats_request(&r->w, &r->f);
		}
		now = stats_value(r->stats, STATS_FOLDED, L(ANY));
		/* A few may be in each other's way. While the table grows all are looked up. */
		if (round > 1)
			assert_true(now - refused < ROUTES / 20);
		refused = now;
	}
	assert_true(refused >= ROUTES - n_hists + 2 * (ROUTES - n_bytes));
	assert_int_equal(requests(r, SLICE("m2999"), ANY, ANY), 4);
	xfree(names);
	xfree(routes);
}

/* After a reload another route may lie where one was. */
static void
a_generation_forgets(void **state)
{
	struct rig *r = *state;

	proxy_stats_request(&r->w, &r->f);
	r->routes[0].name = SLICE("another");
	r->snap.generation = 2;
	proxy_stats_request(&r->w, &r->f);
	assert_int_equal(requests(r, SLICE("r0"), ANY, ANY), 1);
	assert_int_equal(requests(r, SLICE("another"), ANY, ANY), 1);
}

static void
connections(void **state)
{
	struct rig *r = *state;

	for (unsigned i = 0; i < 5; i++)
		proxy_stats_opened(&r->local);
	proxy_stats_closed(&r->local);
	assert_int_equal(stats_value(r->stats, STATS_CONNECTIONS, L(SLICE("web"))), 4);
	assert_int_equal(stats_value(r->stats, STATS_CONNECTIONS_OPENED, L(SLICE("web"))), 5);
}

static void
no_shard(void **state)
{
	struct rig *r = *state;
	struct proxy_stats *ps = r->pl.stats, *none;

	r->w.stats = NULL;
	assert_null(proxy_stats_enter(&r->w, &none));
	assert_null(none);
	proxy_stats_leave(&none);
	r->pl.stats = NULL;
	proxy_stats_request(&r->w, &r->f);
	proxy_stats_opened(&r->local);
	proxy_stats_closed(&r->local);
	r->pl.stats = ps;
}

static void
turns_of_the_loop(void **state)
{
	struct rig *r = *state;

	for (unsigned i = 0; i < 4; i++)
		loop_turn(r->w.loop, false);
	assert_int_equal(hist_count(stats_collect(r->stats, STATS_WORKER_LOOP).v[0]->hist), 4);
}

static void
cost(void **state)
{
	struct rig *r = *state;
	uint64_t best = UINT64_MAX;

	for (unsigned round = 0; round < 10; round++) {
		uint64_t begin = clock_mono_us(), took;

		for (unsigned i = 0; i < COST_ROUNDS; i++) {
			r->f.route = &r->routes[i % 8];
			r->f.status = (uint16_t)(200 + i % 3);
			r->f.duration_us = i;
			proxy_stats_request(&r->w, &r->f);
		}
		took = (clock_mono_us() - begin) * 1000 / COST_ROUNDS;
		best = took < best ? took : best;
	}
	print_message("a request: %llu ns\n", (unsigned long long)best);
#if defined(__OPTIMIZE__) && !CC_ASAN && !defined(__SANITIZE_THREAD__)
	assert_true(best <= COST_NS);
#endif
}

int
main(void)
{
#define TEST(fn)	cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_request_is_counted), TEST(outcomes_are_told_apart), TEST(many_combinations),
		TEST(many_routes_are_remembered), TEST(a_generation_forgets), TEST(connections),
		TEST(no_shard), TEST(turns_of_the_loop), TEST(cost),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
