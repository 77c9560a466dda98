/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/base/check.h"
#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "engine/base/panic.h"
#include "engine/base/text.h"

#define THING_MAGIC	0x7e570001u

struct thing {
	unsigned magic;
	int v;
};

static int pipe_fds[2];
static uint64_t fake_us;

static uint64_t
fake_clock(enum clock_kind kind)
{
	return (kind == CLOCK_MONO ? fake_us : 1714979289010000);
}

static int
pipe_up(void **state)
{
	(void)state;
	if (pipe2(pipe_fds, O_NONBLOCK) != 0)
		return (-1);
	fake_us += 3000000;
	clock_override(fake_clock);
	log_set_fd(pipe_fds[1]);
	log_set_level(LOG_LEVEL_INFO);
	return (0);
}

static int
pipe_down(void **state)
{
	(void)state;
	log_set_fd(STDERR_FILENO);
	clock_override(NULL);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	return (0);
}

/* What is in the pipe now, as a string. */
static const char *
drain(void)
{
	static char buf[1 << 20];
	size_t len = 0;
	ssize_t n;

	while ((n = read(pipe_fds[0], buf + len, sizeof(buf) - 1 - len)) > 0)
		len += (size_t)n;
	buf[len] = '\0';
	return (buf);
}

static void
test_log_line(void **state)
{
	(void)state;
	errno = ENOENT;
	log_info("up \"%s\" %d", "x\n", 3);
	assert_int_equal(errno, ENOENT);
	assert_string_equal(drain(), "{\"time\":\"2024-05-06T07:08:09.010Z\",\"level\":\"info\","
				     "\"msg\":\"up \\\"x\\n\\\" 3\"}\n");
}

static void
test_log_levels(void **state)
{
	enum log_level level;

	(void)state;
	log_debug("no");
	assert_string_equal(drain(), "");
	log_set_level(LOG_LEVEL_DEBUG);
	log_debug("yes");
	assert_non_null(strstr(drain(), "\"level\":\"debug\",\"msg\":\"yes\""));
	log_set_level(LOG_LEVEL_OFF);
	log_error("no");
	assert_string_equal(drain(), "");
	assert_true(log_level_parse(SLICE("warn"), &level));
	assert_int_equal(level, LOG_LEVEL_WARN);
	assert_false(log_level_parse(SLICE("WARN"), &level));
	assert_false(log_level_parse(SLICE(""), &level));
}

static unsigned
count_lines(const char *s)
{
	unsigned n = 0;

	for (; *s != '\0'; s++)
		n += *s == '\n';
	return (n);
}

static void
test_log_rate(void **state)
{
	const char *got;

	(void)state;
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < 25; i++)
			log_warn("again");
		got = drain();
		assert_int_equal(count_lines(got), LOG_SITE_PER_SECOND);
		assert_int_equal(strstr(got, "\"suppressed\":15}") != NULL, round == 1);
		fake_us += 1000000;
	}
	log_write(NULL, LOG_LEVEL_WARN, "%s", "no site");
	assert_non_null(strstr(drain(), "no site\"}"));
}

static void
test_log_long(void **state)
{
	char msg[10000];
	const char *got;

	(void)state;
	memset(msg, 1, sizeof(msg));
	msg[sizeof(msg) - 1] = '\0';
	log_info("%s", msg);
	got = drain();
	assert_in_range(strlen(got), 1000, LOG_LINE_MAX);
	assert_string_equal(got + strlen(got) - 9, "\\u0001\"}\n");
}

/* A reader that sleeps costs lines, never time. */
static void
test_log_full_pipe(void **state)
{
	const char *got;

	(void)state;
	assert_int_equal(fcntl(pipe_fds[1], F_SETFL, 0), 0); /* would block if written to */
	for (unsigned i = 0; i < 2000; i++)
		log_write(NULL, LOG_LEVEL_INFO, "%0200u", i);
	got = drain();
	assert_true(count_lines(got) < 2000);
	log_write(NULL, LOG_LEVEL_INFO, "after");
	got = drain();
	assert_non_null(strstr(got, "\"msg\":\"after\",\"dropped\":"));
	log_write(NULL, LOG_LEVEL_INFO, "later");
	assert_non_null(strstr(drain(), "\"msg\":\"later\"}"));
}

enum { WRITERS = 4, LINES_EACH = 200 };

static void *
write_lines(void *arg)
{
	for (unsigned i = 0; i < LINES_EACH; i++)
		log_write(NULL, LOG_LEVEL_INFO, "%s-%0100u", (const char *)arg, i);
	return (NULL);
}

/* Lines of threads never mix, and none is lost while there is room. */
static void
test_log_threads(void **state)
{
	static const char *const names[WRITERS] = {"a", "b", "c", "d"};
	pthread_t threads[WRITERS];
	struct slice rest;
	struct slice line;
	unsigned n = 0;

	(void)state;
	assert_true(fcntl(pipe_fds[1], F_SETPIPE_SZ, 1 << 20) > 0);
	for (unsigned i = 0; i < WRITERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, write_lines,
		    (void *)(uintptr_t)names[i]), 0);
	for (unsigned i = 0; i < WRITERS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	rest = slice_str(drain());
	while (slice_split(&rest, '\n', &line) && line.len > 0) {
		assert_true(slice_has_prefix(line, SLICE("{\"time\":")));
		assert_true(slice_has_suffix(line, SLICE("\"}")));
		assert_int_equal(slice_find(slice_skip(line, 1), SLICE("{")), -1);
		n++;
	}
	assert_int_equal(n, WRITERS * LINES_EACH);
}

static bool
is_odd(int v)
{
	return (surprise(v % 2 == 1));
}

static void
test_surprise(void **state)
{
	const char *got;

	(void)state;
	assert_false(is_odd(2));
	assert_string_equal(drain(), "");
	assert_true(is_odd(3));
	got = drain();
	assert_non_null(strstr(got, "surprise: "));
	assert_non_null(strstr(got, "v % 2 == 1; backtrace: "));
	assert_int_equal(count_lines(got), 1);
	assert_true(is_odd(5));
	assert_string_equal(drain(), "");
}

static void
dump_thing(const void *obj, struct text *out)
{
	const struct thing *thing = obj;

	text_printf(out, "  v is %d", thing->v);
	must(thing->v != 13);
}

static void
die_by_must(void)
{
	int three = 3;

	must(three == 4);
}

static void
die_by_never(void)
{
	never("cannot be here");
}

static void
die_by_magic(void)
{
	struct thing t = {0xdead, 1};
	void *from = &t;
	struct thing *to;

	CAST_OBJ(to, from, THING_MAGIC);
}

static void
die_by_null(void)
{
	struct thing *t = NULL;
	struct thing *to;

	TAKE_OBJ(to, &t, THING_MAGIC);
}

static void
die_watched(void)
{
	static struct thing t = {THING_MAGIC, 42};
	static struct thing other = {0x12345678, 0};

	panic_watch(PANIC_SLOT_WORKER, &t);
	panic_watch(PANIC_SLOT_CONN, &other);
	die_by_must();
}

static void
die_in_dump(void)
{
	static struct thing t = {THING_MAGIC, 13};

	panic_watch(PANIC_SLOT_EXCHANGE, &t);
	die_by_must();
}

/* Runs die in a child and looks for each of the words in what it prints before it aborts. */
static void
assert_dies(void (*die)(void), const char *word, const char *word2)
{
	pid_t pid = fork();
	const char *got;
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		dup2(pipe_fds[1], STDERR_FILENO);
		(void)signal(SIGABRT, SIG_DFL); /* cmocka has a handler of its own */
		die();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
	got = drain();
	if (strstr(got, word) == NULL || strstr(got, word2) == NULL)
		fail_msg("no \"%s\" and \"%s\" in: %s", word, word2, got);
}

static void
test_panics(void **state)
{
	(void)state;
	panic_register(THING_MAGIC, "other name", NULL);
	panic_register(THING_MAGIC, "thing", dump_thing);
	assert_dies(die_by_must, "panic: ", "die_by_must: must(three == 4)\n");
	assert_dies(die_by_never, "never(cannot be here)", "test_log");
	assert_dies(die_by_magic, "has magic 0000dead, not 7e570001", "object (to)");
	assert_dies(die_by_null, "is NULL", "object (to)");
	assert_dies(die_watched, "magic 7e570001\n  v is 42\n", "unknown ");
	assert_dies(die_in_dump, "must(three == 4)", "must(thing->v != 13)");
}

static void
test_casts(void **state)
{
	struct thing t = {THING_MAGIC, 1};
	struct thing *from = &t;
	struct thing *to;
	void *v = &t;

	(void)state;
	CAST_OBJ(to, v, THING_MAGIC);
	assert_ptr_equal(to, &t);
	TAKE_OBJ(to, &from, THING_MAGIC);
	assert_ptr_equal(to, &t);
	assert_null(from);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_log_line, pipe_up, pipe_down),
		cmocka_unit_test_setup_teardown(test_log_levels, pipe_up, pipe_down),
		cmocka_unit_test_setup_teardown(test_log_rate, pipe_up, pipe_down),
		cmocka_unit_test_setup_teardown(test_log_long, pipe_up, pipe_down),
		cmocka_unit_test_setup_teardown(test_log_full_pipe, pipe_up, pipe_down),
		cmocka_unit_test_setup_teardown(test_log_threads, pipe_up, pipe_down),
		cmocka_unit_test_setup_teardown(test_surprise, pipe_up, pipe_down),
		cmocka_unit_test_setup_teardown(test_panics, pipe_up, pipe_down),
		cmocka_unit_test(test_casts),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
