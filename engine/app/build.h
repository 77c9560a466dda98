/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_APP_BUILD_H
#define WEIR_APP_BUILD_H

/*
 * From files to a generation that is ready to be published:
 *
 *	YAML -> nodes with marks -> typed structs -> checks -> compiled parts -> snapshot
 *
 * Everything that can fail fails here, before anyone sees the snapshot; all mistakes are collected.
 * Parts whose decoded configuration is what it was are shared with the generation before.
 * Main thread.
 *
 * Files that did not change are not even parsed, where the result is known to be the same: see
 * build_changes.c. On any doubt, and to tell of any mistake, everything is read.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "engine/app/app.h"
#include "engine/config/diag.h"
#include "engine/config/load.h"
#include "engine/mem/map.h"
#include "engine/worker/snapshot.h"

struct build_catalog;
struct build_changes;
struct build_file;
struct build_layers;

/* What was done, for tests that hold its amount. */
struct build_work {
	unsigned	 files_parsed;
	unsigned	 routes;	/* compiled */
	unsigned	 rules;		/* laid out in the router */
	unsigned	 upstreams;	/* compared with what they were */
	bool		 is_whole;	/* nothing was taken for granted */
};

struct build {
	unsigned			 magic;
#define BUILD_MAGIC	0x60b39f1d
	const struct app_program	*prog;
	const struct snapshot		*before;	/* what runs now; NULL: nothing */
	struct snapshot			*snap;
	struct arena			*arena;		/* all that was read, until build_fini() */
	struct sources			*sources;	/* what it is built from */
	struct build_file		**files;	/* one for each of them, in the snapshot */
	unsigned			 n_files;
	unsigned			 last_file;	/* that was asked for */
	struct build_layers		*layers;	/* in the snapshot too */
	struct build_catalog		*catalog;	/* until the gate has it; NULL: none */
	struct build_changes		*changes;	/* of the catalog; NULL: all was read */
	struct map			 told;		/* what the router said */
	struct build_work		 work;
	struct diag			*diag;		/* may be NULL with no_memory */
	struct gate			*gate;
	const struct schema_obj		*root;		/* NULL: the files could not be read */
	struct app_view			 view;
	bool				 no_memory;
};

/* Keys of the program's filters (proxy_program) become keys of the policies; once a process, before
   the first use of the root schema. */
void	build_register_filters(void);

/*
 * Reads and builds. True: b->snap is sound and the caller's (build_take). False: b->diag says
 * why, or b->no_memory. build_fini() in either case, when the diag has been printed.
 */
bool	build_run(struct build *, const struct app_program *, const struct load_options *,
	    const struct snapshot *before, uint64_t generation);
/*
 * Decodes once more what a generation was built from, whatever has become of the files: b->root and
 * b->view are what it runs, and the snapshot of the build is of no use. False: b->no_memory, or
 * b->diag says why. build_fini() in either case. Costs as much as reading the files does.
 */
bool	build_read_again(struct build *, const struct app_program *, const struct snapshot *of);
/*
 * YAML of what is in force, each value with the place that it comes from, and the order of
 * policies; of one route, as many documents as listeners differ in what they give it. Or JSON
 * (docs/operations.md). `gate` is what was built, by this build or by the one that it reads again.
 * False: there is no such route, which b->diag says, or b->no_memory.
 */
struct build_shown {
	struct slice	 route;		/* empty: all */
	bool		 json;
};
bool	build_show(struct build *, const struct gate *, const struct build_shown *, FILE *out);
struct snapshot *build_take(struct build *);
void	build_fini(struct build *);

#endif
