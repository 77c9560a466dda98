/* SPDX-License-Identifier: Apache-2.0 */
/* Regular expressions: the dialect, what a match may cost, and the end of memory. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "engine/base/slice.h"
#include "engine/mem/alloc.h"
#include "engine/mem/arena.h"
#include "engine/mem/err.h"
#include "engine/regex/regex.h"

enum {
	SUBJECT_MAX = 8192 /* what a request line may have */
};

#define TWICE(x)	x x

struct fixture {
	struct arena *arena;
	struct regex_work *work;
};

static int
set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->arena = arena_new("test");
	f->work = regex_work_new();
	assert_non_null(f->work);
	*state = f;
	return (0);
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	regex_work_free(&f->work);
	assert_null(f->work);
	regex_work_free(&f->work);
	arena_free(&f->arena);
	free(f);
	return (0);
}

static const struct regex *
compiled(struct fixture *f, const char *pattern, enum regex_flags flags)
{
	const struct regex *re = NULL;

	assert_null(regex_compile(f->arena, slice_str(pattern), MARK_NONE, flags, &re));
	assert_non_null(re);
	return (re);
}

/* With JIT and without: both say the same. */
static enum regex_result
search(struct fixture *f, const char *pattern, struct slice subject, struct regex_captures *c)
{
	enum regex_result plain =
	    regex_search(compiled(f, pattern, REGEX_NO_JIT), f->work, subject, NULL);
	enum regex_result jit =
	    regex_search(compiled(f, pattern, REGEX_DEFAULT), f->work, subject, c);

	assert_int_equal(plain, jit);
	return (jit);
}

static void
test_dialect(void **state)
{
	static const struct {
		const char *pattern;
		struct slice subject;
		enum regex_result want;
	} rows[] = {
		{"^2", SLICE_INIT("2.1"), REGEX_MATCH},
		{"^2", SLICE_INIT("1.2"), REGEX_NO_MATCH},
		{"2", SLICE_INIT("1.2"), REGEX_MATCH},
		{"", SLICE_INIT(""), REGEX_MATCH},
		{"", SLICE_INIT("x"), REGEX_MATCH},
		{"^$", {NULL, 0}, REGEX_MATCH},
		{"x", {NULL, 0}, REGEX_NO_MATCH},
		{"(?i)^/IMG/", SLICE_INIT("/img/a"), REGEX_MATCH},
		{"^/IMG/", SLICE_INIT("/img/a"), REGEX_NO_MATCH},
		/* One string, not lines. */
		{"^/admin$", SLICE_INIT("/admin\n"), REGEX_NO_MATCH},
		{"^/a.b$", SLICE_INIT("/a\nb"), REGEX_MATCH},
		{"^b", SLICE_INIT("a\nb"), REGEX_NO_MATCH},
		{"a$", SLICE_INIT("a\nb"), REGEX_NO_MATCH},
		/* Bytes, valid UTF-8 or not. */
		{"^.$", SLICE_INIT("\xff"), REGEX_MATCH},
		{"^..$", SLICE_INIT("\xc3\xa9"), REGEX_MATCH},
		{"^\xc3\xa9$", SLICE_INIT("\xc3\xa9"), REGEX_MATCH},
		{"^\\w$", SLICE_INIT("\xe9"), REGEX_NO_MATCH},
		{"^a.b$", SLICE_INIT("a\0b"), REGEX_MATCH},
		{"\\.(png|jpg)$", SLICE_INIT("/i/a.jpg"), REGEX_MATCH},
		{"^(?!/private)", SLICE_INIT("/private/x"), REGEX_NO_MATCH},
		{"(?<=/)x", SLICE_INIT("/x"), REGEX_MATCH},
		{"^(a+)/\\1$", SLICE_INIT("aa/aa"), REGEX_MATCH},
		{"^(a+)/\\1$", SLICE_INIT("aa/a"), REGEX_NO_MATCH},
		{"^[0-9a-f]{8}$", SLICE_INIT("0123abcd"), REGEX_MATCH},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(search(f, rows[i].pattern, rows[i].subject, NULL), rows[i].want);
}

static void
assert_slice(struct slice s, const char *want)
{
	assert_true(slice_eq(s, slice_str(want)));
}

static void
test_captures(void **state)
{
	struct fixture *f = *state;
	struct regex_captures c;

	assert_int_equal(search(f, "/(\\d+)/(x)?(y)?/(.*)$", SLICE("/a/42/y/tail"), &c),
	    REGEX_MATCH);
	assert_slice(c.at[0], "/42/y/tail");
	assert_slice(c.at[1], "42");
	assert_slice(c.at[2], "");
	assert_slice(c.at[3], "y");
	assert_slice(c.at[4], "tail");
	for (size_t i = 5; i < REGEX_CAPTURES; i++)
		assert_slice(c.at[i], "");
	/* More than there is room for: the first ten are there. */
	assert_int_equal(search(f, "(a)(b)(c)(d)(e)(f)(g)(h)(i)(j)(k)", SLICE("xabcdefghijk"), &c),
	    REGEX_MATCH);
	assert_slice(c.at[0], "abcdefghijk");
	assert_slice(c.at[9], "i");
	assert_int_equal(regex_groups(compiled(f, "(a)(b)(c)(d)(e)(f)(g)(h)(i)(j)(k)", 0)), 11);
	assert_int_equal(regex_groups(compiled(f, "(?:a)|(?<name>b)", 0)), 1);
	assert_slice(regex_pattern(compiled(f, "^a(b)", 0)), "^a(b)");
	/* A match that moves its own start. */
	assert_int_equal(search(f, "foo\\Kbar", SLICE("foobar"), &c), REGEX_MATCH);
	assert_slice(c.at[0], "bar");
}

static void
test_wrong_patterns(void **state)
{
	static const struct {
		const char *pattern;
		const char *says;
		const char *where;
	} rows[] = {
		{"a(b", "missing closing parenthesis", "at byte 3 "},
		{"ab)c", "unmatched closing parenthesis", "at byte 2 "},
		{"[a-", "missing terminating ]", "at byte 3 "},
		{"*a", "quantifier does not follow a repeatable item", "at byte 0 "},
		{"(*UTF)a", "UTF is disabled", "at byte "},
		{"a\\", "\\ at end of pattern", "at byte 2 "},
		{"(?<n>a)(?<n>b)", "two named subpatterns have the same name", "at byte "},
		{"(((a{1000}){1000}){1000})", "regular expression is too large", "at byte "},
	};
	struct fixture *f = *state;
	const struct mark mark = {"a.yaml", 3, 4};
	char long_one[REGEX_PATTERN_MAX + 1];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct regex *re = NULL;
		struct err *err =
		    regex_compile(f->arena, slice_str(rows[i].pattern), mark, 0, &re);

		assert_non_null(err);
		assert_null(re);
		assert_int_equal(err->code, ERR_INVALID);
		assert_int_equal(err->mark.line, 3);
		assert_non_null(strstr(err->what, rows[i].says));
		assert_non_null(strstr(err->what, rows[i].where));
	}
	memset(long_one, 'a', sizeof(long_one));
	for (size_t n = REGEX_PATTERN_MAX; n <= sizeof(long_one); n++) {
		const struct regex *re = NULL;
		struct err *err = regex_compile(f->arena, slice_of(long_one, n), mark, 0, &re);

		assert_int_equal(err == NULL, n == REGEX_PATTERN_MAX);
		assert_int_equal(re != NULL, n == REGEX_PATTERN_MAX);
	}
}

/* CPU time of this thread in nanoseconds. */
static uint64_t
cpu_ns(void)
{
	struct timespec t;

	assert_int_equal(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t), 0);
	return ((uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec);
}

/* No pattern takes long. The time asked for here is that of a slow machine under a sanitizer; a
   match that nobody counts takes from tenths of a second to years on these. */
static void
assert_bounded(struct fixture *f, const char *pattern, struct slice subject, bool is_limit)
{
	for (enum regex_flags flags = REGEX_DEFAULT; flags <= REGEX_NO_JIT; flags++) {
		const struct regex *re = compiled(f, pattern, flags);
		const uint64_t bound_ns = 50u * 1000 * 1000;
		uint64_t best = UINT64_MAX;

		for (int i = 0; i < 5; i++) {
			uint64_t before = cpu_ns(), took;
			enum regex_result r = regex_search(re, f->work, subject, NULL);

			took = cpu_ns() - before;
			best = took < best ? took : best;
			assert_int_equal(r == REGEX_LIMIT, is_limit);
		}
		if (best > bound_ns)
			fail_msg("%s: %llu ns", pattern, (unsigned long long)best);
	}
}

static void
test_bombs(void **state)
{
	static const char *const patterns[] = {
		"(a+)+$",
		"^(a|a)*$",
		"^(a|aa)+$",
		"^(\\w+\\s?)*$",
		"(.*)*[bc]",
		"(?:a?){60}a{60}[bc]$",
		"^" TWICE(TWICE(TWICE(TWICE(TWICE("(?:a|a)"))))) "[bc]",
		/* Polynomial: each place where a match may begin costs the rest of the subject. */
		"a*[bc]",
		"a*a*a*a*[bc]",
		"[a-z]*[0-9a-f]*[?]*[bc]",
		/* What goes over bytes without a call. */
		"(a*)\\1[bc]",
		"(?<x>a*)\\k<x>[bc]",
		"a{4000}[bc]",
		"\\w{ 4000}[bc]|\\w{4000}[bc]",
		"(?=(a+))\\1[bc]",
		"(a(?1)?)+[bc]",
		"(?>a+)[bc]",
		"a++[bc]",
		"(?=a+[bc])",
		"(?!a+[bc]|a+!$)(?=a+[bc])",
	};
	struct fixture *f = *state;
	char bytes[SUBJECT_MAX];

	memset(bytes, 'a', sizeof(bytes));
	bytes[sizeof(bytes) - 1] = '!';
	for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++)
		assert_bounded(f, patterns[i], slice_of(bytes, sizeof(bytes)), true);
}

/* What a file may sensibly say is far from the limit, on the longest subjects too. */
static void
test_honest_ones(void **state)
{
	static const char *const patterns[] = {
		"^/img/(.*)$",
		"\\.(png|jpe?g|gif)$",
		"^/users/[0-9]+/orders/[0-9]+",
		"^/[^/]+/[^/]+/edit$",
		"/v[0-9]+/",
		"^(?:/[a-z]+)*/?$",
	};
	struct fixture *f = *state;
	char bytes[SUBJECT_MAX];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = i % 8 == 0 ? '/' : 'a';
	for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++)
		assert_bounded(f, patterns[i], slice_of(bytes, sizeof(bytes)), false);
}

/* Deep, not long: what a match remembers is bounded too, which an interpreted one feels first. */
static void
test_deep(void **state)
{
	const char *pattern = "^(\\((?1)*\\))$";
	struct fixture *f = *state;
	char bytes[SUBJECT_MAX];
	struct slice deep = {bytes, sizeof(bytes)};

	memset(bytes, '(', sizeof(bytes));
	bytes[sizeof(bytes) - 1] = ')';
	assert_int_equal(regex_search(compiled(f, pattern, REGEX_NO_JIT), f->work, deep, NULL),
	    REGEX_LIMIT);
	assert_int_equal(regex_search(compiled(f, pattern, REGEX_DEFAULT), f->work, deep, NULL),
	    regex_is_jit(compiled(f, pattern, REGEX_DEFAULT)) ? REGEX_NO_MATCH : REGEX_LIMIT);
	assert_int_equal(search(f, pattern, SLICE("((()()))"), NULL), REGEX_MATCH);
}

static void
test_allocates_nothing(void **state)
{
	struct fixture *f = *state;
	char bytes[SUBJECT_MAX];
	struct regex_captures c;

	memset(bytes, 'a', sizeof(bytes));
	for (enum regex_flags flags = REGEX_DEFAULT; flags <= REGEX_NO_JIT; flags++) {
		const struct regex *re = compiled(f, "^(a|b)*(c)?$", flags);
		uint64_t before = 0;

		for (int i = 0; i < 3; i++) {
			before = i == 1 ? mem_alloc_count() : before;
			(void)regex_search(re, f->work, slice_of(bytes, 1000), &c);
			(void)regex_search(re, f->work, slice_of(bytes, sizeof(bytes)), &c);
		}
		assert_int_equal(mem_alloc_count(), before);
	}
}

/* Did the trap catch the end of memory at the nth allocation? */
static bool
is_caught_at(uint64_t nth)
{
	struct arena *arena = arena_new("test");
	struct mem_trap trap;
	const struct regex *re = NULL;

	if (MEM_TRAP_ENTER(&trap)) {
		assert_true(mem_fail_hit());
		arena_free(&arena);
		return (true);
	}
	mem_fail_at(nth);
	assert_null(regex_compile(arena, SLICE("^/(a|b)/([0-9]+)$"), MARK_NONE, 0, &re));
	mem_trap_leave(&trap);
	assert_false(mem_fail_hit());
	mem_fail_off();
	assert_int_equal(regex_groups(re), 2);
	arena_free(&arena);
	return (false);
}

/* Each allocation fails once: nothing is half made, nothing is lost. */
static void
test_no_memory(void **state)
{
	uint64_t nth = 1;
	bool is_hit = true;

	(void)state;
	while (is_caught_at(nth))
		nth++;
	assert_true(nth > 4);
	for (nth = 1; is_hit; nth++) {
		struct regex_work *work;

		mem_fail_at(nth);
		work = regex_work_new();
		is_hit = mem_fail_hit();
		mem_fail_off();
		assert_true(is_hit || work != NULL);
		regex_work_free(&work);
	}
	assert_true(nth > 4);
}

static void
test_library(void **state)
{
	(void)state;
	assert_int_equal(strncmp(regex_library(), "pcre2 10.", 9), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_dialect, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_captures, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_wrong_patterns, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bombs, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_honest_ones, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_deep, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_allocates_nothing, set_up, tear_down),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_library),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
