/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "engine/mem/alloc.h"
#include "engine/mem/arena.h"
#include "engine/proxy/access_log.h"
#include "engine/proxy/facts.h"
#include "engine/proxy/gate.h"
#include "engine/proxy/route.h"
#include "engine/stats/stats.h"
#include "engine/upstream/upstream.h"

/* A line may cost 600 ns on the machine that the design was measured on; here is room for slower
   ones, and what it costs is printed. */
enum { WAIT_MS = 10000, COST_ROUNDS = 20000, COST_NS = 3000 };

/* A log to a file, with one worker's end, and the facts of a request. */
struct rig {
	char			 dir[64];
	char			 path[80];
	struct stats		*stats;
	struct access_log	*log;
	struct access_log_plan	 plan;
	struct arena		*arena;
	struct listener		 listener;
	struct route		 route;
	struct upstream		 upstream;
	struct server		 server;
	struct addr		 client;
	struct msg_req		 req;
	struct facts		 f;
};

static void
fill_facts(struct rig *r)
{
	msg_req_init(&r->req, r->arena);
	r->req.m.version = HTTP_1_1;
	r->req.method = METHOD_GET;
	r->req.target = SLICE("/v1/users/42?token=s3cret");
	r->req.path = r->req.path_raw = SLICE("/v1/users/42");
	r->req.query = SLICE("token=s3cret");
	r->req.has_query = true;
	r->req.authority = SLICE("api.example.com:8080");
	r->req.host = SLICE("api.example.com");
	assert_true(headers_set_id(&r->req.m.headers, HDR_USER_AGENT,
	    SLICE("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0")));
	assert_true(addr_parse(SLICE("192.0.2.17:40000"), &r->client));
	r->listener.name = SLICE("web");
	r->route.name = SLICE("users");
	r->upstream.part.name = SLICE("users");
	r->server.name = SLICE("10.0.0.1:8080");
	r->f = (struct facts){ .wall_us = 1715000000123456, .duration_us = 12345, .req = &r->req,
		.phase_us = { 100, 20, 3, 1000, 10000, 1222 }, .client = &r->client,
		.listener = &r->listener, .route = &r->route, .upstream = &r->upstream,
		.server = &r->server, .request_id = SLICE("5078a3145ab03c855f6a09b388a855e7"),
		.status = 200, .reason = REASON_NONE, .attempts = 1, .bytes_in = 321,
		.bytes_out = 4567 };
}

static int
setup(void **state)
{
	struct rig *r = xcalloc(1, sizeof *r);

	(void)snprintf(r->dir, sizeof r->dir, "/tmp/test_access_log.XXXXXX");
	assert_non_null(mkdtemp(r->dir));
	(void)snprintf(r->path, sizeof r->path, "%s/access.log", r->dir);
	r->stats = stats_new();
	r->arena = arena_new("test");
	access_log_init(stats_shard_new(r->stats));
	r->log = access_log_new(stats_shard_new(r->stats));
	assert_non_null(r->log);
	access_log_plan_default(&r->plan);
	r->plan.to = ACCESS_LOG_FILE;
	r->plan.path = r->path;
	fill_facts(r);
	*state = r;
	return (0);
}

static void
start(struct rig *r)
{
	assert_null(access_log_prepare(r->arena, &r->plan));
	access_log_commit();
	access_log_use(r->log, &r->plan);
}

static int
teardown(void **state)
{
	struct rig *r = *state;

	assert_true(access_log_stop(WAIT_MS));
	(void)unlink(r->path);
	(void)rmdir(r->dir);
	arena_free(&r->arena);
	stats_free(&r->stats);
	xfree(r);
	return (0);
}

/* What was written, once the thread has ended; the caller frees it. */
static char *
text_of(const char *path, size_t *n_r)
{
	FILE *f;
	char *p;
	long n;

	assert_true(access_log_stop(WAIT_MS));
	f = fopen(path, "re");
	assert_non_null(f);
	assert_int_equal(fseek(f, 0, SEEK_END), 0);
	n = ftell(f);
	assert_true(n >= 0);
	rewind(f);
	p = xcalloc(1, (size_t)n + 1);
	assert_int_equal(fread(p, 1, (size_t)n, f), n);
	(void)fclose(f);
	if (n_r != NULL)
		*n_r = (size_t)n;
	return (p);
}

static json_t *
line_of(struct rig *r)
{
	json_t *o;
	char *p, *end;

	access_log_write(r->log, &r->f);
	p = text_of(r->path, NULL);
	end = strchr(p, '\n');
	assert_non_null(end);
	assert_string_equal(end, "\n");
	o = json_loads(p, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(o);
	xfree(p);
	return (o);
}

static const char *
string_in(json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	assert_non_null(s);
	return (s);
}

static void
all_fields(void **state)
{
	static const char *const order[] = { "time", "request_id", "trace_id", "listener", "route",
		"method", "host", "path", "protocol", "status", "reason", "upstream", "server",
		"attempts", "client_ip", "bytes_in", "bytes_out", "duration_ms", "phases",
		"user_agent" };
	struct rig *r = *state;
	json_t *o, *v, *phases;
	const char *key;
	double sum = 0;
	unsigned i = 0;

	start(r);
	o = line_of(r);
	json_object_foreach(o, key, v) {
		assert_true(i < array_len(order));
		assert_string_equal(key, order[i++]);
	}
	assert_int_equal(i, array_len(order));
	assert_string_equal(string_in(o, "time"), "2024-05-06T12:53:20.123Z");
	assert_string_equal(string_in(o, "request_id"), "5078a3145ab03c855f6a09b388a855e7");
	assert_string_equal(string_in(o, "listener"), "web");
	assert_string_equal(string_in(o, "method"), "GET");
	assert_string_equal(string_in(o, "host"), "api.example.com");
	assert_string_equal(string_in(o, "path"), "/v1/users/42");
	assert_string_equal(string_in(o, "protocol"), "HTTP/1.1");
	assert_string_equal(string_in(o, "reason"), "");
	assert_string_equal(string_in(o, "server"), "10.0.0.1:8080");
	assert_string_equal(string_in(o, "client_ip"), "192.0.2.17");
	assert_int_equal(json_integer_value(json_object_get(o, "status")), 200);
	assert_int_equal(json_integer_value(json_object_get(o, "bytes_out")), 4567);
	assert_true(json_number_value(json_object_get(o, "duration_ms")) == 12.345);
	phases = json_object_get(o, "phases");
	json_object_foreach(phases, key, v)
		sum += json_number_value(v);
	assert_int_equal(json_object_size(phases), 6);
	assert_true(sum > 12.3449 && sum < 12.3451);
	json_decref(o);
}

static void
nothing_is_known(void **state)
{
	struct rig *r = *state;
	struct addr none = { .len = 0 };
	json_t *o;

	msg_req_init(&r->req, r->arena);
	r->req.m.version = 0;
	r->f = (struct facts){ .req = &r->req, .client = &none,
		.reason = REASON_REQUEST_MALFORMED };
	start(r);
	o = line_of(r);
	assert_string_equal(string_in(o, "time"), "1970-01-01T00:00:00.000Z");
	assert_string_equal(string_in(o, "path"), "");
	assert_string_equal(string_in(o, "client_ip"), "");
	assert_string_equal(string_in(o, "reason"), "request_malformed");
	json_decref(o);
}

static void
what_clients_send_is_escaped(void **state)
{
	struct rig *r = *state;
	char all[255], big[9000];
	json_t *o;

	for (unsigned i = 0; i < sizeof all; i++)
		all[i] = (char)(i + 1);
	memset(big, 1, sizeof big);
	r->req.method = METHOD_OTHER;
	r->req.method_text = SLICE("A\"\\\n\t\x7f");
	r->req.host = slice_of(all, sizeof all);
	r->req.path_raw = slice_of(big, sizeof big);
	assert_true(headers_set_id(&r->req.m.headers, HDR_USER_AGENT, slice_of(big, sizeof big)));
	start(r);
	o = line_of(r);
	assert_string_equal(string_in(o, "method"), "A\"\\\n\t\x7f");
	assert_memory_equal(string_in(o, "host"), all, 127);
	assert_int_equal(strlen(string_in(o, "path")), 2048);
	assert_int_equal(stats_value(r->stats, STATS_LOG_DROPPED, NULL), 0);
	json_decref(o);
}

/* Each byte at each place of a text of twelve, beside the readers of eight at once. */
static void
each_byte_at_each_place(void **state)
{
	struct rig *r = *state;
	char text[12], *p, *line, *end;
	unsigned n = 0;

	r->plan.n_fields = 1;
	r->plan.fields[0] = ACCESS_LOG_HOST;
	start(r);
	r->req.host = slice_of(text, sizeof text);
	for (unsigned at = 0; at < sizeof text; at++) {
		for (unsigned b = 1; b < 128; b++) {
			memset(text, 'x', sizeof text);
			text[at] = (char)b;
			access_log_write(r->log, &r->f);
		}
	}
	p = text_of(r->path, NULL);
	for (line = p; (end = strchr(line, '\n')) != NULL; line = end + 1, n++) {
		json_t *o;

		*end = '\0';
		o = json_loads(line, 0, NULL);
		memset(text, 'x', sizeof text);
		text[n / 127] = (char)(n % 127 + 1);
		assert_int_equal(strlen(string_in(o, "host")), sizeof text);
		assert_memory_equal(string_in(o, "host"), text, sizeof text);
		json_decref(o);
	}
	assert_int_equal(n, 12 * 127);
	xfree(p);
}

static void
fields_as_asked_for(void **state)
{
	struct rig *r = *state;
	char *p;

	r->plan.n_fields = 3;
	r->plan.fields[0] = ACCESS_LOG_STATUS;
	r->plan.fields[1] = ACCESS_LOG_QUERY;
	r->plan.fields[2] = ACCESS_LOG_PATH;
	start(r);
	access_log_write(r->log, &r->f);
	p = text_of(r->path, NULL);
	assert_string_equal(p,
	    "{\"status\":200,\"query\":\"token=***\",\"path\":\"/v1/users/42\"}\n");
	xfree(p);
}

static void
the_query_is_not_told(void **state)
{
	struct rig *r = *state;
	char *p;

	r->req.path_raw = SLICE("");	/* a target that was refused is all there is */
	r->f.route = NULL;
	start(r);
	access_log_write(r->log, &r->f);
	p = text_of(r->path, NULL);
	assert_null(strstr(p, "s3cret"));
	assert_non_null(strstr(p, "\"path\":\"/v1/users/42\""));
	xfree(p);
}

static void
trace_id_of_traceparent(void **state)
{
	struct rig *r = *state;
	json_t *o;

	assert_true(headers_set_id(&r->req.m.headers, HDR_TRACEPARENT,
	    SLICE("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")));
	start(r);
	o = line_of(r);
	assert_string_equal(string_in(o, "trace_id"), "4bf92f3577b34da6a3ce929d0e0e4736");
	json_decref(o);
}

static void
common_format(void **state)
{
	struct rig *r = *state;
	char *p;

	r->plan.format = ACCESS_LOG_COMMON;
	start(r);
	access_log_write(r->log, &r->f);
	assert_true(addr_parse(SLICE("[2001:db8::1]:1"), &r->client));
	r->req.path_raw = SLICE("/a\"b\x01");
	r->f.bytes_out = 0;
	access_log_write(r->log, &r->f);
	p = text_of(r->path, NULL);
	assert_string_equal(p,
	    "192.0.2.17 - - [06/May/2024:12:53:20 +0000] \"GET /v1/users/42 HTTP/1.1\" 200 4567\n"
	    "2001:db8::1 - - [06/May/2024:12:53:20 +0000] \"GET /a\\x22b\\x01 HTTP/1.1\" 200 -\n");
	xfree(p);
}

/* More than the ring holds, while the thread reads along: nothing torn, nothing lost unseen. */
static void
many_lines(void **state)
{
	enum { LINES = 30000 };
	struct rig *r = *state;
	unsigned n = 0;
	char *p;

	start(r);
	for (unsigned i = 0; i < LINES; i++) {
		r->f.bytes_in = i;
		access_log_write(r->log, &r->f);
	}
	p = text_of(r->path, NULL);
	for (char *line = p, *end; (end = strchr(line, '\n')) != NULL; line = end + 1, n++)
		assert_true(end - line > 400 && line[0] == '{' && end[-1] == '}');
	assert_int_equal(n + stats_value(r->stats, STATS_LOG_DROPPED, NULL), LINES);
	xfree(p);
}

/* Nobody reads the pipe: the worker goes on, losses are counted, the end does not wait for ever. */
static void
a_stuck_reader_drops(void **state)
{
	enum { LINES = 5000 };
	struct rig *r = *state;
	uint64_t end = clock_mono_ms() + WAIT_MS;
	int ends[2], saved = dup(STDOUT_FILENO);
	char buf[65536];
	int64_t lost = 0;
	unsigned lines = 0;

	assert_true(saved >= 0 && pipe(ends) == 0);
	(void)fflush(stdout);
	assert_true(dup2(ends[1], STDOUT_FILENO) >= 0);
	(void)close(ends[1]);
	assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
	r->plan.to = ACCESS_LOG_STDOUT;
	start(r);
	for (unsigned i = 0; i < LINES; i++)
		access_log_write(r->log, &r->f);
	lost = stats_value(r->stats, STATS_LOG_DROPPED, NULL);
	if (access_log_stop(1))
		lost = 0;
	/* Now somebody reads: all that was taken comes out. */
	while (lost > 0 && lines + lost < LINES && clock_mono_ms() < end) {
		ssize_t n = read(ends[0], buf, sizeof buf);

		for (ssize_t i = 0; i < n; i++)
			lines += buf[i] == '\n';
	}
	assert_true(dup2(saved, STDOUT_FILENO) >= 0);
	(void)close(saved);
	(void)close(ends[0]);
	assert_true(lost > 0);
	assert_int_equal(lines + lost, LINES);
}

/* The writer's thread tells nobody what it counts, so it is asked. */
static void
wait_for_lost(struct rig *r, int64_t least, int64_t most)
{
	uint64_t end = clock_mono_ms() + WAIT_MS;
	int64_t n;

	while ((n = stats_value(r->stats, STATS_LOG_DROPPED, NULL)) < least || n > most) {
		assert_true(clock_mono_ms() < end);
		(void)usleep(1000);
	}
}

/* A device that is always full: each line is counted, and nobody waits. */
static void
a_full_disk_drops(void **state)
{
	enum { LINES = 2000 };
	struct rig *r = *state;

	r->plan.path = "/dev/full";
	start(r);
	for (unsigned i = 0; i < LINES; i++)
		access_log_write(r->log, &r->f);
	wait_for_lost(r, LINES, LINES);
}

/* A file that may not grow cuts a line in two: the next one stands on a line of its own. */
static void
a_cut_line_is_ended(void **state)
{
	struct rig *r = *state;
	struct rlimit old, small;
	char *p, *line, *end;
	unsigned whole = 0, cut = 0;

	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = old;
	small.rlim_cur = 1000;
	start(r);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	for (unsigned i = 0; i < 10; i++)
		access_log_write(r->log, &r->f);
	access_log_reopen();	/* or it would be written in a second */
	wait_for_lost(r, 1, INT64_MAX);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	access_log_write(r->log, &r->f);
	p = text_of(r->path, NULL);
	for (line = p; (end = strchr(line, '\n')) != NULL; line = end + 1) {
		json_t *o;

		*end = '\0';
		o = json_loads(line, 0, NULL);
		whole += o != NULL;
		cut += o == NULL;
		json_decref(o);
	}
	assert_int_equal(*line, '\0');
	assert_int_equal(cut, 1);
	assert_int_equal(whole + stats_value(r->stats, STATS_LOG_DROPPED, NULL), 11);
	xfree(p);
}

/* A tenth of one kind, all of another; off they go by status. */
static void
samples(void **state)
{
	enum { LINES = 10000 };
	static const struct access_log_share shares[ACCESS_LOG_CLASSES] = {
		[0] = { 1000000, 1, "1" }, [2] = { 100000, 3, "0.1" }, [3] = { 0, 1, "0" },
		[5] = { 1000000, 1, "1" },
	};
	struct rig *r = *state;
	unsigned n[6] = { 0 };
	char *p;

	r->plan.sample = shares;
	r->plan.n_fields = 1;
	r->plan.fields[0] = ACCESS_LOG_STATUS;
	start(r);
	for (unsigned i = 0; i < LINES; i++) {
		static const uint16_t statuses[] = { 200, 302, 503, 0 };

		r->f.status = statuses[i % 4];
		access_log_write(r->log, &r->f);
	}
	r->f.status = 302;
	r->f.reason = REASON_UPSTREAM_RESET;	/* cut: an error, whatever it began as */
	access_log_write(r->log, &r->f);
	p = text_of(r->path, NULL);
	for (char *line = p, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
		unsigned status = 0;

		assert_int_equal(sscanf(line, "{\"status\":%u}", &status), 1);
		n[status / 100]++;
	}
	assert_int_equal(n[0], LINES / 4);
	assert_true(n[2] > 150 && n[2] < 350);
	assert_int_equal(n[3], 1);
	assert_int_equal(n[5], LINES / 4);
	assert_int_equal(stats_value(r->stats, STATS_LOG_DROPPED, NULL), 0);
	xfree(p);
}

static bool
has(const char *path, const char *what)
{
	FILE *f = fopen(path, "re");
	char buf[4096];
	size_t n = 0;

	if (f != NULL) {
		n = fread(buf, 1, sizeof buf - 1, f);
		(void)fclose(f);
	}
	buf[n] = '\0';
	return (n > 0 && strstr(buf, what) != NULL);
}

static void
wait_for(const char *path, const char *what)
{
	uint64_t end = clock_mono_ms() + WAIT_MS;

	while (!has(path, what)) {
		assert_true(clock_mono_ms() < end);
		(void)usleep(1000);
	}
}

static void
reopened(void **state)
{
	struct rig *r = *state;
	char moved[100];
	struct stat st;

	(void)snprintf(moved, sizeof moved, "%s.1", r->path);
	start(r);
	r->f.request_id = SLICE("first");
	access_log_write(r->log, &r->f);
	wait_for(r->path, "first");
	assert_int_equal(stat(r->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	assert_int_equal(rename(r->path, moved), 0);
	r->f.request_id = SLICE("between");
	access_log_write(r->log, &r->f);
	access_log_reopen();
	/* What was written before goes to where the log was then. */
	wait_for(moved, "between");
	r->f.request_id = SLICE("after");
	for (uint64_t end = clock_mono_ms() + WAIT_MS; access(r->path, F_OK) != 0;) {
		assert_true(clock_mono_ms() < end);
		(void)usleep(1000);
	}
	access_log_write(r->log, &r->f);
	wait_for(r->path, "after");
	(void)unlink(moved);
}

static void
another_file(void **state)
{
	struct rig *r = *state;
	struct access_log_plan other = r->plan;
	char path[100];

	(void)snprintf(path, sizeof path, "%s.other", r->path);
	other.path = path;
	start(r);
	r->f.request_id = SLICE("begun");
	access_log_write(r->log, &r->f);
	wait_for(r->path, "begun");
	r->f.request_id = SLICE("first");
	access_log_write(r->log, &r->f);
	assert_null(access_log_prepare(r->arena, &other));
	access_log_commit();
	access_log_use(r->log, &other);
	/* What was written before goes to where the log was then. */
	wait_for(r->path, "first");
	r->f.request_id = SLICE("second");
	for (unsigned i = 0; i < 8 && !has(path, "second"); i++) {
		/* The thread may not have changed over yet. */
		access_log_write(r->log, &r->f);
		access_log_reopen();
		(void)usleep(10000);
	}
	assert_true(access_log_stop(WAIT_MS));
	wait_for(path, "second");
	(void)unlink(path);
}

static void
a_file_that_cannot_be(void **state)
{
	struct rig *r = *state;
	struct access_log_plan bad = r->plan;
	struct err *err;

	start(r);
	bad.path = "/nowhere/at/all/access.log";
	err = access_log_prepare(r->arena, &bad);
	assert_non_null(err);
	assert_non_null(strstr(err->what, "/nowhere/at/all/access.log"));
	access_log_abort();
	/* The old one still stands. */
	access_log_write(r->log, &r->f);
	assert_true(access_log_stop(WAIT_MS));
	wait_for(r->path, "api.example.com");
}

static void
off_writes_nothing(void **state)
{
	struct rig *r = *state;
	size_t n;
	char *p;

	start(r);
	access_log_use(r->log, NULL);
	access_log_write(r->log, &r->f);
	p = text_of(r->path, &n);
	assert_int_equal(n, 0);
	xfree(p);
}

/* The best of some rounds, so that a neighbour on the machine does not decide. */
static void
cost(void **state)
{
	struct rig *r = *state;
	uint64_t best = UINT64_MAX, allocs;

	start(r);
	allocs = mem_alloc_count();
	for (unsigned round = 0; round < 10; round++) {
		uint64_t begin = clock_mono_us(), took;

		for (unsigned i = 0; i < COST_ROUNDS / 10; i++) {
			r->f.wall_us += 3;
			access_log_write(r->log, &r->f);
		}
		took = (clock_mono_us() - begin) * 1000 / (COST_ROUNDS / 10);
		best = took < best ? took : best;
	}
	assert_int_equal(mem_alloc_count(), allocs);
	print_message("a line: %llu ns\n", (unsigned long long)best);
#if defined(__OPTIMIZE__) && !CC_ASAN && !defined(__SANITIZE_THREAD__)
	assert_true(best <= COST_NS);
#endif
}

int
main(void)
{
#define TEST(fn)	cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(all_fields), TEST(nothing_is_known), TEST(what_clients_send_is_escaped),
		TEST(each_byte_at_each_place), TEST(fields_as_asked_for),
		TEST(the_query_is_not_told), TEST(trace_id_of_traceparent), TEST(common_format),
		TEST(many_lines), TEST(reopened), TEST(another_file), TEST(a_file_that_cannot_be),
		TEST(off_writes_nothing), TEST(samples), TEST(a_full_disk_drops),
		TEST(a_cut_line_is_ended), TEST(cost),
		/* Last: it leaves a thread behind. */
		cmocka_unit_test_setup(a_stuck_reader_drops, setup),
	};

	log_set_level(LOG_LEVEL_OFF);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
