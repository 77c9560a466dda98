/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/http/pipe.h"

struct ends {
	struct pipe p;
	struct page_pool pool;
	unsigned source_woken;
	unsigned sink_woken;
};

static void
wake_source(void *arg)
{
	struct ends *e = arg;

	e->source_woken++;
}

static void
wake_sink(void *arg)
{
	struct ends *e = arg;

	e->sink_woken++;
}

static struct ends *
ends_new(uint32_t low, uint32_t high)
{
	struct ends *e = calloc(1, sizeof(*e));

	assert_non_null(e);
	page_pool_init(&e->pool, 64);
	pipe_init(&e->p, low, high);
	pipe_set_source(&e->p, wake_source, e);
	pipe_set_sink(&e->p, wake_sink, e);
	return (e);
}

/* The pool's end checks that every reference was given back. */
static void
ends_free(struct ends *e)
{
	pipe_fini(&e->p);
	pipe_fini(&e->p);
	page_pool_fini(&e->pool);
	free(e);
}

static struct span
span_of(struct page *page, uint32_t off, uint32_t len)
{
	return ((struct span){ page_ref(page), page->data + off, len });
}

static void
neighbours_are_joined(void **state)
{
	struct ends *e = ends_new(10, 20);
	struct page *a = page_get(&e->pool), *b = page_get(&e->pool);
	struct span v[PIPE_SPANS];

	(void)state;
	assert_true(pipe_put(&e->p, span_of(a, 0, 4)));
	assert_true(pipe_put(&e->p, span_of(a, 4, 4)));
	assert_int_equal(a->refs, 2);
	assert_true(pipe_put(&e->p, span_of(a, 9, 1)));
	assert_true(pipe_put(&e->p, span_of(b, 10, 1)));
	assert_true(pipe_put(&e->p, span_of(b, 0, 0)));
	assert_int_equal(pipe_peek(&e->p, v, PIPE_SPANS), 3);
	assert_int_equal(v[0].len, 8);
	assert_int_equal(pipe_peek(&e->p, v, 2), 2);
	assert_int_equal(e->p.queued, 10);
	pipe_consume(&e->p, 9);
	assert_int_equal(a->refs, 1);
	assert_int_equal(b->refs, 2);
	page_unref(&a);
	page_unref(&b);
	ends_free(e);
}

static void
marks(void **state)
{
	struct ends *e = ends_new(10, 20);
	static const char bytes[64];

	(void)state;
	pipe_wait(&e->p);
	assert_true(pipe_put(&e->p, (struct span){ NULL, bytes, 19 }));
	assert_int_equal(e->sink_woken, 1);
	assert_false(pipe_put(&e->p, (struct span){ NULL, bytes + 19, 30 }));
	assert_int_equal(e->sink_woken, 1);
	pipe_consume(&e->p, 30);
	assert_int_equal(e->source_woken, 0);
	pipe_consume(&e->p, 9);
	assert_int_equal(e->source_woken, 1);
	pipe_consume(&e->p, 10);
	assert_int_equal(e->source_woken, 1);
	assert_int_equal(e->p.total, 49);
	assert_false(pipe_is_drained(&e->p));
	pipe_wait(&e->p);
	pipe_put_end(&e->p, NULL);
	assert_int_equal(e->sink_woken, 2);
	assert_true(pipe_is_drained(&e->p));
	pipe_break(&e->p);
	assert_int_equal(e->p.end, PIPE_END);
	ends_free(e);
}

/* Full of spans though not of bytes: refused, and woken as soon as one is free. */
static void
spans_run_out(void **state)
{
	struct ends *e = ends_new(1000, 2000);
	static const char bytes[64];

	(void)state;
	for (unsigned i = 0; i < PIPE_SPANS - 1; i++)
		assert_true(pipe_put(&e->p, (struct span){ NULL, bytes + 2 * i, 1 }));
	assert_false(pipe_put(&e->p, (struct span){ NULL, bytes + 40, 1 }));
	assert_false(pipe_has_room(&e->p));
	pipe_consume(&e->p, 1);
	assert_int_equal(e->source_woken, 1);
	assert_true(pipe_has_room(&e->p));
	assert_false(pipe_put(&e->p, (struct span){ NULL, bytes + 50, 1 }));
	ends_free(e);
}

static void
broken(void **state)
{
	struct ends *e = ends_new(10, 20);
	struct page *a = page_get(&e->pool);

	(void)state;
	pipe_wait(&e->p);
	pipe_break(&e->p);
	assert_int_equal(e->sink_woken, 1);
	(void)pipe_put(&e->p, span_of(a, 0, 4));
	assert_int_equal(a->refs, 1);
	assert_int_equal(e->p.queued, 0);
	pipe_put_end(&e->p, NULL);
	assert_int_equal(e->p.end, PIPE_BROKEN);
	page_unref(&a);
	ends_free(e);
}

/* Against a plain counter: bytes come out in order, none lost, none held. */
static void
random_walk(void **state)
{
	struct ends *e = ends_new(500, 1000);
	unsigned seed = 3;
	uint8_t in = 0, out = 0;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		if (pipe_has_room(&e->p) && rand_r(&seed) % 2 == 0) {
			struct page *page = page_get(&e->pool);
			uint32_t n = 1 + (uint32_t)rand_r(&seed) % 200;

			for (uint32_t k = 0; k < n; k++)
				page->data[k] = (char)in++;
			(void)pipe_put(&e->p, (struct span){ page, page->data, n });
		} else if (e->p.queued > 0) {
			uint32_t n = 1 + (uint32_t)rand_r(&seed) % e->p.queued, left = n;
			struct span v[PIPE_SPANS];
			unsigned spans = pipe_peek(&e->p, v, PIPE_SPANS);

			for (unsigned s = 0; s < spans; s++)
				for (uint32_t k = 0; k < v[s].len && left > 0; k++, left--)
					assert_int_equal((uint8_t)v[s].p[k], out++);
			assert_int_equal(left, 0);
			pipe_consume(&e->p, n);
		}
	}
	ends_free(e);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(neighbours_are_joined),
		cmocka_unit_test(marks),
		cmocka_unit_test(spans_run_out),
		cmocka_unit_test(broken),
		cmocka_unit_test(random_walk),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
