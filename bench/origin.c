/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small HTTP/1.1 origin to put behind a proxy under test. It is cheap, so that it and a load
 * generator on one core can keep a proxy on another core busy. It shares no code with the engine.
 * It trusts its peer's framing: it is not a server for anything but tests.
 *
 *	GET  /small          200, a JSON object of 128 bytes
 *	GET  /64k            200, 65,536 bytes
 *	GET  /bytes/N        200, N bytes
 *	POST /upload         reads the body (Content-Length or chunked), 200, its length in decimal
 *	     /delay/MS       as /small, MS milliseconds later
 *	anything else        as /small
 *
 * Connections are kept unless the request says `Connection: close` or -k was given.
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
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum {
	IN_SIZE = 32 * 1024, /* the longest head */
	HEAD_SIZE = 256,     /* the longest response head */
	FILL_SIZE = 64 * 1024,
	SMALL_SIZE = 128,
	EVENTS_MAX = 256,
	BACKLOG = 4096,
};

enum reading {
	READING_HEAD,
	READING_BODY, /* body_left bytes to come */
	READING_CHUNKS,
	READING_PAUSED, /* an answer is on its way, or waits for its time */
};

enum chunk_state {
	CHUNK_SIZE,
	CHUNK_SIZE_LINE, /* the rest of the line: extensions, CR */
	CHUNK_DATA,
	CHUNK_DATA_END,      /* CR LF after the data */
	CHUNK_TRAILER_START, /* at the beginning of a line */
	CHUNK_TRAILER,
	CHUNK_LAST_LF,
	CHUNK_DONE,
};

struct request {
	uint64_t length;
	uint64_t answer_bytes;
	uint64_t delay_ms;
	bool upload;
	bool chunked;
	bool close;
	bool expect;
	bool head_only;
};

struct conn {
	int fd;
	enum reading reading;
	enum chunk_state chunk;
	bool waits_writable;
	bool delayed;
	bool dead;
	struct request req;
	uint64_t body_left; /* of the body, or of the chunk */
	uint64_t body_seen;
	uint64_t due_ms; /* when a delayed answer goes out */
	size_t in_len;
	size_t head_len;
	size_t head_off;
	uint64_t out_left; /* body bytes still to send, from the fill */
	const char *out_fill;
	struct conn *next; /* in the list of the delayed, or of the dead */
	char head[HEAD_SIZE];
	char in[IN_SIZE];
};

struct origin {
	int ep;
	int listen_fd;
	struct conn *delayed;
	struct conn *dead;
};

static bool always_close;
static char small_body[SMALL_SIZE];
static char fill[FILL_SIZE];
static char date[64];

static void
die(const char *what)
{
	fprintf(stderr, "origin: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t
now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000);
}

static void
conn_close(struct origin *o, struct conn *c)
{
	if (c->dead)
		return;
	c->dead = true;
	close(c->fd);
	/* A delayed connection stays in its list, which frees it. */
	if (c->delayed)
		return;
	c->next = o->dead;
	o->dead = c;
}

static void
conn_watch_writable(struct origin *o, struct conn *c, bool on)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = c };

	if (c->waits_writable == on)
		return;
	c->waits_writable = on;
	if (on)
		ev.events = EPOLLOUT;
	if (epoll_ctl(o->ep, EPOLL_CTL_MOD, c->fd, &ev) != 0)
		die("epoll_ctl");
}

/* Sends what is left of the answer. Returns true when all of it is out. */
static bool
answer_send(struct origin *o, struct conn *c)
{
	while (c->head_off < c->head_len || c->out_left > 0) {
		size_t body = c->out_left < FILL_SIZE ? (size_t)c->out_left : FILL_SIZE;
		size_t head = c->head_len - c->head_off;
		struct iovec iov[2] = {
			{ .iov_base = c->head + c->head_off, .iov_len = head },
			{ .iov_base = (void *)(uintptr_t)c->out_fill, .iov_len = body },
		};
		struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
		ssize_t n = sendmsg(c->fd, &msg, MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN) {
			conn_watch_writable(o, c, true);
			return (false);
		}
		if (n < 0) {
			conn_close(o, c);
			return (false);
		}
		if ((size_t)n < head) {
			c->head_off += (size_t)n;
			continue;
		}
		c->head_off = c->head_len;
		c->out_left -= (uint64_t)((size_t)n - head);
	}
	conn_watch_writable(o, c, false);
	if (c->req.close) {
		(void)shutdown(c->fd, SHUT_WR);
		conn_close(o, c);
		return (false);
	}
	c->reading = READING_HEAD;
	return (true);
}

static void
answer_head(struct conn *c, uint64_t length, const char *type)
{
	int n = snprintf(c->head, sizeof(c->head),
	    "HTTP/1.1 200 OK\r\nServer: origin\r\nDate: %s\r\nContent-Type: %s\r\n"
	    "Content-Length: %llu\r\n%s\r\n",
	    date, type, (unsigned long long)length, c->req.close ? "Connection: close\r\n" : "");

	c->head_len = (size_t)n;
	c->head_off = 0;
}

static bool
answer_start(struct origin *o, struct conn *c)
{
	if (c->req.upload) {
		char digits[24];
		int n = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)c->body_seen);

		answer_head(c, (uint64_t)n, "text/plain");
		memcpy(c->head + c->head_len, digits, (size_t)n);
		c->head_len += (size_t)n;
		c->out_left = 0;
	} else if (c->req.answer_bytes > 0) {
		answer_head(c, c->req.answer_bytes, "application/octet-stream");
		c->out_fill = fill;
		c->out_left = c->req.answer_bytes;
	} else {
		answer_head(c, SMALL_SIZE, "application/json");
		c->out_fill = small_body;
		c->out_left = SMALL_SIZE;
	}
	if (c->req.head_only)
		c->out_left = 0;
	return (answer_send(o, c));
}

/* The request has arrived whole. Returns true when the next one may be looked for. */
static bool
request_done(struct origin *o, struct conn *c)
{
	c->reading = READING_PAUSED;
	if (c->req.delay_ms == 0)
		return (answer_start(o, c));
	c->due_ms = now_ms() + c->req.delay_ms;
	c->delayed = true;
	c->next = o->delayed;
	o->delayed = c;
	return (false);
}

static bool
value_is(const char *value, const char *end, const char *word)
{
	size_t n = strlen(word);

	while (value < end && *value == ' ')
		value++;
	return ((size_t)(end - value) >= n && strncasecmp(value, word, n) == 0);
}

static void
head_field(struct request *r, const char *line, const char *end)
{
	switch (line[0] | 0x20) {
	case 'c':
		if (strncasecmp(line, "content-length:", 15) == 0)
			r->length = strtoull(line + 15, NULL, 10);
		else if (strncasecmp(line, "connection:", 11) == 0)
			r->close |= value_is(line + 11, end, "close");
		break;
	case 't':
		if (strncasecmp(line, "transfer-encoding:", 18) == 0)
			r->chunked = value_is(line + 18, end, "chunked");
		break;
	case 'e':
		if (strncasecmp(line, "expect:", 7) == 0)
			r->expect = value_is(line + 7, end, "100-continue");
		break;
	default:
		break;
	}
}

static void
head_parse(struct request *r, const char *head, const char *end)
{
	const char *path = memchr(head, ' ', (size_t)(end - head));
	const char *line = memchr(head, '\n', (size_t)(end - head));

	memset(r, 0, sizeof(*r));
	r->close = always_close;
	r->head_only = head[0] == 'H';
	path = path == NULL ? "/" : path + 1;
	if (strncmp(path, "/64k", 4) == 0)
		r->answer_bytes = FILL_SIZE;
	else if (strncmp(path, "/upload", 7) == 0)
		r->upload = true;
	else if (strncmp(path, "/bytes/", 7) == 0)
		r->answer_bytes = strtoull(path + 7, NULL, 10);
	else if (strncmp(path, "/delay/", 7) == 0)
		r->delay_ms = strtoull(path + 7, NULL, 10);
	while (line != NULL && line + 1 < end) {
		const char *next = memchr(line + 1, '\n', (size_t)(end - line - 1));

		if (next == NULL)
			break;
		head_field(r, line + 1, next);
		line = next;
	}
}

static int
hex_digit(char ch)
{
	if (ch >= '0' && ch <= '9')
		return (ch - '0');
	if ((ch | 0x20) >= 'a' && (ch | 0x20) <= 'f')
		return ((ch | 0x20) - 'a' + 10);
	return (-1);
}

/* One byte of a chunked body that is not chunk data. */
static void
chunk_byte(struct conn *c, char ch)
{
	switch (c->chunk) {
	case CHUNK_SIZE:
		if (hex_digit(ch) >= 0) {
			c->body_left = c->body_left * 16 + (uint64_t)hex_digit(ch);
			break;
		}
		c->chunk = CHUNK_SIZE_LINE;
		if (ch != '\n')
			break;
		/* fall through */
	case CHUNK_SIZE_LINE:
		if (ch == '\n')
			c->chunk = c->body_left > 0 ? CHUNK_DATA : CHUNK_TRAILER_START;
		break;
	case CHUNK_DATA_END:
		if (ch == '\n')
			c->chunk = CHUNK_SIZE;
		break;
	case CHUNK_TRAILER_START:
		c->chunk = ch == '\r' ? CHUNK_LAST_LF : CHUNK_TRAILER;
		break;
	case CHUNK_TRAILER:
		if (ch == '\n')
			c->chunk = CHUNK_TRAILER_START;
		break;
	case CHUNK_LAST_LF:
		c->chunk = CHUNK_DONE;
		break;
	case CHUNK_DATA:
	case CHUNK_DONE:
		break;
	}
}

/* Returns how many of the bytes belong to the body. */
static size_t
chunks_feed(struct conn *c, const char *data, size_t len)
{
	size_t i = 0;

	while (i < len && c->chunk != CHUNK_DONE) {
		if (c->chunk == CHUNK_DATA) {
			size_t n = len - i < c->body_left ? len - i : (size_t)c->body_left;

			i += n;
			c->body_seen += n;
			c->body_left -= n;
			if (c->body_left == 0)
				c->chunk = CHUNK_DATA_END;
			continue;
		}
		chunk_byte(c, data[i++]);
	}
	return (i);
}

static void
in_drop(struct conn *c, size_t n)
{
	c->in_len -= n;
	if (c->in_len > 0)
		memmove(c->in, c->in + n, c->in_len);
}

/* Takes a head from the input. Returns false when it is not there whole, or the end came. */
static bool
take_head(struct origin *o, struct conn *c)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
	char *end = memmem(c->in, c->in_len, "\r\n\r\n", 4);

	if (end == NULL) {
		if (c->in_len == IN_SIZE)
			conn_close(o, c);
		return (false);
	}
	end += 4;
	head_parse(&c->req, c->in, end);
	in_drop(c, (size_t)(end - c->in));
	c->body_seen = 0;
	c->body_left = c->req.chunked ? 0 : c->req.length;
	c->chunk = CHUNK_SIZE;
	if (c->req.expect && c->in_len == 0)
		(void)send(c->fd, go_on, sizeof(go_on) - 1, MSG_NOSIGNAL);
	if (c->req.chunked)
		c->reading = READING_CHUNKS;
	else
		c->reading = READING_BODY;
	return (true);
}

/* Works through what was read, until more is needed or an answer must go out first. */
static void
input_run(struct origin *o, struct conn *c)
{
	for (;;) {
		if (c->reading == READING_HEAD && (c->in_len == 0 || !take_head(o, c)))
			return;
		if (c->reading == READING_BODY) {
			size_t n = c->in_len < c->body_left ? c->in_len : (size_t)c->body_left;

			c->body_left -= n;
			c->body_seen += n;
			in_drop(c, n);
			if (c->body_left > 0)
				return;
		} else if (c->reading == READING_CHUNKS) {
			in_drop(c, chunks_feed(c, c->in, c->in_len));
			if (c->chunk != CHUNK_DONE)
				return;
		} else {
			return;
		}
		if (!request_done(o, c))
			return;
	}
}

static void
conn_read(struct origin *o, struct conn *c)
{
	ssize_t n;

	if (c->reading == READING_BODY && c->in_len == 0) {
		/* Counted, not copied: the kernel throws the bytes away. */
		size_t want = c->body_left < (1U << 20) ? (size_t)c->body_left : (1U << 20);

		n = recv(c->fd, NULL, want, MSG_TRUNC);
		if (n > 0) {
			c->body_left -= (uint64_t)n;
			c->body_seen += (uint64_t)n;
			if (c->body_left > 0)
				return;
			if (request_done(o, c))
				input_run(o, c);
			return;
		}
	} else {
		n = recv(c->fd, c->in + c->in_len, IN_SIZE - c->in_len, 0);
		if (n > 0) {
			c->in_len += (size_t)n;
			input_run(o, c);
			return;
		}
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	conn_close(o, c);
}

static void
conn_event(struct origin *o, struct conn *c, uint32_t events)
{
	if (c->dead)
		return;
	if (c->waits_writable) {
		if (answer_send(o, c))
			input_run(o, c);
		return;
	}
	if (events & (EPOLLIN | EPOLLERR | EPOLLHUP))
		conn_read(o, c);
}

static void
accept_all(struct origin *o)
{
	for (;;) {
		int one = 1;
		int fd = accept4(o->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		struct epoll_event ev = { .events = EPOLLIN };
		struct conn *c;

		if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
			continue;
		if (fd < 0)
			return;
		c = malloc(sizeof(*c));
		if (c == NULL)
			die("memory");
		/* The buffers come last and are not cleared. */
		memset(c, 0, offsetof(struct conn, head));
		c->fd = fd;
		ev.data.ptr = c;
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		if (epoll_ctl(o->ep, EPOLL_CTL_ADD, fd, &ev) != 0)
			die("epoll_ctl");
	}
}

/* Sends what is due. Returns the time to the next in milliseconds, -1 when nothing waits. */
static int
delayed_run(struct origin *o)
{
	struct conn *c = o->delayed;
	uint64_t now;
	uint64_t next = UINT64_MAX;

	if (c == NULL)
		return (-1);
	now = now_ms();
	o->delayed = NULL;
	while (c != NULL) {
		struct conn *after = c->next;

		if (c->dead) {
			c->next = o->dead;
			o->dead = c;
		} else if (c->due_ms <= now) {
			c->delayed = false;
			if (answer_start(o, c))
				input_run(o, c);
		} else {
			if (c->due_ms < next)
				next = c->due_ms;
			c->next = o->delayed;
			o->delayed = c;
		}
		c = after;
	}
	if (o->delayed == NULL)
		return (-1);
	return (next > now ? (int)(next - now) : 1);
}

static void
free_dead(struct origin *o)
{
	while (o->dead != NULL) {
		struct conn *c = o->dead;

		o->dead = c->next;
		free(c);
	}
}

static void *
origin_run(void *arg)
{
	struct origin *o = arg;
	struct epoll_event evs[EVENTS_MAX];
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = NULL };

	o->ep = epoll_create1(EPOLL_CLOEXEC);
	if (o->ep < 0 || epoll_ctl(o->ep, EPOLL_CTL_ADD, o->listen_fd, &ev) != 0)
		die("epoll");
	for (;;) {
		int wait_ms = delayed_run(o);
		int n;

		free_dead(o);
		n = epoll_wait(o->ep, evs, EVENTS_MAX, wait_ms);
		for (int i = 0; i < n; i++) {
			if (evs[i].data.ptr == NULL)
				accept_all(o);
			else
				conn_event(o, evs[i].data.ptr, evs[i].events);
		}
	}
	return (NULL);
}

static int
listen_open(struct sockaddr_in *addr)
{
	socklen_t len = sizeof(*addr);
	int one = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		die("socket");
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) != 0)
		die("setsockopt");
	if (bind(fd, (struct sockaddr *)addr, sizeof(*addr)) != 0)
		die("bind");
	if (listen(fd, BACKLOG) != 0)
		die("listen");
	if (getsockname(fd, (struct sockaddr *)addr, &len) != 0)
		die("getsockname");
	return (fd);
}

static void
bodies_init(void)
{
	static const char start[] = "{\"id\":42,\"name\":\"weir\",\"fill\":\"";
	time_t now = time(NULL);
	struct tm tm;

	memset(fill, 'x', sizeof(fill));
	memset(small_body, 'x', sizeof(small_body));
	memcpy(small_body, start, sizeof(start) - 1);
	memcpy(small_body + SMALL_SIZE - 3, "\"}\n", 3);
	/* One date for the whole run: a date a second is the proxy's affair, not ours. */
	if (gmtime_r(&now, &tm) == NULL ||
	    strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &tm) == 0)
		die("date");
}

static unsigned
number(const char *text, unsigned max)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	if (*text == '\0' || *end != '\0' || v > max) {
		fprintf(stderr, "origin: not a number up to %u: %s\n", max, text);
		exit(2);
	}
	return ((unsigned)v);
}

static void
usage(void)
{
	fprintf(stderr,
	    "usage: origin [-l PORT] [-t THREADS] [-k]\n"
	    "Serves HTTP/1.1 on 127.0.0.1:PORT. -k: close after each answer.\n");
	exit(2);
}

int
main(int argc, char **argv)
{
	struct sockaddr_in addr = { .sin_family = AF_INET };
	unsigned threads = 1;
	int opt;

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	while ((opt = getopt(argc, argv, "l:t:k")) != -1) {
		if (opt == 'l')
			addr.sin_port = htons((uint16_t)number(optarg, 65535));
		else if (opt == 't')
			threads = number(optarg, 64);
		else if (opt == 'k')
			always_close = true;
		else
			usage();
	}
	if (threads == 0 || optind != argc)
		usage();
	(void)signal(SIGPIPE, SIG_IGN);
	bodies_init();
	for (unsigned i = 0; i < threads; i++) {
		struct origin *o = calloc(1, sizeof(*o));
		pthread_t thread;

		if (o == NULL)
			die("memory");
		o->listen_fd = listen_open(&addr);
		if (i == 0)
			printf("listening %u\n", (unsigned)ntohs(addr.sin_port));
		(void)fflush(stdout);
		if (i + 1 == threads)
			(void)origin_run(o);
		else if (pthread_create(&thread, NULL, origin_run, o) != 0)
			die("thread");
	}
	return (0);
}
