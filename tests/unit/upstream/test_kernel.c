/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/loop/loop.h"
#include "engine/loop/timer.h"
#include "engine/net/tcp.h"

/*
 * What the replay rule (engine/upstream/up_replay.c) takes for granted about TCP, on the real
 * transport and the real kernel, over loopback.
 */

enum { LIMIT_MS = 5000 };

struct end {
	struct loop		*loop;
	struct transport	 t;
	int			 listener, server;
	unsigned		 seen;		/* IO_* since it was last cleared */
	bool			 late;
	struct timer		 limit;
};

static void
on_io(void *arg, unsigned what)
{
	struct end *e = arg;

	e->seen |= what;
}

static void
on_limit(void *arg)
{
	struct end *e = arg;

	e->late = true;
}

/* Turns until one of these has been seen. */
static void
wait_for(struct end *e, unsigned what)
{
	timer_set(e->loop, &e->limit, loop_now_ms(e->loop) + LIMIT_MS);
	while (!(e->seen & what) && !e->late)
		loop_turn(e->loop, true);
	assert_false(e->late);
	e->seen = 0;
}

static void
begin(struct end *e)
{
	struct sockaddr_in any = { .sin_family = AF_INET };
	socklen_t len = sizeof any;
	struct addr to;

	memset(e, 0, sizeof *e);
	any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_null(loop_new(&e->loop));
	timer_init(&e->limit, on_limit, e);
	e->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(e->listener >= 0);
	assert_int_equal(bind(e->listener, (struct sockaddr *)&any, sizeof any), 0);
	assert_int_equal(listen(e->listener, 8), 0);
	assert_int_equal(getsockname(e->listener, (struct sockaddr *)&any, &len), 0);
	assert_true(addr_from_sockaddr(&to, (struct sockaddr *)&any, len));
	assert_int_equal(tcp_connect(&e->t, e->loop, &to, on_io, e), IO_AGAIN);
	e->server = accept(e->listener, NULL, NULL);
	assert_true(e->server >= 0);
	wait_for(e, IO_WRITE);
	assert_int_equal(e->t.ops->connected(&e->t), IO_OK);
}

static void
end(struct end *e)
{
	e->t.ops->close(&e->t, CLOSE_RESET);
	timer_clear(&e->limit);
	loop_free(&e->loop);
	(void)close(e->listener);
	if (e->server >= 0)
		(void)close(e->server);
}

static void
write_text(struct end *e, const char *text)
{
	struct iovec v = { (char *)(uintptr_t)text, strlen(text) };
	size_t n;

	assert_int_equal(transport_write(&e->t, &v, 1, &n), IO_OK);
	assert_int_equal(n, v.iov_len);
}

static enum io_rc
read_some(struct end *e)
{
	char buf[64];
	struct iovec v = { buf, sizeof buf };
	size_t n;

	return (transport_read(&e->t, &v, 1, &n));
}

/* The server had closed before the request came: an end, then a reset that acknowledges nothing. A
   read shows the end only; the error and the count of bytes show the rest. */
static void
test_closed_before(void **state)
{
	struct end e;

	(void)state;
	begin(&e);
	(void)close(e.server);
	e.server = -1;
	wait_for(&e, IO_CLOSED);
	write_text(&e, "POST");
	assert_int_equal(read_some(&e), IO_EOF);
	if (e.t.ops->connected(&e.t) != IO_RESET)
		fail_msg("on loopback the reset is there when write returns");
	assert_int_equal(e.t.ops->unacked(&e.t), 4);
	assert_int_equal(read_some(&e), IO_EOF);
	end(&e);
}

/* It read the request, then closed without an answer: its end acknowledges. */
static void
test_read_then_closed(void **state)
{
	struct end e;
	char buf[8];

	(void)state;
	begin(&e);
	write_text(&e, "POST");
	assert_int_equal(read(e.server, buf, sizeof buf), 4);
	(void)close(e.server);
	e.server = -1;
	wait_for(&e, IO_CLOSED);
	assert_int_equal(read_some(&e), IO_EOF);
	assert_int_equal(e.t.ops->unacked(&e.t), 0);
	end(&e);
}

/* It ended its own direction only, and reads on: no reset. */
static void
test_half_closed(void **state)
{
	struct end e;
	char buf[8];

	(void)state;
	begin(&e);
	assert_int_equal(shutdown(e.server, SHUT_WR), 0);
	wait_for(&e, IO_CLOSED);
	write_text(&e, "POST");
	assert_int_equal(read(e.server, buf, sizeof buf), 4);
	assert_int_equal(read_some(&e), IO_EOF);
	assert_int_not_equal(e.t.ops->connected(&e.t), IO_RESET);
	end(&e);
}

/* It had the request in its queue, unread, and closed: a reset without an end. */
static void
test_closed_unread(void **state)
{
	struct end e;

	(void)state;
	begin(&e);
	write_text(&e, "POST");
	e.seen = 0;
	(void)close(e.server);
	e.server = -1;
	wait_for(&e, IO_READ);
	assert_int_equal(read_some(&e), IO_RESET);
	end(&e);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_closed_before),
		cmocka_unit_test(test_read_then_closed),
		cmocka_unit_test(test_half_closed),
		cmocka_unit_test(test_closed_unread),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
