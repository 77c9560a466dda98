/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "engine/base/cc.h"
#include "engine/worker/worker_cpus.h"

/* Quotas of control groups, in a folder of our own. */

enum { CPUS = 16 };

static char root[64];

static int
setup(void **state)
{
	(void)state;
	(void)snprintf(root, sizeof root, "/tmp/weir-cpus-XXXXXX");
	return (mkdtemp(root) == NULL);
}

static int
teardown(void **state)
{
	char command[128];

	(void)state;
	(void)snprintf(command, sizeof command, "rm -r '%s'", root);
	return (system(command));
}

/* Makes the file and the folders above it. */
static void
put(const char *path, const char *text)
{
	char full[256];
	FILE *f;

	(void)snprintf(full, sizeof full, "%s%s", root, path);
	for (char *p = full + strlen(root) + 1; (p = strchr(p, '/')) != NULL; p++) {
		*p = '\0';
		(void)mkdir(full, 0700);
		*p = '/';
	}
	f = fopen(full, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static unsigned
within(const char *groups)
{
	char file[128], mounts[128];

	put("/self", groups);
	(void)snprintf(file, sizeof file, "%s/self", root);
	(void)snprintf(mounts, sizeof mounts, "%s/fs", root);
	return (worker_cpus_within(mounts, file, CPUS));
}

static void
the_group_of_the_process_binds(void **state)
{
	(void)state;
	put("/fs/system.slice/weir.service/cpu.max", "150000 100000\n");
	assert_int_equal(within("0::/system.slice/weir.service\n"), 2);
	assert_int_equal(within("0::/system.slice/other.service\n"), CPUS);
	assert_int_equal(within("0::/\n"), CPUS);
}

static void
groups_above_bind_too(void **state)
{
	(void)state;
	put("/fs/a/b/c/cpu.max", "max 100000\n");
	put("/fs/a/b/cpu.max", "700000 100000\n");
	put("/fs/a/cpu.max", "300000 100000\n");
	assert_int_equal(within("0::/a/b/c\n"), 3);
	assert_int_equal(within("0::/a/b/\n"), 3);
	put("/fs/a/b/c/cpu.max", "100000 100000\n");
	assert_int_equal(within("0::/a/b/c\n"), 1);
}

/* A container sees its own group at the top, and may be told the path that the host knows. */
static void
the_top_binds(void **state)
{
	(void)state;
	put("/fs/cpu.max", "400000 100000\n");
	assert_int_equal(within("0::/\n"), 4);
	assert_int_equal(within("0::/docker/0123\n"), 4);
}

static void
version_1(void **state)
{
	(void)state;
	put("/fs/cpu/a/cpu.cfs_quota_us", "250000\n");
	put("/fs/cpu/a/cpu.cfs_period_us", "100000\n");
	put("/fs/cpu/b/cpu.cfs_quota_us", "-1\n");
	put("/fs/cpu/b/cpu.cfs_period_us", "100000\n");
	assert_int_equal(within("7:memory:/\n4:cpu,cpuacct:/a\n0::/\n"), 3);
	assert_int_equal(within("4:cpuacct,cpu:/a\n"), 3);
	assert_int_equal(within("4:cpu:/a\n"), 3);
	assert_int_equal(within("4:cpuacct:/a\n"), CPUS);
	assert_int_equal(within("4:cpu:/b\n"), CPUS);
}

static void
what_is_not_a_quota(void **state)
{
	static const char *const texts[] = { "", "\n", "max\n", "x 100000\n", "100000 0\n",
		"100000 x\n", "1000000000000 100000\n" };

	(void)state;
	for (size_t i = 0; i < array_len(texts); i++) {
		put("/fs/a/cpu.max", texts[i]);
		assert_int_equal(within("0::/a\n"), CPUS);
	}
	assert_int_equal(within(""), CPUS);
	assert_int_equal(within("nonsense\n1:2\n"), CPUS);
	assert_int_equal(worker_cpus_within("/nowhere", "/nowhere/self", CPUS), CPUS);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_group_of_the_process_binds, setup, teardown),
		cmocka_unit_test_setup_teardown(groups_above_bind_too, setup, teardown),
		cmocka_unit_test_setup_teardown(the_top_binds, setup, teardown),
		cmocka_unit_test_setup_teardown(version_1, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_not_a_quota, setup, teardown),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
