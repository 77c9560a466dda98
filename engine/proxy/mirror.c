/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/proxy/mirror.h"

#include <string.h>

#include "engine/base/addr.h"
#include "engine/base/check.h"
#include "engine/mem/page.h"
#include "engine/proxy/ex.h"
#include "engine/proxy/gate.h"
#include "engine/stats/stats.h"
#include "engine/upstream/upstream.h"

/*
 *   begin -> COLLECT --(the request is whole)--> OPEN -> AWAIT --(head)--> ANSWER -> over
 *               |                                 ^  |     |                 |
 *               |                                 +--+-----+  another server, replay
 *               +--(too long, the exchange ends)---------------------------------> over
 *
 * Invariants:
 *  1. ex and tapped are set in COLLECT alone, and ex->mirror is this one exactly then.
 *  2. `out` has at most PIPE_SPANS spans: REFS_MAX by reference, then bytes that are copied to
 *     pages of its own, each filled before the next, of which MIRROR_BODY_MAX bytes need four.
 *  3. From OPEN on a limit runs, unless the route has none: up_open's, or the timer.
 *  4. Nothing here runs the exchange, nor a step of it this: a tap only takes, work() is deferred.
 */

enum {
	REFS_MAX = 4,
	PPM = 1000000,
	ARENA_BYTES = 2048	/* a usual head and its table */
};

_Static_assert(REFS_MAX + MIRROR_BODY_MAX / PAGE_BYTES <= PIPE_SPANS, "so that they fit");

enum mirror_state {
	COLLECT,
	OPEN,
	AWAIT,
	ANSWER
};

struct mirror {
	unsigned		 magic;
#define MIRROR_MAGIC	0x5e07b3c9
	uint8_t			 state;		/* enum mirror_state */
	uint8_t			 n_refs;	/* spans of `out` that are others' pages */
	bool			 replayed;
	struct list		 link;		/* proxy_local.mirrors */
	struct worker		*worker;
	struct snapshot_use	*snap;		/* holds route and upstream */
	const struct route	*route;
	struct upstream		*upstream;
	struct exchange		*ex;
	struct pipe		*tapped;
	struct page		*own;		/* the last page of its own, and */
	uint32_t		 own_used;	/* its bytes */
	struct page		*last_page;	/* what continues there is no span more */
	const char		*last_end;
	struct up_stream	*up;
	struct pick		 pick;
	struct addr		 client;
	uint64_t		 since_ms;	/* of the state */
	uint64_t		 total_ms;	/* when all must be over; 0: no limit */
	struct timer		 timer;
	struct deferred		 work;
	/* From here on each has an init of its own. */
	struct pipe		 out, in;
	struct pipe_kept	 kept;
	struct msg_req		 req;
	struct msg_resp		 resp;
	struct arena		 arena;
	char			 arena_bytes[ARENA_BYTES];
};

static const struct up_events events;

static struct mirror *
of(void *arg)
{
	struct mirror *m;

	CAST_OBJ(m, arg, MIRROR_MAGIC);
	return (m);
}

static void
count(struct worker *w, const struct route *route, const struct upstream *u,
    enum mirror_result result)
{
	static const struct slice names[] = {
		[MIRROR_OK] = SLICE_INIT("ok"), [MIRROR_FAILED] = SLICE_INIT("failed"),
		[MIRROR_TIMEOUT] = SLICE_INIT("timeout"),
		[MIRROR_TOO_LARGE] = SLICE_INIT("too_large"),
		[MIRROR_CUT_SHORT] = SLICE_INIT("cut_short"),
		[MIRROR_DROPPED] = SLICE_INIT("dropped"),
	};
	struct slice labels[] = { route->name, u->part.name, names[result] };

	stats_add(stats_series(w->stats, STATS_MIRROR, labels), 1);
}

/* ---- the end ---- */

static void
untap(struct mirror *m)
{
	if (m->tapped != NULL)
		pipe_set_tap(m->tapped, NULL, NULL);
	m->tapped = NULL;
	if (m->ex != NULL)
		m->ex->mirror = NULL;
	m->ex = NULL;
}

static void
finish(struct mirror *m, enum mirror_result result)
{
	struct worker *w = m->worker;

	count(w, m->route, m->upstream, result);
	untap(m);
	while (m->pick.n_tried > 0)
		up_server_drop(&m->pick.tried[--m->pick.n_tried]);
	if (m->up != NULL)
		up_close(&m->up);
	timer_clear(&m->timer);
	deferred_cancel(&m->work);
	pipe_fini(&m->out);
	pipe_fini(&m->in);
	if (m->own != NULL)
		page_unref(&m->own);
	arena_fini(&m->arena);
	list_del(&m->link);
	snapshot_give(&m->snap);
	m->magic = 0;
	slab_put(&proxy_of(w)->mirror_slab, &m);
}

void
mirror_leave(struct exchange *ex)
{
	finish(ex->mirror, MIRROR_CUT_SHORT);
}

void
mirror_cut(struct worker *w)
{
	struct mirror *m, *tmp;

	LIST_FOREACH_SAFE(m, tmp, &proxy_of(w)->mirrors, struct mirror, link)
		finish(m, MIRROR_DROPPED);
}

/* ---- time ---- */

static void
arm(struct mirror *m, uint64_t ms)
{
	uint64_t at = ms == 0 ? 0 : loop_now_ms(m->worker->loop) + ms;

	if (at == 0 || (m->total_ms != 0 && m->total_ms < at))
		at = m->total_ms;
	if (at == 0)
		timer_clear(&m->timer);
	else
		timer_set(m->worker->loop, &m->timer, at);
}

/* What is left of the wait for the head, which counts from the last byte that went out. */
static uint64_t
await_left(const struct mirror *m, uint64_t now)
{
	uint64_t since = up_wrote_ms(m->up), limit = m->route->policy->timeout.first_byte;

	if (since < m->since_ms)
		since = m->since_ms;
	return (since + limit > now ? since + limit - now : 0);
}

/*
 * Nobody waits for the answer, so all of its body has the time that one silence of it may take: a
 * stream without end ends here.
 */
static void
on_timer(void *arg)
{
	struct mirror *m = of(arg);
	uint64_t now = loop_now_ms(m->worker->loop), left = 0;

	if (m->state == AWAIT && (m->total_ms == 0 || now < m->total_ms))
		left = await_left(m, now);
	if (left > 0)
		arm(m, left);
	else
		finish(m, MIRROR_TIMEOUT);
}

static void
enter(struct mirror *m, enum mirror_state state, uint64_t limit_ms)
{
	m->state = (uint8_t)state;
	m->since_ms = loop_now_ms(m->worker->loop);
	arm(m, limit_ms);
}

/* ---- the request goes out ---- */

/* False: no memory. */
static bool
send_request(struct mirror *m)
{
	bool has_body = m->req.m.body != MSG_BODY_NONE;

	if (has_body && up_is_reused(m->up))
		pipe_keep(&m->out, &m->kept);
	if (m->route->policy->host_upstream)
		ex_name_server(&m->req, up_server(m->up));
	if (!up_send(m->up, &m->req, has_body ? &m->out : NULL))
		return (false);
	up_receive(m->up, &m->in);
	enter(m, AWAIT, m->route->policy->timeout.first_byte);
	return (true);
}

/* False: no memory. */
static bool
try_server(struct mirror *m)
{
	enter(m, OPEN, 0);
	m->up = up_open(m->worker, m->upstream, &m->pick, m->route->policy->timeout.connect,
	    &events, m);
	if (m->up == NULL)
		return (false);
	return (!up_is_open(m->up) || send_request(m));
}

static void
throw_away(struct mirror *m)
{
	if (m->in.queued > 0)
		pipe_consume(&m->in, m->in.queued);
	pipe_wait(&m->in);
}

static void
on_work(void *arg)
{
	struct mirror *m = of(arg);

	if (m->state != COLLECT) {
		throw_away(m);
		return;
	}
	if (m->route->policy->timeout.total != 0)
		m->total_ms = loop_now_ms(m->worker->loop) + m->route->policy->timeout.total;
	if (!try_server(m))
		finish(m, MIRROR_DROPPED);
}

static void
on_bytes(void *arg)
{
	struct mirror *m = of(arg);

	loop_defer(m->worker->loop, &m->work);
}

/* ---- events of the stream ---- */

static void
on_open(void *arg, struct up_stream *up, const struct server *server)
{
	struct mirror *m = of(arg);

	(void)up;
	(void)server;
	if (!send_request(m))
		finish(m, MIRROR_DROPPED);
}

static void
on_info(void *arg, struct msg_resp *resp)
{
	(void)arg;
	(void)resp;
}

static struct msg *
on_begin(void *arg)
{
	struct mirror *m = of(arg);

	pipe_release(&m->out);
	msg_resp_init(&m->resp, &m->arena);
	return (&m->resp.m);
}

static void
on_head(void *arg, struct msg_resp *resp, struct page *head, bool end)
{
	struct mirror *m = of(arg);

	/* Nobody looks at it: its page may go. */
	(void)resp;
	(void)head;
	(void)end;
	enter(m, ANSWER, m->route->policy->timeout.idle);
}

static void
on_end(void *arg)
{
	finish(of(arg), MIRROR_OK);
}

static void
on_sent(void *arg)
{
	(void)arg;
}

/* As for any request: another server where there was no connection, a replay where the rule of
   up_stream.h allows one and what has left of the body was kept. */
static bool
try_again(struct mirror *m, const struct up_fault *f)
{
	struct pick *pick = &m->pick;

	if (f->connect) {
		if (f->server == NULL || pick->n_tried + 1u >= UP_CONNECT_TRIES ||
		    pick->n_tried + 1u >= f->n_servers)
			return (false);
		pick->tried[pick->n_tried++] = up_server_hold(f->server);
		return (true);
	}
	if (!f->replay || m->replayed)
		return (false);
	if (!pipe_rewind(&m->out) && m->out.total != m->out.queued)
		return (false);
	m->replayed = pick->fresh = true;
	return (true);
}

static void
on_fail(void *arg, const struct up_fault *f)
{
	struct mirror *m = of(arg);

	m->up = NULL;
	if (m->state == ANSWER || !try_again(m, f))
		finish(m, f->reason == REASON_UPSTREAM_CONNECT_TIMEOUT ? MIRROR_TIMEOUT :
		    MIRROR_FAILED);
	else if (!try_server(m))
		finish(m, MIRROR_DROPPED);
}

static const struct up_events events = {
	.on_open = on_open,
	.on_info = on_info,
	.on_begin = on_begin,
	.on_head = on_head,
	.on_end = on_end,
	.on_sent = on_sent,
	.on_fail = on_fail,
};

/* ---- the body ---- */

/* Bytes to pages of its own, each filled before the next. False: no memory. */
static bool
copy(struct mirror *m, const char *p, uint32_t n)
{
	m->n_refs = REFS_MAX;
	m->last_page = NULL;
	while (n > 0) {
		uint32_t part;

		if (m->own != NULL && m->own_used == PAGE_BYTES)
			page_unref(&m->own);
		if (m->own == NULL) {
			m->own = page_get(&m->worker->pages);
			m->own_used = 0;
		}
		if (m->own == NULL)
			return (false);
		part = n < PAGE_BYTES - m->own_used ? n : PAGE_BYTES - m->own_used;
		memcpy(m->own->data + m->own_used, p, part);
		(void)pipe_put(&m->out, (struct span){ page_ref(m->own),
			m->own->data + m->own_used, part });
		m->own_used += part;
		p += part;
		n -= part;
	}
	return (true);
}

/* False: it is over. A body in few spans is shared; many small ones would hold many pages. */
static bool
take(struct mirror *m, const struct span *s)
{
	bool joins = s->page != NULL && s->page == m->last_page && s->p == m->last_end;

	if (s->len > MIRROR_BODY_MAX - m->out.total) {
		finish(m, MIRROR_TOO_LARGE);
		return (false);
	}
	if (s->page == NULL || (!joins && m->n_refs == REFS_MAX)) {
		if (copy(m, s->p, s->len))
			return (true);
		finish(m, MIRROR_DROPPED);
		return (false);
	}
	if (!joins)
		m->n_refs++;
	m->last_page = s->page;
	m->last_end = s->p + s->len;
	(void)pipe_put(&m->out, (struct span){ page_ref(s->page), s->p, s->len });
	return (true);
}

/* The request is whole: from here on the exchange may go. */
static void
whole(struct mirror *m, const struct headers *trailers)
{
	struct headers *copied = NULL;

	if (trailers != NULL) {
		copied = arena_alloc(&m->arena, sizeof *copied);
		if (copied != NULL)
			headers_init(copied, &m->arena);
		if (copied == NULL || !headers_copy(copied, trailers)) {
			finish(m, MIRROR_DROPPED);
			return;
		}
	}
	untap(m);
	pipe_put_end(&m->out, copied);
	loop_defer(m->worker->loop, &m->work);
}

static void
on_tap(void *arg, const struct pipe *p, const struct span *s)
{
	struct mirror *m = of(arg);

	if (s != NULL)
		(void)take(m, s);
	else if (p->end == PIPE_END)
		whole(m, p->trailers);
	else
		finish(m, MIRROR_CUT_SHORT);
}

static void
follow_body(struct mirror *m, struct exchange *ex, struct pipe *body)
{
	struct span v[PIPE_PEEK_MAX];
	unsigned n = pipe_peek(body, v, PIPE_PEEK_MAX);

	for (unsigned i = 0; i < n; i++) {
		if (!take(m, &v[i]))
			return;
	}
	if (body->end == PIPE_END) {
		whole(m, body->trailers);
		return;
	}
	m->ex = ex;
	ex->mirror = m;
	m->tapped = body;
	pipe_set_tap(body, on_tap, m);
}

/* ---- the beginning ---- */

static bool
dup_into(struct arena *a, struct slice *s)
{
	if (s->len == 0) {
		*s = SLICE("");
		return (true);
	}
	*s = arena_dup(a, *s);
	return (s->p != NULL);
}

/* The head as the upstream gets it, bytes and all. The client waits for no 100 here. */
static bool
copy_head(struct mirror *m, const struct msg_req *from)
{
	struct msg_req *r = &m->req;
	struct arena *a = &m->arena;

	*r = *from;
	/* Not what was received any more: the codec looks at path and query. */
	r->target = SLICE_NONE;
	r->m.trailers = NULL;
	r->expect_continue = false;
	headers_init(&r->m.headers, a);
	if (!headers_copy(&r->m.headers, &from->m.headers))
		return (false);
	(void)headers_remove_id(&r->m.headers, HDR_EXPECT);
	return (dup_into(a, &r->method_text) && dup_into(a, &r->authority) &&
	    dup_into(a, &r->host) && dup_into(a, &r->path_raw) && dup_into(a, &r->path) &&
	    dup_into(a, &r->query));
}

static struct mirror *
make(struct exchange *ex, struct upstream *u)
{
	struct worker *w = ex->worker;
	struct mirror *m = slab_get(&proxy_of(w)->mirror_slab);

	if (m == NULL)
		return (NULL);
	memset(m, 0, offsetof(struct mirror, out));
	m->magic = MIRROR_MAGIC;
	m->worker = w;
	m->snap = snapshot_hold(ex->snap);
	m->route = ex->route;
	m->upstream = u;
	m->client = *ex_client(ex);
	m->pick = (struct pick){ .req = &m->req, .client = &m->client };
	timer_init(&m->timer, on_timer, m);
	deferred_init(&m->work, on_work, m);
	pipe_init(&m->out, MIRROR_BODY_MAX, MIRROR_BODY_MAX);
	pipe_init(&m->in, PIPE_LOW, PIPE_HIGH);
	pipe_set_sink(&m->in, on_bytes, m);
	pipe_wait(&m->in);
	arena_init(&m->arena, m->arena_bytes, sizeof m->arena_bytes, ARENA_TRY);
	arena_set_blocks(&m->arena, page_pool_blocks(&w->pages));
	list_add_tail(&proxy_of(w)->mirrors, &m->link);
	return (m);
}

void
mirror_init(struct proxy_local *pl)
{
	slab_init(&pl->mirror_slab, "mirrors", sizeof(struct mirror), 0);
	slab_set_limit(&pl->mirror_slab, MIRROR_MAX);
	list_init(&pl->mirrors);
}

void
mirror_begin(struct exchange *ex)
{
	const struct route_mirror *conf = ex->route->policy->mirror;
	const struct gate *gate = ex->snap->snap->root;
	struct upstream *u = gate_upstream(gate, conf->upstream);
	struct mirror *m;

	/* Of another protocol there is no copy. */
	if (ex->req.upgrade.len > 0)
		return;
	if (conf->share_ppm < PPM && rnd_below(&ex->worker->rnd, PPM) >= conf->share_ppm)
		return;
	if (ex->req.m.content_length > MIRROR_BODY_MAX) {
		count(ex->worker, ex->route, u, MIRROR_TOO_LARGE);
		return;
	}
	m = make(ex, u);
	if (m == NULL) {
		count(ex->worker, ex->route, u, MIRROR_DROPPED);
		return;
	}
	if (!copy_head(m, &ex->req))
		finish(m, MIRROR_DROPPED);
	else if (ex->req.m.body == MSG_BODY_NONE)
		whole(m, NULL);
	else
		follow_body(m, ex, chain_pipe(&ex->chain, CHAIN_REQ, &ex->req_body));
}
