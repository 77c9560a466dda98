/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "engine/base/check.h"
#include "engine/base/clock.h"
#include "engine/base/text.h"
#include "engine/h1/h1.h"
#include "engine/http/method.h"
#include "engine/http/uri.h"
#include "engine/mem/alloc.h"
#include "engine/mem/page.h"

/* A request and its answer, on a connection of their own that may block until the time is over. */

enum {
	BODY_MAX = 128 * 1024 * 1024,	/* the process's pages end before */
	FIRST_CAP = 64 * 1024,
	PAGES = 64,
	IO_PIECES = 8
};

static const struct codec_limits limits = {
	.head_bytes = 16 * 1024,
	.line_bytes = 8 * 1024,
	.fields = 100,
	.chunk_ext = 256,
};

struct call {
	unsigned	 magic;
#define CTL_CALL_MAGIC	0x17e8b52c
	struct ctl	*ctl;
	int		 fd;
	uint64_t	 end_ms;	/* of the monotonic clock */
	struct page_pool pages;
	struct page	*in, *head;
	size_t		 in_start, in_end;
	struct h1	 h1;
	struct msg_resp	 resp;
	char		*body;
	size_t		 len, cap;
	bool		 done;		/* the answer is here whole */
	bool		 failed;	/* or of no use */
};

/* ---- events of the codec ---- */

static struct call *
of_stream(struct codec_stream *s)
{
	struct call *call;

	CAST_OBJ(call, s->codec->owner, CTL_CALL_MAGIC);
	return (call);
}

static struct msg *
on_begin(struct codec_stream *s)
{
	struct call *call = of_stream(s);

	msg_resp_init(&call->resp, call->ctl->arena);
	return (&call->resp.m);
}

static void
on_info(struct codec_stream *s, struct msg_resp *resp)
{
	(void)s;
	(void)resp;
}

static void
on_head(struct codec_stream *s, struct msg *m, struct page *head, bool end)
{
	(void)m;
	(void)end;
	of_stream(s)->head = page_ref(head);
}

static bool
on_body(struct codec_stream *s, struct span span)
{
	struct call *call = of_stream(s);

	if (span.len > BODY_MAX - call->len) {
		call->failed = true;
	} else {
		if (span.len > call->cap - call->len) {
			call->cap = call->cap * 2 + span.len;
			call->body = xrealloc(call->body, call->cap);
		}
		memcpy(call->body + call->len, span.p, span.len);
		call->len += span.len;
	}
	if (span.page != NULL)
		page_unref(&span.page);
	return (true);
}

static void
on_message_end(struct codec_stream *s)
{
	of_stream(s)->done = true;
}

static void
on_error(struct codec_stream *s, enum reason reason)
{
	(void)reason;
	of_stream(s)->failed = true;
}

static void
on_sent(struct codec_stream *s)
{
	(void)s;
}

static const struct codec_events codec_events = {
	.on_begin = on_begin,
	.on_info = on_info,
	.on_head = on_head,
	.on_body = on_body,
	.on_end = on_message_end,
	.on_error = on_error,
	.on_sent = on_sent,
};

/* ---- waiting ---- */

/* False: the time is over, which is said. */
static bool
wait_for(struct call *call, short what)
{
	struct pollfd p = { .fd = call->fd, .events = what };
	uint64_t now;
	int n;

	do {
		now = clock_mono_ms();
		n = now >= call->end_ms ? 0 : poll(&p, 1, (int)(call->end_ms - now));
	} while (n < 0 && errno == EINTR);
	if (n <= 0)
		ctl_complain("%s: no answer within %llu ms", call->ctl->where,
		    (unsigned long long)call->ctl->timeout_ms);
	return (n > 0);
}

/* ---- connecting ---- */

static bool
no_connection(struct ctl *c, int why, bool is_unix)
{
	struct stat st;
	bool is_other = is_unix && stat(c->where, &st) == 0 && !S_ISSOCK(st.st_mode);
	const char *hint = "";

	if (is_unix && why == ENOENT)
		hint = ": does the process run, and with this socket? -s names another";
	else if (is_other)
		hint = ": this is no socket";
	else if (is_unix && why == ECONNREFUSED)
		hint = ": the process that made this socket is gone";
	else if (is_unix && (why == EACCES || why == EPERM))
		hint = ": the socket is for its owner alone";
	ctl_complain("cannot reach %s: %s%s", c->where, strerror(why), hint);
	return (false);
}

/* 0, or an errno; ETIMEDOUT has been said. */
static int
connect_to(struct call *call, const struct sockaddr *sa, socklen_t len)
{
	int why = 0;
	socklen_t n = sizeof why;

	call->fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (call->fd < 0)
		return (errno);
	if (connect(call->fd, sa, len) == 0)
		return (0);
	why = errno;
	/* EAGAIN: the queue of a Unix socket is full, and nothing tells when it is not. */
	if (why == EINPROGRESS) {
		if (!wait_for(call, POLLOUT))
			why = ETIMEDOUT;
		else if (getsockopt(call->fd, SOL_SOCKET, SO_ERROR, &why, &n) < 0)
			why = errno;
	}
	if (why != 0) {
		(void)close(call->fd);
		call->fd = -1;
	}
	return (why);
}

static bool
connect_unix(struct call *call, const char *path)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int why = ENAMETOOLONG;

	if (strlen(path) < sizeof un.sun_path) {
		memcpy(un.sun_path, path, strlen(path) + 1);
		why = connect_to(call, (const struct sockaddr *)&un, sizeof un);
	}
	return (why == 0 || no_connection(call->ctl, why, true));
}

/* The authority of http://HOST:PORT, in its two parts; false: it is none. */
static bool
split_url(struct ctl *c, struct slice *authority_r, const char **host_r, const char **port_r)
{
	struct slice rest = slice_skip(slice_str(c->where), strlen("http://")), host;
	int64_t slash = slice_find(rest, SLICE("/"));
	struct slice port;

	if (slash >= 0 && (size_t)slash + 1 == rest.len)
		rest.len--;
	*authority_r = rest;
	if (!uri_split_authority(rest, &host) || host.len == 0)
		return (false);
	port = slice_skip(rest, host.len);
	if (port.len > 0 && port.p[0] == '.')
		port = slice_skip(port, 1);
	*port_r = port.len > 1 ? arena_cstr(c->arena, slice_skip(port, 1)) : "80";
	if (host.p[0] == '[')
		host = slice_sub(host, 1, host.len - 2);
	*host_r = arena_cstr(c->arena, host);
	return (true);
}

bool
ctl_is_place(struct ctl *c)
{
	struct slice authority;
	const char *host, *port;

	if (strncmp(c->where, "http://", 7) == 0)
		return (split_url(c, &authority, &host, &port));
	return (*c->where != '\0' && strstr(c->where, "://") == NULL);
}

static bool
connect_url(struct call *call, struct slice *authority_r)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *all = NULL;
	const char *host, *port;
	int rc, why = ENOENT;

	must(split_url(call->ctl, authority_r, &host, &port));
	rc = getaddrinfo(host, port, &hints, &all);
	if (rc != 0) {
		ctl_complain("cannot reach %s: %s", call->ctl->where, gai_strerror(rc));
		return (false);
	}
	for (const struct addrinfo *a = all; a != NULL && why != 0 && why != ETIMEDOUT;
	    a = a->ai_next)
		why = connect_to(call, a->ai_addr, a->ai_addrlen);
	freeaddrinfo(all);
	return (why == 0 || (why != ETIMEDOUT && no_connection(call->ctl, why, false)));
}

static bool
connect_any(struct call *call, struct slice *authority_r)
{
	const char *where = call->ctl->where;

	*authority_r = SLICE("weir");
	if (strncmp(where, "http://", 7) == 0)
		return (connect_url(call, authority_r));
	return (connect_unix(call, strncmp(where, "unix:", 5) == 0 ? where + 5 : where));
}

/* ---- the request ---- */

static bool
send_all(struct call *call)
{
	const struct codec_ops *ops = call->h1.c.ops;
	struct iovec v[IO_PIECES];
	unsigned n;

	while ((n = ops->gather(&call->h1.c, v, IO_PIECES)) > 0) {
		struct msghdr m = { .msg_iov = v, .msg_iovlen = n };
		ssize_t sent = sendmsg(call->fd, &m, MSG_NOSIGNAL);

		if (sent >= 0)
			ops->wrote(&call->h1.c, (size_t)sent);
		else if (errno == EAGAIN && !wait_for(call, POLLOUT))
			return (false);
		else if (errno != EAGAIN && errno != EINTR)
			return (true);	/* the answer may be there, and says more */
	}
	return (true);
}

static bool
send_request(struct call *call, const char *method, const char *target, struct slice authority)
{
	const char *query = strchr(target, '?');
	struct msg_req req;

	msg_req_init(&req, call->ctl->arena);
	req.method_text = slice_str(method);
	req.method = (uint8_t)method_of(req.method_text);
	req.authority = authority;
	req.path_raw = query == NULL ? slice_str(target) :
	    slice_of(target, (size_t)(query - target));
	req.has_query = query != NULL;
	if (query != NULL)
		req.query = slice_str(query + 1);
	req.m.body = MSG_BODY_NONE;
	req.m.keep_alive = true;
	call->h1.c.ops->drain(&call->h1.c);	/* one request: Connection: close */
	must(call->h1.c.ops->send(&call->h1.s, &req.m, NULL));
	return (send_all(call));
}

/* ---- the answer ---- */

/* Room behind what is not used yet; a head must lie in one piece. */
static void
make_room(struct call *call)
{
	size_t left = call->in_end - call->in_start, want = call->h1.c.ops->head_room(&call->h1.c);
	struct page *p;

	if (call->in != NULL && call->in_end < call->in->cap)
		return;
	p = want > PAGE_BYTES ? page_get_large(&call->pages, want) : page_get(&call->pages);
	must(p != NULL && p->cap > left);
	if (call->in != NULL) {
		memcpy(p->data, call->in->data + call->in_start, left);
		page_unref(&call->in);
	}
	call->in = p;
	call->in_start = 0;
	call->in_end = left;
}

static void
feed(struct call *call)
{
	while (call->in_start < call->in_end && !call->done && !call->failed) {
		size_t used = 0;
		enum codec_rc rc = call->h1.c.ops->feed(&call->h1.c, call->in,
		    call->in->data + call->in_start, call->in_end - call->in_start, &used);

		call->in_start += used;
		if (rc == CODEC_ERROR)
			call->failed = true;
		if (used == 0)
			return;
	}
}

static bool
receive(struct call *call)
{
	while (!call->done && !call->failed) {
		ssize_t n;

		make_room(call);
		n = read(call->fd, call->in->data + call->in_end, call->in->cap - call->in_end);
		if (n > 0) {
			call->in_end += (size_t)n;
			feed(call);
		} else if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
			if (!wait_for(call, POLLIN))
				return (false);
		} else {
			if (n < 0 || call->h1.c.ops->feed_eof(&call->h1.c) == CODEC_ERROR)
				call->failed = true;
			if (!call->done) {
				ctl_complain("%s: the connection ended without an answer",
				    call->ctl->where);
				return (false);
			}
		}
	}
	if (call->failed)
		ctl_complain("%s: the answer is no sound HTTP", call->ctl->where);
	return (!call->failed);
}

static void
finish(struct call *call)
{
	if (call->head != NULL)
		page_unref(&call->head);
	if (call->in != NULL)
		page_unref(&call->in);
	call->h1.c.ops->fini(&call->h1.c);
	page_pool_fini(&call->pages);
	xfree(call->body);
	if (call->fd >= 0)
		(void)close(call->fd);
}

bool
ctl_call(struct ctl *c, const char *method, const char *target, struct ctl_reply *r)
{
	struct call call = { .magic = CTL_CALL_MAGIC, .ctl = c, .fd = -1, .cap = FIRST_CAP };
	struct slice authority;
	bool ok;

	CHECK_OBJ(c, CTL_MAGIC);
	call.end_ms = clock_mono_ms() + c->timeout_ms;
	call.body = xmalloc(call.cap);
	page_pool_init(&call.pages, PAGES);
	h1_init(&call.h1, CODEC_CLIENT, &codec_events, &call, &limits, &call.pages);
	ok = connect_any(&call, &authority) && send_request(&call, method, target, authority) &&
	    receive(&call);
	if (ok) {
		r->status = call.resp.status;
		r->body = slice_of(call.body, call.len);
		r->body = slice_str(arena_cstr(c->arena, r->body));
		r->body.len = call.len;
	}
	finish(&call);
	return (ok);
}

const char *
ctl_escape(struct ctl *c, const char *text)
{
	static const char hex[] = "0123456789ABCDEF";
	char *out = arena_alloc(c->arena, strlen(text) * 3 + 1), *p = out;

	for (; *text != '\0'; text++) {
		unsigned char b = (unsigned char)*text;

		/* RFC 3986, 2.3 */
		if ((b >= 'a' && b <= 'z') || (b >= 'A' && b <= 'Z') || (b >= '0' && b <= '9') ||
		    strchr("-._~", b) != NULL) {
			*p++ = *text;
			continue;
		}
		*p++ = '%';
		*p++ = hex[b >> 4];
		*p++ = hex[b & 15];
	}
	*p = '\0';
	return (out);
}
