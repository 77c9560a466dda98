/* SPDX-License-Identifier: Apache-2.0 */
/* A client of the admin listener that is idle is let go; one whose reload goes on is not idle. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/app/admin_impl.h"
#include "engine/mem/alloc.h"
#include "engine/mem/arena.h"
#include "engine/stats/stats.h"
#include "engine/worker/worker.h"
#include "tests/sim/sim.h"

#define RELOAD	SLICE("POST /reload HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")

enum { PORT = 9901, PAGES = 64, LONG_MS = 10 * ADMIN_IDLE_MS };

static struct {
	struct worker		 main;
	struct stats		*stats;
	struct arena		*arena;
	struct admin		*admin;
	struct reload_wait	*wait;		/* of the last reload that was asked for */
	struct timer		 over;
} world;

/* The rig's, which asks no real port. */
int	__wrap_bind(int fd, const struct sockaddr *a, socklen_t len);

int
__wrap_bind(int fd, const struct sockaddr *a, socklen_t len)
{
	(void)fd;
	(void)a;
	(void)len;
	return (0);
}

static void
tell_status(void *arg, struct admin_status *r)
{
	(void)arg;
	*r = (struct admin_status){ .n_workers = 1 };
}

static void
ask_reload(void *arg, struct reload_wait *wait)
{
	static struct list waiting;

	(void)arg;
	list_init(&waiting);
	list_add_tail(&waiting, &wait->link);
	world.wait = wait;
}

static void
on_over(void *arg)
{
	(void)arg;
	list_del(&world.wait->link);
	world.wait->done(world.wait, &(const struct reload_end){ .ok = true });
}

static int
setup(void **state)
{
	struct admin_door *d;
	struct err *err;
	int fd;

	(void)state;
	sim_begin();
	world.wait = NULL;
	assert_null(worker_init(&world.main, WORKER_MAIN, PAGES));
	timer_init(&world.over, on_over, NULL);
	world.stats = stats_new();
	world.main.stats = stats_shard_new(world.stats);
	world.arena = arena_new("test");
	world.admin = admin_new(&world.main, world.stats, "weir-test",
	    &(const struct admin_hooks){ .status = tell_status, .reload = ask_reload });
	world.admin->write = true;
	d = &world.admin->doors[ADMIN_TCP];
	assert_true(addr_parse(SLICE("127.0.0.1:9901"), &d->addr));
	err = listener_bind(world.arena, MARK_NONE, &d->addr, false, &fd);
	assert_null(err);
	listener_start(&d->sock, world.main.loop, fd, admin_conn_accept, d);
	d->is_open = true;
	return (0);
}

static int
teardown(void **state)
{
	(void)state;
	timer_clear(&world.over);
	admin_free(&world.admin);
	worker_fini(&world.main);
	stats_free(&world.stats);
	arena_free(&world.arena);
	sim_end();
	return (0);
}

static void
test_a_long_reload(void **state)
{
	struct sim_conn *c = sim_client_connect(PORT);

	(void)state;
	sim_send(c, RELOAD);
	sim_run_until_idle();
	assert_non_null(world.wait);
	timer_set(world.main.loop, &world.over, sim_now_ms() + LONG_MS);
	sim_advance(LONG_MS - 1);
	assert_null(sim_expect_nothing(c));
	assert_null(sim_expect_open(c));
	sim_advance(1);
	assert_null(sim_expect(c, SLICE("HTTP/1.1 200 OK\r\n")));
	assert_true(sim_received(c).len > 0);
	/* From here on it is idle as any other. */
	sim_advance(ADMIN_IDLE_MS - 1);
	assert_null(sim_expect_open(c));
	sim_advance(1);
	assert_int_equal(world.admin->n_conns, 0);
}

/* Nobody is told when the client has gone. */
static void
test_a_client_that_goes(void **state)
{
	struct sim_conn *c = sim_client_connect(PORT);

	(void)state;
	sim_send(c, RELOAD);
	sim_run_until_idle();
	assert_non_null(world.wait);
	assert_int_equal(world.admin->n_conns, 1);
	sim_reset(c);
	sim_run_until_idle();
	assert_int_equal(world.admin->n_conns, 0);
}

static void
test_an_idle_client(void **state)
{
	struct sim_conn *c = sim_client_connect(PORT);

	(void)state;
	sim_send(c, SLICE("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"));
	assert_null(sim_expect(c, SLICE("HTTP/1.1 200 OK\r\n")));
	assert_true(sim_received(c).len > 0);
	sim_advance(ADMIN_IDLE_MS);
	assert_int_equal(world.admin->n_conns, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_long_reload, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_client_that_goes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_an_idle_client, setup, teardown),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
