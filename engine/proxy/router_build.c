/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/base/check.h"
#include "engine/base/rnd.h"
#include "engine/http/uri.h"
#include "engine/mem/arena.h"
#include "engine/proxy/router_int.h"

/*
 * Two passes. The first finds the distinct hosts and paths and hangs the rules on them, in scratch
 * memory of the size that the worst case needs; the second lays out tables of the exact size.
 * Rules are taken from the last to the first, so that lists, built at their heads, are in file
 * order.
 */

_Static_assert(sizeof(struct router_key) == 64, "a cache line");
_Static_assert(sizeof(struct router_host) == 64, "a cache line");

/* A rule on one of its hosts. */
struct place {
	uint32_t	 rule;
	uint32_t	 next;		/* places[next - 1]; 0: end */
};

/* Beside each host and key in the making. */
struct lists {
	uint32_t	 exact;		/* places[x - 1]; 0: none */
	uint32_t	 prefix;	/* of a host: of its root */
	uint32_t	 pattern;	/* of a host: patterns[x - 1], in order */
	uint64_t	 hash;
};

/* An expression of a host. */
struct pattern {
	const struct regex *regex;
	uint32_t	 head;		/* places[head - 1] */
	uint32_t	 next;
};

struct build {
	struct router	*r;
	struct arena	*out;
	struct arena	*scratch;	/* NULL: freed */
	struct arena_cleanup cleanup;
	const struct router_rule *rules;
	unsigned	 n_rules;
	router_report_fn *report;
	void		*arg;
	struct router_host *hosts;
	struct lists	*host_lists;
	struct router_key *keys;
	struct lists	*key_lists;
	struct place	*places;
	struct pattern	*patterns;
	const struct router_more **more; /* by rule, once it was made */
	uint32_t	 n_places;
	uint32_t	 n_patterns;
	uint32_t	 n_cands;
	uint32_t	*sorted;	/* rules of the list in hand */
	uint32_t	 tie_rule;	/* reported last */
	uint32_t	 tie_other;
	bool		 is_bad;
	bool		 is_out_of_memory;
};

static void
free_scratch(void *arg)
{
	struct build *b = arg;

	arena_free(&b->scratch);
}

static void
complain(struct build *b, const struct router_rule *rule, const struct router_rule *other,
    const char *what)
{
	b->is_bad = true;
	if (b->report != NULL)
		b->report(b->arg, rule, other, what);
}

/* False: no memory. */
static bool
table_make(struct arena *a, size_t n, struct router_table *t)
{
	uint64_t size = bits_ceil_pow2(2 * (uint64_t)n + 1);

	t->slots = arena_zarray(a, size, sizeof(struct router_slot));
	t->mask = size - 1;
	return (t->slots != NULL);
}

static void
table_put(struct router_table *t, uint64_t hash, uint32_t index)
{
	uint64_t i = hash;

	while (t->slots[i & t->mask].at != 0)
		i++;
	t->slots[i & t->mask] = (struct router_slot){(uint32_t)(hash >> 32), index + 1};
}

static uint32_t
add_host(struct build *b, struct slice name, bool is_wildcard)
{
	struct router *r = b->r;
	uint64_t hash = router_hash_host(r, name, is_wildcard);
	uint32_t at = router_find_host(r, name, is_wildcard, hash);

	if (at != ROUTER_NO_HOST)
		return (at);
	at = r->n_hosts++;
	b->hosts[at].len = (uint8_t)name.len;
	router_text_put(b->hosts[at].name, sizeof b->hosts[at].name, name);
	b->hosts[at].is_wildcard = is_wildcard;
	b->host_lists[at].hash = hash;
	table_put(&r->by_host, hash, at);
	if (is_wildcard) {
		bits_set(r->wildcards, name.len);
		r->wildcard_dots |= router_dots_bit(router_count_dots(name));
		r->has_wildcards = true;
	} else {
		r->has_hosts = true;
	}
	return (at);
}

static uint32_t
add_key(struct build *b, uint32_t host, struct slice path, uint64_t path_hash)
{
	struct router *r = b->r;
	uint64_t x = router_hash_key(r, host, path_hash);
	uint32_t at = r->n_keys;

	for (uint64_t i = x; r->by_path.slots[i & r->by_path.mask].at != 0; i++) {
		uint32_t k = r->by_path.slots[i & r->by_path.mask].at - 1;

		if (b->key_lists[k].hash == x && b->keys[k].host == host &&
		    slice_eq(router_key_path(&b->keys[k]), path))
			return (k);
	}
	b->keys[at].host = host;
	b->keys[at].len = (uint32_t)path.len;
	router_text_put(b->keys[at].path, sizeof b->keys[at].path, path);
	b->key_lists[at].hash = x;
	table_put(&r->by_path, x, at);
	r->n_keys++;
	return (at);
}

static void
add_place(struct build *b, uint32_t *head, uint32_t rule)
{
	b->places[b->n_places] = (struct place){rule, *head};
	*head = ++b->n_places;
}

/* Each file compiles its own. */
static bool
is_same_regex(const struct regex *a, const struct regex *b)
{
	return (a == b || slice_eq(regex_pattern(a), regex_pattern(b)));
}

/* An expression stands where the first rule that has it does: rules come from the last to the
   first, so it goes to the front with each. */
static void
add_pattern(struct build *b, uint32_t host, uint32_t rule)
{
	const struct regex *regex = b->rules[rule].regex;
	uint32_t *first = &b->host_lists[host].pattern, *link = first, at;

	while (*link != 0 && !is_same_regex(b->patterns[*link - 1].regex, regex))
		link = &b->patterns[*link - 1].next;
	at = *link;
	if (at != 0) {
		*link = b->patterns[at - 1].next;
	} else {
		at = ++b->n_patterns;
		b->patterns[at - 1].regex = regex;
	}
	b->patterns[at - 1].next = *first;
	*first = at;
	add_place(b, &b->patterns[at - 1].head, rule);
}

/* What a rule matches by, made ready: an exact path or a prefix (len 0: `/`). */
struct matcher {
	struct slice	 path;
	uint64_t	 hash;
	unsigned	 depth;
	bool		 is_exact;
};

static void
place_rule(struct build *b, uint32_t rule, const struct matcher *m, uint32_t host)
{
	uint64_t bit = (uint64_t)1 << (m->depth < ROUTER_DEPTH_MAX ? m->depth : ROUTER_DEPTH_MAX);
	uint32_t key;

	if (b->rules[rule].regex != NULL) {
		add_pattern(b, host, rule);
		return;
	}
	if (m->path.len == 0) {
		add_place(b, &b->host_lists[host].prefix, rule);
		return;
	}
	key = add_key(b, host, m->path, m->hash);
	if (m->is_exact) {
		b->hosts[host].exact_depths |= bit;
		add_place(b, &b->key_lists[key].exact, rule);
	} else {
		b->hosts[host].prefix_depths |= bit;
		b->r->prefix_depths |= bit;
		add_place(b, &b->key_lists[key].prefix, rule);
	}
}

static bool
is_canonical(struct build *b, struct slice path)
{
	struct arena_mark mark = arena_mark(b->scratch);
	struct slice same = SLICE_NONE;
	enum uri_rc rc = uri_canonical(path, b->scratch, &same);

	arena_rewind(b->scratch, &mark);
	return ((rc == URI_OK || rc == URI_ENCODED_SLASH) && same.p == path.p);
}

static bool
read_matcher(struct build *b, const struct router_rule *rule, struct matcher *m)
{
	struct router *r = b->r;
	size_t len;

	m->is_exact = rule->path.len > 0;
	m->path = m->is_exact ? rule->path : rule->prefix;
	m->hash = r->seed;
	m->depth = 0;
	if (m->path.len > 0 && (!is_canonical(b, m->path) || m->path.len > UINT32_MAX)) {
		complain(b, rule, NULL, "it can never match: its path is not canonical");
		return (false);
	}
	/* A slash at the end of a prefix changes nothing. */
	if (!m->is_exact && m->path.len > 0 && m->path.p[m->path.len - 1] == '/')
		m->path.len--;
	for (size_t at = 0; at < m->path.len; at += len + 1, m->depth++)
		m->hash = router_hash_segment(m->hash, m->path.p + at + 1, m->path.len - at - 1,
		    &len);
	if (m->is_exact) {
		if (m->path.len > r->max_exact)
			r->max_exact = m->path.len;
	} else if (m->depth > ROUTER_DEPTH_MAX) {
		complain(b, rule, NULL, "its prefix has more than 63 segments");
		return (false);
	} else if (m->depth > r->max_depth) {
		r->max_depth = m->depth;
	}
	return (true);
}

bool
router_read_host(struct slice text, struct slice *name_r, bool *is_wildcard_r)
{
	struct slice name = text;

	*is_wildcard_r = slice_has_prefix(text, SLICE("*."));
	if (*is_wildcard_r)
		name = slice_skip(name, 2);
	if (name.len > 1 && name.p[name.len - 1] == '.')
		name.len--;
	*name_r = name;
	return (name.len > 0 && name.len <= ROUTER_HOST_MAX && name.p[0] != '.' &&
	    slice_find_byte(name, '*') < 0);
}

static void
add_rule(struct build *b, uint32_t at)
{
	const struct router_rule *rule = &b->rules[at];
	struct matcher m;
	struct slice name;
	bool is_wildcard;

	if (!read_matcher(b, rule, &m))
		return;
	if (rule->n_hosts == 0)
		place_rule(b, at, &m, 0);
	for (unsigned i = 0; i < rule->n_hosts; i++) {
		if (router_read_host(rule->hosts[i], &name, &is_wildcard))
			place_rule(b, at, &m, add_host(b, name, is_wildcard));
		else
			complain(b, rule, NULL, "it can never match: one of its hosts is no name");
	}
}

static void
on_tie(void *arg, uint32_t rule, uint32_t other)
{
	struct build *b = arg;

	/* Rules that share many hosts tie on each of them. */
	if (b->tie_rule == rule && b->tie_other == other)
		return;
	b->tie_rule = rule;
	b->tie_other = other;
	complain(b, &b->rules[rule], &b->rules[other],
	    "they match the same requests, and neither has more matchers");
}

/* Expressions last: what else is asked costs less, and often decides. NULL: nothing is asked, or no
   memory. */
static const struct router_more *
more_of(struct build *b, uint32_t at)
{
	const struct router_rule *rule = &b->rules[at];
	struct router_more *more;
	struct router_field *v;
	unsigned n = 0;

	if (rule->n_fields == 0 || b->more[at] != NULL)
		return (b->more[at]);
	more = arena_znew(b->out, struct router_more);
	v = arena_zarray(b->out, rule->n_fields, sizeof *v);
	if (more == NULL || v == NULL)
		return (NULL);
	for (unsigned pass = 0; pass < 2; pass++) {
		for (unsigned i = 0; i < rule->n_fields; i++) {
			if ((rule->fields[i].kind == ROUTER_FIELD_REGEX) == (pass == 1))
				v[n++] = rule->fields[i];
		}
	}
	b->r->has_regexes |= v[n - 1].kind == ROUTER_FIELD_REGEX;
	more->fields = v;
	more->n_fields = n;
	b->more[at] = more;
	return (more);
}

static void
fill_cand(struct build *b, struct router_cand *c, uint32_t at)
{
	const uint64_t other = (uint64_t)1 << METHOD_OTHER;
	const struct router_rule *rule = &b->rules[at];

	c->route = rule->route;
	c->listeners = rule->listeners == 0 ? UINT64_MAX : rule->listeners;
	c->methods = router_has_methods(rule) ? rule->methods & ~other : UINT64_MAX;
	c->names = rule->method_names;
	c->n_names = rule->n_method_names;
	c->more = more_of(b, at);
	if (rule->n_fields > 0 && c->more == NULL)
		b->is_out_of_memory = true;
	for (unsigned i = 0; i < rule->n_method_names; i++) {
		enum http_method m = method_of(rule->method_names[i]);

		if (m != METHOD_OTHER)
			c->methods |= (uint64_t)1 << m;
	}
}

/* The one rule of a list, when it takes any request; else NULL. */
static const struct router_rule *
only_rule(const struct build *b, uint32_t head)
{
	const struct router_rule *rule;

	if (head == 0 || b->places[head - 1].next != 0)
		return (NULL);
	rule = &b->rules[b->places[head - 1].rule];
	return (rule->listeners == 0 && router_n_matchers(rule) == 0 ? rule : NULL);
}

/* How many candidates the list will have. */
static uint32_t
count_list(const struct build *b, uint32_t head)
{
	uint32_t n = 0;

	if (only_rule(b, head) != NULL)
		return (0);
	for (uint32_t at = head; at != 0; at = b->places[at - 1].next)
		n++;
	return (n);
}

/* Most matchers first, those of as many in the order of the file. */
static void
sort_list(struct build *b, uint32_t head, struct router_list *list)
{
	unsigned most = 0, n;

	for (uint32_t at = head; at != 0; at = b->places[at - 1].next) {
		n = router_n_matchers(&b->rules[b->places[at - 1].rule]);
		most = n > most ? n : most;
	}
	for (unsigned left = most + 1; left-- > 0;) {
		for (uint32_t at = head; at != 0; at = b->places[at - 1].next) {
			uint32_t rule = b->places[at - 1].rule;

			if (router_n_matchers(&b->rules[rule]) == left)
				b->sorted[list->n++] = rule;
		}
	}
}

/* The candidates of a list. */
static router_ref
lay_list(struct build *b, uint32_t head)
{
	struct router_list list = {b->rules, b->sorted, 0};
	const struct router_rule *only = only_rule(b, head);
	struct router_cand *first = &b->r->cands[b->n_cands];

	if (head == 0)
		return (0);
	if (only != NULL)
		return ((router_ref)only->route | ROUTER_ONLY);
	sort_list(b, head, &list);
	router_find_ties(&list, b->scratch, on_tie, b);
	for (uint32_t i = 0; i < list.n; i++)
		fill_cand(b, &b->r->cands[b->n_cands++], b->sorted[i]);
	b->r->cands[b->n_cands - 1].is_last = true;
	return ((router_ref)first);
}

/* Scratch arrays for n places; the tables of the first pass are in scratch too. */
static void
begin(struct build *b, size_t n)
{
	struct arena *s = b->scratch;

	b->hosts = arena_zarray(s, n + 1, sizeof(*b->hosts));
	b->host_lists = arena_zarray(s, n + 1, sizeof(*b->host_lists));
	b->keys = arena_zarray(s, n, sizeof(*b->keys));
	b->key_lists = arena_zarray(s, n, sizeof(*b->key_lists));
	b->places = arena_zarray(s, n, sizeof(*b->places));
	b->sorted = arena_zarray(s, n, sizeof(*b->sorted));
	b->patterns = arena_zarray(s, n, sizeof(*b->patterns));
	b->more = arena_zarray(s, b->n_rules, sizeof(*b->more));
	(void)table_make(s, n + 1, &b->r->by_host);
	(void)table_make(s, n, &b->r->by_path);
	b->r->hosts = b->hosts;
	b->r->keys = b->keys;
	b->r->n_hosts = 1;
	b->tie_rule = b->tie_other = UINT32_MAX;
}

static uint32_t
count_cands(const struct build *b)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < b->r->n_hosts; i++)
		n += count_list(b, b->host_lists[i].prefix);
	for (uint32_t i = 0; i < b->n_patterns; i++)
		n += count_list(b, b->patterns[i].head);
	for (uint32_t i = 0; i < b->r->n_keys; i++)
		n += count_list(b, b->key_lists[i].exact) + count_list(b, b->key_lists[i].prefix);
	return (n);
}

/* The expressions of all hosts. False: no memory. */
static bool
lay_patterns(struct build *b)
{
	struct router *r = b->r;
	uint32_t *of, n = 0;

	if (b->n_patterns == 0)
		return (true);
	r->regexes = arena_zarray(b->out, b->n_patterns, sizeof(*r->regexes));
	r->regex_of = of = arena_zarray(b->out, r->n_hosts, sizeof(*of));
	if (r->regexes == NULL || of == NULL)
		return (false);
	r->has_regexes = true;
	for (uint32_t host = 0; host < r->n_hosts; host++) {
		uint32_t at = b->host_lists[host].pattern;

		of[host] = n;
		r->hosts[host].has_regex = at != 0;
		for (; at != 0; at = b->patterns[at - 1].next)
			r->regexes[n++] = (struct router_regex){ b->patterns[at - 1].regex,
				lay_list(b, b->patterns[at - 1].head),
				b->patterns[at - 1].next == 0 };
	}
	return (true);
}

/* False: no memory. */
static bool
lay_out(struct build *b)
{
	struct router *r = b->r;
	uint32_t n_cands = count_cands(b);

	r->hosts = arena_zlines(b->out, r->n_hosts, sizeof(*r->hosts));
	r->keys = arena_zlines(b->out, r->n_keys, sizeof(*r->keys));
	r->cands = arena_zarray(b->out, n_cands, sizeof(*r->cands));
	if (r->hosts == NULL || r->keys == NULL || r->cands == NULL ||
	    !table_make(b->out, r->n_hosts, &r->by_host) ||
	    !table_make(b->out, r->n_keys, &r->by_path))
		return (false);
	for (uint32_t i = 0; i < r->n_hosts; i++) {
		r->hosts[i] = b->hosts[i];
		r->hosts[i].root = lay_list(b, b->host_lists[i].prefix);
		if (i > 0)
			table_put(&r->by_host, b->host_lists[i].hash, i);
	}
	for (uint32_t i = 0; i < r->n_keys; i++) {
		r->keys[i] = b->keys[i];
		r->keys[i].exact = lay_list(b, b->key_lists[i].exact);
		r->keys[i].prefix = lay_list(b, b->key_lists[i].prefix);
		table_put(&r->by_path, b->key_lists[i].hash, i);
	}
	return (lay_patterns(b) && !b->is_out_of_memory);
}

/* False: too many for the indices. */
static bool
count_places(const struct router_rule *rules, unsigned n, size_t *n_r)
{
	size_t total = 0;

	for (unsigned i = 0; i < n; i++)
		total += rules[i].n_hosts == 0 ? 1 : rules[i].n_hosts;
	*n_r = total;
	return (total < UINT32_MAX / 4);
}

void
router_seed_draw(struct router_seed *s)
{
	rnd_bytes(s->key, sizeof(s->key));
	rnd_bytes(&s->seed, sizeof(s->seed));
}

void
router_seed_of(const struct router *r, struct router_seed *s)
{
	memcpy(s->key, r->key, sizeof(s->key));
	s->seed = r->seed;
}

struct router *
router_build(struct arena *arena, const struct router_rule *rules, unsigned n,
    router_report_fn *report, void *arg)
{
	struct router_seed seed;

	router_seed_draw(&seed);
	return (router_build_seeded(arena, &seed, rules, n, report, arg));
}

struct router *
router_build_seeded(struct arena *arena, const struct router_seed *seed,
    const struct router_rule *rules, unsigned n, router_report_fn *report, void *arg)
{
	struct build *b = arena_znew(arena, struct build);
	struct router *r = arena_zlines(arena, 1, sizeof *r);
	size_t n_places;
	bool ok;

	if (b == NULL || r == NULL || !count_places(rules, n, &n_places))
		return (NULL);
	b->r = r;
	b->out = arena;
	b->rules = rules;
	b->n_rules = n;
	b->report = report;
	b->arg = arg;
	/* Should memory end, the caller's trap resets the arena, and that frees the scratch. */
	arena_on_reset(arena, &b->cleanup, free_scratch, b);
	b->scratch = arena_new("router");
	r->magic = ROUTER_MAGIC;
	memcpy(r->key, seed->key, sizeof(r->key));
	r->seed = seed->seed;
	begin(b, n_places);
	for (uint32_t i = n; i-- > 0;)
		add_rule(b, i);
	ok = lay_out(b) && !b->is_bad;
	arena_free(&b->scratch);
	return (ok ? r : NULL);
}
