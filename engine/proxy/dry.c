/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>

#include "engine/base/check.h"
#include "engine/mem/alloc.h"
#include "engine/proxy/chain_int.h"
#include "engine/proxy/down_conn.h"
#include "engine/proxy/dry.h"
#include "engine/proxy/ex.h"
#include "engine/proxy/gate.h"
#include "engine/regex/regex.h"
#include "engine/upstream/up_choice.h"
#include "engine/upstream/upstream.h"

/*
 * A worker that no thread runs, a connection without a socket, and the exchange on it. The steps
 * are called one by one, and the first that would reach out is not.
 *
 * Invariants:
 *  1. The connection is closed from the beginning: whoever wants it flushed does nothing.
 *  2. Steps behind ACT run for our own answers only, up to REPLY.
 *  3. A chain with fewer links stands in for the route's: the places of the filters' contexts are
 *     those of the route's own.
 */

enum {
	DRY_WORKER = WORKER_MAX - 2,	/* no worker and not the main thread: gateway_conf.c */
	DRY_PAGES = 1024,
	DRY_STEPS_MAX = 1000		/* as a real exchange: more is a loop */
};

struct dry {
	unsigned		 magic;
#define DRY_MAGIC	0x5a71c9e3
	struct worker		 worker;
	struct snapshot_use	 use;
	struct listener_local	 local;
	struct down_conn	 dc;
	struct h1		 up;		/* writes the head for a server */
	struct exchange		*ex;		/* NULL: none is under way */
	enum reason		 refused;	/* by the codec */
	bool			 knows_client;
	struct chain		 chain;		/* those links of the route's that may run */
	unsigned		 n_met;		/* of them, by the request */
	enum dry_how		 last;		/* what the last of those said */
};

/* ---- the worker ---- */

static struct err *
enter(struct worker *w)
{
	struct proxy_local *pl = mem_try_calloc(1, sizeof *pl);
	struct err *err;

	if (pl == NULL)
		return (err_memory());
	pl->magic = PROXY_LOCAL_MAGIC;
	exchange_register();
	slab_init(&pl->conns, "dry connections", sizeof(struct down_conn), 0);
	slab_init(&pl->exchanges, "dry exchanges", sizeof(struct exchange), 0);
	list_init(&pl->listeners);
	list_init(&pl->sockets);
	list_init(&pl->open);
	w->slot[WORKER_SLOT_PROXY] = pl;
	pl->n_filters = proxy_program->n_filters;
	pl->filter_state = mem_try_calloc(pl->n_filters + 1, sizeof(void *));
	pl->regex = regex_work_new();
	err = pl->filter_state == NULL || pl->regex == NULL ? err_memory() :
	    registry_worker_start(pl->filter_state, w);
	if (err == NULL)
		return (NULL);
	regex_work_free(&pl->regex);
	xfree(pl->filter_state);
	w->slot[WORKER_SLOT_PROXY] = NULL;
	xfree(pl);
	return (err);
}

static void
leave(struct worker *w)
{
	struct proxy_local *pl = proxy_of(w);

	registry_worker_stop(pl->filter_state);
	regex_work_free(&pl->regex);
	xfree(pl->filter_state);
	slab_fini(&pl->conns);
	slab_fini(&pl->exchanges);
	w->slot[WORKER_SLOT_PROXY] = NULL;
	xfree(pl);
}

struct err *
dry_new(struct dry **dp)
{
	struct dry *d = mem_try_calloc(1, sizeof *d);
	struct err *err;

	*dp = NULL;
	if (d == NULL)
		return (err_memory());
	d->magic = DRY_MAGIC;
	err = worker_init(&d->worker, DRY_WORKER, DRY_PAGES);
	if (err != NULL) {
		xfree(d);
		return (err);
	}
	err = upstream_worker_enter(&d->worker);
	if (err == NULL && (err = enter(&d->worker)) != NULL)
		upstream_worker_leave(&d->worker);
	if (err != NULL) {
		worker_fini(&d->worker);
		xfree(d);
		return (err);
	}
	*dp = d;
	return (NULL);
}

void
dry_free(struct dry **dp)
{
	struct dry *d = *dp;

	*dp = NULL;
	if (d == NULL)
		return;
	CHECK_OBJ(d, DRY_MAGIC);
	dry_done(d);
	leave(&d->worker);
	upstream_worker_leave(&d->worker);
	worker_fini(&d->worker);
	d->magic = 0;
	xfree(d);
}

void
dry_forget(struct dry *d)
{
	CHECK_OBJ(d, DRY_MAGIC);
	upstream_forget(&d->worker);
}

/* ---- the client's codec ---- */

static struct dry *
of_stream(const struct codec_stream *s)
{
	struct dry *d;

	CAST_OBJ(d, s->codec->owner, DRY_MAGIC);
	return (d);
}

static struct msg *
on_begin(struct codec_stream *s)
{
	struct dry *d = of_stream(s);

	d->ex = exchange_new(&d->dc, s);
	return (d->ex == NULL ? NULL : &d->ex->req.m);
}

static void
on_head(struct codec_stream *s, struct msg *m, struct page *head, bool end)
{
	struct dry *d = of_stream(s);

	(void)m;
	d->ex->req_page = page_ref(head);
	d->ex->req_done = end;
}

static bool
on_body(struct codec_stream *s, struct span span)
{
	(void)s;
	page_unref(&span.page);
	return (false);
}

static void
on_nothing(struct codec_stream *s)
{
	(void)s;
}

static void
on_error(struct codec_stream *s, enum reason reason)
{
	of_stream(s)->refused = reason;
}

static const struct codec_events down_events = {
	.on_begin = on_begin,
	.on_head = on_head,
	.on_body = on_body,
	.on_end = on_nothing,
	.on_error = on_error,
	.on_sent = on_nothing,
};

static const struct conn_events no_events = { 0 };

static void
begin_conn(struct dry *d, struct listener *l, const struct addr *client)
{
	struct down_conn *dc = &d->dc;

	memset(&d->local, 0, sizeof d->local);
	d->local.magic = LISTENER_LOCAL_MAGIC;
	d->local.worker = &d->worker;
	d->local.listener = l;
	d->local.limits = l->limits;
	d->local.index = l->index;
	d->local.refs = 1;
	memset(dc, 0, sizeof *dc);
	dc->magic = DOWN_CONN_MAGIC;
	dc->worker = &d->worker;
	dc->local = &d->local;
	d->knows_client = client != NULL;
	if (client != NULL) {
		dc->peer = *client;
		dc->peer_len = (uint8_t)addr_format_ip(client, dc->peer_text,
		    sizeof dc->peer_text);
	}
	h1_init(&dc->h1, CODEC_SERVER, &down_events, d, &d->local.limits.codec,
	    &d->worker.pages);
	conn_init(&dc->conn, d->worker.loop, &d->worker.pages, &dc->h1.c, &no_events, d);
	dc->conn.is_closed = true;
}

/* False: no memory. */
static bool
feed(struct dry *d, struct slice head)
{
	struct page *page = page_get_large(&d->worker.pages, head.len + 1);
	struct codec *codec = &d->dc.h1.c;
	enum codec_rc rc;
	size_t used;

	if (page == NULL)
		return (false);
	memcpy(page->data, head.p, head.len);
	rc = codec->ops->feed(codec, page, page->data, head.len, &used);
	page_unref(&page);
	/* A request that is refused has begun, and the codec says why. */
	return (d->ex != NULL && (rc != CODEC_ERROR || d->refused != REASON_NONE));
}

/* ---- the chain ---- */

static bool
may_run(const struct dry *d, const struct filter_ops *ops)
{
	if (ops->on_req_body != NULL || ops->on_resp_body != NULL)
		return (false);
	return (ops->dry == FILTER_DRY ||
	    (ops->dry == FILTER_DRY_CLIENT && (d->knows_client || d->ex->client != NULL)));
}

/* Those that may run, in the places of the route's own. False: no memory. */
static bool
take_chain(struct dry *d, const struct chain *all)
{
	static const enum chain_phase phases[] = { CHAIN_REQ_HEADERS, CHAIN_RESP_HEADERS };

	d->chain = (struct chain){ .magic = CHAIN_MAGIC, .n_calls = all->n_calls,
		.answers_preflight = all->answers_preflight, .bytes = all->bytes };
	for (unsigned i = 0; i < array_len(phases); i++) {
		const struct chain_link *from = all->phase[phases[i]].v;
		unsigned n = all->phase[phases[i]].n;
		struct chain_link *to = arena_zarray(&d->ex->arena, n + 1, sizeof *to);

		if (to == NULL)
			return (false);
		d->chain.phase[phases[i]].v = to;
		for (unsigned k = 0; k < n; k++) {
			if (may_run(d, from[k].ops))
				to[d->chain.phase[phases[i]].n++] = from[k];
		}
	}
	d->ex->chain.chain = &d->chain;
	return (true);
}

/* How far the request came, before the response's phase takes the cursor. */
static void
note_filters(struct dry *d)
{
	const struct chain_run *run = &d->ex->chain;

	d->n_met = run->chain == NULL ? 0 : run->cursor;
	d->last = run->reason != REASON_NONE ? DRY_FAULTED : run->replied ? DRY_REPLIED :
	    DRY_PASSED;
}

/* ---- the steps ---- */

static void
route(struct dry *d)
{
	struct exchange *ex = d->ex;

	(void)ex_step_route(ex);
	if (ex->step == EX_REQ_FILTERS && ex->chain.chain != NULL &&
	    !take_chain(d, ex->route->policy->chain))
		(void)ex_fault(ex, REASON_OVERLOADED);
}

/* False: it goes no further without reaching out. */
static bool
step(struct dry *d)
{
	struct exchange *ex = d->ex;

	switch ((enum ex_step)ex->step) {
	case EX_ROUTE:
		route(d);
		return (true);
	case EX_REQ_FILTERS:
		(void)ex_step_req_filters(ex);
		note_filters(d);
		return (ex->step != EX_REQ_FILTERS);
	case EX_ACT:
		(void)ex_step_act(ex);
		return (true);
	case EX_RESP_FILTERS:
		(void)ex_step_resp_filters(ex);
		return (true);
	default:
		return (false);
	}
}

/* As it was received: steps edit it. */
static void
trace(struct dry *d, const struct dry_request *req)
{
	const struct gate *gate = d->use.snap->root;
	const struct route *route;
	struct router_request asked;

	if (req->on_rule != NULL && d->refused == REASON_NONE && ex_asked(d->ex, &asked))
		(void)router_trace(gate->router, &asked, req->on_rule, req->arg, &route);
}

static void
run(struct dry *d)
{
	unsigned budget = DRY_STEPS_MAX;

	if (d->refused != REASON_NONE)
		(void)ex_fault(d->ex, d->refused);
	d->ex->running = true;
	while (step(d) && --budget > 0)
		continue;
	d->ex->running = false;
}

/* ---- what came of it ---- */

static bool
has_link(const struct chain *chain, enum chain_phase phase, const struct filter_ops *ops,
    unsigned *at_r)
{
	for (unsigned i = 0; i < chain->phase[phase].n; i++) {
		*at_r = i;
		if (chain->phase[phase].v[i].ops == ops)
			return (true);
	}
	return (false);
}

static void
add_filter(struct dry *d, struct dry_result *r, const struct chain_link *l)
{
	struct dry_filter *f;
	unsigned at;

	for (unsigned i = 0; i < r->n_filters; i++) {
		if (r->filters[i].ops == l->ops)
			return;
	}
	f = &r->filters[r->n_filters++];
	*f = (struct dry_filter){ .ops = l->ops, .how = DRY_NOT_MET };
	if (!may_run(d, l->ops))
		f->how = DRY_NOT_KNOWN;
	else if (has_link(&d->chain, CHAIN_REQ_HEADERS, l->ops, &at) && at < d->n_met)
		f->how = at + 1 < d->n_met ? DRY_PASSED : d->last;
	f->met_response = d->ex->local && f->how != DRY_NOT_KNOWN &&
	    l->ops->on_resp_headers != NULL && !d->ex->reply_begun;
	f->fc = chain_call(&d->ex->chain, l);
}

static void
list_filters(struct dry *d, struct dry_result *r)
{
	const struct chain *all = r->route->policy->chain;

	if (d->ex->chain.chain == NULL)
		return;
	for (enum chain_phase p = 0; p < CHAIN__MAX; p++) {
		for (unsigned i = 0; i < all->phase[p].n; i++)
			add_filter(d, r, &all->phase[p].v[i]);
	}
}

static bool
is_by_chance(const struct exchange *ex, const struct addr *client)
{
	unsigned side;

	return (ex->route->action == ROUTE_SPLIT &&
	    !route_split_side(ex->route->split, &ex->req, client, &side));
}

static void
tell(struct dry *d, struct dry_result *r)
{
	struct exchange *ex = d->ex;

	r->end = ex->step == EX_OPEN ? DRY_FORWARD : ex->step == EX_REPLY ? DRY_ANSWER : DRY_CUT;
	r->reason = (enum reason)ex->reason;
	r->route = ex->route;
	r->is_preflight = ex->preflight == PREFLIGHT_OWN && ex->route != NULL &&
	    ex->route->policy->chain->answers_preflight;
	r->req = &ex->req;
	r->resp = &ex->resp;
	r->host = ex->req.host;
	r->path = ex->req.path;
	r->upstream = ex->upstream;
	if (d->knows_client || ex->client != NULL)
		r->client = ex_client(ex);
	if (r->end == DRY_FORWARD)
		r->by_chance = is_by_chance(ex, r->client);
	if (r->route != NULL)
		list_filters(d, r);
}

bool
dry_run(struct dry *d, struct snapshot *s, struct listener *l, const struct dry_request *req,
    struct dry_result *r)
{
	CHECK_OBJ(d, DRY_MAGIC);
	dry_done(d);
	memset(r, 0, sizeof *r);
	d->use = (struct snapshot_use){ .snap = s };
	d->worker.snap = &d->use;
	d->refused = REASON_NONE;
	d->n_met = 0;
	d->last = DRY_PASSED;
	d->chain = (struct chain){ .magic = CHAIN_MAGIC };
	begin_conn(d, l, req->client);
	if (!feed(d, req->head))
		return (false);
	trace(d, req);
	run(d);
	tell(d, r);
	return (true);
}

bool
dry_choose(struct dry *d, struct upstream *u, const struct endset *now,
    const struct server **server_r)
{
	const struct exchange *ex = d->ex;
	struct pick pick = { .req = &ex->req };

	if (d->knows_client || ex->client != NULL)
		pick.client = ex_client(ex);
	return (up_choose(&d->worker, u, now, &pick, server_r));
}

static const struct codec_events up_events = {
	.on_error = on_error,
	.on_sent = on_nothing,
};

struct slice
dry_head(struct dry *d, const struct server *server)
{
	struct exchange *ex = d->ex;
	struct pipe *body = ex->req.m.body == MSG_BODY_NONE ? NULL : &ex->req_body;
	struct slice head = SLICE("");
	struct iovec v[4];

	if (server != NULL && ex->route->policy->host_upstream)
		ex_name_server(&ex->req, server);
	h1_init(&d->up, CODEC_CLIENT, &up_events, d, &d->local.limits.codec, &d->worker.pages);
	if (d->up.c.ops->send(&d->up.s, &ex->req.m, body) &&
	    d->up.c.ops->gather(&d->up.c, v, array_len(v)) > 0)
		head = arena_dup(&ex->arena, slice_of(v[0].iov_base, v[0].iov_len));
	d->up.c.ops->fini(&d->up.c);
	return (head.p == NULL ? SLICE("") : head);
}

void
dry_done(struct dry *d)
{
	if (d->ex != NULL)
		ex_release(d->ex);
	d->ex = NULL;
	if (d->dc.magic != 0)
		d->dc.h1.c.ops->fini(&d->dc.h1.c);
	d->dc.magic = 0;
	d->worker.snap = NULL;
}
