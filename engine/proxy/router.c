/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/base/cc.h"
#include "engine/base/check.h"
#include "engine/proxy/router_int.h"

/* What stands for a route where an expression came to no end. */
static const struct route limit;

/* One pass; no further than a key of this router can reach. */
void
router_hash_path(const struct router *r, struct router_query *q)
{
	const char *p = q->req->path.p;
	size_t at = 0, n = q->req->path.len, len;
	uint64_t h = r->seed;
	unsigned depth = 0;

	while (at < n) {
		if (depth >= r->max_depth && n > r->max_exact)
			break;
		h = router_hash_segment(h, p + at + 1, n - at - 1, &len);
		at += len + 1;
		depth++;
		if (depth <= r->max_depth) {
			q->hash[depth] = h;
			q->end[depth] = (uint32_t)at;
			q->n = depth;
		}
	}
	q->depth = depth < ROUTER_DEPTH_MAX ? depth : ROUTER_DEPTH_MAX;
	q->has_full = at == n;
	q->full = h;
}

static bool
has_method(const struct router_cand *c, const struct router_query *q)
{
	if (c->methods & (q->method | (uint64_t)1 << METHOD_OTHER))
		return (true);
	if (q->method != (uint64_t)1 << METHOD_OTHER)
		return (false);
	for (uint32_t i = 0; i < c->n_names; i++) {
		if (slice_eq(c->names[i], q->req->method_text))
			return (true);
	}
	return (false);
}

enum router_take
router_takes(const struct router_cand *c, struct router_query *q,
    const struct router_field **field_r)
{
	if (!(c->listeners & q->listener))
		return (ROUTER_TAKES_NOT_LISTENER);
	if (!has_method(c, q))
		return (ROUTER_TAKES_NOT_METHOD);
	if (likely(c->more == NULL))
		return (ROUTER_TAKES);
	return (router_takes_fields(c->more, q, field_r));
}

/* The first of a list that takes the request. */
static const struct route *
pick(router_ref list, struct router_query *q)
{
	const struct router_cand *c;

	if (list & ROUTER_ONLY)
		return ((const struct route *)(list - ROUTER_ONLY));
	if (list == 0)
		return (NULL);
	for (c = (const struct router_cand *)list;; c++) {
		enum router_take take = router_takes(c, q, NULL);

		if (take == ROUTER_TAKES)
			return (c->route);
		if (take == ROUTER_TAKES_LIMIT)
			return (&limit);
		if (c->is_last)
			return (NULL);
	}
}

const struct router_key *
router_find_key(const struct router *r, uint32_t host, uint64_t path_hash, struct slice path)
{
	uint64_t x = router_hash_key(r, host, path_hash);
	uint32_t tag = (uint32_t)(x >> 32);
	const struct router_slot *slot;
	const struct router_key *k;

	for (uint64_t i = x;; i++) {
		slot = &r->by_path.slots[i & r->by_path.mask];
		if (slot->at == 0)
			return (NULL);
		if (slot->tag != tag)
			continue;
		k = &r->keys[slot->at - 1];
		if (k->host == host && slice_eq(router_key_path(k), path))
			return (k);
	}
}

/* The slot that will most likely be asked for first: it comes while the host does. */
static void
prefetch_slot(const struct router *r, uint32_t host, const struct router_query *q, uint64_t depths)
{
	uint64_t x;

	if (depths == 0)
		return;
	x = router_hash_key(r, host, q->hash[bits_highest(depths)]);
	__builtin_prefetch(&r->by_path.slots[x & r->by_path.mask]);
}

/* In order; an expression that comes to no end might have been the one. Away from the lookup of
   those without expressions, as router_takes_fields() is, which has a large frame. */
static CC_NOINLINE const struct route *
find_regex(const struct router *r, uint32_t host, struct router_query *q)
{
	const struct route *route;

	for (const struct router_regex *x = &r->regexes[r->regex_of[host]];; x++) {
		switch (regex_search_within(x->regex, q->req->regex, q->req->path, NULL)) {
		case REGEX_MATCH:
			route = pick(x->list, q);
			if (route != NULL)
				return (route);
			break;
		case REGEX_NO_MATCH:
			break;
		case REGEX_LIMIT:
			return (&limit);
		}
		if (x->is_last)
			return (NULL);
	}
}

/* Exact path, prefixes from the longest on, expressions, `/`. */
static const struct route *
find_path(const struct router *r, uint32_t at, struct router_query *q)
{
	const struct router_host *host = &r->hosts[at];
	/* Depths 1 to n; n is at most 63. */
	uint64_t depths = ((uint64_t)2 << q->n) - 1;
	const struct route *route = NULL;
	const struct router_key *k;

	prefetch_slot(r, at, q, depths & r->prefix_depths);
	if (q->has_full && (host->exact_depths >> q->depth & 1)) {
		k = router_find_key(r, at, q->full, q->req->path);
		route = k == NULL ? NULL : pick(k->exact, q);
	}
	depths &= host->prefix_depths;
	for (; route == NULL && depths != 0; depths &= ~((uint64_t)1 << bits_highest(depths))) {
		unsigned d = bits_highest(depths);

		k = router_find_key(r, at, q->hash[d], slice_of(q->req->path.p, q->end[d]));
		route = k == NULL ? NULL : pick(k->prefix, q);
	}
	if (unlikely(host->has_regex) && route == NULL)
		route = find_regex(r, at, q);
	return (route != NULL ? route : pick(host->root, q));
}

uint32_t
router_find_host(const struct router *r, struct slice name, bool is_wildcard, uint64_t hash)
{
	const struct router_slot *slot;
	const struct router_host *h;

	for (uint64_t i = hash;; i++) {
		slot = &r->by_host.slots[i & r->by_host.mask];
		if (slot->at == 0)
			return (ROUTER_NO_HOST);
		if (slot->tag != (uint32_t)(hash >> 32))
			continue;
		h = &r->hosts[slot->at - 1];
		if (h->is_wildcard == is_wildcard && slice_eq_fold(router_host_name(h), name))
			return (slot->at - 1);
	}
}

void
router_suffixes_init(struct router_suffixes *s, struct slice name)
{
	s->name = name;
	s->at = 1;
	/* A name that begins with a dot has no label there. */
	s->dots = router_count_dots(name) - (name.len > 0 && name.p[0] == '.');
}

/*
 * Only those that have the length and the number of dots of some wildcard are looked up, so that a
 * name of a hundred labels costs little more than one of three.
 */
uint32_t
router_next_wildcard(const struct router *r, struct router_suffixes *s)
{
	uint32_t host = ROUTER_NO_HOST;

	for (; host == ROUTER_NO_HOST && s->at + 1 < s->name.len; s->at++) {
		struct slice suffix = slice_skip(s->name, s->at + 1);

		if (s->name.p[s->at] != '.')
			continue;
		s->dots--;
		if (!(r->wildcard_dots & router_dots_bit(s->dots)) ||
		    suffix.len > ROUTER_HOST_MAX || !bits_test(r->wildcards, suffix.len))
			continue;
		host = router_find_host(r, suffix, true, router_hash_host(r, suffix, true));
	}
	return (host);
}

static const struct route *
find_wildcard(const struct router *r, struct router_query *q)
{
	const struct route *route = NULL;
	struct router_suffixes s;
	uint32_t host;

	router_suffixes_init(&s, q->host);
	while (route == NULL && (host = router_next_wildcard(r, &s)) != ROUTER_NO_HOST)
		route = find_path(r, host, q);
	return (route);
}

/* Without ":port" and the dot that ends an absolute name; "[::1]" ends in a bracket. */
static struct slice
bare_host(struct slice host)
{
	size_t n = host.len;

	while (n > 0 && host.p[n - 1] >= '0' && host.p[n - 1] <= '9')
		n--;
	if (n > 0 && host.p[n - 1] == ':')
		host.len = n - 1;
	if (host.len > 0 && host.p[host.len - 1] == '.')
		host.len--;
	return (host);
}

void
router_query_init(struct router_query *q, const struct router *r,
    const struct router_request *req)
{
	must(req->method < METHOD__MAX && req->listener < 64);
	q->req = req;
	q->host = bare_host(req->host);
	q->method = (uint64_t)1 << req->method;
	q->listener = (uint64_t)1 << req->listener;
	q->n = 0;
	q->parameters = ROUTER_PARAMETERS;
	if (unlikely(r->has_regexes))
		regex_allow(req->regex, ROUTER_STEPS);
}

enum router_rc
router_find(const struct router *r, const struct router_request *req,
    const struct route **route_r)
{
	struct router_query q;
	const struct route *route = NULL;
	const struct router *shard = NULL;
	uint64_t hash = 0;
	uint32_t found;

	router_query_init(&q, r, req);
	if (r->has_hosts && q.host.len > 0) {
		hash = router_hash_host(r, q.host, false);
		shard = router_shard(r, hash);
		__builtin_prefetch(&shard->by_host.slots[hash & shard->by_host.mask]);
	}
	router_hash_path(r, &q);
	if (shard != NULL) {
		found = router_find_host(shard, q.host, false, hash);
		route = found == ROUTER_NO_HOST ? NULL : find_path(shard, found, &q);
	}
	if (route == NULL && r->has_wildcards)
		route = find_wildcard(r, &q);
	if (route == NULL)
		route = find_path(r, 0, &q);
	if (route == NULL)
		return (ROUTER_NONE);
	if (unlikely(route == &limit))
		return (ROUTER_LIMIT);
	*route_r = route;
	return (ROUTER_FOUND);
}
