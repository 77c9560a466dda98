/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_PROXY_ROUTER_FILES_H
#define WEIR_PROXY_ROUTER_FILES_H

/*
 * A router from the routes of many files, of which few change from one generation to the next.
 *
 * Where there are many hosts their tables are cut into shards by the hash of the host's name. A
 * shard is a router of its own, immutable and shared by generations; only those that hold a host
 * which a changed file names are made again. Rules with wildcards and without hosts are one more.
 * Main thread.
 */
#include <stdint.h>

#include "engine/proxy/router.h"

struct route_file;

struct router_files {
	struct route_file *const *all;		/* in order; each one's `order` is set */
	unsigned		 n_all;
	/* What is different from `before`, which may be NULL: all is, and these are not looked at.
	   Those that both have stand in the same order. */
	const struct router	*before;
	struct route_file *const *gone;
	unsigned		 n_gone;
	struct route_file *const *fresh;	/* in order */
	unsigned		 n_fresh;
	router_report_fn	*report;	/* may be told the same more than once */
	void			*arg;
};

/*
 * As router_build(), into an arena that never fails: with it go the references to shards.
 * *n_laid_r: rules that were laid out, once for each shard that they are in.
 */
struct router	*router_build_files(struct arena *, const struct router_files *,
		    unsigned *n_laid_r);

#endif
