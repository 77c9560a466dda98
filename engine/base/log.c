/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/base/log.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/base/text.h"

/* Kept free for what closes the line: counts, quotes, brace, newline. */
enum { LOG_TAIL = 96, LOG_MSG_MAX = 3072 };

enum log_level log_limit_ = LOG_LEVEL_INFO;

static int log_fd = STDERR_FILENO;
static uint64_t log_dropped;
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;

static const char *const log_names[] = {"debug", "info", "warn", "error", "off"};

void
log_set_level(enum log_level level)
{
	__atomic_store_n(&log_limit_, level, __ATOMIC_RELAXED);
}

enum log_level
log_level(void)
{
	return (__atomic_load_n(&log_limit_, __ATOMIC_RELAXED));
}

const char *
log_level_name(enum log_level level)
{
	return (log_names[level]);
}

bool
log_level_parse(struct slice name, enum log_level *level_r)
{
	for (unsigned i = 0; i < array_len(log_names); i++) {
		if (slice_eq(name, slice_str(log_names[i]))) {
			*level_r = (enum log_level)i;
			return (true);
		}
	}
	return (false);
}

void
log_set_fd(int fd)
{
	__atomic_store_n(&log_fd, fd, __ATOMIC_RELAXED);
}

/*
 * May this call site write now?  Threads that race at the turn of a second may let a line or two
 * more through; the count of the suppressed ones is exact.
 */
static bool
log_site_take(struct log_site *site, uint32_t *suppressed_r)
{
	uint64_t now = clock_mono_us() / 1000000u + 1; /* never 0, the first value of second */

	*suppressed_r = 0;
	if (site == NULL)
		return (true);
	if (__atomic_exchange_n(&site->second, now, __ATOMIC_RELAXED) != now)
		__atomic_store_n(&site->written, 0, __ATOMIC_RELAXED);
	if (__atomic_fetch_add(&site->written, 1, __ATOMIC_RELAXED) >= LOG_SITE_PER_SECOND) {
		__atomic_fetch_add(&site->suppressed, 1, __ATOMIC_RELAXED);
		return (false);
	}
	*suppressed_r = __atomic_exchange_n(&site->suppressed, 0, __ATOMIC_RELAXED);
	return (true);
}

static void
log_put_line(struct text *t, enum log_level level, const char *msg, uint32_t suppressed,
    uint64_t dropped)
{
	size_t cap = t->cap;

	t->cap -= LOG_TAIL;
	text_puts(t, "{\"time\":\"");
	text_put_time(t, clock_wall_us());
	text_printf(t, "\",\"level\":\"%s\",\"msg\":\"", log_names[level]);
	text_json(t, slice_str(msg));
	t->cap = cap;
	t->full = false;
	text_putc(t, '"');
	if (suppressed > 0)
		text_printf(t, ",\"suppressed\":%u", (unsigned)suppressed);
	if (dropped > 0)
		text_printf(t, ",\"dropped\":%llu", (unsigned long long)dropped);
	text_puts(t, "}\n");
}

/*
 * A pipe that poll() calls writable takes PIPE_BUF (4096) bytes without blocking; holding the lock
 * over both keeps another thread of ours from filling it in between.
 */
static bool
log_emit(const struct text *t)
{
	int fd = __atomic_load_n(&log_fd, __ATOMIC_RELAXED);
	struct pollfd p = {.fd = fd, .events = POLLOUT};

	if (poll(&p, 1, 0) != 1 || (p.revents & POLLOUT) == 0)
		return (false);
	return (write(fd, t->p, t->len) == (ssize_t)t->len);
}

void
log_write(struct log_site *site, enum log_level level, const char *fmt, ...)
{
	char msg[LOG_MSG_MAX];
	char line[LOG_LINE_MAX];
	int saved_errno = errno; /* callers log and then look at it */
	uint32_t suppressed;
	struct text t;
	va_list ap;

	if (level >= LOG_LEVEL_OFF || !log_enabled(level) || !log_site_take(site, &suppressed))
		return;
	va_start(ap, fmt);
	if (vsnprintf(msg, sizeof(msg), fmt, ap) < 0)
		msg[0] = '\0';
	va_end(ap);
	text_init(&t, line, sizeof(line));
	pthread_mutex_lock(&log_lock);
	log_put_line(&t, level, msg, suppressed, log_dropped);
	if (log_emit(&t))
		log_dropped = 0;
	else
		log_dropped++;
	pthread_mutex_unlock(&log_lock);
	errno = saved_errno;
}
