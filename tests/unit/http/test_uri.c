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

/*
 * The executable spec, with other means than the parser: first the escapes, then a stack of
 * segments. Slow, and hopefully plain to see.
 */
enum { SPEC_MAX = 512 };

struct spec {
	char		 text[4 * SPEC_MAX];	/* after the escapes */
	size_t		 len;
	bool		 encoded_slash;
	char		 path[4 * SPEC_MAX];
	size_t		 path_len;
};

static bool
is_unreserved(unsigned c)
{
	return ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	    (c < 128 && c > 0 && strchr("-._~", (int)c) != NULL));
}

static bool
spec_escapes(struct spec *s, struct slice raw)
{
	char hex[3] = "", *end;
	unsigned c;

	s->len = 0;
	s->encoded_slash = false;
	for (size_t i = 0; i < raw.len; i++) {
		c = (uint8_t)raw.p[i];
		if (c <= ' ' || c >= 127 || c == '?' || c == '#')
			return (false);
		if (c != '%' && c != '\\') {
			s->text[s->len++] = (char)c;
			continue;
		}
		if (c == '%') {
			if (raw.len - i < 3 || strspn(slice_of(raw.p + i + 1, 2).p,
			    "0123456789abcdefABCDEF") < 2)
				return (false);
			memcpy(hex, raw.p + i + 1, 2);
			c = (unsigned)strtoul(hex, &end, 16);
			i += 2;
		}
		if (c == 0)
			return (false);
		s->encoded_slash |= c == '/' || c == '\\';
		if (is_unreserved(c))
			s->text[s->len++] = (char)c;
		else
			s->len += (size_t)snprintf(s->text + s->len, 4, "%%%02X", c);
	}
	return (true);
}

/* The segments that are left, as indices into the text; an empty one may not be climbed over. */
static bool
spec_segments(struct spec *s)
{
	struct slice rest = slice_of(s->text + 1, s->len - 1), stack[2 * SPEC_MAX], seg;
	size_t n = 0;

	while (slice_split(&rest, '/', &seg)) {
		bool is_last = rest.p == NULL, dots = true;

		if (slice_eq(seg, SLICE(".."))) {
			if (n == 0 || stack[n - 1].len == 0)
				return (false);
			n--;
		} else if (!slice_eq(seg, SLICE("."))) {
			stack[n++] = seg;
			dots = false;
		}
		if (dots && is_last)
			stack[n++] = slice_of("", 0);
	}
	s->path_len = 0;
	for (size_t i = 0; i < n; i++) {
		if (stack[i].len == 0 && i + 1 < n)
			continue;
		s->path[s->path_len++] = '/';
		memcpy(s->path + s->path_len, stack[i].p, stack[i].len);
		s->path_len += stack[i].len;
	}
	return (true);
}

static enum uri_rc
spec_canonical(struct spec *s, struct slice raw)
{
	if (raw.len == 0 || raw.p[0] != '/' || !spec_escapes(s, raw) || !spec_segments(s))
		return (URI_MALFORMED);
	return (s->encoded_slash ? URI_ENCODED_SLASH : URI_OK);
}

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
	char buf[SPEC_MAX];
	struct spec spec;
	struct rnd rnd;

	rnd_init_seed(&rnd, 42);
	for (unsigned i = 0; i < 1000000; i++) {
		struct slice raw = random_path(&rnd, buf), path = SLICE_NONE, again = SLICE_NONE;
		enum uri_rc want, rc;

		buf[raw.len] = '\0';
		want = spec_canonical(&spec, raw);
		rc = uri_canonical(raw, a, &path);
		seen[rc]++;
		if (rc != want)
			fail_msg("%s: %d, not %d", buf, (int)rc, (int)want);
		if (rc == URI_MALFORMED)
			continue;
		if (!slice_eq(path, slice_of(spec.path, spec.path_len)))
			fail_msg("%s: " SLICE_FMT ", not %.*s", buf, SLICE_ARG(path),
			    (int)spec.path_len, spec.path);
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
	expect(a, "/a;x=1/..;/b", URI_OK, "/a;x=1/..;/b");
	expect(a, "/%41%7e%2d", URI_OK, "/A~-");
	expect(a, "/%3a%c3%a9%25", URI_OK, "/%3A%C3%A9%25");
	expect(a, "/%252e%252e/", URI_OK, "/%252e%252e/");
	expect(a, "/a%2fb", URI_ENCODED_SLASH, "/a%2Fb");
	expect(a, "/a%5Cb", URI_ENCODED_SLASH, "/a%5Cb");
	expect(a, "/a\\..\\b", URI_ENCODED_SLASH, "/a%5C..%5Cb");
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

/* One odd byte or pair at every place of plain paths of every length about the block size. */
static void
test_every_place(void **state)
{
	static const char *const odd[] = {"//", "/.", "/..", "/./", "%41", "%", " ", "\x7f", "\x80",
	    "\xff", "#", "?", "\\", "\x1f", "~", "!", "|"};
	struct arena *a = *state;
	struct spec spec;
	char buf[128];

	for (size_t len = 1; len < 70; len++) {
		for (size_t at = 1; at <= len; at++) {
			for (size_t k = 0; k < array_len(odd); k++) {
				enum uri_rc want;

				memset(buf, 'a', sizeof(buf));
				buf[0] = '/';
				memcpy(buf + at, odd[k], strlen(odd[k]));
				buf[len + strlen(odd[k])] = '\0';
				want = spec_canonical(&spec, slice_str(buf));
				spec.path[want == URI_MALFORMED ? 0 : spec.path_len] = '\0';
				expect(a, buf, want, spec.path);
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
		cmocka_unit_test_setup_teardown(test_spec, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_every_place, set_up, tear_down),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_authority),
		cmocka_unit_test(test_query),
		cmocka_unit_test(test_query_bytes),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
