/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/mem/arena.h"
#include "engine/proxy/router_int.h"

/*
 * Two rules of one list tie when they have as many matchers and share a method and a listener, and
 * no field tells them apart. First those that ask for no fields. Each rule claims its methods on
 * its listeners; who comes to a claimed one ties with its owner.
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

	if (!router_has_methods(r)) {
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

static void
find_claimed(const struct router_list *list, struct arena *scratch,
    void (*on_tie)(void *arg, uint32_t rule, uint32_t other), void *arg)
{
	struct claims cs = {.list = list, .scratch = scratch};
	size_t n = 0;

	for (uint32_t i = 0; i < list->n; i++) {
		const struct router_rule *r = &list->rules[list->at[i]];

		n += 1 + bits_popcount(r->methods) + r->n_method_names;
	}
	cs.mask = bits_ceil_pow2(2 * n) - 1;
	cs.slots = arena_zarray(scratch, cs.mask + 1, sizeof(struct claim *));
	for (uint32_t i = 0; i < list->n; i++) {
		cs.other = list->at[i];
		if (list->rules[cs.other].n_fields == 0)
			claim_rule(&cs, list->at[i]);
		if (cs.other != list->at[i])
			on_tie(arg, list->at[i], cs.other);
	}
}

/* ---- rules that ask for fields: in pairs ---- */

static bool
is_method_named(const struct router_rule *r, struct slice name)
{
	for (unsigned i = 0; i < r->n_method_names; i++) {
		if (slice_eq(r->method_names[i], name))
			return (true);
	}
	return (false);
}

static bool
share_method(const struct router_rule *a, const struct router_rule *b)
{
	const uint64_t other = (uint64_t)1 << METHOD_OTHER;

	if (!router_has_methods(a) || !router_has_methods(b) || (a->methods & b->methods & ~other))
		return (true);
	for (unsigned i = 0; i < a->n_method_names; i++) {
		if (is_method_named(b, a->method_names[i]))
			return (true);
	}
	return (false);
}

static bool
is_same_name(const struct router_field *a, const struct router_field *b)
{
	return (a->is_query == b->is_query && (a->is_query ? slice_eq(a->name, b->name) :
	    slice_eq_fold(a->name, b->name)));
}

/* Two things asked of one name that no value is both of. */
static bool
exclude(const struct router_field *a, const struct router_field *b)
{
	if (!is_same_name(a, b))
		return (false);
	if (a->kind == ROUTER_FIELD_ABSENT || b->kind == ROUTER_FIELD_ABSENT)
		return (a->kind != b->kind);
	return (a->kind == ROUTER_FIELD_IS && b->kind == ROUTER_FIELD_IS &&
	    !slice_eq(a->value, b->value));
}

static bool
is_told_apart(const struct router_rule *a, const struct router_rule *b)
{
	for (unsigned i = 0; i < a->n_fields; i++) {
		for (unsigned k = 0; k < b->n_fields; k++) {
			if (exclude(&a->fields[i], &b->fields[k]))
				return (true);
		}
	}
	return (false);
}

static bool
tie(const struct router_rule *a, const struct router_rule *b)
{
	uint64_t listeners = (a->listeners == 0 ? UINT64_MAX : a->listeners) &
	    (b->listeners == 0 ? UINT64_MAX : b->listeners);

	/* Those without fields were compared before. */
	return (a != b && a->n_fields + b->n_fields > 0 &&
	    router_n_matchers(a) == router_n_matchers(b) && listeners != 0 && share_method(a, b) &&
	    !is_told_apart(a, b));
}

static const struct router_field *
find_exact(const struct router_rule *r, const struct router_field *like)
{
	for (unsigned i = 0; i < r->n_fields; i++) {
		if (r->fields[i].kind == ROUTER_FIELD_IS && is_same_name(&r->fields[i], like))
			return (&r->fields[i]);
	}
	return (NULL);
}

/*
 * The name that most rules ask a value of: rules with two values of it cannot tie, so only those
 * with the same value, and those that do not ask for it, are compared. By votes: each rule votes
 * for the first of its names, and a name with more than half of them is found for certain.
 */
static const struct router_field *
elect(const struct router_list *list)
{
	const struct router_field *elected = NULL;
	size_t votes = 0;

	for (uint32_t i = 0; i < list->n; i++) {
		const struct router_rule *r = &list->rules[list->at[i]];

		for (unsigned k = 0; k < r->n_fields; k++) {
			if (r->fields[k].kind != ROUTER_FIELD_IS)
				continue;
			if (votes == 0)
				elected = &r->fields[k];
			if (is_same_name(elected, &r->fields[k]))
				votes++;
			else
				votes--;
			break;
		}
	}
	return (elected);
}

/* Rules of one value of the elected name, or without it, the latest first. */
struct group {
	uint32_t	*heads;		/* index in list + 1; [mask + 1]: those without it */
	uint32_t	*next;
	size_t		 mask;
};

/* The first rule of a chain that ties with rule i; list->n: none. */
static uint32_t
tied_in(const struct router_list *list, const struct group *g, uint32_t head, uint32_t i)
{
	uint32_t found = list->n;

	for (; head != 0; head = g->next[head - 1]) {
		if (tie(&list->rules[list->at[i]], &list->rules[list->at[head - 1]]))
			found = head - 1;
	}
	return (found);
}

/* The first rule before rule i that ties with it; list->n: none. chain: that of its own value, or
   mask + 1. */
static uint32_t
tied_before(const struct router_list *list, const struct group *g, size_t chain, uint32_t i)
{
	size_t without = g->mask + 1;
	uint32_t found = tied_in(list, g, g->heads[without], i);

	if (chain != without)
		return (found != list->n ? found : tied_in(list, g, g->heads[chain], i));
	for (size_t k = 0; k <= g->mask && found == list->n; k++)
		found = tied_in(list, g, g->heads[k], i);
	return (found);
}

static void
find_pairs(const struct router_list *list, struct arena *scratch,
    void (*on_tie)(void *arg, uint32_t rule, uint32_t other), void *arg)
{
	static const uint8_t key[SIPHASH_KEY_BYTES]; /* from the file alone: needs no secret */
	const struct router_field *elected = elect(list);
	struct group g;

	g.mask = bits_ceil_pow2(2 * (uint64_t)list->n) - 1;
	g.heads = arena_zarray(scratch, g.mask + 2, sizeof *g.heads);
	g.next = arena_zarray(scratch, list->n, sizeof *g.next);
	for (uint32_t i = 0; i < list->n; i++) {
		const struct router_rule *r = &list->rules[list->at[i]];
		const struct router_field *f = elected == NULL ? NULL : find_exact(r, elected);
		size_t chain = f == NULL ? g.mask + 1 :
		    siphash(key, f->value.p, f->value.len) & g.mask;
		uint32_t found = list->n;

		if (router_n_matchers(r) > 0)
			found = tied_before(list, &g, chain, i);
		if (found != list->n)
			on_tie(arg, list->at[i], list->at[found]);
		g.next[i] = g.heads[chain];
		g.heads[chain] = i + 1;
	}
}

void
router_find_ties(const struct router_list *list, struct arena *scratch,
    void (*on_tie)(void *arg, uint32_t rule, uint32_t other), void *arg)
{
	struct arena_mark mark = arena_mark(scratch);
	bool has_fields = false;

	if (list->n < 2)
		return;
	find_claimed(list, scratch, on_tie, arg);
	for (uint32_t i = 0; i < list->n; i++)
		has_fields |= list->rules[list->at[i]].n_fields > 0;
	if (has_fields)
		find_pairs(list, scratch, on_tie, arg);
	arena_rewind(scratch, &mark);
}
