/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is said of a request beforehand: listeners, routes, each policy's verdict, the target, the
 * server, places; and that running out of memory anywhere leaves nothing behind. That it is what
 * then happens is shown end to end.
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
#include "engine/app/explain.h"
#include "engine/mem/alloc.h"
#include "gateway/gateway.h"

static const struct app_program program = {
	.magic = APP_PROGRAM_MAGIC,
	.name = "test",
	.schema = &gateway_schema,
	.view = gateway_view,
	.proxy = &gateway_proxy,
};

static char path[] = "/tmp/weir-test-explain-XXXXXX";

static const char text[] =
    "version: 1\n"						/* 1 */
    "listeners:\n"
    "  web: { listen: 127.0.0.1:80, limits: { line: 1KiB } }\n"
    "  tight: { listen: 127.0.0.1:81, body_limit: 10B }\n"
    "upstreams:\n"						/* 5 */
    "  one: { servers: [10.0.0.1:80] }\n"
    "  two: { servers: [10.0.0.2:80, { address: 10.0.0.3:80, weight: 2 }] }\n"
    "  hashed: { servers: [10.0.0.4:80, 10.0.0.5:80], balance: { hash: { header: X-User } } }\n"
    "  named: { servers: [origin.test:80] }\n"
    "defaults: { timeout: { connect: 1s } }\n"			/* 10 */
    "routes:\n"
    "  - { name: one, prefix: /one, upstream: one, strip_prefix: true }\n"
    "  - { name: two, prefix: /two, upstream: two, timeout: { idle: 9s } }\n"
    "  - { name: hashed, prefix: /hashed, upstream: hashed }\n"
    "  - { name: named, path: /named, upstream: named, host: upstream }\n"	/* 15 */
    "  - { name: split, prefix: /split, split: { one: 1, two: 3 } }\n"
    "  - { name: stick, prefix: /stick, split: { one: 1, hashed: 3 }, split_by: path }\n"
    "  - { name: ip, prefix: /ip, upstream: one, ip: { allow: [10.0.0.0/8] } }\n"
    "  - { name: cors, prefix: /cors, upstream: one, cors: { origins: [\"https://a.test\"] } }\n"
    "  - { name: old, prefix: /old, redirect: { to: /new, status: 308 } }\n"	/* 20 */
    "  - { name: host, hosts: [a.test], path: /host, respond: { status: 503, body: x } }\n"
    "  - { name: copy, path: /copy, upstream: one, mirror: { upstream: two, share: 5% } }\n"
    "  - { name: field, path: /two/a, upstream: one, headers: { X-Beta: \"1\" } }\n";

enum { MANY = 64 };	/* routes that an answer tells of */

struct fixture {
	struct build	 b;
	struct explain	*e;
};

static int
setup(void **state)
{
	static struct fixture f;
	const char *paths[] = { path };
	struct load_options opt = { .paths = paths, .n_paths = 1 };
	FILE *out = fopen(path, "w");

	assert_non_null(out);
	assert_true(fputs(text, out) >= 0);
	for (unsigned i = 0; i < MANY + 2; i++)
		assert_true(fprintf(out, "  - { name: many%u, hosts: [%smore.test], path: /many, "
		    "upstream: one, headers: { X-Many: \"%u\" } }\n", i,
		    i < MANY ? "many.test, " : "", i) > 0);
	assert_int_equal(fclose(out), 0);
	if (!build_run(&f.b, &program, &opt, NULL, 1))
		diag_print(f.b.diag, stderr);
	assert_true(diag_is_ok(f.b.diag));
	assert_null(explain_new(&f.e, &f.b, f.b.snap, false));
	*state = &f;
	return (0);
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	explain_free(&f->e);
	build_fini(&f->b);
	return (0);
}

/* ---- asking ---- */

static json_t *
ask_with(struct fixture *f, const char *method, const char *url, const char *client,
    const char *listener, const char *field)
{
	struct slice fields[1] = { slice_str(field == NULL ? "" : field) };
	struct explain_ask ask = { .method = slice_str(method), .url = slice_str(url),
		.client = slice_str(client), .listener = slice_str(listener), .fields = fields,
		.n_fields = field != NULL };
	const char *wrong;
	json_t *o = explain_request(f->e, &ask, &wrong);

	if (o == NULL)
		print_error("%s\n", wrong == NULL ? "no memory" : wrong);
	assert_non_null(o);
	return (o);
}

static json_t *
ask(struct fixture *f, const char *url)
{
	return (ask_with(f, "", url, "", "", NULL));
}

static const json_t *
result(const json_t *o, size_t i)
{
	const json_t *r = json_array_get(json_object_get(o, "results"), i);

	assert_non_null(r);
	return (r);
}

static const char *
text_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return (s == NULL ? "" : s);
}

/* The item of a list whose member `key` is `value`. */
static const json_t *
item(const json_t *list, const char *key, const char *value)
{
	const json_t *it;
	size_t i;

	json_array_foreach(list, i, it) {
		if (strcmp(text_of(it, key), value) == 0)
			return (it);
	}
	fail_msg("no %s is %s", key, value);
	return (NULL);
}

static void
assert_line(const json_t *o, const char *key, unsigned line)
{
	const char *place = text_of(o, key), *colon = strrchr(place, ':');

	assert_non_null(colon);
	assert_memory_equal(place, path, strlen(path));
	assert_int_equal(strtoul(colon + 1, NULL, 10), line);
}

/* ---- the tests ---- */

static void
test_forwarded(void **state)
{
	json_t *o = ask(*state, "http://a.test/one/x?q");
	const json_t *r = result(o, 0), *u;

	assert_string_equal(text_of(o, "listener_by"), "port");
	assert_int_equal(json_array_size(json_object_get(r, "listeners")), 1);
	assert_string_equal(text_of(r, "outcome"), "forwarded");
	assert_string_equal(text_of(json_object_get(r, "route"), "name"), "one");
	assert_line(json_object_get(r, "route"), "place", 12);
	assert_string_equal(text_of(r, "path"), "/one/x");
	assert_string_equal(text_of(r, "target"), "/x?q");
	assert_string_equal(text_of(r, "target_host"), "a.test");
	u = item(json_object_get(r, "upstreams"), "name", "one");
	assert_string_equal(text_of(u, "server"), "10.0.0.1:80");
	u = item(json_object_get(r, "policies"), "name", "strip_prefix");
	assert_string_equal(text_of(u, "verdict"), "passes");
	assert_string_equal(text_of(u, "says"), "takes off /one");
	assert_line(u, "place", 12);
	json_decref(o);
}

static void
test_listeners(void **state)
{
	json_t *o = ask(*state, "https://a.test/two");

	/* No listener has port 443, and they differ in what they allow. */
	assert_string_equal(text_of(o, "listener_by"), "all");
	assert_int_equal(json_array_size(json_object_get(o, "results")), 2);
	json_decref(o);
	o = ask(*state, "http://a.test:81/two");
	assert_int_equal(json_array_size(json_object_get(o, "results")), 1);
	assert_string_equal(json_string_value(json_array_get(
	    json_object_get(result(o, 0), "listeners"), 0)), "tight");
	json_decref(o);
	o = ask_with(*state, "", "https://a.test/two", "", "web", NULL);
	assert_string_equal(text_of(o, "listener_by"), "name");
	assert_int_equal(json_array_size(json_object_get(o, "results")), 1);
	json_decref(o);
	/* What comes to the same is told once: neither names what differs. */
	o = ask_with(*state, "", "http://a.test/%zz", "", "web", NULL);
	assert_string_equal(text_of(result(o, 0), "reason"), "path_refused");
	json_decref(o);
}

static void
test_settings(void **state)
{
	json_t *o = ask(*state, "http://a.test:81/two");
	const json_t *all = json_object_get(result(o, 0), "settings"), *s;

	s = item(all, "key", "timeout.idle");
	assert_string_equal(text_of(s, "of"), "route");
	assert_string_equal(text_of(s, "value"), "9s");
	assert_line(s, "place", 13);
	assert_line(item(all, "key", "timeout.connect"), "place", 10);
	assert_line(item(all, "key", "body_limit"), "place", 4);
	s = item(all, "key", "timeout.first_byte");
	assert_true(json_is_null(json_object_get(s, "place")));
	assert_string_equal(text_of(item(all, "key", "timeout.headers"), "of"), "listener");
	assert_string_equal(text_of(item(all, "key", "pool.idle"), "of"), "upstream");
	json_decref(o);
}

static void
test_servers(void **state)
{
	json_t *o = ask(*state, "http://a.test/two");
	const json_t *u = item(json_object_get(result(o, 0), "upstreams"), "name", "two");
	char first[32];

	assert_true(json_is_null(json_object_get(u, "server")));
	assert_int_equal(json_integer_value(json_object_get(item(json_object_get(u, "servers"),
	    "server", "10.0.0.3:80"), "weight")), 2);
	json_decref(o);

	/* By hash it is sure, and the same each time; without the key it is not. */
	o = ask(*state, "http://a.test/hashed");
	u = item(json_object_get(result(o, 0), "upstreams"), "name", "hashed");
	assert_true(json_is_null(json_object_get(u, "server")));
	json_decref(o);
	for (unsigned i = 0; i < 4; i++) {
		o = ask_with(*state, "", "http://a.test/hashed", "", "", "X-User: alice");
		u = item(json_object_get(result(o, 0), "upstreams"), "name", "hashed");
		assert_true(json_is_string(json_object_get(u, "server")));
		if (i == 0)
			(void)snprintf(first, sizeof first, "%s", text_of(u, "server"));
		assert_string_equal(text_of(u, "server"), first);
		json_decref(o);
	}

	/* Of files no name is known, but there is only one. */
	o = ask(*state, "http://a.test/named");
	u = item(json_object_get(result(o, 0), "upstreams"), "name", "named");
	assert_string_equal(text_of(u, "server"), "origin.test:80");
	assert_true(json_is_null(json_object_get(u, "address")));
	assert_true(json_is_null(json_object_get(result(o, 0), "target_host")));
	json_decref(o);
}

static void
test_splits(void **state)
{
	json_t *o = ask(*state, "http://a.test/split");
	const json_t *all = json_object_get(result(o, 0), "upstreams");

	assert_true(json_is_null(json_object_get(result(o, 0), "upstream")));
	assert_int_equal(json_integer_value(json_object_get(item(all, "name", "one"), "share")), 1);
	assert_int_equal(json_integer_value(json_object_get(item(all, "name", "two"), "share")), 3);
	json_decref(o);
	o = ask(*state, "http://a.test/stick/x");
	assert_true(json_is_string(json_object_get(result(o, 0), "upstream")));
	json_decref(o);
}

static void
test_mirror(void **state)
{
	json_t *o = ask(*state, "http://a.test/copy");
	const json_t *m = json_object_get(result(o, 0), "mirror");

	assert_string_equal(text_of(m, "upstream"), "two");
	assert_true(json_real_value(json_object_get(m, "percent")) == 5.0);
	assert_line(m, "place", 22);
	json_decref(o);
}

static void
assert_candidate(const json_t *o, const char *route, bool is_taken, const char *why)
{
	const json_t *c = item(json_object_get(result(o, 0), "candidates"), "route", route);

	assert_int_equal(json_is_true(json_object_get(c, "is_taken")), is_taken);
	assert_non_null(strstr(text_of(c, "why"), why));
}

static void
test_candidates(void **state)
{
	json_t *o = ask(*state, "http://a.test/two/a");

	assert_candidate(o, "two", true, "prefix /two");
	assert_candidate(o, "field", false, "field X-Beta is not \"1\"");
	assert_line(item(json_object_get(result(o, 0), "candidates"), "route", "field"), "place",
	    23);
	json_decref(o);
	o = ask_with(*state, "", "http://a.test/two/a", "", "", "X-Beta: 1");
	assert_candidate(o, "field", true, "exact path");
	assert_candidate(o, "two", false, "comes first");
	json_decref(o);
	o = ask(*state, "http://b.test/host");
	assert_candidate(o, "host", false, "it is for host a.test");
	json_decref(o);
}

static void
assert_candidates(struct fixture *f, const char *url, size_t due, int more)
{
	json_t *o = ask(f, url);
	const json_t *r = result(o, 0);

	assert_int_equal(json_array_size(json_object_get(r, "candidates")), due);
	assert_int_equal(json_integer_value(json_object_get(r, "more_candidates")), more);
	json_decref(o);
}

static void
test_many_candidates(void **state)
{
	assert_candidates(*state, "http://many.test/many", MANY, 0);
	assert_candidates(*state, "http://more.test/many", MANY, 2);
}

static void
assert_ip(struct fixture *f, const char *client, const char *outcome, const char *verdict,
    const char *says)
{
	json_t *o = ask_with(f, "", "http://a.test/ip", client, "", NULL);
	const json_t *ip = item(json_object_get(result(o, 0), "policies"), "name", "ip");

	assert_string_equal(text_of(result(o, 0), "outcome"), outcome);
	assert_string_equal(text_of(ip, "verdict"), verdict);
	assert_string_equal(text_of(ip, "says"), says);
	json_decref(o);
}

static void
test_clients(void **state)
{
	assert_ip(*state, "", "forwarded", "unknown", "depends on the client's address");
	assert_ip(*state, "10.1.1.1", "forwarded", "passes", "10.1.1.1 is in 10.0.0.0/8 of allow");
	assert_ip(*state, "1.1.1.1", "refused", "refuses", "1.1.1.1 is not in allow");
}

static void
test_refused(void **state)
{
	json_t *o = ask_with(*state, "", "http://a.test/ip", "1.1.1.1", "", NULL);
	const json_t *r = result(o, 0);

	assert_string_equal(text_of(r, "reason"), "ip_denied");
	assert_int_equal(json_integer_value(json_object_get(r, "status")), 403);
	assert_string_equal(text_of(r, "key"), "ip");
	assert_line(r, "key_place", 18);
	json_decref(o);

	o = ask(*state, "http://a.test/one/%2f");
	r = result(o, 0);
	assert_string_equal(text_of(r, "reason"), "path_refused");
	assert_string_equal(text_of(r, "key"), "allow_encoded_slash");
	assert_line(r, "key_place", 12);
	json_decref(o);

	o = ask_with(*state, "POST", "http://a.test:81/one", "", "", "Content-Length: 11");
	r = result(o, 0);
	assert_string_equal(text_of(r, "reason"), "body_too_large");
	assert_line(r, "key_place", 4);
	json_decref(o);
}

static void
test_refused_without_route(void **state)
{
	static const struct {
		const char *method, *url, *reason;
	} cases[] = {
		{ "", "http://a.test/nowhere", "no_route" },
		{ "", "http://other.test/host", "no_route" },
		{ "", "http://a.test/a b", "request_malformed" },
		{ "G@T", "http://a.test/", "request_malformed" },
		{ "", "http://user@a.test/one", "request_malformed" },
		{ "", "http://a.test/%zz", "path_refused" },
		{ "CONNECT", "http://a.test/", "method_refused" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		json_t *o = ask_with(*state, cases[i].method, cases[i].url, "", "", NULL);

		assert_string_equal(text_of(result(o, 0), "reason"), cases[i].reason);
		assert_true(json_is_null(json_object_get(result(o, 0), "route")));
		json_decref(o);
	}
}

static void
test_answered(void **state)
{
	json_t *o = ask(*state, "http://a.test/old/x?q");
	const json_t *r = result(o, 0);

	assert_string_equal(text_of(r, "outcome"), "answered");
	assert_string_equal(text_of(r, "location"), "/new/x?q");
	assert_int_equal(json_integer_value(json_object_get(r, "status")), 308);
	json_decref(o);
	o = ask(*state, "http://a.test/host");
	assert_string_equal(text_of(result(o, 0), "outcome"), "answered");
	assert_int_equal(json_integer_value(json_object_get(result(o, 0), "status")), 503);
	json_decref(o);
}

static void
test_no_request(void **state)
{
	static const struct {
		const char *url, *client, *listener, *field, *says;
	} cases[] = {
		{ "", "", "", NULL, "a URL is due" },
		{ "a.test/x", "", "", NULL, "http://" },
		{ "http://a.test/x\r\nX: y", "", "", NULL, "one line" },
		{ "http://a.test/", "", "", "no colon", "name: value" },
		{ "http://a.test/", "", "", "a: b\nc: d", "one line" },
		{ "http://a.test/", "nobody", "", NULL, "IP address" },
		{ "http://a.test/", "", "none", NULL, "no listener" },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct slice field = slice_str(cases[i].field == NULL ? "" : cases[i].field);
		struct explain_ask a = { .url = slice_str(cases[i].url),
			.client = slice_str(cases[i].client),
			.listener = slice_str(cases[i].listener), .fields = &field,
			.n_fields = cases[i].field != NULL };
		const char *wrong;

		assert_null(explain_request(f->e, &a, &wrong));
		assert_non_null(wrong);
		assert_non_null(strstr(wrong, cases[i].says));
	}
}

static void
test_host_field(void **state)
{
	json_t *o = ask_with(*state, "", "/host", "", "web", "Host: a.test");

	assert_string_equal(text_of(json_object_get(result(o, 0), "route"), "name"), "host");
	json_decref(o);
}

/* For people there are the same things, and no byte that a terminal would obey. */
static void
test_print(void **state)
{
	json_t *o = ask(*state, "http://a.test/two/\x1b[2J");
	char *buf = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&buf, &n);

	assert_non_null(out);
	explain_print(o, out);
	json_decref(o);
	o = ask(*state, "http://a.test/two");
	explain_print(o, out);
	json_decref(o);
	assert_int_equal(fclose(out), 0);
	assert_null(strchr(buf, '\x1b'));
	assert_non_null(strstr(buf, "request_malformed"));
	assert_non_null(strstr(buf, "\nroute      two  by any host, prefix /two  ("));
	assert_non_null(strstr(buf, "timeout.idle"));
	assert_non_null(strstr(buf, "(default)\n"));
	assert_non_null(strstr(buf, "  or       10.0.0.3:80  weight 2\n"));
	free(buf);
}

/* Each allocation in turn: nothing, or the whole. jansson's own are not ours to fail. */
static void
test_memory_ends(void **state)
{
	struct fixture *f = *state;
	struct explain_ask a = { .url = SLICE("http://a.test/hashed") };
	const char *wrong;
	bool is_done = false;

	for (uint64_t n = 1; !is_done && n < 1000; n++) {
		struct explain *e = NULL;
		json_t *o = NULL;

		mem_fail_at(n);
		if (explain_new(&e, &f->b, f->b.snap, false) == NULL)
			o = explain_request(e, &a, &wrong);
		is_done = o != NULL;
		mem_fail_off();
		if (is_done)
			assert_string_equal(text_of(result(o, 0), "target"), "/hashed");
		json_decref(o);
		explain_free(&e);
	}
	assert_true(is_done);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forwarded),
		cmocka_unit_test(test_listeners),
		cmocka_unit_test(test_settings),
		cmocka_unit_test(test_servers),
		cmocka_unit_test(test_splits),
		cmocka_unit_test(test_mirror),
		cmocka_unit_test(test_candidates),
		cmocka_unit_test(test_many_candidates),
		cmocka_unit_test(test_clients),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_refused_without_route),
		cmocka_unit_test(test_answered),
		cmocka_unit_test(test_no_request),
		cmocka_unit_test(test_host_field),
		cmocka_unit_test(test_print),
		cmocka_unit_test(test_memory_ends),
	};
	int fd = mkstemp(path), failed;

	if (fd < 0)
		return (1);
	(void)close(fd);
	proxy_program = &gateway_proxy;
	build_register_filters();
	failed = cmocka_run_group_tests(tests, setup, teardown);
	(void)unlink(path);
	return (failed);
}
