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

/* Everything that is in the pipe, in order. */
static void
assert_bytes(const struct pipe *p, const char *want)
{
	struct span v[PIPE_PEEK_MAX];
	unsigned n = pipe_peek(p, v, PIPE_PEEK_MAX);
	size_t at = 0;

	for (unsigned i = 0; i < n; i++) {
		assert_true(at + v[i].len <= strlen(want));
		assert_memory_equal(v[i].p, want + at, v[i].len);
		at += v[i].len;
	}
	assert_int_equal(at, strlen(want));
	assert_int_equal(p->queued, at);
}

/* What was consumed comes back in front of what was not, once, and its end with it. */
static void
kept_and_put_back(void **state)
{
	struct ends *e = ends_new(10, 20);
	struct page *a = page_get(&e->pool);
	struct pipe_kept room;
	struct span v[PIPE_SPANS];

	(void)state;
	memcpy(a->data, "0123456789abcdef", 16);
	assert_false(pipe_rewind(&e->p));
	pipe_keep(&e->p, &room);
	assert_true(pipe_is_kept(&e->p));
	(void)pipe_put(&e->p, span_of(a, 0, 8));
	for (unsigned i = 0; i < 6; i++)
		pipe_consume(&e->p, 1);
	assert_int_equal(room.n, 1);
	(void)pipe_put(&e->p, (struct span){ NULL, "xyz", 3 });
	pipe_consume(&e->p, 3);
	assert_int_equal(room.n, 2);
	assert_int_equal(e->p.queued, 2);
	assert_true(pipe_rewind(&e->p));
	assert_false(pipe_is_kept(&e->p));
	assert_false(pipe_rewind(&e->p));
	pipe_release(&e->p);
	(void)pipe_put(&e->p, span_of(a, 8, 8));
	pipe_put_end(&e->p, NULL);
	assert_bytes(&e->p, "01234567xyz89abcdef");
	assert_int_equal(e->p.total, 19);
	assert_int_equal(pipe_peek(&e->p, v, 1), 1);
	assert_int_equal(v[0].len, 8);
	pipe_consume(&e->p, 5);
	assert_bytes(&e->p, "567xyz89abcdef");
	pipe_consume(&e->p, 7);
	assert_null(e->p.kept);
	assert_int_equal(a->refs, 2);
	assert_bytes(&e->p, "9abcdef");
	pipe_consume(&e->p, 7);
	assert_true(pipe_is_drained(&e->p));
	assert_int_equal(a->refs, 1);
	page_unref(&a);
	ends_free(e);
}

/* Kept bytes hold up no source; put back they do, until they have gone. */
static void
kept_and_marks(void **state)
{
	struct ends *e = ends_new(10, 20);
	static const char bytes[64];
	struct pipe_kept room;

	(void)state;
	pipe_keep(&e->p, &room);
	assert_false(pipe_put(&e->p, (struct span){ NULL, bytes, 20 }));
	pipe_consume(&e->p, 20);
	assert_int_equal(e->source_woken, 1);
	assert_true(pipe_put(&e->p, (struct span){ NULL, bytes + 20, 5 }));
	assert_true(pipe_rewind(&e->p));
	assert_int_equal(e->p.queued, 25);
	assert_false(pipe_has_room(&e->p));
	pipe_consume(&e->p, 14);
	assert_int_equal(e->source_woken, 1);
	pipe_consume(&e->p, 1);
	assert_int_equal(e->source_woken, 2);
	pipe_consume(&e->p, 10);
	assert_null(e->p.kept);
	ends_free(e);
}

/* The bounds: all of the bytes and one more; all of the spans and one more. */
static void
kept_bounds(void **state)
{
	struct ends *e = ends_new(1000, 2000);
	static const char bytes[PIPE_KEPT_BYTES + 1];
	struct page *a = page_get(&e->pool);
	struct pipe_kept room;

	(void)state;
	pipe_keep(&e->p, &room);
	(void)pipe_put(&e->p, (struct span){ NULL, bytes, PIPE_KEPT_BYTES + 1 });
	pipe_consume(&e->p, PIPE_KEPT_BYTES);
	assert_true(pipe_is_kept(&e->p));
	pipe_consume(&e->p, 1);
	assert_false(pipe_is_kept(&e->p));
	assert_false(pipe_rewind(&e->p));
	pipe_keep(&e->p, &room);
	for (uint32_t i = 0; i <= PIPE_KEPT; i++) {
		assert_true(pipe_is_kept(&e->p));
		(void)pipe_put(&e->p, span_of(a, 2 * i, 1));
		pipe_consume(&e->p, 1);
	}
	assert_false(pipe_is_kept(&e->p));
	assert_int_equal(a->refs, 1);
	assert_int_equal(e->p.queued, 0);
	page_unref(&a);
	ends_free(e);
}

/* Let go in each state; the pool's end finds what was not. */
static void
kept_and_dropped(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct ends *e = ends_new(1000, 2000);
		struct page *a = page_get(&e->pool);
		struct pipe_kept room;

		pipe_keep(&e->p, &room);
		(void)pipe_put(&e->p, (struct span){ a, a->data, 100 });
		pipe_consume(&e->p, 50);
		if (i == 1) {
			pipe_release(&e->p);
			assert_false(pipe_is_kept(&e->p));
			pipe_consume(&e->p, 50);
			assert_int_equal(e->pool.in_use, 0);
		}
		if (i >= 2)
			assert_true(pipe_rewind(&e->p));
		if (i == 3)
			pipe_consume(&e->p, 20);
		ends_free(e);
	}
}

/* Nothing had gone: nothing to put back, which is no failure. */
static void
kept_nothing(void **state)
{
	struct ends *e = ends_new(10, 20);
	struct pipe_kept room;

	(void)state;
	pipe_keep(&e->p, &room);
	(void)pipe_put(&e->p, (struct span){ NULL, "abc", 3 });
	assert_true(pipe_rewind(&e->p));
	assert_null(e->p.kept);
	assert_bytes(&e->p, "abc");
	ends_free(e);
}

/* ---- a tap ---- */

struct tap {
	char bytes[64];
	size_t n;
	unsigned n_ends;
	uint8_t end;
};

static void
on_tap(void *arg, const struct pipe *p, const struct span *s)
{
	struct tap *t = arg;

	if (s == NULL) {
		t->n_ends++;
		t->end = p->end;
		return;
	}
	memcpy(t->bytes + t->n, s->p, s->len);
	t->n += s->len;
}

/* It sees what is put from then on, joined or not, kept or not, and the end, once. */
static void
tapped(void **state)
{
	static const uint8_t ends[] = { PIPE_END, PIPE_BROKEN };

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct ends *e = ends_new(10, 20);
		struct page *page = page_get(&e->pool);
		struct tap t = { .n = 0 };

		memcpy(page->data, "abcdef", 6);
		(void)pipe_put(&e->p, (struct span){ NULL, "before", 6 });
		pipe_set_tap(&e->p, on_tap, &t);
		(void)pipe_put(&e->p, (struct span){ page_ref(page), page->data, 2 });
		(void)pipe_put(&e->p, (struct span){ page_ref(page), page->data + 2, 3 });
		(void)pipe_put(&e->p, (struct span){ NULL, "", 0 });
		pipe_consume(&e->p, 11);
		if (i == 0)
			pipe_put_end(&e->p, NULL);
		else
			pipe_break(&e->p);
		pipe_break(&e->p);
		assert_int_equal(t.n, 5);
		assert_memory_equal(t.bytes, "abcde", 5);
		assert_int_equal(t.n_ends, 1);
		assert_int_equal(t.end, ends[i]);
		page_unref(&page);
		ends_free(e);
	}
}

static void
tap_ends(void **state)
{
	struct ends *e = ends_new(10, 20);
	struct tap t = { .n = 0 };

	(void)state;
	pipe_set_tap(&e->p, on_tap, &t);
	(void)pipe_put(&e->p, (struct span){ NULL, "a", 1 });
	pipe_set_tap(&e->p, NULL, NULL);
	(void)pipe_put(&e->p, (struct span){ NULL, "b", 1 });
	pipe_put_end(&e->p, NULL);
	assert_int_equal(t.n, 1);
	assert_int_equal(t.n_ends, 0);
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
		cmocka_unit_test(kept_and_put_back),
		cmocka_unit_test(kept_and_marks),
		cmocka_unit_test(kept_bounds),
		cmocka_unit_test(kept_and_dropped),
		cmocka_unit_test(kept_nothing),
		cmocka_unit_test(tapped),
		cmocka_unit_test(tap_ends),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
