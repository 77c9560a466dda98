/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/loop/loop.h"

#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "engine/loop/loop_int.h"
#include "engine/loop/turn.h"
#include "engine/mem/alloc.h"
#include "engine/mem/err.h"

/* How long the distance between the two clocks is taken for granted. */
#define WALL_FRESH_US	UINT64_C(1000000)

/* loop_new() has no arena to give errors from; the detail goes to the log. */
static struct err no_epoll = {.code = ERR_SYSTEM, .what = "cannot set up epoll"};
static struct err no_fds = {.code = ERR_SYSTEM, .what = "cannot make the event loop's descriptors"};

static pthread_once_t library_once = PTHREAD_ONCE_INIT;

static void
on_library_log(int severity, const char *msg)
{
	if (severity >= EVENT_LOG_ERR)
		log_error("libevent: %s", msg);
	else if (severity == EVENT_LOG_WARN)
		log_warn("libevent: %s", msg);
}

static void
library_init(void)
{
	event_set_log_callback(on_library_log);
	event_set_mem_functions(mem_try_malloc, mem_try_realloc, xfree);
}

void
loop_refresh_time(struct loop_impl *li)
{
	uint64_t now = clock_mono_us();

	li->stale = false;
	if (now > li->pub.now_us)
		li->pub.now_us = now;
	li->pub.now_ms = li->pub.now_us / 1000;
	if (unlikely(li->pub.now_us - li->wall_from_us >= WALL_FRESH_US)) {
		li->wall_from_us = li->pub.now_us;
		li->wall_offset_us = clock_wall_us() - li->pub.now_us;
	}
	li->pub.wall_us = li->pub.now_us + li->wall_offset_us;
}

/*
 * No lock, since nobody else touches the base. No changelist: a watch changes twice in its
 * life. No cached time and no timers of the library: the loop has its own of both.
 */
static struct event_base *
base_new(void)
{
	struct event_config *conf = event_config_new();
	struct event_base *base = NULL;

	if (conf == NULL)
		return (NULL);
	if (event_config_require_features(conf, EV_FEATURE_ET | EV_FEATURE_O1 |
	    EV_FEATURE_EARLY_CLOSE) == 0 &&
	    event_config_set_flag(conf, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_NO_CACHE_TIME |
	    EVENT_BASE_FLAG_IGNORE_ENV) == 0)
		base = event_base_new_with_config(conf);
	event_config_free(conf);
	if (base != NULL && strcmp(event_base_get_method(base), "epoll") != 0) {
		event_base_free(base);
		base = NULL;
	}
	return (base);
}

/* The timerfd needs no read: setting it anew clears it, and its watch is on the edge. */
static void
on_timerfd(void *arg, unsigned what)
{
	struct loop *l;

	(void)what;
	CAST_OBJ(l, arg, LOOP_MAGIC);
	loop_impl(l)->armed_ms = TIMER_NEVER;
}

static void
on_mail(void *arg, unsigned what)
{
	struct loop *l;

	(void)what;
	CAST_OBJ(l, arg, LOOP_MAGIC);
	mailbox_drain(l);
}

static bool
open_fds(struct loop_impl *li)
{
	int timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);

	li->mail_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (timer_fd < 0 || li->mail_fd < 0 ||
	    !io_add_wake(&li->pub, &li->timer_io, timer_fd, on_timerfd, &li->pub)) {
		if (timer_fd >= 0)
			(void)close(timer_fd);
		return (false);
	}
	return (io_add_wake(&li->pub, &li->mail_io, li->mail_fd, on_mail, &li->pub));
}

static void
close_fds(struct loop_impl *li)
{
	int timer_fd = li->timer_io.fd;

	io_del(&li->timer_io);
	io_del(&li->mail_io);
	if (timer_fd >= 0)
		(void)close(timer_fd);
	if (li->mail_fd >= 0)
		(void)close(li->mail_fd);
	li->mail_fd = -1;
}

struct err *
loop_new(struct loop **r)
{
	struct loop_impl *li;
	struct loop *l;

	(void)pthread_once(&library_once, library_init);
	li = mem_try_aligned(_Alignof(struct loop_impl), sizeof *li);
	if (li == NULL)
		return (err_memory());
	memset(li, 0, sizeof *li);
	li->pub.magic = LOOP_MAGIC;
	li->armed_ms = TIMER_NEVER;
	li->mail_fd = -1;
	io_init(&li->timer_io);
	io_init(&li->mail_io);
	turn_init(&li->pub);
	atomic_init(&li->mail, NULL);
	li->wall_offset_us = clock_wall_us() - clock_mono_us();
	loop_refresh_time(li);
	wheel_init(&li->wheel, li->pub.now_ms);
	l = &li->pub;
	li->base = base_new();
	if (li->base == NULL) {
		loop_free(&l);
		return (&no_epoll);
	}
	if (!open_fds(li)) {
		log_error("event loop: timerfd or eventfd: %s", strerror(errno));
		loop_free(&l);
		return (&no_fds);
	}
	*r = l;
	return (NULL);
}

void
loop_free(struct loop **l)
{
	struct loop *pub;
	struct loop_impl *li;

	TAKE_OBJ(pub, l, LOOP_MAGIC);
	li = loop_impl(pub);
	must(!li->turning);
	must(li->signals == NULL);
	must(list_is_empty(&li->pub.deferred));
	must(wheel_next(&li->wheel) == TIMER_NEVER);
	if (li->base != NULL) {
		close_fds(li);
		event_base_free(li->base);
	}
	li->pub.magic = 0;
	xfree(li);
}

/*
 * Sets the timerfd when the wheel wants to wake before it does. It is never set later: an
 * early wake is rare and costs less than a system call a turn.
 */
static void
arm(struct loop_impl *li, uint64_t at_ms)
{
	struct itimerspec when = {{0, 0}, {0, 0}};

	if (at_ms >= li->armed_ms)
		return;
	when.it_value.tv_sec = (time_t)(at_ms / 1000);
	when.it_value.tv_nsec = (long)(at_ms % 1000) * 1000000;
	must(timerfd_settime(li->timer_io.fd, TFD_TIMER_ABSTIME, &when, NULL) == 0);
	li->armed_ms = at_ms;
}

static void
wait_and_dispatch(struct loop_impl *li, bool may_block)
{
	uint64_t next = wheel_next(&li->wheel);
	int flags = EVLOOP_ONCE;

	if (!may_block || !list_is_empty(&li->pub.deferred) || next <= li->pub.now_ms)
		flags |= EVLOOP_NONBLOCK;
	else
		arm(li, next);
	li->stale = true;
	must(event_base_loop(li->base, flags) >= 0);
	if (li->stale)
		loop_refresh_time(li);
}

void
loop_turn(struct loop *l, bool may_block)
{
	struct loop_impl *li = loop_impl(l);
	uint64_t end;

	must(!li->turning);
	li->turning = true;
	li->pub.turns++;
	wait_and_dispatch(li, may_block && !li->stopping);
	if (!list_is_empty(&li->pub.deferred))
		turn_run_deferred(&li->pub);
	wheel_advance(&li->wheel, li->pub.now_ms);
	turn_run_hooks(&li->pub);
	end = clock_mono_us();
	li->pub.last_turn_us = end > li->pub.now_us ? (unsigned)(end - li->pub.now_us) : 0;
	li->turning = false;
}

void
loop_run(struct loop *l)
{
	struct loop_impl *li = loop_impl(l);

	while (!li->stopping)
		loop_turn(l, true);
	li->stopping = false;
}

void
loop_stop(struct loop *l)
{
	loop_impl(l)->stopping = true;
}

bool
loop_is_stopping(struct loop *l)
{
	return (loop_impl(l)->stopping);
}

const char *
loop_library(void)
{
	static char text[64];

	(void)snprintf(text, sizeof text, "libevent %s", event_get_version());
	return (text);
}
