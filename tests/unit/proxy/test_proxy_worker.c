/* SPDX-License-Identifier: Apache-2.0 */
/* A worker's start that memory does not suffice for leaves nothing behind. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/mem/alloc.h"
#include "engine/proxy/access_log.h"
#include "engine/proxy/filter.h"
#include "engine/proxy/gate.h"
#include "engine/stats/stats.h"
#include "engine/worker/worker.h"

static unsigned n_started;

static struct err *
start(void **state_r, struct worker *w)
{
	(void)w;
	*state_r = mem_try_malloc(16);
	if (*state_r == NULL)
		return (err_memory());
	n_started++;
	return (NULL);
}

static void
stop(void *state)
{
	xfree(state);
	n_started--;
}

static const struct filter_ops first = { .name = "first", .worker_start = start,
	.worker_stop = stop };
static const struct filter_ops second = { .name = "second", .worker_start = start,
	.worker_stop = stop };
static const struct filter_ops *const filters[] = { &first, &second };
static const struct proxy_program program = { .filters = filters, .n_filters = 2 };

static int
setup(void **state)
{
	struct worker *w = xcalloc(1, sizeof *w);

	proxy_program = &program;
	assert_null(worker_init(w, 0, 16));
	*state = w;
	return (0);
}

static int
teardown(void **state)
{
	struct worker *w = *state;

	worker_fini(w);
	xfree(w);
	return (0);
}

static void
enter_and_leave(struct worker *w)
{
	assert_null(proxy_worker_enter(w));
	assert_int_equal(n_started, 2);
	proxy_worker_leave(w);
	assert_int_equal(n_started, 0);
	assert_true(access_log_stop(0));
}

/* Each one, and more often than there may be workers: what a start took of a table is given back. */
static void
test_every_allocation_fails(void **state)
{
	struct worker *w = *state;
	struct stats *stats = stats_new();
	uint64_t n_all;

	w->stats = stats_shard_new(stats);
	n_all = mem_alloc_count();
	enter_and_leave(w);
	n_all = mem_alloc_count() - n_all;
	for (uint64_t n = 1; n <= n_all; n++) {
		for (unsigned i = 0; i <= WORKER_MAX; i++) {
			mem_fail_at(n);
			if (proxy_worker_enter(w) == NULL)
				fail_msg("allocation %u of %u was not missed", (unsigned)n,
				    (unsigned)n_all);
			assert_true(mem_fail_hit());
			mem_fail_off();
			assert_int_equal(n_started, 0);
			assert_null(w->slot[WORKER_SLOT_PROXY]);
		}
		enter_and_leave(w);
	}
	w->stats = NULL;
	stats_free(&stats);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_every_allocation_fails, setup, teardown),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
