/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_STATS_STATS_H
#define WEIR_STATS_STATS_H

/*
 * Counters, gauges and histograms (stats.def). Each worker writes its own shard, with no lock and
 * no shared cache line; the reader (main thread) adds the shards up. Values are relaxed atomics:
 * a reader may see one counter of a request and not yet another.
 *
 * A metric with labels has one series for each set of label values that was seen. Series are made
 * on first use, never freed before the shard, and bounded by stats.def; above the bound all share
 * the series "_other", and STATS_FOLDED counts them. What clients choose must not become a label
 * value.
 */
#include <stdbool.h>
#include <stdint.h>

#include "engine/base/slice.h"
#include "engine/stats/hist.h"

enum stats_id {
#define STATS(ID, ...) STATS_##ID,
#include "engine/stats/stats.def"
#undef STATS
	STATS__MAX
};

enum stats_type {
	STATS_TYPE_COUNTER,
	STATS_TYPE_TOTAL,
	STATS_TYPE_GAUGE,
	STATS_TYPE_HISTOGRAM
};

enum stats_scale {
	STATS_SCALE_ONE,
	STATS_SCALE_MICRO
};

enum {
	STATS_LABELS_MAX = 5,
	STATS_VALUE_BYTES = 256,	/* a label's value is cut there */
	STATS_SHARDS_MAX = 260		/* WORKER_MAX, the main thread's, the log writer's */
};

/* A row of stats.def. */
struct stats_info {
	struct slice	 name;
	struct slice	 unit;
	struct slice	 help;
	uint8_t		 type;		/* enum stats_type */
	uint8_t		 scale;		/* enum stats_scale */
	uint8_t		 n_labels;
	uint32_t	 max;
	const char	*labels[STATS_LABELS_MAX];
};

/* One set of label values in one shard. No magic: tiny and hot. */
struct stats_series {
	int64_t			 value;		/* counters and gauges */
	struct hist		*hist;		/* histograms, else NULL */
	struct stats_series	*next;		/* of the metric; the reader's way in */
	struct stats_series	*chain;		/* of the hash table; the writer's */
	uint64_t		 hash;
	uint64_t		 created_us;	/* wall time */
	uint8_t			 id;		/* enum stats_id */
	bool			 folded;	/* the reader's: it is part of "_other" */
	struct slice		 labels[STATS_LABELS_MAX];
};

struct stats;
struct stats_shard;

/* Never NULL for a value of the enum. Any thread. */
const struct stats_info *stats_info(enum stats_id);
/* What its samples are called (a histogram's with a suffix); cut at n bytes. Any thread. */
struct slice stats_name(const struct stats_info *, char *buf, size_t n);

/* ---- the process: main thread ---- */

struct stats	*stats_new(void);
/* When nobody writes any more. */
void		 stats_free(struct stats **);
/* A shard, for one worker's `stats`; made before its thread runs, freed with the whole. */
struct stats_shard *stats_shard_new(struct stats *);

/* ---- one writer a shard ---- */

/*
 * The series of these label values (info->n_labels of them), for as long as the shard lives.
 * Slow (a hash over the texts), so keep what it returns. No memory, or the bound: "_other".
 * NULL only for a NULL shard; the functions below take that.
 */
struct stats_series *stats_series(struct stats_shard *, enum stats_id, const struct slice *labels);
/* Metrics without labels. */
struct stats_series *stats_plain(struct stats_shard *, enum stats_id);

static inline void
stats_add(struct stats_series *s, int64_t n)
{
	if (s != NULL)
		__atomic_store_n(&s->value, __atomic_load_n(&s->value, __ATOMIC_RELAXED) + n,
		    __ATOMIC_RELAXED);
}

static inline void
stats_set(struct stats_series *s, int64_t v)
{
	if (s != NULL)
		__atomic_store_n(&s->value, v, __ATOMIC_RELAXED);
}

static inline void
stats_observe(struct stats_series *s, uint64_t v)
{
	if (s != NULL)
		hist_add(s->hist, v);
}

/* ---- the reader: main thread ---- */

/* The sum over all shards of one set of label values. */
struct stats_sum {
	unsigned	 magic;
#define STATS_SUM_MAGIC	0x57a75011
	int64_t		 value;
	struct hist	*hist;
	uint64_t	 created_us;
	struct slice	 labels[STATS_LABELS_MAX];
};

struct stats_sums {
	struct stats_sum *const *v;	/* in the order in which they were first seen */
	unsigned		 n;
	bool			 is_whole;	/* false: memory ended before all were added up */
};

/* Sums of one metric as of now; valid until the next call for the same metric. */
struct stats_sums stats_collect(struct stats *, enum stats_id);
/* Of one set; 0 when it was not seen. A label that is NULL matches every value: all are summed.
   Less than there is where memory ends. */
int64_t		 stats_value(struct stats *, enum stats_id, const struct slice *labels);

#endif
