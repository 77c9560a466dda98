/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/mem/arena.h"
#include "engine/proxy/router_int.h"

/*
 * Two rules of one list tie when they have as many matchers and share a method and a listener.
 * Each rule claims its methods on its listeners; who comes to a claimed one ties with its owner.
 */
struct claim {
	struct slice	 method;	/* empty: rules for every method */
	unsigned	 n_matchers;
	uint64_t	 listeners;	/* claimed ones */
	uint32_t	 owner[64];	/* by listener */
};

struct claims {
	const struct router_list *list;
	struct arena	*scratch;
	struct claim	**slots;
	uint64_t	 mask;
	uint32_t	 other;		/* owner that the rule in hand ties with, or itself */
};

static void
claim_method(struct claims *cs, uint32_t rule, struct slice method)
{
	static const uint8_t key[SIPHASH_KEY_BYTES]; /* from the file alone: needs no secret */
	const struct router_rule *r = &cs->list->rules[rule];
	uint64_t want = r->listeners == 0 ? UINT64_MAX : r->listeners, x;
	unsigned n_matchers = router_n_matchers(r);
	struct claim *c;

	for (x = siphash(key, method.p, method.len) + n_matchers;; x++) {
		c = cs->slots[x & cs->mask];
		if (c == NULL)
			break;
		if (c->n_matchers == n_matchers && slice_eq(c->method, method))
			break;
	}
	if (c == NULL) {
		c = cs->slots[x & cs->mask] = arena_znew(cs->scratch, struct claim);
		c->method = method;
		c->n_matchers = n_matchers;
	}
	/* Its own claim is no tie: a rule may name a method or a host twice. */
	for (uint64_t both = want & c->listeners; both != 0 && cs->other == rule;
	    both &= both - 1)
		cs->other = c->owner[bits_lowest(both)];
	for (uint64_t new = want & ~c->listeners; new != 0; new &= new - 1)
		c->owner[bits_lowest(new)] = rule;
	c->listeners |= want;
}

static void
claim_rule(struct claims *cs, uint32_t rule)
{
	const struct router_rule *r = &cs->list->rules[rule];

	if (router_n_matchers(r) == 0) {
		claim_method(cs, rule, SLICE_NONE);
		return;
	}
	for (unsigned m = METHOD_OTHER + 1; m < METHOD__MAX; m++) {
		if (r->methods >> m & 1)
			claim_method(cs, rule, method_name((enum http_method)m));
	}
	for (unsigned i = 0; i < r->n_method_names; i++)
		claim_method(cs, rule, r->method_names[i]);
}

void
router_find_ties(const struct router_list *list, struct arena *scratch,
    void (*on_tie)(void *arg, uint32_t rule, uint32_t other), void *arg)
{
	struct claims cs = {.list = list, .scratch = scratch};
	struct arena_mark mark = arena_mark(scratch);
	size_t n = 0;

	if (list->n < 2)
		return;
	for (uint32_t i = 0; i < list->n; i++) {
		const struct router_rule *r = &list->rules[list->at[i]];

		n += 1 + bits_popcount(r->methods) + r->n_method_names;
	}
	cs.mask = bits_ceil_pow2(2 * n) - 1;
	cs.slots = arena_zarray(scratch, cs.mask + 1, sizeof(struct claim *));
	for (uint32_t i = 0; i < list->n; i++) {
		cs.other = list->at[i];
		claim_rule(&cs, list->at[i]);
		if (cs.other != list->at[i])
			on_tie(arg, list->at[i], cs.other);
	}
	arena_rewind(scratch, &mark);
}
