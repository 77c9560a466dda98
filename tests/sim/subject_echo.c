/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "tests/sim/subject.h"

#include <string.h>

#include "engine/base/check.h"
#include "engine/loop/loop.h"
#include "engine/loop/timer.h"
#include "engine/mem/alloc.h"
#include "engine/net/listener.h"
#include "engine/net/tcp.h"

/*
 * Two small programs that prove the simulator: `echo` sends back what comes on port 7 and ends
 * when the client does or after 10 s without a byte; `dial` connects to an address at once and
 * says on port 7 what became of it.
 */

enum {
	PORT		= 7,
	IDLE_MS		= 10000,
	DIAL_MS		= 1000,
	BUF_BYTES	= 4096,
};

struct echo_conn {
	unsigned		 magic;
#define ECHO_CONN_MAGIC	0x4543484fu	/* "ECHO" */
	struct list		 link;
	struct transport	 t;
	struct timer		 idle;
	char			 buf[BUF_BYTES];
	size_t			 len;		/* read and not yet sent back */
	bool			 ended;		/* the client's FIN was read */
};

static struct loop *loop;
static struct listener_socket listener;
static struct list conns = LIST_INIT(conns);
static struct transport dialed;
static struct timer dial_timer;
static const char *dial_result;

static void
echo_close(struct echo_conn *c, enum close_how how)
{
	timer_clear(&c->idle);
	c->t.ops->close(&c->t, how);
	list_del(&c->link);
	c->magic = 0;
	xfree(c);
}

static void
on_idle(void *arg)
{
	struct echo_conn *c;

	CAST_OBJ(c, arg, ECHO_CONN_MAGIC);
	echo_close(c, CLOSE_CLEAN);
}

/* IO_OK: the buffer is empty. */
static enum io_rc
echo_write(struct echo_conn *c)
{
	while (c->len > 0) {
		struct iovec v = {c->buf, c->len};
		enum io_rc rc;
		size_t n;

		rc = transport_write(&c->t, &v, 1, &n);
		if (rc != IO_OK)
			return (rc);
		c->len -= n;
		memmove(c->buf, c->buf + n, c->len);
	}
	return (IO_OK);
}

static void
on_echo(void *arg, unsigned what)
{
	struct echo_conn *c;
	enum io_rc rc;

	(void)what;
	CAST_OBJ(c, arg, ECHO_CONN_MAGIC);
	timer_set(loop, &c->idle, loop_now_ms(loop) + IDLE_MS);
	while ((rc = echo_write(c)) == IO_OK && !c->ended) {
		struct iovec v = {c->buf, sizeof c->buf};

		rc = transport_read(&c->t, &v, 1, &c->len);
		if (rc == IO_EOF)
			c->ended = true;
		else if (rc != IO_OK)
			break;
	}
	if (rc == IO_RESET)
		echo_close(c, CLOSE_RESET);
	else if (c->ended && c->len == 0)
		echo_close(c, CLOSE_CLEAN);
}

static void
on_accept(void *arg, int fd, const struct addr *peer)
{
	struct echo_conn *c = xcalloc(1, sizeof *c);

	(void)arg;
	(void)peer;
	c->magic = ECHO_CONN_MAGIC;
	list_init(&c->link);
	list_add_tail(&conns, &c->link);
	timer_init(&c->idle, on_idle, c);
	timer_set(loop, &c->idle, loop_now_ms(loop) + IDLE_MS);
	must(tcp_accept_fd(&c->t, loop, fd, on_echo, c));
	if (dial_result == NULL)
		return;
	c->len = strlen(dial_result);
	memcpy(c->buf, dial_result, c->len);
}

static const char *
echo_start(const char *argument)
{
	struct addr any;
	int fd;

	(void)argument;
	must(loop_new(&loop) == NULL);
	must(addr_parse(SLICE("0.0.0.0:7"), &any));
	must(listener_bind(NULL, MARK_NONE, &any, false, &fd) == NULL);
	listener_start(&listener, loop, fd, on_accept, NULL);
	return (NULL);
}

static void
echo_stop(void)
{
	listener_stop(&listener);
	while (!list_is_empty(&conns))
		echo_close(list_first_entry(&conns, struct echo_conn, link), CLOSE_CLEAN);
	loop_free(&loop);
}

static void
on_dialed(void *arg, unsigned what)
{
	enum io_rc rc = dialed.ops->connected(&dialed);

	(void)arg;
	(void)what;
	if (rc == IO_AGAIN || dial_result != NULL)
		return;
	dial_result = rc == IO_OK ? "connected" : "refused";
	timer_clear(&dial_timer);
}

static void
on_dial_timeout(void *arg)
{
	(void)arg;
	dial_result = "timed out";
}

static const char *
dial_start(const char *argument)
{
	struct addr to;

	if (!addr_parse(slice_str(argument), &to))
		return ("dial: the argument is not an address");
	(void)echo_start(NULL);
	timer_init(&dial_timer, on_dial_timeout, NULL);
	timer_set(loop, &dial_timer, loop_now_ms(loop) + DIAL_MS);
	dial_result = NULL;
	must(tcp_connect(&dialed, loop, &to, on_dialed, NULL) == IO_AGAIN);
	return (NULL);
}

static void
dial_stop(void)
{
	timer_clear(&dial_timer);
	dialed.ops->close(&dialed, CLOSE_CLEAN);
	dial_result = NULL;
	echo_stop();
}

static const struct sim_subject echo = {
	.name = "echo", .start = echo_start, .stop = echo_stop,
};

static const struct sim_subject dial = {
	.name = "dial", .argument = "ADDRESS", .start = dial_start, .stop = dial_stop,
};

const struct sim_subject *const sim_subjects[] = {&echo, &dial, NULL};
