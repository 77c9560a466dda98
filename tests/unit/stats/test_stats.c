/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <pthread.h>

#include "engine/base/clock.h"
#include "engine/mem/alloc.h"
#include "engine/stats/prom.h"
#include "engine/stats/stats.h"
#include "engine/stats/stats_process.h"

#define L(...)	((const struct slice[]){ __VA_ARGS__ })

/* ---- the histogram ---- */

static void
every_value_is_in_its_bucket(void **state)
{
	const uint64_t from[] = { 0, 1, 9, 10, 11, 19, 20, 21, 99, 100, 101, 999, 1000, 1001,
		99999, 100000, 100001, 999999999, 1000000000 };

	(void)state;
	for (uint64_t v = 0; v < 200000; v++) {
		unsigned i = hist_index(v);

		assert_true(v <= hist_upper(i));
		assert_true(i == 0 || v > hist_upper(i - 1));
	}
	for (unsigned n = 0; n < array_len(from); n++) {
		unsigned i = hist_index(from[n]);

		assert_true(from[n] <= hist_upper(i));
		assert_true(i == 0 || from[n] > hist_upper(i - 1));
	}
	assert_int_equal(hist_index(1000000000), HIST_LAST - 1);
	assert_int_equal(hist_index(1000000001), HIST_LAST);
	assert_int_equal(hist_index(UINT64_MAX), HIST_LAST);
}

static void
bounds_grow(void **state)
{
	(void)state;
	for (unsigned i = 1; i < HIST_BUCKETS; i++)
		assert_true(hist_upper(i) > hist_upper(i - 1));
}

static void
counts_below_a_bound(void **state)
{
	struct hist h = { 0 };

	(void)state;
	for (uint64_t v = 1; v <= 1000; v++)
		hist_add(&h, v);
	assert_int_equal(hist_count_upto(&h, 1), 1);
	assert_int_equal(hist_count_upto(&h, 50), 50);
	assert_int_equal(hist_count_upto(&h, 200), 200);
	assert_int_equal(hist_count_upto(&h, 1000), 1000);
	assert_int_equal(hist_count(&h), 1000);
	assert_int_equal(h.sum, 500500);
}

/* ---- series ---- */

static void
shards_add_up(void **state)
{
	struct stats *st = stats_new();
	struct stats_shard *a = stats_shard_new(st), *b = stats_shard_new(st);
	const struct slice *web = L(SLICE("web")), *api = L(SLICE("api"));
	struct stats_sums sums;

	(void)state;
	stats_add(stats_series(a, STATS_CONNECTIONS, web), 3);
	stats_add(stats_series(b, STATS_CONNECTIONS, web), 4);
	stats_add(stats_series(b, STATS_CONNECTIONS, web), -2);
	stats_add(stats_series(b, STATS_CONNECTIONS, api), 7);
	sums = stats_collect(st, STATS_CONNECTIONS);
	assert_int_equal(sums.n, 2);
	assert_int_equal(stats_value(st, STATS_CONNECTIONS, web), 5);
	assert_int_equal(stats_value(st, STATS_CONNECTIONS, api), 7);
	assert_int_equal(stats_value(st, STATS_CONNECTIONS, L(SLICE_NONE)), 12);
	assert_int_equal(stats_value(st, STATS_CONNECTIONS, L(SLICE("none"))), 0);
	/* Asked again, the sums are the same, and the same objects. */
	assert_ptr_equal(stats_collect(st, STATS_CONNECTIONS).v[0], sums.v[0]);
	assert_int_equal(stats_value(st, STATS_CONNECTIONS, L(SLICE_NONE)), 12);
	stats_free(&st);
	assert_null(st);
}

static void
a_set_is_found_again_without_memory(void **state)
{
	struct stats *st = stats_new();
	struct stats_shard *sh = stats_shard_new(st);
	char route[] = "users", upstream[] = "u";
	const struct slice labels[] = { SLICE("web"), slice_str(route), slice_str(upstream),
		SLICE("200"), SLICE("") };
	struct stats_series *s = stats_series(sh, STATS_REQUESTS, labels);
	uint64_t before = mem_alloc_count();

	(void)state;
	for (unsigned i = 0; i < 1000; i++)
		assert_ptr_equal(stats_series(sh, STATS_REQUESTS, labels), s);
	assert_int_equal(mem_alloc_count(), before);
	/* The text was copied. */
	route[0] = 'U';
	assert_ptr_not_equal(stats_series(sh, STATS_REQUESTS, labels), s);
	assert_true(slice_eq(s->labels[1], SLICE("users")));
	stats_free(&st);
}

static void
values_do_not_run_together(void **state)
{
	struct stats *st = stats_new();
	struct stats_shard *sh = stats_shard_new(st);

	(void)state;
	stats_add(stats_series(sh, STATS_REQUEST_BYTES, L(SLICE("ab"), SLICE("c"))), 1);
	stats_add(stats_series(sh, STATS_REQUEST_BYTES, L(SLICE("a"), SLICE("bc"))), 1);
	stats_add(stats_series(sh, STATS_REQUEST_BYTES, L(SLICE("abc"), SLICE(""))), 1);
	/* The same values under another metric. */
	stats_add(stats_series(sh, STATS_RESPONSE_BYTES, L(SLICE("ab"), SLICE("c"))), 1);
	assert_int_equal(stats_collect(st, STATS_REQUEST_BYTES).n, 3);
	assert_int_equal(stats_collect(st, STATS_RESPONSE_BYTES).n, 1);
	stats_free(&st);
}

static struct stats_series *
numbered(struct stats_shard *sh, unsigned i)
{
	char buf[32];
	int n = snprintf(buf, sizeof buf, "listener-%u", i);

	return (stats_series(sh, STATS_CONNECTIONS_OPENED, L(slice_of(buf, (size_t)n))));
}

static void
sets_are_bounded(void **state)
{
	struct stats *st = stats_new();
	struct stats_shard *a = stats_shard_new(st), *b = stats_shard_new(st);
	uint32_t max = stats_info(STATS_CONNECTIONS_OPENED)->max;
	struct stats_sums sums;

	(void)state;
	for (unsigned i = 0; i < max + 50; i++)
		stats_add(numbered(a, i), 1);
	assert_int_equal(stats_value(st, STATS_CONNECTIONS_OPENED, L(SLICE("_other"))), 50);
	assert_int_equal(stats_value(st, STATS_FOLDED, L(SLICE("weir_connections_total"))), 50);
	/* Another worker's sets count against the same bound. */
	for (unsigned i = max; i < max + 10; i++)
		stats_add(numbered(b, i), 1);
	sums = stats_collect(st, STATS_CONNECTIONS_OPENED);
	assert_int_equal(sums.n, max + 1);
	assert_int_equal(stats_value(st, STATS_CONNECTIONS_OPENED, L(SLICE("_other"))), 60);
	assert_int_equal(stats_value(st, STATS_CONNECTIONS_OPENED, L(SLICE_NONE)), max + 60);
	/* Those that only the reader folds count as well, and once. */
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(stats_value(st, STATS_FOLDED,
		    L(SLICE("weir_connections_total"))), 60);
	assert_int_equal(stats_value(st, STATS_FOLDED, L(SLICE_NONE)), 60);
	assert_int_equal(stats_value(st, STATS_FOLDED, L(SLICE("weir_connections"))), 0);
	stats_free(&st);
}

static void
long_values_are_cut(void **state)
{
	struct stats *st = stats_new();
	struct stats_shard *sh = stats_shard_new(st);
	char big[2 * STATS_VALUE_BYTES];
	struct stats_series *s;

	(void)state;
	memset(big, 'x', sizeof big);
	s = stats_series(sh, STATS_CONNECTIONS, L(slice_of(big, sizeof big)));
	assert_int_equal(s->labels[0].len, STATS_VALUE_BYTES);
	assert_ptr_equal(stats_series(sh, STATS_CONNECTIONS, L(slice_of(big, sizeof big))), s);
	stats_add(s, 1);
	assert_int_equal(stats_collect(st, STATS_CONNECTIONS).n, 1);
	stats_free(&st);
}

static void
no_memory_is_other(void **state)
{
	struct stats *st = stats_new();
	struct stats_shard *sh = stats_shard_new(st);
	bool refused = false;

	(void)state;
	/* Somewhere among these the arena asks for a block. */
	for (unsigned i = 0; i < 100 && !refused; i++) {
		mem_fail_at(1);
		stats_add(numbered(sh, i), 1);
		refused = mem_fail_hit();
		mem_fail_off();
	}
	assert_true(refused);
	assert_int_equal(stats_value(st, STATS_CONNECTIONS_OPENED, L(SLICE("_other"))), 1);
	stats_free(&st);
}

/* Each allocation of a rendering fails in turn: it says so, and the next one has it all. */
static void
no_memory_fails_a_rendering(void **state)
{
	enum { SETS = 40 };
	bool failed = true;

	(void)state;
	for (uint64_t n = 1; failed; n++) {
		struct stats *st = stats_new();
		struct stats_shard *sh = stats_shard_new(st);
		struct prom_text text = { 0 };

		for (unsigned i = 0; i < SETS; i++)
			stats_add(numbered(sh, i), 1);
		stats_observe(stats_series(sh, STATS_UPSTREAM_DURATION, L(SLICE("u"))), 1);
		mem_fail_at(n);
		failed = !prom_render(st, PROM_TEXT, SLICE("1"), &text);
		assert_int_equal(failed, mem_fail_hit());
		mem_fail_off();
		prom_text_free(&text);
		assert_int_equal(stats_collect(st, STATS_CONNECTIONS_OPENED).n, SETS);
		assert_int_equal(stats_value(st, STATS_CONNECTIONS_OPENED, L(SLICE_NONE)), SETS);
		assert_int_equal(stats_collect(st, STATS_UPSTREAM_DURATION).n, 1);
		stats_free(&st);
		assert_true(n < 1000);
	}
}

static void
no_shard_counts_nothing(void **state)
{
	(void)state;
	stats_add(stats_plain(NULL, STATS_LOG_DROPPED), 1);
	stats_set(stats_plain(NULL, STATS_CONFIG_GENERATION), 1);
	stats_observe(stats_plain(NULL, STATS_WORKER_LOOP), 1);
	assert_null(stats_series(NULL, STATS_CONNECTIONS, L(SLICE("a"))));
}

/* ---- a reader beside a writer ---- */

enum { ROUNDS = 20000 };

static void *
write_much(void *arg)
{
	struct stats_shard *sh = arg;

	for (unsigned i = 0; i < ROUNDS; i++) {
		stats_add(numbered(sh, i % 200), 1);
		stats_observe(stats_plain(sh, STATS_WORKER_LOOP), i);
	}
	return (NULL);
}

static void
reader_beside_writer(void **state)
{
	struct stats *st = stats_new();
	struct stats_shard *sh = stats_shard_new(st);
	pthread_t thread;
	int64_t now, before = 0;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, write_much, sh), 0);
	do {
		now = stats_value(st, STATS_CONNECTIONS_OPENED, L(SLICE_NONE));
		assert_true(now >= before);
		before = now;
	} while (now < ROUNDS);
	pthread_join(thread, NULL);
	assert_int_equal(hist_count(stats_collect(st, STATS_WORKER_LOOP).v[0]->hist), ROUNDS);
	stats_free(&st);
}

/* The line is found behind however many processors and interrupts, wherever a piece is cut. */
static void
boot_is_found_behind_many_lines(void **state)
{
	static char much[20000];
	char name[] = "stat-XXXXXX";
	int fd = mkstemp(name);

	(void)state;
	assert_true(fd >= 0);
	memset(much, '0', sizeof much);
	for (size_t n = sizeof much - 4200; n < sizeof much; n += 7) {
		assert_int_equal(ftruncate(fd, 0), 0);
		assert_int_equal(pwrite(fd, much, n, 0), n);
		assert_int_equal(pwrite(fd, "\nbtime 1700000000\nbtime", 23, (off_t)n), 23);
		assert_int_equal(stats_process_boot_s(name), 1700000000);
	}
	assert_int_equal(ftruncate(fd, (off_t)sizeof much - 4200), 0);
	assert_int_equal(stats_process_boot_s(name), 0);
	assert_int_equal(unlink(name), 0);
	(void)close(fd);
	assert_int_equal(stats_process_boot_s(name), 0);
}

static void
table_is_sound(void **state)
{
	(void)state;
	for (unsigned i = 0; i < STATS__MAX; i++) {
		const struct stats_info *info = stats_info((enum stats_id)i);

		assert_true(info->n_labels <= STATS_LABELS_MAX);
		assert_true(info->max >= 1 && (info->n_labels == 0) == (info->max == 1));
		assert_true(slice_has_prefix(info->name, SLICE("weir_")));
		assert_false(slice_has_suffix(info->name, SLICE("_total")));
		assert_true(info->unit.len == 0 || slice_has_suffix(info->name, info->unit));
		assert_true(info->help.len > 0);
		for (unsigned l = 0; l < info->n_labels; l++)
			assert_non_null(info->labels[l]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_value_is_in_its_bucket),
		cmocka_unit_test(bounds_grow),
		cmocka_unit_test(counts_below_a_bound),
		cmocka_unit_test(shards_add_up),
		cmocka_unit_test(a_set_is_found_again_without_memory),
		cmocka_unit_test(values_do_not_run_together),
		cmocka_unit_test(sets_are_bounded),
		cmocka_unit_test(long_values_are_cut),
		cmocka_unit_test(no_memory_is_other),
		cmocka_unit_test(no_memory_fails_a_rendering),
		cmocka_unit_test(no_shard_counts_nothing),
		cmocka_unit_test(reader_beside_writer),
		cmocka_unit_test(boot_is_found_behind_many_lines),
		cmocka_unit_test(table_is_sound),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
