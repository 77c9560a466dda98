/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "engine/base/cc.h"
#include "engine/base/rnd.h"
#include "engine/mem/alloc.h"
#include "engine/mem/arena.h"
#include "engine/proxy/router.h"
#include "engine/proxy/router_trace.h"

#define GET	((uint64_t)1 << METHOD_GET)
#define POST	((uint64_t)1 << METHOD_POST)
#define HEAD	((uint64_t)1 << METHOD_HEAD)

enum { RULES_MAX = 64, HOSTS_MAX = 4, FIELDS_MAX = 3 };

struct fixture {
	struct arena		*arena;
	struct route		 routes[RULES_MAX];
	struct router_rule	 rules[RULES_MAX];
	struct slice		 hosts[RULES_MAX][HOSTS_MAX];
	struct router_field	 fields[RULES_MAX][FIELDS_MAX];
	struct regex_work	*work;
	unsigned		 n;
	unsigned		 n_reports;
	const struct router_rule *rule;		/* of the last report */
	const struct router_rule *other;
	const char		*what;
};

static int
set_up(void **state)
{
	static struct fixture f;

	memset(&f, 0, sizeof(f));
	f.arena = arena_new("test");
	f.work = regex_work_new();
	assert_non_null(f.work);
	*state = &f;
	return (0);
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	arena_free(&f->arena);
	regex_work_free(&f->work);
	return (0);
}

static void
on_report(void *arg, const struct router_rule *rule, const struct router_rule *other,
    const char *what)
{
	struct fixture *f = arg;

	f->n_reports++;
	f->rule = rule;
	f->other = other;
	f->what = what;
}

static void
clear(struct fixture *f)
{
	arena_reset(f->arena);
	f->n = f->n_reports = 0;
	memset(f->rules, 0, sizeof(f->rules));
}

/* A rule; host may be NULL; a path that begins with '=' is exact. */
static struct router_rule *
add(struct fixture *f, const char *host, const char *path, uint64_t methods)
{
	struct router_rule *r = &f->rules[f->n];

	memset(r, 0, sizeof(*r));
	r->route = &f->routes[f->n];
	r->hosts = f->hosts[f->n];
	r->fields = f->fields[f->n];
	if (host != NULL)
		f->hosts[f->n][r->n_hosts++] = slice_str(host);
	if (path[0] == '=')
		r->path = slice_str(path + 1);
	else
		r->prefix = slice_str(path);
	r->methods = methods;
	f->n++;
	return (r);
}

static struct router *
build(struct fixture *f)
{
	f->n_reports = 0;
	return (router_build(f->arena, f->rules, f->n, on_report, f));
}

static const struct route *
look_up(const struct fixture *f, const struct router *r, struct slice host, struct slice path,
    struct slice method, unsigned listener)
{
	struct router_request req = { .host = host, .path = path, .method_text = method,
		.regex = f->work, .method = method_of(method), .listener = listener };
	const struct route *route = NULL;
	enum router_rc rc = router_find(r, &req, &route);

	assert_int_not_equal(rc, ROUTER_LIMIT);
	assert_int_equal(rc == ROUTER_FOUND, route != NULL);
	return (route);
}

/* Index of the route, or -1. */
static int
find(const struct fixture *f, const struct router *r, const char *host, const char *path,
    const char *method)
{
	const struct route *found = look_up(f, r, slice_str(host), slice_str(path),
	    slice_str(method), 0);

	return (found == NULL ? -1 : (int)(found - f->routes));
}

static void
test_empty(void **state)
{
	struct fixture *f = *state;
	struct router *r = build(f);

	assert_non_null(r);
	assert_int_equal(find(f, r, "", "/", "GET"), -1);
	assert_int_equal(find(f, r, "a.b.c", "/x/y", "GET"), -1);
}

static void
test_paths(void **state)
{
	struct fixture *f = *state;
	struct router *r;

	add(f, NULL, "/", 0);
	add(f, NULL, "/v1/users/", 0);
	add(f, NULL, "/v1", 0);
	add(f, NULL, "=/v1/users/me", 0);
	add(f, NULL, "=/v2/", 0);
	add(f, NULL, "/v1/users/a-very-long-segment-of-a-path", 0);
	r = build(f);
	assert_non_null(r);
	assert_int_equal(find(f, r, "", "/", "GET"), 0);
	assert_int_equal(find(f, r, "", "/x", "GET"), 0);
	assert_int_equal(find(f, r, "", "/v1x", "GET"), 0);
	assert_int_equal(find(f, r, "", "/v1", "GET"), 2);
	assert_int_equal(find(f, r, "", "/v1/", "GET"), 2);
	assert_int_equal(find(f, r, "", "/v1/usersx", "GET"), 2);
	assert_int_equal(find(f, r, "", "/v1/users", "GET"), 1);
	assert_int_equal(find(f, r, "", "/v1/users/", "GET"), 1);
	assert_int_equal(find(f, r, "", "/v1/users/7/x/y/z/a/b/c", "GET"), 1);
	assert_int_equal(find(f, r, "", "/v1/users/me", "GET"), 3);
	assert_int_equal(find(f, r, "", "/v1/users/me/", "GET"), 1);
	assert_int_equal(find(f, r, "", "/v2", "GET"), 0);
	assert_int_equal(find(f, r, "", "/v2/", "GET"), 4);
	assert_int_equal(find(f, r, "", "/v1/users/a-very-long-segment-of-a-path/1", "GET"), 5);
	assert_int_equal(find(f, r, "", "/v1/users/a-very-long-segment-of-a-patH/1", "GET"), 1);
}

static void
test_hosts(void **state)
{
	struct fixture *f = *state;
	struct router *r;

	add(f, NULL, "/everywhere", 0);
	add(f, "api.example.com", "/v1", 0);
	add(f, "*.example.com", "/", 0);
	add(f, "*.b.example.com", "/", 0);
	add(f, "[::1]", "/", 0);
	add(f, "*.example.com", "/v1", 0);
	r = build(f);
	assert_non_null(r);
	assert_int_equal(find(f, r, "api.example.com", "/v1/x", "GET"), 1);
	assert_int_equal(find(f, r, "API.Example.COM", "/v1/x", "GET"), 1);
	assert_int_equal(find(f, r, "api.example.com:8080", "/v1/x", "GET"), 1);
	assert_int_equal(find(f, r, "api.example.com.", "/v1/x", "GET"), 1);
	assert_int_equal(find(f, r, "api.example.com.:80", "/v1/x", "GET"), 1);
	/* No path there fits: the wildcard competes, then the rules without hosts. */
	assert_int_equal(find(f, r, "api.example.com", "/v2", "GET"), 2);
	assert_int_equal(find(f, r, "x.example.com", "/everywhere", "GET"), 2);
	assert_int_equal(find(f, r, "a.b.example.com", "/v1", "GET"), 3);
	assert_int_equal(find(f, r, "b.example.com", "/v1", "GET"), 5);
	assert_int_equal(find(f, r, "z.y.x.example.com", "/v1", "GET"), 5);
	assert_int_equal(find(f, r, "example.com", "/v1", "GET"), -1);
	assert_int_equal(find(f, r, "example.com", "/everywhere", "GET"), 0);
	assert_int_equal(find(f, r, ".example.com", "/v1", "GET"), -1);
	assert_int_equal(find(f, r, "xexample.com", "/v1", "GET"), -1);
	assert_int_equal(find(f, r, "[::1]", "/", "GET"), 4);
	assert_int_equal(find(f, r, "[::1]:80", "/", "GET"), 4);
	assert_int_equal(find(f, r, "[::2]", "/", "GET"), -1);
	assert_int_equal(find(f, r, "", "/everywhere", "GET"), 0);
	assert_int_equal(find(f, r, "", "/", "GET"), -1);
	assert_int_equal(find(f, r, ".", "/everywhere", "GET"), 0);
	assert_int_equal(find(f, r, ":80", "/everywhere", "GET"), 0);
}

/* Suffixes of more labels than there are bits, and names with many more. */
/* Short texts lie in the tables, long ones elsewhere. */
static void
test_lengths(void **state)
{
	enum { FIRST = 24, LAST = 56, BYTES = 64 };
	static char hosts[LAST + 1][BYTES], paths[LAST + 1][BYTES];
	struct fixture *f = *state;
	struct router *r;

	for (int n = FIRST; n <= LAST; n++) {
		(void)memset(hosts[n], 'a', (size_t)n);
		(void)memset(paths[n], 'b', (size_t)n);
		paths[n][0] = '/';
		add(f, hosts[n], paths[n], 0);
	}
	r = build(f);
	assert_non_null(r);
	for (int n = FIRST; n <= LAST; n++) {
		assert_int_equal(find(f, r, hosts[n], paths[n], "GET"), n - FIRST);
		assert_int_equal(find(f, r, hosts[n], paths[n == FIRST ? LAST : n - 1], "GET"), -1);
		hosts[n][n - 1] = 'x';
		assert_int_equal(find(f, r, hosts[n], paths[n], "GET"), -1);
		hosts[n][n - 1] = 'A';
		assert_int_equal(find(f, r, hosts[n], paths[n], "GET"), n - FIRST);
		paths[n][n - 1] = 'x';
		assert_int_equal(find(f, r, hosts[n], paths[n], "GET"), -1);
		paths[n][n - 1] = 'b';
		hosts[n][n - 1] = 'a';
	}
}

static void
test_many_labels(void **state)
{
	struct fixture *f = *state;
	char many[254], pattern[2 * 80 + 2];
	struct router *r;

	for (unsigned i = 0; i < sizeof(many); i++)
		many[i] = "a."[i % 2];
	many[sizeof(many) - 1] = '\0';
	(void)snprintf(pattern, sizeof(pattern), "*.%s", many + sizeof(many) - 1 - (2 * 80 - 1));
	add(f, pattern, "/", 0);
	add(f, "*.a.a", "/", 0);
	add(f, NULL, "/", 0);
	r = build(f);
	assert_non_null(r);
	assert_int_equal(find(f, r, many, "/", "GET"), 0);
	assert_int_equal(find(f, r, pattern + 2, "/", "GET"), 1);
	assert_int_equal(find(f, r, pattern + 4, "/", "GET"), 1);
	assert_int_equal(find(f, r, "a.a.a", "/", "GET"), 1);
	assert_int_equal(find(f, r, "a.a", "/", "GET"), 2);
}

static void
test_methods(void **state)
{
	static const struct slice purge[] = {SLICE_INIT("PURGE"), SLICE_INIT("PUT")};
	struct fixture *f = *state;
	struct router_rule *rule;
	struct router *r;

	add(f, NULL, "/a", 0);
	add(f, NULL, "/a", GET | POST);
	add(f, NULL, "/a/b", GET);
	rule = add(f, NULL, "/p", 0);
	rule->method_names = purge;
	rule->n_method_names = 2;
	r = build(f);
	assert_non_null(r);
	assert_int_equal(find(f, r, "", "/a", "GET"), 1);
	assert_int_equal(find(f, r, "", "/a", "POST"), 1);
	assert_int_equal(find(f, r, "", "/a", "HEAD"), 0);
	assert_int_equal(find(f, r, "", "/a", "FROB"), 0);
	assert_int_equal(find(f, r, "", "/a/b", "GET"), 2);
	/* The longer prefix does not take it: the shorter one does. */
	assert_int_equal(find(f, r, "", "/a/b", "HEAD"), 0);
	assert_int_equal(find(f, r, "", "/p", "PURGE"), 3);
	assert_int_equal(find(f, r, "", "/p", "PUT"), 3);
	assert_int_equal(find(f, r, "", "/p", "purge"), -1);
	assert_int_equal(find(f, r, "", "/p", "GET"), -1);
}

static void
test_listeners(void **state)
{
	struct fixture *f = *state;
	struct router *r;

	add(f, NULL, "/", 0)->listeners = 1;
	add(f, NULL, "/", 0)->listeners = (uint64_t)1 << 63;
	r = build(f);
	assert_non_null(r);
	assert_ptr_equal(look_up(f, r, SLICE_NONE, SLICE("/"), SLICE("GET"), 0),
	    &f->routes[0]);
	assert_ptr_equal(look_up(f, r, SLICE_NONE, SLICE("/"), SLICE("GET"), 63),
	    &f->routes[1]);
	assert_null(look_up(f, r, SLICE_NONE, SLICE("/"), SLICE("GET"), 5));
}

/* Builds, expects one report about these two, and starts again. */
static void
expect_report(struct fixture *f, const struct router_rule *rule, const struct router_rule *other)
{
	assert_null(build(f));
	assert_int_equal(f->n_reports, 1);
	assert_ptr_equal(f->rule, rule);
	assert_ptr_equal(f->other, other);
	assert_non_null(f->what);
	clear(f);
}

static void
expect_fine(struct fixture *f)
{
	assert_non_null(build(f));
	assert_int_equal(f->n_reports, 0);
	clear(f);
}

static void
test_ties(void **state)
{
	static const struct slice purge = SLICE_INIT("PURGE"), frob = SLICE_INIT("FROB");
	struct fixture *f = *state;
	struct router_rule *a, *b;

	a = add(f, NULL, "/a", 0);
	b = add(f, NULL, "/a/", 0);
	expect_report(f, b, a);
	a = add(f, NULL, "/", 0);
	b = add(f, NULL, "", 0);
	expect_report(f, b, a);
	a = add(f, "x.y", "=/a", GET | POST);
	b = add(f, "X.y.", "=/a", GET | HEAD);
	expect_report(f, b, a);
	a = add(f, "x.y", "/", 0);
	f->hosts[0][a->n_hosts++] = SLICE("z.y");
	b = add(f, "z.y", "/", 0);
	f->hosts[1][b->n_hosts++] = SLICE("x.y");
	expect_report(f, b, a);
	a = add(f, NULL, "/", 0);
	b = add(f, NULL, "/", 0);
	b->listeners = 2;
	expect_report(f, b, a);
	a = add(f, NULL, "/", 0);
	b = add(f, NULL, "/", 0);
	a->method_names = b->method_names = &purge;
	a->n_method_names = b->n_method_names = 1;
	expect_report(f, b, a);

	add(f, NULL, "/a", 0);
	add(f, NULL, "=/a", 0);
	add(f, "h", "/a", 0);
	add(f, "*.h", "/a", 0);
	add(f, NULL, "/a", GET);
	add(f, NULL, "/a", POST);
	a = add(f, NULL, "/a", 0);
	a->method_names = &purge;
	a->n_method_names = 1;
	a = add(f, NULL, "/a", 0);
	a->method_names = &frob;
	a->n_method_names = 1;
	expect_fine(f);
	/* The same host twice in one rule is no tie with itself. */
	a = add(f, "h", "/a", 0);
	f->hosts[0][a->n_hosts++] = SLICE("H");
	expect_fine(f);
}

static void
test_unreachable(void **state)
{
	static const char *const paths[] = {"a", "/a//b", "=/a/./b", "/%61", "/%2f", "=/a b", "/a/.."};
	static const char *const hosts[] = {"", "*", "*.", "a.*.b", "*.*.b", ".a"};
	struct fixture *f = *state;
	char deep[2 * 64 + 1], wide[300];

	for (unsigned i = 0; i < array_len(paths); i++)
		expect_report(f, add(f, NULL, paths[i], 0), NULL);
	for (unsigned i = 0; i < array_len(hosts); i++)
		expect_report(f, add(f, hosts[i], "/", 0), NULL);
	memset(wide, 'a', sizeof(wide));
	wide[256] = '\0';
	expect_report(f, add(f, wide, "/", 0), NULL);
	for (unsigned i = 0; i < sizeof(deep) - 1; i++)
		deep[i] = "/a"[i % 2];
	deep[sizeof(deep) - 1] = '\0';
	expect_report(f, add(f, NULL, deep, 0), NULL);
	deep[2 * 63] = '\0';
	expect_fine(f);
	add(f, NULL, "/%2F", 0);
	expect_fine(f);
}

/* Prefixes of 63 segments, exact paths of more, requests of even more. */
static void
test_deep(void **state)
{
	struct fixture *f = *state;
	char prefix[2 * 63 + 1], exact[2 * 100 + 2], longer[8192];
	struct router *r;

	for (unsigned i = 0; i < sizeof(longer); i++)
		longer[i] = "/a"[i % 2];
	longer[sizeof(longer) - 1] = '\0';
	(void)snprintf(prefix, sizeof(prefix), "%.*s", 2 * 63, longer);
	(void)snprintf(exact, sizeof(exact), "=%.*s", 2 * 100, longer);
	add(f, NULL, prefix, 0);
	add(f, NULL, exact, 0);
	add(f, NULL, "/a", 0);
	r = build(f);
	assert_non_null(r);
	assert_int_equal(find(f, r, "", longer, "GET"), 0);
	assert_int_equal(find(f, r, "", exact + 1, "GET"), 1);
	longer[2 * 63] = '\0';
	assert_int_equal(find(f, r, "", longer, "GET"), 0);
	longer[2 * 63 - 1] = '\0';
	assert_int_equal(find(f, r, "", longer, "GET"), 2);
}

static void
test_memory_fails(void **state)
{
	struct fixture *f = *state;
	static struct mem_trap trap;
	volatile unsigned n = 0;
	volatile bool done = false;

	for (unsigned i = 0; i < RULES_MAX; i++)
		add(f, i % 2 ? "h" : NULL, "/a", i < 2 ? 0 : (uint64_t)1 << (i % 8 + 1))->listeners =
		    i < 2 ? 0 : (uint64_t)1 << i;
	while (!done) {
		struct arena *a = arena_new("fails");

		mem_fail_at(++n);
		if (MEM_TRAP_ENTER(&trap)) {
			mem_fail_off();
			arena_free(&a);
			continue;
		}
		assert_non_null(router_build(a, f->rules, f->n, NULL, NULL));
		mem_trap_leave(&trap);
		done = !mem_fail_hit();
		mem_fail_off();
		arena_free(&a);
	}
	assert_true(n > 1);
}

/* ---- header fields, query, expressions ---- */

static const struct regex *
pattern(struct fixture *f, const char *text)
{
	const struct regex *re = NULL;

	assert_null(regex_compile(f->arena, slice_str(text), MARK_NONE, 0, &re));
	return (re);
}

/* Adds what is asked to the latest rule: a name that begins with '?' is of the query. */
static void
ask(struct fixture *f, const char *name, enum router_field_kind kind, const char *value)
{
	struct router_rule *r = &f->rules[f->n - 1];
	struct router_field *field = &f->fields[f->n - 1][r->n_fields++];

	memset(field, 0, sizeof *field);
	field->is_query = name[0] == '?';
	field->name = slice_str(name + (name[0] == '?'));
	field->kind = (uint8_t)kind;
	if (kind == ROUTER_FIELD_REGEX)
		field->regex = pattern(f, value);
	else
		field->value = slice_str(value);
}

/* Index of the route, -1: none, -2: the limit. `lines` are names and values in turn. */
static int
find_with(struct fixture *f, const struct router *r, const char *path, const char *query,
    const char *const *lines)
{
	struct router_request req = { .path = slice_str(path), .query = slice_str(query),
		.method = METHOD_GET, .method_text = SLICE("GET"), .regex = f->work };
	const struct route *route = NULL;
	struct headers headers;

	headers_init(&headers, f->arena);
	for (; lines != NULL && *lines != NULL; lines += 2)
		assert_true(headers_add(&headers, slice_str(lines[0]), slice_str(lines[1])));
	(void)headers_mark_hop_by_hop(&headers);
	req.headers = &headers;
	switch (router_find(r, &req, &route)) {
	case ROUTER_FOUND:
		return ((int)(route - f->routes));
	case ROUTER_NONE:
		return (-1);
	case ROUTER_LIMIT:
		return (-2);
	}
	return (-3);
}

#define LINES(...)	((const char *const[]){ __VA_ARGS__, NULL })

static void
test_fields(void **state)
{
	struct fixture *f = *state;
	struct router *r;

	add(f, NULL, "/", 0);
	add(f, NULL, "/", 0);
	ask(f, "X-Beta", ROUTER_FIELD_IS, "1");
	add(f, NULL, "/", 0);
	ask(f, "x-beta", ROUTER_FIELD_IS, "2");
	ask(f, "Accept", ROUTER_FIELD_PREFIX, "text/");
	add(f, NULL, "/", 0);
	ask(f, "X-Beta", ROUTER_FIELD_ABSENT, "");
	ask(f, "Cookie", ROUTER_FIELD_REGEX, "(^|; )a=1(;|$)");
	ask(f, "X-Debug", ROUTER_FIELD_PRESENT, "");
	r = build(f);
	assert_non_null(r);
	assert_int_equal(find_with(f, r, "/", "", NULL), 0);
	assert_int_equal(find_with(f, r, "/", "", LINES("x-BETA", "1")), 1);
	assert_int_equal(find_with(f, r, "/", "", LINES("X-Beta", "1x")), 0);
	assert_int_equal(find_with(f, r, "/", "", LINES("X-Beta", "")), 0);
	assert_int_equal(find_with(f, r, "/", "", LINES("X-Beta", "0", "X-Beta", "1")), 1);
	assert_int_equal(find_with(f, r, "/", "", LINES("X-Beta", "0, 1")), 0);
	assert_int_equal(find_with(f, r, "/", "", LINES("X-Beta", "2")), 0);
	assert_int_equal(find_with(f, r, "/", "", LINES("X-Beta", "2", "Accept", "text/html")), 2);
	assert_int_equal(find_with(f, r, "/", "", LINES("X-Beta", "2", "Accept", "text")), 0);
	assert_int_equal(find_with(f, r, "/", "", LINES("Cookie", "b=1; a=1", "X-Debug", "")), 3);
	assert_int_equal(find_with(f, r, "/", "", LINES("Cookie", "ba=1", "X-Debug", "")), 0);
	assert_int_equal(find_with(f, r, "/", "", LINES("Cookie", "a=1")), 0);
	assert_int_equal(find_with(f, r, "/", "",
	    LINES("Cookie", "a=1", "X-Debug", "x", "X-Beta", "3")), 0);
	/* A field of one connection is none of the request. */
	assert_int_equal(find_with(f, r, "/", "", LINES("Cookie", "a=1", "Connection", "X-Debug",
	    "X-Debug", "1")), 0);
}

/* What many rules ask of many parameters ends, and not with a rule that asks for less. */
static void
test_parameters_are_bounded(void **state)
{
	enum { RULES = 60, EACH = 1000 };
	struct fixture *f = *state;
	static char query[2 * EACH + 2];
	char values[RULES][8];
	struct router *r;

	for (unsigned i = 0; i < RULES; i++) {
		(void)snprintf(values[i], sizeof values[i], "%u", i);
		add(f, NULL, "/", 0);
		ask(f, "?a", ROUTER_FIELD_IS, values[i]);
	}
	add(f, NULL, "/", 0);
	r = build(f);
	assert_non_null(r);
	for (unsigned n = 0; n <= EACH; n += EACH / 2) {
		for (unsigned i = 0; i < n; i++)
			memcpy(query + (size_t)2 * i, "b&", 3);
		query[(size_t)2 * n] = '\0';
		assert_int_equal(find_with(f, r, "/", query, NULL), n < EACH ? RULES : -2);
	}
	memcpy(query, "a=0&", 4);
	assert_int_equal(find_with(f, r, "/", query, NULL), 0);
}

static void
test_query(void **state)
{
	static const struct {
		const char *query;
		int want;
	} rows[] = {
		{"", 0}, {"lang=de", 1}, {"lang=de-AT", 1}, {"lang=d", 0}, {"lang=fr&lang=de", 1},
		{"Lang=de", 0}, {"l%61ng=%64e", 1}, {"xlang=de", 0}, {"lang", 0}, {"lang=%2564e", 0},
		{"q=a+b", 2}, {"q=a%20b", 2}, {"q=a%2Bb", 0}, {"q=a b", 2}, {"q=a+b+", 0},
		{"v=1%zz", 3}, {"v=%", 3}, {"v=%4", 3}, {"v=4", 0}, {"v=%41", 0}, {"v=%25", 3},
		{"flag", 4}, {"flag=", 4}, {"flag=0", 4}, {"&&flag&", 4}, {"=flag", 0},
		{"e=", 5}, {"e", 5}, {"e=1", 0}, {"e&lang=de", 5},
	};
	struct fixture *f = *state;
	struct router *r;

	add(f, NULL, "/", 0);
	add(f, NULL, "/", GET);
	ask(f, "?lang", ROUTER_FIELD_PREFIX, "de");
	add(f, NULL, "/", 0);
	ask(f, "?q", ROUTER_FIELD_IS, "a b");
	ask(f, "?lang", ROUTER_FIELD_ABSENT, "");
	add(f, NULL, "/", 0);
	ask(f, "?v", ROUTER_FIELD_REGEX, "%");
	ask(f, "?lang", ROUTER_FIELD_ABSENT, "");
	ask(f, "?q", ROUTER_FIELD_ABSENT, "");
	add(f, NULL, "/flag", 0);
	ask(f, "?flag", ROUTER_FIELD_PRESENT, "");
	add(f, NULL, "/e", 0);
	ask(f, "?e", ROUTER_FIELD_IS, "");
	r = build(f);
	assert_non_null(r);
	for (size_t i = 0; i < array_len(rows); i++) {
		const char *path = strstr(rows[i].query, "flag") ? "/flag" :
		    rows[i].query[0] == 'e' ? "/e" : "/";

		if (find_with(f, r, path, rows[i].query, NULL) != rows[i].want)
			fail_msg("%s: %d", rows[i].query,
			    find_with(f, r, path, rows[i].query, NULL));
	}
}

static void
test_regex_order(void **state)
{
	struct fixture *f = *state;
	const struct regex *a = pattern(f, "^/a"), *b = pattern(f, "b$");
	struct router *r;

	add(f, NULL, "/", 0);
	add(f, NULL, "", 0)->regex = b;
	add(f, NULL, "", 0)->regex = a;
	add(f, NULL, "", GET)->regex = b;
	add(f, NULL, "/a/p", 0);
	add(f, NULL, "=/a/e/b", 0);
	add(f, "h", "", 0)->regex = a;
	r = build(f);
	assert_non_null(r);
	assert_int_equal(find(f, r, "", "/x", "GET"), 0);
	assert_int_equal(find(f, r, "", "/ab", "GET"), 3);
	assert_int_equal(find(f, r, "", "/ab", "PUT"), 1);
	assert_int_equal(find(f, r, "", "/a", "PUT"), 2);
	assert_int_equal(find(f, r, "", "/a/p/b", "GET"), 4);
	assert_int_equal(find(f, r, "", "/a/e/b", "GET"), 5);
	assert_int_equal(find(f, r, "h", "/a/e/b", "GET"), 6);
	assert_int_equal(find(f, r, "h", "/xb", "PUT"), 1);
	/* The same expression is the same place: two that have it tie. */
	add(f, "h", "", 0)->regex = pattern(f, "^/a");
	assert_null(build(f));
	assert_ptr_equal(f->rule, &f->rules[7]);
	assert_ptr_equal(f->other, &f->rules[6]);
}

/* What an expression comes to no end on reaches no route, not even one that asks for less. */
static void
test_limit(void **state)
{
	const char *bomb = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!";
	struct fixture *f = *state;
	struct router *r;
	char text[128];

	add(f, NULL, "/", 0);
	add(f, NULL, "", 0)->regex = pattern(f, "^/z(a+)+$");
	add(f, NULL, "/q", 0);
	ask(f, "?v", ROUTER_FIELD_REGEX, "(a+)+$");
	ask(f, "X", ROUTER_FIELD_REGEX, "(a+)+$");
	r = build(f);
	assert_non_null(r);
	assert_int_equal(find_with(f, r, "/x", "", NULL), 0);
	assert_int_equal(find_with(f, r, "/zaaa", "", NULL), 1);
	(void)snprintf(text, sizeof text, "/z%s", bomb);
	assert_int_equal(find_with(f, r, text, "", NULL), -2);
	assert_int_equal(find_with(f, r, "/q", "v=a", LINES("X", "a")), 2);
	assert_int_equal(find_with(f, r, "/q", "v=b", LINES("X", bomb)), 0);
	assert_int_equal(find_with(f, r, "/q", "v=a", LINES("X", bomb)), -2);
	(void)snprintf(text, sizeof text, "v=%s", bomb);
	assert_int_equal(find_with(f, r, "/q", text, NULL), -2);
	(void)snprintf(text, sizeof text, "w=%s", bomb);
	assert_int_equal(find_with(f, r, "/q", text, NULL), 0);
}

/* An encoded parameter longer than what is decoded cannot be judged. */
static void
test_long_parameter(void **state)
{
	struct fixture *f = *state;
	struct router *r;
	char *query = arena_zalloc(f->arena, ROUTER_VALUE_MAX + 16);

	add(f, NULL, "/", 0);
	ask(f, "?v", ROUTER_FIELD_REGEX, "^ab");
	r = build(f);
	assert_non_null(r);
	memset(query, 'b', ROUTER_VALUE_MAX + 5);
	memcpy(query, "v=%61", 5);
	assert_int_equal(find_with(f, r, "/", query, NULL), -2);
	query[ROUTER_VALUE_MAX + 4] = '\0';
	assert_int_equal(find_with(f, r, "/", query, NULL), 0);
	memset(query, 'b', ROUTER_VALUE_MAX + 5);
	memcpy(query, "v=aaa", 5);
	assert_int_equal(find_with(f, r, "/", query, NULL), -1);
}

static void
test_field_ties(void **state)
{
	struct fixture *f = *state;
	struct router_rule *a, *b;

	/* As many, and a request may have both. */
	a = add(f, NULL, "/a", 0);
	ask(f, "X", ROUTER_FIELD_IS, "1");
	b = add(f, NULL, "/a", 0);
	ask(f, "Y", ROUTER_FIELD_IS, "1");
	expect_report(f, b, a);
	a = add(f, NULL, "/a", GET);
	b = add(f, NULL, "/a", 0);
	ask(f, "X", ROUTER_FIELD_IS, "1");
	expect_report(f, b, a);
	a = add(f, NULL, "/a", 0);
	ask(f, "X", ROUTER_FIELD_IS, "1");
	b = add(f, NULL, "/a", 0);
	ask(f, "x", ROUTER_FIELD_PREFIX, "2");
	expect_report(f, b, a);
	a = add(f, NULL, "/a", 0);
	ask(f, "X", ROUTER_FIELD_IS, "1");
	b = add(f, NULL, "/a", 0);
	ask(f, "?X", ROUTER_FIELD_IS, "2");
	expect_report(f, b, a);
	a = add(f, NULL, "/a", GET);
	ask(f, "X", ROUTER_FIELD_IS, "1");
	b = add(f, NULL, "/a", GET | POST);
	ask(f, "x", ROUTER_FIELD_IS, "1");
	expect_report(f, b, a);
	/* Told apart. */
	(void)add(f, NULL, "/a", 0);
	ask(f, "X", ROUTER_FIELD_IS, "1");
	(void)add(f, NULL, "/a", 0);
	ask(f, "x", ROUTER_FIELD_IS, "2");
	(void)add(f, NULL, "/a", 0);
	ask(f, "X", ROUTER_FIELD_ABSENT, "");
	(void)add(f, NULL, "/a", GET);
	ask(f, "X", ROUTER_FIELD_IS, "1");
	(void)add(f, NULL, "/a", POST);
	ask(f, "X", ROUTER_FIELD_IS, "1");
	(void)add(f, NULL, "/a", 0);
	expect_fine(f);
}

struct told {
	enum router_why	 why[RULES_MAX];
	unsigned	 n[RULES_MAX];
	const struct fixture *f;
	struct slice	 field;
};

static void
on_told(void *arg, const struct router_verdict *v)
{
	struct told *told = arg;
	size_t at = (size_t)(v->route - told->f->routes);

	told->why[at] = v->why;
	told->n[at]++;
	if (v->field != NULL)
		told->field = v->field->name;
}

static void
test_trace(void **state)
{
	static const enum router_why want[] = {
		ROUTER_WON, ROUTER_LOST_TO_MATCHERS, ROUTER_LOST_FIELD, ROUTER_LOST_METHOD,
		ROUTER_LOST_LISTENER, ROUTER_LOST_TO_PATH, ROUTER_LOST_PATH, ROUTER_LOST_TO_PATH,
		ROUTER_LOST_TO_HOST, ROUTER_LOST_TO_HOST, ROUTER_LOST_HOST, ROUTER_LOST_HOST
	};
	struct fixture *f = *state;
	struct router_request req = { .host = SLICE("a.com:80"), .path = SLICE("/v1/users"),
		.method = METHOD_GET, .method_text = SLICE("GET"), .regex = f->work,
		.listener = 1 };
	struct told told = { .f = f };
	const struct route *route = NULL;
	struct router *r;

	add(f, "a.com", "/v1/users", GET);
	add(f, "a.com", "/v1/users", 0);
	add(f, "a.com", "/v1/users", GET);
	ask(f, "X", ROUTER_FIELD_PRESENT, "");
	add(f, "a.com", "/v1/users", POST);
	add(f, "a.com", "=/v1/users", 0)->listeners = 1;
	add(f, "a.com", "/v1", 0);
	add(f, "a.com", "", 0)->regex = pattern(f, "^/v2");
	add(f, "a.com", "/", 0);
	add(f, "*.com", "/v1/users", 0);
	add(f, NULL, "", 0)->regex = pattern(f, "users");
	add(f, "b.com", "/v1", 0);
	add(f, "b.com", "=/v1/users", 0);
	add(f, "b.com", "/v1x", 0);
	add(f, "a.com", "/v1/users/7", 0);
	r = build(f);
	assert_non_null(r);
	assert_int_equal(router_trace(r, &req, on_told, &told, &route), ROUTER_FOUND);
	assert_ptr_equal(route, &f->routes[0]);
	for (unsigned i = 0; i < f->n; i++) {
		assert_int_equal(told.n[i], i < array_len(want));
		if (i < array_len(want))
			assert_int_equal(told.why[i], want[i]);
	}
	assert_true(slice_eq(told.field, SLICE("X")));
}

/* Rules of the same path by the thousand, told apart by a value: their check is linear. */
static void
test_many_values(void **state)
{
	enum { MANY = 20000 };
	struct fixture *f = *state;
	struct router_rule *rules = arena_zarray(f->arena, MANY, sizeof *rules);
	struct router_field *fields = arena_zarray(f->arena, MANY, sizeof *fields);

	for (unsigned i = 0; i < MANY; i++) {
		fields[i].name = SLICE("X-Tenant");
		fields[i].value = slice_str(arena_printf(f->arena, "t%u", i));
		rules[i].route = &f->routes[0];
		rules[i].prefix = SLICE("/");
		rules[i].fields = &fields[i];
		rules[i].n_fields = 1;
	}
	assert_non_null(router_build(f->arena, rules, MANY, on_report, f));
	fields[MANY - 1].value = SLICE("t7");
	assert_null(router_build(f->arena, rules, MANY, on_report, f));
	assert_ptr_equal(f->rule, &rules[MANY - 1]);
	assert_ptr_equal(f->other, &rules[7]);
}

/*
 * The executable spec: every rule is asked whether it matches, and how well; the best one wins.
 * Each number is a sentence of the contract.
 */
static struct slice
spec_host(struct slice h)
{
	char end = h.len > 0 && h.p[0] == '[' ? ']' : ':';
	ssize_t at = slice_find_byte(h, end);

	if (at >= 0)
		h.len = (size_t)at + (end == ']');
	if (h.len > 0 && h.p[h.len - 1] == '.')
		h.len--;
	return (h);
}

/* 0: no; 1: no hosts; 1 + n: a wildcard of n bytes; 1000: exact. */
static unsigned
spec_host_rank(const struct router_rule *r, struct slice host)
{
	unsigned best = r->n_hosts == 0;

	for (unsigned i = 0; i < r->n_hosts; i++) {
		struct slice h = r->hosts[i], tail = slice_skip(h, 1);
		unsigned rank = 0;

		if (host.len > 0 && slice_eq_fold(h, host))
			rank = 1000;
		else if (h.p[0] == '*' && host.len > tail.len && host.p[0] != '.' &&
		    slice_eq_fold(slice_skip(host, host.len - tail.len), tail))
			rank = 1 + (unsigned)tail.len;
		best = rank > best ? rank : best;
	}
	return (best);
}

/* 0: no; 1: "/"; expressions lie between; 100 + n: a prefix of n bytes; 1000: exact. */
static unsigned
spec_path_rank(const struct router_rule *r, struct slice path)
{
	struct slice prefix = r->prefix;

	if (r->path.len > 0)
		return (slice_eq(r->path, path) ? 1000 : 0);
	if (prefix.len > 0 && prefix.p[prefix.len - 1] == '/')
		prefix.len--;
	if (!slice_has_prefix(path, prefix))
		return (0);
	if (path.len > prefix.len && path.p[prefix.len] != '/')
		return (0);
	return (prefix.len == 0 ? 1 : 100 + (unsigned)prefix.len);
}

static bool
spec_method(const struct router_rule *r, unsigned method, struct slice text)
{
	if (r->methods == 0 && r->n_method_names == 0)
		return (true);
	if (method != METHOD_OTHER)
		return (r->methods >> method & 1);
	for (unsigned i = 0; i < r->n_method_names; i++) {
		if (slice_eq(r->method_names[i], text))
			return (true);
	}
	return (false);
}

/* Does one of the rule's hosts fit with just that rank? */
static bool
spec_has_rank(const struct router_rule *r, struct slice host, unsigned rank)
{
	struct router_rule one = *r;

	if (r->n_hosts == 0)
		return (rank == 1);
	one.n_hosts = 1;
	for (unsigned i = 0; i < r->n_hosts; i++) {
		one.hosts = &r->hosts[i];
		if (spec_host_rank(&one, host) == rank)
			return (true);
	}
	return (false);
}

/* The place of an expression: that of the first rule which has it on the same host. */
static unsigned
spec_regex_rank(const struct fixture *f, const struct router_rule *r,
    const struct router_request *q)
{
	struct slice host = spec_host(q->host);
	unsigned rank = spec_host_rank(r, host), i = 0;

	if (regex_search(r->regex, f->work, q->path, NULL) != REGEX_MATCH)
		return (0);
	while (f->rules[i].regex != r->regex || !spec_has_rank(&f->rules[i], host, rank))
		i++;
	return (2 + RULES_MAX - i);
}

static bool
spec_test(const struct fixture *f, const struct router_field *field, struct slice value)
{
	switch (field->kind) {
	case ROUTER_FIELD_IS:
		return (slice_eq(field->value, value));
	case ROUTER_FIELD_PREFIX:
		return (slice_has_prefix(value, field->value));
	case ROUTER_FIELD_REGEX:
		return (regex_search(field->regex, f->work, value, NULL) == REGEX_MATCH);
	default:
		return (true);
	}
}

/* What a request of the test has beside its query as text: names and values as they are meant. */
struct pair {
	struct slice	 name;
	struct slice	 value;
	bool		 is_query;
};
struct extra {
	struct pair	 v[6];
	unsigned	 n;
	bool		 has_twins;	/* one name twice */
};

static bool
spec_fields(const struct fixture *f, const struct router_rule *r, const struct extra *e)
{
	for (unsigned i = 0; i < r->n_fields; i++) {
		const struct router_field *field = &r->fields[i];
		bool is_met = false;

		for (unsigned k = 0; k < e->n; k++) {
			if (e->v[k].is_query == field->is_query &&
			    (field->is_query ? slice_eq(e->v[k].name, field->name) :
			    slice_eq_fold(e->v[k].name, field->name)))
				is_met |= spec_test(f, field, e->v[k].value);
		}
		if (is_met == (field->kind == ROUTER_FIELD_ABSENT))
			return (false);
	}
	return (true);
}

/* 0: no match; more is better. */
static uint64_t
spec_rank(const struct fixture *f, const struct router_rule *r, const struct router_request *q,
    const struct extra *e)
{
	uint64_t host = spec_host_rank(r, spec_host(q->host));
	uint64_t n_matchers = (r->methods != 0 || r->n_method_names != 0) + r->n_fields, path;

	if (host == 0 || !spec_method(r, q->method, q->method_text) || !spec_fields(f, r, e))
		return (0);
	path = r->regex != NULL ? spec_regex_rank(f, r, q) : spec_path_rank(r, q->path);
	if (path == 0 || (r->listeners != 0 && !(r->listeners >> q->listener & 1)))
		return (0);
	return (host << 32 | path << 16 | (1 + n_matchers));
}

static const char *const some_hosts[] = {
	"a.com", "b.com", "x.a.com", "y.x.a.com", "*.a.com", "*.x.a.com", "*.com", "[::1]", "localhost"
};
static const char *const asked_hosts[] = {
	"", "a.com", "A.COM", "b.com:80", "x.a.com", "X.a.com.", "y.x.a.com", "z.y.x.a.com", "q.a.com",
	"com", "c.com", "[::1]", "[::1]:8", "[::2]", "localhost", "xa.com", "y..a.com", "1.2.3.4:5"
};
static const char *const some_segments[] = {
	"a", "b", "users", "usersx", "exactly8", "exactly-nine", "%2F", "a-segment-of-twenty-four"
};
static const char *const some_methods[] = {"GET", "POST", "HEAD", "PURGE", "FROB", "OPTIONS"};

#define PICK(rnd, list)	((list)[rnd_below((rnd), array_len(list))])

/* A canonical path of 0 to max segments; the buffer is in the arena. */
static struct slice
random_path(struct rnd *rnd, struct arena *a, unsigned max)
{
	char *p = arena_alloc(a, 256);
	size_t len = 0;

	for (uint64_t n = rnd_below(rnd, max + 1); n > 0; n--)
		len += (size_t)snprintf(p + len, 256 - len, "/%s",
		    rnd_below(rnd, 2) ? some_segments[rnd_below(rnd, 2)] :
		    PICK(rnd, some_segments));
	if (len == 0 || rnd_below(rnd, 4) == 0)
		p[len++] = '/';
	return (slice_of(p, len));
}

static const char *const some_patterns[] = {"^/a", "users", "/b$", "^/[a-b]/", "."};
static const char *const some_names[] = {"X-A", "x-b", "Accept"};
static const char *const some_values[] = {"1", "2", "a b", "12", "%"};
static const char *const value_patterns[] = {"^1", "2$", " "};

static void
random_fields(struct fixture *f, struct rnd *rnd, struct router_rule *r,
    const struct regex *const *patterns)
{
	uint64_t n = rnd_below(rnd, FIELDS_MAX + 1);

	for (uint64_t at = 0; r->n_fields < n; at++) {
		struct router_field *field = &f->fields[f->n - 1][r->n_fields++];

		/* Of each name one. */
		field->name = slice_str(some_names[at]);
		field->is_query = rnd_below(rnd, 2) == 0;
		field->kind = (uint8_t)rnd_below(rnd, ROUTER_FIELD_ABSENT + 1);
		field->kind = rnd_below(rnd, 2) ? ROUTER_FIELD_IS : field->kind;
		field->value = slice_str(PICK(rnd, some_values));
		field->regex = patterns[rnd_below(rnd, array_len(value_patterns))];
	}
}

static void
random_rules(struct fixture *f, struct rnd *rnd)
{
	static const struct slice names[] = {SLICE_INIT("PURGE"), SLICE_INIT("FROB")};
	unsigned n = (unsigned)rnd_below(rnd, 20) + 1;

	const struct regex *paths[array_len(some_patterns)], *values[array_len(value_patterns)];

	clear(f);
	for (size_t i = 0; i < array_len(paths); i++)
		paths[i] = pattern(f, some_patterns[i]);
	for (size_t i = 0; i < array_len(values); i++)
		values[i] = pattern(f, value_patterns[i]);
	while (f->n < n) {
		struct router_rule *r = add(f, NULL, "", 0);
		struct slice path = random_path(rnd, f->arena, 3);

		for (uint64_t h = rnd_below(rnd, HOSTS_MAX); h > 0; h--)
			f->hosts[f->n - 1][r->n_hosts++] = slice_str(PICK(rnd, some_hosts));
		if (rnd_below(rnd, 4) == 0)
			r->regex = PICK(rnd, paths);
		else
			*(rnd_below(rnd, 3) == 0 ? &r->path : &r->prefix) = path;
		if (rnd_below(rnd, 3) == 0)
			random_fields(f, rnd, r, values);
		if (rnd_below(rnd, 2) == 0)
			r->methods = (uint64_t)rnd_below(rnd, 8) << METHOD_GET;
		if (rnd_below(rnd, 8) == 0) {
			r->method_names = names + rnd_below(rnd, 2);
			r->n_method_names = 1;
		}
		if (rnd_below(rnd, 4) == 0)
			r->listeners = rnd_below(rnd, 8);
	}
}

/* Do two rules tie on some request? Asked of the spec with every host, method and listener. */
static bool
spec_ties(const struct fixture *f, const struct router_request *q, const struct extra *e)
{
	uint64_t best = 0;
	unsigned n_best = 0;

	for (unsigned i = 0; i < f->n; i++) {
		uint64_t rank = spec_rank(f, &f->rules[i], q, e);

		if (rank != 0 && rank == best)
			n_best++;
		else if (rank > best) {
			best = rank;
			n_best = 1;
		}
	}
	return (n_best > 1);
}

static const struct route *
spec_find(const struct fixture *f, const struct router_request *q, const struct extra *e)
{
	const struct route *route = NULL;
	uint64_t best = 0;

	for (unsigned i = 0; i < f->n; i++) {
		uint64_t rank = spec_rank(f, &f->rules[i], q, e);

		if (rank > best) {
			best = rank;
			route = f->rules[i].route;
		}
	}
	return (route);
}

/* Takes rules away until nothing is reported. */
static struct router *
build_without_ties(struct fixture *f, unsigned *n_ties)
{
	struct router *r;

	while ((r = build(f)) == NULL) {
		unsigned at = (unsigned)(f->rule - f->rules);

		assert_non_null(f->other);
		(*n_ties)++;
		memmove(&f->rules[at], &f->rules[at + 1], (f->n - at - 1) * sizeof(f->rules[0]));
		f->n--;
	}
	return (r);
}

/* As a client may spell it. */
static size_t
spell(struct rnd *rnd, struct slice text, char *out)
{
	size_t n = 0;

	for (size_t i = 0; i < text.len; i++) {
		if (text.p[i] == ' ' && rnd_below(rnd, 2) == 0)
			out[n++] = '+';
		else if (text.p[i] == ' ' || text.p[i] == '%' || rnd_below(rnd, 8) == 0)
			n += (size_t)sprintf(out + n, rnd_below(rnd, 2) ? "%%%02x" : "%%%02X",
			    (unsigned)text.p[i]);
		else
			out[n++] = text.p[i];
	}
	return (n);
}

static void
random_extra(struct fixture *f, struct rnd *rnd, struct extra *e, struct headers *headers,
    struct router_request *q)
{
	char *query = arena_alloc(f->arena, 256);
	size_t n = 0;

	memset(e, 0, sizeof *e);
	headers_init(headers, f->arena);
	for (uint64_t left = rnd_below(rnd, array_len(e->v) + 1); left > 0; left--) {
		struct pair *p = &e->v[e->n++];

		p->name = slice_str(PICK(rnd, some_names));
		p->value = slice_str(PICK(rnd, some_values));
		p->is_query = rnd_below(rnd, 2) == 0;
		for (unsigned i = 0; i + 1 < e->n; i++)
			e->has_twins |= slice_eq(e->v[i].name, p->name) &&
			    e->v[i].is_query == p->is_query;
		if (!p->is_query) {
			assert_true(headers_add(headers, p->name, p->value));
			continue;
		}
		if (n > 0)
			query[n++] = '&';
		n += spell(rnd, p->name, query + n);
		query[n++] = '=';
		n += spell(rnd, p->value, query + n);
	}
	q->query = slice_of(query, n);
	q->headers = headers;
}

struct seen {
	const struct route	*won;
	unsigned		 n;
};

static void
on_verdict(void *arg, const struct router_verdict *v)
{
	struct seen *seen = arg;

	seen->n++;
	assert_int_equal(v->field != NULL, v->why == ROUTER_LOST_FIELD);
	assert_true(v->why != ROUTER_LOST_LIMIT);
	if (v->why == ROUTER_WON) {
		assert_null(seen->won);
		seen->won = v->route;
	}
}

static void
test_spec(void **state)
{
	struct fixture *f = *state;
	struct rnd rnd;
	unsigned n_ties = 0, n_found = 0, n_none = 0, n_told = 0;

	rnd_init_seed(&rnd, 20240229);
	for (unsigned round = 0; round < 2000; round++) {
		struct router *r;

		random_rules(f, &rnd);
		r = build_without_ties(f, &n_ties);
		for (unsigned i = 0; i < 200; i++) {
			struct router_request q = {
				.host = slice_str(PICK(&rnd, asked_hosts)),
				.path = random_path(&rnd, f->arena, 4),
				.method_text = slice_str(PICK(&rnd, some_methods)),
				.regex = f->work,
				.listener = (unsigned)rnd_below(&rnd, 4),
			};
			const struct route *want, *got = NULL, *told = NULL;
			struct seen seen = { NULL, 0 };
			struct headers headers;
			struct extra e;
			enum router_rc rc;

			q.method = method_of(q.method_text);
			random_extra(f, &rnd, &e, &headers, &q);
			want = spec_find(f, &q, &e);
			rc = router_find(r, &q, &got);
			assert_ptr_equal(got, want);
			assert_int_equal(rc, want == NULL ? ROUTER_NONE : ROUTER_FOUND);
			/* Two values of one name may be what two rules ask for: the first has it. */
			assert_true(e.has_twins || !spec_ties(f, &q, &e));
			assert_int_equal(router_trace(r, &q, on_verdict, &seen, &told), rc);
			assert_ptr_equal(told, want);
			assert_ptr_equal(seen.won, want);
			n_told += seen.n;
			*(want == NULL ? &n_none : &n_found) += 1;
		}
	}
	/* All kinds came up. */
	assert_true(n_ties > 300 && n_found > 50000 && n_none > 50000 && n_told > 500000);
}

/* What is reported as a tie is one: there is a request that both take equally well. */
static void
test_ties_are_real(void **state)
{
	struct fixture *f = *state;
	struct rnd rnd;
	unsigned n = 0;

	rnd_init_seed(&rnd, 7);
	for (unsigned round = 0; round < 3000; round++) {
		const struct router_rule *a, *b;
		uint64_t la, lb, methods;
		bool share = false;

		random_rules(f, &rnd);
		if (build(f) != NULL)
			continue;
		n++;
		a = f->rule;
		b = f->other;
		la = a->listeners ? a->listeners : UINT64_MAX;
		lb = b->listeners ? b->listeners : UINT64_MAX;
		methods = a->methods & b->methods;
		assert_true((la & lb) != 0);
		assert_true(slice_eq(a->path, b->path) || a->path.len == 0);
		assert_ptr_equal(a->regex, b->regex);
		assert_int_equal((a->methods != 0 || a->n_method_names != 0) + a->n_fields,
		    (b->methods != 0 || b->n_method_names != 0) + b->n_fields);
		if ((a->methods != 0 || a->n_method_names != 0) &&
		    (b->methods != 0 || b->n_method_names != 0))
			assert_true(methods != 0 || (a->n_method_names != 0 &&
			    b->n_method_names != 0));
		share = a->n_hosts == 0 && b->n_hosts == 0;
		for (unsigned i = 0; i < a->n_hosts; i++) {
			for (unsigned j = 0; j < b->n_hosts; j++)
				share |= slice_eq(a->hosts[i], b->hosts[j]);
		}
		assert_true(share);
	}
	assert_true(n > 100);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_empty, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_paths, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_hosts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_lengths, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_many_labels, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_methods, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_listeners, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_ties, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_unreachable, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_deep, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_memory_fails, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_fields, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_parameters_are_bounded, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_query, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_regex_order, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_limit, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_long_parameter, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_field_ties, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_trace, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_many_values, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_spec, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_ties_are_real, set_up, tear_down),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
