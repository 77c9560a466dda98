/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/regex/regex.h"

#include <stdio.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH	8
#include <pcre2.h>

#include "engine/base/check.h"
#include "engine/mem/alloc.h"
#include "engine/mem/arena.h"

#define REGEX_MAGIC		0x4e6e0c11u
#define REGEX_WORK_MAGIC	0x4e6e0c12u

enum {
	JIT_STACK_FIRST = 32 * 1024, /* what PCRE2 itself takes when nobody says */
	/* A repeat of a fixed number ({64}) and a reference to a group go over bytes without a
	   call; a byte of theirs costs a quarter of a call or less. */
	SILENT_BYTES_A_STEP = 4,
	REPEAT_MAX = 65535 /* PCRE2's own, for {n} */
};

struct regex {
	unsigned magic;
	uint32_t groups;
	struct slice pattern;
	size_t silent_bytes; /* how many bytes may go by between two calls, unseen by on_item() */
	bool is_jit;
	bool is_out_of_memory; /* an allocation for this expression failed */
	size_t wanted;	       /* its bytes */
	pcre2_code *code;
	struct arena_cleanup cleanup;
};

struct regex_work {
	unsigned magic;
	const struct regex *re;
	int64_t steps; /* that are left */
	size_t at;     /* where the match was at the last call */
	pcre2_match_data *data;
	pcre2_match_context *context;
	pcre2_jit_stack *stack; /* NULL: no JIT */
};

/* ---- memory ---- */

static void *
take(size_t n, void *ctx)
{
	struct regex *re = ctx;
	void *p = mem_try_malloc(n);

	if (p == NULL && re != NULL) {
		re->is_out_of_memory = true;
		re->wanted = n;
	}
	return (p);
}

static void
give(void *p, void *ctx)
{
	(void)ctx;
	xfree(p);
}

static void
on_arena_reset(void *arg)
{
	struct regex *re;

	CAST_OBJ(re, arg, REGEX_MAGIC);
	re->magic = 0;
	pcre2_code_free(re->code);
}

/* Never NULL. */
static const char *
bytes_of(struct slice s)
{
	return (s.len == 0 ? "" : s.p);
}

/* ---- compiling ---- */

/* The largest number in braces: n of {n}, {n,} or {n,m}.  Other braces can only make it larger. */
static size_t
largest_repeat(struct slice pattern)
{
	size_t largest = 0, n = 0;
	bool is_count = false;

	for (size_t i = 0; i < pattern.len; i++) {
		char c = pattern.p[i];

		if (c == '{' || !is_count) {
			is_count = c == '{';
			n = 0;
		} else if (c >= '0' && c <= '9') {
			n = n * 10 + (size_t)(c - '0');
			n = n > REPEAT_MAX ? REPEAT_MAX : n;
			largest = n > largest ? n : largest;
		} else if (c != ',' && c != ' ') {
			is_count = false;
		}
	}
	return (largest);
}

static size_t
silent_bytes(const pcre2_code *code, struct slice pattern)
{
	uint32_t references = 0;

	(void)pcre2_pattern_info(code, PCRE2_INFO_BACKREFMAX, &references);
	return (references > 0 ? SIZE_MAX : largest_repeat(pattern));
}

/* Compiles into re; a number of PCRE2's, 0 for success. */
static int
compile(struct regex *re, struct slice pattern, enum regex_flags flags, size_t *offset_r)
{
	pcre2_general_context *general = pcre2_general_context_create(take, give, re);
	pcre2_compile_context *context =
	    general == NULL ? NULL : pcre2_compile_context_create(general);
	int number = PCRE2_ERROR_HEAP_FAILED;

	if (context != NULL) {
		(void)pcre2_set_max_pattern_length(context, REGEX_PATTERN_MAX);
		re->code = pcre2_compile((PCRE2_SPTR)bytes_of(pattern), pattern.len,
		    PCRE2_AUTO_CALLOUT | PCRE2_DOTALL | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_UTF |
			PCRE2_NEVER_UCP,
		    &number, offset_r, context);
	}
	if (re->code != NULL) {
		number = 0;
		re->is_jit = (flags & REGEX_NO_JIT) == 0 &&
		    pcre2_jit_compile(re->code, PCRE2_JIT_COMPLETE) == 0;
	}
	pcre2_compile_context_free(context);
	pcre2_general_context_free(general);
	return (number);
}

struct err *
regex_compile(struct arena *arena, struct slice pattern, struct mark mark, enum regex_flags flags,
    const struct regex **re_r)
{
	struct regex *re = arena_znew(arena, struct regex);
	size_t offset = 0;
	int number;

	re->magic = REGEX_MAGIC;
	arena_on_reset(arena, &re->cleanup, on_arena_reset, re);
	number = compile(re, pattern, flags, &offset);
	if (re->is_out_of_memory)
		mem_failed(re->wanted);
	if (number != 0) {
		PCRE2_UCHAR text[160];

		(void)pcre2_get_error_message(number, text, sizeof(text));
		return (err_new(arena, ERR_INVALID, mark,
		    "%s at byte %zu of the regular expression", (const char *)text, offset));
	}
	(void)pcre2_pattern_info(re->code, PCRE2_INFO_CAPTURECOUNT, &re->groups);
	re->silent_bytes = silent_bytes(re->code, pattern);
	re->pattern = arena_dup(arena, pattern);
	*re_r = re;
	return (NULL);
}

struct slice
regex_pattern(const struct regex *re)
{
	CHECK_OBJ(re, REGEX_MAGIC);
	return (re->pattern);
}

unsigned
regex_groups(const struct regex *re)
{
	CHECK_OBJ(re, REGEX_MAGIC);
	return (re->groups);
}

bool
regex_is_jit(const struct regex *re)
{
	CHECK_OBJ(re, REGEX_MAGIC);
	return (re->is_jit);
}

/* ---- matching ---- */

/* Before each item of the pattern that is tried.  What lies between two calls is at most a move
   over bytes, which shows in the position, and what silent_bytes() knows of. */
static int
on_item(pcre2_callout_block *block, void *ctx)
{
	struct regex_work *work;
	size_t at = block->current_position, silent;

	CAST_OBJ(work, ctx, REGEX_WORK_MAGIC);
	silent = work->re->silent_bytes;
	if (silent > block->subject_length)
		silent = block->subject_length;
	work->steps -= (int64_t)(1 + (at > work->at ? at - work->at : work->at - at) +
	    silent / SILENT_BYTES_A_STEP);
	work->at = at;
	return (work->steps < 0 ? PCRE2_ERROR_CALLOUT : 0);
}

static bool
has_jit(void)
{
	uint32_t yes = 0;

	(void)pcre2_config(PCRE2_CONFIG_JIT, &yes);
	return (yes != 0);
}

struct regex_work *
regex_work_new(void)
{
	struct regex_work *work = mem_try_calloc(1, sizeof(*work));
	pcre2_general_context *general;

	if (work == NULL)
		return (NULL);
	work->magic = REGEX_WORK_MAGIC;
	general = pcre2_general_context_create(take, give, NULL);
	if (general != NULL) {
		work->data = pcre2_match_data_create(REGEX_CAPTURES, general);
		work->context = pcre2_match_context_create(general);
		work->stack = pcre2_jit_stack_create(JIT_STACK_FIRST, REGEX_STACK_BYTES, general);
		pcre2_general_context_free(general);
	}
	if (work->data == NULL || work->context == NULL || (work->stack == NULL && has_jit())) {
		regex_work_free(&work);
		return (NULL);
	}
	(void)pcre2_set_callout(work->context, on_item, work);
	(void)pcre2_set_match_limit(work->context, UINT32_MAX); /* on_item() counts */
	(void)pcre2_set_depth_limit(work->context, UINT32_MAX); /* the heap limit bounds it */
	(void)pcre2_set_heap_limit(work->context, REGEX_STACK_BYTES / 1024);
	pcre2_jit_stack_assign(work->context, NULL, work->stack);
	return (work);
}

void
regex_work_free(struct regex_work **wp)
{
	struct regex_work *work;

	if (*wp == NULL)
		return;
	TAKE_OBJ(work, wp, REGEX_WORK_MAGIC);
	work->magic = 0;
	pcre2_jit_stack_free(work->stack);
	pcre2_match_context_free(work->context);
	pcre2_match_data_free(work->data);
	xfree(work);
}

/* n: how many pairs were set. */
static void
take_captures(struct regex_work *work, struct slice subject, size_t n,
    struct regex_captures *captures_r)
{
	const size_t *pairs = pcre2_get_ovector_pointer(work->data);

	for (size_t i = 0; i < REGEX_CAPTURES; i++) {
		size_t from = i < n ? pairs[2 * i] : PCRE2_UNSET, to = i < n ? pairs[2 * i + 1] : 0;

		captures_r->at[i] = from <= to && to <= subject.len ?
		    slice_of(subject.p + from, to - from) :
		    SLICE_NONE;
	}
}

void
regex_allow(struct regex_work *work, unsigned steps)
{
	CHECK_OBJ(work, REGEX_WORK_MAGIC);
	work->steps = steps;
}

enum regex_result
regex_search(const struct regex *re, struct regex_work *work, struct slice subject,
    struct regex_captures *captures_r)
{
	regex_allow(work, REGEX_STEPS);
	return (regex_search_within(re, work, subject, captures_r));
}

enum regex_result
regex_search_within(const struct regex *re, struct regex_work *work, struct slice subject,
    struct regex_captures *captures_r)
{
	int n;

	CHECK_OBJ(re, REGEX_MAGIC);
	CHECK_OBJ(work, REGEX_WORK_MAGIC);
	work->re = re;
	work->at = 0;
	n = pcre2_match(re->code, (PCRE2_SPTR)bytes_of(subject), subject.len, 0, 0, work->data,
	    work->context);
	if (n == PCRE2_ERROR_NOMATCH)
		return (REGEX_NO_MATCH);
	if (n < 0)
		return (REGEX_LIMIT);
	/* 0: more groups than pairs, and all pairs are set. */
	if (captures_r != NULL)
		take_captures(work, subject, n == 0 ? REGEX_CAPTURES : (size_t)n, captures_r);
	return (REGEX_MATCH);
}

/* ---- version ---- */

const char *
regex_library(void)
{
	static char text[64]; /* main thread */
	char version[32];

	if (pcre2_config(PCRE2_CONFIG_VERSION, NULL) > (int)sizeof(version))
		return ("pcre2");
	(void)pcre2_config(PCRE2_CONFIG_VERSION, version);
	version[strcspn(version, " ")] = '\0';
	(void)snprintf(text, sizeof(text), "pcre2 %s %s JIT", version,
	    has_jit() ? "with" : "without");
	return (text);
}
