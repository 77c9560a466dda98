/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/http/headers.h"
#include "engine/http/method.h"
#include "engine/http/msg.h"
#include "engine/http/reason.h"
#include "engine/mem/arena.h"

/* Every name of hdr.def finds itself in any case: the checked-in table is not stale. */
static void
ids_find_themselves(void **state)
{
	(void)state;
	for (unsigned id = 1; id < HDR__MAX; id++) {
		struct slice name = hdr_id_name((enum hdr_id)id);
		char *copy = malloc(name.len);	/* exact size: a sanitizer sees a read beyond */

		assert_non_null(copy);
		memcpy(copy, name.p, name.len);
		assert_int_equal(hdr_id_of(slice_of(copy, name.len)), id);
		for (size_t i = 0; i < name.len; i++)
			copy[i] = (char)toupper(copy[i]);
		assert_int_equal(hdr_id_of(slice_of(copy, name.len)), id);
		free(copy);
	}
}

/* What we write is the same name, and what we set bears it. */
static void
ids_are_spelled(void **state)
{
	struct arena *a = arena_new("test");
	struct headers h;

	(void)state;
	for (unsigned id = 1; id < HDR__MAX; id++) {
		assert_int_equal(strlen(hdr_spelled[id]), hdr_id_name((enum hdr_id)id).len);
		assert_true(slice_eq_fold(hdr_id_spelled((enum hdr_id)id),
		    hdr_id_name((enum hdr_id)id)));
	}
	headers_init(&h, a);
	assert_true(headers_set_id(&h, HDR_X_FORWARDED_HOST, SLICE("a")));
	assert_true(slice_eq(hdr_name(headers_get(&h, HDR_X_FORWARDED_HOST)),
	    SLICE("X-Forwarded-Host")));
	arena_free(&a);
}

/* One byte changed, to any other: not well known, unless it is the other case. */
static void
ids_are_exact(void **state)
{
	(void)state;
	for (unsigned id = 1; id < HDR__MAX; id++) {
		struct slice name = hdr_id_name((enum hdr_id)id);
		char buf[64];

		assert_true(name.len < sizeof(buf));
		for (size_t i = 0; i < name.len; i++) {
			for (unsigned b = 0; b < 256; b++) {
				memcpy(buf, name.p, name.len);
				buf[i] = (char)b;
				if (slice_eq_fold(slice_of(buf, name.len), name))
					continue;
				assert_int_not_equal(hdr_id_of(slice_of(buf, name.len)), id);
			}
		}
		memcpy(buf, name.p, name.len);
		assert_int_not_equal(hdr_id_of(slice_of(buf, name.len - 1)), id);
		buf[name.len] = 'x';
		assert_int_not_equal(hdr_id_of(slice_of(buf, name.len + 1)), id);
	}
	assert_int_equal(hdr_id_of(SLICE_NONE), HDR_OTHER);
	assert_int_equal(hdr_id_of(SLICE("x")), HDR_OTHER);
}

static void
add_and_find(void **state)
{
	struct arena *a = arena_new("test");
	struct headers h;

	(void)state;
	headers_init(&h, a);
	assert_null(headers_get(&h, HDR_HOST));
	assert_true(headers_add(&h, SLICE("HOST"), SLICE("a")));
	assert_true(headers_add(&h, SLICE("X-One"), SLICE("1")));
	assert_true(headers_add(&h, SLICE("Cookie"), SLICE("x")));
	assert_true(headers_add(&h, SLICE("x-one"), SLICE("2")));
	assert_true(headers_add(&h, SLICE("cookie"), SLICE("y")));
	assert_true(slice_eq(hdr_value(headers_get(&h, HDR_HOST)), SLICE("a")));
	assert_true(slice_eq(hdr_value(headers_find(&h, SLICE("X-ONE"))), SLICE("1")));
	assert_true(slice_eq(hdr_value(headers_next(&h, headers_find(&h, SLICE("X-ONE")))), SLICE("2")));
	assert_true((headers_get(&h, HDR_COOKIE)->flags & HDR_SECRET) != 0);
	assert_true(slice_eq(hdr_value(headers_next(&h, headers_get(&h, HDR_COOKIE))), SLICE("y")));
	assert_null(headers_next(&h, headers_next(&h, headers_get(&h, HDR_COOKIE))));
	assert_null(headers_find(&h, SLICE("nothing")));
	/* The first of two goes: the second is found. */
	headers_drop(&h, headers_get(&h, HDR_COOKIE));
	assert_true(slice_eq(hdr_value(headers_get(&h, HDR_COOKIE)), SLICE("y")));
	assert_int_equal(headers_remove(&h, SLICE("X-one")), 2);
	assert_null(headers_find(&h, SLICE("x-one")));
	assert_int_equal(headers_remove_id(&h, HDR_COOKIE), 1);
	assert_int_equal(h.n_gone, 4);
	assert_int_equal(headers_wire_len(&h), sizeof("HOST: a\r\n") - 1);
	arena_free(&a);
}

static void
set_replaces(void **state)
{
	struct arena *a = arena_new("test");
	struct headers h;
	struct hdr *row;

	(void)state;
	headers_init(&h, a);
	assert_true(headers_add_raw(&h, HDR_VIA, SLICE("Via: 1.0 a\r\n")));
	assert_true(slice_eq(hdr_value(headers_get(&h, HDR_VIA)), SLICE("1.0 a")));
	assert_int_equal(headers_wire_len(&h), 12);
	assert_true(headers_add(&h, SLICE("via"), SLICE("1.1 b")));
	assert_true(headers_set_id(&h, HDR_VIA, SLICE("c")));
	row = headers_get(&h, HDR_VIA);
	assert_true(slice_eq(hdr_name(row), SLICE("Via")));
	assert_true(slice_eq(hdr_value(row), SLICE("c")));
	assert_false((row->flags & HDR_RAW) != 0);
	assert_null(headers_next(&h, row));
	assert_true(headers_set(&h, SLICE("X-New"), SLICE("v")));
	assert_true(headers_set(&h, SLICE("x-new"), SLICE("w")));
	assert_true(slice_eq(hdr_value(headers_find(&h, SLICE("X-New"))), SLICE("w")));
	assert_int_equal(h.n, 3);
	arena_free(&a);
}

/* Framing fields are never shown and never written, whoever adds them. */
static void
hop_by_hop(void **state)
{
	struct arena *a = arena_new("test");
	struct headers h;

	(void)state;
	headers_init(&h, a);
	assert_true(headers_add(&h, SLICE("X-Early"), SLICE("1")));
	assert_true(headers_add(&h, SLICE("Connection"), SLICE(" Close ,x-early,, upgrade")));
	assert_true(headers_add(&h, SLICE("connection"), SLICE("host, Accept")));
	assert_true(headers_add(&h, SLICE("Host"), SLICE("a")));
	assert_true(headers_add(&h, SLICE("accept"), SLICE("a")));
	assert_true(headers_add(&h, SLICE("Accept"), SLICE("b")));
	assert_true(headers_add(&h, SLICE("Content-Length"), SLICE("5")));
	assert_int_equal(headers_mark_hop_by_hop(&h), HEADERS_CONN_CLOSE | HEADERS_CONN_UPGRADE);
	assert_null(headers_find(&h, SLICE("x-early")));
	assert_null(headers_get(&h, HDR_ACCEPT));
	assert_null(headers_get(&h, HDR_CONTENT_LENGTH));
	assert_non_null(headers_get_hop(&h, HDR_CONTENT_LENGTH));
	assert_non_null(headers_get(&h, HDR_HOST));
	assert_int_equal(headers_wire_len(&h), sizeof("Host: a\r\n") - 1);
	assert_true(headers_set(&h, SLICE("transfer-encoding"), SLICE("chunked")));
	assert_int_equal(headers_wire_len(&h), sizeof("Host: a\r\n") - 1);
	arena_free(&a);
}

static void
fills_up(void **state)
{
	struct arena *a = arena_new("test");
	struct headers h;

	(void)state;
	headers_init(&h, a);
	for (unsigned i = 0; i < HEADERS_MAX; i++)
		assert_true(headers_add(&h, i % 2 == 0 ? SLICE("A") : SLICE("accept"), SLICE("b")));
	assert_false(headers_add(&h, SLICE("A"), SLICE("b")));
	assert_false(headers_set(&h, SLICE("C"), SLICE("b")));
	assert_true(headers_set(&h, SLICE("A"), SLICE("c")));
	assert_int_equal(h.n_gone, HEADERS_MAX / 2 - 1);
	arena_free(&a);
}

/* Room for a head is taken by this number, before anything is written. */
static void
wire_is_bounded(void **state)
{
	struct arena *a = arena_new("test");
	struct headers h, taken;
	bool repeated;

	(void)state;
	headers_init(&h, a);
	assert_int_equal(h.wire_max, 0);
	assert_true(headers_add(&h, SLICE("A"), SLICE("b")));
	assert_int_equal(h.wire_max, sizeof("A: b\r\n") - 1);
	assert_true(headers_add_raw(&h, HDR_VIA, SLICE("Via: 1.0 a\r\n")));
	assert_non_null(headers_push_raw(&h, SLICE("B"), SLICE("c"), HDR_OTHER,
	    sizeof("B:   c   \r\n") - 1));
	assert_true(h.wire_max >= headers_wire_len(&h));
	assert_int_equal(h.wire_max, headers_wire_len(&h));
	assert_true(headers_set(&h, SLICE("B"), SLICE("a value that is longer than what it was")));
	assert_true(headers_set_id(&h, HDR_VIA, SLICE("another that is longer")));
	assert_int_equal(h.wire_max, headers_wire_len(&h));
	headers_init(&taken, a);
	assert_true(headers_take_rows(&taken, h.v, h.n, &repeated));
	assert_int_equal(taken.wire_max, headers_wire_len(&h));
	assert_int_equal(headers_remove(&h, SLICE("B")), 1);
	assert_int_equal(headers_remove(&h, SLICE("A")), 1);
	assert_int_equal(h.wire_max, sizeof("Via: another that is longer\r\n") - 1);
	/* What the codec writes itself has no line of ours, yet counts. */
	assert_true(headers_add(&h, SLICE("Connection"), SLICE("close")));
	assert_true(h.wire_max > headers_wire_len(&h));
	arena_free(&a);
}

static void
rows_taken(void **state)
{
	struct arena *a = arena_new("test");
	struct headers from, h;
	bool repeated;

	(void)state;
	headers_init(&from, a);
	assert_true(headers_add(&from, SLICE("Host"), SLICE("a")));
	assert_true(headers_add(&from, SLICE("Accept"), SLICE("a")));
	assert_true(headers_add(&from, SLICE("Accept"), SLICE("b")));
	headers_init(&h, a);
	assert_true(headers_take_rows(&h, from.v, from.n, &repeated));
	assert_false(repeated);
	assert_int_equal(h.n, 3);
	assert_true(h.cap >= 3 + 8);
	assert_true(slice_eq(hdr_value(headers_get(&h, HDR_ACCEPT)), SLICE("a")));
	assert_true(headers_add(&from, SLICE("HOST"), SLICE("a")));
	headers_init(&h, a);
	assert_true(headers_take_rows(&h, from.v, from.n, &repeated));
	assert_true(repeated);
	headers_init(&h, a);
	assert_true(headers_take_rows(&h, NULL, 0, &repeated));
	assert_false(headers_take_rows(&h, from.v, HEADERS_MAX + 1, &repeated));
	arena_free(&a);
}

/* Rows that are written, in order, with bytes of their own. */
static void
copied(void **state)
{
	static const char line[] = "X-Raw:  a \r\n";
	struct arena *a = arena_new("test"), *b = arena_new("copy");
	struct headers from, h;
	const struct hdr *raw;
	char text[sizeof line];

	(void)state;
	memcpy(text, line, sizeof line);
	headers_init(&from, a);
	headers_init(&h, b);
	assert_true(headers_copy(&h, &from));
	assert_int_equal(h.n, 0);
	assert_non_null(headers_push_raw(&from, slice_of(text, 5), slice_of(text + 8, 1), HDR_OTHER,
	    sizeof line - 1));
	assert_true(headers_add(&from, SLICE("Accept"), SLICE("gone")));
	assert_int_equal(headers_remove_id(&from, HDR_ACCEPT), 1);
	assert_true(headers_add(&from, SLICE("Content-Length"), SLICE("5")));
	assert_true(headers_add(&from, SLICE("Cookie"), SLICE("")));
	assert_true(headers_add(&from, SLICE("Cookie"), SLICE("x=y")));
	assert_true(headers_copy(&h, &from));
	memset(text, '?', sizeof text);
	arena_free(&a);
	assert_int_equal(h.n, 3);
	raw = headers_find(&h, SLICE("x-raw"));
	assert_non_null(raw);
	assert_true(slice_eq(hdr_value(raw), SLICE("a")));
	assert_int_equal(raw->raw_len, sizeof line - 1);
	assert_memory_equal(raw->name, line, sizeof line - 1);
	assert_true(slice_eq(hdr_value(headers_get(&h, HDR_COOKIE)), SLICE("")));
	assert_true(slice_eq(hdr_value(headers_next(&h, headers_get(&h, HDR_COOKIE))),
	    SLICE("x=y")));
	assert_null(headers_get_hop(&h, HDR_CONTENT_LENGTH));
	assert_true(headers_wire_len(&h) <= h.wire_max);
	arena_free(&b);
}

static void
tables(void **state)
{
	(void)state;
	for (unsigned m = 1; m < METHOD__MAX; m++)
		assert_int_equal(method_of(method_name((enum http_method)m)), m);
	assert_int_equal(method_of(SLICE("get")), METHOD_OTHER);
	assert_int_equal(method_of(SLICE("")), METHOD_OTHER);
	assert_true(method_is_idempotent(METHOD_PUT) && !method_is_safe(METHOD_PUT));
	assert_false(method_is_idempotent(METHOD_POST) || method_is_idempotent(METHOD_OTHER));
	assert_string_equal(status_phrase(404), "Not Found");
	assert_string_equal(status_phrase(299), "");
	assert_true(slice_eq(reason_info(REASON_NO_ROUTE)->name, SLICE("no_route")));
	for (unsigned r = 1; r < REASON__MAX; r++) {
		const struct reason_info *info = reason_info((enum reason)r);

		assert_true(info->name.len > 0 && info->title.len > 0);
		assert_true(info->status == 0 || info->status == 499 ||
		    status_phrase(info->status)[0] != '\0');
		for (unsigned other = 1; other < r; other++)
			assert_false(slice_eq(info->name, reason_info((enum reason)other)->name));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids_find_themselves),
		cmocka_unit_test(ids_are_spelled),
		cmocka_unit_test(ids_are_exact),
		cmocka_unit_test(add_and_find),
		cmocka_unit_test(set_replaces),
		cmocka_unit_test(hop_by_hop),
		cmocka_unit_test(fills_up),
		cmocka_unit_test(wire_is_bounded),
		cmocka_unit_test(rows_taken),
		cmocka_unit_test(copied),
		cmocka_unit_test(tables),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
