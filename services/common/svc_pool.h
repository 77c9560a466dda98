/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVICES_COMMON_SVC_POOL_H
#define SERVICES_COMMON_SVC_POOL_H

/*
 * Threads for work that blocks. The loop pushes jobs; a thread runs each and puts it into the
 * inbox, whose callback runs on the loop again. A job is lent: it belongs to the thread from the
 * push until the callback.
 */

#include <stdbool.h>
#include <stddef.h>

struct event_base;
struct svc_pool;
struct svc_inbox;

struct svc_job {
	unsigned magic;
#define SVC_JOB_MAGIC 0x5eac9a05u
	struct svc_job *next;                        /* the queue's */
	void (*run)(struct svc_job *job, void *ctx); /* on a pool thread */
};

/* On the loop, once for each job that was run. */
typedef void svc_done_fn(struct svc_job *job, void *arg);

/* The way back to the loop. NULL when descriptors or memory are short. */
struct svc_inbox *svc_inbox_new(struct event_base *base, svc_done_fn *done, void *arg);
/* After all pools that use it are freed. */
void svc_inbox_free(struct svc_inbox **inbox);

/* How the threads get their own state; both run on the thread. */
struct svc_pool_hooks {
	unsigned magic;
#define SVC_POOL_HOOKS_MAGIC 0x5eac9a06u
	void *(*start)(void *arg); /* NULL: the thread, and so the pool, could not start */
	void (*stop)(void *ctx);
	void *arg;
};

/*
 * Starts the threads and waits until each is ready; NULL if one failed. `hooks` may be dropped
 * afterwards.
 */
struct svc_pool *svc_pool_new(unsigned threads, size_t queue_max,
    const struct svc_pool_hooks *hooks, struct svc_inbox *inbox);
/* False when the queue is full: the job stays the caller's. */
bool svc_pool_push(struct svc_pool *pool, struct svc_job *job);
/* Lets the threads end the jobs that are queued, and joins them. */
void svc_pool_free(struct svc_pool **pool);

#endif
