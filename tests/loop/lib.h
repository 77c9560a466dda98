/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_TESTS_LOOP_LIB_H
#define WEIR_TESTS_LOOP_LIB_H

/* What the tests of this folder share: cmocka, one configuration, one client and one server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/slice.h"
#include "tests/loop/gw.h"
#include "tests/sim/sim.h"

#define SERVER		"10.0.0.1:80"
#define SERVER_2	"10.0.0.2:80"

/* With ids that are random no two runs would be the same. */
#define CONF_LISTEN(more)	"version: 1\nlog: { access: off }\nlisteners: { web: { listen: 8080" more " } }\n"
#define CONF_ROUTE(more)						\
	"routes: [ { prefix: /, upstream: app, request_id: off" more " } ]\n"
#define CONF_SERVERS(list)	"upstreams: { app: { servers: [" list "] } }\n"
#define CONF			CONF_LISTEN("") CONF_SERVERS("\"" SERVER "\"") CONF_ROUTE("")

#define GET		"GET /a HTTP/1.1\r\nHost: example.org\r\n\r\n"
#define ANSWER		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

#define SL(literal)	slice_of("" literal, sizeof literal - 1)

/* NULL, or a sentence that fails the test. */
#define OK(call)							\
	do {								\
		const char *why_ = (call);				\
		if (why_ != NULL)					\
			fail_msg("%s: %s", #call, why_);		\
	} while (0)

static inline int
world_begin(void **state)
{
	(void)state;
	sim_begin();
	sim_server(SERVER, SIM_ACCEPT);
	sim_server(SERVER_2, SIM_ACCEPT);
	return (0);
}

static inline int
world_end(void **state)
{
	(void)state;
	gw_stop();
	sim_end();
	return (0);
}

static inline bool
has(struct sim_conn *c, const char *text)
{
	struct slice got = sim_received(c);

	return (memmem(got.p, got.len, text, strlen(text)) != NULL);
}

#define assert_has(c, text)						\
	do {								\
		if (!has((c), (text)))					\
			fail_msg("no \"%s\" in \"%.*s\"", (text),	\
			    (int)sim_received(c).len, sim_received(c).p);	\
	} while (0)

/* All that came is forgotten. */
static inline void
forget(struct sim_conn *c)
{
	struct slice got = sim_received(c);
	char *copy = malloc(got.len + 1);

	memcpy(copy, got.p, got.len);
	OK(sim_expect(c, slice_of(copy, got.len)));
	free(copy);
}

static inline struct sim_conn *
client(void)
{
	struct sim_conn *c = sim_client_connect(8080);

	assert_non_null(c);
	return (c);
}

/* The oldest connection to it that was not taken yet. */
static inline struct sim_conn *
server(const char *addr)
{
	struct sim_conn *c = sim_server_take(addr);

	assert_non_null(c);
	return (c);
}

/* This client's request reaches the server on a new connection, which is returned. */
static inline struct sim_conn *
asked(struct sim_conn *c)
{
	sim_send(c, SL(GET));
	return (server(SERVER));
}

/* The server answers, and the client has it; forgotten on both sides. */
static inline void
reply(struct sim_conn *s, struct sim_conn *c)
{
	sim_send(s, SL(ANSWER));
	assert_has(c, "hello");
	forget(c);
	forget(s);
}

/* The last request ended so. */
static inline void
assert_ended(unsigned status, enum reason reason)
{
	assert_string_equal(reason_info(gw_last()->reason)->name.p, reason_info(reason)->name.p);
	assert_int_equal(gw_last()->status, status);
}

/* A test with a world of its own. */
#define TEST(fn)	cmocka_unit_test_setup_teardown(fn, world_begin, world_end)

#endif
