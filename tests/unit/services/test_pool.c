/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>
#include <semaphore.h>

#include <event2/event.h>

#include "services/common/svc_pool.h"

struct fixture {
	struct event_base *base;
	struct svc_inbox *inbox;
	sem_t entered; /* posted by a job when a thread runs it */
	sem_t leave;   /* a job waits for it */
	unsigned done;
	unsigned expected;
	int starts;
	int stops;
	pthread_mutex_t lock;
	int fail_start; /* the start with this number fails; 0: none */
};

struct test_job {
	struct svc_job job;
	struct fixture *f;
	pthread_t thread;
	int waits;
};

static void
on_done(struct svc_job *job, void *arg)
{
	struct fixture *f = arg;
	struct test_job *t = (struct test_job *)job;

	/* back on the loop's thread, and run on another */
	assert_false(pthread_equal(t->thread, pthread_self()));
	if (++f->done == f->expected)
		event_base_loopbreak(f->base);
}

static void *
on_start(void *arg)
{
	struct fixture *f = arg;
	int n;

	pthread_mutex_lock(&f->lock);
	n = ++f->starts;
	pthread_mutex_unlock(&f->lock);
	return (n == f->fail_start ? NULL : f);
}

static void
on_stop(void *ctx)
{
	struct fixture *f = ctx;

	pthread_mutex_lock(&f->lock);
	f->stops++;
	pthread_mutex_unlock(&f->lock);
}

static void
run(struct svc_job *job, void *ctx)
{
	struct test_job *t = (struct test_job *)job;
	struct fixture *f = ctx;

	t->thread = pthread_self();
	if (t->waits) {
		sem_post(&f->entered);
		sem_wait(&f->leave);
	}
}

static int
set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->base = event_base_new();
	f->inbox = svc_inbox_new(f->base, on_done, f);
	sem_init(&f->entered, 0, 0);
	sem_init(&f->leave, 0, 0);
	pthread_mutex_init(&f->lock, NULL);
	*state = f;
	return (f->inbox == NULL);
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	svc_inbox_free(&f->inbox);
	event_base_free(f->base);
	pthread_mutex_destroy(&f->lock);
	sem_destroy(&f->entered);
	sem_destroy(&f->leave);
	free(f);
	return (0);
}

static struct svc_pool *
make_pool(struct fixture *f, unsigned threads, size_t queue_max)
{
	struct svc_pool_hooks hooks = {
		.magic = SVC_POOL_HOOKS_MAGIC, .start = on_start, .stop = on_stop, .arg = f
	};

	return (svc_pool_new(threads, queue_max, &hooks, f->inbox));
}

static void
job_init(struct test_job *t, struct fixture *f, int waits)
{
	*t = (struct test_job){
		.job = { .magic = SVC_JOB_MAGIC, .run = run }, .f = f, .waits = waits
	};
}

static void
test_each_job_comes_back_once(void **state)
{
	struct fixture *f = *state;
	struct svc_pool *pool = make_pool(f, 3, 1000);
	struct test_job jobs[500];

	assert_non_null(pool);
	assert_int_equal(f->starts, 3);
	f->expected = 500;
	for (size_t i = 0; i < 500; i++) {
		job_init(&jobs[i], f, 0);
		assert_true(svc_pool_push(pool, &jobs[i].job));
	}
	event_base_dispatch(f->base);
	assert_int_equal(f->done, 500);
	svc_pool_free(&pool);
	assert_null(pool);
	assert_int_equal(f->stops, 3);
}

static void
test_a_full_queue_refuses(void **state)
{
	struct fixture *f = *state;
	struct svc_pool *pool = make_pool(f, 1, 2);
	struct test_job jobs[4];

	for (size_t i = 0; i < 4; i++)
		job_init(&jobs[i], f, i == 0);
	assert_true(svc_pool_push(pool, &jobs[0].job));
	sem_wait(&f->entered); /* the thread holds it: the queue is empty */
	assert_true(svc_pool_push(pool, &jobs[1].job));
	assert_true(svc_pool_push(pool, &jobs[2].job));
	assert_false(svc_pool_push(pool, &jobs[3].job));
	sem_post(&f->leave);
	f->expected = 3;
	event_base_dispatch(f->base);
	assert_true(svc_pool_push(pool, &jobs[3].job));
	f->expected = 4;
	event_base_dispatch(f->base);
	svc_pool_free(&pool);
}

static void
test_freeing_ends_what_is_queued(void **state)
{
	struct fixture *f = *state;
	struct svc_pool *pool = make_pool(f, 1, 10);
	struct test_job jobs[5];

	for (size_t i = 0; i < 5; i++) {
		job_init(&jobs[i], f, 0);
		assert_true(svc_pool_push(pool, &jobs[i].job));
	}
	svc_pool_free(&pool);
	f->expected = 5;
	event_base_dispatch(f->base);
	assert_int_equal(f->done, 5);
}

static void
test_a_thread_that_cannot_start_fails_the_pool(void **state)
{
	struct fixture *f = *state;

	f->fail_start = 2;
	assert_null(make_pool(f, 3, 10));
	assert_int_equal(f->starts, 3);
	assert_int_equal(f->stops, 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_each_job_comes_back_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_full_queue_refuses, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_freeing_ends_what_is_queued, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_a_thread_that_cannot_start_fails_the_pool, set_up, tear_down),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
