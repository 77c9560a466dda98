/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/check.h"
#include "engine/base/log.h"
#include "engine/base/panic.h"
#include "engine/base/text.h"
#include "engine/worker/worker.h"

/* What the new thread needs to know; lives until it has begun. */
struct worker_thread {
	struct worker	*worker;
	struct err	*(*enter)(struct worker *);
	void		(*leave)(struct worker *);
	pthread_mutex_t	 lock;
	pthread_cond_t	 begun;
	bool		 has_begun;
	struct err	*err;
};

/* There is no arena to give errors from; the detail goes to the log. */
static struct err no_thread = { .code = ERR_SYSTEM, .what = "cannot start a worker's thread" };

enum {
	WORKER_PAGE_TICK_MS = 1000,
	WORKER_PAGES_KEPT = 4	/* so few are left alone: an idle worker has no timer */
};

static bool
has_pages_to_give(const struct worker *w)
{
	return (w->pages.warm > WORKER_PAGES_KEPT || w->pages.big_free > 0);
}

static void
on_page_tick(void *arg)
{
	struct worker *w;

	CAST_OBJ(w, arg, WORKER_MAGIC);
	page_pool_tick(&w->pages);
	if (has_pages_to_give(w))
		timer_set(w->loop, &w->page_tick, loop_now_ms(w->loop) + WORKER_PAGE_TICK_MS);
}

static void
on_turn_end(void *arg)
{
	struct worker *w;

	CAST_OBJ(w, arg, WORKER_MAGIC);
	if (!timer_is_set(&w->page_tick) && has_pages_to_give(w))
		timer_set(w->loop, &w->page_tick, loop_now_ms(w->loop) + WORKER_PAGE_TICK_MS);
}

/* On the worker's thread. */
static void
on_stop(struct mail *mail)
{
	struct worker *w = container_of(mail, struct worker, stop);

	CHECK_OBJ(w, WORKER_MAGIC);
	loop_stop(w->loop);
}

/* For a check that fails on its thread. */
static void
dump(const void *obj, struct text *out)
{
	const struct worker *w = obj;

	text_printf(out, "  worker %u%s, %u connections, %u exchanges, %u pages in use\n", w->index,
	    w->draining ? ", draining" : "", (unsigned)w->connections, (unsigned)w->exchanges,
	    (unsigned)w->pages.in_use);
}

struct err *
worker_init(struct worker *w, unsigned index, size_t max_pages)
{
	struct err *err;

	memset(w, 0, sizeof *w);
	w->magic = WORKER_MAGIC;
	w->index = index;
	panic_register(WORKER_MAGIC, "worker", dump);
	err = loop_new(&w->loop);
	if (err != NULL)
		return (err_because(err, "worker %u has no event loop", index));
	page_pool_init(&w->pages, (uint32_t)max_pages);
	rnd_init(&w->rnd);
	timer_init(&w->page_tick, on_page_tick, w);
	mail_init(&w->stop, on_stop);
	turn_hook_init(&w->turn_end, on_turn_end, w);
	loop_on_turn_end(w->loop, &w->turn_end);
	return (NULL);
}

void
worker_fini(struct worker *w)
{
	CHECK_OBJ(w, WORKER_MAGIC);
	must(!w->running);
	timer_clear(&w->page_tick);
	turn_hook_remove(&w->turn_end);
	page_pool_fini(&w->pages);
	loop_free(&w->loop);
	w->magic = 0;
}

static void *
run(void *arg)
{
	struct worker_thread *t = arg;
	struct worker *w = t->worker;
	void (*leave)(struct worker *) = t->leave;
	struct err *err;

	panic_watch(PANIC_SLOT_WORKER, w);
	err = t->enter(w);
	pthread_mutex_lock(&t->lock);
	t->err = err;
	t->has_begun = true;
	pthread_cond_signal(&t->begun);
	pthread_mutex_unlock(&t->lock);
	/* From here on `t` may be gone. */
	if (err == NULL) {
		loop_run(w->loop);
		leave(w);
	}
	return (NULL);
}

/* Signals belong to the main thread: workers start with all of them blocked. */
static int
create_thread(struct worker_thread *t)
{
	sigset_t all, old;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&t->worker->thread, NULL, run, t);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return (rc);
}

struct err *
worker_start(struct worker *w, struct err *(*enter)(struct worker *),
    void (*leave)(struct worker *))
{
	struct worker_thread t = { .worker = w, .enter = enter, .leave = leave };
	char name[16];
	int rc;

	CHECK_OBJ(w, WORKER_MAGIC);
	pthread_mutex_init(&t.lock, NULL);
	pthread_cond_init(&t.begun, NULL);
	rc = create_thread(&t);
	if (rc == 0) {
		pthread_mutex_lock(&t.lock);
		while (!t.has_begun)
			pthread_cond_wait(&t.begun, &t.lock);
		pthread_mutex_unlock(&t.lock);
		if (t.err != NULL) {
			pthread_join(w->thread, NULL);
		} else {
			w->running = true;
			snprintf(name, sizeof name, "worker-%u", w->index);
			(void)pthread_setname_np(w->thread, name);
		}
	}
	pthread_cond_destroy(&t.begun);
	pthread_mutex_destroy(&t.lock);
	if (rc == 0)
		return (t.err);
	log_error("worker %u: thread: %s", w->index, strerror(rc));
	return (&no_thread);
}

void
worker_stop(struct worker *w)
{
	CHECK_OBJ(w, WORKER_MAGIC);
	if (!w->running || w->stopping)
		return;
	w->stopping = true;
	mailbox_post(w->loop, &w->stop);
}

void
worker_join(struct worker *w)
{
	if (!w->running)
		return;
	pthread_join(w->thread, NULL);
	w->running = false;
}
