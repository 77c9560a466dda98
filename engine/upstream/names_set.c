/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>

#include "engine/base/check.h"
#include "engine/mem/alloc.h"
#include "engine/mem/arena.h"
#include "engine/mem/map.h"
#include "engine/upstream/names_set.h"
#include "engine/upstream/upstream_conf.h"

enum {
	/* Addresses of one name that are used. */
	NAMES_ADDRS_MAX = 1024
};

static bool
has_addr(const struct addr *v, unsigned n, const struct addr *a)
{
	for (unsigned i = 0; i < n; i++) {
		if (addr_eq(&v[i], a))
			return (true);
	}
	return (false);
}

/* Resolvers turn the order of answers around: as sets. */
static bool
is_same(const struct names_host *h, const struct addr *v, unsigned n)
{
	if (h->n != n)
		return (false);
	for (unsigned i = 0; i < n; i++) {
		if (!has_addr(h->addrs, h->n, &v[i]))
			return (false);
	}
	return (true);
}

bool
names_host_take(struct names_host *h, const struct addr *addrs, unsigned n)
{
	struct addr *v;

	CHECK_OBJ(h, NAMES_HOST_MAGIC);
	if (n > NAMES_ADDRS_MAX)
		n = NAMES_ADDRS_MAX;
	if (is_same(h, addrs, n))
		return (false);
	v = mem_try_calloc(n, sizeof *v);
	if (v == NULL)
		return (false);
	if (n > 0)
		memcpy(v, addrs, n * sizeof *v);
	xfree(h->addrs);
	h->addrs = v;
	h->n = n;
	return (true);
}

struct builder {
	struct arena	*arena;
	struct map	 seen;		/* place + 1 by address text */
	struct server	*v;
	unsigned	 n;
};

static void
add(struct builder *b, const struct upstream_server *s, const struct addr *addr)
{
	char buf[ADDR_TEXT_MAX];
	struct slice text = slice_of(buf, addr_format(addr, buf, sizeof buf));
	uintptr_t at = (uintptr_t)map_get(&b->seen, text);
	struct server *to = &b->v[b->n];

	if (at != 0) {
		b->v[at - 1].weight += s->weight;
		return;
	}
	to->weight = s->weight;
	to->addr = *addr;
	to->name = s->text;
	to->address = arena_dup(b->arena, text);
	b->n++;
	(void)map_put(&b->seen, to->address, (void *)(uintptr_t)b->n);
}

static void
add_all(struct builder *b, const struct upstream_conf *c,
    struct names_host *(*host_of)(void *, unsigned i), void *arg)
{
	unsigned named = 0;

	for (unsigned i = 0; i < c->n_servers; i++) {
		const struct upstream_server *s = &c->servers[i];
		const struct names_host *h;

		if (s->name.len == 0) {
			add(b, s, &s->addr);
			continue;
		}
		h = host_of(arg, named++);
		for (unsigned k = 0; k < h->n; k++) {
			struct addr a = h->addrs[k];

			addr_set_port(&a, s->port);
			add(b, s, &a);
		}
	}
}

static size_t
count_all(const struct upstream_conf *c, struct names_host *(*host_of)(void *, unsigned i),
    void *arg)
{
	unsigned named = 0;
	size_t n = 0;

	for (unsigned i = 0; i < c->n_servers; i++)
		n += c->servers[i].name.len == 0 ? 1 : host_of(arg, named++)->n;
	return (n);
}

struct endset *
names_set_build(const struct upstream_conf *c, struct names_host *(*host_of)(void *, unsigned i),
    void *arg)
{
	struct arena *volatile arena = NULL;
	struct arena *gone;
	struct builder b = { 0 };
	struct endset *set;
	struct mem_trap trap;

	if (MEM_TRAP_ENTER(&trap)) {
		gone = arena;
		arena_free(&gone);
		return (NULL);
	}
	b.arena = arena = arena_new("names");
	map_init(&b.seen, b.arena);
	b.v = arena_zarray(b.arena, count_all(c, host_of, arg) + 1, sizeof *b.v);
	add_all(&b, c, host_of, arg);
	set = endset_new(b.v, b.n);
	mem_trap_leave(&trap);
	arena_free(&b.arena);
	return (set);
}
