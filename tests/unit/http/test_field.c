/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/cc.h"
#include "engine/http/field.h"

#define assert_slice(s, text)	assert_true(slice_eq((s), slice_str(text)))

static void
test_tokens(void **state)
{
	(void)state;
	assert_true(field_is_token(SLICE("a")));
	assert_true(field_is_token(SLICE("!#$%&'*+-.^_`|~09azAZ")));
	assert_false(field_is_token(SLICE("")));
	/* All bytes: the 77 of RFC 9110, 5.6.2. */
	for (unsigned c = 0, n = 0; c < 256; c++) {
		char byte = (char)c;

		n += field_is_token(slice_of(&byte, 1));
		if (c == 255)
			assert_int_equal(n, 15 + 10 + 26 + 26);
	}
	for (const char *p = "\"(),/:;<=>?@[\\]{} \t\x7f\x80"; *p != '\0'; p++)
		assert_false(field_is_token(slice_of(p, 1)));
}

static void
expect_list(const char *list, const char *const *want, size_t n)
{
	size_t len = strlen(list);
	char *copy = malloc(len ? len : 1);	/* exact size, for the sanitizer */
	struct slice rest, item;

	assert_non_null(copy);
	memcpy(copy, list, len);
	rest = slice_of(copy, len);
	for (size_t i = 0; i < n; i++) {
		assert_true(field_list_next(&rest, &item));
		assert_slice(item, want[i]);
	}
	assert_false(field_list_next(&rest, &item));
	assert_false(field_list_next(&rest, &item));
	free(copy);
}

static void
test_lists(void **state)
{
	(void)state;
	expect_list("", NULL, 0);
	expect_list(" , ,\t,", NULL, 0);
	expect_list("a", (const char *const[]){"a"}, 1);
	expect_list(" a ,b,, c d\t", (const char *const[]){"a", "b", "c d"}, 3);
	expect_list("a;x=\"1,2\", b", (const char *const[]){"a;x=\"1,2\"", "b"}, 2);
	expect_list("\"a\\\",b\", c", (const char *const[]){"\"a\\\",b\"", "c"}, 2);
	expect_list("\"a, b", (const char *const[]){"\"a, b"}, 1);
	expect_list("\"a\\", (const char *const[]){"\"a\\"}, 1);
	assert_true(field_list_has(SLICE("keep-alive, Upgrade"), SLICE("upgrade")));
	assert_false(field_list_has(SLICE("upgraded, up"), SLICE("upgrade")));
	assert_false(field_list_has(SLICE("\"a, upgrade\""), SLICE("upgrade")));
	assert_false(field_list_has(SLICE_NONE, SLICE("upgrade")));
}

static void
test_params(void **state)
{
	struct slice item = SLICE("text/html ; charset=\"utf-8; x\";Q=0.5 ; flag"), name, value;

	(void)state;
	assert_true(field_param_find(item, SLICE("q"), &value));
	assert_slice(value, "0.5");
	assert_true(field_param_find(item, SLICE("charset"), &value));
	assert_slice(value, "\"utf-8; x\"");
	assert_true(field_param_find(item, SLICE("flag"), &value));
	assert_slice(value, "");
	assert_false(field_param_find(item, SLICE("x"), &value));
	assert_false(field_param_find(item, SLICE("text/html"), &value));
	assert_false(field_param_find(SLICE("q=1"), SLICE("q"), &value));
	assert_true(field_param(SLICE("a = b=c "), &name, &value));
	assert_slice(name, "a");
	assert_slice(value, "b=c");
	assert_false(field_param(SLICE("=b"), &name, &value));
	assert_false(field_param(SLICE("a b=c"), &name, &value));
}

static void
test_unquote(void **state)
{
	static const struct {
		const char	*in;
		const char	*out;	/* NULL: refused */
	} rows[] = {
		{"", ""}, {"token", "token"}, {"\"\"", ""}, {"\"a b\"", "a b"},
		{"\"a\\\"b\\\\\"", "a\"b\\"}, {"\"", NULL}, {"\"a", NULL}, {"\"a\\", NULL},
		{"\"a\\\"", NULL}, {"\"a\"b", NULL}
	};
	char out[32];

	(void)state;
	for (size_t i = 0; i < array_len(rows); i++) {
		struct slice text;
		bool ok = field_unquote(slice_str(rows[i].in), out, &text);

		assert_int_equal(ok, rows[i].out != NULL);
		if (ok)
			assert_slice(text, rows[i].out);
	}
}

static void
test_qvalues(void **state)
{
	static const char *const bad[] = {"", "2", "1.001", "0.1234", ".5", "0,5", "-0", "0.x",
	    "00", "1.1", "0 "};
	unsigned q = 7;

	(void)state;
	assert_true(field_qvalue(SLICE("1"), &q) && q == 1000);
	assert_true(field_qvalue(SLICE("1."), &q) && q == 1000);
	assert_true(field_qvalue(SLICE("1.000"), &q) && q == 1000);
	assert_true(field_qvalue(SLICE("0"), &q) && q == 0);
	assert_true(field_qvalue(SLICE("0.5"), &q) && q == 500);
	assert_true(field_qvalue(SLICE("0.123"), &q) && q == 123);
	assert_true(field_qvalue(SLICE("0.001"), &q) && q == 1);
	for (size_t i = 0; i < array_len(bad); i++)
		assert_false(field_qvalue(slice_str(bad[i]), &q));
}

static void
test_cookies(void **state)
{
	struct slice cookies = SLICE("a=1; b=\"x,y\";;novalue; =z; a=2; c = d=e; shop=");
	struct slice name, value, rest = cookies;
	unsigned n = 0;

	(void)state;
	assert_true(field_cookie(cookies, SLICE("a"), &value));
	assert_slice(value, "1");
	assert_true(field_cookie(cookies, SLICE("b"), &value));
	assert_slice(value, "\"x,y\"");
	assert_true(field_cookie(cookies, SLICE("c"), &value));
	assert_slice(value, "d=e");
	assert_true(field_cookie(cookies, SLICE("shop"), &value));
	assert_slice(value, "");
	assert_false(field_cookie(cookies, SLICE("A"), &value));
	assert_false(field_cookie(cookies, SLICE("novalue"), &value));
	assert_false(field_cookie(cookies, SLICE(""), &value));
	assert_false(field_cookie(SLICE_NONE, SLICE("a"), &value));
	while (field_cookie_next(&rest, &name, &value))
		n++;
	assert_int_equal(n, 5);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tokens),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_params),
		cmocka_unit_test(test_unquote),
		cmocka_unit_test(test_qvalues),
		cmocka_unit_test(test_cookies),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
