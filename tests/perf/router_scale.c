/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/*
 * What a lookup costs with 10 routes and with 100,000, and what building them costs. CPU time of
 * this thread, the best of several runs: a busy machine makes runs slower, never faster.
 *
 *	warm	the same ten requests again and again: the cost of the steps
 *	spread	every route in an order without a pattern: the cost of the steps and of cache misses;
 *		a microsecond at most, or few misses as they cost now: of a machine that others use
 *		the caches and the memory are not this program's alone
 *	hostile	a request that has as much to look at as fits
 *
 * Usage: router_scale [N]
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "engine/base/cc.h"
#include "engine/base/check.h"
#include "engine/base/rnd.h"
#include "engine/mem/arena.h"
#include "engine/proxy/route.h"
#include "engine/proxy/router_files.h"

enum {
	FEW = 10,
	MANY = 100000,
	LOOKUPS = 200000,
	RUNS = 7,
	MORE_RUNS = 40,		/* at most, while a gate fails: a neighbour takes the caches away */
	LINES = 1 << 20,	/* of the chase: 64 MiB, which no cache holds */
	LINE_BYTES = 64,
	FILES = 100
};

/* Gates. Instrumented builds print only. */
#define MAX_RATIO	2.0	/* warm, MANY to FEW */
#define MAX_SPREAD_NS	1000.0
/* Or, where memory is slow just now: what a lookup costs more cold than warm, in misses of which each
   must come before the next is asked for, as they cost at the same time. */
#define MAX_MISSES	4.5
#define MAX_BUILD_MS	400.0

enum layout {
	ONE_HOST,	/* /svc-N/v1/items below one host */
	MANY_HOSTS,	/* each route has a host of its own */
	WILDCARDS,	/* *.tenant-N.example.com */
	METHODS,	/* ten methods a path */
	SHARDS		/* ten prefixes a host, and files of a hundredth each */
};

static const char *const layout_names[] = {"one host", "many hosts", "wildcards", "methods",
	"shards"};

struct set {
	struct arena		*arena;
	struct router_rule	*rules;
	struct route		*routes;
	struct slice		*hosts;		/* to ask for */
	struct slice		*paths;
	unsigned		*methods;
	unsigned		 n;
	struct router		*router;
};

static double
cpu_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return ((double)ts.tv_sec * 1e9 + (double)ts.tv_nsec);
}

static struct slice
slice_from(char *text)
{
	return (slice_str(text));
}

static void
make_rule(struct set *s, enum layout layout, unsigned i)
{
	struct router_rule *r = &s->rules[i];
	unsigned path = layout == METHODS ? i / 8 : i;
	struct slice *host = arena_znew(s->arena, struct slice);
	struct slice prefix = slice_from(arena_printf(s->arena, "/svc-%u/v1/items", path));

	*host = SLICE("api.example.com");
	s->hosts[i] = *host;
	if (layout == SHARDS) {
		*host = s->hosts[i] = slice_from(arena_printf(s->arena, "h%u.example.com", i / 10));
		prefix = slice_from(arena_printf(s->arena, "/v1/items-%u", i % 10));
	} else if (layout == MANY_HOSTS) {
		*host = s->hosts[i] = slice_from(arena_printf(s->arena, "h%u.example.com", i));
		prefix = SLICE("/v1/items");
	} else if (layout == WILDCARDS) {
		*host = slice_from(arena_printf(s->arena, "*.tenant-%u.example.com", i));
		s->hosts[i] = slice_from(arena_printf(s->arena, "a.b.tenant-%u.example.com", i));
		prefix = SLICE("/v1/items");
	}
	r->route = &s->routes[i];
	r->hosts = host;
	r->n_hosts = 1;
	r->prefix = prefix;
	s->methods[i] = METHOD_GET + (layout == METHODS ? i % 8 : 0);
	if (layout == METHODS)
		r->methods = (uint64_t)1 << s->methods[i];
	s->paths[i] = slice_from(arena_printf(s->arena, SLICE_FMT "/4711/parts",
	    SLICE_ARG(prefix)));
}

static void
make_set(struct set *s, enum layout layout, unsigned n)
{
	s->arena = arena_new("rules");
	s->rules = arena_zarray(s->arena, n, sizeof(*s->rules));
	s->routes = arena_zarray(s->arena, n, sizeof(*s->routes));
	s->hosts = arena_zarray(s->arena, n, sizeof(*s->hosts));
	s->paths = arena_zarray(s->arena, n, sizeof(*s->paths));
	s->methods = arena_zarray(s->arena, n, sizeof(*s->methods));
	s->n = n;
	for (unsigned i = 0; i < n; i++)
		make_rule(s, layout, i);
}

/* As many files as there are, each with its part of the rules. */
static struct router *
build_files(struct set *s, struct arena *a)
{
	struct router_files in = { .n_all = FILES };
	struct route_file **all = arena_zarray(s->arena, FILES, sizeof *all);
	unsigned n_laid, of = (s->n + FILES - 1) / FILES;

	for (unsigned i = 0, at = 0; i < FILES; i++, at += all[i - 1]->n_rules) {
		all[i] = arena_znew(s->arena, struct route_file);
		all[i]->rules = &s->rules[at];
		all[i]->n_rules = s->n - at < of ? s->n - at : of;
	}
	in.all = all;
	return (router_build_files(a, &in, &n_laid));
}

/* Best of three, in ms; the last one stays. */
static double
build(struct set *s, enum layout layout, size_t *bytes_r)
{
	double best = 1e18;

	for (unsigned run = 0; run < 3; run++) {
		struct arena *a = arena_new("router");
		double t = cpu_ns();

		s->router = layout == SHARDS ? build_files(s, a) :
		    router_build(a, s->rules, s->n, NULL, NULL);
		t = (cpu_ns() - t) / 1e6;
		must(s->router != NULL);
		best = t < best ? t : best;
		*bytes_r = arena_used(a);
		if (run < 2)
			arena_free(&a);
	}
	return (best);
}

static const struct route *
look_up(const struct set *s, struct slice host, struct slice path, unsigned method)
{
	struct router_request req = { .host = host, .path = path, .method_text = SLICE("GET"),
		.method = method };
	const struct route *route = NULL;

	(void)router_find(s->router, &req, &route);
	return (route);
}

/* Of n routes, in an order without a pattern. */
static unsigned *
make_order(unsigned n)
{
	unsigned *order = calloc(LOOKUPS, sizeof(*order));
	struct rnd rnd;

	must(order != NULL);
	rnd_init_seed(&rnd, 1);
	for (unsigned i = 0; i < LOOKUPS; i++)
		order[i] = (unsigned)rnd_below(&rnd, n);
	return (order);
}

/* ns a lookup, once. */
static double
lookup_once(const struct set *s, const unsigned *order)
{
	double t = cpu_ns();

	for (unsigned i = 0; i < LOOKUPS; i++) {
		unsigned k = order[i];

		must(look_up(s, s->hosts[k], s->paths[k], s->methods[k]) == &s->routes[k]);
	}
	return ((cpu_ns() - t) / LOOKUPS);
}

/* Best of RUNS, the same ten requests to both sets, which take turns. */
static void
lookup_warm(const struct set *few, const struct set *many, double *few_r, double *many_r)
{
	unsigned *order = make_order(FEW);
	double t;

	*few_r = *many_r = 1e18;
	for (unsigned run = 0; run < RUNS ||
	    (run < MORE_RUNS && *many_r > MAX_RATIO * *few_r); run++) {
		t = lookup_once(few, order);
		*few_r = t < *few_r ? t : *few_r;
		t = lookup_once(many, order);
		*many_r = t < *many_r ? t : *many_r;
	}
	free(order);
}

struct line {
	unsigned	 next;
	char		 pad[LINE_BYTES - sizeof(unsigned)];
};

/* One ring through all lines, in an order without a pattern (Sattolo). */
static struct line *
make_ring(void)
{
	struct line *ring = calloc(LINES, sizeof(*ring));
	struct rnd rnd;

	must(ring != NULL);
	rnd_init_seed(&rnd, 2);
	for (unsigned i = 0; i < LINES; i++)
		ring[i].next = i;
	for (unsigned i = LINES - 1; i > 0; i--) {
		unsigned k = (unsigned)rnd_below(&rnd, i), line = ring[i].next;

		ring[i].next = ring[k].next;
		ring[k].next = line;
	}
	return (ring);
}

/* ns a line, each known only when the one before has come. */
static double
chase_once(const struct line *ring)
{
	static unsigned at;
	double t = cpu_ns();

	for (unsigned i = 0; i < LOOKUPS; i++)
		at = ring[at].next;
	t = (cpu_ns() - t) / LOOKUPS;
	must(at < LINES);
	return (t);
}

struct spread {
	double	 ns;		/* best a lookup */
	double	 misses;	/* fewest: what is not the warm lookup, by a miss at the same time */
};

/* Lookups and misses take turns, so that what slows the one down slows the other. */
static struct spread
lookup_spread(const struct set *s, double warm_ns)
{
	struct spread best = {1e18, 1e18};
	unsigned *order = make_order(s->n);
	struct line *ring = make_ring();

	for (unsigned run = 0; run < RUNS || (run < MORE_RUNS && best.ns > MAX_SPREAD_NS &&
	    best.misses > MAX_MISSES); run++) {
		double t = lookup_once(s, order), misses = (t - warm_ns) / chase_once(ring);

		best.ns = t < best.ns ? t : best.ns;
		best.misses = misses < best.misses ? misses : best.misses;
	}
	free(ring);
	free(order);
	return (best);
}

/* What a client can do worst: a host of 127 labels, a path of 2,000 segments; no route. */
static double
lookup_hostile(const struct set *s)
{
	double best = 1e18;
	char host[253], path[4000];

	for (size_t i = 0; i < sizeof(host); i++)
		host[i] = "a."[i % 2];
	for (size_t i = 0; i < sizeof(path); i++)
		path[i] = "/v"[i % 2];
	for (unsigned run = 0; run < RUNS; run++) {
		double t = cpu_ns();

		for (unsigned i = 0; i < LOOKUPS / 10; i++)
			must(look_up(s, slice_of(host, sizeof(host)),
			    slice_of(path, sizeof(path)), METHOD_GET) == NULL);
		t = (cpu_ns() - t) / (LOOKUPS / 10);
		best = t < best ? t : best;
	}
	return (best);
}

static bool
gate(const char *what, double is, double max)
{
	if (is <= max)
		return (true);
	printf("FAIL: %s: %.1f, at most %.1f\n", what, is, max);
	return (CC_ASAN || getenv("WEIR_PERF_PRINT") != NULL);
}

static bool
run_layout(enum layout layout, unsigned n)
{
	struct set few, many;
	size_t bytes;
	double few_ns, warm_ns, hostile_ns, build_ms;
	struct spread spread;
	bool ok;

	make_set(&few, layout, FEW);
	make_set(&many, layout, n);
	(void)build(&few, layout, &bytes);
	build_ms = build(&many, layout, &bytes);
	lookup_warm(&few, &many, &few_ns, &warm_ns);
	spread = lookup_spread(&many, warm_ns);
	hostile_ns = lookup_hostile(&many);
	printf("%-10s  %u routes %5.0f ns; %u routes: warm %5.0f ns, spread %5.0f ns "
	    "(%.1f misses), hostile %5.0f ns, built in %4.0f ms, %.0f bytes a route\n",
	    layout_names[layout], FEW, few_ns, n, warm_ns, spread.ns, spread.misses, hostile_ns, build_ms, (double)bytes / n);
	/* Each is asked, so that each that fails is told. */
	ok = gate("warm ratio", warm_ns / few_ns, MAX_RATIO);
	if (spread.ns > MAX_SPREAD_NS)
		ok = gate("misses a lookup", spread.misses, MAX_MISSES) && ok;
	ok = gate("ns a hostile lookup", hostile_ns, MAX_SPREAD_NS) && ok;
	ok = gate("ms to build", build_ms, MAX_BUILD_MS) && ok;
	return (ok);
}

int
main(int argc, char **argv)
{
	unsigned n = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : MANY;
	bool ok = true;

	for (unsigned l = ONE_HOST; l <= SHARDS; l++)
		ok &= run_layout((enum layout)l, n < FEW ? FEW : n);
	return (ok ? 0 : 1);
}
