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
#include "engine/loop/loop.h"
#include "engine/loop/resolve.h"
#include "engine/loop/timer.h"
#include "engine/mem/alloc.h"
#include "tests/unit/loop/dns_server.h"

static const struct dns_row rows[] = {
	{.name = "both.test", .a = "192.0.2.1", .aaaa = "2001:db8::1", .ttl = 30, .ttl_addr = 7},
	{.name = "four.test", .a = "192.0.2.4", .ttl = 55},
	{.name = "six.test", .aaaa = "2001:db8::6", .ttl_addr = 66},
	{.name = "short.test", .alias = "long.test", .a = "192.0.2.9", .ttl = 5, .ttl_addr = 300},
	{.name = "zero.test", .a = "192.0.2.5", .ttl = 0},
	{.name = "empty.test"},
	{.name = "silent.test", .silent = true},
	{.name = "garbage.test", .garbage = true},
	{.name = "servfail.test", .servfail = true},
	{.name = "big.test", .a = "198.51.100.1", .n_a = 60, .ttl = 9, .truncate = true},
};

static struct dns_server *server;
static struct loop *loop;
static struct resolver *resolver;

struct result {
	struct resolve_call	 call;
	unsigned		 calls;
	enum resolve_rc		 rc;
	unsigned		 n;
	uint32_t		 ttl_s;
	char			 first[ADDR_TEXT_MAX];
	char			 last[ADDR_TEXT_MAX];
	bool			 start_again;
};

static int
setup(void **state)
{
	struct resolver_conf conf = {.timeout_ms = 100, .tries = 2};
	char servers[32];

	(void)state;
	server = dns_server_start(rows, array_len(rows));
	(void)snprintf(servers, sizeof servers, "127.0.0.1:%u", dns_server_port(server));
	conf.servers = servers;
	if (loop_new(&loop) != NULL)
		return (-1);
	resolver = resolver_new(loop, &conf);
	return (resolver != NULL ? 0 : -1);
}

static int
teardown(void **state)
{
	(void)state;
	if (resolver != NULL)
		resolver_free(&resolver);
	loop_free(&loop);
	dns_server_stop(&server);
	return (0);
}

static void
on_resolved(struct resolve_call *call, const struct addr *addrs, unsigned n, uint32_t ttl_s,
    enum resolve_rc rc)
{
	struct result *r = container_of(call, struct result, call);

	r->calls++;
	r->rc = rc;
	r->n = n;
	r->ttl_s = ttl_s;
	assert_true((rc == RESOLVE_OK) == (n > 0));
	if (n > 0) {
		(void)addr_format(&addrs[0], r->first, sizeof r->first);
		(void)addr_format(&addrs[n - 1], r->last, sizeof r->last);
	}
	if (r->start_again) {
		r->start_again = false;
		resolve_start(resolver, call, SLICE("four.test."), 81, on_resolved);
	}
}

static void
start(struct result *r, const char *name)
{
	memset(r, 0, sizeof *r);
	resolve_call_init(&r->call);
	resolve_start(resolver, &r->call, slice_str(name), 80, on_resolved);
	assert_int_equal(r->calls, 0);	/* never from inside */
}

static void
on_limit(void *arg)
{
	(void)arg;
	fail_msg("no answer within 5 s");
}

static void
finish(struct result *r, unsigned calls)
{
	struct timer limit;

	timer_init(&limit, on_limit, NULL);
	timer_set(loop, &limit, loop_now_ms(loop) + 5000);
	while (r->calls < calls)
		loop_turn(loop, true);
	timer_clear(&limit);
}

static void
resolve(struct result *r, const char *name)
{
	start(r, name);
	finish(r, 1);
}

static void
test_both_families_least_ttl(void **state)
{
	struct result r;

	(void)state;
	resolve(&r, "both.test.");
	assert_int_equal(r.rc, RESOLVE_OK);
	assert_int_equal(r.n, 2);
	assert_int_equal(r.ttl_s, 7);
	assert_true(strcmp(r.first, "192.0.2.1:80") == 0 || strcmp(r.last, "192.0.2.1:80") == 0);
	assert_true(strcmp(r.first, "[2001:db8::1]:80") == 0 ||
	    strcmp(r.last, "[2001:db8::1]:80") == 0);
}

static void
test_one_family(void **state)
{
	struct result r;

	(void)state;
	resolve(&r, "four.test.");
	assert_int_equal(r.n, 1);
	assert_string_equal(r.first, "192.0.2.4:80");
	assert_int_equal(r.ttl_s, 55);
	resolve(&r, "SIX.test");
	assert_int_equal(r.n, 1);
	assert_string_equal(r.first, "[2001:db8::6]:80");
	assert_int_equal(r.ttl_s, 66);
}

static void
test_ttl_of_a_cname_counts(void **state)
{
	struct result r;

	(void)state;
	resolve(&r, "short.test.");
	assert_string_equal(r.first, "192.0.2.9:80");
	assert_int_equal(r.ttl_s, 5);
	resolve(&r, "zero.test.");
	assert_int_equal(r.rc, RESOLVE_OK);
	assert_int_equal(r.ttl_s, 0);
}

static void
test_no_such_name(void **state)
{
	struct result r;

	(void)state;
	resolve(&r, "none.test.");
	assert_int_equal(r.rc, RESOLVE_NOT_FOUND);
	assert_int_equal(r.n, 0);
	resolve(&r, "empty.test.");
	assert_int_equal(r.rc, RESOLVE_NOT_FOUND);
}

static void
test_failures(void **state)
{
	struct result r;

	(void)state;
	resolve(&r, "silent.test.");
	assert_int_equal(r.rc, RESOLVE_TIMEOUT);
	resolve(&r, "servfail.test.");
	assert_int_equal(r.rc, RESOLVE_FAILED);
	resolve(&r, "garbage.test.");
	assert_int_equal(r.rc, RESOLVE_FAILED);
}

static void
test_truncated_answer_comes_over_tcp(void **state)
{
	struct result r;

	(void)state;
	resolve(&r, "big.test.");
	assert_int_equal(r.rc, RESOLVE_OK);
	assert_int_equal(r.n, 60);
	assert_int_equal(r.ttl_s, 9);
	assert_true(dns_server_tcp(server) > 0);
}

static void
test_hosts_file_and_literals(void **state)
{
	struct result r;

	(void)state;
	resolve(&r, "localhost");
	assert_int_equal(r.rc, RESOLVE_OK);
	assert_int_equal(r.ttl_s, RESOLVE_LOCAL_TTL_S);
	resolve(&r, "203.0.113.7");
	assert_string_equal(r.first, "203.0.113.7:80");
	assert_int_equal(r.ttl_s, RESOLVE_LOCAL_TTL_S);
	resolve(&r, "2001:db8::7");
	assert_string_equal(r.first, "[2001:db8::7]:80");
	assert_int_equal(dns_server_queries(server), 0);
}

/* With the machine's hosts file, or without one. */
static void
test_localhost_needs_no_server(void **state)
{
	static const char *const names[] = { "localhost", "LocalHost.", "app.localhost",
		"a.b.localhost." };
	struct result r;

	(void)state;
	for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
		resolve(&r, names[i]);
		assert_int_equal(r.rc, RESOLVE_OK);
		assert_true(strcmp(r.first, "127.0.0.1:80") == 0 ||
		    strcmp(r.first, "[::1]:80") == 0);
		assert_int_equal(r.ttl_s, RESOLVE_LOCAL_TTL_S);
	}
	assert_int_equal(dns_server_queries(server), 0);
	resolve(&r, "notlocalhost.test.");
	assert_int_not_equal(r.rc, RESOLVE_OK);
	assert_true(dns_server_queries(server) > 0);
}

static void
test_bad_names(void **state)
{
	struct result r;
	char name[400];

	(void)state;
	resolve(&r, "");
	assert_int_equal(r.rc, RESOLVE_FAILED);
	memset(name, 'a', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	resolve(&r, name);		/* too long a name */
	assert_int_equal(r.rc, RESOLVE_FAILED);
	name[100] = '\0';
	resolve(&r, name);		/* too long a label */
	assert_int_not_equal(r.rc, RESOLVE_OK);
	resolve(&r, "a..b");
	assert_int_not_equal(r.rc, RESOLVE_OK);
	memset(&r, 0, sizeof r);
	resolve_call_init(&r.call);
	resolve_start(resolver, &r.call, slice_of("four.test\0x", 11), 80, on_resolved);
	finish(&r, 1);
	assert_int_equal(r.rc, RESOLVE_FAILED);
}

static void
test_cancel(void **state)
{
	struct result *gone = malloc(sizeof *gone);
	struct result r;

	(void)state;
	assert_non_null(gone);
	start(gone, "silent.test.");
	loop_turn(loop, false);
	resolve_cancel(&gone->call);
	free(gone);			/* its query is still under way in the library */
	start(&r, "203.0.113.7");
	resolve_cancel(&r.call);	/* done, but not told yet */
	resolve_cancel(&r.call);	/* idle: harmless */
	loop_turn(loop, false);
	assert_int_equal(r.calls, 0);
	resolve(&r, "silent.test.");	/* long enough for the cancelled one to end */
	assert_int_equal(r.calls, 1);
}

static void
test_start_again_from_the_callback(void **state)
{
	struct result r;

	(void)state;
	start(&r, "none.test.");
	r.start_again = true;
	finish(&r, 2);
	assert_int_equal(r.rc, RESOLVE_OK);
	assert_string_equal(r.first, "192.0.2.4:81");
}

static void
test_many_at_once(void **state)
{
	static struct result r[64];

	(void)state;
	for (unsigned i = 0; i < array_len(r); i++)
		start(&r[i], i % 2 == 0 ? "both.test." : "none.test.");
	for (unsigned i = 0; i < array_len(r); i++) {
		finish(&r[i], 1);
		assert_int_equal(r[i].rc, i % 2 == 0 ? RESOLVE_OK : RESOLVE_NOT_FOUND);
	}
}

static void
test_free_with_calls_under_way(void **state)
{
	struct result a, b;

	(void)state;
	start(&a, "silent.test.");
	start(&b, "203.0.113.7");
	loop_turn(loop, false);
	start(&b, "203.0.113.8");
	resolver_free(&resolver);
	assert_null(resolver);
	loop_turn(loop, false);
	assert_int_equal(a.calls, 0);
	assert_int_equal(b.calls, 0);
}

static void
test_bad_servers_text(void **state)
{
	struct resolver_conf conf = {.servers = "not an address"};

	(void)state;
	assert_null(resolver_new(loop, &conf));
}

static void
test_each_allocation_fails_once(void **state)
{
	bool hit = true;

	(void)state;
	for (uint64_t n = 1; hit; n++) {
		struct result r;

		mem_fail_at(n);
		start(&r, "four.test.");
		finish(&r, 1);
		hit = mem_fail_hit() != 0;
		mem_fail_off();
		assert_true(hit || r.rc == RESOLVE_OK);
		assert_true(n < 400);
	}
}

#define T(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_both_families_least_ttl),
		T(test_one_family),
		T(test_ttl_of_a_cname_counts),
		T(test_no_such_name),
		T(test_failures),
		T(test_truncated_answer_comes_over_tcp),
		T(test_hosts_file_and_literals),
		T(test_localhost_needs_no_server),
		T(test_bad_names),
		T(test_cancel),
		T(test_start_again_from_the_callback),
		T(test_many_at_once),
		T(test_free_with_calls_under_way),
		T(test_bad_servers_text),
		T(test_each_allocation_fails_once),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
