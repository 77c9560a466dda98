/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/upstream/rig.h"

#define A	"10.0.0.1:80"
#define B	"10.0.0.2:80"
#define GET	SLICE("GET /x HTTP/1.1\r\nHost: h\r\n\r\n")

static struct upstream *u;

static int
setup(void **state)
{
	(void)state;
	rig_begin();
	sim_server(A, SIM_ACCEPT);
	sim_server(B, SIM_ACCEPT);
	u = rig_upstream(&lb_round_robin, A);
	return (0);
}

static int
teardown(void **state)
{
	(void)state;
	if (u != NULL)
		rig_drop(&u);
	rig_end();
	return (0);
}

static struct up_peer *
peer(unsigned i)
{
	return (rig_local(u)->peers[i]);
}

/* N requests at once, each answered on its own connection; the first one answered last. */
static void
fill(struct sim_conn **v, unsigned n)
{
	struct rig_shot *s[16];

	for (unsigned i = 0; i < n; i++)
		s[i] = rig_shoot(u, "GET", NULL);
	sim_run_until_idle();
	for (unsigned i = 0; i < n; i++) {
		v[i] = sim_server_take(A);
		assert_non_null(v[i]);
		assert_null(sim_expect(v[i], GET));
	}
	for (unsigned i = n; i-- > 0;) {
		sim_send(v[i], SLICE(RIG_OK));
		sim_run_until_idle();
		assert_int_equal(s[i]->n_end, 1);
		rig_forget(&s[i]);
	}
}

static void
test_reuse(void **state)
{
	struct sim_conn *c;

	(void)state;
	c = rig_exchange(u, A, NULL, RIG_OK);
	for (unsigned i = 0; i < 20; i++)
		assert_ptr_equal(rig_exchange(u, A, c, RIG_OK), c);
	assert_int_equal(sim_server_count(A), 1);
	assert_int_equal(peer(0)->n_idle, 1);
}

static void
test_lifo(void **state)
{
	struct sim_conn *c[3];
	struct rig_shot *s;

	(void)state;
	fill(c, 3);
	/* c[0] was given back last. */
	s = rig_shoot(u, "GET", NULL);
	assert_true(s->reused);
	assert_null(sim_expect(c[0], GET));
	rig_forget(&s);
	assert_null(sim_expect_reset(c[0]));
	(void)rig_exchange(u, A, c[1], RIG_OK);
	(void)rig_exchange(u, A, c[1], RIG_OK);
	assert_null(sim_expect_nothing(c[2]));
	assert_null(sim_expect_open(c[2]));
}

static void
test_idle_limit_of_count(void **state)
{
	struct sim_conn *c[5];

	(void)state;
	u->pool.idle = 2;
	fill(c, 5);
	assert_int_equal(peer(0)->n_idle, 2);
	assert_int_equal(peer(0)->n_conns, 2);
	assert_null(sim_expect_open(c[4]));
	assert_null(sim_expect_open(c[3]));
	for (unsigned i = 0; i < 3; i++)
		assert_null(sim_expect_closed(c[i]));
}

static void
test_idle_timeout(void **state)
{
	struct sim_conn *c;

	(void)state;
	c = rig_exchange(u, A, NULL, RIG_OK);
	sim_advance(54000);
	(void)rig_exchange(u, A, c, RIG_OK);	/* counts anew */
	sim_advance(54999);
	assert_null(sim_expect_open(c));
	sim_advance(1);
	assert_null(sim_expect_closed(c));
	assert_int_equal(peer(0)->n_idle, 0);
	assert_int_equal(peer(0)->n_conns, 0);
}

static void
test_age(void **state)
{
	struct sim_conn *c;
	unsigned n = 0;

	(void)state;
	u->pool.max_age_ms = 100000;
	c = rig_exchange(u, A, NULL, RIG_OK);
	while (sim_server_count(A) == 1 && n < 100) {
		sim_advance(1000);
		n++;
		if (sim_expect_open(c) == NULL)
			(void)rig_exchange(u, A, c, RIG_OK);
		else
			break;
	}
	/* One tenth more or less. */
	assert_in_range(n, 90, 110);
	assert_null(sim_expect_closed(c));
}

static void
test_keep_alive_said(void **state)
{
	struct sim_conn *c;

	(void)state;
	c = rig_exchange(u, A, NULL, "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=20, max=5\r\n"
	    "Content-Length: 0\r\n\r\n");
	sim_advance(15999);
	assert_null(sim_expect_open(c));
	sim_advance(1);
	assert_null(sim_expect_closed(c));
	/* Less than twice the margin: half. */
	c = rig_exchange(u, A, NULL, "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5\r\n"
	    "Content-Length: 0\r\n\r\n");
	sim_advance(2499);
	assert_null(sim_expect_open(c));
	sim_advance(1);
	assert_null(sim_expect_closed(c));
	/* More than ours: ours. */
	c = rig_exchange(u, A, NULL, "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=4294967295\r\n"
	    "Content-Length: 0\r\n\r\n");
	sim_advance(54999);
	assert_null(sim_expect_open(c));
	sim_advance(1);
	assert_null(sim_expect_closed(c));
}

/* The server closes a connection that was idle for so long. */
static void
closed_after(uint64_t ms)
{
	struct sim_conn *c = rig_exchange(u, A, NULL, RIG_OK);

	sim_advance(ms);
	assert_null(sim_expect_open(c));
	sim_close(c);
	assert_null(sim_expect_closed(c));
}

static void
test_closes_learned(void **state)
{
	struct sim_conn *c;

	(void)state;
	closed_after(10000);
	assert_int_equal(peer(0)->learned_ms, 0);	/* once is nothing */
	closed_after(10400);
	assert_int_equal(peer(0)->learned_ms, 6000);	/* 4 s less */
	c = rig_exchange(u, A, NULL, RIG_OK);
	sim_advance(5999);
	assert_null(sim_expect_open(c));
	sim_advance(1);
	assert_null(sim_expect_closed(c));
	/* After ten minutes it is tried anew. */
	sim_advance(10 * 60 * 1000);
	c = rig_exchange(u, A, NULL, RIG_OK);
	sim_advance(20000);
	assert_null(sim_expect_open(c));
}

static void
test_short_close_learned(void **state)
{
	(void)state;
	closed_after(1000);
	sim_advance(2000);
	closed_after(1010);
	assert_int_equal(peer(0)->learned_ms, 500);
}

/* A restart closes all at once, at any age: nothing is learned of it, nor of two that differ. */
static void
test_restart_not_learned(void **state)
{
	struct sim_conn *c[4];

	(void)state;
	fill(c, 4);
	sim_advance(3000);
	for (unsigned i = 0; i < 4; i++) {
		sim_close(c[i]);
		assert_null(sim_expect_closed(c[i]));
	}
	assert_int_equal(peer(0)->learned_ms, 0);
	closed_after(20000);
	closed_after(5000);
	assert_int_equal(peer(0)->learned_ms, 0);
}

/* Bytes, an end or a reset while idle: not used again. */
static void
test_idle_disturbed(void **state)
{
	struct sim_conn *c;

	(void)state;
	c = rig_exchange(u, A, NULL, RIG_OK);
	sim_send(c, SLICE("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"));
	sim_run_until_idle();
	assert_int_equal(peer(0)->n_conns, 0);
	assert_null(sim_expect_reset(c));
	c = rig_exchange(u, A, NULL, RIG_OK);
	sim_close(c);
	assert_null(sim_expect_closed(c));
	c = rig_exchange(u, A, NULL, RIG_OK);
	sim_reset(c);
	sim_run_until_idle();
	assert_int_equal(peer(0)->n_conns, 0);
	assert_int_equal(sim_server_count(A), 3);
}

/* Bytes behind an answer are never the next one's beginning. */
static void
test_surplus(void **state)
{
	struct sim_conn *c;
	struct rig_shot *s;

	(void)state;
	c = rig_exchange(u, A, NULL, RIG_OK "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
	assert_int_equal(peer(0)->n_conns, 0);
	/* The same in two pieces, the second with the same turn. */
	s = rig_shoot(u, "GET", NULL);
	c = sim_server_take(A);
	assert_null(sim_expect(c, GET));
	sim_chunk(c, sizeof RIG_OK - 1);
	sim_send(c, SLICE(RIG_OK "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"));
	sim_run_until_idle();
	assert_int_equal(s->n_end, 1);
	assert_int_equal(peer(0)->n_conns, 0);
	rig_forget(&s);
	assert_int_equal(sim_server_count(A), 2);
}

static void
test_not_kept(void **state)
{
	static const char *const answers[] = {
		"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
	};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct sim_conn *c = rig_exchange(u, A, NULL, answers[i]);

		assert_null(sim_expect_closed(c));
		assert_int_equal(peer(0)->n_conns, 0);
	}
}

/* An answer that fills what was read to the last byte: whether more came must be asked. */
static void
test_exact_page(void **state)
{
	static char answer[PAGE_BYTES + 1];
	struct sim_conn *c;
	size_t head;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		memset(answer, 'x', PAGE_BYTES);
		head = (size_t)snprintf(answer, 80, "HTTP/1.1 200 OK\r\nContent-Length: %05u\r\n\r\n",
		    (unsigned)PAGE_BYTES - 42);
		assert_int_equal(head, 42);
		answer[head] = 'x';
		answer[PAGE_BYTES] = '\0';
		c = rig_exchange(u, A, NULL, answer);
		(void)rig_exchange(u, A, c, RIG_OK);
		assert_int_equal(sim_server_count(A), i + 1);
		sim_close(c);
		sim_run_until_idle();
	}
}

/* ---- other lists ---- */

static void
test_swap(void **state)
{
	struct sim_conn *a, *b;
	struct endset *set;
	struct rig_shot *s;

	(void)state;
	rig_drop(&u);
	u = rig_upstream(&lb_round_robin, A " " B);
	s = rig_shoot(u, "GET", NULL);
	sim_run_until_idle();
	rig_forget(&s);
	s = rig_shoot(u, "GET", NULL);
	sim_run_until_idle();
	rig_forget(&s);
	a = sim_server_take(A);
	b = sim_server_take(B);
	assert_non_null(a);
	assert_non_null(b);
	/* Both were cut; now one idle connection each. */
	for (unsigned i = 0; i < 2; i++) {
		s = rig_shoot(u, "GET", NULL);
		sim_run_until_idle();
		a = sim_server_take(strcmp(s->server, A) == 0 ? A : B);
		assert_null(sim_expect(a, GET));
		sim_send(a, SLICE(RIG_OK));
		sim_run_until_idle();
		if (strcmp(s->server, B) == 0)
			b = a;
		rig_forget(&s);
	}
	set = rig_set("10.0.0.9:80 " B);
	assert_true(pool_swap(rig_local(u), set));
	endset_unref(&set);
	sim_run_until_idle();
	/* The idle one of B serves on. */
	assert_int_equal(rig_local(u)->n_peers, 2);
	assert_int_equal(peer(1)->n_idle, 1);
	assert_null(sim_expect_open(b));
	/* The list without any: no server. */
	set = rig_set("");
	assert_true(pool_swap(rig_local(u), set));
	endset_unref(&set);
	assert_null(sim_expect_closed(b));
	s = rig_shoot(u, "GET", NULL);
	sim_run_until_idle();
	assert_int_equal(s->fault.reason, REASON_UPSTREAM_NONE_HEALTHY);
	rig_forget(&s);
}

/* A busy connection finishes on a list, a worker's end, and a part that have gone; its server stays
   for who remembers it. */
static void
test_outlive(void **state)
{
	struct rig_shot *s = rig_shoot(u, "GET", NULL);
	const struct server *server;
	struct sim_conn *c;

	(void)state;
	sim_run_until_idle();
	c = sim_server_take(A);
	server = up_server_hold(up_server(s->up));
	rig_drop(&u);
	sim_send(c, SLICE(RIG_OK));
	sim_run_until_idle();
	assert_int_equal(s->n_end, 1);
	rig_forget(&s);
	sim_run_until_idle();
	assert_true(slice_eq(server->address, SLICE(A)));
	assert_int_equal(up_of(&rig_worker)->conns.in_use, 0);
	up_server_drop(&server);
	assert_null(server);
}

/* As above, and it fails: connecting, at once, or under way. */
static void
test_outlive_failures(void **state)
{
	struct rig_shot *s;

	(void)state;
	sim_server(A, SIM_REFUSE);
	s = rig_shoot(u, "GET", NULL);
	rig_drop(&u);
	sim_run_until_idle();
	assert_int_equal(s->n_fail, 1);
	assert_true(s->fault.connect);
	rig_forget(&s);

	u = rig_upstream(&lb_round_robin, A);
	sim_server(A, SIM_BLACKHOLE);
	s = rig_shoot(u, "GET", NULL);
	rig_drop(&u);
	sim_advance(3000);
	assert_int_equal(s->fault.reason, REASON_UPSTREAM_CONNECT_TIMEOUT);
	rig_forget(&s);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_reuse),
		TEST(test_lifo),
		TEST(test_idle_limit_of_count),
		TEST(test_idle_timeout),
		TEST(test_age),
		TEST(test_keep_alive_said),
		TEST(test_closes_learned),
		TEST(test_short_close_learned),
		TEST(test_restart_not_learned),
		TEST(test_idle_disturbed),
		TEST(test_surplus),
		TEST(test_not_kept),
		TEST(test_exact_page),
		TEST(test_swap),
		TEST(test_outlive),
		TEST(test_outlive_failures),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
