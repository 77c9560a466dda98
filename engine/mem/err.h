/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The error of configuration and control: what, where, and the cause below it.  Functions return
 * struct err *, NULL for success.  An error lives in the arena it was made in.  The data path has
 * no struct err: it returns enums.
 */
#ifndef WEIR_MEM_ERR_H
#define WEIR_MEM_ERR_H

#include <stdint.h>

#include "engine/base/cc.h"

struct arena;
struct text;

/* A place in a file; line and col count from 1, col in characters; line 0: no place. */
struct mark {
	const char *file; /* NULL: none; lives as long as the error */
	uint32_t line;
	uint32_t col;
};

#define MARK_NONE	((struct mark){NULL, 0, 0})

enum err_code {
	ERR_INVALID,	/* a value that cannot be */
	ERR_SYNTAX,	/* not the language at all */
	ERR_UNKNOWN,	/* a key or a name that does not exist */
	ERR_DUPLICATE,
	ERR_MISSING,
	ERR_CONFLICT,	/* two things that exclude each other */
	ERR_UNUSED,	/* defined, never referred to; or never reachable */
	ERR_LIMIT,	/* too large, too deep, too many */
	ERR_SYSTEM,	/* the operating system refused: file, socket, thread */
	ERR_MEMORY,
	ERR_STATE,	/* not now: draining, already running */
	ERR__MAX
};

struct err {
	enum err_code code;
	struct mark mark;
	const char *what;	/* one sentence, lower case, no full stop */
	struct err *cause;	/* NULL: the first one */
	struct arena *arena;	/* where it lives; NULL: a constant, which cannot be added to */
};

/* Never NULL: when there is no memory for it, a constant error that says so. */
struct err *err_new(struct arena *arena, enum err_code code, struct mark mark, const char *fmt,
    ...) CC_PRINTF(4, 5) CC_MUST_USE;

/* Puts a sentence around cause, in its arena and with its code and mark.  A constant error comes
   back as it is. */
struct err *err_because(struct err *cause, const char *fmt, ...) CC_PRINTF(2, 3) CC_MUST_USE;

/* For a failed system call: "what: strerror(number)", ERR_SYSTEM. */
struct err *err_system(struct arena *arena, int number, const char *fmt, ...) CC_PRINTF(3, 4)
    CC_MUST_USE;

/* The constant "out of memory"; allocates nothing. */
struct err *err_memory(void);

/* "invalid", "syntax", ... */
const char *err_code_name(enum err_code code);

/* One line without its end: "FILE:LINE:COL: error: WHAT: CAUSE: CAUSE". */
void err_format(const struct err *err, struct text *out);

#endif
