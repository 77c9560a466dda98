/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_WORKER_WORKER_H
#define WEIR_WORKER_WORKER_H

/*
 * A worker: one thread, one loop, and everything that the requests it serves touch. Nothing of it
 * is locked; other threads reach it by its mailbox only. The main thread has a struct worker too
 * (index WORKER_MAIN, its thread is the caller's), for probes, names and the admin listener; it
 * serves no traffic.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/base/rnd.h"
#include "engine/loop/loop.h"
#include "engine/loop/mailbox.h"
#include "engine/loop/timer.h"
#include "engine/mem/err.h"
#include "engine/mem/page.h"

struct snapshot_use;
struct stats_shard;
struct worker;

enum {
	WORKER_MAX = 256,	/* threads; more cores than that get no more */
	WORKER_MAIN = 255	/* index of the main thread's context */
};

/* State that a higher layer keeps per worker. Set once in its start function. */
enum worker_slot {
	WORKER_SLOT_UPSTREAM,	/* engine/upstream: slabs of connections, pools by part */
	WORKER_SLOT_PROXY,	/* engine/proxy: slabs of connections and exchanges, listeners */
	WORKER_SLOT_CLIENTS,	/* engine/clients */
	WORKER_SLOT__MAX
};

struct worker {
	unsigned		 magic;
#define WORKER_MAGIC	0x60c1bb2e
	unsigned		 index;
	struct loop		*loop;
	struct page_pool	 pages;
	/* gives memory of idle pages back; not set when there are none */
	struct timer		 page_tick;
	struct turn_hook	 turn_end;
	struct rnd		 rnd;
	/* this worker's; written here only. NULL: it serves nothing (proxy/dry.h) */
	struct stats_shard	*stats;
	struct snapshot_use	*snap;		/* the current generation; NULL before the first */
	void			*slot[WORKER_SLOT__MAX];
	uint32_t		 connections;	/* client connections open now */
	uint32_t		 exchanges;	/* requests in progress now */
	bool			 draining;
	struct mail		 stop;		/* ends the loop */
	pthread_t		 thread;
	bool			 running;	/* both the main thread's */
	bool			 stopping;
};

/* Makes loop, pages, random state. Main thread, before the thread runs. */
struct err	*worker_init(struct worker *, unsigned index, size_t max_pages);
/* After the thread has ended (or for the main context, at exit). */
void		 worker_fini(struct worker *);
/*
 * Runs `enter` on the new thread (start functions of the layers), then the loop, then `leave`.
 * Returns when `enter` has; where that failed its error is returned, `leave` is not called and the
 * thread has ended. Main thread, as the two below.
 */
struct err	*worker_start(struct worker *, struct err *(*enter)(struct worker *),
		    void (*leave)(struct worker *));
/* Asks the loop to end after this turn; needs no memory. Then join. Harmless if it never ran. */
void		 worker_stop(struct worker *);
void		 worker_join(struct worker *);

#endif
