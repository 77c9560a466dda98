/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>

#include "engine/base/check.h"
#include "engine/base/clock.h"
#include "engine/base/rnd.h"
#include "engine/base/siphash.h"
#include "engine/base/text.h"
#include "engine/mem/alloc.h"
#include "engine/mem/arena.h"
#include "engine/mem/map.h"
#include "engine/mem/vec.h"
#include "engine/stats/stats.h"

enum {
	TABLE = 1024,		/* chains of a shard's hash table; a power of two */
	/* All values of a set with their lengths: what the reader knows a set by. */
	KEY_BYTES = STATS_LABELS_MAX * (STATS_VALUE_BYTES + 2)
};

struct metric {			/* of one shard */
	struct stats_series	*first;		/* newest first; published with release */
	uint32_t		 n;
	struct stats_series	 other;		/* or the only one, where there are no labels */
	bool			 other_listed;
	int64_t			 folded;	/* sets that were new and came to `other` */
};

struct stats_shard {
	unsigned		 magic;
#define STATS_SHARD_MAGIC	0x57a75a4d
	struct arena		 arena;
	uint8_t			 key[SIPHASH_KEY_BYTES];
	struct metric		 metric[STATS__MAX];
	struct stats_series	*table[TABLE];
};

struct merged {			/* of one metric, the reader's */
	struct map		 sets;		/* key text to struct stats_sum */
	VEC(struct stats_sum *)	 sums;		/* in the order in which they were first seen */
	struct stats_sum	*other;
	int64_t			 folded;	/* sets of shards that came to `other` here */
};

struct stats {
	unsigned		 magic;
#define STATS_MAGIC	0x57a7501b
	struct arena		*arena;
	struct stats_shard	*shards[STATS_SHARDS_MAX];
	unsigned		 n_shards;
	struct merged		 merged[STATS__MAX];
};

#define STATS(ID, type_, scale_, max_, name_, unit_, help_, ...)                                   \
	[STATS_##ID] = {                                                                           \
		.name = SLICE_INIT(name_),                                                         \
		.unit = SLICE_INIT(unit_),                                                         \
		.help = SLICE_INIT(help_),                                                         \
		.type = STATS_TYPE_##type_,                                                        \
		.scale = STATS_SCALE_##scale_,                                                     \
		.n_labels = sizeof((const char *[]){ NULL, ##__VA_ARGS__ }) / sizeof(char *) - 1,  \
		.max = (max_),                                                                     \
		.labels = { __VA_ARGS__ },                                                         \
	},
static const struct stats_info infos[STATS__MAX] = {
#include "engine/stats/stats.def"
};
#undef STATS

static const struct slice other_label = SLICE_INIT("_other");

const struct stats_info *
stats_info(enum stats_id id)
{
	must((unsigned)id < STATS__MAX);
	return (&infos[id]);
}

struct slice
stats_name(const struct stats_info *info, char *buf, size_t n)
{
	bool total = info->type == STATS_TYPE_COUNTER || info->type == STATS_TYPE_TOTAL;
	struct text t;

	text_init(&t, buf, n);
	text_put(&t, info->name);
	if (total)
		text_puts(&t, "_total");
	return (text_slice(&t));
}

struct stats *
stats_new(void)
{
	struct stats *st = xcalloc(1, sizeof *st);

	st->magic = STATS_MAGIC;
	st->arena = arena_new("metrics");
	for (unsigned i = 0; i < STATS__MAX; i++)
		map_init(&st->merged[i].sets, st->arena);
	return (st);
}

void
stats_free(struct stats **stp)
{
	struct stats *st;

	TAKE_OBJ(st, stp, STATS_MAGIC);
	for (unsigned i = 0; i < st->n_shards; i++) {
		arena_fini(&st->shards[i]->arena);
		st->shards[i]->magic = 0;
		xfree(st->shards[i]);
	}
	for (unsigned i = 0; i < STATS__MAX; i++)
		vec_fini(&st->merged[i].sums);
	arena_free(&st->arena);
	st->magic = 0;
	xfree(st);
}

/* ---- the writer ---- */

/* The reader comes by the list, so the series must be whole before it is on it. */
static void
publish(struct metric *m, struct stats_series *s)
{
	s->next = m->first;
	__atomic_store_n(&m->first, s, __ATOMIC_RELEASE);
}

struct stats_shard *
stats_shard_new(struct stats *st)
{
	struct stats_shard *sh;

	CHECK_OBJ(st, STATS_MAGIC);
	must(st->n_shards < STATS_SHARDS_MAX);
	sh = xcalloc(1, sizeof *sh);
	sh->magic = STATS_SHARD_MAGIC;
	arena_init(&sh->arena, NULL, 0, ARENA_TRY);
	rnd_bytes(sh->key, sizeof sh->key);
	for (unsigned i = 0; i < STATS__MAX; i++) {
		struct metric *m = &sh->metric[i];

		if (infos[i].type == STATS_TYPE_HISTOGRAM &&
		    (m->other.hist = arena_znew(&sh->arena, struct hist)) == NULL)
			mem_failed(sizeof(struct hist));
		for (unsigned l = 0; l < infos[i].n_labels; l++)
			m->other.labels[l] = other_label;
		m->other.created_us = clock_wall_us();
		if (infos[i].n_labels == 0) {
			m->other_listed = true;
			publish(m, &m->other);
		}
	}
	st->shards[st->n_shards++] = sh;
	return (sh);
}

struct stats_series *
stats_plain(struct stats_shard *sh, enum stats_id id)
{
	if (sh == NULL)
		return (NULL);
	CHECK_OBJ(sh, STATS_SHARD_MAGIC);
	must(infos[id].n_labels == 0);
	return (&sh->metric[id].other);
}

static struct slice
cut(struct slice s)
{
	return (slice_sub(s, 0, STATS_VALUE_BYTES));
}

static struct stats_series *
fold(struct metric *m)
{
	__atomic_store_n(&m->folded, m->folded + 1, __ATOMIC_RELAXED);
	if (!m->other_listed) {
		m->other_listed = true;
		publish(m, &m->other);
	}
	return (&m->other);
}

/* NULL: no memory. What was taken by then stays in the arena; it is little, and rare. */
static struct stats_series *
make(struct stats_shard *sh, const struct stats_info *info, const struct slice *labels)
{
	struct stats_series *s = arena_znew(&sh->arena, struct stats_series);

	if (s == NULL)
		return (NULL);
	if (info->type == STATS_TYPE_HISTOGRAM &&
	    (s->hist = arena_znew(&sh->arena, struct hist)) == NULL)
		return (NULL);
	for (unsigned i = 0; i < info->n_labels; i++) {
		s->labels[i] = arena_dup(&sh->arena, cut(labels[i]));
		if (labels[i].len > 0 && s->labels[i].p == NULL)
			return (NULL);
	}
	s->id = (uint8_t)(info - infos);
	s->created_us = clock_wall_us();
	return (s);
}

static bool
has_labels(const struct stats_series *s, const struct slice *labels, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (!slice_eq(s->labels[i], cut(labels[i])))
			return (false);
	}
	return (true);
}

struct stats_series *
stats_series(struct stats_shard *sh, enum stats_id id, const struct slice *labels)
{
	const struct stats_info *info = stats_info(id);
	struct stats_series *s, **bucket;
	struct metric *m;
	uint64_t hash = id;

	if (sh == NULL)
		return (NULL);
	CHECK_OBJ(sh, STATS_SHARD_MAGIC);
	m = &sh->metric[id];
	for (unsigned i = 0; i < info->n_labels; i++) {
		struct slice v = cut(labels[i]);

		hash = (hash << 7 | hash >> 57) ^ siphash(sh->key, v.p, v.len);
	}
	bucket = &sh->table[hash % TABLE];
	for (s = *bucket; s != NULL; s = s->chain) {
		if (s->hash == hash && s->id == id && has_labels(s, labels, info->n_labels))
			return (s);
	}
	if (m->n >= info->max || (s = make(sh, info, labels)) == NULL)
		return (fold(m));
	s->hash = hash;
	s->chain = *bucket;
	*bucket = s;
	m->n++;
	publish(m, s);
	return (s);
}

/* ---- the reader ---- */

static struct slice
key_of(const struct stats_series *s, unsigned n, char *buf)
{
	size_t at = 0;

	for (unsigned i = 0; i < n; i++) {
		buf[at++] = (char)(s->labels[i].len >> 8);
		buf[at++] = (char)(s->labels[i].len & 0xff);
		if (s->labels[i].len > 0)
			memcpy(buf + at, s->labels[i].p, s->labels[i].len);
		at += s->labels[i].len;
	}
	return (slice_of(buf, at));
}

static struct stats_sum *
make_sum(struct stats *st, enum stats_id id, const struct slice *labels, uint64_t created_us)
{
	struct stats_sum *sum = arena_znew(st->arena, struct stats_sum);

	sum->magic = STATS_SUM_MAGIC;
	sum->created_us = created_us;
	for (unsigned i = 0; i < infos[id].n_labels; i++)
		sum->labels[i] = arena_dup(st->arena, labels[i]);
	if (infos[id].type == STATS_TYPE_HISTOGRAM)
		sum->hist = arena_znew(st->arena, struct hist);
	return (sum);
}

/*
 * A set that has been told apart once stays so, and the bound holds for the sum of all workers as
 * well: no series ever moves to "_other" or back.
 */
static struct stats_sum *
sum_of(struct stats *st, enum stats_id id, struct stats_series *s, bool is_other)
{
	struct merged *mg = &st->merged[id];
	char buf[KEY_BYTES];
	struct slice key = key_of(s, infos[id].n_labels, buf);
	struct stats_sum *sum;

	if (!is_other && (sum = map_get(&mg->sets, key)) != NULL)
		return (sum);
	if (!is_other && map_count(&mg->sets) < infos[id].max) {
		/* Room first: a jump to a trap, wherever it is, leaves all as it was. */
		vec_reserve(&mg->sums, mg->sums.n + 1);
		sum = make_sum(st, id, s->labels, s->created_us);
		(void)map_put(&mg->sets, arena_dup(st->arena, key), sum);
		vec_push(&mg->sums, sum);
		return (sum);
	}
	if (!is_other && !s->folded) {
		s->folded = true;
		mg->folded++;
	}
	if (mg->other == NULL) {
		vec_reserve(&mg->sums, mg->sums.n + 1);
		mg->other = make_sum(st, id, st->shards[0]->metric[id].other.labels, s->created_us);
		vec_push(&mg->sums, mg->other);
	}
	return (mg->other);
}

static void
add_up(struct stats *st, enum stats_id id)
{
	bool has_hist = infos[id].type == STATS_TYPE_HISTOGRAM;

	for (unsigned i = 0; i < st->n_shards; i++) {
		struct metric *m = &st->shards[i]->metric[id];
		struct stats_series *s = __atomic_load_n(&m->first, __ATOMIC_ACQUIRE);

		for (; s != NULL; s = s->next) {
			struct stats_sum *sum = sum_of(st, id, s, s == &m->other);

			sum->value += __atomic_load_n(&s->value, __ATOMIC_RELAXED);
			if (has_hist)
				hist_merge(sum->hist, s->hist);
		}
	}
}

/* What no series counts: a worker that has no room for a set has none to count that in either. */
static void
add_folded(struct stats *st)
{
	struct stats_series row = { .id = STATS_FOLDED,
		.created_us = st->shards[0]->metric[STATS_FOLDED].other.created_us };
	char name[STATS_VALUE_BYTES];

	for (unsigned id = 0; id < STATS__MAX; id++) {
		int64_t folded = st->merged[id].folded;

		if (infos[id].n_labels == 0 || id == STATS_FOLDED)
			continue;
		for (unsigned i = 0; i < st->n_shards; i++)
			folded += __atomic_load_n(&st->shards[i]->metric[id].folded,
			    __ATOMIC_RELAXED);
		row.labels[0] = stats_name(&infos[id], name, sizeof name);
		sum_of(st, STATS_FOLDED, &row, false)->value = folded;
	}
}

struct stats_sums
stats_collect(struct stats *st, enum stats_id id)
{
	struct mem_trap trap;
	struct merged *mg;

	CHECK_OBJ(st, STATS_MAGIC);
	must((unsigned)id < STATS__MAX);
	mg = &st->merged[id];
	for (size_t i = 0; i < mg->sums.n; i++) {
		struct stats_sum *sum = mg->sums.v[i];

		sum->value = 0;
		if (sum->hist != NULL)
			memset(sum->hist, 0, sizeof *sum->hist);
	}
	/* A reader without memory fails, not the process. */
	if (MEM_TRAP_ENTER(&trap))
		return ((struct stats_sums){ mg->sums.v, (unsigned)mg->sums.n, false });
	add_up(st, id);
	if (id == STATS_FOLDED && st->n_shards > 0)
		add_folded(st);
	mem_trap_leave(&trap);
	return ((struct stats_sums){ mg->sums.v, (unsigned)mg->sums.n, true });
}

int64_t
stats_value(struct stats *st, enum stats_id id, const struct slice *labels)
{
	struct stats_sums sums = stats_collect(st, id);
	int64_t total = 0;

	for (unsigned i = 0; i < sums.n; i++) {
		bool same = true;

		for (unsigned l = 0; l < infos[id].n_labels && same; l++)
			same = labels[l].p == NULL || slice_eq(labels[l], sums.v[i]->labels[l]);
		if (same)
			total += sums.v[i]->value;
	}
	return (total);
}
