/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/base/cc.h"
#include "engine/base/clock.h"
#include "engine/loop/io.h"
#include "engine/loop/loop.h"
#include "engine/loop/mailbox.h"
#include "engine/loop/sig.h"
#include "engine/loop/timer.h"
#include "engine/mem/alloc.h"
#include "engine/mem/err.h"

/* What only the engine's loop has: real waits, real sockets, threads, signals, memory. */

struct seen {
	unsigned	n;
	unsigned	what;	/* of the last */
};

static void
on_io(void *arg, unsigned what)
{
	struct seen *s = arg;

	s->n++;
	s->what = what;
}

static struct loop *
make_loop(void)
{
	struct loop *l = NULL;

	assert_null(loop_new(&l));
	assert_non_null(l);
	return (l);
}

/* ---- memory ---- */

static void
test_watching_again_allocates_nothing(void **state)
{
	struct loop *l = make_loop();
	struct io io[8];
	int sv[8][2];
	uint64_t before;
	struct seen seen = {0, 0};

	(void)state;
	for (int round = 0; round < 50; round++) {
		if (round == 2)
			before = mem_alloc_count();
		for (int i = 0; i < 8; i++) {
			assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
			    sv[i]), 0);
			assert_true(io_add(l, &io[i], sv[i][0], on_io, &seen));
		}
		loop_turn(l, true);
		for (int i = 0; i < 8; i++) {
			io_del(&io[i]);
			assert_int_equal(close(sv[i][0]), 0);
			assert_int_equal(close(sv[i][1]), 0);
		}
		if (round >= 2)
			assert_true(mem_alloc_count() == before);
	}
	assert_int_equal(seen.n, 400);
	loop_free(&l);
}

static void
test_failed_allocations_are_refusals(void **state)
{
	bool failed = true;

	(void)state;
	for (uint64_t n = 1; failed; n++) {
		struct loop *l = NULL;
		struct err *err;
		struct seen seen = {0, 0};
		struct io io;
		int sv[2];

		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv), 0);
		mem_fail_at(n);
		err = loop_new(&l);
		failed = mem_fail_hit() != 0;
		if (err == NULL) {
			/* Some of the library's allocations can be done without. */
			failed = !io_add(l, &io, sv[0], on_io, &seen) || failed;
			mem_fail_off();
			if (!failed)
				io_del(&io);
			else if (io_is_added(&io))
				io_del(&io);
			loop_free(&l);
		}
		mem_fail_off();
		assert_true(failed || err == NULL);
		assert_int_equal(close(sv[0]), 0);
		assert_int_equal(close(sv[1]), 0);
		assert_true(n < 200);
	}
}

/* ---- waits ---- */

static void
on_timer(void *arg)
{
	unsigned *n = arg;

	(*n)++;
}

/* One blocking turn sleeps to the deadline: not a turn more than the wheel's own visits. */
static void
test_blocking_turn_wakes_for_a_timer(void **state)
{
	struct loop *l = make_loop();
	struct timer t;
	unsigned fired = 0;

	(void)state;
	timer_init(&t, on_timer, &fired);
	for (uint64_t ms = 1; ms <= 30; ms += 7) {
		uint64_t due = loop_now_ms(l) + ms;

		fired = 0;
		timer_set(l, &t, due);
		loop_turn(l, true);
		assert_int_equal(fired, 1);
		assert_true(clock_mono_us() >= due * 1000);
	}
	loop_free(&l);
}

static void
test_wake_for_a_higher_level(void **state)
{
	struct loop *l = make_loop();
	struct timer t;
	unsigned fired = 0;
	unsigned turns = 0;

	(void)state;
	timer_init(&t, on_timer, &fired);
	timer_set(l, &t, loop_now_ms(l) + 150);
	while (fired == 0) {
		loop_turn(l, true);
		turns++;
	}
	assert_true(turns <= 3);
	loop_free(&l);
}

struct idle_thread {
	struct loop	*loop;
	struct mail	 stop;
	uint64_t	 turns;
};

static void *
run_loop(void *arg)
{
	struct idle_thread *it = arg;

	loop_run(it->loop);
	it->turns = loop_turns(it->loop);
	return (NULL);
}

static void
on_stop(struct mail *m)
{
	loop_stop(container_of(m, struct idle_thread, stop)->loop);
}

/* A loop with an idle socket and no timer is woken by nothing but the mail. */
static void
test_idle_loop_does_not_wake(void **state)
{
	struct idle_thread it;
	struct timespec ts = {0, 50000000};
	struct seen seen = {0, 0};
	struct io io;
	pthread_t thread;
	int sv[2];

	(void)state;
	memset(&it, 0, sizeof it);
	it.loop = make_loop();
	mail_init(&it.stop, on_stop);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv), 0);
	assert_true(io_add(it.loop, &io, sv[0], on_io, &seen));
	assert_int_equal(pthread_create(&thread, NULL, run_loop, &it), 0);
	/* The absence of events has no event to wait for. */
	assert_int_equal(clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL), 0);
	mailbox_post(it.loop, &it.stop);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_true(it.turns <= 2);	/* the new watch's report, the mail */
	io_del(&io);
	loop_free(&it.loop);
	assert_int_equal(close(sv[0]), 0);
	assert_int_equal(close(sv[1]), 0);
}

/* ---- sockets ---- */

static void
tcp_pair(int sv[2])
{
	struct sockaddr_in sin;
	socklen_t len = sizeof sin;
	int ls = socket(AF_INET, SOCK_STREAM, 0);

	memset(&sin, 0, sizeof sin);
	sin.sin_family = AF_INET;
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(ls, (struct sockaddr *)&sin, sizeof sin), 0);
	assert_int_equal(listen(ls, 1), 0);
	assert_int_equal(getsockname(ls, (struct sockaddr *)&sin, &len), 0);
	sv[1] = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(sv[1], (struct sockaddr *)&sin, sizeof sin), 0);
	sv[0] = accept4(ls, NULL, NULL, SOCK_NONBLOCK);
	assert_true(sv[0] >= 0);
	assert_int_equal(close(ls), 0);
}

static void
close_with_reset(int fd)
{
	struct linger l = {.l_onoff = 1, .l_linger = 0};

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof l), 0);
	assert_int_equal(close(fd), 0);
}

static void
test_tcp_data_and_fin(void **state)
{
	struct loop *l = make_loop();
	struct seen seen = {0, 0};
	struct io io;
	char buf[16];
	int sv[2];

	(void)state;
	tcp_pair(sv);
	assert_true(io_add(l, &io, sv[0], on_io, &seen));
	loop_turn(l, true);
	assert_int_equal(seen.what, IO_WRITE);
	assert_int_equal(write(sv[1], "hello", 5), 5);
	assert_int_equal(close(sv[1]), 0);
	while ((seen.what & IO_CLOSED) == 0)
		loop_turn(l, true);
	seen.n = 0;
	assert_int_equal(read(sv[0], buf, sizeof buf), 5);	/* short: not the end */
	loop_turn(l, false);
	assert_int_equal(seen.n, 0);				/* no second event */
	assert_int_equal(read(sv[0], buf, sizeof buf), 0);
	io_del(&io);
	assert_int_equal(close(sv[0]), 0);
	loop_free(&l);
}

/* The documented limit: a reset is folded into readiness, and shows at the next read. */
static void
test_tcp_reset_is_readiness(void **state)
{
	struct loop *l = make_loop();
	struct seen seen = {0, 0};
	struct io io;
	char buf[16];
	int sv[2];

	(void)state;
	tcp_pair(sv);
	assert_true(io_add(l, &io, sv[0], on_io, &seen));
	loop_turn(l, true);
	close_with_reset(sv[1]);
	loop_turn(l, true);
	assert_int_equal(seen.what, IO_READ | IO_WRITE);
	assert_int_equal(read(sv[0], buf, sizeof buf), -1);
	assert_int_equal(errno, ECONNRESET);
	io_del(&io);
	assert_int_equal(close(sv[0]), 0);
	loop_free(&l);
}

/* ---- mail from threads ---- */

enum {
	N_POSTERS	= 4,
	N_MAILS		= 5000,
};

struct letter {
	struct mail	 mail;
	unsigned	 poster;
	unsigned	 number;
	unsigned	*payload;	/* written before the post, without a lock */
};

struct poster {
	struct loop	*loop;
	struct letter	*letters;
	unsigned	 payloads[N_MAILS];
};

static unsigned next_number[N_POSTERS];
static unsigned n_letters;
static struct loop *mail_loop;

static void
on_letter(struct mail *m)
{
	struct letter *le = container_of(m, struct letter, mail);

	assert_int_equal(le->number, next_number[le->poster]);
	assert_int_equal(*le->payload, le->number * 3);
	next_number[le->poster]++;
	if (++n_letters == N_POSTERS * N_MAILS)
		loop_stop(mail_loop);
}

static void *
post_all(void *arg)
{
	struct poster *p = arg;

	for (unsigned i = 0; i < N_MAILS; i++) {
		p->payloads[i] = i * 3;
		mailbox_post(p->loop, &p->letters[i].mail);
	}
	return (NULL);
}

static void
test_mail_from_threads(void **state)
{
	static struct letter letters[N_POSTERS][N_MAILS];
	static struct poster posters[N_POSTERS];
	pthread_t threads[N_POSTERS];

	(void)state;
	mail_loop = make_loop();
	for (unsigned p = 0; p < N_POSTERS; p++) {
		posters[p].loop = mail_loop;
		posters[p].letters = letters[p];
		for (unsigned i = 0; i < N_MAILS; i++) {
			mail_init(&letters[p][i].mail, on_letter);
			letters[p][i].poster = p;
			letters[p][i].number = i;
			letters[p][i].payload = &posters[p].payloads[i];
		}
		assert_int_equal(pthread_create(&threads[p], NULL, post_all, &posters[p]), 0);
	}
	loop_run(mail_loop);
	for (unsigned p = 0; p < N_POSTERS; p++) {
		assert_int_equal(pthread_join(threads[p], NULL), 0);
		assert_int_equal(next_number[p], N_MAILS);
	}
	loop_free(&mail_loop);
}

/* Two loops send one mail to and fro: every wake must arrive. */
struct ball {
	struct mail	 mail;
	struct loop	*loops[2];
	unsigned	 hops;
};

static void
on_ball(struct mail *m)
{
	struct ball *b = container_of(m, struct ball, mail);

	if (b->hops >= 2000) {
		loop_stop(b->loops[b->hops & 1]);
		if (b->hops++ == 2000)
			mailbox_post(b->loops[b->hops & 1], m);
		return;
	}
	b->hops++;
	mailbox_post(b->loops[b->hops & 1], m);
}

static void *
run_only(void *arg)
{
	loop_run(arg);
	return (NULL);
}

static void
test_mail_ping_pong(void **state)
{
	struct ball ball;
	pthread_t thread;

	(void)state;
	memset(&ball, 0, sizeof ball);
	mail_init(&ball.mail, on_ball);
	ball.loops[0] = make_loop();
	ball.loops[1] = make_loop();
	assert_int_equal(pthread_create(&thread, NULL, run_only, ball.loops[1]), 0);
	mailbox_post(ball.loops[0], &ball.mail);
	loop_run(ball.loops[0]);
	assert_int_equal(pthread_join(thread, NULL), 0);
	loop_free(&ball.loops[0]);
	loop_free(&ball.loops[1]);
}

/* ---- signals ---- */

struct signal_seen {
	struct loop	*loop;
	unsigned	 n;
	int		 last;
	bool		 delete_on_call;
};

static void
on_signal(void *arg, int signo)
{
	struct signal_seen *s = arg;

	s->n++;
	s->last = signo;
	if (s->delete_on_call)
		sig_del(s->loop, signo);
}

static void
test_signals(void **state)
{
	struct signal_seen s = {.loop = make_loop()};
	sigset_t set;

	(void)state;
	assert_null(sig_add(s.loop, SIGUSR1, on_signal, &s));
	assert_null(sig_add(s.loop, SIGHUP, on_signal, &s));
	assert_non_null(sig_add(s.loop, SIGHUP, on_signal, &s));	/* taken */
	assert_non_null(sig_add(s.loop, SIGKILL, on_signal, &s));
	assert_non_null(sig_add(s.loop, 0, on_signal, &s));
	assert_int_equal(kill(getpid(), SIGHUP), 0);
	loop_turn(s.loop, true);
	assert_int_equal(s.n, 1);
	assert_int_equal(s.last, SIGHUP);
	assert_int_equal(kill(getpid(), SIGUSR1), 0);
	loop_turn(s.loop, true);
	assert_int_equal(s.last, SIGUSR1);
	s.delete_on_call = true;
	assert_int_equal(kill(getpid(), SIGUSR1), 0);
	assert_int_equal(kill(getpid(), SIGHUP), 0);
	while (s.n < 4)
		loop_turn(s.loop, true);
	sig_del(s.loop, SIGUSR1);
	sig_del(s.loop, SIGHUP);
	assert_int_equal(pthread_sigmask(SIG_BLOCK, NULL, &set), 0);
	assert_int_equal(sigismember(&set, SIGHUP), 0);	/* as it was found */
	loop_free(&s.loop);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_watching_again_allocates_nothing),
		cmocka_unit_test(test_failed_allocations_are_refusals),
		cmocka_unit_test(test_blocking_turn_wakes_for_a_timer),
		cmocka_unit_test(test_wake_for_a_higher_level),
		cmocka_unit_test(test_idle_loop_does_not_wake),
		cmocka_unit_test(test_tcp_data_and_fin),
		cmocka_unit_test(test_tcp_reset_is_readiness),
		cmocka_unit_test(test_mail_from_threads),
		cmocka_unit_test(test_mail_ping_pong),
		cmocka_unit_test(test_signals),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
