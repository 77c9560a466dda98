/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "tests/sim/sim.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/check.h"
#include "engine/base/clock.h"
#include "engine/loop/io.h"
#include "engine/loop/loop.h"
#include "engine/loop/mailbox.h"
#include "engine/loop/sig.h"
#include "engine/loop/timer.h"
#include "engine/loop/turn.h"
#include "engine/mem/alloc.h"
#include "engine/mem/err.h"
#include "tests/sim/sim_int.h"

#define SIM_WATCH_MAGIC	0x53575443u	/* "SWTC" */

enum {
	SIM_FD_FIRST	= 1000,
	SIM_FD_MAX	= 4096,		/* at a time */
	SIM_TURNS_MAX	= 100000,	/* until idle */
};

#define SIM_MONO_START_US	UINT64_C(1000000000)
#define SIM_WALL_START_US	UINT64_C(1700000000000000)	/* 2023-11-14T22:13:20Z */

struct sim_loop {
	struct loop	 pub;
	bool		 stopping;
	bool		 turning;
	struct list	 link;		/* among the world's loops */
	struct list	 timers;	/* sorted by deadline; plain, where the engine has a wheel */
	struct list	 watches;	/* struct sim_watch, in the order of io_add() */
	struct mail	*mail_first;
	struct mail	*mail_last;
};

/* Lives in io->ev. */
struct sim_watch {
	unsigned	 magic;
	unsigned	 mask;
	bool		 edge;
	bool		 ready;		/* an edge came since the last report */
	unsigned	 what;		/* fetched for this batch */
	struct list	 link;		/* in the loop's watches */
	struct list	 batch;		/* in the batch that is being told, or self-linked */
	struct io	*io;
};

_Static_assert(sizeof(struct sim_watch) <= sizeof(((struct io *)0)->ev), "fits into struct io");

struct sim_fd {
	sim_poll_fn	*poll;		/* NULL: free */
	void		*owner;
	struct io	*io;
};

static struct {
	bool			 begun;
	uint64_t		 mono_us;
	struct list		 loops;
	struct sim_fd		 fds[SIM_FD_MAX];
	unsigned		 fd_ready[SIM_FD_MAX];	/* of sim_fd_new() */
	struct sim_part		*parts;
} world = {.mono_us = SIM_MONO_START_US, .loops = LIST_INIT(world.loops)};

static struct sim_loop *
sim_loop(struct loop *l)
{
	CHECK_OBJ(l, LOOP_MAGIC);
	return (container_of(l, struct sim_loop, pub));
}

/* ---- the world ---- */

static uint64_t
sim_clock(enum clock_kind kind)
{
	if (kind == CLOCK_WALL)
		return (SIM_WALL_START_US + world.mono_us - SIM_MONO_START_US);
	return (world.mono_us);
}

void
sim_begin(void)
{
	must(!world.begun);
	must(list_is_empty(&world.loops));
	world.begun = true;
	world.mono_us = SIM_MONO_START_US;
	clock_override(sim_clock);
}

void
sim_end(void)
{
	must(world.begun);
	must(list_is_empty(&world.loops));
	for (struct sim_part *p = world.parts; p != NULL; p = p->next) {
		p->added = false;
		if (p->end != NULL)
			p->end();
	}
	world.parts = NULL;
	for (int i = 0; i < SIM_FD_MAX; i++) {
		if (world.fds[i].poll == NULL)
			continue;
		(void)fprintf(stderr, "sim: descriptor %d was never closed\n", SIM_FD_FIRST + i);
		abort();
	}
	clock_override(NULL);
	world.begun = false;
}

void
sim_add_part(struct sim_part *part)
{
	must(world.begun);
	if (part->added)
		return;
	part->added = true;
	part->next = world.parts;
	world.parts = part;
}

static bool
step_parts(void)
{
	bool moved = false;

	for (struct sim_part *p = world.parts; p != NULL; p = p->next)
		moved = (p->step != NULL && p->step()) || moved;
	return (moved);
}

uint64_t
sim_now_ms(void)
{
	return (world.mono_us / 1000);
}

void
sim_stall(uint64_t ms)
{
	world.mono_us += ms * 1000;
}

static unsigned
poll_watch(const struct sim_watch *w)
{
	const struct sim_fd *f = &world.fds[w->io->fd - SIM_FD_FIRST];

	if (w->edge && !w->ready)
		return (0);
	return (f->poll(f->owner) & w->mask);
}

static uint64_t
first_deadline(const struct sim_loop *sl)
{
	if (list_is_empty(&sl->timers))
		return (TIMER_NEVER);
	return (list_entry(sl->timers.next, struct timer, link)->deadline_ms);
}

static bool
has_work(const struct sim_loop *sl)
{
	struct sim_watch *w;

	if (!list_is_empty(&sl->pub.deferred) || sl->mail_first != NULL ||
	    first_deadline(sl) <= sim_now_ms())
		return (true);
	LIST_FOREACH(w, &sl->watches, struct sim_watch, link) {
		if (poll_watch(w) != 0)
			return (true);
	}
	return (false);
}

static bool
turn_busy_loops(void)
{
	struct sim_loop *sl;
	bool any = false;

	LIST_FOREACH(sl, &world.loops, struct sim_loop, link) {
		if (!has_work(sl))
			continue;
		loop_turn(&sl->pub, false);
		any = true;
	}
	return (any);
}

void
sim_run_until_idle(void)
{
	unsigned turns = 0;

	while (turn_busy_loops() || step_parts()) {
		if (++turns < SIM_TURNS_MAX)
			continue;
		(void)fprintf(stderr, "sim: not idle after %u turns at one time\n", turns);
		abort();
	}
}

uint64_t
sim_next_timer_ms(void)
{
	uint64_t next = TIMER_NEVER;
	struct sim_loop *sl;

	LIST_FOREACH(sl, &world.loops, struct sim_loop, link) {
		if (first_deadline(sl) < next)
			next = first_deadline(sl);
	}
	if (next == TIMER_NEVER)
		return (UINT64_MAX);
	return (next > sim_now_ms() ? next - sim_now_ms() : 0);
}

void
sim_advance(uint64_t ms)
{
	uint64_t until = world.mono_us + ms * 1000;

	sim_run_until_idle();
	for (;;) {
		uint64_t next = sim_next_timer_ms();

		if (next == UINT64_MAX || (sim_now_ms() + next) * 1000 > until)
			break;
		world.mono_us = (sim_now_ms() + next) * 1000;
		sim_run_until_idle();
	}
	world.mono_us = until;
	sim_run_until_idle();
}

/* ---- descriptors ---- */

static struct sim_fd *
fd_slot(int fd)
{
	must(fd >= SIM_FD_FIRST && fd < SIM_FD_FIRST + SIM_FD_MAX);
	must(world.fds[fd - SIM_FD_FIRST].poll != NULL);
	return (&world.fds[fd - SIM_FD_FIRST]);
}

int
sim_fd_open(sim_poll_fn *poll, void *owner)
{
	for (int i = 0; i < SIM_FD_MAX; i++) {
		if (world.fds[i].poll != NULL)
			continue;
		world.fds[i] = (struct sim_fd){.poll = poll, .owner = owner};
		return (SIM_FD_FIRST + i);
	}
	never("the simulation is out of descriptors");
}

void
sim_fd_close(int fd)
{
	struct sim_fd *f = fd_slot(fd);

	must(f->io == NULL);	/* io_del() comes before close() */
	f->poll = NULL;
}

void *
sim_fd_owner(int fd, sim_poll_fn *poll)
{
	struct sim_fd *f = fd_slot(fd);

	must(f->poll == poll);
	return (f->owner);
}

void
sim_fd_edge(int fd)
{
	struct sim_fd *f = fd_slot(fd);

	if (f->io != NULL)
		((struct sim_watch *)(void *)f->io->ev)->ready = true;
}

static unsigned
poll_bare(void *owner)
{
	return (*(unsigned *)owner);
}

int
sim_fd_new(void)
{
	int fd = sim_fd_open(poll_bare, NULL);
	unsigned *ready = &world.fd_ready[fd - SIM_FD_FIRST];

	*ready = IO_WRITE;
	world.fds[fd - SIM_FD_FIRST].owner = ready;
	return (fd);
}

void
sim_fd_set(int fd, unsigned what)
{
	unsigned *ready = sim_fd_owner(fd, poll_bare);

	*ready |= what;
	sim_fd_edge(fd);
}

void
sim_fd_unset(int fd, unsigned what)
{
	unsigned *ready = sim_fd_owner(fd, poll_bare);

	*ready &= ~what;
}

void
sim_fd_free(int fd)
{
	(void)sim_fd_owner(fd, poll_bare);
	sim_fd_close(fd);
}

/* ---- io.h ---- */

static struct sim_watch *
io_watch(struct io *io)
{
	struct sim_watch *w = (struct sim_watch *)(void *)io->ev;

	CHECK_OBJ(w, SIM_WATCH_MAGIC);
	return (w);
}

void
io_init(struct io *io)
{
	io->magic = IO_MAGIC;
	io->fd = -1;
	io->fn = NULL;
	io->arg = NULL;
	io->loop = NULL;
}

static bool
has_memory(void)
{
	void *p = mem_try_malloc(1);

	xfree(p);
	return (p != NULL);
}

static bool
watch(struct loop *l, struct io *io, int fd, unsigned mask, bool edge, io_ready_fn *fn, void *arg)
{
	struct sim_watch *w = (struct sim_watch *)(void *)io->ev;
	struct sim_fd *f = fd_slot(fd);

	must(f->io == NULL);
	io->magic = IO_MAGIC;
	io->fd = -1;
	/* The library's table of descriptors may have to grow: a watch can fail for that. */
	if (!has_memory())
		return (false);
	io->fd = fd;
	io->fn = fn;
	io->arg = arg;
	io->loop = l;
	w->magic = SIM_WATCH_MAGIC;
	w->mask = mask;
	w->edge = edge;
	w->ready = true;	/* what is ready already is an edge for a new watch */
	w->what = 0;
	w->io = io;
	list_init(&w->batch);
	list_add_tail(&sim_loop(l)->watches, &w->link);
	f->io = io;
	return (true);
}

bool
io_add(struct loop *l, struct io *io, int fd, io_ready_fn *fn, void *arg)
{
	return (watch(l, io, fd, IO_READ | IO_WRITE | IO_CLOSED, true, fn, arg));
}

bool
io_add_listener(struct loop *l, struct io *io, int fd, io_ready_fn *fn, void *arg)
{
	return (watch(l, io, fd, IO_READ, false, fn, arg));
}

bool
io_add_level(struct loop *l, struct io *io, int fd, unsigned what, io_ready_fn *fn, void *arg)
{
	must((what & ~(unsigned)(IO_READ | IO_WRITE)) == 0 && what != 0);
	return (watch(l, io, fd, what, false, fn, arg));
}

void
io_del(struct io *io)
{
	struct sim_watch *w;

	CHECK_OBJ(io, IO_MAGIC);
	if (io->fd < 0)
		return;
	w = io_watch(io);
	fd_slot(io->fd)->io = NULL;
	list_del(&w->link);
	list_del(&w->batch);
	w->magic = 0;
	io->fd = -1;
}

/* ---- one turn ---- */

static void
run_io(struct sim_loop *sl)
{
	struct list batch;
	struct sim_watch *w;

	list_init(&batch);
	LIST_FOREACH(w, &sl->watches, struct sim_watch, link) {
		w->what = poll_watch(w);
		w->ready = false;
		if (w->what != 0)
			list_add_tail(&batch, &w->batch);
	}
	while ((w = list_first_entry(&batch, struct sim_watch, batch)) != NULL) {
		list_del(&w->batch);
		w->io->fn(w->io->arg, w->what);
	}
}

static void
run_timers(struct sim_loop *sl)
{
	struct list ready;
	struct timer *t;

	list_init(&ready);
	while (first_deadline(sl) <= sl->pub.now_ms) {
		t = list_first_entry(&sl->timers, struct timer, link);
		list_del(&t->link);
		list_add_tail(&ready, &t->link);
	}
	while ((t = list_first_entry(&ready, struct timer, link)) != NULL) {
		CHECK_OBJ(t, TIMER_MAGIC);
		list_del(&t->link);
		t->deadline_ms = TIMER_NEVER;
		t->fn(t->arg);
	}
}

static void
read_time(struct sim_loop *sl)
{
	sl->pub.now_us = clock_mono_us();
	sl->pub.now_ms = sl->pub.now_us / 1000;
	sl->pub.wall_us = clock_wall_us();
}

void
loop_turn(struct loop *l, bool may_block)
{
	struct sim_loop *sl = sim_loop(l);

	(void)may_block;	/* nothing can come while a test waits */
	must(!sl->turning);
	sl->turning = true;
	sl->pub.turns++;
	read_time(sl);
	run_io(sl);
	mailbox_drain(l);
	turn_run_deferred(l);
	run_timers(sl);
	turn_run_hooks(l);
	sl->turning = false;
}

/* ---- loop.h ---- */

struct err *
loop_new(struct loop **r)
{
	struct sim_loop *sl = mem_try_calloc(1, sizeof *sl);

	if (sl == NULL)
		return (err_memory());
	must(world.begun);
	sl->pub.magic = LOOP_MAGIC;
	turn_init(&sl->pub);
	list_init(&sl->timers);
	list_init(&sl->watches);
	list_init(&sl->link);
	list_add_tail(&world.loops, &sl->link);
	read_time(sl);
	*r = &sl->pub;
	return (NULL);
}

void
loop_free(struct loop **l)
{
	struct loop *pub;
	struct sim_loop *sl;

	TAKE_OBJ(pub, l, LOOP_MAGIC);
	sl = sim_loop(pub);
	must(!sl->turning);
	must(list_is_empty(&sl->pub.deferred));
	must(list_is_empty(&sl->timers));
	must(list_is_empty(&sl->watches));
	list_del(&sl->link);
	sl->pub.magic = 0;
	xfree(sl);
}

void
loop_run(struct loop *l)
{
	struct sim_loop *sl = sim_loop(l);

	while (!sl->stopping) {
		loop_turn(l, true);
		must(sl->stopping || has_work(sl));	/* else it would wait for ever */
	}
	sl->stopping = false;
}

void
loop_stop(struct loop *l)
{
	sim_loop(l)->stopping = true;
}

bool
loop_is_stopping(struct loop *l)
{
	return (sim_loop(l)->stopping);
}

/* ---- timer.h ---- */

void
timer_init(struct timer *t, timer_fn *fn, void *arg)
{
	t->magic = TIMER_MAGIC;
	list_init(&t->link);
	t->deadline_ms = TIMER_NEVER;
	t->slot_ms = TIMER_NEVER;
	t->fn = fn;
	t->arg = arg;
	t->loop = NULL;
}

void
timer_set(struct loop *l, struct timer *t, uint64_t deadline_ms)
{
	struct list *before;

	timer_clear(t);
	t->loop = l;
	t->deadline_ms = deadline_ms;
	t->slot_ms = deadline_ms;
	if (deadline_ms == TIMER_NEVER)
		return;
	/* From the back, so that equal deadlines keep the order in which they were set. */
	before = sim_loop(l)->timers.prev;
	while (before != &sim_loop(l)->timers &&
	    list_entry(before, struct timer, link)->deadline_ms > deadline_ms)
		before = before->prev;
	list_add_head(before, &t->link);
}

void
timer_clear(struct timer *t)
{
	CHECK_OBJ(t, TIMER_MAGIC);
	t->deadline_ms = TIMER_NEVER;
	list_del(&t->link);
}

/* ---- mailbox.h ---- */

void
mail_init(struct mail *m, mail_fn *fn)
{
	m->magic = MAIL_MAGIC;
	m->next = NULL;
	m->fn = fn;
}

void
mailbox_post(struct loop *l, struct mail *m)
{
	struct sim_loop *sl = sim_loop(l);

	CHECK_OBJ(m, MAIL_MAGIC);
	m->next = NULL;
	if (sl->mail_first == NULL)
		sl->mail_first = m;
	else
		sl->mail_last->next = m;
	sl->mail_last = m;
}

void
mailbox_drain(struct loop *l)
{
	struct sim_loop *sl = sim_loop(l);
	struct mail *m = sl->mail_first;

	sl->mail_first = NULL;
	while (m != NULL) {
		struct mail *next = m->next;

		CHECK_OBJ(m, MAIL_MAGIC);
		m->next = NULL;
		m->fn(m);
		m = next;
	}
}

/* ---- sig.h: no signal comes in the simulation ---- */

struct err *
sig_add(struct loop *l, int signo, sig_fn *fn, void *arg)
{
	CHECK_OBJ(l, LOOP_MAGIC);
	must(signo > 0 && signo < NSIG && fn != NULL);
	(void)arg;
	return (NULL);
}

void
sig_del(struct loop *l, int signo)
{
	CHECK_OBJ(l, LOOP_MAGIC);
	(void)signo;
}

const char *
loop_library(void)
{
	return ("simulated");
}
