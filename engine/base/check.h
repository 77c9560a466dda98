/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks that are always on.
 *
 * must(x)            a promise of our own code; false ends the process with a dump (see panic.h)
 * never("why")       a place that cannot be reached
 * surprise(x)        a condition that input can bring about but should not: logs once a call site
 *                    with a backtrace and returns the truth of x, so that the caller can take the
 *                    safe branch: if (surprise(n > max)) return (H1_BAD);
 * CHECK_OBJ(p, M)    p is not NULL and carries magic number M
 * CAST_OBJ(to, v, M) to = v, checked; for each void pointer that comes from outside
 * TAKE_OBJ(to, pp, M) to = *pp, checked; *pp becomes NULL
 *
 * The macros evaluate p and pp more than once.  Any thread.  None of these allocates.
 */
#ifndef WEIR_BASE_CHECK_H
#define WEIR_BASE_CHECK_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/base/cc.h"

/* One for each surprise(); static, zeroed. */
struct check_site {
	const char *file;
	const char *func;
	const char *what;
	int line;
	bool seen; /* accessed atomically */
};

/* Prints what failed, the backtrace and the watched objects to fd 2, then aborts. */
CC_NORETURN CC_COLD void check_failed(const char *file, int line, const char *func,
    const char *kind, const char *what);

/* The same for a wrong magic number: also prints what was found at obj. */
CC_NORETURN CC_COLD void check_obj_failed(const char *file, int line, const char *func,
    const char *what, const void *obj, unsigned want);

/* Logs the first time only. */
CC_COLD void check_surprised(struct check_site *site);

#define must(x)                                                                                    \
	do {                                                                                       \
		if (unlikely(!(x)))                                                                \
			check_failed(__FILE__, __LINE__, __func__, "must", #x);                    \
	} while (0)

#define never(why)	check_failed(__FILE__, __LINE__, __func__, "never", why)

#define surprise(x)                                                                                \
	__extension__({                                                                            \
		static struct check_site check_site_ = {__FILE__, __func__, #x, __LINE__, false};  \
		bool check_true_ = (x);                                                            \
		if (unlikely(check_true_))                                                         \
			check_surprised(&check_site_);                                             \
		unlikely(check_true_);                                                             \
	})

#define CHECK_OBJ(p, want)                                                                         \
	do {                                                                                       \
		if (unlikely((p) == NULL || (p)->magic != (want)))                                 \
			check_obj_failed(__FILE__, __LINE__, __func__, #p, (p), (want));           \
	} while (0)

#define CAST_OBJ(to, from, want)                                                                   \
	do {                                                                                       \
		(to) = (from);                                                                     \
		CHECK_OBJ((to), (want));                                                           \
	} while (0)

#define TAKE_OBJ(to, from, want)                                                                   \
	do {                                                                                       \
		(to) = *(from);                                                                    \
		*(from) = NULL;                                                                    \
		CHECK_OBJ((to), (want));                                                           \
	} while (0)

#endif
