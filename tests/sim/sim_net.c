/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "tests/sim/sim.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/check.h"
#include "engine/base/list.h"
#include "engine/loop/loop.h"
#include "engine/net/listener.h"
#include "engine/net/tcp.h"
#include "tests/sim/sim_int.h"

#define SIM_CONN_MAGIC	0x53434f4eu	/* "SCON" */

enum {
	REST_MS = 100	/* of a listener that could not be watched */
};

struct bytes {
	char	*p;
	size_t	 len;
	size_t	 cap;
};

enum conn_state {
	QUEUED,		/* in a listener's backlog */
	CONNECTING,	/* the engine's connect, to be answered at the next step */
	REFUSING,
	STUCK,		/* never to be answered */
	OPEN,
	FAILED,
};

struct sim_conn {
	unsigned	 magic;
	enum conn_state	 state;
	struct list	 link;		/* among all; freed at sim_end() */
	int		 fd;		/* of the engine's end, or -1 */
	char		 to[ADDR_TEXT_MAX];	/* where the engine connected to, or "" */
	bool		 taken;
	struct bytes	 in;		/* sent by the test, not yet read by the engine */
	size_t		 arrived;	/* of it, in the engine's kernel */
	size_t		 chunk;
	struct bytes	 out;		/* written by the engine, not yet expected */
	size_t		 window;
	size_t		 inflight;	/* written and not taken over by the peer */
	bool		 is_full;	/* refused bytes, and has not had much room since */
	bool		 held;
	bool		 fin_sent;
	bool		 fin_arrived;
	bool		 reset_sent;
	bool		 reset_arrived;
	bool		 engine_shut;
	bool		 engine_closed;
	bool		 engine_reset;
};

struct sim_listener {
	struct list	 link;
	int		 fd;
	uint16_t	 port;
	struct sim_conn	*queue[1024];
	unsigned	 n_queue;
};

struct sim_server_row {
	struct list		 link;
	char			 addr[ADDR_TEXT_MAX];
	enum sim_server_mode	 mode;
	unsigned		 count;
};

static struct list conns = LIST_INIT(conns);
static struct list listeners = LIST_INIT(listeners);
static struct list servers = LIST_INIT(servers);
static unsigned n_clients;
static char why[2048];

static bool step(void);
static void end(void);
static struct sim_part part = {.step = step, .end = end};

/* ---- bytes ---- */

/* From the C library: failures that tests inject are for the code under test. */
static void *
sim_zalloc(size_t n)
{
	void *p = calloc(1, n);

	must(p != NULL);
	return (p);
}

static void
bytes_add(struct bytes *b, const void *p, size_t n)
{
	if (n == 0)
		return;
	if (b->len + n > b->cap) {
		b->cap = (b->len + n) * 2;
		b->p = realloc(b->p, b->cap);
		must(b->p != NULL);
	}
	memcpy(b->p + b->len, p, n);
	b->len += n;
}

static void
bytes_drop(struct bytes *b, size_t n)
{
	must(n <= b->len);
	b->len -= n;
	if (b->len > 0)
		memmove(b->p, b->p + n, b->len);
}

/* ---- the engine's end ---- */

static unsigned
poll_conn(void *owner)
{
	const struct sim_conn *c = owner;
	unsigned ready = 0;

	if (c->state == FAILED || c->reset_arrived)
		return (IO_READ | IO_WRITE);	/* as libevent folds an error */
	if (c->state != OPEN)
		return (0);
	if (c->arrived > 0 || c->fin_arrived)
		ready |= IO_READ;
	if (c->fin_arrived)
		ready |= IO_CLOSED;
	if (c->window == 0 || (c->inflight < c->window && !c->is_full))
		ready |= IO_WRITE;
	return (ready);
}

static struct sim_conn *
conn_of(struct transport *t)
{
	struct sim_conn *c = sim_fd_owner(t->io.fd, poll_conn);

	CHECK_OBJ(c, SIM_CONN_MAGIC);
	return (c);
}

static enum io_rc
net_fail(int number, enum io_rc rc)
{
	errno = number;
	return (rc);
}

static enum io_rc
net_read(struct transport *t, struct iovec *v, unsigned n_vec, size_t *n_r)
{
	struct sim_conn *c = conn_of(t);

	*n_r = 0;
	for (unsigned i = 0; i < n_vec && c->arrived > 0; i++) {
		size_t n = v[i].iov_len < c->arrived ? v[i].iov_len : c->arrived;

		memcpy(v[i].iov_base, c->in.p, n);
		bytes_drop(&c->in, n);
		c->arrived -= n;
		*n_r += n;
	}
	if (*n_r > 0)
		return (IO_OK);
	/* As on Linux: behind a FIN a read says the end, also when a reset has come since. */
	if (c->fin_arrived)
		return (IO_EOF);
	if (c->reset_arrived)
		return (net_fail(ECONNRESET, IO_RESET));
	return (net_fail(EAGAIN, IO_AGAIN));
}

static enum io_rc
net_write(struct transport *t, struct iovec *v, unsigned n_vec, size_t *n_r)
{
	struct sim_conn *c = conn_of(t);

	*n_r = 0;
	if (c->reset_arrived || c->engine_shut || c->state == FAILED)
		return (net_fail(EPIPE, IO_RESET));
	if (c->state != OPEN)
		return (net_fail(EAGAIN, IO_AGAIN));
	for (unsigned i = 0; i < n_vec; i++) {
		size_t n = v[i].iov_len;

		if (c->window != 0 && n > c->window - c->inflight)
			n = c->window - c->inflight;
		if (n < v[i].iov_len)
			c->is_full = true;
		bytes_add(&c->out, v[i].iov_base, n);
		c->inflight += c->window != 0 ? n : 0;
		*n_r += n;
		if (n < v[i].iov_len)
			break;
	}
	return (*n_r > 0 ? IO_OK : net_fail(EAGAIN, IO_AGAIN));
}

static void
net_shut(struct transport *t)
{
	conn_of(t)->engine_shut = true;
}

/* As Linux does, closing with unread bytes resets the connection. */
static void
net_close(struct transport *t, enum close_how how)
{
	struct sim_conn *c;
	int fd = t->io.fd;

	if (fd < 0)
		return;
	c = conn_of(t);
	c->engine_closed = true;
	c->engine_reset = how == CLOSE_RESET || c->arrived > 0;
	io_del(&t->io);
	sim_fd_close(fd);
	c->fd = -1;
	t->io.fd = -1;
}

static enum io_rc
net_connected(struct transport *t)
{
	struct sim_conn *c = conn_of(t);

	if (c->state == FAILED)
		return (net_fail(ECONNREFUSED, IO_RESET));
	if (c->reset_arrived)
		return (net_fail(ECONNRESET, IO_RESET));
	return (c->state == OPEN ? IO_OK : IO_AGAIN);
}

static int64_t
net_unacked(struct transport *t)
{
	return ((int64_t)conn_of(t)->inflight);
}

static const struct transport_ops net_ops = {
	.name = "sim",
	.read = net_read,
	.write = net_write,
	.shut = net_shut,
	.close = net_close,
	.connected = net_connected,
	.unacked = net_unacked,
};

static struct sim_conn *
conn_new(enum conn_state state)
{
	struct sim_conn *c = sim_zalloc(sizeof *c);

	sim_add_part(&part);
	c->magic = SIM_CONN_MAGIC;
	c->state = state;
	c->fd = -1;
	list_init(&c->link);
	list_add_tail(&conns, &c->link);
	return (c);
}

/* ---- net/tcp.h ---- */

bool
tcp_accept_fd(struct transport *t, struct loop *loop, int fd, io_ready_fn *fn, void *arg)
{
	struct sim_conn *c = sim_fd_owner(fd, poll_conn);

	t->magic = TRANSPORT_MAGIC;
	t->ops = &net_ops;
	if (io_add(loop, &t->io, fd, fn, arg))
		return (true);
	c->engine_closed = c->engine_reset = true;
	sim_fd_close(fd);
	c->fd = -1;
	t->io.fd = -1;
	return (false);
}

void
tcp_refuse(int fd, struct slice last_words)
{
	struct sim_conn *c = sim_fd_owner(fd, poll_conn);

	bytes_add(&c->out, last_words.p, last_words.len);
	c->engine_closed = true;
	sim_fd_close(fd);
	c->fd = -1;
}

static struct sim_server_row *
server_row(const char *addr)
{
	struct sim_server_row *row;

	LIST_FOREACH(row, &servers, struct sim_server_row, link) {
		if (strcmp(row->addr, addr) == 0)
			return (row);
	}
	sim_add_part(&part);
	row = sim_zalloc(sizeof *row);
	(void)snprintf(row->addr, sizeof row->addr, "%s", addr);
	row->mode = SIM_REFUSE;
	list_init(&row->link);
	list_add_tail(&servers, &row->link);
	return (row);
}

enum io_rc
tcp_connect(struct transport *t, struct loop *loop, const struct addr *to, io_ready_fn *fn,
    void *arg)
{
	static const enum conn_state answers[] = {
		[SIM_REFUSE] = REFUSING, [SIM_ACCEPT] = CONNECTING, [SIM_BLACKHOLE] = STUCK,
	};
	struct sim_server_row *row;
	char text[ADDR_TEXT_MAX];
	struct sim_conn *c;

	(void)addr_format(to, text, sizeof text);
	row = server_row(text);
	row->count++;
	c = conn_new(answers[row->mode]);
	(void)snprintf(c->to, sizeof c->to, "%s", text);
	c->fd = sim_fd_open(poll_conn, c);
	t->magic = TRANSPORT_MAGIC;
	t->ops = &net_ops;
	if (!io_add(loop, &t->io, c->fd, fn, arg)) {
		sim_fd_close(c->fd);
		c->fd = t->io.fd = -1;
		c->engine_closed = true;
		c->state = FAILED;
		return (net_fail(ENOMEM, IO_RESET));
	}
	return (net_fail(EINPROGRESS, IO_AGAIN));
}

/* ---- net/listener.h ---- */

static unsigned
poll_listener(void *owner)
{
	const struct sim_listener *sl = owner;

	return (sl->n_queue > 0 ? IO_READ : 0u);
}

struct err *
listener_bind(struct arena *arena, struct mark mark, const struct addr *a, bool dual_stack,
    int *fd_r)
{
	struct sim_listener *sl = sim_zalloc(sizeof *sl);

	(void)arena;
	(void)mark;
	(void)dual_stack;
	sim_add_part(&part);
	sl->port = addr_port(a);
	sl->fd = sim_fd_open(poll_listener, sl);
	list_init(&sl->link);
	list_add_tail(&listeners, &sl->link);
	*fd_r = sl->fd;
	return (NULL);
}

static bool
accept_one(struct listener_socket *l)
{
	struct sim_listener *sl = sim_fd_owner(l->fd, poll_listener);
	struct sim_conn *c;
	struct addr peer;
	char text[32];

	if (sl->n_queue == 0)
		return (false);
	c = sl->queue[0];
	sl->n_queue--;
	memmove(sl->queue, sl->queue + 1, sl->n_queue * sizeof sl->queue[0]);
	c->state = OPEN;
	c->fd = sim_fd_open(poll_conn, c);
	(void)snprintf(text, sizeof text, "198.51.100.1:%u", 40000 + n_clients % 20000);
	must(addr_parse(slice_str(text), &peer));
	l->on_accept(l->arg, c->fd, &peer);
	return (true);
}

static void
on_backlog(void *arg, unsigned what)
{
	struct listener_socket *l;

	(void)what;
	CAST_OBJ(l, arg, LISTENER_SOCKET_MAGIC);
	for (unsigned i = 0; i < LISTENER_BATCH && !l->paused; i++) {
		if (!accept_one(l))
			return;
	}
}

static void
watch_listener(struct listener_socket *l)
{
	l->paused = !io_add_listener(l->loop, &l->io, l->fd, on_backlog, l);
	if (l->paused)
		timer_set(l->loop, &l->backoff, loop_now_ms(l->loop) + REST_MS);
}

static void
on_rested(void *arg)
{
	struct listener_socket *l;

	CAST_OBJ(l, arg, LISTENER_SOCKET_MAGIC);
	watch_listener(l);
}

void
listener_start(struct listener_socket *l, struct loop *loop, int fd, listener_accept_fn *fn,
    void *arg)
{
	l->magic = LISTENER_SOCKET_MAGIC;
	l->fd = fd;
	l->loop = loop;
	l->on_accept = fn;
	l->arg = arg;
	timer_init(&l->backoff, on_rested, l);
	watch_listener(l);
}

static void
forget_listener(struct sim_listener *sl)
{
	sim_fd_close(sl->fd);
	list_del(&sl->link);
	free(sl);
}

void
listener_discard(int fd)
{
	forget_listener(sim_fd_owner(fd, poll_listener));
}

void
listener_stop(struct listener_socket *l)
{
	struct sim_listener *sl = sim_fd_owner(l->fd, poll_listener);

	while (!l->paused && accept_one(l))
		continue;
	timer_clear(&l->backoff);
	if (!l->paused)
		io_del(&l->io);
	l->paused = true;
	for (unsigned i = 0; i < sl->n_queue; i++)
		sl->queue[i]->engine_closed = sl->queue[i]->engine_reset = true;
	forget_listener(sl);
	l->fd = -1;
}

/* ---- what is under way ---- */

static void
edge(const struct sim_conn *c)
{
	if (c->fd >= 0)
		sim_fd_edge(c->fd);
}

static bool
step_connect(struct sim_conn *c)
{
	if (c->state != CONNECTING && c->state != REFUSING)
		return (false);
	c->state = c->state == CONNECTING ? OPEN : FAILED;
	edge(c);
	return (true);
}

/* The next piece, and the FIN with the last one, arrives. */
static bool
step_in(struct sim_conn *c)
{
	size_t waiting = c->in.len - c->arrived;
	bool moved = false;

	if (waiting > 0 && (c->chunk == 0 || c->arrived == 0)) {
		c->arrived += c->chunk == 0 || waiting < c->chunk ? waiting : c->chunk;
		moved = true;
	}
	if (c->arrived == c->in.len && c->fin_sent && !c->fin_arrived) {
		c->fin_arrived = true;
		moved = true;
	}
	if (c->reset_sent && !c->reset_arrived) {
		c->in.len = c->arrived;
		c->reset_arrived = true;
		moved = true;
	}
	if (moved)
		edge(c);
	return (moved);
}

static bool
step_out(struct sim_conn *c)
{
	if (c->held || c->inflight == 0)
		return (false);
	c->inflight = 0;
	c->is_full = false;
	edge(c);
	return (true);
}

static bool
step(void)
{
	struct sim_conn *c;
	bool moved = false;

	LIST_FOREACH(c, &conns, struct sim_conn, link) {
		if (c->engine_closed || c->state == QUEUED)
			continue;
		moved = step_connect(c) || moved;
		if (c->state != OPEN)
			continue;
		moved = step_in(c) || moved;
		moved = step_out(c) || moved;
	}
	return (moved);
}

static void
end(void)
{
	struct list *node;

	while (!list_is_empty(&conns)) {
		struct sim_conn *c = list_first_entry(&conns, struct sim_conn, link);

		if (c->fd >= 0) {
			(void)fprintf(stderr, "sim: the engine never closed a connection %s%s\n",
			    c->to[0] != '\0' ? "to " : "from a client", c->to);
			abort();
		}
		list_del(&c->link);
		free(c->in.p);
		free(c->out.p);
		c->magic = 0;
		free(c);
	}
	while (!list_is_empty(&servers)) {
		node = servers.next;
		list_del(node);
		free(list_entry(node, struct sim_server_row, link));
	}
	n_clients = 0;
}

/* ---- the test's end ---- */

struct sim_conn *
sim_client_connect(uint16_t port)
{
	struct sim_listener *sl;
	struct sim_conn *c;

	LIST_FOREACH(sl, &listeners, struct sim_listener, link) {
		if (sl->port != port || sl->n_queue == array_len(sl->queue))
			continue;
		n_clients++;
		c = conn_new(QUEUED);
		sl->queue[sl->n_queue++] = c;
		/* With SO_REUSEPORT the next one gets the next connection. */
		list_del(&sl->link);
		list_add_tail(&listeners, &sl->link);
		return (c);
	}
	return (NULL);
}

void
sim_server(const char *addr, enum sim_server_mode mode)
{
	server_row(addr)->mode = mode;
}

unsigned
sim_server_count(const char *addr)
{
	return (server_row(addr)->count);
}

struct sim_conn *
sim_server_take(const char *addr)
{
	struct sim_conn *c;

	sim_run_until_idle();
	LIST_FOREACH(c, &conns, struct sim_conn, link) {
		if (c->taken || c->state != OPEN || strcmp(c->to, addr) != 0)
			continue;
		c->taken = true;
		return (c);
	}
	return (NULL);
}

void
sim_send(struct sim_conn *c, struct slice bytes)
{
	CHECK_OBJ(c, SIM_CONN_MAGIC);
	must(!c->fin_sent && !c->reset_sent);
	if (c->engine_closed) {
		c->engine_reset = true;	/* nobody takes them: the kernel answers with RST */
		return;
	}
	bytes_add(&c->in, bytes.p, bytes.len);
}

void
sim_chunk(struct sim_conn *c, size_t n)
{
	CHECK_OBJ(c, SIM_CONN_MAGIC);
	c->chunk = n;
}

void
sim_window(struct sim_conn *c, size_t n)
{
	CHECK_OBJ(c, SIM_CONN_MAGIC);
	c->window = n;
	c->inflight = 0;
	c->is_full = false;
	edge(c);
}

void
sim_take(struct sim_conn *c, size_t n)
{
	CHECK_OBJ(c, SIM_CONN_MAGIC);
	c->inflight -= n < c->inflight ? n : c->inflight;
	if (!c->is_full || c->inflight > c->window - c->window / 3)
		return;
	c->is_full = false;
	edge(c);
}

void
sim_hold(struct sim_conn *c, bool held)
{
	CHECK_OBJ(c, SIM_CONN_MAGIC);
	c->held = held;
}

size_t
sim_unread(struct sim_conn *c)
{
	CHECK_OBJ(c, SIM_CONN_MAGIC);
	return (c->in.len);
}

void
sim_close(struct sim_conn *c)
{
	CHECK_OBJ(c, SIM_CONN_MAGIC);
	c->fin_sent = true;
}

void
sim_reset(struct sim_conn *c)
{
	CHECK_OBJ(c, SIM_CONN_MAGIC);
	c->reset_sent = true;
}

struct slice
sim_received(struct sim_conn *c)
{
	CHECK_OBJ(c, SIM_CONN_MAGIC);
	sim_run_until_idle();
	return (slice_of(c->out.len > 0 ? c->out.p : "", c->out.len));
}

/* ---- expectations ---- */

/* Adds bytes to the message as a C string would spell them, cut at 200. */
static void
say_bytes(struct slice s)
{
	size_t used = strlen(why);

	for (size_t i = 0; i < s.len && i < 200 && used + 8 < sizeof why; i++) {
		unsigned char b = (unsigned char)s.p[i];

		if (b == '\r' || b == '\n') {
			why[used++] = '\\';
			why[used++] = b == '\r' ? 'r' : 'n';
		} else if (b < 0x20 || b >= 0x7f) {
			used += (size_t)snprintf(why + used, sizeof why - used, "\\x%02x", b);
		} else {
			if (b == '"' || b == '\\')
				why[used++] = '\\';
			why[used++] = (char)b;
		}
		why[used] = '\0';
	}
	if (s.len > 200)
		(void)snprintf(why + used, sizeof why - used, "... (%zu bytes)", s.len);
}

static void
say(const char *text)
{
	size_t used = strlen(why);

	(void)snprintf(why + used, sizeof why - used, "%s", text);
}

static const char *
describe_end(const struct sim_conn *c)
{
	if (c->engine_closed)
		return (c->engine_reset ? "it was reset" : "it was closed");
	if (c->state != OPEN)
		return ("it is not open yet");
	return (c->engine_shut ? "its sending side is ended" : "it is open");
}

static const char *
complain(struct sim_conn *c, const char *expected)
{
	why[0] = '\0';
	say("expected ");
	say(expected);
	say("; the connection: ");
	say(describe_end(c));
	if (c->out.len > 0) {
		say("; bytes not yet expected: \"");
		say_bytes(slice_of(c->out.p, c->out.len));
		say("\"");
	}
	return (why);
}

const char *
sim_expect(struct sim_conn *c, struct slice bytes)
{
	struct slice got = sim_received(c);
	size_t same = 0;

	while (same < got.len && same < bytes.len && got.p[same] == bytes.p[same])
		same++;
	if (same == bytes.len) {
		bytes_drop(&c->out, bytes.len);
		return (NULL);
	}
	why[0] = '\0';
	say("expected \"");
	say_bytes(bytes);
	say("\", got \"");
	say_bytes(got);
	say("\"; they differ after \"");
	say_bytes(slice_of(bytes.p, same));
	say("\"; ");
	say(describe_end(c));
	return (why);
}

const char *
sim_expect_nothing(struct sim_conn *c)
{
	return (sim_received(c).len == 0 ? NULL : complain(c, "no bytes"));
}

const char *
sim_expect_open(struct sim_conn *c)
{
	sim_run_until_idle();
	if (c->state == OPEN && !c->engine_closed && !c->engine_shut)
		return (NULL);
	return (complain(c, "an open connection"));
}

const char *
sim_expect_fin(struct sim_conn *c)
{
	if (sim_received(c).len == 0 && !c->engine_reset && (c->engine_shut || c->engine_closed))
		return (NULL);
	return (complain(c, "the end of the stream"));
}

const char *
sim_expect_closed(struct sim_conn *c)
{
	if (sim_received(c).len == 0 && c->engine_closed && !c->engine_reset)
		return (NULL);
	return (complain(c, "a clean close"));
}

const char *
sim_expect_reset(struct sim_conn *c)
{
	sim_run_until_idle();
	if (c->engine_closed && c->engine_reset)
		return (NULL);
	return (complain(c, "a reset"));
}
