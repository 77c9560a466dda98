/* SPDX-License-Identifier: Apache-2.0 */
/* The folder of the Unix socket: whom it lets through, and that it is left as it was found. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <grp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/app/admin.h"
#include "engine/mem/alloc.h"
#include "engine/mem/arena.h"
#include "engine/stats/stats.h"
#include "engine/worker/worker.h"

enum { NOBODY = 65534, DAEMON = 1, PATH = 64 };

struct world {
	char		 base[32], dir[PATH], sock[PATH];
	struct worker	 main;
	struct stats	*stats;
	struct arena	*arena;
	struct admin	*admin;
	char		 group[64];	/* another than ours, where we are in one */
	gid_t		 gid;
};

/* Root has its socket in /run, which is not for tests. */
static void
be_somebody(struct world *w)
{
	gid_t all[64], other = DAEMON;
	struct group *g;
	int n;

	if (geteuid() == 0) {
		assert_int_equal(setgroups(1, &other), 0);
		assert_int_equal(setegid(NOBODY), 0);
		assert_int_equal(seteuid(NOBODY), 0);
	}
	w->gid = getegid();
	n = getgroups(64, all);
	for (int i = 0; i < n; i++) {
		if (all[i] != getegid())
			w->gid = all[i];
	}
	g = getgrgid(w->gid);
	assert_non_null(g);
	(void)snprintf(w->group, sizeof w->group, "%s", g->gr_name);
}

/* Who looks for leaks at the end traces the process, which the change of its user forbids. */
static void
be_root_again(void)
{
	if (getuid() != 0)
		return;
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(setegid(getgid()), 0);
	assert_int_equal(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0), 0);
}

static int
setup(void **state)
{
	static struct world w;

	memset(&w, 0, sizeof w);
	be_somebody(&w);
	strcpy(w.base, "/tmp/weir-admin-XXXXXX");
	assert_non_null(mkdtemp(w.base));
	assert_int_equal(setenv("XDG_RUNTIME_DIR", w.base, 1), 0);
	(void)snprintf(w.dir, sizeof w.dir, "%s/weir", w.base);
	(void)snprintf(w.sock, sizeof w.sock, "%s/weir/test.sock", w.base);
	assert_null(worker_init(&w.main, WORKER_MAIN, 16));
	w.stats = stats_new();
	w.arena = arena_new("test");
	w.admin = admin_new(&w.main, w.stats, "weir-test", &(const struct admin_hooks){ 0 });
	*state = &w;
	return (0);
}

static int
teardown(void **state)
{
	struct world *w = *state;

	admin_free(&w->admin);
	worker_fini(&w->main);
	stats_free(&w->stats);
	arena_free(&w->arena);
	assert_int_equal(rmdir(w->dir), 0);
	assert_int_equal(rmdir(w->base), 0);
	be_root_again();
	return (0);
}

static void
use(struct world *w, const char *group, const char *socket)
{
	struct admin_conf c;

	memcpy(&c, schema_defaults(&admin_schema), sizeof c);
	c.socket = slice_str(socket);
	if (*group != '\0') {
		c.socket_group = slice_str(group);
		c.socket_mode = SLICE("0660");
	}
	assert_null(admin_prepare(w->admin, w->arena, &c));
	admin_commit(w->admin);
}

static void
expect(const char *path, mode_t mode, gid_t group)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, mode);
	assert_int_equal(st.st_gid, group);
}

static void
test_a_group_comes_and_goes(void **state)
{
	struct world *w = *state;

	use(w, "", "");
	expect(w->dir, 0700, getegid());
	expect(w->sock, 0600, getegid());
	for (unsigned i = 0; i < 2; i++) {
		use(w, w->group, "");
		expect(w->dir, 0710, w->gid);
		expect(w->sock, 0660, w->gid);
		/* Again, with nothing changed. */
		use(w, w->group, "");
		expect(w->dir, 0710, w->gid);
		use(w, "", "");
		expect(w->dir, 0700, getegid());
		expect(w->sock, 0600, w->gid);
	}
}

static void
test_the_socket_moves_away(void **state)
{
	struct world *w = *state;
	char other[PATH];

	(void)snprintf(other, sizeof other, "%s/o.sock", w->base);
	use(w, w->group, "");
	expect(w->dir, 0710, w->gid);
	use(w, w->group, other);
	expect(w->dir, 0700, getegid());
	expect(other, 0660, w->gid);
	expect(w->base, 0700, getegid());
}

static void
test_the_end(void **state)
{
	struct world *w = *state;

	assert_int_equal(mkdir(w->dir, 0700), 0);
	assert_int_equal(chmod(w->dir, 0750), 0);
	use(w, w->group, "");
	expect(w->dir, 0710, w->gid);
	admin_free(&w->admin);
	expect(w->dir, 0750, getegid());
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_group_comes_and_goes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_socket_moves_away, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_end, setup, teardown),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
