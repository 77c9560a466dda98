/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "tests/unit/loop/dns_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/base/check.h"

/* RFC 1035 3.2.2, 4.1.1; RFC 3596 2.1. */
enum {
	TYPE_A		= 1,
	TYPE_CNAME	= 5,
	TYPE_AAAA	= 28,
	FLAG_ANSWER	= 0x8580,	/* QR, AA, RD, RA */
	FLAG_TC		= 0x0200,
	RCODE_SERVFAIL	= 2,
	RCODE_NXDOMAIN	= 3,
	HEAD_BYTES	= 12,
};

struct dns_server {
	const struct dns_row	*rows;
	unsigned		 n;
	int			 udp;
	int			 tcp;
	int			 stop;
	uint16_t		 port;
	atomic_uint		 queries;
	atomic_uint		 over_tcp;
	pthread_t		 thread;
};

struct answer {
	uint8_t		 b[4096];
	size_t		 n;
	unsigned	 records;
};

static void
put(struct answer *a, const void *p, size_t n)
{
	must(a->n + n <= sizeof a->b);
	memcpy(a->b + a->n, p, n);
	a->n += n;
}

static void
put16(struct answer *a, unsigned v)
{
	uint8_t b[2] = {(uint8_t)(v >> 8), (uint8_t)v};

	put(a, b, 2);
}

static void
put_name(struct answer *a, const char *name)
{
	while (*name != '\0') {
		size_t len = strcspn(name, ".");
		uint8_t byte = (uint8_t)len;

		put(a, &byte, 1);
		put(a, name, len);
		name += len + (name[len] == '.');
	}
	put(a, "", 1);
}

static void
put_record(struct answer *a, const char *owner, unsigned type, uint32_t ttl, const void *data,
    size_t n)
{
	put_name(a, owner);
	put16(a, type);
	put16(a, 1);	/* IN */
	put16(a, ttl >> 16);
	put16(a, ttl & 0xffff);
	put16(a, (unsigned)n);
	put(a, data, n);
	a->records++;
}

static void
put_cname(struct answer *a, const struct dns_row *row)
{
	struct answer target = {.n = 0};

	put_name(&target, row->alias);
	put_record(a, row->name, TYPE_CNAME, row->ttl, target.b, target.n);
}

static void
put_addresses(struct answer *a, const struct dns_row *row, unsigned type)
{
	const char *owner = row->alias != NULL ? row->alias : row->name;
	struct in6_addr in6;
	struct in_addr in;

	if (row->alias != NULL)
		put_cname(a, row);
	if (type == TYPE_AAAA && row->aaaa != NULL) {
		must(inet_pton(AF_INET6, row->aaaa, &in6) == 1);
		put_record(a, owner, TYPE_AAAA, row->ttl_addr, &in6, sizeof in6);
	}
	if (type != TYPE_A || row->a == NULL)
		return;
	must(inet_pton(AF_INET, row->a, &in) == 1);
	for (unsigned i = 0; i == 0 || i < row->n_a; i++) {
		put_record(a, owner, TYPE_A, row->alias != NULL ? row->ttl_addr : row->ttl, &in,
		    sizeof in);
		in.s_addr = htonl(ntohl(in.s_addr) + 1);
	}
}

/* The question's name in text; the bytes it takes, 0 when it cannot be read. */
static size_t
read_name(const uint8_t *q, size_t n, char *name, size_t room)
{
	size_t at = 0;
	size_t len = 0;

	while (at < n && q[at] != 0) {
		size_t label = q[at];

		if (label > 63 || at + 1 + label >= n || len + label + 2 > room)
			return (0);
		if (len > 0)
			name[len++] = '.';
		memcpy(name + len, q + at + 1, label);
		len += label;
		at += label + 1;
	}
	name[len] = '\0';
	return (at < n ? at + 1 : 0);
}

static const struct dns_row *
find_row(const struct dns_server *s, const char *name)
{
	for (unsigned i = 0; i < s->n; i++) {
		if (strcasecmp(s->rows[i].name, name) == 0)
			return (&s->rows[i]);
	}
	return (NULL);
}

/* False: say nothing. */
static bool
answer(struct dns_server *s, const uint8_t *q, size_t n, bool tcp, struct answer *a)
{
	const struct dns_row *row;
	char name[256];
	unsigned flags = FLAG_ANSWER;
	unsigned type;
	size_t used;

	atomic_fetch_add(&s->queries, 1);
	if (n < HEAD_BYTES + 5)
		return (false);
	used = read_name(q + HEAD_BYTES, n - HEAD_BYTES, name, sizeof name);
	if (used == 0 || HEAD_BYTES + used + 4 > n)
		return (false);
	type = (unsigned)q[HEAD_BYTES + used] << 8 | q[HEAD_BYTES + used + 1];
	row = find_row(s, name);
	if (row != NULL && row->silent)
		return (false);
	a->n = 0;
	a->records = 0;
	put(a, q, 2);	/* the query's number */
	put(a, "\0\0\0\1\0\0\0\0\0\0", 10);
	put(a, q + HEAD_BYTES, used + 4);
	if (row == NULL)
		flags |= RCODE_NXDOMAIN;
	else if (row->servfail)
		flags |= RCODE_SERVFAIL;
	else if (row->truncate && !tcp)
		flags |= FLAG_TC;
	else
		put_addresses(a, row, type);
	a->b[2] = (uint8_t)(flags >> 8);
	a->b[3] = (uint8_t)flags;
	a->b[6] = (uint8_t)(a->records >> 8);
	a->b[7] = (uint8_t)a->records;
	if (row != NULL && row->garbage) {
		a->b[7] = 5;	/* records that are not there */
		a->n = HEAD_BYTES + used + 4;
	}
	return (true);
}

static void
serve_udp(struct dns_server *s)
{
	struct sockaddr_storage from;
	socklen_t len = sizeof from;
	uint8_t q[512];
	struct answer a;
	ssize_t n = recvfrom(s->udp, q, sizeof q, 0, (struct sockaddr *)&from, &len);

	if (n > 0 && answer(s, q, (size_t)n, false, &a))
		(void)sendto(s->udp, a.b, a.n, 0, (struct sockaddr *)&from, len);
}

static bool
read_all(int fd, uint8_t *p, size_t n)
{
	while (n > 0) {
		ssize_t got = read(fd, p, n);

		if (got <= 0)
			return (false);
		p += got;
		n -= (size_t)got;
	}
	return (true);
}

/* Writes in two parts, so that the client must put the answer together. */
static void
serve_tcp(struct dns_server *s)
{
	struct timeval patience = {2, 0};
	int fd = accept(s->tcp, NULL, NULL);
	uint8_t head[2];
	uint8_t q[512];
	struct answer a;
	size_t n;

	if (fd < 0)
		return;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	while (read_all(fd, head, 2)) {
		n = (size_t)head[0] << 8 | head[1];
		if (n > sizeof q || !read_all(fd, q, n))
			break;
		atomic_fetch_add(&s->over_tcp, 1);
		if (!answer(s, q, n, true, &a))
			continue;
		head[0] = (uint8_t)(a.n >> 8);
		head[1] = (uint8_t)a.n;
		if (send(fd, head, 2, MSG_NOSIGNAL) != 2 ||
		    send(fd, a.b, 20, MSG_NOSIGNAL) != 20 ||
		    send(fd, a.b + 20, a.n - 20, MSG_NOSIGNAL) < 0)
			break;
	}
	(void)close(fd);
}

static void *
serve(void *arg)
{
	struct dns_server *s = arg;
	struct pollfd p[3] = {{s->stop, POLLIN, 0}, {s->udp, POLLIN, 0}, {s->tcp, POLLIN, 0}};

	for (;;) {
		if (poll(p, 3, -1) < 0)
			continue;
		if (p[0].revents != 0)
			return (NULL);
		if (p[1].revents != 0)
			serve_udp(s);
		if (p[2].revents != 0)
			serve_tcp(s);
	}
}

/* The same number for both; another one when it is taken. */
static bool
bind_both(struct dns_server *s)
{
	struct sockaddr_in sin;
	socklen_t len = sizeof sin;

	memset(&sin, 0, sizeof sin);
	sin.sin_family = AF_INET;
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	s->udp = socket(AF_INET, SOCK_DGRAM, 0);
	s->tcp = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(s->udp, (struct sockaddr *)&sin, sizeof sin) == 0 &&
	    getsockname(s->udp, (struct sockaddr *)&sin, &len) == 0 &&
	    bind(s->tcp, (struct sockaddr *)&sin, sizeof sin) == 0 && listen(s->tcp, 8) == 0) {
		s->port = ntohs(sin.sin_port);
		return (true);
	}
	(void)close(s->udp);
	(void)close(s->tcp);
	return (false);
}

struct dns_server *
dns_server_start(const struct dns_row *rows, unsigned n)
{
	struct dns_server *s = calloc(1, sizeof *s);
	unsigned tries = 20;

	must(s != NULL);
	s->rows = rows;
	s->n = n;
	while (!bind_both(s))
		must(--tries > 0);
	s->stop = eventfd(0, 0);
	must(s->stop >= 0);
	must(pthread_create(&s->thread, NULL, serve, s) == 0);
	return (s);
}

void
dns_server_stop(struct dns_server **sp)
{
	struct dns_server *s = *sp;

	*sp = NULL;
	must(eventfd_write(s->stop, 1) == 0);
	must(pthread_join(s->thread, NULL) == 0);
	(void)close(s->stop);
	(void)close(s->udp);
	(void)close(s->tcp);
	free(s);
}

uint16_t
dns_server_port(const struct dns_server *s)
{
	return (s->port);
}

unsigned
dns_server_queries(struct dns_server *s)
{
	return (atomic_load(&s->queries));
}

unsigned
dns_server_tcp(struct dns_server *s)
{
	return (atomic_load(&s->over_tcp));
}
