/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ENGINE_CONFIG_DIAG_H
#define ENGINE_CONFIG_DIAG_H

/*
 * Collects what is wrong with a configuration, so that all of it is reported at once.
 *
 * The first DIAG_MAX errors (and as many warnings) are kept, the rest only counted. They print
 * sorted by place: files in the order they were read, then line, then column. The same words at
 * the same place are told once.
 *
 *	api.yaml:7:5: error: unknown key "upsteam" in route "users"; did you mean "upstream"?
 *	    7 |     upsteam: users
 *	      |     ^
 *
 * One thread, the one that loads. Texts are copied into the arena, sources are not: they must
 * live as long as the diag.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "engine/base/cc.h"
#include "engine/base/slice.h"
#include "engine/mem/err.h"

struct arena;
struct diag;

enum {
	DIAG_MAX = 50
};

enum diag_level {
	DIAG_ERROR,
	DIAG_WARNING,
	DIAG_LEVEL__MAX
};

struct diag_item {
	enum diag_level level;
	struct mark mark;    /* file NULL: no place */
	const char *path;    /* "routes[3].timeout.connect", or "" */
	const char *message; /* one sentence, no full stop */
	const char *hint;    /* what would be right, or NULL; printed after "; " */
};

/* Lives in the arena and is freed with it. */
struct diag *diag_new(struct arena *arena);

/*
 * Names a file and its text, for order and for the line under a message. `name` must be the
 * very pointer that marks carry.
 */
void diag_add_source(struct diag *d, const char *name, struct slice text);

void diag_error(struct diag *d, struct mark mark, const char *fmt, ...) CC_PRINTF(3, 4);
void diag_warn(struct diag *d, struct mark mark, const char *fmt, ...) CC_PRINTF(3, 4);

/* `path` and `hint` may be NULL. */
void diag_add(struct diag *d, enum diag_level level, struct mark mark, const char *path,
    const char *hint, const char *fmt, ...) CC_PRINTF(6, 7);

/* Everything added so far, those not kept included. */
size_t diag_errors(const struct diag *d);
size_t diag_warnings(const struct diag *d);
static inline bool
diag_is_ok(const struct diag *d)
{
	return (diag_errors(d) == 0);
}

/* The kept items in the order of places: i from 0 to diag_count() - 1. */
size_t diag_count(const struct diag *d);
const struct diag_item *diag_at(struct diag *d, size_t i);

/* For people, with the line and a caret. */
void diag_print(struct diag *d, FILE *out);

/* For programs: an array of {file,line,column,level,path,message,hint}. */
void diag_print_json(struct diag *d, FILE *out);

/*
 * The nearest of `n` names to a misspelt one: at most two edits (a letter added, left out,
 * changed, or two neighbours swapped), and at most half its length; of two as near the one with
 * which it has more of its beginning in common. NULL when none is near.
 */
const char *diag_nearest(struct slice word, const char *const *names, size_t n);

/* The edits themselves, cut off at 3. */
unsigned diag_distance(struct slice a, struct slice b);

#endif
