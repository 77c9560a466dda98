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
#include "engine/upstream/names.h"
#include "tests/unit/upstream/rig.h"

static struct worker main_worker;
static struct worker *workers[] = { &rig_worker };
static struct upstream_names *names;
static struct upstream *u;
static unsigned n_ready;

static int
setup(void **state)
{
	(void)state;
	rig_begin();
	n_ready = 0;
	assert_null(worker_init(&main_worker, WORKER_MAIN, 16));
	names = upstream_names_new(&main_worker, workers, 1);
	assert_non_null(names);
	u = rig_upstream(&lb_round_robin, "10.9.9.9:80 a.test:81*2");
	return (0);
}

static int
teardown(void **state)
{
	(void)state;
	sim_run_until_idle();
	upstream_names_free(&names);
	if (u != NULL)
		rig_drop(&u);
	worker_fini(&main_worker);
	rig_end();
	return (0);
}

static void
on_ready(void *arg)
{
	assert_ptr_equal(arg, &n_ready);
	n_ready++;
}

static void
prepare(struct upstream *one)
{
	assert_true(upstream_names_prepare(names, &one, one != NULL, on_ready, &n_ready));
}

/* The worker's servers now, as "address*weight ...". */
static const char *
servers_of(struct upstream *one)
{
	static char text[512];
	struct up_local *l;
	size_t n = 0;

	sim_run_until_idle();
	l = rig_local(one);
	text[0] = '\0';
	for (unsigned i = 0; i < l->n_peers; i++) {
		const struct server *s = &l->peers[i]->server;

		n += (size_t)snprintf(text + n, sizeof text - n, SLICE_FMT "*%u ",
		    SLICE_ARG(s->address), s->weight);
	}
	return (text);
}

static void
test_first(void **state)
{
	(void)state;
	sim_name("a.test", "10.0.0.1,::1", 30);
	prepare(u);
	assert_int_equal(n_ready, 0);
	upstream_names_wait(names);
	assert_int_equal(n_ready, 1);
	/* Not published yet: workers will begin with it. */
	upstream_names_commit(names);
	assert_string_equal(servers_of(u), "10.9.9.9:80*1 10.0.0.1:81*2 [::1]:81*2 ");
	assert_true(slice_eq(rig_local(u)->peers[2]->server.name, SLICE("a.test:81")));
}

static void
test_follows(void **state)
{
	unsigned n_idle, n_connects;
	struct sim_conn *c;

	(void)state;
	sim_name("a.test", "10.0.0.1,10.0.0.2", 30);
	prepare(u);
	upstream_names_wait(names);
	upstream_names_commit(names);
	assert_string_equal(servers_of(u), "10.9.9.9:80*1 10.0.0.1:81*2 10.0.0.2:81*2 ");
	sim_server("10.0.0.2:81", SIM_ACCEPT);
	/* An idle connection to an address that stays, and one to an address that goes. */
	sim_server("10.0.0.1:81", SIM_ACCEPT);
	sim_server("10.9.9.9:80", SIM_ACCEPT);
	while (rig_local(u)->peers[1]->n_idle == 0 || rig_local(u)->peers[2]->n_idle == 0) {
		struct rig_shot *s = rig_shoot_fresh(u, "GET");

		sim_run_until_idle();
		c = sim_server_take(s->server);
		assert_non_null(c);
		sim_send(c, SLICE(RIG_OK));
		sim_run_until_idle();
		rig_forget(&s);
	}
	n_idle = rig_local(u)->peers[2]->n_idle;
	n_connects = sim_server_count("10.0.0.2:81");
	sim_name("a.test", "10.0.0.2,10.0.0.3", 30);
	sim_advance(29999);
	assert_string_equal(servers_of(u), "10.9.9.9:80*1 10.0.0.1:81*2 10.0.0.2:81*2 ");
	assert_int_equal(rig_local(u)->peers[2]->n_idle, n_idle);
	sim_advance(3001);
	assert_string_equal(servers_of(u), "10.9.9.9:80*1 10.0.0.2:81*2 10.0.0.3:81*2 ");
	assert_int_equal(rig_local(u)->peers[1]->n_idle, n_idle);
	assert_int_equal(sim_server_count("10.0.0.2:81"), n_connects);
}

/* Another order is the same answer: nothing is swapped. */
static void
test_order(void **state)
{
	struct up_peer **before;

	(void)state;
	sim_name("a.test", "10.0.0.1,10.0.0.2", 1);
	prepare(u);
	upstream_names_wait(names);
	upstream_names_commit(names);
	(void)servers_of(u);
	before = rig_local(u)->peers;
	sim_name("a.test", "10.0.0.2,10.0.0.1", 1);
	sim_advance(10000);
	(void)servers_of(u);
	assert_ptr_equal(rig_local(u)->peers, before);
}

static void
test_failures(void **state)
{
	(void)state;
	sim_name("a.test", "10.0.0.1", 0);	/* the floor is 1 s */
	prepare(u);
	upstream_names_wait(names);
	upstream_names_commit(names);
	sim_name_fails("a.test", true);
	sim_advance(60000);
	assert_string_equal(servers_of(u), "10.9.9.9:80*1 10.0.0.1:81*2 ");
	sim_name("a.test", NULL, 0);
	sim_advance(60000);
	assert_string_equal(servers_of(u), "10.9.9.9:80*1 10.0.0.1:81*2 ");
	sim_name("a.test", "10.0.0.4", 5);
	sim_advance(33000);
	assert_string_equal(servers_of(u), "10.9.9.9:80*1 10.0.0.4:81*2 ");
}

/* A long time to live is cut: the name is asked again within minutes. */
static void
test_cap(void **state)
{
	(void)state;
	sim_name("a.test", "10.0.0.1", 86400);
	prepare(u);
	upstream_names_wait(names);
	upstream_names_commit(names);
	sim_name("a.test", "10.0.0.2", 86400);
	sim_advance(299000);
	assert_string_equal(servers_of(u), "10.9.9.9:80*1 10.0.0.1:81*2 ");
	sim_advance(32000);
	assert_string_equal(servers_of(u), "10.9.9.9:80*1 10.0.0.2:81*2 ");
}

static void
test_unresolved(void **state)
{
	struct rig_shot *s;

	(void)state;
	rig_drop(&u);
	u = rig_upstream(&lb_least_request, "a.test:80");
	prepare(u);
	upstream_names_wait(names);		/* a bad answer is an answer */
	assert_int_equal(n_ready, 1);
	upstream_names_commit(names);
	s = rig_shoot(u, "GET", NULL);
	sim_run_until_idle();
	assert_int_equal(s->fault.reason, REASON_UPSTREAM_UNRESOLVED);
	rig_forget(&s);
	sim_name("a.test", "10.0.0.1", 5);
	sim_advance(3000);
	assert_string_equal(servers_of(u), "10.0.0.1:80*1 ");
}

/* A part that takes another's place knows its names at once; the one before is watched no more. */
static void
test_reload(void **state)
{
	struct upstream *next;

	(void)state;
	sim_name("a.test", "10.0.0.1", 10);
	prepare(u);
	upstream_names_wait(names);
	upstream_names_commit(names);
	(void)servers_of(u);
	next = rig_upstream(&lb_hash, "a.test:81*5 A.TEST:82");
	prepare(next);
	assert_string_equal(servers_of(next), "10.0.0.1:81*5 10.0.0.1:82*1 ");
	upstream_names_commit(names);
	rig_drop(&u);
	sim_name("a.test", "10.0.0.7", 10);
	sim_advance(12000);
	assert_string_equal(servers_of(next), "10.0.0.7:81*5 10.0.0.7:82*1 ");
	/* The next one is not published: all stays. */
	u = rig_upstream(&lb_random, "b.test:80");
	prepare(u);
	upstream_names_abort(names);
	sim_name("a.test", "10.0.0.8", 10);
	sim_advance(12000);
	assert_string_equal(servers_of(next), "10.0.0.8:81*5 10.0.0.8:82*1 ");
	/* None has names any more. */
	prepare(NULL);
	upstream_names_commit(names);
	sim_advance(100000);
	rig_drop(&next);
}

/* Two names of one address: once, with both weights. */
static void
test_same_address(void **state)
{
	(void)state;
	rig_drop(&u);
	u = rig_upstream(&lb_random, "10.0.0.1:80*2 a.test:80*3 b.test:80");
	sim_name("a.test", "10.0.0.1", 10);
	sim_name("b.test", "10.0.0.1,10.0.0.2", 10);
	prepare(u);
	upstream_names_wait(names);
	upstream_names_commit(names);
	assert_string_equal(servers_of(u), "10.0.0.1:80*6 10.0.0.2:80*1 ");
}

/* Mail that a worker does not live to read, and mail that has come back to nobody. */
static void
test_end_under_way(void **state)
{
	(void)state;
	sim_name("a.test", "10.0.0.1", 1);
	prepare(u);
	upstream_names_wait(names);
	upstream_names_commit(names);
	sim_name("a.test", "10.0.0.2", 1);
	sim_stall(2000);
	loop_turn(main_worker.loop, false);
	loop_turn(main_worker.loop, false);
	upstream_worker_leave(&rig_worker);
	worker_fini(&rig_worker);
	mailbox_drain(main_worker.loop);
	upstream_names_free(&names);
	assert_null(worker_init(&rig_worker, 0, 64));
	assert_null(upstream_worker_enter(&rig_worker));
}

static void
test_no_memory(void **state)
{
	bool done = false;

	(void)state;
	sim_name("a.test", "10.0.0.1", 1);
	for (uint64_t at = 1; !done; at++) {
		mem_fail_at(at);
		done = upstream_names_prepare(names, &u, 1, on_ready, &n_ready);
		mem_fail_off();
	}
	upstream_names_wait(names);
	upstream_names_commit(names);
	sim_advance(5000);
	assert_string_equal(servers_of(u), "10.9.9.9:80*1 10.0.0.1:81*2 ");
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_first),
		TEST(test_follows),
		TEST(test_order),
		TEST(test_failures),
		TEST(test_cap),
		TEST(test_unresolved),
		TEST(test_reload),
		TEST(test_same_address),
		TEST(test_end_under_way),
		TEST(test_no_memory),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
