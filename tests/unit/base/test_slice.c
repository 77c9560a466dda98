/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ctype.h>

#include "engine/base/slice.h"

static void
test_equal(void **state)
{
	(void)state;
	assert_true(slice_eq(SLICE("abc"), SLICE("abc")));
	assert_false(slice_eq(SLICE("abc"), SLICE("abC")));
	assert_false(slice_eq(SLICE("abc"), SLICE("ab")));
	assert_true(slice_eq(SLICE_NONE, SLICE("")));
	assert_true(slice_is_empty(slice_str(NULL)));
	assert_true(slice_eq(slice_str("x"), SLICE("x")));
}

/* Every byte, at each place of a word and in the tail behind one. */
static void
test_fold_all_bytes(void **state)
{
	char a[19];
	char b[19];

	(void)state;
	for (unsigned x = 0; x < 256; x++) {
		for (unsigned y = 0; y < 256; y++) {
			bool want = (x < 128 ? (unsigned)tolower((int)x) : x) ==
			    (y < 128 ? (unsigned)tolower((int)y) : y);
			size_t at = (x * 7 + y) % sizeof(a);

			memset(a, 'Q', sizeof(a));
			memset(b, 'q', sizeof(b));
			a[at] = (char)x;
			b[at] = (char)y;
			if (slice_eq_fold(slice_of(a, sizeof(a)), slice_of(b, sizeof(b))) != want)
				fail_msg("bytes %02x and %02x at %zu", x, y, at);
		}
		assert_int_equal((uint8_t)slice_to_lower_byte((char)x),
		    x < 128 ? tolower((int)x) : (int)x);
	}
	assert_false(slice_eq_fold(SLICE("Host"), SLICE("Hos")));
	assert_true(slice_eq_fold(SLICE_NONE, SLICE_NONE));
}

static void
test_order(void **state)
{
	(void)state;
	assert_true(slice_cmp(SLICE("a"), SLICE("b")) < 0);
	assert_true(slice_cmp(SLICE("b"), SLICE("a")) > 0);
	assert_true(slice_cmp(SLICE("a"), SLICE("ab")) < 0);
	assert_true(slice_cmp(SLICE("ab"), SLICE("a")) > 0);
	assert_int_equal(slice_cmp(SLICE("ab"), SLICE("ab")), 0);
	assert_int_equal(slice_cmp(SLICE_NONE, SLICE("")), 0);
	assert_true(slice_cmp(SLICE("\x7f"), SLICE("\x80")) < 0);
}

static void
test_affixes(void **state)
{
	struct slice s = SLICE("Content-Type");

	(void)state;
	assert_true(slice_has_prefix(s, SLICE("Content")));
	assert_true(slice_has_prefix(s, SLICE("")));
	assert_false(slice_has_prefix(s, SLICE("content")));
	assert_true(slice_has_prefix_fold(s, SLICE("content-t")));
	assert_false(slice_has_prefix_fold(s, SLICE("Content-Types")));
	assert_true(slice_has_suffix(s, SLICE("Type")));
	assert_true(slice_has_suffix(s, s));
	assert_false(slice_has_suffix(s, SLICE("type")));
	assert_false(slice_has_suffix(SLICE("e"), SLICE("Type")));
}

static void
test_find(void **state)
{
	(void)state;
	assert_int_equal(slice_find_byte(SLICE("abcb"), 'b'), 1);
	assert_int_equal(slice_find_byte(SLICE("abc"), 'x'), -1);
	assert_int_equal(slice_find_byte(SLICE_NONE, 'x'), -1);
	assert_int_equal(slice_find(SLICE("a\r\n\r\nb"), SLICE("\r\n\r\n")), 1);
	assert_int_equal(slice_find(SLICE("ab"), SLICE("abc")), -1);
	assert_int_equal(slice_find(SLICE_NONE, SLICE("")), 0);
	assert_int_equal(slice_find(SLICE_NONE, SLICE("a")), -1);
}

static void
test_parts(void **state)
{
	(void)state;
	assert_true(slice_eq(slice_skip(SLICE("abc"), 1), SLICE("bc")));
	assert_int_equal(slice_skip(SLICE("abc"), 9).len, 0);
	assert_non_null(slice_skip(SLICE("abc"), 9).p);
	assert_null(slice_skip(SLICE_NONE, 1).p);
	assert_true(slice_eq(slice_sub(SLICE("abcdef"), 2, 2), SLICE("cd")));
	assert_true(slice_eq(slice_sub(SLICE("abc"), 1, SIZE_MAX), SLICE("bc")));
	assert_int_equal(slice_sub(SLICE("abc"), 4, 1).len, 0);
	assert_true(slice_eq(slice_trim(SLICE(" \t a b\t ")), SLICE("a b")));
	assert_int_equal(slice_trim(SLICE(" \t ")).len, 0);
	assert_true(slice_eq(slice_trim(SLICE("\r\na")), SLICE("\r\na")));
}

static void
test_split(void **state)
{
	static const char *const want[] = {"a", "", "b", ""};
	struct slice rest = SLICE("a,,b,");
	struct slice piece;
	size_t n = 0;

	(void)state;
	while (slice_split(&rest, ',', &piece)) {
		assert_true(n < array_len(want));
		assert_true(slice_eq(piece, slice_str(want[n])));
		n++;
	}
	assert_int_equal(n, array_len(want));
	rest = SLICE("");
	assert_true(slice_split(&rest, ',', &piece));
	assert_int_equal(piece.len, 0);
	assert_false(slice_split(&rest, ',', &piece));
	rest = SLICE_NONE;
	assert_false(slice_split(&rest, ',', &piece));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_equal),
		cmocka_unit_test(test_fold_all_bytes),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_affixes),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_split),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
