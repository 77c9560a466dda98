/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/*
 * Random sets of routes and a million paths in disguise: what the engine makes of each is what
 * path_spec.c says. The paths are made of what has fooled routers: `//`, `/./`, `/../`, `;x`,
 * escapes of dots, slashes, backslashes and percent signs, overlong UTF-8, broken escapes, case.
 * WEIR_TEST_PATHS: another number of paths; WEIR_TEST_SEED: other ones.
 */
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
#include "engine/http/method.h"
#include "engine/http/uri.h"
#include "engine/mem/arena.h"
#include "engine/proxy/router.h"
#include "tests/unit/proxy/path_spec.h"

enum {
	ROUTES_MAX = 24,
	PATHS = 1000000,
	PATHS_A_SET = 4000,
	PIECES_MAX = 9,
	INSTRUMENTED_SHARE = 20	/* of the paths, one of so many where each costs much more */
};

struct world {
	struct rnd		 rnd;
	struct arena		*arena;
	struct router		*router;
	int			 n;
	struct route		 routes[ROUTES_MAX];
	struct router_rule	 rules[ROUTES_MAX];
	struct spec_route	 spec[ROUTES_MAX];
	struct slice		 hosts[ROUTES_MAX];
	const struct router_rule *tied;
	/* How often each was seen: a test that sees one thing only shows nothing. */
	unsigned long		 n_refused, n_encoded, n_none, n_routed, n_respelled, n_parameters;
};

static const char *const segments[] = {"admin", "a", "b", "ab", "A", "Admin", "admin;x", "c.d",
	"..c", "...", "~x", "%20", "%C3%A9", "a%2Fb", "%5C", "a-very-long-segment-of-a-path"};
static const char *const hosts[] = {NULL, NULL, "a.test", "x.a.test", "*.a.test", "*.x.a.test",
	"*.test"};
static const char *const asked[] = {"a.test", "x.a.test", "y.x.a.test", "y.a.test", "b.test",
	"test", "xa.test", "A.test:80", "X.A.TEST."};
static const char *const disguises[] = {"/", "//", "///", "/./", "/../", "/x/../", "/%2e/",
	"/%2E%2e/", "/x/%2e./", "/.%2e/", ";x", "/;x/", "/..;x/", "/.;/", ";", "%3b", "%2f", "%2F",
	"%5c", "%5C", "\\", "..\\", "%2f..%2f", "..%2f", "%252e", "%252f", "%c0%af", "%c0%ae",
	"%c1%9c", "%e0%80%af", "%ef%bc%8f", "%00", "%", "%2", "%g0", "%2e", "%61", "%41", "%7e", ".",
	"..", "~", "?", "#", "\x7f", "\xc0\xaf", " ", "\t", ":", "@", "|", "\""};

#define ONE_OF(w, list) ((list)[rnd_below(&(w)->rnd, sizeof(list) / sizeof((list)[0]))])

static bool
chance(struct world *w, unsigned percent)
{
	return (rnd_below(&w->rnd, 100) < percent);
}

static void
on_report(void *arg, const struct router_rule *rule, const struct router_rule *other,
    const char *what)
{
	struct world *w = arg;

	(void)what;
	assert_non_null(other);
	w->tied = rule;
}

static void
make_route(struct world *w, int i)
{
	struct router_rule *rule = &w->rules[i];
	struct spec_route *spec = &w->spec[i];
	char *path = arena_printf(w->arena, "%s", "");
	const char *slash = chance(w, 20) ? "/" : "";

	memset(rule, 0, sizeof(*rule));
	for (uint64_t n = rnd_below(&w->rnd, 4); n > 0; n--)
		path = arena_printf(w->arena, "%s/%s", path, segments[rnd_below(&w->rnd,
		    chance(w, 50) ? 4 : sizeof(segments) / sizeof(segments[0]))]);
	path = arena_printf(w->arena, "%s%s", path, path[0] == '\0' ? "/" : slash);
	*spec = (struct spec_route){ONE_OF(w, hosts), path, chance(w, 40), 0};
	if (chance(w, 30))
		spec->methods = 1u << METHOD_GET | (chance(w, 50) ? 1u << METHOD_HEAD : 0);
	if (spec->host != NULL) {
		w->hosts[i] = slice_str(spec->host);
		rule->hosts = &w->hosts[i];
		rule->n_hosts = 1;
	}
	*(spec->is_exact ? &rule->path : &rule->prefix) = slice_str(path);
	rule->methods = spec->methods;
	rule->route = &w->routes[i];
}

/* A set of which no two tie: one that does is made anew. */
static void
make_set(struct world *w)
{
	arena_reset(w->arena);
	w->n = 1 + (int)rnd_below(&w->rnd, ROUTES_MAX);
	for (int i = 0; i < w->n; i++)
		make_route(w, i);
	while ((w->router = router_build(w->arena, w->rules, (unsigned)w->n, on_report, w)) == NULL)
		make_route(w, (int)(w->tied - w->rules));
}

static size_t
put(char *out, size_t at, const char *text)
{
	size_t n = strlen(text);

	memcpy(out + at, text, n);
	return (at + n);
}

/* A path that a route names, or any, each byte and each joint of which may be disguised. */
static size_t
make_path(struct world *w, char *out)
{
	const char *base = chance(w, 70) ? w->spec[rnd_below(&w->rnd, (uint64_t)w->n)].path : "/";
	unsigned spoilt = chance(w, 30) ? 0 : 12;
	size_t n = 0;

	for (; *base != '\0'; base++) {
		if (*base == '/' && n > 0 && chance(w, spoilt))
			n = put(out, n, ONE_OF(w, disguises));
		if (*base != '%' && chance(w, spoilt))
			n += (size_t)sprintf(out + n, chance(w, 50) ? "%%%02x" : "%%%02X", *base);
		else
			out[n++] = *base;
	}
	for (uint64_t more = chance(w, 40) ? rnd_below(&w->rnd, PIECES_MAX) : 0; more > 0; more--) {
		n = put(out, n, chance(w, 60) ? "/" : chance(w, spoilt * 4) ? ONE_OF(w, disguises) : "");
		n = put(out, n, ONE_OF(w, segments));
	}
	if (chance(w, spoilt))
		n = put(out, n, ONE_OF(w, disguises));
	return (n);
}

static const char *
shown(struct slice raw, const char *host)
{
	static char text[2 * SPEC_PATH_MAX];

	(void)snprintf(text, sizeof(text), SLICE_FMT " of %s", SLICE_ARG(raw), host);
	return (text);
}

static void
expect(bool holds, const char *what, const char *got, struct slice raw, const char *host)
{
	if (!holds)
		fail_msg("%s: %s; %s", shown(raw, host), what, got);
}

/* As it is asked of the specification, which knows neither port nor capitals. */
static void
fold(char *out, const char *host)
{
	size_t n = strcspn(host, ":");

	n -= n > 0 && host[n - 1] == '.';
	for (size_t i = 0; i < n; i++)
		out[i] = host[i] >= 'A' && host[i] <= 'Z' ? (char)(host[i] | ' ') : host[i];
	out[n] = '\0';
}

static void
check_route(struct world *w, struct slice raw, struct slice path, const char *want)
{
	enum http_method method = chance(w, 50) ? METHOD_GET : METHOD_POST;
	const char *host = ONE_OF(w, asked);
	struct router_request req = {.host = slice_str(host), .path = path,
	    .method_text = SLICE("?"), .method = method};
	const struct route *route = NULL;
	char folded[64];
	int named, found;

	fold(folded, host);
	named = spec_route(w->spec, w->n, folded, want, 1u << method);
	found = router_find(w->router, &req, &route) == ROUTER_FOUND ? (int)(route - w->routes) : -1;
	expect(found == named, "another route", named < 0 ? "none is right" : w->spec[named].path,
	    raw, host);
	w->n_routed += found >= 0;
	w->n_none += found < 0;
}

static void
check_parameters(struct world *w, struct slice raw, struct slice path, const char *want)
{
	char bare[3 * SPEC_PATH_MAX + 1];
	struct slice got = path;

	spec_without_parameters(want, bare);
	if (uri_has_parameters(path)) {
		assert_true(uri_without_parameters(path, w->arena, &got));
		w->n_parameters++;
	}
	expect(slice_eq(got, slice_str(bare)), "the path without parameters", bare, raw, "");
}

static void
check_path(struct world *w, struct slice raw)
{
	struct arena_mark mark = arena_mark(w->arena);
	char want[3 * SPEC_PATH_MAX + 1];
	struct slice path, again;
	enum spec_verdict verdict = spec_path(raw.p, raw.len, want);
	enum uri_rc rc = uri_canonical(raw, w->arena, &path);

	expect((rc == URI_MALFORMED) == (verdict == SPEC_REFUSED), "whether it is refused", "", raw,
	    "");
	w->n_refused += rc == URI_MALFORMED;
	if (rc != URI_MALFORMED) {
		expect((rc == URI_ENCODED_SLASH) == (verdict == SPEC_ENCODED_SLASH),
		    "whether it has an encoded slash", "", raw, "");
		expect(slice_eq(path, slice_str(want)), "the canonical path", want, raw, "");
		expect(uri_canonical(path, w->arena, &again) != URI_MALFORMED &&
		    slice_eq(again, path),
		    "canonical once is canonical", want, raw, "");
		w->n_encoded += rc == URI_ENCODED_SLASH;
		w->n_respelled += !slice_eq(path, raw);
		check_parameters(w, raw, path, want);
		check_route(w, raw, path, want);
	}
	arena_rewind(w->arena, &mark);
}

static unsigned long
number(const char *name, unsigned long otherwise)
{
	const char *text = getenv(name);

	return (text == NULL ? otherwise : strtoul(text, NULL, 10));
}

static void
test_a_million_paths(void **state)
{
	unsigned long n = number("WEIR_TEST_PATHS", CC_ASAN ? PATHS / INSTRUMENTED_SHARE :
	    PATHS);
	static struct world w;
	char raw[SPEC_PATH_MAX];

	(void)state;
	rnd_init_seed(&w.rnd, number("WEIR_TEST_SEED", 20260131));
	w.arena = arena_new("test");
	for (unsigned long i = 0; i < n; i++) {
		if (i % PATHS_A_SET == 0)
			make_set(&w);
		check_path(&w, slice_of(raw, make_path(&w, raw)));
	}
	arena_free(&w.arena);
	printf("%lu paths: %lu refused, %lu with an encoded slash, %lu spelled otherwise, %lu with "
	    "parameters, %lu without a route, %lu with one\n", n, w.n_refused, w.n_encoded,
	    w.n_respelled, w.n_parameters, w.n_none, w.n_routed);
	assert_true(w.n_refused > n / 50 && w.n_encoded > n / 50 && w.n_none > n / 50 &&
	    w.n_routed > n / 5 && w.n_respelled > n / 10 && w.n_parameters > n / 50);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_million_paths),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
