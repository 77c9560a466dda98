/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>

#include "engine/base/check.h"
#include "engine/mem/arena.h"
#include "engine/proxy/router_files.h"
#include "engine/proxy/router_int.h"

enum {
	HOSTS_MIN = 128,	/* fewer are one router: its tables are rebuilt soon enough */
	HOSTS_A_SHARD = 16,
	SHARDS_MAX = 2048,	/* their heads should fit into a processor's second cache */
	SAMPLE_BITS = 65536,	/* of the hashes of hosts, to see how many there are */
	GROWTH = 4		/* then the number of shards is thought of again */
};

/* A rule of a file on one of its hosts. */
struct place {
	const struct route_file	*file;
	uint32_t		 rule;
	uint32_t		 host;
};

struct shard {
	unsigned		 magic;
#define ROUTER_SHARD_MAGIC	0x3b0c7e52
	uint32_t		 refs;		/* generations */
	struct arena		*arena;
	struct router		*router;
	struct place		*v;		/* in the order of the files */
	uint32_t		 n;
};

/* Behind router.shards; what lookups need of it is in router_int.h. */
struct set {
	struct router_shards	 pub;
	struct shard		**shards;	/* beside pub.v; the last: rules without a host */
	uint32_t		 n;		/* all */
	uint32_t		 n_places;	/* of exact hosts, when the number was chosen */
	struct arena		*making;	/* of a shard that is not there yet */
	struct arena_cleanup	 cleanup;
};

struct work {
	struct arena		*arena;
	struct arena		*scratch;	/* NULL: freed */
	struct arena_cleanup	 cleanup;
	const struct router_files *in;
	struct router_seed	 seed;
	struct set		*set;
	const struct set	*before;	/* NULL: all is made */
	unsigned		 n_laid;
	bool			 is_bad;
};

/* ---- shards ---- */

static void
unref(struct shard *s)
{
	struct arena *arena = s->arena;

	CHECK_OBJ(s, ROUTER_SHARD_MAGIC);
	must(s->refs > 0);
	if (--s->refs == 0)
		arena_free(&arena);
}

static void
on_reset(void *arg)
{
	struct set *set = arg;

	for (uint32_t i = 0; i < set->n; i++) {
		if (set->shards[i] != NULL)
			unref(set->shards[i]);
	}
	if (set->making != NULL)
		arena_free(&set->making);
}

/* Places of one rule are one rule again, with those of its hosts that the shard has. */
static uint32_t
gather(const struct work *w, const struct place *v, uint32_t n, struct router_rule *rules)
{
	struct slice *hosts = arena_zarray(w->scratch, n, sizeof *hosts);
	uint32_t n_rules = 0;

	for (uint32_t i = 0; i < n; i++) {
		const struct router_rule *from = &v[i].file->rules[v[i].rule];
		struct router_rule *rule = n_rules == 0 ? NULL : &rules[n_rules - 1];

		if (rule == NULL || v[i].file != v[i - 1].file || v[i].rule != v[i - 1].rule) {
			rule = &rules[n_rules++];
			*rule = *from;
			rule->hosts = &hosts[i];
			rule->n_hosts = 0;
		}
		if (from->n_hosts > 0)
			hosts[i] = from->hosts[v[i].host];
		rule->n_hosts += from->n_hosts > 0;
	}
	return (n_rules);
}

/* False: there were mistakes, which have been told. */
static void
make_shard(struct work *w, uint32_t at, const struct place *v, uint32_t n)
{
	struct arena_mark mark = arena_mark(w->scratch);
	struct router_rule *rules = arena_zarray(w->scratch, n, sizeof *rules);
	uint32_t n_rules = gather(w, v, n, rules);
	struct shard *s;

	w->set->making = arena_new("router shard");
	s = arena_znew(w->set->making, struct shard);
	s->magic = ROUTER_SHARD_MAGIC;
	s->refs = 1;
	s->arena = w->set->making;
	s->n = n;
	s->v = arena_zarray(s->arena, n, sizeof *s->v);
	if (n > 0)
		memcpy(s->v, v, n * sizeof *s->v);
	s->router = router_build_seeded(s->arena, &w->seed, rules, n_rules, w->in->report,
	    w->in->arg);
	w->is_bad |= s->router == NULL;
	w->n_laid += n_rules;
	w->set->shards[at] = s;
	w->set->making = NULL;
	arena_rewind(w->scratch, &mark);
}

/* ---- which shard ---- */

/* Of a rule's host, or of a rule without any. */
static uint32_t
shard_of(const struct work *w, const struct router_rule *rule, uint32_t host)
{
	struct slice name;
	bool is_wildcard;

	if (rule->n_hosts == 0 || !router_read_host(rule->hosts[host], &name, &is_wildcard) ||
	    is_wildcard)
		return (w->set->n - 1);
	return ((uint32_t)(siphash_fold(w->seed.key, name.p, name.len) >> w->set->pub.shift));
}

static uint32_t
places_of(const struct router_rule *rule)
{
	return (rule->n_hosts == 0 ? 1 : rule->n_hosts);
}

/* Some files' places by shard: those of shard i are v[first[i]] up to v[first[i + 1]]. */
struct sorted {
	struct place	*v;
	uint32_t	*first;
};

static void
each_place(struct work *w, struct route_file *const *files, unsigned n_files,
    void (*fn)(struct sorted *, uint32_t shard, const struct place *), struct sorted *arg)
{
	for (unsigned i = 0; i < n_files; i++) {
		for (uint32_t k = 0; k < files[i]->n_rules; k++) {
			const struct router_rule *rule = &files[i]->rules[k];

			for (uint32_t h = 0; h < places_of(rule); h++) {
				struct place p = { files[i], k, h };

				fn(arg, shard_of(w, rule, h), &p);
			}
		}
	}
}

static void
count_place(struct sorted *s, uint32_t shard, const struct place *p)
{
	(void)p;
	s->first[shard + 2]++;
}

static void
put_place(struct sorted *s, uint32_t shard, const struct place *p)
{
	s->v[s->first[shard + 1]++] = *p;
}

static void
touch(struct sorted *s, uint32_t shard, const struct place *p)
{
	(void)p;
	s->first[shard] = 1;
}

static struct sorted
sort_places(struct work *w, struct route_file *const *files, unsigned n)
{
	struct sorted s = { .first = arena_zarray(w->scratch, w->set->n + 2, sizeof *s.first) };

	each_place(w, files, n, count_place, &s);
	for (uint32_t i = 1; i < w->set->n + 2; i++)
		s.first[i] += s.first[i - 1];
	s.v = arena_zarray(w->scratch, s.first[w->set->n + 1], sizeof *s.v);
	each_place(w, files, n, put_place, &s);
	return (s);
}

/* ---- all of it ---- */

static void
make_all(struct work *w)
{
	struct sorted s = sort_places(w, w->in->all, w->in->n_all);

	for (uint32_t i = 0; i < w->set->n; i++) {
		uint32_t n = s.first[i + 1] - s.first[i];

		/* Hosts that are not there need nothing; who has none is always asked. */
		if (n > 0 || i == w->set->n - 1)
			make_shard(w, i, s.v + s.first[i], n);
	}
}

/* What a shard had less what has gone, and what is fresh, in the order of the files. */
static void
merge_shard(struct work *w, uint32_t at, const struct place *fresh, uint32_t n_fresh)
{
	const struct shard *old = w->before->shards[at];
	uint32_t n_old = old == NULL ? 0 : old->n, n = 0, k = 0;
	struct place *v = arena_zarray(w->scratch, n_old + n_fresh, sizeof *v);

	for (uint32_t i = 0; i < n_old; i++) {
		if (old->v[i].file->order == ROUTE_FILE_GONE)
			continue;
		while (k < n_fresh && fresh[k].file->order < old->v[i].file->order)
			v[n++] = fresh[k++];
		v[n++] = old->v[i];
	}
	while (k < n_fresh)
		v[n++] = fresh[k++];
	if (n > 0 || at == w->set->n - 1)
		make_shard(w, at, v, n);
}

static void
make_changed(struct work *w)
{
	struct sorted fresh = sort_places(w, w->in->fresh, w->in->n_fresh);
	struct sorted touched = { .first = arena_zarray(w->scratch, w->set->n,
	    sizeof *touched.first) };

	each_place(w, w->in->gone, w->in->n_gone, touch, &touched);
	for (uint32_t i = 0; i < w->set->n; i++) {
		uint32_t n = fresh.first[i + 1] - fresh.first[i];
		struct arena_mark mark = arena_mark(w->scratch);

		if (n > 0 || touched.first[i] != 0) {
			merge_shard(w, i, fresh.v + fresh.first[i], n);
		} else if (w->before->shards[i] != NULL) {
			w->set->shards[i] = w->before->shards[i];
			w->set->shards[i]->refs++;
		}
		arena_rewind(w->scratch, &mark);
	}
}

/* Of a shard without hosts: none is found. */
static struct router_slot nobody;

/* The head: the rules without an exact host, and the bounds of all. */
static struct router *
make_head(struct work *w)
{
	struct router *r = arena_zlines(w->arena, 1, sizeof *r);
	struct set *set = w->set;

	*r = *set->shards[set->n - 1]->router;
	r->shards = &set->pub;
	r->has_hosts = true;
	for (uint32_t i = 0; i + 1 < set->n; i++) {
		struct router *s = &set->pub.v[i];

		if (set->shards[i] == NULL) {
			s->by_host.slots = &nobody;
			continue;
		}
		*s = *set->shards[i]->router;
		r->max_depth = s->max_depth > r->max_depth ? s->max_depth : r->max_depth;
		r->has_regexes |= s->has_regexes;
		r->max_exact = s->max_exact > r->max_exact ? s->max_exact : r->max_exact;
	}
	return (r);
}

static void
make_set(struct work *w, unsigned bits)
{
	struct set *set = arena_znew(w->arena, struct set);

	set->pub.shift = 64 - bits;
	set->pub.v = arena_zlines(w->arena, (size_t)1 << bits, sizeof(struct router));
	set->shards = arena_zarray(w->arena, ((size_t)1 << bits) + 1, sizeof(struct shard *));
	set->n = (1u << bits) + 1;
	arena_on_reset(w->arena, &set->cleanup, on_reset, set);
	w->set = set;
}

static uint32_t
count_places(const struct router_files *in)
{
	uint32_t n = 0;

	for (unsigned i = 0; i < in->n_all; i++) {
		for (uint32_t k = 0; k < in->all[i]->n_rules; k++)
			n += in->all[i]->rules[k].n_hosts;
	}
	return (n);
}

/* About how many hosts are named; more than fit the sample count as that many. */
static unsigned
sample_hosts(const struct work *w)
{
	uint64_t *seen = arena_zarray(w->scratch, BITS_WORDS(SAMPLE_BITS), sizeof *seen);
	unsigned n = 0;

	for (unsigned i = 0; i < w->in->n_all; i++) {
		for (uint32_t k = 0; k < w->in->all[i]->n_rules; k++) {
			const struct router_rule *rule = &w->in->all[i]->rules[k];

			for (unsigned h = 0; h < rule->n_hosts; h++) {
				uint64_t x = siphash_fold(w->seed.key, rule->hosts[h].p,
				    rule->hosts[h].len) % SAMPLE_BITS;

				n += !bits_test(seen, x);
				bits_set(seen, x);
			}
		}
	}
	return (n);
}

static unsigned
bits_for(unsigned hosts)
{
	unsigned want = hosts / HOSTS_A_SHARD;

	return (bits_highest(bits_ceil_pow2(want < 2 ? 2 : want < SHARDS_MAX ? want : SHARDS_MAX)));
}

static struct router *
make_one(struct work *w)
{
	const struct router_files *in = w->in;
	struct router_rule *rules;
	unsigned n = 0;

	for (unsigned i = 0; i < in->n_all; i++)
		n += in->all[i]->n_rules;
	rules = arena_zarray(w->scratch, n, sizeof *rules);
	n = 0;
	for (unsigned i = 0; i < in->n_all; i++) {
		const struct route_file *f = in->all[i];

		if (f->n_rules > 0)
			memcpy(rules + n, f->rules, f->n_rules * sizeof *rules);
		n += f->n_rules;
	}
	w->n_laid = n;
	return (router_build_seeded(w->arena, &w->seed, rules, n, in->report, in->arg));
}

static const struct set *
set_before(const struct router_files *in, uint32_t n_places)
{
	const struct set *set;

	if (in->before == NULL || in->before->shards == NULL)
		return (NULL);
	set = (const struct set *)in->before->shards;
	return (n_places > GROWTH * set->n_places || set->n_places > GROWTH * n_places ? NULL :
	    set);
}

static void
free_scratch(void *arg)
{
	struct work *w = arg;

	arena_free(&w->scratch);
}

static void
build(struct work *w, uint32_t n_places)
{
	const struct router_files *in = w->in;
	unsigned hosts;

	w->before = set_before(in, n_places);
	if (w->before != NULL) {
		router_seed_of(in->before, &w->seed);
		make_set(w, 64 - w->before->pub.shift);
		w->set->n_places = w->before->n_places;
		make_changed(w);
		return;
	}
	router_seed_draw(&w->seed);
	hosts = sample_hosts(w);
	if (hosts < HOSTS_MIN)
		return;
	make_set(w, bits_for(hosts));
	w->set->n_places = n_places;
	make_all(w);
}

struct router *
router_build_files(struct arena *arena, const struct router_files *in, unsigned *n_laid_r)
{
	struct work *w = arena_znew(arena, struct work);
	struct router *r = NULL;

	/* Should memory end, the caller's trap resets the arena, and that frees the scratch. */
	arena_on_reset(arena, &w->cleanup, free_scratch, w);
	w->scratch = arena_new("router files");
	w->arena = arena;
	w->in = in;
	for (unsigned i = 0; i < in->n_gone; i++)
		in->gone[i]->order = ROUTE_FILE_GONE;
	for (unsigned i = 0; i < in->n_all; i++)
		in->all[i]->order = i;
	build(w, count_places(in));
	if (w->set == NULL)
		r = make_one(w);
	else if (!w->is_bad)
		r = make_head(w);
	*n_laid_r = w->n_laid;
	arena_free(&w->scratch);
	return (r);
}
