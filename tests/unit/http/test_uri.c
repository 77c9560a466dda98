/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/cc.h"
#include "engine/base/rnd.h"
#include "engine/http/uri.h"
#include "engine/mem/alloc.h"
#include "engine/mem/arena.h"
#include "tests/unit/proxy/path_spec.h"

static int
set_up(void **state)
{
	*state = arena_new("test");
	return (0);
}

static int
tear_down(void **state)
{
	struct arena *a = *state;

	arena_free(&a);
	return (0);
}

static enum uri_rc
spec_rc(struct slice raw, char *path)
{
	switch (spec_path(raw.p, raw.len, path)) {
	case SPEC_FINE:
		return (URI_OK);
	case SPEC_ENCODED_SLASH:
		return (URI_ENCODED_SLASH);
	case SPEC_REFUSED:
		break;
	}
	return (URI_MALFORMED);
}

/* Pieces that meet the parser where it decides. */
static const char *const evil[] = {
	"/", "/", "/", "//", ".", "..", "/.", "/..", "/./", "/../", "a", "b", "%2e", "%2E", ".%2e",
	"%2f", "%2F", "%5c", "\\", "%41", "%7e", "%7E", "%2", "%", "%zz", "%00", "%25", "%252e",
	"%c3%a9", "%C0%AE", ";x=1", ";", "..;", "...", "~", "-", "_", "!", "$&'()*+,", ":@", "=", " ",
	"\x01", "\x7f", "\xc3", "?", "#", "|", "^", "{}", "[]", "\"", "<>", "`", "%3f", "%23",
	"aaaaaaaa", "bbbbbbbbbbbbbbbb", "0123456789abcdef0123456789abcdef"
};

static struct slice
random_path(struct rnd *rnd, char *buf)
{
	size_t len = 0;

	if (rnd_below(rnd, 64) != 0)
		buf[len++] = '/';
	for (uint64_t n = rnd_below(rnd, 10); n > 0; n--) {
		/* Most pieces from the part that is well formed. */
		const char *piece = evil[rnd_below(rnd, rnd_below(rnd, 16) == 0 ?
		    array_len(evil) : 22)];
		size_t add = strlen(piece);

		memcpy(buf + len, piece, add);
		len += add;
	}
	return (slice_of(buf, len));
}

/* The spec's verdict and path, and a canonical path is itself canonical, without a copy. */
static void
test_spec(void **state)
{
	struct arena *a = *state;
	unsigned seen[URI_NO_MEMORY + 1] = {0}, n_same = 0;
	char buf[SPEC_PATH_MAX], right[3 * SPEC_PATH_MAX + 1];
	struct rnd rnd;

	rnd_init_seed(&rnd, 42);
	for (unsigned i = 0; i < 1000000; i++) {
		struct slice raw = random_path(&rnd, buf), path = SLICE_NONE, again = SLICE_NONE;
		enum uri_rc want, rc;

		buf[raw.len] = '\0';
		want = spec_rc(raw, right);
		rc = uri_canonical(raw, a, &path);
		seen[rc]++;
		if (rc != want)
			fail_msg("%s: %d, not %d", buf, (int)rc, (int)want);
		if (rc == URI_MALFORMED)
			continue;
		if (!slice_eq(path, slice_str(right)))
			fail_msg("%s: " SLICE_FMT ", not %s", buf, SLICE_ARG(path), right);
		n_same += path.p == raw.p;
		assert_true(path.p == raw.p || !slice_eq(path, raw));
		assert_int_not_equal(uri_canonical(path, a, &again), URI_MALFORMED);
		assert_ptr_equal(again.p, path.p);
		assert_int_equal(again.len, path.len);
		if (i % 1024 == 0)
			arena_reset(a);
	}
	assert_true(seen[URI_OK] > 100000 && seen[URI_ENCODED_SLASH] > 100000 &&
	    seen[URI_MALFORMED] > 100000 && n_same > 30000);
}

static void
expect(struct arena *a, const char *raw, enum uri_rc rc, const char *path)
{
	/* A block of exactly the size, so that a sanitizer sees a read past it. */
	size_t n = strlen(raw);
	char *copy = malloc(n ? n : 1);
	struct slice got = SLICE_NONE;

	assert_non_null(copy);
	memcpy(copy, raw, n);
	assert_int_equal(uri_canonical(slice_of(copy, n), a, &got), rc);
	if (rc != URI_MALFORMED && !slice_eq(got, slice_str(path)))
		fail_msg("%s: " SLICE_FMT ", not %s", raw, SLICE_ARG(got), path);
	free(copy);
}

static void
test_table(void **state)
{
	struct arena *a = *state;

	expect(a, "", URI_MALFORMED, NULL);
	expect(a, "a", URI_MALFORMED, NULL);
	expect(a, "*", URI_MALFORMED, NULL);
	expect(a, "/", URI_OK, "/");
	expect(a, "//", URI_OK, "/");
	expect(a, "/a/", URI_OK, "/a/");
	expect(a, "/a//", URI_OK, "/a/");
	expect(a, "/a/.", URI_OK, "/a/");
	expect(a, "/a/..", URI_OK, "/");
	expect(a, "/a/../", URI_OK, "/");
	expect(a, "/a/%2e%2E/b", URI_OK, "/b");
	expect(a, "/a/.%2e", URI_OK, "/");
	expect(a, "/..", URI_MALFORMED, NULL);
	expect(a, "/a/../..", URI_MALFORMED, NULL);
	expect(a, "/a/%2e%2e/%2e%2e/b", URI_MALFORMED, NULL);
	/* Two meanings: /admin/x for those who take dots first, /x for those who merge first. */
	expect(a, "/admin//../x", URI_MALFORMED, NULL);
	expect(a, "/admin//./../x", URI_MALFORMED, NULL);
	expect(a, "/admin//a/../../x", URI_MALFORMED, NULL);
	expect(a, "/admin//a/../x", URI_OK, "/admin/x");
	expect(a, "/...", URI_OK, "/...");
	expect(a, "/.a/..b/c..", URI_OK, "/.a/..b/c..");
	expect(a, "/.well-known/acme-challenge/abc", URI_OK, "/.well-known/acme-challenge/abc");
	expect(a, "/a;x=1/b", URI_OK, "/a;x=1/b");
	/* Dot segments to servers that cut parameters off, or that undo escapes of slashes. */
	expect(a, "/a/..;/b", URI_MALFORMED, NULL);
	expect(a, "/a/.%3bx/b", URI_MALFORMED, NULL);
	expect(a, "/a/..%2fb", URI_MALFORMED, NULL);
	expect(a, "/a/b%2f%2e%2e", URI_MALFORMED, NULL);
	expect(a, "/a/b%5c..;x%2fc", URI_MALFORMED, NULL);
	expect(a, "/a\\..\\b", URI_MALFORMED, NULL);
	expect(a, "/a;..%3B..;x/...;/..c%2F..c", URI_ENCODED_SLASH,
	    "/a;..%3B..;x/...;/..c%2F..c");
	expect(a, "/%41%7e%2d", URI_OK, "/A~-");
	expect(a, "/%3a%c3%a9%25", URI_OK, "/%3A%C3%A9%25");
	expect(a, "/%252e%252e/", URI_OK, "/%252e%252e/");
	expect(a, "/a%2fb", URI_ENCODED_SLASH, "/a%2Fb");
	expect(a, "/a%5Cb", URI_ENCODED_SLASH, "/a%5Cb");
	expect(a, "/a\\b..\\", URI_ENCODED_SLASH, "/a%5Cb..%5C");
	expect(a, "/a%2f/../b", URI_ENCODED_SLASH, "/b");
	expect(a, "/%00", URI_MALFORMED, NULL);
	expect(a, "/%", URI_MALFORMED, NULL);
	expect(a, "/%4", URI_MALFORMED, NULL);
	expect(a, "/%4g", URI_MALFORMED, NULL);
	expect(a, "/a b", URI_MALFORMED, NULL);
	expect(a, "/a?b", URI_MALFORMED, NULL);
	expect(a, "/a#b", URI_MALFORMED, NULL);
	expect(a, "/caf\xc3\xa9", URI_MALFORMED, NULL);
}

static void
expect_bare(struct arena *a, const char *path, const char *bare)
{
	struct slice got = SLICE_NONE;

	assert_int_equal(uri_has_parameters(slice_str(path)), strcmp(path, bare) != 0);
	assert_true(uri_without_parameters(slice_str(path), a, &got));
	if (!slice_eq(got, slice_str(bare)))
		fail_msg("%s: " SLICE_FMT ", not %s", path, SLICE_ARG(got), bare);
}

static void
test_parameters(void **state)
{
	struct arena *a = *state;

	expect_bare(a, "/", "/");
	expect_bare(a, "/a/b%20/", "/a/b%20/");
	expect_bare(a, "/a;x", "/a");
	expect_bare(a, "/a;x=1;y/b%3Bz", "/a/b");
	expect_bare(a, "/;x/admin", "/admin");
	expect_bare(a, "/a/;/", "/a/");
	expect_bare(a, "/;", "/");
}

static void
test_strays(void **state)
{
	static const char *const are[] = {"//", "//h/a", "///", "/a/..", "/a/../b", "/a/%2e./b",
	    "/a/.%2E", "/a/b/%2e%2e/", "/./a/../"};
	static const char *const are_not[] = {"/", "/a", "/a//b", "/a/./b", "/a/...", "/..a", "/a../b",
	    "/%2e/", "/a/%2e%2e%2e", "/a/..%20/b"};

	(void)state;
	for (size_t i = 0; i < array_len(are); i++)
		assert_true(uri_strays(slice_str(are[i])));
	for (size_t i = 0; i < array_len(are_not); i++)
		assert_false(uri_strays(slice_str(are_not[i])));
}

/* One odd byte or pair at every place of plain paths of every length about the block size. */
static void
test_every_place(void **state)
{
	static const char *const odd[] = {"//", "/.", "/..", "/./", "%41", "%", " ", "\x7f", "\x80",
	    "\xff", "#", "?", "\\", "\x1f", "~", "!", "|"};
	struct arena *a = *state;
	char buf[128], right[3 * SPEC_PATH_MAX + 1];

	for (size_t len = 1; len < 70; len++) {
		for (size_t at = 1; at <= len; at++) {
			for (size_t k = 0; k < array_len(odd); k++) {
				enum uri_rc want;

				memset(buf, 'a', sizeof(buf));
				buf[0] = '/';
				memcpy(buf + at, odd[k], strlen(odd[k]));
				buf[len + strlen(odd[k])] = '\0';
				want = spec_rc(slice_str(buf), right);
				expect(a, buf, want, right);
			}
		}
		arena_reset(a);
	}
}

static void
test_no_memory(void **state)
{
	struct arena a;
	struct slice path = SLICE_NONE;
	char first[16];

	(void)state;
	arena_init(&a, first, sizeof(first), ARENA_TRY);
	mem_fail_at(1);
	assert_int_equal(uri_canonical(SLICE("/a/./bbbbbbbbbbbbbbbbbbbbbbbbbb"), &a, &path),
	    URI_NO_MEMORY);
	mem_fail_off();
	assert_int_equal(uri_canonical(SLICE("/a/bbbbbbbbbbbbbbbbbbbbbbbbbb"), &a, &path), URI_OK);
	arena_fini(&a);
}

static void
test_authority(void **state)
{
	static const char *const rows[][2] = {
		{"example.com", "example.com"}, {"Example.com:8080", "Example.com"},
		{"example.com.", "example.com"}, {"example.com.:443", "example.com"},
		{"example.com:", "example.com"}, {"[::1]", "[::1]"}, {"[::1]:65535", "[::1]"},
		{"[::ffff:1.2.3.4]:1", "[::ffff:1.2.3.4]"}, {"a_b-c~d", "a_b-c~d"},
		{"1.2.3.4:00080", "1.2.3.4"}, {"a%2fb", "a%2fb"}, {"!$&'()*+;=", "!$&'()*+;="}
	};
	static const char *const none[] = {
		"", ":80", ".", "..", "a:65536", "a:b", "a:8 ", "a:000080", "a:99999999999999999999",
		"::1", "[::1", "[]", "[::1]x", "[::1].", "[1:2]", "[ffff]", "[fe80::1%25eth0]",
		"[0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0]", "u@h", "a b", "a/b", "a,b",
		"a\\b", "a?b", "a#b", "%", "%4", "%4x", "a%x4", "a\x80"
	};
	struct slice host;

	(void)state;
	for (size_t i = 0; i < array_len(rows); i++) {
		if (!uri_split_authority(slice_str(rows[i][0]), &host) ||
		    !slice_eq(host, slice_str(rows[i][1])))
			fail_msg("%s", rows[i][0]);
	}
	for (size_t i = 0; i < array_len(none); i++) {
		if (uri_split_authority(slice_str(none[i]), &host))
			fail_msg("%s", none[i]);
	}
	assert_false(uri_split_authority(slice_of("a\0b", 3), &host));
}

static void
test_query(void **state)
{
	struct slice rest = SLICE("a=1&&b&=x&c=d=e&f=%26&"), name, value;
	static const char *const want[][2] = {
		{"a", "1"}, {"b", ""}, {"", "x"}, {"c", "d=e"}, {"f", "%26"}
	};

	(void)state;
	for (size_t i = 0; i < array_len(want); i++) {
		assert_true(uri_query_next(&rest, &name, &value));
		assert_true(slice_eq(name, slice_str(want[i][0])));
		assert_true(slice_eq(value, slice_str(want[i][1])));
	}
	assert_false(uri_query_next(&rest, &name, &value));
	assert_false(uri_query_next(&rest, &name, &value));
	rest = SLICE_NONE;
	assert_false(uri_query_next(&rest, &name, &value));
}

static void
test_query_bytes(void **state)
{
	struct slice rest = SLICE("a+%2b%7E%7e%00%%4%zz%4g%f"), want = SLICE("a +~~\0%%4%zz%4g%f");
	char c;

	(void)state;
	for (size_t i = 0; i < want.len; i++) {
		assert_true(uri_query_byte(&rest, &c));
		assert_int_equal(c, want.p[i]);
	}
	assert_false(uri_query_byte(&rest, &c));
	rest = SLICE_NONE;
	assert_false(uri_query_byte(&rest, &c));
	assert_true(uri_is_escape(SLICE("%aF1")));
	assert_false(uri_is_escape(SLICE("%a")));
	assert_false(uri_is_escape(SLICE("a%41")));
	assert_false(uri_is_escape(SLICE("%g1")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_table, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_parameters, set_up, tear_down),
		cmocka_unit_test(test_strays),
		cmocka_unit_test_setup_teardown(test_spec, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_every_place, set_up, tear_down),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_authority),
		cmocka_unit_test(test_query),
		cmocka_unit_test(test_query_bytes),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
