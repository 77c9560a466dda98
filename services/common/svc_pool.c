/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "services/common/svc_pool.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <event2/event.h>

struct queue {
	struct svc_job *first;
	struct svc_job **last;
	size_t count;
};

struct svc_inbox {
	unsigned magic;
#define SVC_INBOX_MAGIC 0x5eac9a07u
	pthread_mutex_t lock;
	struct queue queue;
	struct event *event;
	svc_done_fn *done;
	void *arg;
	int fd;
};

struct svc_pool {
	unsigned magic;
#define SVC_POOL_MAGIC 0x5eac9a08u
	pthread_mutex_t lock;
	pthread_cond_t wake; /* a job, a stop, or a thread's start */
	struct queue queue;
	size_t queue_max;
	struct svc_pool_hooks hooks;
	struct svc_inbox *inbox;
	unsigned threads;
	unsigned started;
	bool has_failed;
	bool is_stopping;
	pthread_t thread[];
};

static void
queue_init(struct queue *q)
{
	q->first = NULL;
	q->last = &q->first;
	q->count = 0;
}

static void
queue_push(struct queue *q, struct svc_job *job)
{
	job->next = NULL;
	*q->last = job;
	q->last = &job->next;
	q->count++;
}

static struct svc_job *
queue_pop(struct queue *q)
{
	struct svc_job *job = q->first;

	if (job == NULL)
		return (NULL);
	q->first = job->next;
	if (q->first == NULL)
		q->last = &q->first;
	q->count--;
	job->next = NULL;
	return (job);
}

static void
on_inbox(evutil_socket_t fd, short what, void *arg)
{
	struct svc_inbox *inbox = arg;
	struct svc_job *job;
	uint64_t count;
	struct queue all;

	(void)what;
	assert(inbox->magic == SVC_INBOX_MAGIC);
	if (read((int)fd, &count, sizeof(count)) < 0)
		count = 0; /* nothing to learn from it: the queue is the truth */
	queue_init(&all);
	pthread_mutex_lock(&inbox->lock);
	while ((job = queue_pop(&inbox->queue)) != NULL)
		queue_push(&all, job);
	pthread_mutex_unlock(&inbox->lock);
	while ((job = queue_pop(&all)) != NULL)
		inbox->done(job, inbox->arg);
}

struct svc_inbox *
svc_inbox_new(struct event_base *base, svc_done_fn *done, void *arg)
{
	struct svc_inbox *inbox = calloc(1, sizeof(*inbox));

	if (inbox == NULL)
		return (NULL);
	inbox->magic = SVC_INBOX_MAGIC;
	inbox->done = done;
	inbox->arg = arg;
	queue_init(&inbox->queue);
	pthread_mutex_init(&inbox->lock, NULL);
	inbox->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (inbox->fd >= 0)
		inbox->event = event_new(base, inbox->fd, EV_READ | EV_PERSIST, on_inbox, inbox);
	if (inbox->event == NULL || event_add(inbox->event, NULL) != 0)
		svc_inbox_free(&inbox);
	return (inbox);
}

void
svc_inbox_free(struct svc_inbox **inbox)
{
	struct svc_inbox *b = *inbox;

	*inbox = NULL;
	if (b == NULL)
		return;
	if (b->event != NULL)
		event_free(b->event);
	if (b->fd >= 0)
		close(b->fd);
	pthread_mutex_destroy(&b->lock);
	free(b);
}

static void
inbox_put(struct svc_inbox *inbox, struct svc_job *job)
{
	uint64_t one = 1;
	bool was_empty;

	pthread_mutex_lock(&inbox->lock);
	was_empty = inbox->queue.count == 0;
	queue_push(&inbox->queue, job);
	/*
	 * under the lock, so that the loop cannot free the inbox between; it cannot block, the
	 * counter is far from full
	 */
	if (was_empty && write(inbox->fd, &one, sizeof(one)) < 0)
		abort();
	pthread_mutex_unlock(&inbox->lock);
}

static struct svc_job *
take(struct svc_pool *pool)
{
	struct svc_job *job;

	pthread_mutex_lock(&pool->lock);
	while ((job = queue_pop(&pool->queue)) == NULL && !pool->is_stopping)
		pthread_cond_wait(&pool->wake, &pool->lock);
	pthread_mutex_unlock(&pool->lock);
	return (job);
}

static void
report_start(struct svc_pool *pool, bool is_good)
{
	pthread_mutex_lock(&pool->lock);
	pool->started++;
	if (!is_good)
		pool->has_failed = true;
	pthread_cond_broadcast(&pool->wake);
	pthread_mutex_unlock(&pool->lock);
}

static void *
thread_main(void *arg)
{
	struct svc_pool *pool = arg;
	struct svc_job *job;
	void *ctx;

	assert(pool->magic == SVC_POOL_MAGIC);
	ctx = pool->hooks.start(pool->hooks.arg);
	report_start(pool, ctx != NULL);
	if (ctx == NULL)
		return (NULL);
	while ((job = take(pool)) != NULL) {
		assert(job->magic == SVC_JOB_MAGIC);
		job->run(job, ctx);
		inbox_put(pool->inbox, job);
	}
	pool->hooks.stop(ctx);
	return (NULL);
}

/* Signals are the loop's business: the threads are born with all of them blocked. */
static unsigned
spawn(struct svc_pool *pool, unsigned threads)
{
	sigset_t all;
	sigset_t old;
	unsigned n;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	for (n = 0; n < threads; n++) {
		if (pthread_create(&pool->thread[n], NULL, thread_main, pool) != 0)
			break;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return (n);
}

struct svc_pool *
svc_pool_new(
    unsigned threads, size_t queue_max, const struct svc_pool_hooks *hooks, struct svc_inbox *inbox)
{
	struct svc_pool *pool = calloc(1, sizeof(*pool) + threads * sizeof(pool->thread[0]));

	if (pool == NULL)
		return (NULL);
	pool->magic = SVC_POOL_MAGIC;
	pool->queue_max = queue_max;
	pool->hooks = *hooks;
	pool->inbox = inbox;
	queue_init(&pool->queue);
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->wake, NULL);
	pool->threads = spawn(pool, threads);
	pthread_mutex_lock(&pool->lock);
	while (pool->started < pool->threads)
		pthread_cond_wait(&pool->wake, &pool->lock);
	bool is_good = pool->threads == threads && !pool->has_failed;
	pthread_mutex_unlock(&pool->lock);
	if (!is_good)
		svc_pool_free(&pool);
	return (pool);
}

bool
svc_pool_push(struct svc_pool *pool, struct svc_job *job)
{
	bool has_room;

	pthread_mutex_lock(&pool->lock);
	has_room = pool->queue.count < pool->queue_max;
	if (has_room) {
		queue_push(&pool->queue, job);
		pthread_cond_signal(&pool->wake);
	}
	pthread_mutex_unlock(&pool->lock);
	return (has_room);
}

void
svc_pool_free(struct svc_pool **pool)
{
	struct svc_pool *p = *pool;

	*pool = NULL;
	if (p == NULL)
		return;
	pthread_mutex_lock(&p->lock);
	p->is_stopping = true;
	pthread_cond_broadcast(&p->wake);
	pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->threads; i++)
		pthread_join(p->thread[i], NULL);
	pthread_cond_destroy(&p->wake);
	pthread_mutex_destroy(&p->lock);
	free(p);
}
