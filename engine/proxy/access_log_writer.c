/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>
#include <sys/uio.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/check.h"
#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "engine/mem/alloc.h"
#include "engine/mem/arena.h"
#include "engine/proxy/access_log.h"
#include "engine/proxy/access_log_ring.h"
#include "engine/stats/stats.h"
#include "engine/worker/worker.h"

/*
 * The thread that writes. It may block (a pipe that nobody reads), so nothing waits for it: workers
 * put into rings, the main thread leaves a message, and at the end it gives up after a while.
 * There is one in a process.
 */

enum {
	EVERY_US = 1000 * 1000,
	NOT_NOW_US = 10 * 1000,
	RINGS_MAX = WORKER_MAX,
	FILE_MODE = 0640,
	SYSLOG_LINE_MAX = 8000		/* below what syslog daemons take */
};

struct destination {
	uint8_t		 to;		/* enum access_log_to */
	int		 fd;		/* -1: none */
	char		*path;		/* FILE; NULL */
};

static struct {
	pthread_t		 thread;
	bool			 running;
	sem_t			 wake, done;
	sem_t			 never;		/* to rest on; nobody posts it */
	struct stats_series	*dropped;	/* of the thread's own shard; NULL: not counted */
	atomic_bool		 woken;		/* `wake` is up, or will be seen */
	/* the thread's own while it runs */
	struct destination	 now;
	bool			 failing;	/* the last write did; said once */
	bool			 torn;		/* a line was cut by that, and has no newline */
	/* the main thread's: being prepared; what was handed over last */
	struct destination	 prepared;
	bool			 has_prepared;
	char			*prepared_path;	/* a second copy of its path */
	uint8_t			 current_to;
	char			*current_path;
	pthread_mutex_t		 lock;		/* the rest; held for moments only */
	struct access_log_ring	*rings[RINGS_MAX];
	atomic_uint		 n_rings;
	struct destination	 next;
	bool			 has_next, reopen, stop;
} writer = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.now = { ACCESS_LOG_OFF, -1, NULL },
};

bool
access_log_writer_add(struct access_log_ring *ring)
{
	unsigned n;
	bool ok;

	pthread_mutex_lock(&writer.lock);
	n = atomic_load(&writer.n_rings);
	ok = n < RINGS_MAX;
	if (ok) {
		writer.rings[n] = ring;
		atomic_store(&writer.n_rings, n + 1);
	}
	pthread_mutex_unlock(&writer.lock);
	return (ok);
}

void
access_log_writer_wake(void)
{
	if (!atomic_exchange(&writer.woken, true))
		(void)sem_post(&writer.wake);
}

/* ---- the thread ---- */

static void
close_destination(struct destination *d)
{
	if (d->to == ACCESS_LOG_FILE && d->fd >= 0)
		(void)close(d->fd);
	xfree(d->path);
	*d = (struct destination){ ACCESS_LOG_OFF, -1, NULL };
}

static void
rest(uint64_t us, sem_t *sem)
{
	uint64_t until = clock_mono_us() + us;
	struct timespec ts = { (time_t)(until / 1000000), (long)(until % 1000000 * 1000) };

	(void)sem_clockwait(sem, CLOCK_MONOTONIC, &ts);
}

/* Less those that are no lines of ours. */
static void
count_lost(const struct iovec *v, unsigned n, bool less)
{
	int64_t lines = -(int64_t)less;

	for (unsigned i = 0; i < n; i++) {
		const char *p = v[i].iov_base, *end = p + v[i].iov_len;

		while (p < end && (p = memchr(p, '\n', (size_t)(end - p))) != NULL) {
			lines++;
			p++;
		}
	}
	stats_add(writer.dropped, lines);
}

/* Takes off what was written; returns the last byte of it. */
static char
advance(struct iovec **v, unsigned *n, size_t did)
{
	char last = '\n';

	while (*n > 0 && did >= (*v)->iov_len) {
		did -= (*v)->iov_len;
		if ((*v)->iov_len > 0)
			last = ((const char *)(*v)->iov_base)[(*v)->iov_len - 1];
		(*v)++;
		(*n)--;
	}
	if (*n > 0 && did > 0) {
		last = ((const char *)(*v)->iov_base)[did - 1];
		(*v)->iov_base = (char *)(*v)->iov_base + did;
		(*v)->iov_len -= did;
	}
	return (last);
}

/* The disk is full, the reader is gone: it is said when it begins and when it ends. */
static void
note_failing(int number)
{
	if (number != 0 && !writer.failing)
		log_error("access log: cannot write: %s; lines are dropped until it can be",
		    strerror(number));
	if (number == 0 && writer.failing)
		log_info("access log: it can be written again");
	writer.failing = number != 0;
}

/* All of it, or what could not be written is lost. v[-1] is free: what comes behind a line that was
   cut begins on a line of its own. */
static void
write_all(int fd, struct iovec *v, unsigned n)
{
	static char newline[] = "\n";

	if (writer.torn) {
		*--v = (struct iovec){ newline, 1 };
		n++;
	}
	while (n > 0) {
		ssize_t did = writev(fd, v, (int)n);

		if (did < 0 && errno == EINTR)
			continue;
		if (did < 0 && errno == EAGAIN) {
			/* Somebody made our standard output non-blocking. */
			rest(NOT_NOW_US, &writer.never);
			continue;
		}
		if (did < 0) {
			note_failing(errno);
			count_lost(v, n, v->iov_base == newline);
			return;
		}
		if (did > 0)
			writer.torn = advance(&v, &n, (size_t)did) != '\n';
	}
	note_failing(0);
}

/* A line may lie across the ring's end, so it is taken through a buffer. */
static void
send_lines(const struct iovec *v, unsigned n)
{
	static char line[SYSLOG_LINE_MAX];
	size_t len = 0;

	for (unsigned i = 0; i < n; i++) {
		const char *p = v[i].iov_base;

		for (size_t k = 0; k < v[i].iov_len; k++) {
			if (p[k] != '\n') {
				if (len < sizeof line)
					line[len++] = p[k];
				continue;
			}
			syslog(LOG_LOCAL7 | LOG_INFO, "%.*s", (int)len, line);
			len = 0;
		}
	}
}

static unsigned
pieces(struct access_log_ring *r, struct iovec v[2], uint64_t *put_r)
{
	uint64_t taken = atomic_load_explicit(&r->taken, memory_order_relaxed);
	size_t at = taken % ACCESS_LOG_RING_BYTES, len, first;

	*put_r = atomic_load_explicit(&r->put, memory_order_acquire);
	len = (size_t)(*put_r - taken);
	first = ACCESS_LOG_RING_BYTES - at < len ? ACCESS_LOG_RING_BYTES - at : len;
	v[0] = (struct iovec){ r->p + at, first };
	v[1] = (struct iovec){ r->p, len - first };
	return (len == 0 ? 0 : first < len ? 2 : 1);
}

/* What all rings hold now, in one write. Off: what workers had begun before they knew, or before
   we know where to, waits for the next destination. */
static void
drain(void)
{
	static struct iovec room[1 + 2 * RINGS_MAX];
	static uint64_t upto[RINGS_MAX];
	unsigned rings = atomic_load(&writer.n_rings), n = 0;
	struct iovec *v = room + 1;

	if (writer.now.to == ACCESS_LOG_OFF)
		return;
	for (unsigned i = 0; i < rings; i++)
		n += pieces(writer.rings[i], v + n, &upto[i]);
	if (n > 0 && writer.now.to == ACCESS_LOG_SYSLOG)
		send_lines(v, n);
	else if (n > 0 && writer.now.fd >= 0)
		write_all(writer.now.fd, v, n);
	for (unsigned i = 0; i < rings; i++)
		atomic_store_explicit(&writer.rings[i]->taken, upto[i], memory_order_release);
}

static int
open_file(const char *path)
{
	/* A FIFO without a reader is refused instead of waited for; later writes may block. */
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, FILE_MODE);

	if (fd >= 0)
		(void)fcntl(fd, F_SETFL, O_APPEND);
	return (fd);
}

static void
reopen(void)
{
	int fd;

	if (writer.now.to != ACCESS_LOG_FILE)
		return;
	fd = open_file(writer.now.path);
	if (fd < 0) {
		log_error("access log: cannot open %s again: %s; the old file is kept",
		    writer.now.path, strerror(errno));
		return;
	}
	(void)close(writer.now.fd);
	writer.now.fd = fd;
}

/* Returns whether to stop. What was written before a change of the destination goes to the old. */
static bool
take_orders(void)
{
	struct destination next = { ACCESS_LOG_OFF, -1, NULL };
	bool has_next, again, stop;

	pthread_mutex_lock(&writer.lock);
	has_next = writer.has_next;
	again = writer.reopen;
	stop = writer.stop;
	if (has_next)
		next = writer.next;
	writer.has_next = writer.reopen = false;
	pthread_mutex_unlock(&writer.lock);
	drain();
	if (has_next) {
		close_destination(&writer.now);
		writer.now = next;
		writer.torn = false;
		drain();
	}
	if (again)
		reopen();
	return (stop);
}

static void *
run(void *arg)
{
	(void)arg;
	do {
		rest(EVERY_US, &writer.wake);
		atomic_store(&writer.woken, false);
	} while (!take_orders());
	drain();
	close_destination(&writer.now);
	(void)sem_post(&writer.done);
	return (NULL);
}

/* ---- the main thread ---- */

static int
start(void)
{
	sigset_t all, old;
	int rc;

	if (writer.running)
		return (0);
	(void)sem_init(&writer.wake, 0, 0);
	(void)sem_init(&writer.done, 0, 0);
	(void)sem_init(&writer.never, 0, 0);
	atomic_store(&writer.woken, false);
	writer.stop = false;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&writer.thread, NULL, run, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	writer.running = rc == 0;
	if (rc == 0)
		(void)pthread_setname_np(writer.thread, "access-log");
	return (rc);
}

void
access_log_init(struct stats_shard *sh)
{
	must(!writer.running);
	writer.dropped = stats_plain(sh, STATS_LOG_DROPPED);
}

static bool
is_current(const struct access_log_plan *plan)
{
	return (plan->to == writer.current_to && (plan->to != ACCESS_LOG_FILE ||
	    strcmp(plan->path, writer.current_path) == 0));
}

static char *
copy(const char *s)
{
	size_t n = strlen(s) + 1;
	char *p = mem_try_malloc(n);

	return (p == NULL ? NULL : memcpy(p, s, n));
}

struct err *
access_log_prepare(struct arena *arena, const struct access_log_plan *plan)
{
	struct destination d = { plan->to, -1, NULL };
	int rc;

	CHECK_OBJ(plan, ACCESS_LOG_PLAN_MAGIC);
	must(!writer.has_prepared);
	if (is_current(plan))
		return (NULL);
	rc = start();
	if (rc != 0)
		return (err_system(arena, rc, "access log: cannot start a thread"));
	if (plan->to == ACCESS_LOG_STDOUT)
		d.fd = STDOUT_FILENO;
	if (plan->to == ACCESS_LOG_FILE) {
		d.path = copy(plan->path);
		writer.prepared_path = copy(plan->path);
		if (d.path == NULL || writer.prepared_path == NULL)
			rc = ENOMEM;
		else if ((d.fd = open_file(plan->path)) < 0)
			rc = errno;
		if (rc != 0) {
			xfree(d.path);
			xfree(writer.prepared_path);
			writer.prepared_path = NULL;
			return (err_system(arena, rc, "access log: cannot open %s", plan->path));
		}
	}
	writer.prepared = d;
	writer.has_prepared = true;
	return (NULL);
}

static void
give_order(void)
{
	pthread_mutex_unlock(&writer.lock);
	access_log_writer_wake();
}

void
access_log_commit(void)
{
	if (!writer.has_prepared)
		return;
	writer.has_prepared = false;
	writer.current_to = writer.prepared.to;
	xfree(writer.current_path);
	writer.current_path = writer.prepared_path;
	writer.prepared_path = NULL;
	pthread_mutex_lock(&writer.lock);
	/* One that the thread has not come to (it is stuck) will never be written to. */
	if (writer.has_next)
		close_destination(&writer.next);
	writer.next = writer.prepared;
	writer.has_next = true;
	give_order();
}

void
access_log_abort(void)
{
	if (!writer.has_prepared)
		return;
	writer.has_prepared = false;
	close_destination(&writer.prepared);
	xfree(writer.prepared_path);
	writer.prepared_path = NULL;
}

void
access_log_reopen(void)
{
	if (!writer.running)
		return;
	pthread_mutex_lock(&writer.lock);
	writer.reopen = true;
	give_order();
}

static bool
await_end(uint64_t ms)
{
	uint64_t until = clock_mono_us() + ms * 1000;
	struct timespec ts = { (time_t)(until / 1000000), (long)(until % 1000000 * 1000) };

	while (sem_clockwait(&writer.done, CLOCK_MONOTONIC, &ts) != 0) {
		if (errno != EINTR)
			return (false);
	}
	return (true);
}

bool
access_log_stop(uint64_t ms)
{
	if (writer.running) {
		pthread_mutex_lock(&writer.lock);
		writer.stop = true;
		give_order();
		if (!await_end(ms)) {
			(void)pthread_detach(writer.thread);
			return (false);
		}
		(void)pthread_join(writer.thread, NULL);
		writer.running = false;
		(void)sem_destroy(&writer.wake);
		(void)sem_destroy(&writer.done);
		(void)sem_destroy(&writer.never);
	}
	access_log_abort();
	writer.current_to = ACCESS_LOG_OFF;
	xfree(writer.current_path);
	writer.current_path = NULL;
	for (unsigned i = 0; i < atomic_load(&writer.n_rings); i++)
		access_log_ring_free(writer.rings[i]);
	atomic_store(&writer.n_rings, 0);
	return (true);
}
