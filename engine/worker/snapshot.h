/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_WORKER_SNAPSHOT_H
#define WEIR_WORKER_SNAPSHOT_H

/*
 * An immutable generation of everything configured. Built and freed on the main thread; read by
 * all. It is a table of parts: each part (a listener, the routes of a file with its upstreams) has
 * its own arena and an atomic count, and an unchanged part is shared with the generation before.
 *
 * A worker holds one use of the generation it serves, and a plain counter of the exchanges that
 * still run on it. When a newer one is published (by mailbox, between two turns), new exchanges
 * take the new; when the old one's counter falls to zero, the worker gives its one atomic
 * reference back, and the last one is freed by the main thread.
 */
#include <stdbool.h>
#include <stdint.h>

#include "engine/base/slice.h"
#include "engine/mem/arena.h"
#include "engine/mem/ref.h"

struct snapshot;
struct snapshot_mail;
struct worker;

enum part_kind {
	PART_UPSTREAM,
	PART_LISTENER,
	PART_ROUTES,		/* of one file */
	PART_LAYERS,		/* what routes stand on */
	PART__MAX
};

/* First member of every part. */
struct part {
	unsigned	 magic;
#define PART_MAGIC	0x2b7fd104
	uint8_t		 kind;		/* enum part_kind */
	struct ref_atomic refs;		/* generations that hold it */
	uint64_t	 hash;		/* of the decoded configuration: equal means unchanged */
	struct slice	 name;
	struct arena	*arena;		/* everything of the part, itself included */
	/* main thread, before the arena goes; may be NULL */
	void		(*fini)(struct part *);
};

struct snapshot {
	unsigned	 magic;
#define SNAPSHOT_MAGIC	0x48d3e6a9
	uint64_t	 generation;	/* 1 for the first */
	int64_t		 loaded_wall_us;
	struct arena	*arena;
	struct ref_atomic refs;		/* one a worker, one for the main thread while current */
	struct part	**parts;
	unsigned	 n_parts, cap_parts;
	void		*root;		/* the program's own tables (proxy/gate.h) */
};

/* A worker's hold on one generation. */
struct snapshot_use {
	struct snapshot	*snap;
	uint32_t	 active;	/* exchanges and others of this worker that still need it */
	bool		 retired;
	/* carries the reference back, so that this needs no memory */
	struct snapshot_mail *home;
};

struct part	*part_new(enum part_kind, struct slice name, size_t size, uint64_t hash);
struct part	*part_ref(struct part *);
void		 part_unref(struct part **);

struct snapshot	*snapshot_new(uint64_t generation);
/* Takes over a reference, unless the end of memory is trapped. Then it is still the caller's, so
   who has no other place for it makes room first: the next part needs no memory then. */
void		 snapshot_add_part(struct snapshot *, struct part *);
void		 snapshot_make_room(struct snapshot *);

/* Main thread: hands it to each worker; on_applied runs on the worker, after the swap, with the old
   generation still held. False: no memory, and no worker has it. */
typedef void snapshot_applied_fn(struct worker *, struct snapshot *now);
/* Worker thread: nothing of this worker uses `gone` any more; its reference goes back then. */
typedef void snapshot_retired_fn(struct worker *, struct snapshot *gone);
bool		 snapshot_publish(struct snapshot *, struct worker *const *workers, unsigned n,
		    struct worker *main, snapshot_applied_fn *on_applied,
		    snapshot_retired_fn *on_retired);
/* Main thread, after the worker's thread has ended: lets go of what it held. */
void		 snapshot_drop_use(struct worker *);
/* Main thread, not published: frees it (a failed build, `check`). */
void		 snapshot_discard(struct snapshot **);

/* Worker thread. */
struct snapshot_use *snapshot_take(struct worker *);		/* counts one up */
struct snapshot_use *snapshot_hold(struct snapshot_use *);	/* one that is taken, once more */
void		 snapshot_give(struct snapshot_use **);		/* and down; nulls */

#endif
