/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/resource.h>
#include <sys/socket.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <sched.h>
#include <unistd.h>

#include "engine/base/log.h"
#include "engine/loop/loop.h"
#include "engine/mem/arena.h"
#include "engine/net/listener.h"

enum { CLIENTS = 3, FLOOD = 200 };

/* A loop, a listener on a port of the kernel's choice, clients whose first byte has come. */
struct world {
	struct arena *arena;
	struct loop *loop;
	struct listener_socket listener;
	int client[CLIENTS];
	unsigned n_accepted;
	struct rlimit limit;
	bool is_flooded;
};

static int	new_client(const struct addr *);
static unsigned	backlog(int fd);

/* One more for each that is accepted. */
static void
flood(const struct world *w)
{
	struct addr a = { .len = sizeof a.u };
	int fd;

	assert_int_equal(getsockname(w->listener.fd, &a.u.sa, &a.len), 0);
	fd = new_client(&a);
	while (backlog(w->listener.fd) < CLIENTS)
		(void)sched_yield();
	(void)close(fd);
}

static void
on_accept(void *arg, int fd, const struct addr *peer)
{
	struct world *w = arg;

	assert_true(addr_is_ip(peer));
	w->n_accepted++;
	(void)close(fd);
	if (w->is_flooded && w->n_accepted < FLOOD)
		flood(w);
}

static int
new_client(const struct addr *a)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, &a->u.sa, a->len), 0);
	assert_int_equal(send(fd, "x", 1, 0), 1);
	return (fd);
}

/* Connections that wait to be accepted (what the kernel has in this field of a listening socket). */
static unsigned
backlog(int fd)
{
	struct tcp_info info;
	socklen_t len = sizeof info;

	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len), 0);
	return (info.tcpi_unacked);
}

static void
begin(struct world *w)
{
	struct addr a;
	int fd;

	*w = (struct world){ .arena = arena_new("test") };
	log_set_level(LOG_LEVEL_OFF);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &w->limit), 0);
	assert_null(loop_new(&w->loop));
	assert_true(addr_parse(SLICE("127.0.0.1:0"), &a));
	assert_null(listener_bind(w->arena, MARK_NONE, &a, false, &fd));
	assert_int_equal(getsockname(fd, &a.u.sa, &a.len), 0);
	listener_start(&w->listener, w->loop, fd, on_accept, w);
	for (unsigned i = 0; i < CLIENTS; i++)
		w->client[i] = new_client(&a);
	while (backlog(fd) < CLIENTS)
		(void)sched_yield();
}

static void
end(struct world *w)
{
	for (unsigned i = 0; i < CLIENTS; i++)
		(void)close(w->client[i]);
	/* It finds a timer that is still set. */
	loop_free(&w->loop);
	arena_free(&w->arena);
}

/* No descriptor more than there are. */
static void
forbid_descriptors(struct world *w)
{
	struct rlimit none = w->limit;
	int next = dup(STDIN_FILENO);

	assert_true(next > 0);
	(void)close(next);
	none.rlim_cur = (rlim_t)next;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
}

static void
allow_descriptors(const struct world *w)
{
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &w->limit), 0);
}

static void
stop_hands_over_what_waits(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	listener_stop(&w.listener);
	assert_int_equal(w.n_accepted, CLIENTS);
	end(&w);
}

/* What comes while those that waited are taken is left to the end of the socket. */
static void
stop_is_not_held_by_a_flood(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	w.is_flooded = true;
	listener_stop(&w.listener);
	assert_int_equal(w.n_accepted, CLIENTS);
	end(&w);
}

static void
without_descriptors_it_rests(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	forbid_descriptors(&w);
	while (!timer_is_set(&w.listener.backoff))
		loop_turn(w.loop, true);
	allow_descriptors(&w);
	assert_int_equal(w.n_accepted, 0);
	while (w.n_accepted < CLIENTS)
		loop_turn(w.loop, true);
	listener_stop(&w.listener);
	end(&w);
}

static void
stopped_at_rest_it_does_not_wake(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	forbid_descriptors(&w);
	while (!timer_is_set(&w.listener.backoff))
		loop_turn(w.loop, true);
	listener_stop(&w.listener);
	allow_descriptors(&w);
	assert_false(timer_is_set(&w.listener.backoff));
	end(&w);
}

/* The last accept, in stopping, is the one that finds no descriptor. */
static void
stopped_without_descriptors_it_does_not_wake(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	forbid_descriptors(&w);
	listener_stop(&w.listener);
	allow_descriptors(&w);
	assert_false(timer_is_set(&w.listener.backoff));
	end(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stop_hands_over_what_waits),
		cmocka_unit_test(stop_is_not_held_by_a_flood),
		cmocka_unit_test(without_descriptors_it_rests),
		cmocka_unit_test(stopped_at_rest_it_does_not_wake),
		cmocka_unit_test(stopped_without_descriptors_it_does_not_wake),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
