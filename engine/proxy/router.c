/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/base/cc.h"
#include "engine/base/check.h"
#include "engine/proxy/router_int.h"

/* What one lookup asks, the same for each host that is tried. */
struct router_query {
	struct slice	 path;
	struct slice	 method_text;
	uint64_t	 method;	/* its bit */
	uint64_t	 listener;	/* its bit */
	uint64_t	 full;		/* hash of the whole path, when has_full */
	unsigned	 n;		/* depths in the arrays: 1 to n */
	unsigned	 depth;		/* of the whole path, at most ROUTER_DEPTH_MAX */
	bool		 has_full;
	uint64_t	 hash[ROUTER_DEPTH_MAX + 1];
	uint32_t	 end[ROUTER_DEPTH_MAX + 1];
};

/* One pass; no further than a key of this router can reach. */
static void
hash_path(const struct router *r, struct router_query *q)
{
	const char *p = q->path.p;
	size_t at = 0, n = q->path.len, len;
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
		if (slice_eq(c->names[i], q->method_text))
			return (true);
	}
	return (false);
}

/* The first of a list that takes the request. */
static const struct route *
pick(router_ref list, const struct router_query *q)
{
	const struct router_cand *c;

	if (list & ROUTER_ONLY)
		return ((const struct route *)(list - ROUTER_ONLY));
	if (list == 0)
		return (NULL);
	for (c = (const struct router_cand *)list;; c++) {
		if ((c->listeners & q->listener) && has_method(c, q))
			return (c->route);
		if (c->is_last)
			return (NULL);
	}
}

static const struct router_key *
find_key(const struct router *r, uint32_t host, uint64_t path_hash, struct slice path)
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

/* Exact path, prefixes from the longest on, `/`. */
static const struct route *
find_path(const struct router *r, uint32_t at, const struct router_query *q)
{
	const struct router_host *host = &r->hosts[at];
	/* Depths 1 to n; n is at most 63. */
	uint64_t depths = ((uint64_t)2 << q->n) - 1;
	const struct route *route = NULL;
	const struct router_key *k;

	prefetch_slot(r, at, q, depths & r->prefix_depths);
	if (q->has_full && (host->exact_depths >> q->depth & 1)) {
		k = find_key(r, at, q->full, q->path);
		route = k == NULL ? NULL : pick(k->exact, q);
	}
	depths &= host->prefix_depths;
	for (; route == NULL && depths != 0; depths &= ~((uint64_t)1 << bits_highest(depths))) {
		unsigned d = bits_highest(depths);

		k = find_key(r, at, q->hash[d], slice_of(q->path.p, q->end[d]));
		route = k == NULL ? NULL : pick(k->prefix, q);
	}
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

/*
 * From the longest suffix on. Only those that have the length and the number of dots of some
 * wildcard are looked up, so that a name of a hundred labels costs little more than one of three.
 */
static const struct route *
find_wildcard(const struct router *r, struct slice name, const struct router_query *q)
{
	const struct route *route;
	uint32_t host;
	unsigned dots = router_count_dots(name);

	/* A name that begins with a dot has no label there. */
	dots -= name.len > 0 && name.p[0] == '.';
	for (size_t i = 1; i + 1 < name.len; i++) {
		struct slice suffix = slice_skip(name, i + 1);

		if (name.p[i] != '.')
			continue;
		dots--;
		if (!(r->wildcard_dots & router_dots_bit(dots)) ||
		    suffix.len > ROUTER_HOST_MAX || !bits_test(r->wildcards, suffix.len))
			continue;
		host = router_find_host(r, suffix, true, router_hash_host(r, suffix, true));
		route = host == ROUTER_NO_HOST ? NULL : find_path(r, host, q);
		if (route != NULL)
			return (route);
	}
	return (NULL);
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

const struct route *
router_find(const struct router *r, struct slice host, struct slice path, unsigned method,
    struct slice method_text, unsigned listener)
{
	struct router_query q;
	const struct route *route = NULL;
	uint64_t hash = 0;
	uint32_t found;

	must(method < METHOD__MAX && listener < 64);
	host = bare_host(host);
	if (r->has_hosts && host.len > 0) {
		hash = router_hash_host(r, host, false);
		__builtin_prefetch(&r->by_host.slots[hash & r->by_host.mask]);
	}
	q.path = path;
	q.method_text = method_text;
	q.method = (uint64_t)1 << method;
	q.listener = (uint64_t)1 << listener;
	q.n = 0;
	hash_path(r, &q);
	if (r->has_hosts && host.len > 0) {
		found = router_find_host(r, host, false, hash);
		route = found == ROUTER_NO_HOST ? NULL : find_path(r, found, &q);
	}
	if (route == NULL && r->has_wildcards)
		route = find_wildcard(r, host, &q);
	return (route != NULL ? route : find_path(r, 0, &q));
}
