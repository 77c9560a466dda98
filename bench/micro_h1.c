/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nanoseconds that the HTTP/1 codec takes for typical messages, best of some rounds. Prints one
 * line a case. usage: micro_h1 [rounds]
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/h1/h1.h"
#include "engine/h1/h1_parse.h"
#include "engine/mem/arena.h"
#include "engine/mem/page.h"

#define SMALL "GET /hello HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n"
#define BROWSER                                                                                    \
	"GET /wp-content/uploads/2010/03/hello-kitty-darth-vader-pink.jpg?size=large HTTP/1.1\r\n"  \
	"Host: www.kittyhell.com\r\n"                                                              \
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"   \
	"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"              \
	"Accept-Language: de,en-US;q=0.7,en;q=0.3\r\n"                                             \
	"Accept-Encoding: gzip, deflate, br, zstd\r\n"                                             \
	"Referer: http://www.kittyhell.com/2010/03/\r\n"                                           \
	"Connection: keep-alive\r\n"                                                               \
	"Cookie: wp_ozh_wsa_visits=2; wp_ozh_wsa_visit_lasttime=xxxxxxxxxx; "                      \
	"__utma=xxxxxxxxx.xxxxxxxxxx.xxxxxxxxxx.xxxxxxxxxx.xxxxxxxxxx.x\r\n"                       \
	"Upgrade-Insecure-Requests: 1\r\n"                                                         \
	"Sec-Fetch-Dest: document\r\n"                                                             \
	"Sec-Fetch-Mode: navigate\r\n"                                                             \
	"Sec-Fetch-Site: same-origin\r\n\r\n"
#define RESPONSE                                                                                   \
	"HTTP/1.1 200 OK\r\nServer: origin\r\nDate: Sun, 22 Nov 2026 17:00:00 GMT\r\n"              \
	"Content-Type: text/plain\r\nContent-Length: 6\r\n\r\nhello\n"

enum { LOOPS = 100000 };

struct side {
	struct h1 h1;
	struct arena arena;
	char first[4096];
	union {
		struct msg m;
		struct msg_req req;
		struct msg_resp resp;
	} msg;
	struct pipe body;
};

static struct page_pool pages;
static const struct codec_limits limits = { 16384, 8192, 100, 256 };

static struct msg *
on_begin(struct codec_stream *s)
{
	struct side *side = s->codec->owner;

	arena_reset(&side->arena);
	if (s->codec->role == CODEC_SERVER)
		msg_req_init(&side->msg.req, &side->arena);
	else
		msg_resp_init(&side->msg.resp, &side->arena);
	return (&side->msg.m);
}

static void
on_info(struct codec_stream *s, struct msg_resp *r)
{
	(void)s;
	(void)r;
}

static void
on_head(struct codec_stream *s, struct msg *m, struct page *page, bool end)
{
	(void)s;
	(void)m;
	(void)page;
	(void)end;
}

static bool
on_body(struct codec_stream *s, struct span span)
{
	(void)s;
	page_unref(&span.page);
	return (true);
}

static void
on_end(struct codec_stream *s)
{
	(void)s;
}

static void
on_error(struct codec_stream *s, enum reason reason)
{
	(void)s;
	printf("refused: %d\n", (int)reason);
	abort();
}

static const struct codec_events events = {
	on_begin, on_info, on_head, on_body, on_end, on_error, on_end,
};

static uint64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return ((uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec);
}

static void
side_init(struct side *s, enum codec_role role)
{
	memset(s, 0, sizeof(*s));
	arena_init(&s->arena, s->first, sizeof(s->first), ARENA_TRY);
	pipe_init(&s->body, PIPE_LOW, PIPE_HIGH);
	h1_init(&s->h1, role, &events, s, &limits, &pages);
}

static void
feed(struct side *s, struct page *page, size_t n)
{
	size_t used;

	if (s->h1.c.ops->feed(&s->h1.c, page, page->data, n, &used) == CODEC_ERROR || used != n)
		abort();
}

static void
flush(struct side *s)
{
	struct iovec v[8];
	size_t n = 0;

	for (unsigned i = s->h1.c.ops->gather(&s->h1.c, v, 8); i > 0; i--)
		n += v[i - 1].iov_len;
	s->h1.c.ops->wrote(&s->h1.c, n);
}

/* Syntax and meaning of a request head, nothing else. */
static void
parse_only(struct side *s, const char *text, size_t n)
{
	struct h1_head head;

	if (h1_parse_request(&head, &limits, text, n) != H1_PARSE_DONE)
		abort();
	arena_reset(&s->arena);
	msg_req_init(&s->msg.req, &s->arena);
	if (h1_req_fill(&s->msg.req, &head) != REASON_NONE)
		abort();
}

/* What a proxied request costs both codecs, without I/O: request in and out, response in and out. */
static void
proxy(struct side *down, struct side *up, struct page *req, size_t req_n, struct page *resp,
    size_t resp_n)
{
	feed(down, req, req_n);
	if (!up->h1.c.ops->send(&up->h1.s, &down->msg.m, &up->body))
		abort();
	flush(up);
	feed(up, resp, resp_n);
	(void)pipe_put(&down->body, (struct span){ page_ref(resp), resp->data + resp_n - 6, 6 });
	pipe_put_end(&down->body, NULL);
	if (!down->h1.c.ops->send(&down->h1.s, &up->msg.m, &down->body))
		abort();
	flush(down);
	pipe_init(&down->body, PIPE_LOW, PIPE_HIGH);
}

static struct page *
page_of(const char *text)
{
	struct page *p = page_get(&pages);

	if (p == NULL)
		abort();
	memcpy(p->data, text, strlen(text));
	return (p);
}

static void
run(const char *name, const char *text, unsigned rounds)
{
	static struct side down, up;
	struct page *req = page_of(text), *resp = page_of(RESPONSE);
	double parse = 1e9, both = 1e9;
	size_t n = strlen(text);

	side_init(&down, CODEC_SERVER);
	side_init(&up, CODEC_CLIENT);
	for (unsigned r = 0; r < rounds; r++) {
		uint64_t t0 = now_ns(), t1, t2;

		for (unsigned i = 0; i < LOOPS; i++)
			parse_only(&down, req->data, n);
		t1 = now_ns();
		for (unsigned i = 0; i < LOOPS; i++)
			proxy(&down, &up, req, n, resp, sizeof(RESPONSE) - 1);
		t2 = now_ns();
		if ((double)(t1 - t0) / LOOPS < parse)
			parse = (double)(t1 - t0) / LOOPS;
		if ((double)(t2 - t1) / LOOPS < both)
			both = (double)(t2 - t1) / LOOPS;
	}
	printf("%-8s %4zu bytes: head in %6.1f ns; a whole proxied exchange %6.1f ns\n", name, n,
	    parse, both);
	page_unref(&req);
	page_unref(&resp);
}

int
main(int argc, char **argv)
{
	unsigned rounds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 15;

	page_pool_init(&pages, 64);
	run("small", SMALL, rounds);
	run("browser", BROWSER, rounds);
	return (0);
}
