/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/slice.h"
#include "engine/base/text.h"
#include "engine/worker/worker.h"
#include "engine/worker/worker_cpus.h"

/* The first line of a file, without its end. */
static bool
read_line(const char *dir, const char *file, char *buf, size_t n)
{
	char path[PATH_MAX];
	FILE *f;
	bool ok;

	if ((size_t)snprintf(path, sizeof path, "%s/%s", dir, file) >= sizeof path)
		return (false);
	f = fopen(path, "re");
	if (f == NULL)
		return (false);
	ok = fgets(buf, (int)n, f) != NULL;
	fclose(f);
	if (ok)
		buf[strcspn(buf, "\n")] = '\0';
	return (ok);
}

/* CPUs that a quota of `quota` us in each `period` us amounts to, rounded up. */
static unsigned
cpus_of_quota(struct slice quota, struct slice period, unsigned cpus)
{
	uint64_t q, p;

	if (!text_to_u64(quota, &q) || !text_to_u64(period, &p) || p == 0)
		return (cpus);		/* "max", "-1": no quota */
	q = q / p + (q % p != 0);
	return (q < cpus ? (unsigned)q : cpus);
}

/* Version 2: "QUOTA PERIOD". */
static unsigned
cpus_of_v2(const char *dir, unsigned cpus)
{
	struct slice rest, quota;
	char line[64];

	if (!read_line(dir, "cpu.max", line, sizeof line))
		return (cpus);
	rest = slice_str(line);
	(void)slice_split(&rest, ' ', &quota);
	return (cpus_of_quota(quota, rest, cpus));
}

static unsigned
cpus_of_v1(const char *dir, unsigned cpus)
{
	char quota[64], period[64];

	if (!read_line(dir, "cpu.cfs_quota_us", quota, sizeof quota) ||
	    !read_line(dir, "cpu.cfs_period_us", period, sizeof period))
		return (cpus);
	return (cpus_of_quota(slice_str(quota), slice_str(period), cpus));
}

/* From the group up to where groups are mounted. In a container the path may be that of the host,
   and only its end is there. */
static unsigned
least(const char *mount, struct slice group, unsigned cpus,
    unsigned (*cpus_of)(const char *dir, unsigned cpus))
{
	size_t top = strlen(mount), n = top + group.len;
	char dir[PATH_MAX];

	if (n >= sizeof dir)
		return (cpus);
	(void)snprintf(dir, sizeof dir, "%s" SLICE_FMT, mount, SLICE_ARG(group));
	for (;;) {
		while (n > top && dir[n - 1] == '/')
			n--;
		dir[n] = '\0';
		cpus = cpus_of(dir, cpus);
		if (n == top)
			return (cpus);
		while (n > top && dir[n - 1] != '/')
			n--;
	}
}

/* "4:cpu,cpuacct:/a/b", or "0::/a/b" of version 2. */
static unsigned
bound_by(const char *mounts, char *line, unsigned cpus)
{
	struct slice rest = slice_str(line), number, names, name;
	char mount[PATH_MAX];

	if (!slice_split(&rest, ':', &number) || !slice_split(&rest, ':', &names))
		return (cpus);
	if (names.len == 0)
		return (least(mounts, rest, cpus, cpus_of_v2));
	if ((size_t)snprintf(mount, sizeof mount, "%s/cpu", mounts) >= sizeof mount)
		return (cpus);
	while (slice_split(&names, ',', &name)) {
		if (slice_eq(name, SLICE("cpu")))
			return (least(mount, rest, cpus, cpus_of_v1));
	}
	return (cpus);
}

unsigned
worker_cpus_within(const char *mounts, const char *groups, unsigned cpus)
{
	FILE *f = fopen(groups, "re");
	char line[PATH_MAX];

	if (f == NULL)
		return (cpus);
	while (fgets(line, sizeof line, f) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		cpus = bound_by(mounts, line, cpus);
	}
	fclose(f);
	return (cpus);
}

unsigned
worker_count_auto(void)
{
	unsigned n = 1;
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof set, &set) == 0)
		n = (unsigned)CPU_COUNT(&set);
	n = worker_cpus_within("/sys/fs/cgroup", "/proc/self/cgroup", n);
	if (n < 1)
		n = 1;
	return (n < WORKER_MAX - 1 ? n : WORKER_MAX - 1);
}
