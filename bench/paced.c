/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An open-loop HTTP/1.1 load generator for latency. Requests fall due at a given mean rate, by
 * default as a Poisson process with a fixed seed, whether or not earlier ones were answered. A
 * latency counts from the moment the request was due: a proxy that stalls is charged for all that
 * had to wait meanwhile ("coordinated omission" does not occur).
 *
 * The request is a file of raw bytes, sent as it is. Answers must carry Content-Length. One line of
 * JSON is printed, times in microseconds.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	HEAD_SIZE = 16 * 1024,
	EVENTS_MAX = 256,
	QUEUE_SIZE = 1 << 18, /* requests due and not yet sent; more is a failed run */
	SUB_BITS = 7,         /* 128 steps an octave: values are exact to 0.8 % */
	SUB_COUNT = 1 << SUB_BITS,
	HIST_SIZE = (64 - SUB_BITS) * SUB_COUNT,
};

#define NS_PER_S 1000000000ULL
#define GRACE_NS (2 * NS_PER_S) /* for the last answers, after the last request was due */

enum phase {
	PHASE_CLOSED,
	PHASE_IDLE,
	PHASE_SENDING,
	PHASE_HEAD,
	PHASE_BODY,
};

struct conn {
	int fd;
	enum phase phase;
	bool wants_writable;
	uint64_t due_ns;
	uint64_t body_left;
	size_t sent;
	size_t head_len;
	struct conn *next; /* in the list of free ones */
	char head[HEAD_SIZE];
};

struct run {
	struct sockaddr_in addr;
	int ep;
	bool new_connections;
	bool uniform;
	double rate;
	uint64_t begin_ns; /* of what is recorded: the warm-up is over */
	uint64_t end_ns;
	uint64_t next_ns;
	uint64_t rnd;
	char *request;
	size_t request_len;
	struct conn *free_first; /* first in, first out: every connection has its turn */
	struct conn *free_last;
	uint64_t queue[QUEUE_SIZE];
	size_t queue_first;
	size_t queue_count;
	uint64_t in_flight;
	uint64_t done;
	uint64_t bad_status;
	uint64_t errors;
	uint64_t dropped;
	uint64_t max_ns;
	uint64_t sum_ns;
	uint64_t hist[HIST_SIZE];
};

static struct run run;

static void
die(const char *what)
{
	fprintf(stderr, "paced: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t
now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec);
}

/* Below SUB_COUNT a value is its own bucket; above, its leading bits name the bucket. */
static size_t
hist_index(uint64_t v)
{
	unsigned shift;

	if (v < SUB_COUNT)
		return ((size_t)v);
	shift = 63U - (unsigned)__builtin_clzll(v) - SUB_BITS;
	return (((size_t)shift << SUB_BITS) + (size_t)(v >> shift));
}

/* The middle of the bucket. */
static double
hist_value(size_t index)
{
	size_t shift;

	if (index < 2 * SUB_COUNT)
		return ((double)index);
	shift = (index >> SUB_BITS) - 1;
	return (ldexp((double)(index - (shift << SUB_BITS)) + 0.5, (int)shift));
}

static void
hist_add(struct run *r, uint64_t v)
{
	size_t index = hist_index(v);

	r->hist[index < HIST_SIZE ? index : HIST_SIZE - 1]++;
	r->sum_ns += v;
	if (v > r->max_ns)
		r->max_ns = v;
}

static double
hist_percentile_us(const struct run *r, double share)
{
	uint64_t want = (uint64_t)ceil((double)r->done * share);
	uint64_t seen = 0;

	for (size_t i = 0; i < HIST_SIZE; i++) {
		seen += r->hist[i];
		if (seen >= want && seen > 0)
			return (hist_value(i) / 1000.0);
	}
	return (0.0);
}

/* xorshift64*, for arrivals only. */
static double
rnd_unit(struct run *r)
{
	r->rnd ^= r->rnd >> 12;
	r->rnd ^= r->rnd << 25;
	r->rnd ^= r->rnd >> 27;
	return ((double)((r->rnd * 2685821657736338717ULL) >> 11) / 9007199254740992.0);
}

static uint64_t
next_gap_ns(struct run *r)
{
	double gap = (double)NS_PER_S / r->rate;

	return ((uint64_t)(r->uniform ? gap : -log(1.0 - rnd_unit(r)) * gap));
}

static void
conn_free(struct run *r, struct conn *c)
{
	c->next = NULL;
	if (r->free_last != NULL)
		r->free_last->next = c;
	else
		r->free_first = c;
	r->free_last = c;
}

static void
conn_close(struct conn *c)
{
	if (c->phase != PHASE_CLOSED)
		close(c->fd);
	c->phase = PHASE_CLOSED;
	c->wants_writable = false;
}

static bool
conn_open(struct run *r, struct conn *c)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = c };
	int one = 1;

	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		die("socket");
	(void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	c->phase = PHASE_IDLE;
	c->wants_writable = false;
	if ((connect(c->fd, (struct sockaddr *)&r->addr, sizeof(r->addr)) != 0 &&
		errno != EINPROGRESS) ||
	    epoll_ctl(r->ep, EPOLL_CTL_ADD, c->fd, &ev) != 0) {
		conn_close(c);
		return (false);
	}
	return (true);
}

static void
conn_fail(struct run *r, struct conn *c)
{
	r->errors++;
	r->in_flight--;
	conn_close(c);
	conn_free(r, c);
}

static void
conn_want_writable(struct run *r, struct conn *c, bool on)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = c };

	if (c->wants_writable == on)
		return;
	c->wants_writable = on;
	if (on)
		ev.events |= EPOLLOUT;
	if (epoll_ctl(r->ep, EPOLL_CTL_MOD, c->fd, &ev) != 0)
		die("epoll_ctl");
}

static void
conn_send(struct run *r, struct conn *c)
{
	while (c->sent < r->request_len) {
		ssize_t n = send(
		    c->fd, r->request + c->sent, r->request_len - c->sent, MSG_NOSIGNAL);

		if (n < 0 && (errno == EAGAIN || errno == ENOTCONN)) {
			conn_want_writable(r, c, true);
			return;
		}
		if (n < 0) {
			conn_fail(r, c);
			return;
		}
		c->sent += (size_t)n;
	}
	conn_want_writable(r, c, false);
	c->phase = PHASE_HEAD;
}

static void
conn_start(struct run *r, struct conn *c, uint64_t due_ns)
{
	c->due_ns = due_ns;
	c->sent = 0;
	c->head_len = 0;
	r->in_flight++;
	if (c->phase == PHASE_CLOSED && !conn_open(r, c)) {
		conn_fail(r, c);
		return;
	}
	c->phase = PHASE_SENDING;
	conn_send(r, c);
}

static void
conn_done(struct run *r, struct conn *c)
{
	r->in_flight--;
	if (c->due_ns >= r->begin_ns) {
		r->done++;
		hist_add(r, now_ns() - c->due_ns);
	}
	c->phase = PHASE_IDLE;
	if (r->new_connections)
		conn_close(c);
	conn_free(r, c);
}

/* Reads status and Content-Length. Returns false when the answer cannot be followed. */
static bool
head_parse(struct run *r, struct conn *c, const char *end)
{
	const char *field = strcasestr(c->head, "\r\ncontent-length:");
	size_t after = c->head_len - (size_t)(end - c->head);

	if (strncmp(c->head, "HTTP/1.1 ", 9) != 0 || field == NULL || field > end)
		return (false);
	if (c->head[9] != '2')
		r->bad_status++;
	c->body_left = strtoull(field + 17, NULL, 10);
	if (after > c->body_left)
		return (false);
	c->body_left -= after;
	c->phase = PHASE_BODY;
	return (true);
}

static void
conn_read(struct run *r, struct conn *c)
{
	char *end;
	ssize_t n;

	if (c->phase == PHASE_BODY)
		n = recv(c->fd, NULL, (size_t)c->body_left, MSG_TRUNC);
	else
		n = recv(c->fd, c->head + c->head_len, HEAD_SIZE - 1 - c->head_len, 0);
	if (n < 0 && errno == EAGAIN)
		return;
	if (c->phase == PHASE_IDLE) {
		/* Closed between requests, or bytes that nobody asked for. */
		if (n != 0)
			r->errors++;
		conn_close(c);
		return;
	}
	if (n <= 0) {
		conn_fail(r, c);
		return;
	}
	if (c->phase == PHASE_BODY) {
		c->body_left -= (uint64_t)n;
	} else {
		c->head_len += (size_t)n;
		c->head[c->head_len] = '\0';
		end = strstr(c->head, "\r\n\r\n");
		if (end == NULL && c->head_len < HEAD_SIZE - 1)
			return;
		if (c->phase == PHASE_SENDING || end == NULL || !head_parse(r, c, end + 4)) {
			conn_fail(r, c);
			return;
		}
	}
	if (c->body_left == 0)
		conn_done(r, c);
}

static void
conn_event(struct run *r, struct conn *c, uint32_t events)
{
	if (c->phase == PHASE_SENDING && (events & EPOLLOUT))
		conn_send(r, c);
	else if (c->phase != PHASE_CLOSED && (events & (EPOLLIN | EPOLLERR | EPOLLHUP)))
		conn_read(r, c);
}

static void
queue_due(struct run *r, uint64_t now)
{
	while (r->next_ns <= now && r->next_ns < r->end_ns) {
		if (r->queue_count == QUEUE_SIZE) {
			r->dropped++;
		} else {
			r->queue[(r->queue_first + r->queue_count) % QUEUE_SIZE] = r->next_ns;
			r->queue_count++;
		}
		r->next_ns += next_gap_ns(r);
	}
	while (r->queue_count > 0 && r->free_first != NULL) {
		struct conn *c = r->free_first;
		uint64_t due = r->queue[r->queue_first];

		r->free_first = c->next;
		if (r->free_first == NULL)
			r->free_last = NULL;
		r->queue_first = (r->queue_first + 1) % QUEUE_SIZE;
		r->queue_count--;
		conn_start(r, c, due);
	}
}

static int
wait_events(struct run *r, struct epoll_event *evs)
{
	uint64_t now = now_ns();
	uint64_t until = r->next_ns < r->end_ns ? r->next_ns : r->end_ns + GRACE_NS;
	uint64_t left = until > now ? until - now : 0;
	struct timespec ts = {
		.tv_sec = (time_t)(left / NS_PER_S),
		.tv_nsec = (long)(left % NS_PER_S),
	};

	return (epoll_pwait2(r->ep, evs, EVENTS_MAX, &ts, NULL));
}

static void
run_loop(struct run *r, double warmup_s, double duration_s)
{
	struct epoll_event evs[EVENTS_MAX];
	uint64_t start = now_ns() + NS_PER_S / 100;

	r->begin_ns = start + (uint64_t)(warmup_s * (double)NS_PER_S);
	r->end_ns = r->begin_ns + (uint64_t)(duration_s * (double)NS_PER_S);
	r->next_ns = start + next_gap_ns(r);
	for (;;) {
		int n = wait_events(r, evs);
		uint64_t now;

		for (int i = 0; i < n; i++)
			conn_event(r, evs[i].data.ptr, evs[i].events);
		now = now_ns();
		queue_due(r, now);
		if (r->next_ns >= r->end_ns && r->queue_count == 0 && r->in_flight == 0)
			break;
		if (now >= r->end_ns + GRACE_NS)
			break;
	}
}

static void
report(const struct run *r, double duration_s)
{
	uint64_t late = r->in_flight + r->queue_count;

	printf("{\"requests\": %llu, \"rate\": %.1f, \"errors\": %llu, \"bad_status\": %llu, "
	       "\"unanswered\": %llu, \"mean_us\": %.1f, \"p50_us\": %.1f, \"p90_us\": %.1f, "
	       "\"p99_us\": %.1f, \"p999_us\": %.1f, \"max_us\": %.1f}\n",
	    (unsigned long long)r->done, (double)r->done / duration_s,
	    (unsigned long long)r->errors, (unsigned long long)r->bad_status,
	    (unsigned long long)(late + r->dropped),
	    r->done > 0 ? (double)r->sum_ns / (double)r->done / 1000.0 : 0.0,
	    hist_percentile_us(r, 0.5), hist_percentile_us(r, 0.9), hist_percentile_us(r, 0.99),
	    hist_percentile_us(r, 0.999), (double)r->max_ns / 1000.0);
}

static void
request_load(struct run *r, const char *path)
{
	FILE *f = fopen(path, "rb");
	long size = 0;

	if (f == NULL || fseek(f, 0, SEEK_END) != 0 || (size = ftell(f)) <= 0)
		die(path);
	rewind(f);
	r->request_len = (size_t)size;
	r->request = malloc(r->request_len);
	if (r->request == NULL || fread(r->request, 1, r->request_len, f) != r->request_len)
		die(path);
	(void)fclose(f);
}

static void
conns_open(struct run *r, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct conn *c = calloc(1, sizeof(*c));

		if (c == NULL)
			die("memory");
		c->phase = PHASE_CLOSED;
		if (!r->new_connections && !conn_open(r, c))
			die("connect");
		conn_free(r, c);
	}
}

static double
number(const char *text, double min, double max)
{
	char *end;
	double v = strtod(text, &end);

	if (*text == '\0' || *end != '\0' || !(v >= min && v <= max)) {
		fprintf(stderr, "paced: not a number from %g to %g: %s\n", min, max, text);
		exit(2);
	}
	return (v);
}

static void
usage(void)
{
	fprintf(stderr,
	    "usage: paced -p PORT -f REQUEST_FILE -r RATE [-d SECONDS] [-w WARMUP]\n"
	    "             [-c CONNECTIONS] [-s SEED] [-n] [-u]\n"
	    "-n: a new connection for each request. -u: evenly spaced, not Poisson.\n");
	exit(2);
}

int
main(int argc, char **argv)
{
	struct run *r = &run;
	double duration_s = 5.0;
	double warmup_s = 0.2;
	unsigned connections = 64;
	const char *file = NULL;
	int opt;

	r->addr.sin_family = AF_INET;
	r->addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	r->rnd = 88172645463325252ULL;
	while ((opt = getopt(argc, argv, "p:f:r:d:w:c:s:nu")) != -1) {
		switch (opt) {
		case 'p':
			r->addr.sin_port = htons((uint16_t)number(optarg, 1, 65535));
			break;
		case 'f':
			file = optarg;
			break;
		case 'r':
			r->rate = number(optarg, 1, 1e7);
			break;
		case 'd':
			duration_s = number(optarg, 0.1, 3600);
			break;
		case 'w':
			warmup_s = number(optarg, 0, 60);
			break;
		case 'c':
			connections = (unsigned)number(optarg, 1, 100000);
			break;
		case 's':
			r->rnd ^= (uint64_t)number(optarg, 0, 1e15) * 2654435761ULL;
			break;
		case 'n':
			r->new_connections = true;
			break;
		case 'u':
			r->uniform = true;
			break;
		default:
			usage();
		}
	}
	if (r->addr.sin_port == 0 || file == NULL || r->rate < 1 || optind != argc)
		usage();
	(void)signal(SIGPIPE, SIG_IGN);
	(void)prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
	request_load(r, file);
	r->ep = epoll_create1(EPOLL_CLOEXEC);
	if (r->ep < 0)
		die("epoll");
	conns_open(r, connections);
	run_loop(r, warmup_s, duration_s);
	report(r, duration_s);
	return (0);
}
