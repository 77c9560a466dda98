/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_WORKER_WORKER_CPUS_H
#define WEIR_WORKER_WORKER_CPUS_H

/*
 * How many CPUs this process may use. Reads files; at start and by a reload, never by a worker.
 */

/* How many workers `auto` means: CPUs of the affinity mask, bounded by the quotas of control
   groups, rounded up; at least 1, at most WORKER_MAX - 1. */
unsigned	 worker_count_auto(void);

/*
 * `cpus`, or fewer if a quota says so: of the process's own group or of any group above it, since
 * each binds. `mounts` is where control groups are seen (/sys/fs/cgroup), `groups` a file like
 * /proc/self/cgroup (cgroups(7)), of version 1 or 2. What cannot be read binds nothing. 0 where a
 * quota is 0.
 */
unsigned	 worker_cpus_within(const char *mounts, const char *groups, unsigned cpus);

#endif
