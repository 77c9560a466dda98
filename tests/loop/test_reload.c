/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/base/log.h"
#include "engine/mem/alloc.h"
#include "tests/loop/lib.h"

/* A reload whose file has host names: it waits for their first answers, and the process serves what
   it served meanwhile. And what becomes of requests whose upstream, or server, goes meanwhile. */

#define NAMED(list)	CONF_LISTEN("") CONF_SERVERS(list) CONF_ROUTE("")
#define CONF_NAME	NAMED("\"a.test:80\"")
#define CONF_BROKEN	CONF_LISTEN("") "upstreams: { app: { servers: [] } }\n" CONF_ROUTE("")

enum {
	READY_MS = 5000	/* names are waited for no longer */
};

/* The next request of this client is answered by the server at this address. */
static void
assert_served_by(struct sim_conn *c, const char *addr, struct sim_conn *s)
{
	sim_send(c, SL(GET));
	sim_run_until_idle();
	if (s == NULL)
		s = server(addr);
	sim_send(s, SL(ANSWER));
	assert_has(c, "hello");
	forget(c);
	assert_ended(200, REASON_NONE);
	assert_string_equal(gw_last()->server, addr);
}

/* ---- what is told of it ---- */

/* Lines of the log are limited by call site; how a reload ended is told each time all the same. */
static void
test_each_end_is_told(void **state)
{
	enum { RELOADS = 3 * LOG_SITE_PER_SECOND, LOG_BYTES = 64 * 1024 };
	char *text = xcalloc(1, LOG_BYTES);
	int fd = memfd_create("log", MFD_CLOEXEC);
	unsigned told = 0;

	(void)state;
	assert_true(fd >= 0);
	OK(gw_start(CONF));
	log_set_fd(fd);
	for (unsigned i = 0; i < RELOADS; i++)
		OK(gw_reload(CONF));
	log_set_fd(STDERR_FILENO);
	assert_true(pread(fd, text, LOG_BYTES - 1, 0) > 0);
	for (const char *p = text; (p = strstr(p, "is in force")) != NULL; p++)
		told++;
	assert_int_equal(told, RELOADS);
	(void)close(fd);
	xfree(text);
}

/* ---- names that are new ---- */

static void
test_waits_for_a_new_name(void **state)
{
	struct sim_conn *c, *s;

	(void)state;
	OK(gw_start(CONF));
	c = client();
	s = asked(c);
	sim_send(s, SL(ANSWER));
	sim_run_until_idle();
	forget(c);
	sim_name_silent("a.test");
	OK(gw_reload(CONF_NAME));
	assert_true(gw_reload_waits());
	sim_advance(READY_MS - 1);
	assert_int_equal(gw_generation(), 1);
	assert_served_by(c, SERVER, s);
	sim_name("a.test", "10.0.0.2", 30);
	sim_run_until_idle();
	assert_false(gw_reload_waits());
	assert_int_equal(gw_generation(), 2);
	assert_served_by(c, SERVER_2, NULL);
	OK(sim_expect_open(c));
}

/* The first answer never comes: the file is applied all the same, and the name is asked on. */
static void
test_waits_no_longer_than_it_may(void **state)
{
	struct sim_conn *c;

	(void)state;
	OK(gw_start(CONF));
	c = client();
	sim_name_silent("a.test");
	OK(gw_reload(CONF_NAME));
	sim_advance(READY_MS - 1);
	assert_int_equal(gw_generation(), 1);
	sim_advance(1);
	assert_int_equal(gw_generation(), 2);
	sim_send(c, SL(GET));
	assert_has(c, "HTTP/1.1 503 ");
	assert_has(c, "error=dns_error; details=\"upstream_unresolved\"");
	assert_has(c, "Retry-After: ");
	assert_ended(503, REASON_UPSTREAM_UNRESOLVED);
	forget(c);
	sim_name("a.test", "10.0.0.2", 30);
	sim_run_until_idle();
	assert_served_by(c, SERVER_2, NULL);
}

/* An answer that says no is an answer. */
static void
test_refused_names_are_not_waited_for(void **state)
{
	(void)state;
	OK(gw_start(CONF));
	OK(gw_reload(CONF_NAME));
	assert_false(gw_reload_waits());
	assert_int_equal(gw_generation(), 2);
	sim_name_fails("b.test", true);
	OK(gw_reload(NAMED("\"b.test:80\"")));
	assert_int_equal(gw_generation(), 3);
}

/* What is known is used at once, though the name would not answer now. */
static void
test_known_names_are_not_waited_for(void **state)
{
	struct sim_conn *c;

	(void)state;
	sim_name("a.test", "10.0.0.1", 30);
	OK(gw_start(CONF_NAME));
	c = client();
	assert_served_by(c, SERVER, NULL);
	sim_name_silent("a.test");
	sim_advance(60 * 1000);
	OK(gw_reload(NAMED("{ address: \"a.test:80\", weight: 3 }")));
	assert_int_equal(gw_generation(), 2);
	c = client();
	assert_served_by(c, SERVER, NULL);
}

static void
test_start_waits_too(void **state)
{
	(void)state;
	sim_name_silent("a.test");
	OK(gw_start(CONF_NAME));
	assert_false(gw_listens(8080));
	sim_name("a.test", "10.0.0.2", 30);
	sim_run_until_idle();
	assert_true(gw_listens(8080));
	assert_served_by(client(), SERVER_2, NULL);
}

/* ---- what comes while it waits ---- */

static void
test_another_reload_follows(void **state)
{
	struct sim_conn *c;

	(void)state;
	OK(gw_start(CONF));
	c = client();
	sim_name_silent("a.test");
	OK(gw_reload(CONF_NAME));
	OK(gw_reload(NAMED("\"10.9.9.9:80\"")));
	OK(gw_reload(NAMED("\"" SERVER_2 "\"")));
	assert_int_equal(gw_generation(), 1);
	sim_name("a.test", "10.0.0.1", 30);
	sim_run_until_idle();
	/* Both of them are one, which reads what the file is now. */
	assert_int_equal(gw_generation(), 3);
	assert_served_by(c, SERVER_2, NULL);
}

static void
test_broken_reload_follows(void **state)
{
	struct sim_conn *c;

	(void)state;
	OK(gw_start(CONF));
	c = client();
	sim_name_silent("a.test");
	OK(gw_reload(CONF_NAME));
	OK(gw_reload(CONF_BROKEN));
	assert_true(gw_reload_waits());
	sim_name("a.test", "10.0.0.2", 30);
	sim_run_until_idle();
	assert_true(gw_reload_failed());
	assert_int_equal(gw_generation(), 2);
	assert_served_by(c, SERVER_2, NULL);
}

static void
test_drain_gives_it_up(void **state)
{
	struct sim_conn *c, *s;

	(void)state;
	OK(gw_start(CONF));
	c = client();
	s = asked(c);
	sim_name_silent("a.test");
	OK(gw_reload(CONF_NAME));
	OK(gw_reload(CONF_NAME));
	gw_drain();
	assert_false(gw_reload_waits());
	assert_true(gw_reload_failed());
	sim_name("a.test", "10.0.0.2", 30);
	sim_send(s, SL(ANSWER));
	assert_has(c, "hello");
	sim_advance(READY_MS);
	assert_int_equal(gw_generation(), 1);
	OK(gw_reload(CONF) == NULL ? "a process that drains reloads" : NULL);
}

/* The end of the test stops the process: nothing may be left of it. */
static void
test_stop_gives_it_up(void **state)
{
	(void)state;
	OK(gw_start(CONF));
	sim_name_silent("a.test");
	OK(gw_reload(CONF_NAME));
	assert_true(gw_reload_waits());
}

/* Each allocation fails in turn, up to where it waits and on to where it is published. */
static void
test_memory(void **state)
{
	enum { MOST = 3000 };
	bool hit = true;
	unsigned n;

	for (n = 1; hit && n < MOST; n++) {
		const char *why;

		world_begin(state);
		OK(gw_start(CONF));
		sim_name_silent("a.test");
		mem_fail_at(n);
		why = gw_reload(CONF_NAME);
		if (why == NULL)
			sim_name("a.test", "10.0.0.2", 30);
		sim_run_until_idle();
		hit = mem_fail_hit();
		mem_fail_off();
		if (gw_reload_failed())
			assert_int_equal(gw_generation(), 1);
		else
			assert_int_equal(gw_generation(), 2);
		assert_false(gw_reload_waits());
		/* A result that memory was short for is worked out again with the next answer. */
		sim_advance(60 * 1000);
		assert_served_by(client(), gw_reload_failed() ? SERVER : SERVER_2, NULL);
		OK(gw_reload(CONF));
		world_end(state);
	}
	assert_true(n > 10 && n < MOST);
}

/* ---- what goes while requests are under way ---- */

enum stage {
	CONNECTING,
	WAITING,	/* for the answer */
	ANSWERING,
	REUSED,		/* over a connection that had been idle */
	N_STAGES
};

/* A request of c that has come so far at the server's address; its server's end, or NULL. */
static struct sim_conn *
bring_to(struct sim_conn *c, enum stage stage)
{
	struct sim_conn *s;

	if (stage == CONNECTING) {
		sim_server(SERVER, SIM_BLACKHOLE);
		sim_send(c, SL(GET));
		sim_run_until_idle();
		return (NULL);
	}
	s = asked(c);
	if (stage == REUSED) {
		sim_send(s, SL(ANSWER));
		assert_has(c, "hello");
		forget(c);
		sim_send(c, SL(GET));
		sim_run_until_idle();
	} else if (stage == ANSWERING) {
		sim_send(s, slice_of(ANSWER, sizeof ANSWER - 3));
		sim_run_until_idle();
	}
	return (s);
}

/* The server has gone from the configuration; the request ends as this says. */
enum fate {
	ANSWERED,
	SERVER_CLOSES,
	SERVER_RESETS,
	CLIENT_GOES,
	CLIENT_RESETS,
	TIME_IS_UP,
	N_FATES
};

static void
meet(struct sim_conn *c, struct sim_conn *s, enum stage stage, enum fate fate)
{
	switch (fate) {
	case ANSWERED:
		if (s != NULL)
			sim_send(s, stage == ANSWERING ? slice_of(&ANSWER[sizeof ANSWER - 3], 2) :
			    SL(ANSWER));
		break;
	case SERVER_CLOSES:
		if (s != NULL)
			sim_close(s);
		break;
	case SERVER_RESETS:
		if (s != NULL)
			sim_reset(s);
		break;
	case CLIENT_GOES:
		sim_close(c);
		break;
	case CLIENT_RESETS:
		sim_reset(c);
		break;
	case TIME_IS_UP:
	case N_FATES:
		break;
	}
	sim_run_until_idle();
}

/* How the server goes: with its upstream, or as one address of a name. */
static void
take_away(bool by_name)
{
	if (by_name) {
		sim_name("a.test", "10.0.0.2", 1);
		sim_advance(1200);
	} else {
		OK(gw_reload(NAMED("\"" SERVER_2 "\"")));
	}
}

static void
goes_once(void **state, enum stage stage, enum fate fate, bool by_name)
{
	struct sim_conn *c, *s;
	unsigned before;

	world_begin(state);
	sim_name("a.test", "10.0.0.1", 1);
	OK(gw_start(by_name ? CONF_NAME : CONF));
	c = client();
	s = bring_to(c, stage);
	before = gw_requests();
	take_away(by_name);
	assert_int_equal(gw_requests(), before);
	meet(c, s, stage, fate);
	/* Whoever has not ended by then ends by the longest of the limits. */
	sim_server(SERVER, SIM_ACCEPT);
	sim_advance(120 * 1000);
	if (gw_requests() != before + 1)
		fail_msg("stage %d, fate %d, by name %d: %u requests ended", (int)stage,
		    (int)fate, by_name, gw_requests() - before);
	if (fate == ANSWERED && stage != CONNECTING)
		assert_ended(200, REASON_NONE);
	OK(gw_is_empty(false));
	if (gw_up_conns() != 0)
		fail_msg("stage %d, fate %d, by name %d: a connection is left", (int)stage,
		    (int)fate, by_name);
	if (fate != CLIENT_RESETS)
		sim_reset(c);
	/* One that could not connect was taken to the server that is there now. */
	while (sim_server_take(SERVER_2) != NULL)
		continue;
	assert_served_by(client(), SERVER_2, NULL);
	world_end(state);
}

static void
test_server_goes(void **state)
{
	for (unsigned stage = 0; stage < N_STAGES; stage++) {
		for (unsigned fate = 0; fate < N_FATES; fate++) {
			goes_once(state, (enum stage)stage, (enum fate)fate, false);
			goes_once(state, (enum stage)stage, (enum fate)fate, true);
		}
	}
}

/* The upstream goes while it is in doubt whether the server has seen a request. */
static void
test_doubt_over_a_reload(void **state)
{
	static const char post[] = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";

	for (unsigned i = 0; i < 4; i++) {
		struct sim_conn *c, *s;

		world_begin(state);
		OK(gw_start(CONF));
		c = client();
		s = asked(c);
		sim_send(s, SL(ANSWER));
		sim_run_until_idle();
		forget(c);
		sim_window(s, 100000);	/* what is written is not acknowledged */
		sim_hold(s, true);
		sim_send(c, slice_of(post, sizeof post - 1));
		sim_run_until_idle();
		sim_close(s);
		sim_run_until_idle();
		assert_int_equal(gw_requests(), 1);
		take_away(false);
		assert_int_equal(gw_requests(), 1);
		switch (i) {
		case 0:		/* it has not: once more, by the configuration that it began with */
			sim_reset(s);
			s = server(SERVER);
			sim_send(s, SL(ANSWER));
			assert_has(c, "hello");
			assert_ended(200, REASON_NONE);
			break;
		case 1:		/* the time is up */
			sim_advance(20);
			assert_has(c, "HTTP/1.1 502 ");
			assert_ended(502, REASON_UPSTREAM_CLOSED);
			break;
		case 2:
			sim_reset(c);
			sim_run_until_idle();
			assert_int_equal(gw_last()->reason, REASON_CLIENT_CLOSED);
			break;
		default:	/* the process ends */
			break;
		}
		if (i < 3) {
			OK(gw_is_empty(false));
			assert_int_equal(gw_up_conns(), 0);
		}
		world_end(state);
	}
}

/* The process ends with requests in each of the stages. */
static void
test_stop_in_each_stage(void **state)
{
	for (unsigned stage = 0; stage < N_STAGES; stage++) {
		for (unsigned by_name = 0; by_name < 2; by_name++) {
			world_begin(state);
			sim_name("a.test", "10.0.0.1", 1);
			OK(gw_start(by_name ? CONF_NAME : CONF));
			(void)bring_to(client(), (enum stage)stage);
			take_away(by_name);
			world_end(state);
		}
	}
}

/* ---- listeners ---- */

/* A listener that only got another name keeps its connections, and they count under that name. */
static void
test_listener_renamed(void **state)
{
	struct sim_conn *c;

	(void)state;
	OK(gw_start(CONF));
	c = client();
	assert_served_by(c, SERVER, NULL);
	(void)client();
	sim_run_until_idle();
	assert_int_equal(gw_clients_of("web"), 2);
	OK(gw_reload("version: 1\nlog: { access: off }\nlisteners: { site: { listen: 8080 } }\n"
	    CONF_SERVERS("\"" SERVER "\"") CONF_ROUTE("")));
	OK(sim_expect_open(c));
	assert_int_equal(gw_clients_of("web"), 0);
	assert_int_equal(gw_clients_of("site"), 2);
	sim_close(c);
	sim_run_until_idle();
	assert_int_equal(gw_clients_of("web"), 0);
	assert_int_equal(gw_clients_of("site"), 1);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_each_end_is_told),
		TEST(test_waits_for_a_new_name),
		TEST(test_waits_no_longer_than_it_may),
		TEST(test_refused_names_are_not_waited_for),
		TEST(test_known_names_are_not_waited_for),
		TEST(test_start_waits_too),
		TEST(test_another_reload_follows),
		TEST(test_broken_reload_follows),
		TEST(test_drain_gives_it_up),
		TEST(test_stop_gives_it_up),
		TEST(test_listener_renamed),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_server_goes),
		cmocka_unit_test(test_doubt_over_a_reload),
		cmocka_unit_test(test_stop_in_each_stage),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
