/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Regular expressions: PCRE2's, of bytes, run against what a stranger sends.
 *
 * The dialect.  PCRE2 with these settings, because a path or a field's value is one string without
 * lines: no UTF (a character is a byte, \w is ASCII), `.` is any byte, `$` is the end only.  A
 * search: what is to be at the start is written with `^`.
 *
 * The cost.  A match takes at most REGEX_STEPS steps: one for each item of the pattern that is
 * tried and one for each byte that the match moves to and fro.  Then it ends as REGEX_LIMIT,
 * whatever the pattern: below half a millisecond with JIT, below a millisecond without.  The count
 * depends on pattern and subject only, so what ends so once ends so always.
 */
#ifndef WEIR_REGEX_REGEX_H
#define WEIR_REGEX_REGEX_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/base/cc.h"
#include "engine/base/slice.h"
#include "engine/mem/err.h"

struct arena;
struct regex;	   /* one expression; immutable: any number of threads match with it at a time */
struct regex_work; /* what a match needs beside it; one thread at a time */

enum {
	REGEX_PATTERN_MAX = 4096, /* far above what a person reads; bounds what is compiled */
	REGEX_STEPS = 50000,	  /* measured: 2 to 5 ns each with JIT, up to 12 ns without */
	REGEX_STACK_BYTES = 512 * 1024, /* what a match may remember; touched only then */
	REGEX_CAPTURES = 10	  /* $0 to $9 */
};

enum regex_flags {
	REGEX_DEFAULT = 0,
	REGEX_NO_JIT = 1 /* as where the system gives no memory for code; for tests */
};

enum regex_result {
	REGEX_MATCH,
	REGEX_NO_MATCH,
	REGEX_LIMIT /* not known: too many steps, or too deep; the caller fails closed */
};

/* $0 to $9, slices of the subject, also where they matched nothing; those that took no part, or do
   not exist, are SLICE_NONE. */
struct regex_captures {
	struct slice at[REGEX_CAPTURES];
};

/*
 * At load, on the main thread.  The pattern is copied.  What the expression takes from the
 * allocator goes with the arena (ARENA_X; no memory: as arena_alloc()).  Error: what is wrong and
 * at which byte.  Where the system gives no memory for code the expression is interpreted, which is
 * some times slower.
 */
struct err *regex_compile(struct arena *arena, struct slice pattern, struct mark mark,
    enum regex_flags flags, const struct regex **re_r) CC_MUST_USE;

/* The pattern, for messages. */
struct slice regex_pattern(const struct regex *re);

/* How many groups capture: 3 means that $1, $2 and $3 exist. */
unsigned regex_groups(const struct regex *re);

/* Is it compiled to code? */
bool regex_is_jit(const struct regex *re);

/* At the start of a worker.  NULL: no memory. */
struct regex_work *regex_work_new(void) CC_MUST_USE;
void regex_work_free(struct regex_work **wp); /* *wp may be NULL */

/*
 * Does re match anywhere in subject?  captures_r (may be NULL) is written for REGEX_MATCH only.
 * Never blocks; allocates nothing with JIT, and without it only while `work` has not yet grown (to
 * REGEX_STACK_BYTES at most) to what the deepest match so far needed.
 */
enum regex_result regex_search(const struct regex *re, struct regex_work *work,
    struct slice subject, struct regex_captures *captures_r);

/*
 * A search that is one of several, which together may take as many steps as regex_allow() said:
 * what a request may cost that is tried against any number of expressions.
 */
void regex_allow(struct regex_work *work, unsigned steps);
enum regex_result regex_search_within(const struct regex *re, struct regex_work *work,
    struct slice subject, struct regex_captures *captures_r);

/* The library below, as in "pcre2 10.42 with JIT"; for `version`. */
const char *regex_library(void);

#endif
