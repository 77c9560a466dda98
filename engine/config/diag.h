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

/*
 * What is wrong in general. What is of the first six the JSON Schema refuses too
 * (json_schema.c); of the others it knows nothing.
 */
enum diag_kind {
	DIAG_KEY,      /* a key that is not known here */
	DIAG_MISSING,  /* a key that must be there */
	DIAG_CONFLICT, /* keys that exclude each other */
	DIAG_TYPE,     /* a map, a list, a number... where another of them is due */
	DIAG_FORM,     /* a text that is not written as its type wants it: no unit, no path */
	DIAG_BOUND,    /* a number or a count out of bounds */
	DIAG_VALUE,    /* written well, and refused: a size out of bounds, an address, a file */
	DIAG_SYNTAX,   /* no YAML, or none that the language takes; a file that cannot be read */
	DIAG_RULE,     /* between keys: names without a meaning, routes that tie */
	DIAG_KIND__MAX
};

struct diag_item {
	enum diag_level level;
	enum diag_kind kind;
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

/* What is added from now on is of this kind, DIAG_RULE at the start; returns the one before. */
enum diag_kind diag_set_kind(struct diag *d, enum diag_kind kind);

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

/* For programs: an array of {file,line,column,level,kind,path,message,hint}. */
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
