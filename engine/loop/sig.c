/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/loop/sig.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "engine/base/log.h"
#include "engine/loop/loop_int.h"
#include "engine/mem/alloc.h"
#include "engine/mem/err.h"

#define SIGNALS_MAGIC	0x5349474eu	/* "SIGN" */

struct handler {
	sig_fn	*fn;		/* NULL: none */
	void	*arg;
	bool	 blocked_here;	/* unblock at sig_del() */
};

struct loop_signals {
	unsigned	magic;
	int		fd;
	unsigned	n;		/* handlers set */
	struct io	io;
	struct handler	handlers[NSIG];
};

static struct err bad_signal = {.code = ERR_INVALID, .what = "no such signal"};
static struct err taken = {.code = ERR_STATE, .what = "the signal has a handler already"};
static struct err no_signalfd = {.code = ERR_SYSTEM, .what = "cannot watch signals"};

static void
on_signalfd(void *arg, unsigned what)
{
	struct signalfd_siginfo info;
	struct loop_impl *li;
	struct loop *l;

	(void)what;
	CAST_OBJ(l, arg, LOOP_MAGIC);
	li = loop_impl(l);
	/* A handler may delete the last signal, and this whole table with it. */
	while (li->signals != NULL &&
	    read(li->signals->fd, &info, sizeof info) == (ssize_t)sizeof info) {
		struct handler *h = &li->signals->handlers[info.ssi_signo];

		if (h->fn != NULL)
			h->fn(h->arg, (int)info.ssi_signo);
	}
}

/* Makes the signalfd's set that of the handlers. */
static bool
update_fd(struct loop_signals *s)
{
	sigset_t set;

	(void)sigemptyset(&set);
	for (int i = 1; i < NSIG; i++) {
		if (s->handlers[i].fn != NULL)
			(void)sigaddset(&set, i);
	}
	s->fd = signalfd(s->fd, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	return (s->fd >= 0);
}

static void
signals_free(struct loop_impl *li)
{
	struct loop_signals *s;

	TAKE_OBJ(s, &li->signals, SIGNALS_MAGIC);
	io_del(&s->io);
	if (s->fd >= 0)
		(void)close(s->fd);
	s->magic = 0;
	xfree(s);
}

static struct err *
signals_new(struct loop_impl *li)
{
	struct loop_signals *s = mem_try_calloc(1, sizeof *s);

	if (s == NULL)
		return (err_memory());
	s->magic = SIGNALS_MAGIC;
	s->fd = -1;
	io_init(&s->io);
	li->signals = s;
	if (update_fd(s) && io_add_listener(&li->pub, &s->io, s->fd, on_signalfd, &li->pub))
		return (NULL);
	log_error("signalfd: %s", strerror(errno));
	signals_free(li);
	return (&no_signalfd);
}

/* Blocks or unblocks; true when that changed something. */
static bool
mask(int how, int signo)
{
	sigset_t set;
	sigset_t before;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, signo);
	must(pthread_sigmask(how, &set, &before) == 0);
	return ((sigismember(&before, signo) == 1) != (how == SIG_BLOCK));
}

struct err *
sig_add(struct loop *l, int signo, sig_fn *fn, void *arg)
{
	struct loop_impl *li = loop_impl(l);
	struct err *err;
	struct handler *h;

	if (signo <= 0 || signo >= NSIG || signo == SIGKILL || signo == SIGSTOP)
		return (&bad_signal);
	if (li->signals == NULL && (err = signals_new(li)) != NULL)
		return (err);
	h = &li->signals->handlers[signo];
	if (h->fn != NULL)
		return (&taken);
	h->fn = fn;
	h->arg = arg;
	h->blocked_here = mask(SIG_BLOCK, signo);
	li->signals->n++;
	/* Changing the set of an open signalfd fails for a bad descriptor or set only. */
	must(update_fd(li->signals));
	return (NULL);
}

void
sig_del(struct loop *l, int signo)
{
	struct loop_impl *li = loop_impl(l);
	struct handler *h;

	if (li->signals == NULL || signo <= 0 || signo >= NSIG)
		return;
	h = &li->signals->handlers[signo];
	if (h->fn == NULL)
		return;
	h->fn = NULL;
	must(update_fd(li->signals));
	if (h->blocked_here)
		(void)mask(SIG_UNBLOCK, signo);
	if (--li->signals->n == 0)
		signals_free(li);
}
