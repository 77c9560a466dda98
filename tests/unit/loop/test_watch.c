/* SPDX-License-Identifier: Apache-2.0 */
/* Files that change in a folder of our own, and the limits of the system that tells of them. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/base/cc.h"
#include "engine/loop/loop.h"
#include "engine/loop/timer.h"
#include "engine/loop/watch.h"

enum { PATH = 64, LATEST_MS = 20000, QUEUE_MAX = 4 * 1024 * 1024 };

static struct {
	struct loop	*l;
	struct watch	*w;
	char		 dir[32], sub[PATH];
	unsigned	 told;
} world;

/* ---- the limits ---- */

static int no_room;	/* errno of the next folders; 0: the system's own answer */

int	__real_inotify_add_watch(int fd, const char *path, uint32_t mask);
int	__wrap_inotify_add_watch(int fd, const char *path, uint32_t mask);

int
__wrap_inotify_add_watch(int fd, const char *path, uint32_t mask)
{
	if (no_room == 0)
		return (__real_inotify_add_watch(fd, path, mask));
	errno = no_room;
	return (-1);
}

/* ---- the folder ---- */

static void
on_change(void *arg)
{
	(void)arg;
	world.told++;
}

static const char *
path_of(const char *name)
{
	static char path[4][2 * PATH];
	static unsigned at;

	at = (at + 1) % array_len(path);
	(void)snprintf(path[at], sizeof path[at], "%s/%s", world.dir, name);
	return (path[at]);
}

static void
put(const char *name)
{
	FILE *f = fopen(path_of(name), "w");

	assert_non_null(f);
	assert_true(fputs("text\n", f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void
rename_to(const char *from, const char *to)
{
	assert_int_equal(rename(path_of(from), path_of(to)), 0);
}

/* What is watched from here on: a name and a pattern in the folder, a name in the one below. */
static bool
watch_all(void)
{
	watch_begin(world.w);
	assert_true(watch_name(world.w, world.dir, "a"));
	assert_true(watch_pattern(world.w, world.dir, "*.yaml"));
	assert_true(watch_name(world.w, world.sub, "b"));
	return (watch_end(world.w));
}

static void
on_late(void *arg)
{
	bool *is_late = arg;

	*is_late = true;
}

/* Until something is told. */
static void
expect_told(void)
{
	bool is_late = false;
	struct timer late;

	timer_init(&late, on_late, &is_late);
	timer_set(world.l, &late, loop_now_ms(world.l) + LATEST_MS);
	while (world.told == 0 && !is_late)
		loop_turn(world.l, true);
	timer_clear(&late);
	assert_false(is_late);
	world.told = 0;
}

/* What happened so far is in the queue, so a turn that does not wait comes to all of it. */
static void
expect_nothing(void)
{
	loop_turn(world.l, false);
	loop_turn(world.l, false);
	assert_int_equal(world.told, 0);
}

static int
setup(void **state)
{
	(void)state;
	strcpy(world.dir, "watch-XXXXXX");
	assert_non_null(mkdtemp(world.dir));
	(void)snprintf(world.sub, sizeof world.sub, "%s/sub", world.dir);
	assert_int_equal(mkdir(world.sub, 0700), 0);
	assert_null(loop_new(&world.l));
	world.w = watch_new(world.l, on_change, NULL);
	assert_non_null(world.w);
	world.told = 0;
	return (0);
}

static int
teardown(void **state)
{
	static const char *const names[] = { "a", "b", "new.yaml", "sub/b" };

	(void)state;
	no_room = 0;
	watch_free(&world.w);
	loop_free(&world.l);
	for (unsigned i = 0; i < array_len(names); i++)
		(void)unlink(path_of(names[i]));
	(void)rmdir(world.sub);
	return (rmdir(world.dir));
}

/* ---- tests ---- */

static void
test_what_is_told(void **state)
{
	FILE *f;

	(void)state;
	(void)watch_all();
	put("other");
	expect_nothing();
	rename_to("other", "a");
	expect_told();
	/* Not while it is written. */
	f = fopen(path_of("new.yaml"), "w");
	assert_non_null(f);
	assert_true(fputs("half", f) >= 0 && fflush(f) == 0);
	expect_nothing();
	assert_int_equal(fclose(f), 0);
	expect_told();
	assert_int_equal(symlink("a", path_of("sub/b")), 0);
	expect_told();
	assert_int_equal(unlink(path_of("new.yaml")), 0);
	expect_told();
	rename_to("a", "b");
	expect_told();
}

/* Many changes at once are one call. */
static void
test_a_swarm(void **state)
{
	(void)state;
	(void)watch_all();
	put("a");
	put("new.yaml");
	put("sub/b");
	loop_turn(world.l, true);
	assert_int_equal(world.told, 1);
}

static void
test_what_is_new(void **state)
{
	(void)state;
	assert_true(watch_all());
	assert_false(watch_all());
	/* Less is nothing new; what is not watched any more is not told. */
	watch_begin(world.w);
	assert_true(watch_name(world.w, world.dir, "b"));
	assert_false(watch_end(world.w));
	put("a");
	put("sub/b");
	expect_nothing();
	put("b");
	expect_told();
	assert_true(watch_all());
	put("sub/b");
	expect_told();
}

static void
test_a_folder_goes(void **state)
{
	(void)state;
	(void)watch_all();
	assert_int_equal(rmdir(world.sub), 0);
	expect_told();
	/* It is not there: let pass. The one that comes in its place is another. */
	assert_false(watch_all());
	assert_int_equal(mkdir(world.sub, 0700), 0);
	assert_true(watch_all());
	put("sub/b");
	expect_told();
	assert_int_equal(unlink(path_of("sub/b")), 0);
	expect_told();
	assert_int_equal(rename(world.sub, path_of("moved")), 0);
	expect_told();
	assert_int_equal(rename(path_of("moved"), world.sub), 0);
}

static long
queue_length(void)
{
	FILE *f = fopen("/proc/sys/fs/inotify/max_queued_events", "r");
	long n = 0;

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%ld", &n), 1);
	assert_int_equal(fclose(f), 0);
	return (n);
}

/* More than the system keeps for us: what was lost may have been ours. */
static void
test_the_queue_runs_over(void **state)
{
	long n = queue_length();

	(void)state;
	assert_in_range(n, 1, QUEUE_MAX);
	(void)watch_all();
	put("x");
	expect_nothing();
	/* Two events each, of names that nobody asked for. */
	for (long i = 0; i < n / 8; i++) {
		rename_to("x", "y");
		rename_to("y", "x");
	}
	expect_nothing();
	for (long i = 0; i <= n / 4; i++) {
		rename_to("x", "y");
		rename_to("y", "x");
	}
	expect_told();
	/* It goes on. */
	put("a");
	expect_told();
	assert_int_equal(unlink(path_of("x")), 0);
}

static void
test_no_room_for_a_folder(void **state)
{
	static const int full[] = { ENOSPC, ENOMEM };

	(void)state;
	(void)watch_all();
	for (unsigned i = 0; i < array_len(full); i++) {
		watch_begin(world.w);
		assert_true(watch_name(world.w, world.dir, "a"));
		no_room = full[i];
		assert_false(watch_name(world.w, world.sub, "b"));
		assert_int_equal(errno, full[i]);
		assert_false(watch_pattern(world.w, world.sub, "*"));
		no_room = 0;
		assert_false(watch_end(world.w));
		/* What it had room for is watched. */
		put("sub/b");
		expect_nothing();
		put("a");
		expect_told();
	}
	/* One that may not be looked into is let pass, as one that is not there. */
	no_room = EACCES;
	watch_begin(world.w);
	assert_true(watch_name(world.w, world.dir, "a"));
	assert_false(watch_end(world.w));
}

static void
test_no_descriptor(void **state)
{
	struct rlimit was, none;
	struct watch *w;
	int saved;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	none = was;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	w = watch_new(world.l, on_change, NULL);
	saved = errno;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	assert_null(w);
	assert_int_equal(saved, EMFILE);
	watch_free(&w);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_what_is_told),
		TEST(test_a_swarm),
		TEST(test_what_is_new),
		TEST(test_a_folder_goes),
		TEST(test_the_queue_runs_over),
		TEST(test_no_room_for_a_folder),
		TEST(test_no_descriptor),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
