/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a file to a generation: what is shared with the one before, what each mistake says, on which
 * layer a policy stands, and that running out of memory anywhere leaves nothing behind.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/app/build.h"
#include "engine/http/method.h"
#include "engine/mem/alloc.h"
#include "engine/proxy/router.h"
#include "engine/upstream/upstream.h"
#include "gateway/gateway.h"

static const struct app_program program = {
	.magic = APP_PROGRAM_MAGIC,
	.name = "test",
	.schema = &gateway_schema,
	.view = gateway_view,
	.proxy = &gateway_proxy,
};

static char path[] = "/tmp/weir-test-build-XXXXXX";

static void
put_file(const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fputs(text, f) >= 0, 1);
	assert_int_equal(fclose(f), 0);
}

static bool
build(struct build *b, const char *text, const struct snapshot *before)
{
	const char *paths[] = { path };
	struct load_options opt = { .paths = paths, .n_paths = 1 };

	put_file(text);
	return (build_run(b, &program, &opt, before, before == NULL ? 1 : before->generation + 1));
}

/* What must go well: the snapshot, which is the caller's. */
static struct snapshot *
build_fine(const char *text, const struct snapshot *before)
{
	struct snapshot *s;
	struct build b;

	if (!build(&b, text, before))
		diag_print(b.diag, stderr);
	assert_true(diag_is_ok(b.diag));
	s = build_take(&b);
	assert_non_null(s);
	build_fini(&b);
	return (s);
}

static bool
says(struct diag *d, unsigned line, const char *part)
{
	for (size_t i = 0; i < diag_count(d); i++) {
		const struct diag_item *it = diag_at(d, i);

		if (it->mark.line == line && strstr(it->message, part) != NULL)
			return (true);
	}
	return (false);
}

static const char one[] =
    "version: 1\n"
    "listeners: { web: { listen: 127.0.0.1:1 }, b: { listen: 127.0.0.1:2, body_limit: 1KiB } }\n"
    "upstreams:\n"
    "  u: { servers: [127.0.0.1:3] }\n"
    "  v: { servers: [127.0.0.1:4] }\n"
    "routes:\n"
    "  - { prefix: /u, upstream: u }\n"
    "  - { prefix: /v, split: { v: 1, u: 3 }, body_limit: 2KiB }\n"
    "  - { path: /r, respond: { body: hi }, listeners: [b] }\n";

/* The same to the program: order, spelling and defaults written out change nothing. */
static const char same[] =
    "version: 1\n"
    "# a comment\n"
    "upstreams:\n"
    "  u: { balance: least_request, servers: [ { address: 127.0.0.1:3 } ] }\n"
    "  v: { servers: [127.0.0.1:4], pool: { idle: 65 } }\n"
    "listeners: { web: { listen: 127.0.0.1:1, timeout: { headers: 10s } },\n"
    "  b: { body_limit: 1024B, listen: 127.0.0.1:2 } }\n"
    "routes:\n"
    "  - { prefix: /, split: { v: 1, u: 3 } }\n";

static void
test_parts_are_shared(void **state)
{
	struct snapshot *a = build_fine(one, NULL), *b = build_fine(same, a);
	const struct gate *ga = a->root, *gb = b->root;

	(void)state;
	assert_int_equal(gb->n_upstreams, 2);
	assert_ptr_equal(ga->upstreams[0], gb->upstreams[0]);
	assert_ptr_not_equal(ga->upstreams[1], gb->upstreams[1]);
	assert_int_equal(gb->upstreams[1]->pool.idle, 65);
	assert_ptr_equal(ga->listeners[0], gb->listeners[0]);
	assert_ptr_equal(ga->listeners[1], gb->listeners[1]);
	/* What is shared outlives the generation that made it. */
	snapshot_discard(&a);
	assert_int_equal(gb->upstreams[0]->first_set->n, 1);
	snapshot_discard(&b);
}

static const struct route *
find(const struct gate *g, const char *where, unsigned listener)
{
	struct router_request req = { .host = SLICE("h"), .path = slice_str(where),
		.method_text = SLICE("GET"), .method = METHOD_GET, .listener = listener };
	const struct route *route = NULL;

	(void)router_find(g->router, &req, &route);
	return (route);
}

static void
test_layers(void **state)
{
	struct snapshot *s = build_fine(one, NULL);
	const struct gate *g = s->root;

	(void)state;
	assert_int_equal(find(g, "/u", 0)->policy->body_limit, 16 << 20);
	assert_int_equal(find(g, "/u/x", 1)->policy->body_limit, 1 << 10);
	assert_int_equal(find(g, "/v", 0)->policy->body_limit, 2 << 10);
	assert_int_equal(find(g, "/v", 1)->policy->body_limit, 2 << 10);
	assert_int_equal(find(g, "/u", 0)->index, find(g, "/u", 1)->index);
	assert_null(find(g, "/r", 0));
	assert_non_null(find(g, "/r", 1));
	assert_int_equal(find(g, "/r", 1)->action, ROUTE_RESPOND);
	assert_int_equal(find(g, "/v", 0)->split->v[1].upto, 4);
	/* Routes that name no listener do not answer where no listener is left. */
	assert_null(find(g, "/u", GATE_LISTENER_GONE));
	snapshot_discard(&s);
}

/* What is done with a request is one object for all routes for which it is the same. */
static void
test_alike_routes_share(void **state)
{
	static const char text[] =
	    "version: 1\n"
	    "listeners: { web: { listen: 127.0.0.1:1 } }\n"
	    "upstreams: { u: { servers: [127.0.0.1:3] }, v: { servers: [127.0.0.1:4] } }\n"
	    "routes:\n"
	    "  - { prefix: /a, upstream: u }\n"
	    "  - { prefix: /b, upstream: v }\n"
	    "  - { path: /c, upstream: v }\n"
	    "  - { prefix: /limit1, upstream: u, body_limit: 1KiB }\n"
	    "  - { prefix: /limit2, upstream: v, body_limit: 1024B }\n"
	    "  - { prefix: /limit3, upstream: u, body_limit: 2KiB }\n"
	    "  - { prefix: /idle, upstream: u, timeout: { idle: 60s } }\n"
	    "  - { prefix: /strip, upstream: u, strip_prefix: true }\n"
	    "  - { path: /off, upstream: u, strip_prefix: off }\n"
	    "  - { prefix: /id, upstream: u, request_id: off }\n"
	    "  - { prefix: /set1, upstream: u, request_headers: { set: { A: b } } }\n"
	    "  - { prefix: /set2, upstream: u, request_headers: { set: { A: b } } }\n"
	    "  - { prefix: /set3, upstream: u, request_headers: { set: { A: c } } }\n";
	static const char *const alike[][2] = {
		{ "/a", "/b" }, { "/limit1", "/limit2" }, { "/set1", "/set2" },
	};
	static const char *const others[] = {
		"/a", "/c", "/limit1", "/limit3", "/idle", "/strip", "/off", "/id", "/set1", "/set3",
	};
	struct snapshot *s = build_fine(text, NULL);
	const struct gate *g = s->root;

	(void)state;
	for (unsigned i = 0; i < array_len(alike); i++)
		assert_ptr_equal(find(g, alike[i][0], 0)->policy, find(g, alike[i][1], 0)->policy);
	for (unsigned i = 0; i < array_len(others); i++) {
		for (unsigned j = 0; j < i; j++)
			assert_ptr_not_equal(find(g, others[i], 0)->policy,
			    find(g, others[j], 0)->policy);
	}
	/* A time that stands on the route itself is meant for streams too. */
	assert_int_equal(find(g, "/idle", 0)->policy->timeout.stream_idle, 60 * 1000);
	assert_int_equal(find(g, "/a", 0)->policy->timeout.idle, 60 * 1000);
	assert_int_not_equal(find(g, "/a", 0)->policy->timeout.stream_idle, 60 * 1000);
	assert_int_equal((uintptr_t)find(g, "/a", 0) % 64, 0);
	snapshot_discard(&s);
}

/* Also when it comes to the same as what another route inherits, or has wrong too. */
static void
test_mistakes_are_not_shared(void **state)
{
	static const char text[] =
	    "version: 1\n"
	    "listeners: { web: { listen: 127.0.0.1:1 } }\n"
	    "upstreams: { u: { servers: [127.0.0.1:3] } }\n"
	    "defaults: { strip_prefix: true }\n"
	    "routes:\n"
	    "  - { path: /inherits, upstream: u }\n"
	    "  - { path: /own, upstream: u, strip_prefix: true }\n"
	    "  - { path: /own2, upstream: u, strip_prefix: true }\n";
	struct build b;

	(void)state;
	assert_false(build(&b, text, NULL));
	assert_int_equal(diag_errors(b.diag), 2);
	assert_true(says(b.diag, 7, "an exact path"));
	assert_true(says(b.diag, 8, "an exact path"));
	build_fini(&b);
}

static void
test_all_mistakes_at_once(void **state)
{
	struct build b;

	(void)state;
	assert_false(build(&b,
	    "version: 1\n"
	    "listeners:\n"
	    "  web: { listen: 127.0.0.1:1 }\n"
	    "  two: { listen: 127.0.0.1:1 }\n"
	    "upstreams:\n"
	    "  users: { servers: [127.0.0.1:3, 127.0.0.1:3] }\n"
	    "routes:\n"
	    "  - { prefix: /u, upstream: usres }\n"
	    "  - { path: /x, upstream: users, listeners: [wbe] }\n"
	    "  - { path: /a, redirect: { to: elsewhere } }\n"
	    "  - { path: /b, respond: { status: 204, body: x } }\n"
	    "  - { path: /c, respond: { file: no-such-file } }\n"
	    "  - { name: d, path: /d, split: { users: 1, nobody: 1 } }\n"
	    "  - { name: d, path: /%00, upstream: users, upsteam: users }\n", NULL));
	assert_true(says(b.diag, 4, "listens on 127.0.0.1:1"));
	assert_true(says(b.diag, 6, "stands twice"));
	assert_true(says(b.diag, 8, "no upstream \"usres\""));
	assert_true(says(b.diag, 9, "no listener \"wbe\""));
	assert_true(says(b.diag, 10, "a path or a URL"));
	assert_true(says(b.diag, 11, "has no body"));
	assert_true(says(b.diag, 12, "cannot read"));
	assert_true(says(b.diag, 13, "no upstream \"nobody\""));
	assert_true(says(b.diag, 14, "a second route \"d\""));
	assert_true(says(b.diag, 14, "no path that a request can have"));
	assert_true(says(b.diag, 14, "unknown key \"upsteam\""));
	assert_int_equal(diag_errors(b.diag), 11);
	build_fini(&b);
}

static void
test_unused_and_ties(void **state)
{
	struct build b;

	(void)state;
	assert_false(build(&b,
	    "version: 1\n"
	    "listeners: { web: { listen: 127.0.0.1:1 } }\n"
	    "upstreams:\n"
	    "  u: { servers: [127.0.0.1:3] }\n"
	    "  spare: { servers: [127.0.0.1:3] }\n"
	    "routes:\n"
	    "  - { name: a, prefix: /u/, upstream: u }\n"
	    "  - { name: b, prefix: /u, upstream: u }\n"
	    "  - { prefix: /u, methods: [GET], upstream: u }\n", NULL));
	assert_true(says(b.diag, 8, "\"a\""));
	build_fini(&b);

	assert_false(build(&b,
	    "version: 1\n"
	    "listeners: { web: { listen: 127.0.0.1:1 } }\n"
	    "upstreams:\n"
	    "  u: { servers: [127.0.0.1:3] }\n"
	    "  spare: { servers: [127.0.0.1:3] }\n"
	    "routes:\n"
	    "  - { name: a, prefix: /u/, upstream: u }\n", NULL));
	assert_true(says(b.diag, 5, "\"spare\" is never used"));
	assert_int_equal(diag_errors(b.diag), 1);
	build_fini(&b);
}

/* What is sound is looked at beside what is not; what follows from a mistake is not told. */
static void
test_mistakes_of_all_kinds(void **state)
{
	struct build b;

	(void)state;
	assert_false(build(&b,
	    "version: 1\n"
	    "listeners: { web: { listen: x }, b: { listen: y }, c: }\n"
	    "upstreams:\n"
	    "  none:\n"
	    "  bad: { servers: [a b, c d], pol: 1 }\n"
	    "  spare: { servers: [127.0.0.1:3, 127.0.0.1:3] }\n"
	    "routes:\n"
	    "  - { prefix: /a, upstream: none, timeot: { idle: 1s } }\n"
	    "  - { prefix: /a, upstream: bad, methds: [GET] }\n"
	    "  - { prefix: /a, upstream: nobody, listeners: [web, b, c] }\n"
	    "  - { prefix: /t, upstream: none, body_limit: 1024 }\n"
	    "  - { prefix: /t, upstream: none }\n"
	    "  - { prefix: t, upstream: none, request_headers: { set: { a: [] }, remove: [a] } }\n"
	    "  - { prefix: u, respond: { status: abc }, redirect: { to: [] } }\n", NULL));
	assert_true(says(b.diag, 4, "has no value"));
	assert_true(says(b.diag, 5, "unknown key \"pol\""));
	assert_true(says(b.diag, 6, "stands twice"));
	assert_true(says(b.diag, 6, "\"spare\" is never used"));
	assert_true(says(b.diag, 8, "unknown key \"timeot\""));
	assert_true(says(b.diag, 9, "unknown key \"methds\""));
	assert_true(says(b.diag, 10, "no upstream \"nobody\""));
	assert_true(says(b.diag, 11, "no unit"));
	assert_true(says(b.diag, 12, "match the same requests"));
	assert_true(says(b.diag, 13, "is not a path"));
	assert_true(says(b.diag, 14, "is a list"));
	/* Three of listeners, the two servers, the field's value, `u`, status, two actions. */
	assert_int_equal(diag_errors(b.diag), 11 + 3 + 2 + 1 + 3);
	build_fini(&b);
}

/* Whether the one mistake in `text` is told alone. */
static void
alone(const char *text, unsigned line, const char *part)
{
	struct build b;

	assert_false(build(&b, text, NULL));
	if (diag_errors(b.diag) != 1 || !says(b.diag, line, part))
		diag_print(b.diag, stderr);
	assert_int_equal(diag_errors(b.diag), 1);
	assert_true(says(b.diag, line, part));
	build_fini(&b);
}

static void
test_nothing_follows(void **state)
{
#define BEGIN "version: 1\nlisteners: { web: { listen: 127.0.0.1:1 } }\n"
#define U     "upstreams: { u: { servers: [127.0.0.1:3] } }\n"
	(void)state;
	alone(BEGIN U "routes: [ { upsteam: u } ]\n", 4, "unknown key");
	alone(BEGIN U "routes: [ { prefix: /a } ]\n", 4, "is due");
	alone(BEGIN U "routes: [ { upstream: [u] } ]\n", 4, "is a list");
	alone(BEGIN U "routes: [ 7 ]\n", 4, "is a number");
	alone(BEGIN U "routes: 7\n", 4, "is a number");
	alone(BEGIN U "routs: [ { upstream: u } ]\n", 4, "unknown key");
	alone(BEGIN U "routes: [ { split: { u: abc } } ]\n", 4, "abc");
	alone(BEGIN U "routes: [ { hosts: [a, 'b c'], upstream: u } ]\n", 4, "b c");
	alone(BEGIN "upsteams: { u: {} }\nroutes: [ { upstream: u } ]\n", 3, "unknown key");
	alone(BEGIN "upstreams: 7\nroutes: [ { upstream: u } ]\n", 3, "is a number");
	alone(BEGIN "upstreams: { u: 7 }\nroutes: [ { upstream: u } ]\n", 3, "is a number");
	alone(BEGIN U "include: [no-such.yaml]\nroutes: [ { upstream: v } ]\n", 4, "cannot read");
	alone("version: 1\nlistener: { web: { listen: 1 } }\n" U
	    "routes: [ { upstream: u, listeners: [web] } ]\n", 2, "unknown key");
#undef U
#undef BEGIN
}

/* What can be read and means nothing: no request reaches it, or no client could follow it. */
static void
test_without_meaning(void **state)
{
#define BEGIN "version: 1\nupstreams: { u: { servers: [127.0.0.1:3] } }\n"
#define WEB   "listeners: { web: { listen: 127.0.0.1:1 } }\n"
#define TWO   "listeners: { web: { listen: 127.0.0.1:1 }, b: { listen: 127.0.0.1:2 } }\n"
#define SPARE "routes:\n  - { prefix: /spare, upstream: u }\n"
	static const char *const targets[] = { "//other", "https://", "http://a b/",
		"https://{hots}/", "/a b", "/a\\r\\nX: y", "/\\xe4", "ftp://a/", "/a|b" };
	struct snapshot *s;
	char text[512];

	(void)state;
	alone(BEGIN WEB "routes: [ { path: /a%2fb, upstream: u } ]\n", 4, "path holds %2F");
	alone(BEGIN WEB "routes: [ { prefix: '/a\\b', upstream: u } ]\n", 4, "prefix holds %2F");
	alone(BEGIN WEB "routes: [ { methods: [CONNECT], upstream: u } ]\n", 4, "CONNECT");
	alone(BEGIN TWO "routes: [ { upstream: u, listeners: [b] } ]\n", 3,
	    "listener \"web\" serves no route");
	alone(BEGIN TWO "routes: [ { upstream: u, listeners: [bb] } ]\n", 4, "no listener \"bb\"");
	alone(BEGIN TWO "routes: [ { upstream: u, listners: [b] } ]\n", 4, "unknown key");
	alone(BEGIN WEB SPARE "  - respond: { headers: { content-length: '1' } }\n", 6,
	    "cannot be sent here");
	for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
		(void)snprintf(text, sizeof text, "%s  - redirect: { to: \"%s\" }\n",
		    BEGIN WEB SPARE, targets[i]);
		alone(text, 6, "redirect to");
	}
	s = build_fine(BEGIN
	    "listeners: { web: { listen: 127.0.0.1:1, allow_encoded_slash: true } }\n"
	    "routes: [ { path: /a%2fb, upstream: u }, { methods: [CONNECT, GET], upstream: u } ]\n",
	    NULL);
	snapshot_discard(&s);
#undef BEGIN
#undef WEB
#undef TWO
#undef SPARE
}

/* Each allocation fails in turn: the build says so, and what it had made is gone (the sanitizer
   looks). The last round is the first without a failure. */
static void
test_every_allocation_fails(void **state)
{
	struct snapshot *before = build_fine(one, NULL), *s;
	struct build b;
	bool ok = false;
	uint64_t n;

	(void)state;
	for (n = 1; !ok; n++) {
		const char *paths[] = { path };
		struct load_options opt = { .paths = paths, .n_paths = 1 };

		put_file(same);
		mem_fail_at(n);
		ok = build_run(&b, &program, &opt, before, 2);
		if (ok) {
			s = build_take(&b);
			ok = s != NULL;
			snapshot_discard(&s);
		}
		mem_fail_off();
		assert_int_equal(ok, !mem_fail_hit());
		if (!ok && b.diag != NULL && b.snap == NULL)
			assert_true(b.no_memory);
		build_fini(&b);
	}
	assert_true(n > 8);	/* arenas ask seldom */
	snapshot_discard(&before);
}

static int
setup(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	proxy_program = &gateway_proxy;
	build_register_filters();
	return (fd < 0 ? -1 : close(fd));
}

static int
teardown(void **state)
{
	(void)state;
	return (unlink(path));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parts_are_shared),
		cmocka_unit_test(test_layers),
		cmocka_unit_test(test_alike_routes_share),
		cmocka_unit_test(test_mistakes_are_not_shared),
		cmocka_unit_test(test_all_mistakes_at_once),
		cmocka_unit_test(test_unused_and_ties),
		cmocka_unit_test(test_mistakes_of_all_kinds),
		cmocka_unit_test(test_nothing_follows),
		cmocka_unit_test(test_without_meaning),
		cmocka_unit_test(test_every_allocation_fails),
	};

	return (cmocka_run_group_tests(tests, setup, teardown));
}
