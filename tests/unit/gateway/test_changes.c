/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reload that reads only what changed comes to what reading everything comes to: for random edits
 * of many files it says the same and decides the same. And how much of the work it does, exactly.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/app/build.h"
#include "engine/base/cc.h"
#include "engine/base/rnd.h"
#include "engine/http/method.h"
#include "engine/mem/alloc.h"
#include "engine/proxy/route.h"
#include "engine/proxy/router.h"
#include "engine/upstream/upstream.h"
#include "gateway/gateway.h"

enum {
	FILES = 12,
	UPSTREAMS = 3,		/* of a file */
	ROUTES = 8,
	FEW_HOSTS = 6,
	MANY_HOSTS = 1000,	/* so that the router has shards */
	MANY_ROUTES = 30,
	PATHS = 5,
	STEPS = 400,
	REQUESTS = 200,
	TEXT = 8192,
	NAME = 64
};

static const struct app_program program = {
	.magic = APP_PROGRAM_MAGIC,
	.name = "test",
	.schema = &gateway_schema,
	.view = gateway_view,
	.proxy = &gateway_proxy,
};

static char dir[32], conf_d[NAME];
static struct rnd rnd;
static unsigned n_hosts, n_routes;
static const char *variable;

static unsigned
below(unsigned n)
{
	return ((unsigned)rnd_below(&rnd, n));
}

static bool
one_in(unsigned n)
{
	return (below(n) == 0);
}

/* ---- files ---- */

static void
name_of(char *path, unsigned file)
{
	(void)snprintf(path, NAME, file == 0 ? "%s/root.yaml" : "%s/conf.d/f%02u.yaml", dir, file);
}

static void
put(unsigned file, const char *text)
{
	char path[NAME];
	FILE *f;

	name_of(path, file);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static bool
get(unsigned file, char *text)
{
	char path[NAME];
	size_t n;
	FILE *f;

	name_of(path, file);
	f = fopen(path, "r");
	if (f == NULL)
		return (false);
	n = fread(text, 1, TEXT - 1, f);
	text[n] = '\0';
	(void)fclose(f);
	return (true);
}

static void
drop(unsigned file)
{
	char path[NAME];

	name_of(path, file);
	(void)unlink(path);
}

static void add(char *text, const char *fmt, ...) CC_PRINTF(2, 3);

static void
add(char *text, const char *fmt, ...)
{
	size_t n = strlen(text);
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text + n, TEXT - n, fmt, ap);
	va_end(ap);
}

/* Mostly sound; what is not is what files can do to one another. */
static void
write_route(char *text, unsigned file, unsigned i)
{
	static const char *const kinds[] = { "path: \"", "prefix: \"", "prefix: \"",
		"regex: \"^" };
	unsigned owner = one_in(8) ? 1 + below(FILES - 1) : file;

	add(text, "  - { ");
	if (!one_in(4))
		add(text, "name: r%u_%u, ", one_in(10 * n_routes) ? below(FILES) : file, i);
	if (!one_in(5))
		add(text, "hosts: [\"%sh%u.test\", h%u.test], ", one_in(6) ? "*." : "",
		    below(n_hosts), below(n_hosts));
	/* The place in the file is part of the path, so that ties are rare. */
	add(text, "%s/p%u/f%u/r%u\", ", kinds[below(array_len(kinds))], below(PATHS),
	    one_in(100) ? below(FILES) : file, i);
	if (one_in(8))
		add(text, "query: { q: \"%u\" }, ", below(2));
	if (one_in(6))
		add(text, "methods: [GET, PURGE], ");
	if (one_in(8))
		add(text, "listeners: [%s], ", one_in(2) ? "one" : "two");
	if (one_in(5))
		add(text, "body_limit: %uKiB, ", 1 + below(4));
	if (one_in(6))
		add(text, "timeout: { idle: %us }, ", 1 + below(4));
	if (i < UPSTREAMS && !one_in(150))
		add(text, "upstream: u%u_%u }\n", file, i);
	else if (one_in(4))
		add(text, "split: { u%u_0: 1, u%u_1: 2 } }\n", owner, owner);
	else if (one_in(6))
		add(text, "respond: { body: \"${V:-none}\" } }\n");
	else
		add(text, "upstream: u%u_%u }\n", owner, below(UPSTREAMS));
}

static void
write_file(unsigned file)
{
	char text[TEXT] = "upstreams:\n";
	unsigned n = UPSTREAMS + below(n_routes - UPSTREAMS);

	for (unsigned i = 0; i < UPSTREAMS; i++)
		add(text, "  u%u_%u: { servers: [\"127.0.0.1:%u\"] }\n",
		    one_in(200) ? below(FILES) : file, i, 1000 + below(3));
	add(text, "routes:\n");
	for (unsigned i = 0; i < n; i++)
		write_route(text, file, i);
	if (one_in(100))
		add(text, "  - { prefix: [ }\n");
	put(file, text);
}

static void
write_root(void)
{
	char text[TEXT] = "version: 1\ninclude: [conf.d/*.yaml]\n";

	add(text, "listeners:\n  one: { listen: \"127.0.0.1:1\"%s }\n", one_in(3) ?
	    ", limits: { requests: 7 }" : "");
	add(text, "  %s: { listen: \"127.0.0.1:2\"%s }\n", one_in(8) ? "deux" : "two",
	    one_in(4) ? ", body_limit: 1KiB" : "");
	if (one_in(3))
		add(text, "defaults: { timeout: { total: %us } }\n", 1 + below(3));
	add(text, "routes:\n  - { prefix: /, respond: { status: 204 } }\n");
	put(0, text);
}

static void
edit(void)
{
	unsigned file = 1 + below(FILES - 1);
	char text[TEXT];

	switch (below(12)) {
	case 0:
		write_root();
		break;
	case 1:
		drop(file);
		break;
	case 2:
		variable = one_in(2) ? NULL : "some";
		break;
	case 3:
		if (get(file, text))
			put(file, text);	/* touched */
		break;
	case 4:
		write_file(file);
		write_file(1 + below(FILES - 1));
		break;
	default:
		write_file(file);
	}
}

/* ---- what it comes to ---- */

static const char *
look_up(void *arg, const char *name)
{
	(void)arg;
	return (strcmp(name, "V") == 0 ? variable : NULL);
}

/* Its mistakes, and the generation or NULL. */
static struct snapshot *
build(const struct snapshot *before, char **said_r, struct build_work *work_r)
{
	char root[NAME];
	const char *paths[] = { root };
	struct load_options opt = { .paths = paths, .n_paths = 1, .lookup = look_up };
	struct snapshot *s = NULL;
	struct build b;
	size_t n;
	FILE *f;

	name_of(root, 0);
	f = open_memstream(said_r, &n);
	if (build_run(&b, &program, &opt, before, before == NULL ? 1 : before->generation + 1))
		s = build_take(&b);
	diag_print_json(b.diag, f);
	assert_int_equal(s != NULL, diag_errors(b.diag) == 0);
	(void)fclose(f);
	*work_r = b.work;
	build_fini(&b);
	return (s);
}

static const struct route *
find(const struct gate *g, struct router_request *req)
{
	struct regex_work *work = regex_work_new();
	const struct route *route = NULL;

	req->regex = work;
	assert_int_not_equal(router_find(g->router, req, &route), ROUTER_LIMIT);
	regex_work_free(&work);
	return (route);
}

static struct slice
upstream_name(const struct gate *g, uint32_t slot)
{
	return (gate_upstream(g, slot)->part.name);
}

static void
same_target(const struct gate *ga, const struct route *a, const struct gate *gb,
    const struct route *b)
{
	assert_int_equal(a->action, b->action);
	switch ((enum route_action)a->action) {
	case ROUTE_UPSTREAM:
		assert_true(slice_eq(upstream_name(ga, a->upstream),
		    upstream_name(gb, b->upstream)));
		assert_int_equal(gate_upstream(ga, a->upstream)->part.hash,
		    gate_upstream(gb, b->upstream)->part.hash);
		break;
	case ROUTE_SPLIT:
		assert_int_equal(a->split->n, b->split->n);
		for (unsigned i = 0; i < a->split->n; i++)
			assert_true(slice_eq(upstream_name(ga, a->split->v[i].upstream),
			    upstream_name(gb, b->split->v[i].upstream)));
		break;
	case ROUTE_RESPOND:
		assert_true(slice_eq(a->respond->body, b->respond->body));
		break;
	case ROUTE_REDIRECT:
		break;
	}
}

/* Where a route of the gate is, or somewhere. */
static void
choose(const struct gate *g, char *host, char *path)
{
	const struct route_file *f = g->files[below(g->n_files)];
	const struct router_rule *rule = f->n_rules == 0 ? NULL : &f->rules[below(f->n_rules)];

	(void)snprintf(host, NAME, "%sh%u.test", one_in(3) ? "x." : "", below(n_hosts + 1));
	(void)snprintf(path, NAME, "/p%u/f%u/r%u%s", below(PATHS), below(FILES), below(n_routes),
	    one_in(2) ? "/more" : "");
	if (rule == NULL || one_in(3))
		return;
	if (rule->n_hosts > 0) {
		struct slice name = rule->hosts[below(rule->n_hosts)];

		(void)snprintf(host, NAME, SLICE_FMT, SLICE_ARG(name));
		if (host[0] == '*')
			host[0] = 'x';
	}
	if (rule->path.len > 0)
		(void)snprintf(path, NAME, SLICE_FMT, SLICE_ARG(rule->path));
	else if (rule->prefix.len > 1)
		(void)snprintf(path, NAME, SLICE_FMT "%s", SLICE_ARG(rule->prefix),
		    one_in(2) ? "/more" : "");
}

/* One decides as the other does. */
static void
same_decision(const struct gate *ga, const struct gate *gb)
{
	static const enum http_method methods[] = { METHOD_GET, METHOD_POST, METHOD_OTHER };
	struct router_request req = { .method = methods[below(3)], .listener = below(2),
		.query = one_in(2) ? SLICE("q=0") : SLICE("q=1") };
	const struct route *a, *b;
	char host[NAME], path[NAME];

	choose(ga, host, path);
	req.method_text = req.method == METHOD_OTHER ? SLICE("PURGE") :
	    method_name((enum http_method)req.method);
	req.host = slice_str(host);
	req.path = slice_str(path);
	a = find(ga, &req);
	b = find(gb, &req);
	assert_int_equal(a == NULL, b == NULL);
	if (a == NULL)
		return;
	assert_true(slice_eq(a->name, b->name));
	assert_true(slice_eq(a->prefix, b->prefix));
	assert_int_equal(a->policy->body_limit, b->policy->body_limit);
	assert_memory_equal(&a->policy->timeout, &b->policy->timeout, sizeof a->policy->timeout);
	same_target(ga, a, gb, b);
}

static void
same_gates(const struct gate *a, const struct gate *b)
{
	assert_int_equal(a->n_routes, b->n_routes);
	assert_int_equal(a->n_files, b->n_files);
	assert_int_equal(a->n_upstreams, b->n_upstreams);
	for (unsigned i = 0; i < a->n_upstreams; i++)
		assert_true(slice_eq(a->upstreams[i]->part.name, b->upstreams[i]->part.name));
	for (unsigned i = 0; i < REQUESTS; i++)
		same_decision(a, b);
}

static int
setup(void **state)
{
	(void)state;
	strcpy(dir, "changes-XXXXXX");
	if (mkdtemp(dir) == NULL)
		return (-1);
	rnd_init_seed(&rnd, 4711);
	variable = NULL;
	(void)snprintf(conf_d, sizeof conf_d, "%s/conf.d", dir);
	return (mkdir(conf_d, 0700));
}

static int
teardown(void **state)
{
	(void)state;
	for (unsigned i = 0; i < FILES; i++)
		drop(i);
	(void)rmdir(conf_d);
	return (rmdir(dir));
}

/* How often only a part of the router was made. */
static unsigned
edit_at_random(void)
{
	struct snapshot *now = NULL, *fresh, *next;
	struct build_work work, whole;
	unsigned n_sound = 0, n_quick = 0, n_partial = 0;
	char *said, *due;

	write_root();
	for (unsigned i = 1; i < FILES; i++)
		write_file(i);
	for (unsigned step = 0; step < STEPS; step++) {
		next = build(now, &said, &work);
		fresh = build(NULL, &due, &whole);
		assert_string_equal(said, due);
		free(said);
		free(due);
		assert_int_equal(next == NULL, fresh == NULL);
		if (next != NULL) {
			same_gates(next->root, fresh->root);
			n_sound++;
			n_quick += !work.is_whole;
			n_partial += work.rules < whole.rules;
			snapshot_discard(&now);
			now = next;
		}
		snapshot_discard(&fresh);
		/* A file that is wrong is mended, mostly. */
		if (next == NULL && !one_in(4)) {
			for (unsigned i = 1; i < FILES; i++)
				write_file(i);
			write_root();
		} else {
			edit();
		}
	}
	snapshot_discard(&now);
	/* Else nothing was shown. */
	assert_true(n_sound > STEPS / 4);
	assert_true(n_quick > STEPS / 8);
	return (n_partial);
}

static void
test_random_edits(void **state)
{
	(void)state;
	n_hosts = FEW_HOSTS;
	n_routes = ROUTES;
	(void)edit_at_random();
}

static void
test_random_edits_of_many_hosts(void **state)
{
	(void)state;
	n_hosts = MANY_HOSTS;
	n_routes = MANY_ROUTES;
	assert_true(edit_at_random() > STEPS / 8);
}

/* ---- how much is done ---- */

static void
write_plain(unsigned file, unsigned port)
{
	char text[TEXT] = "";

	add(text, "upstreams: { u%u: { servers: [\"127.0.0.1:%u\"] } }\nroutes:\n", file, port);
	for (unsigned i = 0; i < ROUTES; i++)
		add(text, "  - { hosts: [h%u.test], prefix: /f%u/r%u, upstream: u%u }\n", file, file,
		    i, file);
	put(file, text);
}

static struct snapshot *
step(struct snapshot *now, struct build_work *work)
{
	struct snapshot *next;
	char *said;

	next = build(now, &said, work);
	assert_string_equal(said, "[]\n");
	free(said);
	snapshot_discard(&now);
	return (next);
}

/* The last route of a listener goes: the other files are not read for it, and it is told. */
static void
test_a_listener_serves_nothing_any_more(void **state)
{
	static const char text[] =
	    "routes: [ { path: /%u, listeners: [%s], respond: {} } ]\n";
	char one[TEXT] = "", two[TEXT] = "", again[TEXT] = "", *said;
	struct snapshot *now;
	struct build_work w;

	(void)state;
	put(0, "version: 1\ninclude: [conf.d/*.yaml]\n"
	    "listeners: { a: { listen: 1 }, b: { listen: 2 } }\n");
	add(one, text, 1, "a");
	add(two, text, 2, "b");
	add(again, text, 2, "a");
	put(1, one);
	put(2, two);
	now = step(NULL, &w);
	put(2, again);
	assert_null(build(now, &said, &w));
	assert_non_null(strstr(said, "listener \\\"b\\\" serves no route"));
	free(said);
	put(2, two);
	now = step(now, &w);
	assert_false(w.is_whole);
	snapshot_discard(&now);
}

static void
test_work(void **state)
{
	struct snapshot *now;
	struct build_work w;

	(void)state;
	put(0, "version: 1\ninclude: [conf.d/*.yaml]\nlisteners: { l: { listen: 1 } }\n"
	    "routes: [ { prefix: /, respond: {} } ]\n");
	for (unsigned i = 1; i < FILES; i++)
		write_plain(i, 1);
	now = step(NULL, &w);
	assert_true(w.is_whole);
	assert_int_equal(w.files_parsed, FILES);
	assert_int_equal(w.routes, 1 + (FILES - 1) * ROUTES);
	/* Nothing changed: the root alone is parsed, for what is beside its routes. */
	now = step(now, &w);
	assert_false(w.is_whole);
	assert_int_equal(w.files_parsed, 1);
	assert_int_equal(w.routes + w.upstreams, 0);
	/* One file. */
	write_plain(3, 2);
	now = step(now, &w);
	assert_false(w.is_whole);
	assert_int_equal(w.files_parsed, 2);
	assert_int_equal(w.routes, ROUTES);
	assert_int_equal(w.upstreams, 1);
	snapshot_discard(&now);
}

/* The workers are told which upstreams went, so that they need not look for them. */
static void
test_what_went_is_known(void **state)
{
	struct snapshot *a, *b;
	const struct gate *was;
	struct upstream *gone;
	struct build_work w;
	char *said;

	(void)state;
	put(0, "version: 1\ninclude: [conf.d/*.yaml]\nlisteners: { l: { listen: 1 } }\n"
	    "routes: [ { prefix: /, respond: {} } ]\n");
	for (unsigned i = 1; i < FILES; i++)
		write_plain(i, 1);
	a = step(NULL, &w);
	was = a->root;
	gone = was->upstreams[2];
	write_plain(3, 2);
	b = build(a, &said, &w);
	free(said);
	assert_int_equal(was->next, b->generation);
	assert_int_equal(was->n_dropped, 1);
	assert_ptr_equal(was->dropped[0], gone);
	snapshot_discard(&a);
	snapshot_discard(&b);
}

/* Of a router in shards only those are made again that hold a host of the file; of the others not a
   rule is touched. And an upstream changes under the routes of other files. */
static void
test_work_of_many_hosts(void **state)
{
	enum { HOSTS = 64, RULES = 1 + (FILES - 1) * HOSTS };
	struct router_request ask = { .host = SLICE("h0.f1.test"), .path = SLICE("/"),
		.method = METHOD_GET, .method_text = SLICE("GET") };
	struct snapshot *now, *before;
	const struct gate *g;
	struct build_work w;
	char text[TEXT] = "", *said;

	(void)state;
	put(0, "version: 1\ninclude: [conf.d/*.yaml]\nlisteners: { l: { listen: 1 } }\n"
	    "upstreams: { u: { servers: [127.0.0.1:1] } }\nroutes: [ { prefix: /, upstream: u } ]\n");
	for (unsigned i = 1; i < FILES; i++) {
		text[0] = '\0';
		add(text, "routes:\n");
		for (unsigned k = 0; k < HOSTS; k++)
			add(text, "  - { hosts: [h%u.f%u.test], upstream: u }\n", k, i);
		put(i, text);
	}
	now = step(NULL, &w);
	assert_int_equal(w.rules, RULES);
	/* One route of one file: the shard of its host. */
	add(text, "  - { hosts: [one.more.test], upstream: u }\n");
	put(FILES - 1, text);
	before = now;
	now = build(before, &said, &w);
	free(said);
	assert_non_null(now);
	assert_int_equal(w.files_parsed, 2);
	assert_int_equal(w.routes, HOSTS + 1);
	assert_true(w.rules >= HOSTS + 1 && w.rules < RULES);
	assert_non_null(find(now->root, &ask));
	assert_ptr_equal(find(now->root, &ask), find(before->root, &ask));
	/* The shards outlive the generation that made them. */
	snapshot_discard(&before);
	put(0, "version: 1\ninclude: [conf.d/*.yaml]\nlisteners: { l: { listen: 1 } }\n"
	    "upstreams: { u: { servers: [127.0.0.1:2] } }\nroutes: [ { prefix: /, upstream: u } ]\n");
	now = step(now, &w);
	assert_false(w.is_whole);
	assert_int_equal(w.routes, 1);
	assert_int_equal(w.rules, 1);
	g = now->root;
	assert_int_equal(addr_port(&gate_upstream(g, find(g, &ask)->upstream)->conf->servers[0].addr),
	    2);
	snapshot_discard(&now);
}

/* Upstreams and routes come and go, one file after the other; what went is given back. */
static void
test_memory_stays(void **state)
{
	enum { RELOADS = 200, WARM = 40, SLACK = 64 * 1024 };
	struct snapshot *now;
	struct mem_stats first, last;
	struct build_work w;

	(void)state;
	put(0, "version: 1\ninclude: [conf.d/*.yaml]\nlisteners: { l: { listen: 1 } }\n"
	    "routes: [ { prefix: /, respond: {} } ]\n");
	for (unsigned i = 1; i < FILES; i++)
		write_plain(i, 1);
	now = step(NULL, &w);
	for (unsigned i = 0; i < WARM + RELOADS; i++) {
		unsigned file = 1 + i % (FILES - 1);

		if (i == WARM)
			mem_stats(&first);
		/* Gone in one turn, back in the next. */
		if (i / (FILES - 1) % 2 == 0 && file % 3 == 0)
			drop(file);
		else
			write_plain(file, 1 + i % 7);
		now = step(now, &w);
		assert_false(w.is_whole);
	}
	mem_stats(&last);
	assert_true(last.allocated < first.allocated + SLACK);
	snapshot_discard(&now);
}

/* Each allocation fails in turn: the build says so, what runs stays, and the next one is sound. */
static void
test_every_allocation_fails(void **state)
{
	char root[NAME];
	const char *paths[] = { root };
	struct load_options opt = { .paths = paths, .n_paths = 1, .lookup = look_up };
	bool ok = false;

	(void)state;
	name_of(root, 0);
	put(0, "version: 1\ninclude: [conf.d/*.yaml]\nlisteners: { l: { listen: 1 } }\n"
	    "routes: [ { prefix: /, respond: {} } ]\n");
	write_plain(1, 1);
	for (uint64_t n = 1; !ok; n++) {
		struct snapshot *before, *next = NULL;
		struct build_work w;
		struct build b;

		write_plain(2, 1);
		before = step(NULL, &w);
		write_plain(2, 2);
		mem_fail_at(n);
		if (build_run(&b, &program, &opt, before, 2))
			next = build_take(&b);
		ok = !mem_fail_hit();
		mem_fail_off();
		assert_int_equal(next != NULL, ok);
		assert_int_equal(!ok, b.no_memory || b.snap != NULL);
		build_fini(&b);
		snapshot_discard(&next);
		next = step(before, &w);
		assert_int_equal(((const struct gate *)next->root)->n_upstreams, 2);
		snapshot_discard(&next);
	}
}

/* Where files that changed are not enough, all are read; the list of mistakes is never one that
   has gone. */
static void
test_every_allocation_fails_where_all_is_read(void **state)
{
	static const char root[] = "version: 1\ninclude: [conf.d/*.yaml]\n"
	    "listeners: { %s: { listen: 1 } }\nroutes: [ { prefix: /, respond: {} } ]\n";
	char path[NAME], text[TEXT];
	const char *paths[] = { path };
	struct load_options opt = { .paths = paths, .n_paths = 1, .lookup = look_up };
	struct snapshot *before;
	struct build_work w;
	bool ok = false;

	(void)state;
	name_of(path, 0);
	(void)snprintf(text, sizeof text, root, "l");
	put(0, text);
	write_plain(1, 1);
	before = step(NULL, &w);
	(void)snprintf(text, sizeof text, root, "other");
	put(0, text);
	for (uint64_t n = 1; !ok; n++) {
		struct build b;

		mem_fail_at(n);
		ok = build_run(&b, &program, &opt, before, 2);
		mem_fail_off();
		assert_int_equal(ok, !b.no_memory);
		assert_true(b.diag == NULL || diag_errors(b.diag) == 0);
		build_fini(&b);
	}
	snapshot_discard(&before);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_random_edits),
		TEST(test_random_edits_of_many_hosts),
		TEST(test_a_listener_serves_nothing_any_more),
		TEST(test_work),
		TEST(test_what_went_is_known),
		TEST(test_work_of_many_hosts),
		TEST(test_memory_stays),
		TEST(test_every_allocation_fails),
		TEST(test_every_allocation_fails_where_all_is_read),
	};

	proxy_program = &gateway_proxy;
	build_register_filters();
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
