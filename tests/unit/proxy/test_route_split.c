/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/addr.h"
#include "engine/base/rnd.h"
#include "engine/http/msg.h"
#include "engine/mem/arena.h"
#include "engine/proxy/route.h"

enum { KEYS = 100000, TARGETS_MAX = 4 };

static struct arena *arena;
static struct msg_req req;

static int
set_up(void **state)
{
	(void)state;
	arena = arena_new("test");
	return (0);
}

static int
tear_down(void **state)
{
	(void)state;
	arena_free(&arena);
	return (0);
}

/* "a:95 b:5" by the value of X-User; its name stands for an upstream's slot. */
static struct route_split *
split(const char *targets)
{
	struct route_split *s = arena_zalloc(arena, sizeof *s + TARGETS_MAX * sizeof s->v[0]);
	struct slice rest = slice_str(targets), word, name;
	uint32_t sum = 0;

	s->is_sticky = true;
	s->by = lb_key_make(UPSTREAM_HASH_HEADER, SLICE("X-User"));
	while (slice_split(&rest, ' ', &word)) {
		assert_true(s->n < TARGETS_MAX);
		assert_true(slice_split(&word, ':', &name));
		sum += (uint32_t)strtoul(word.p, NULL, 10);
		s->v[s->n].upstream = (uint32_t)name.p[0];
		s->v[s->n].seed = route_split_seed(name);
		s->v[s->n++].upto = sum;
	}
	return (s);
}

static unsigned
side_of(const struct route_split *s, unsigned user)
{
	char text[24];
	unsigned side = UINT32_MAX;

	(void)snprintf(text, sizeof text, "user-%u", user);
	msg_req_init(&req, arena);
	assert_true(headers_add(&req.m.headers, SLICE("x-user"), slice_str(text)));
	assert_true(route_split_side(s, &req, NULL, &side));
	arena_reset(arena);
	return (side);
}

/* The first letter of the target's name for each user. */
static char *
sides(const char *targets)
{
	struct route_split *made = split(targets), *s = malloc(sizeof *s + sizeof s->v[0] * TARGETS_MAX);
	char *all = malloc(KEYS);

	memcpy(s, made, sizeof *s + sizeof s->v[0] * TARGETS_MAX);
	for (unsigned i = 0; i < KEYS; i++)
		all[i] = (char)s->v[side_of(s, i)].upstream;
	free(s);
	return (all);
}

static unsigned
count(const char *all, char name)
{
	unsigned n = 0;

	for (unsigned i = 0; i < KEYS; i++)
		n += all[i] == name;
	return (n);
}

/* Within five standard deviations. */
static void
assert_share(const char *all, char name, double share)
{
	double n = count(all, name), want = share * KEYS, off = n - want;

	if (off * off > 25 * want * (1 - share))
		fail_msg("%c: %.0f of %u, not %.0f", name, n, (unsigned)KEYS, want);
}

static unsigned
moved(const char *before, const char *after, char from, char to)
{
	unsigned n = 0;

	for (unsigned i = 0; i < KEYS; i++)
		n += before[i] != after[i] && (from == 0 || before[i] == from) &&
		    (to == 0 || after[i] == to);
	return (n);
}

static void
test_shares(void **state)
{
	char *all = sides("a:95 b:5"), *again = sides("a:95 b:5");

	(void)state;
	assert_share(all, 'a', 0.95);
	assert_share(all, 'b', 0.05);
	assert_int_equal(moved(all, again, 0, 0), 0);
	free(all);
	free(again);
	all = sides("a:1 b:2 c:3 d:4");
	assert_share(all, 'a', 0.1);
	assert_share(all, 'b', 0.2);
	assert_share(all, 'c', 0.3);
	assert_share(all, 'd', 0.4);
	free(all);
	/* The largest weights there are beside the least. */
	all = sides("a:1000000 b:1000");
	assert_share(all, 'b', 1000.0 / 1001000);
	free(all);
}

/* The file's order and the weights' common factor mean nothing. */
static void
test_same_shares(void **state)
{
	char *all = sides("a:95 b:5"), *turned = sides("b:5 a:95"), *large = sides("a:190 b:10");

	(void)state;
	assert_int_equal(moved(all, turned, 0, 0), 0);
	assert_int_equal(moved(all, large, 0, 0), 0);
	free(all);
	free(turned);
	free(large);
}

static void
test_least_moves(void **state)
{
	char *before = sides("a:95 b:5"), *after = sides("a:90 b:10");

	(void)state;
	/* Exactly those that b gained. */
	assert_int_equal(moved(before, after, 'b', 'a'), 0);
	assert_int_equal(moved(before, after, 'a', 'b'), count(after, 'b') - count(before, 'b'));
	assert_share(after, 'b', 0.10);
	free(after);

	/* Another target takes from both, and nothing moves between those. */
	after = sides("a:95 b:5 c:25");
	assert_int_equal(moved(before, after, 0, 0), count(after, 'c'));
	assert_share(after, 'c', 0.2);
	free(before);

	/* One that goes leaves its own alone. */
	before = after;
	after = sides("a:95 c:25");
	assert_int_equal(moved(before, after, 0, 0), count(before, 'b'));
	free(before);
	free(after);

	/* Of three, two grow alike: nothing moves between them. */
	before = sides("a:90 b:5 c:5");
	after = sides("a:80 b:10 c:10");
	assert_int_equal(moved(before, after, 'b', 0) + moved(before, after, 'c', 0), 0);
	free(before);
	free(after);
}

static void
test_no_key(void **state)
{
	struct route_split *s = split("a:3 b:1");
	unsigned side = 7, n[2] = { 0 };
	struct addr client;
	struct rnd rnd;

	(void)state;
	msg_req_init(&req, arena);
	assert_false(route_split_side(s, &req, NULL, &side));
	assert_int_equal(side, 7);
	rnd_init_seed(&rnd, 1);
	for (unsigned i = 0; i < 4000; i++)
		n[route_split_pick(s, &req, NULL, &rnd)]++;
	assert_in_range(n[0], 2860, 3140);	/* 3000, five standard deviations */
	s->by = lb_key_make(UPSTREAM_HASH_CLIENT_IP, SLICE(""));
	assert_false(route_split_side(s, &req, NULL, &side));
	assert_true(addr_parse_ip(SLICE("192.0.2.1"), &client));
	assert_true(route_split_side(s, &req, &client, &side));
	s->is_sticky = false;
	assert_false(route_split_side(s, &req, &client, &side));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_shares, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_same_shares, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_least_moves, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_key, set_up, tear_down),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
