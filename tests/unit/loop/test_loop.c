/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/cc.h"
#include "engine/base/check.h"
#include "engine/base/clock.h"
#include "engine/loop/io.h"
#include "engine/loop/loop.h"
#include "engine/loop/mailbox.h"
#include "engine/loop/timer.h"
#include "tests/unit/loop/twin.h"

/* What happened, a letter a callback. */
static char trace[128];
static size_t trace_len;
static struct loop *the_loop;

static void
note(char c)
{
	must(trace_len < sizeof trace - 1);
	trace[trace_len++] = c;
	trace[trace_len] = '\0';
}

static void
forget(void)
{
	trace_len = 0;
	trace[0] = '\0';
}

static int
setup(void **state)
{
	(void)state;
	twin_begin();
	forget();
	return (loop_new(&the_loop) == NULL ? 0 : -1);
}

static int
teardown(void **state)
{
	(void)state;
	loop_free(&the_loop);
	twin_end();
	return (0);
}

/* A subject that has one of everything and notes its letter. */
struct subject {
	char			 name;
	struct deferred		 deferred;
	struct timer		 timer;
	struct turn_hook	 hook;
	struct mail		 mail;
	struct io		 io;
	int			 fd;
	unsigned		 what;		/* of the last readiness */
	uint64_t		 fired_ms;
	void			(*then)(struct subject *);
	struct subject		*other;
};

static void
happen(struct subject *s)
{
	note(s->name);
	if (s->then != NULL)
		s->then(s);
}

static void
on_deferred(void *arg)
{
	happen(arg);
}

static void
on_timer(void *arg)
{
	struct subject *s = arg;

	s->fired_ms = loop_now_ms(the_loop);
	happen(s);
}

static void
on_mail(struct mail *m)
{
	happen(container_of(m, struct subject, mail));
}

static void
on_io(void *arg, unsigned what)
{
	struct subject *s = arg;

	s->what = what;
	happen(s);
}

static void
subject_init(struct subject *s, char name)
{
	memset(s, 0, sizeof *s);
	s->name = name;
	deferred_init(&s->deferred, on_deferred, s);
	timer_init(&s->timer, on_timer, s);
	turn_hook_init(&s->hook, on_deferred, s);
	mail_init(&s->mail, on_mail);
	io_init(&s->io);
	s->fd = -1;
}

/* A heap object, so that the address sanitizer sees a touch after a callback freed it. */
static struct subject *
subject_new(char name)
{
	struct subject *s = malloc(sizeof *s);

	assert_non_null(s);
	subject_init(s, name);
	return (s);
}

static void
watch(struct subject *s)
{
	s->fd = twin_fd_new();
	assert_true(io_add(the_loop, &s->io, s->fd, on_io, s));
}

static void
unwatch(struct subject *s)
{
	io_del(&s->io);
	twin_fd_close(s->fd);
	s->fd = -1;
}

/* ---- deferred calls ---- */

static void
defer_again(struct subject *s)
{
	loop_defer(the_loop, &s->deferred);
}

static void
defer_other(struct subject *s)
{
	loop_defer(the_loop, &s->other->deferred);
}

static void
cancel_other(struct subject *s)
{
	deferred_cancel(&s->other->deferred);
}

static void
test_deferred_runs_once_in_order(void **state)
{
	struct subject a, b;

	(void)state;
	subject_init(&a, 'a');
	subject_init(&b, 'b');
	assert_false(deferred_is_queued(&a.deferred));
	loop_defer(the_loop, &b.deferred);
	loop_defer(the_loop, &a.deferred);
	loop_defer(the_loop, &b.deferred);
	assert_true(deferred_is_queued(&b.deferred));
	assert_string_equal(trace, "");
	loop_turn(the_loop, true);	/* must not wait */
	assert_string_equal(trace, "ba");
	assert_false(deferred_is_queued(&b.deferred));
	loop_turn(the_loop, false);
	assert_string_equal(trace, "ba");
}

static void
test_deferred_from_deferred_waits_a_turn(void **state)
{
	struct subject a, b;

	(void)state;
	subject_init(&a, 'a');
	subject_init(&b, 'b');
	a.then = defer_other;
	a.other = &b;
	loop_defer(the_loop, &a.deferred);
	loop_turn(the_loop, true);
	assert_string_equal(trace, "a");
	loop_turn(the_loop, true);
	assert_string_equal(trace, "ab");
	a.then = defer_again;
	loop_defer(the_loop, &a.deferred);
	loop_turn(the_loop, true);
	loop_turn(the_loop, true);
	assert_string_equal(trace, "abaa");
	deferred_cancel(&a.deferred);
	loop_turn(the_loop, false);
	assert_string_equal(trace, "abaa");
}

static void
test_deferred_cancel_in_the_same_batch(void **state)
{
	struct subject a, b, c;

	(void)state;
	subject_init(&a, 'a');
	subject_init(&b, 'b');
	subject_init(&c, 'c');
	a.then = cancel_other;
	a.other = &b;
	loop_defer(the_loop, &a.deferred);
	loop_defer(the_loop, &b.deferred);
	loop_defer(the_loop, &c.deferred);
	loop_turn(the_loop, true);
	assert_string_equal(trace, "ac");
	deferred_cancel(&b.deferred);
}

static void
free_self(struct subject *s)
{
	free(s);
}

static void
test_deferred_may_free_its_owner(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		struct subject *s = subject_new('x');

		s->then = free_self;
		loop_defer(the_loop, &s->deferred);
	}
	loop_turn(the_loop, true);
	assert_string_equal(trace, "xxx");
}

/* ---- order within a turn ---- */

static void
set_past(struct subject *s)
{
	timer_set(the_loop, &s->other->timer, loop_now_ms(the_loop));
	loop_defer(the_loop, &s->other->deferred);
}

static void
test_order_of_a_turn(void **state)
{
	struct subject io, hook, t;

	(void)state;
	subject_init(&io, 'i');
	subject_init(&hook, 'h');
	subject_init(&t, 't');
	loop_on_turn_end(the_loop, &hook.hook);
	watch(&io);
	loop_turn(the_loop, false);	/* a new watch tells that there is room */
	assert_string_equal(trace, "ih");
	forget();
	io.then = set_past;
	io.other = &t;
	twin_fd_send(io.fd);
	loop_turn(the_loop, true);
	assert_string_equal(trace, "itth");	/* io, deferred, timer, hook */
	turn_hook_remove(&hook.hook);
	loop_turn(the_loop, false);
	assert_string_equal(trace, "itth");
	unwatch(&io);
}

static void
remove_hook(struct subject *s)
{
	turn_hook_remove(&s->hook);
	free(s);
}

static void
test_hook_removes_itself(void **state)
{
	struct subject *a = subject_new('a');
	struct subject b;

	(void)state;
	subject_init(&b, 'b');
	a->then = remove_hook;
	loop_on_turn_end(the_loop, &a->hook);
	loop_on_turn_end(the_loop, &b.hook);
	loop_turn(the_loop, false);
	loop_turn(the_loop, false);
	assert_string_equal(trace, "abb");
	turn_hook_remove(&b.hook);
}

/* ---- run and stop ---- */

static void
stop(struct subject *s)
{
	(void)s;
	loop_stop(the_loop);
}

static void
test_run_until_stop(void **state)
{
	struct subject a, b;

	(void)state;
	subject_init(&a, 'a');
	subject_init(&b, 'b');
	a.then = stop;
	loop_defer(the_loop, &a.deferred);
	loop_defer(the_loop, &b.deferred);
	loop_run(the_loop);
	assert_string_equal(trace, "ab");	/* the turn is finished */
	loop_stop(the_loop);
	loop_run(the_loop);			/* no turn */
	loop_defer(the_loop, &a.deferred);
	loop_run(the_loop);			/* and it can run again */
	assert_string_equal(trace, "aba");
}

/* ---- timers ---- */

static void
test_timer_never_early(void **state)
{
	struct subject a;
	uint64_t due;

	(void)state;
	subject_init(&a, 'a');
	for (uint64_t ms = 1; ms < 20; ms += 3) {
		due = loop_now_ms(the_loop) + ms;
		timer_set(the_loop, &a.timer, due);
		assert_true(timer_is_set(&a.timer));
		forget();
		twin_wait_ms(the_loop, ms + 2);
		assert_string_equal(trace, "a");
		assert_true(a.fired_ms >= due);
		assert_false(timer_is_set(&a.timer));
	}
}

static void
test_timer_past_deadline(void **state)
{
	struct subject a;

	(void)state;
	subject_init(&a, 'a');
	timer_set(the_loop, &a.timer, 0);
	assert_string_equal(trace, "");
	loop_turn(the_loop, true);	/* does not wait */
	assert_string_equal(trace, "a");
}

static void
set_again_now(struct subject *s)
{
	timer_set(the_loop, &s->timer, loop_now_ms(the_loop));
}

static void
test_timer_set_again_from_itself_waits_a_turn(void **state)
{
	struct subject a;

	(void)state;
	subject_init(&a, 'a');
	a.then = set_again_now;
	timer_set(the_loop, &a.timer, loop_now_ms(the_loop));
	for (size_t i = 1; i < 4; i++) {
		loop_turn(the_loop, true);
		assert_int_equal(trace_len, i);
	}
	timer_clear(&a.timer);
	loop_turn(the_loop, false);
	assert_int_equal(trace_len, 3);
}

static void
test_timer_moves(void **state)
{
	struct subject a, b;
	uint64_t now;

	(void)state;
	subject_init(&a, 'a');
	subject_init(&b, 'b');
	now = loop_now_ms(the_loop);
	timer_set(the_loop, &a.timer, now + 5);
	timer_set(the_loop, &a.timer, now + 40);	/* later: only stored */
	timer_set(the_loop, &b.timer, now + 5000);
	timer_set(the_loop, &b.timer, now + 20);	/* earlier: moved */
	twin_wait_ms(the_loop, 22);
	assert_string_equal(trace, "b");
	assert_true(timer_is_set(&a.timer));
	twin_wait_ms(the_loop, 22);
	assert_string_equal(trace, "ba");
	assert_true(a.fired_ms >= now + 40);
}

static void
test_timer_never_unsets(void **state)
{
	struct subject a;

	(void)state;
	subject_init(&a, 'a');
	timer_set(the_loop, &a.timer, TIMER_NEVER);
	assert_false(timer_is_set(&a.timer));
	timer_set(the_loop, &a.timer, loop_now_ms(the_loop) + 3);
	timer_set(the_loop, &a.timer, TIMER_NEVER);
	assert_false(timer_is_set(&a.timer));
	twin_wait_ms(the_loop, 6);
	assert_string_equal(trace, "");
	timer_set(the_loop, &a.timer, loop_now_ms(the_loop) + 30);
	timer_set(the_loop, &a.timer, TIMER_NEVER);
	timer_set(the_loop, &a.timer, loop_now_ms(the_loop) + 2);
	twin_wait_ms(the_loop, 4);
	assert_string_equal(trace, "a");
	timer_clear(&a.timer);
}

static void
clear_other(struct subject *s)
{
	timer_clear(&s->other->timer);
}

static void
test_timer_clear_in_the_same_batch(void **state)
{
	struct subject a, b;
	uint64_t now;

	(void)state;
	subject_init(&a, 'a');
	subject_init(&b, 'b');
	now = loop_now_ms(the_loop);
	a.then = clear_other;
	a.other = &b;
	timer_set(the_loop, &a.timer, now + 2);
	timer_set(the_loop, &b.timer, now + 3);
	twin_stall_ms(5);
	loop_turn(the_loop, true);
	assert_string_equal(trace, "a");
	assert_false(timer_is_set(&b.timer));
}

static void
test_timers_fire_by_deadline_after_a_stall(void **state)
{
	static const uint64_t after[] = {7, 1, 30, 4, 29, 12};
	struct subject s[array_len(after)];
	uint64_t now = loop_now_ms(the_loop);

	(void)state;
	for (size_t i = 0; i < array_len(after); i++) {
		subject_init(&s[i], (char)('a' + i));
		timer_set(the_loop, &s[i].timer, now + after[i]);
	}
	/* Moved later: the wheel still has it at 1 ms, but it must fire after 'e' and 'c'. */
	timer_set(the_loop, &s[1].timer, now + 31);
	twin_stall_ms(35);
	loop_turn(the_loop, true);
	assert_string_equal(trace, "dafecb");
}

static void
timer_free_self(struct subject *s)
{
	free(s);
}

static void
test_timer_may_free_its_owner(void **state)
{
	uint64_t now = loop_now_ms(the_loop);

	(void)state;
	for (int i = 0; i < 4; i++) {
		struct subject *s = subject_new('x');

		s->then = timer_free_self;
		timer_set(the_loop, &s->timer, now + 1 + (uint64_t)(i / 2));
	}
	twin_wait_ms(the_loop, 5);
	assert_string_equal(trace, "xxxx");
}

/* ---- mailbox ---- */

static void
test_mail_in_order(void **state)
{
	struct subject s[5];

	(void)state;
	for (size_t i = 0; i < array_len(s); i++) {
		subject_init(&s[i], (char)('a' + i));
		mailbox_post(the_loop, &s[i].mail);
	}
	assert_string_equal(trace, "");
	loop_turn(the_loop, true);
	assert_string_equal(trace, "abcde");
	mailbox_post(the_loop, &s[2].mail);
	loop_turn(the_loop, true);
	assert_string_equal(trace, "abcdec");
}

static void
post_again(struct subject *s)
{
	mailbox_post(the_loop, &s->mail);
}

static void
test_mail_from_mail_waits_a_turn(void **state)
{
	struct subject a;

	(void)state;
	subject_init(&a, 'a');
	a.then = post_again;
	mailbox_post(the_loop, &a.mail);
	loop_turn(the_loop, true);
	assert_string_equal(trace, "a");
	loop_turn(the_loop, true);
	assert_string_equal(trace, "aa");
	a.then = NULL;
	mailbox_drain(the_loop);
	assert_string_equal(trace, "aaa");
	loop_turn(the_loop, false);
	assert_string_equal(trace, "aaa");
}

/* ---- io ---- */

static void
test_io_edge_is_told_once(void **state)
{
	struct subject a;

	(void)state;
	subject_init(&a, 'a');
	watch(&a);
	loop_turn(the_loop, false);
	assert_int_equal(a.what, IO_WRITE);
	loop_turn(the_loop, false);
	assert_string_equal(trace, "a");
	twin_fd_send(a.fd);
	loop_turn(the_loop, true);
	assert_int_equal(a.what, IO_READ | IO_WRITE);
	loop_turn(the_loop, false);	/* unread, but no new edge */
	assert_string_equal(trace, "aa");
	twin_fd_send(a.fd);
	loop_turn(the_loop, true);
	assert_string_equal(trace, "aaa");
	unwatch(&a);
}

static void
test_io_data_and_fin_in_one_event(void **state)
{
	struct subject a;

	(void)state;
	subject_init(&a, 'a');
	watch(&a);
	loop_turn(the_loop, false);
	forget();
	twin_fd_send(a.fd);
	twin_fd_finish(a.fd);
	loop_turn(the_loop, true);
	assert_int_equal(a.what, IO_READ | IO_WRITE | IO_CLOSED);
	/* Whoever stops at a short read now waits for ever: there is no second event. */
	loop_turn(the_loop, false);
	loop_turn(the_loop, false);
	assert_string_equal(trace, "a");
	unwatch(&a);
}

static void
test_io_new_watch_reports_what_is_there(void **state)
{
	struct subject a;

	(void)state;
	subject_init(&a, 'a');
	a.fd = twin_fd_new();
	twin_fd_send(a.fd);
	twin_fd_finish(a.fd);
	assert_true(io_add(the_loop, &a.io, a.fd, on_io, &a));
	assert_true(io_is_added(&a.io));
	loop_turn(the_loop, true);
	assert_int_equal(a.what, IO_READ | IO_WRITE | IO_CLOSED);
	io_del(&a.io);
	assert_false(io_is_added(&a.io));
	io_del(&a.io);	/* harmless */
	twin_fd_close(a.fd);
}

static void
test_io_level_is_told_until_taken(void **state)
{
	struct subject a;

	(void)state;
	subject_init(&a, 'a');
	a.fd = twin_fd_new();
	assert_true(io_add_listener(the_loop, &a.io, a.fd, on_io, &a));
	loop_turn(the_loop, false);
	assert_string_equal(trace, "");	/* room is not what it watches */
	twin_fd_send(a.fd);
	loop_turn(the_loop, true);
	loop_turn(the_loop, true);
	assert_string_equal(trace, "aa");
	assert_int_equal(a.what, IO_READ);
	twin_fd_take(a.fd);
	loop_turn(the_loop, false);
	assert_string_equal(trace, "aa");
	unwatch(&a);
}

static void
close_and_free(struct subject *s)
{
	unwatch(s);
	free(s);
}

static void
test_io_may_free_its_owner(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		struct subject *s = subject_new('x');

		s->then = close_and_free;
		watch(s);
	}
	loop_turn(the_loop, true);
	assert_string_equal(trace, "xxx");
}

static struct subject *winner;

static void
kill_other(struct subject *s)
{
	if (s->other == NULL)
		return;
	winner = s;
	close_and_free(s->other);
	s->other = NULL;
}

/* Two descriptors ready in one batch, each wants to end the other: one of them must win. */
static void
test_io_deleted_in_the_same_batch(void **state)
{
	struct subject *a = subject_new('x');
	struct subject *b = subject_new('x');

	(void)state;
	watch(a);
	watch(b);
	loop_turn(the_loop, false);
	forget();
	a->then = b->then = kill_other;
	a->other = b;
	b->other = a;
	twin_fd_send(a->fd);
	twin_fd_send(b->fd);
	loop_turn(the_loop, true);
	assert_string_equal(trace, "x");
	loop_turn(the_loop, false);
	assert_string_equal(trace, "x");
	close_and_free(winner);
}

static struct subject fresh;

static void
replace_other(struct subject *s)
{
	int gone;

	if (s->other == NULL)
		return;
	winner = s;
	gone = s->other->fd;
	close_and_free(s->other);
	s->other = NULL;
	fresh.fd = twin_fd_new();
	assert_int_equal(fresh.fd, gone);
	assert_true(io_add(the_loop, &fresh.io, fresh.fd, on_io, &fresh));
}

/* The readiness that was fetched for a closed descriptor must not reach its number's heir. */
static void
test_io_number_reused_in_the_same_batch(void **state)
{
	struct subject *a = subject_new('x');
	struct subject *b = subject_new('x');

	(void)state;
	subject_init(&fresh, 'f');
	watch(a);
	watch(b);
	loop_turn(the_loop, false);
	forget();
	a->then = b->then = replace_other;
	a->other = b;
	b->other = a;
	twin_fd_send(a->fd);
	twin_fd_send(b->fd);
	loop_turn(the_loop, true);
	assert_string_equal(trace, "x");
	loop_turn(the_loop, false);
	assert_string_equal(trace, "xf");
	assert_int_equal(fresh.what, IO_WRITE);
	unwatch(&fresh);
	close_and_free(winner);
}

/* ---- time ---- */

static void
test_time_stands_still_within_a_turn(void **state)
{
	uint64_t ms = loop_now_ms(the_loop);
	uint64_t us = loop_now_us(the_loop);
	uint64_t turns = loop_turns(the_loop);

	(void)state;
	twin_stall_ms(3);
	assert_true(loop_now_ms(the_loop) == ms);
	assert_true(loop_now_us(the_loop) == us);
	loop_turn(the_loop, false);
	assert_true(loop_now_us(the_loop) >= us + 3000);
	assert_true(loop_now_ms(the_loop) == loop_now_us(the_loop) / 1000);
	assert_true(loop_turns(the_loop) == turns + 1);
}

static void
test_wall_clock_follows(void **state)
{
	uint64_t wall = loop_wall_us(the_loop);
	uint64_t real = clock_wall_us();

	(void)state;
	assert_true(wall <= real + 1000 && wall + 2000000 > real);
	twin_stall_ms(5);
	loop_turn(the_loop, false);
	assert_true(loop_wall_us(the_loop) >= wall + 4000);
}

#define T(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_deferred_runs_once_in_order),
		T(test_deferred_from_deferred_waits_a_turn),
		T(test_deferred_cancel_in_the_same_batch),
		T(test_deferred_may_free_its_owner),
		T(test_order_of_a_turn),
		T(test_hook_removes_itself),
		T(test_run_until_stop),
		T(test_timer_never_early),
		T(test_timer_past_deadline),
		T(test_timer_set_again_from_itself_waits_a_turn),
		T(test_timer_moves),
		T(test_timer_never_unsets),
		T(test_timer_clear_in_the_same_batch),
		T(test_timers_fire_by_deadline_after_a_stall),
		T(test_timer_may_free_its_owner),
		T(test_mail_in_order),
		T(test_mail_from_mail_waits_a_turn),
		T(test_io_edge_is_told_once),
		T(test_io_data_and_fin_in_one_event),
		T(test_io_new_watch_reports_what_is_there),
		T(test_io_level_is_told_until_taken),
		T(test_io_may_free_its_owner),
		T(test_io_deleted_in_the_same_batch),
		T(test_io_number_reused_in_the_same_batch),
		T(test_time_stands_still_within_a_turn),
		T(test_wall_clock_follows),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
