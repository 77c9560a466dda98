/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/base/check.h"
#include "engine/base/log.h"
#include "engine/loop/loop.h"
#include "engine/net/listener.h"

enum {
	/* Without descriptors or memory: long enough for some connections to close. */
	LISTENER_REST_MS = 50,
	LISTENER_DEFER_S = 1
};

static int
set(int fd, int level, int name, int value)
{
	return (setsockopt(fd, level, name, &value, sizeof value));
}

/*
 * Accepted sockets inherit NODELAY (Linux), so that accept costs one system call. No keep-alive
 * probes: HTTP connections have idle limits of their own, and the probe timer costs each one.
 * A connection is reported with its first bytes (tcp(7), TCP_DEFER_ACCEPT), or after a second
 * without any: one wake-up for accept and the first read, and a silent one costs the kernel only.
 */
static int
set_options(int fd, const struct addr *a, bool dual_stack)
{
	if (set(fd, SOL_SOCKET, SO_REUSEADDR, 1) < 0 || set(fd, SOL_SOCKET, SO_REUSEPORT, 1) < 0 ||
	    set(fd, IPPROTO_TCP, TCP_NODELAY, 1) < 0 ||
	    set(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, LISTENER_DEFER_S) < 0)
		return (-1);
	if (a->u.sa.sa_family == AF_INET6)
		return (set(fd, IPPROTO_IPV6, IPV6_V6ONLY, dual_stack ? 0 : 1));
	return (0);
}

struct err *
listener_bind(struct arena *arena, struct mark mark, const struct addr *a, bool dual_stack,
    int *fd_r)
{
	char text[ADDR_TEXT_MAX];
	int fd, saved;

	*fd_r = -1;
	fd = socket(a->u.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd >= 0 && set_options(fd, a, dual_stack) == 0 && bind(fd, &a->u.sa, a->len) == 0 &&
	    listen(fd, SOMAXCONN) == 0) {
		*fd_r = fd;
		return (NULL);
	}
	saved = errno;
	if (fd >= 0)
		(void)close(fd);
	addr_format(a, text, sizeof text);
	return (err_new(arena, ERR_SYSTEM, mark, "cannot listen on %s: %s", text, strerror(saved)));
}

static void
rest(struct listener_socket *l)
{
	if (!l->paused)
		io_del(&l->io);
	l->paused = true;
	timer_set(l->loop, &l->backoff, loop_now_ms(l->loop) + LISTENER_REST_MS);
}

/* One connection. False: stop for this turn. */
static bool
accept_one(struct listener_socket *l)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof ss;
	struct addr peer;
	int fd;

	fd = accept4(l->fd, (struct sockaddr *)&ss, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0) {
		if (!addr_from_sockaddr(&peer, (const struct sockaddr *)&ss, len))
			peer.len = 0;	/* a client of a Unix socket that has no name */
		l->on_accept(l->arg, fd, &peer);
		return (true);
	}
	switch (errno) {
	case EINTR:
	case ECONNABORTED:	/* it was gone before we came: the next may be fine */
	case EPROTO:
		return (true);
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
		log_warn("accept: %s; resting %d ms", strerror(errno), LISTENER_REST_MS);
		rest(l);
		return (false);
	default:
		return (false);
	}
}

static void
on_ready(void *arg, unsigned what)
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
watch(struct listener_socket *l)
{
	l->paused = !io_add_listener(l->loop, &l->io, l->fd, on_ready, l);
	if (l->paused)
		rest(l);
}

static void
on_rested(void *arg)
{
	struct listener_socket *l;

	CAST_OBJ(l, arg, LISTENER_SOCKET_MAGIC);
	watch(l);
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
	watch(l);
}

/*
 * Connections that wait to be accepted; of a listening socket the kernel tells them in this field
 * (ss(8) shows it as Recv-Q). Where it does not, there are at most as many as listen() was told.
 */
static unsigned
queued(int fd)
{
	struct tcp_info info;
	socklen_t len = sizeof info;

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
		return (SOMAXCONN);
	return (info.tcpi_unacked);
}

void
listener_stop(struct listener_socket *l)
{
	/* More may come as fast as these are taken. */
	unsigned n = l->paused ? 0 : queued(l->fd);

	while (n-- > 0 && !l->paused && accept_one(l))
		continue;
	timer_clear(&l->backoff);
	if (!l->paused)
		io_del(&l->io);
	l->paused = true;
	(void)close(l->fd);
	l->fd = -1;
}

void
listener_discard(int fd)
{
	(void)close(fd);
}
