/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The floor: a byte forwarder that a gateway is measured against.
 *
 * It accepts a connection, opens one to the upstream, and moves bytes both ways with recv and send
 * through one 64 KiB buffer a thread. It parses nothing. What it costs is what the kernel asks for
 * having two sockets between a client and a server.
 *
 * Each socket is put into epoll once, level-triggered, for reading only: of the ways to watch a
 * socket this is the cheapest for a forwarder. Only when a send takes less than it was given is the
 * rest kept, the source unwatched and the target watched for writing.
 *
 * Threads share nothing: each has its own listening socket (SO_REUSEPORT), epoll and buffer.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	BUFFER_SIZE = 64 * 1024,
	EVENTS_MAX = 256,
	BACKLOG = 4096,
};

/* One socket of a pair. What was read here and could not be sent to `peer` waits in `rest`. */
struct side {
	int fd;
	uint32_t watched; /* what epoll was last told */
	struct side *peer;
	struct pair *pair;
	char *rest; /* NULL while nothing waits */
	size_t rest_off;
	size_t rest_len;
	bool eof;      /* this socket sent its FIN */
	bool fin_sent; /* the FIN was passed on to the peer */
};

struct pair {
	struct side side[2]; /* client, upstream */
	struct pair *next_dead;
	bool dead;
};

struct forwarder {
	struct sockaddr_in upstream_addr;
	int ep;
	int listen_fd;
	struct pair *dead; /* freed after the batch: later events may still name them */
	char buf[BUFFER_SIZE];
};

static void
die(const char *what)
{
	fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void
set_nodelay(int fd)
{
	int one = 1;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

static int
listen_open(struct sockaddr_in *addr)
{
	socklen_t len = sizeof(*addr);
	int one = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		die("socket");
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0)
		die("SO_REUSEADDR");
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) != 0)
		die("SO_REUSEPORT");
	if (bind(fd, (struct sockaddr *)addr, sizeof(*addr)) != 0)
		die("bind");
	if (listen(fd, BACKLOG) != 0)
		die("listen");
	if (getsockname(fd, (struct sockaddr *)addr, &len) != 0)
		die("getsockname");
	return (fd);
}

static void
pair_close(struct forwarder *f, struct pair *p)
{
	if (p->dead)
		return;
	p->dead = true;
	for (int i = 0; i < 2; i++) {
		close(p->side[i].fd);
		free(p->side[i].rest);
	}
	p->next_dead = f->dead;
	f->dead = p;
}

static void
side_watch(struct forwarder *f, struct side *s, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = s };

	int op = EPOLL_CTL_MOD;

	if (s->watched == events)
		return;
	/* Left in with no events, a socket shut both ways would report EPOLLHUP for ever. */
	if (events == 0)
		op = EPOLL_CTL_DEL;
	else if (s->watched == 0)
		op = EPOLL_CTL_ADD;
	s->watched = events;
	if (epoll_ctl(f->ep, op, s->fd, &ev) != 0)
		die("epoll_ctl");
}

/* A side is read while it may still send and nothing of it waits; written while its peer waits. */
static void
side_rewatch(struct forwarder *f, struct side *s)
{
	uint32_t events = 0;

	if (!s->eof && s->rest == NULL)
		events |= EPOLLIN;
	if (s->peer->rest != NULL)
		events |= EPOLLOUT;
	side_watch(f, s, events);
}

static bool
side_keep_rest(struct side *s, const char *data, size_t len)
{
	s->rest = malloc(len);
	if (s->rest == NULL)
		return (false);
	memcpy(s->rest, data, len);
	s->rest_off = 0;
	s->rest_len = len;
	return (true);
}

/* Passes the FIN on once all before it is out; closes when both directions have ended. */
static void
side_finish(struct forwarder *f, struct side *s)
{
	if (s->eof && s->rest == NULL && !s->fin_sent) {
		s->fin_sent = true;
		(void)shutdown(s->peer->fd, SHUT_WR);
	}
	if (s->fin_sent && s->peer->fin_sent) {
		pair_close(f, s->pair);
		return;
	}
	side_rewatch(f, s);
	side_rewatch(f, s->peer);
}

static void
side_read(struct forwarder *f, struct side *s)
{
	ssize_t got = recv(s->fd, f->buf, sizeof(f->buf), 0);
	ssize_t put;

	if (got < 0) {
		if (errno != EAGAIN && errno != EINTR)
			pair_close(f, s->pair);
		return;
	}
	if (got == 0) {
		s->eof = true;
		side_finish(f, s);
		return;
	}
	put = send(s->peer->fd, f->buf, (size_t)got, MSG_NOSIGNAL);
	if (put == got)
		return;
	if (put < 0 && errno != EAGAIN && errno != EINTR) {
		pair_close(f, s->pair);
		return;
	}
	if (put < 0)
		put = 0;
	if (!side_keep_rest(s, f->buf + put, (size_t)(got - put))) {
		pair_close(f, s->pair);
		return;
	}
	side_rewatch(f, s);
	side_rewatch(f, s->peer);
}

/* `s` became writable: what its peer had left over goes out. */
static void
side_write(struct forwarder *f, struct side *s)
{
	struct side *from = s->peer;
	ssize_t put;

	if (from->rest == NULL)
		return;
	put = send(s->fd, from->rest + from->rest_off, from->rest_len, MSG_NOSIGNAL);
	if (put < 0) {
		if (errno != EAGAIN && errno != EINTR)
			pair_close(f, s->pair);
		return;
	}
	from->rest_off += (size_t)put;
	from->rest_len -= (size_t)put;
	if (from->rest_len > 0)
		return;
	free(from->rest);
	from->rest = NULL;
	side_finish(f, from);
}

static void
side_init(struct side *s, struct side *peer, struct pair *pair, int fd)
{
	s->fd = fd;
	s->peer = peer;
	s->pair = pair;
	s->watched = EPOLLIN;
	set_nodelay(fd);
}

/* A send on a connection still being made answers EAGAIN: the rest then waits for EPOLLOUT. */
static void
pair_open(struct forwarder *f, int client)
{
	struct pair *p = calloc(1, sizeof(*p));
	int upstream = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (p == NULL || upstream < 0)
		die("pair");
	side_init(&p->side[0], &p->side[1], p, client);
	side_init(&p->side[1], &p->side[0], p, upstream);
	if (connect(upstream, (struct sockaddr *)&f->upstream_addr, sizeof(f->upstream_addr)) !=
		0 &&
	    errno != EINPROGRESS) {
		pair_close(f, p);
		return;
	}
	for (int i = 0; i < 2; i++) {
		struct epoll_event ev = { .events = EPOLLIN, .data.ptr = &p->side[i] };

		if (epoll_ctl(f->ep, EPOLL_CTL_ADD, p->side[i].fd, &ev) != 0)
			die("epoll_ctl");
	}
}

static void
accept_all(struct forwarder *f)
{
	for (;;) {
		int fd = accept4(f->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0)
			pair_open(f, fd);
		else if (errno != EINTR && errno != ECONNABORTED)
			return;
	}
}

static void
side_event(struct forwarder *f, struct side *s, uint32_t events)
{
	if (s->pair->dead)
		return;
	if (events & EPOLLIN)
		side_read(f, s);
	if (!s->pair->dead && (events & EPOLLOUT))
		side_write(f, s);
	/* Broken, and neither read nor written above: nobody else would notice. */
	if (!s->pair->dead && (events & EPOLLERR) && !(events & (EPOLLIN | EPOLLOUT)))
		pair_close(f, s->pair);
}

static void
free_dead(struct forwarder *f)
{
	while (f->dead != NULL) {
		struct pair *p = f->dead;

		f->dead = p->next_dead;
		free(p);
	}
}

static void *
forwarder_run(void *arg)
{
	struct forwarder *f = arg;
	struct epoll_event evs[EVENTS_MAX];
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = NULL };

	f->ep = epoll_create1(EPOLL_CLOEXEC);
	if (f->ep < 0 || epoll_ctl(f->ep, EPOLL_CTL_ADD, f->listen_fd, &ev) != 0)
		die("epoll");
	for (;;) {
		int n = epoll_wait(f->ep, evs, EVENTS_MAX, -1);

		for (int i = 0; i < n; i++) {
			if (evs[i].data.ptr == NULL)
				accept_all(f);
			else
				side_event(f, evs[i].data.ptr, evs[i].events);
		}
		free_dead(f);
	}
	return (NULL);
}

static unsigned
number(const char *text, unsigned max)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	if (*text == '\0' || *end != '\0' || v > max) {
		fprintf(stderr, "floor: not a number up to %u: %s\n", max, text);
		exit(2);
	}
	return ((unsigned)v);
}

static void
usage(void)
{
	fprintf(stderr,
	    "usage: floor -u UPSTREAM_PORT [-l LISTEN_PORT] [-t THREADS]\n"
	    "Forwards bytes from 127.0.0.1:LISTEN_PORT to 127.0.0.1:UPSTREAM_PORT.\n");
	exit(2);
}

int
main(int argc, char **argv)
{
	struct sockaddr_in listen_addr = { .sin_family = AF_INET };
	struct sockaddr_in upstream_addr = { .sin_family = AF_INET };
	unsigned threads = 1;
	int opt;

	listen_addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	upstream_addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	while ((opt = getopt(argc, argv, "l:u:t:")) != -1) {
		if (opt == 'l')
			listen_addr.sin_port = htons((uint16_t)number(optarg, 65535));
		else if (opt == 'u')
			upstream_addr.sin_port = htons((uint16_t)number(optarg, 65535));
		else if (opt == 't')
			threads = number(optarg, 64);
		else
			usage();
	}
	if (upstream_addr.sin_port == 0 || threads == 0 || optind != argc)
		usage();
	(void)signal(SIGPIPE, SIG_IGN);
	for (unsigned i = 0; i < threads; i++) {
		struct forwarder *f = calloc(1, sizeof(*f));
		pthread_t thread;

		if (f == NULL)
			die("memory");
		f->listen_fd = listen_open(&listen_addr);
		f->upstream_addr = upstream_addr;
		if (i == 0)
			printf("listening %u\n", (unsigned)ntohs(listen_addr.sin_port));
		(void)fflush(stdout);
		if (i + 1 == threads)
			(void)forwarder_run(f);
		else if (pthread_create(&thread, NULL, forwarder_run, f) != 0)
			die("thread");
	}
	return (0);
}
