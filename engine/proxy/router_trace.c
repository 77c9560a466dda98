/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/base/check.h"
#include "engine/proxy/router_int.h"
#include "engine/proxy/router_trace.h"

/*
 * The walk of router.c without its shortcuts: same order, same tests, but it goes on behind the
 * winner. What expressions may cost is counted as there up to the winner, and anew behind it.
 */

struct trace {
	const struct router	*r;	/* whose host is in hand: the router itself, or a shard */
	struct router_query	 q;
	router_verdict_fn	*fn;
	void			*arg;
	enum router_rc		 rc;
	const struct route	*won;
	router_ref		 won_list;
	const struct router_host *won_host;
	unsigned		 n_others;
};

/* One list of one host. */
struct place {
	router_ref		 list;
	uint32_t		 host;
	enum router_path_kind	 kind;
};

static void
tell(struct trace *t, const struct place *p, const struct route *route, enum router_why why,
    const struct router_field *field)
{
	const struct router_host *host = &t->r->hosts[p->host];
	struct router_verdict v = { .route = route, .why = why, .kind = p->kind, .field = field };

	if (why == ROUTER_LOST_HOST && t->n_others++ >= ROUTER_TRACE_OTHERS_MAX)
		return;
	if (p->host != 0) {
		v.host = router_host_name(host);
		v.is_wildcard = host->is_wildcard;
	}
	t->fn(t->arg, &v);
}

/* A rule that takes the request. */
static enum router_why
place_of_taker(struct trace *t, const struct place *p, const struct route *route)
{
	if (t->rc == ROUTER_NONE) {
		t->rc = ROUTER_FOUND;
		t->won = route;
		t->won_list = p->list;
		t->won_host = &t->r->hosts[p->host];
		return (ROUTER_WON);
	}
	if (&t->r->hosts[p->host] != t->won_host)
		return (ROUTER_LOST_TO_HOST);
	return (p->list != t->won_list ? ROUTER_LOST_TO_PATH : ROUTER_LOST_TO_MATCHERS);
}

static void
judge(struct trace *t, const struct place *p, const struct router_cand *c)
{
	const struct router_field *field = NULL;
	enum router_why why = ROUTER_LOST_LIMIT;

	if (t->rc == ROUTER_FOUND)
		t->q.parameters = ROUTER_PARAMETERS;
	if (t->rc == ROUTER_FOUND && t->r->has_regexes)
		regex_allow(t->q.req->regex, ROUTER_STEPS);
	switch (router_takes(c, &t->q, &field)) {
	case ROUTER_TAKES:
		why = place_of_taker(t, p, c->route);
		break;
	case ROUTER_TAKES_NOT_LISTENER:
		why = ROUTER_LOST_LISTENER;
		break;
	case ROUTER_TAKES_NOT_METHOD:
		why = ROUTER_LOST_METHOD;
		break;
	case ROUTER_TAKES_NOT_FIELD:
		why = ROUTER_LOST_FIELD;
		break;
	case ROUTER_TAKES_LIMIT:
		if (t->rc == ROUTER_NONE)
			t->rc = ROUTER_LIMIT;
		break;
	}
	tell(t, p, c->route, why, field);
}

/* All rules of a list lose for one reason. */
static void
tell_all(struct trace *t, const struct place *p, enum router_why why)
{
	const struct router_cand *c = (const struct router_cand *)p->list;

	if (p->list & ROUTER_ONLY) {
		tell(t, p, (const struct route *)(p->list - ROUTER_ONLY), why, NULL);
		return;
	}
	for (; p->list != 0; c++) {
		tell(t, p, c->route, why, NULL);
		if (c->is_last)
			return;
	}
}

static void
walk_list(struct trace *t, router_ref list, uint32_t host, enum router_path_kind kind)
{
	const struct place p = { .list = list, .host = host, .kind = kind };
	const struct router_cand *c = (const struct router_cand *)list;
	const struct route *only = (const struct route *)(list - ROUTER_ONLY);

	if (list == 0)
		return;
	if (list & ROUTER_ONLY) {
		tell(t, &p, only, place_of_taker(t, &p, only), NULL);
		return;
	}
	for (; t->rc != ROUTER_LIMIT; c++) {
		judge(t, &p, c);
		if (c->is_last)
			return;
	}
}

static void
walk_regexes(struct trace *t, uint32_t host)
{
	const struct router_request *req = t->q.req;

	if (!t->r->hosts[host].has_regex)
		return;
	for (const struct router_regex *x = &t->r->regexes[t->r->regex_of[host]];; x++) {
		const struct place p = { x->list, host, ROUTER_PATH_REGEX };

		if (t->rc == ROUTER_FOUND)
			regex_allow(req->regex, ROUTER_STEPS);
		switch (regex_search_within(x->regex, req->regex, req->path, NULL)) {
		case REGEX_MATCH:
			walk_list(t, x->list, host, ROUTER_PATH_REGEX);
			break;
		case REGEX_NO_MATCH:
			tell_all(t, &p, ROUTER_LOST_PATH);
			break;
		case REGEX_LIMIT:
			t->rc = t->rc == ROUTER_NONE ? ROUTER_LIMIT : t->rc;
			tell_all(t, &p, ROUTER_LOST_LIMIT);
			break;
		}
		if (x->is_last || t->rc == ROUTER_LIMIT)
			return;
	}
}

static void
walk_host(struct trace *t, uint32_t host)
{
	const struct router_request *req = t->q.req;
	const struct router_key *k;

	if (t->rc == ROUTER_LIMIT)
		return;
	if (t->q.has_full) {
		k = router_find_key(t->r, host, t->q.full, req->path);
		if (k != NULL)
			walk_list(t, k->exact, host, ROUTER_PATH_EXACT);
	}
	for (unsigned d = t->q.n; d > 0 && t->rc != ROUTER_LIMIT; d--) {
		k = router_find_key(t->r, host, t->q.hash[d],
		    slice_of(req->path.p, t->q.end[d]));
		if (k != NULL)
			walk_list(t, k->prefix, host, ROUTER_PATH_PREFIX);
	}
	if (t->rc != ROUTER_LIMIT)
		walk_regexes(t, host);
	if (t->rc != ROUTER_LIMIT)
		walk_list(t, t->r->hosts[host].root, host, ROUTER_PATH_ROOT);
}

/* ---- other hosts ---- */

static bool
host_fits(const struct trace *t, uint32_t at)
{
	const struct router_host *h = &t->r->hosts[at];
	struct slice name = router_host_name(h), asked = t->q.host;
	size_t before = asked.len - name.len;

	if (at == 0)
		return (true);
	if (!h->is_wildcard)
		return (slice_eq_fold(name, asked));
	return (asked.len > name.len + 1 && asked.p[before - 1] == '.' &&
	    slice_eq_fold(slice_skip(asked, before), name));
}

/* Is it a path that the request's begins with, at a segment's end? */
static bool
is_prefix_asked(const struct router_query *q, struct slice path)
{
	struct slice asked = q->req->path;

	return (slice_has_prefix(asked, path) &&
	    (asked.len == path.len || asked.p[path.len] == '/'));
}

static void
tell_others(struct trace *t)
{
	for (uint32_t i = 0; i < t->r->n_keys && t->n_others < ROUTER_TRACE_OTHERS_MAX; i++) {
		const struct router_key *k = &t->r->keys[i];
		struct slice path = router_key_path(k);
		struct place p = { k->exact, k->host, ROUTER_PATH_EXACT };

		if (!is_prefix_asked(&t->q, path) || host_fits(t, k->host))
			continue;
		if (slice_eq(path, t->q.req->path))
			tell_all(t, &p, ROUTER_LOST_HOST);
		p.list = k->prefix;
		p.kind = ROUTER_PATH_PREFIX;
		tell_all(t, &p, ROUTER_LOST_HOST);
	}
}

static void
walk_exact(struct trace *t, const struct router *r)
{
	uint64_t hash = router_hash_host(r, t->q.host, false);
	uint32_t host;

	if (t->q.host.len == 0)
		return;
	t->r = router_shard(r, hash);
	host = router_find_host(t->r, t->q.host, false, hash);
	if (host != ROUTER_NO_HOST)
		walk_host(t, host);
}

enum router_rc
router_trace(const struct router *r, const struct router_request *req, router_verdict_fn *fn,
    void *arg, const struct route **route_r)
{
	struct trace t = { .r = r, .fn = fn, .arg = arg, .rc = ROUTER_NONE };
	struct router_suffixes suffixes;
	uint32_t host;

	router_query_init(&t.q, r, req);
	router_hash_path(r, &t.q);
	walk_exact(&t, r);
	t.r = r;
	router_suffixes_init(&suffixes, t.q.host);
	while ((host = router_next_wildcard(r, &suffixes)) != ROUTER_NO_HOST)
		walk_host(&t, host);
	walk_host(&t, 0);
	if (t.rc != ROUTER_LIMIT)
		tell_others(&t);
	for (uint64_t i = 0; t.rc != ROUTER_LIMIT && i < router_n_shards(r); i++) {
		t.r = &r->shards->v[i];
		tell_others(&t);
	}
	if (t.rc == ROUTER_FOUND)
		*route_r = t.won;
	return (t.rc);
}
