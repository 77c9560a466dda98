/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control plane's log: one JSON object a line to fd 2 (or log_set_fd), keys time, level, msg.
 * Never called per request.  Each call site writes at most 10 lines a second; the next line it
 * may write carries "suppressed": how many were not.  A line is one write(2) of at most 4096
 * bytes; when the reader does not read, lines are dropped, counted and reported in the next line
 * ("dropped"), and the caller does not wait.  Any thread.  Nothing allocates.
 */
#ifndef WEIR_BASE_LOG_H
#define WEIR_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/cc.h"
#include "engine/base/slice.h"

enum log_level {
	LOG_LEVEL_DEBUG,
	LOG_LEVEL_INFO,
	LOG_LEVEL_WARN,
	LOG_LEVEL_ERROR,
	LOG_LEVEL_OFF /* as a limit only: nothing is written */
};

enum { LOG_LINE_MAX = 4096, LOG_SITE_PER_SECOND = 10 };

/* One a call site; static, zeroed; used atomically. */
struct log_site {
	uint64_t second;
	uint32_t written;
	uint32_t suppressed;
};

extern enum log_level log_limit_; /* read through log_enabled() */

static inline bool
log_enabled(enum log_level level)
{
	return (level >= __atomic_load_n(&log_limit_, __ATOMIC_RELAXED));
}

/* The lowest level that is written; starts as LOG_LEVEL_INFO. */
void log_set_level(enum log_level level);

enum log_level log_level(void);

/* "debug", "info", "warn", "error", "off". */
const char *log_level_name(enum log_level level);
bool log_level_parse(struct slice name, enum log_level *level_r) CC_MUST_USE;

/* fd stays the caller's; starts as 2. */
void log_set_fd(int fd);

/* The worker of log_debug() and kin; site may be NULL: no rate limit. */
void log_write(struct log_site *site, enum log_level level, const char *fmt, ...) CC_PRINTF(3, 4);

#define LOG_AT_(level, ...)                                                                        \
	do {                                                                                       \
		static struct log_site log_site_;                                                  \
		if (log_enabled(level))                                                            \
			log_write(&log_site_, (level), __VA_ARGS__);                               \
	} while (0)

#define log_debug(...)	LOG_AT_(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_info(...)	LOG_AT_(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warn(...)	LOG_AT_(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_error(...)	LOG_AT_(LOG_LEVEL_ERROR, __VA_ARGS__)

#endif
