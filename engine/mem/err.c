/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/mem/err.h"

#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include "engine/base/text.h"
#include "engine/mem/arena.h"

static struct err err_no_memory = {ERR_MEMORY, {NULL, 0, 0}, "out of memory", NULL, NULL};

static const char *const err_names[ERR__MAX] = {
	[ERR_INVALID] = "invalid",
	[ERR_SYNTAX] = "syntax",
	[ERR_UNKNOWN] = "unknown",
	[ERR_DUPLICATE] = "duplicate",
	[ERR_MISSING] = "missing",
	[ERR_CONFLICT] = "conflict",
	[ERR_UNUSED] = "unused",
	[ERR_LIMIT] = "limit",
	[ERR_SYSTEM] = "system",
	[ERR_MEMORY] = "memory",
	[ERR_STATE] = "state",
};

struct err *
err_memory(void)
{
	return (&err_no_memory);
}

const char *
err_code_name(enum err_code code)
{
	return ((unsigned)code < ERR__MAX ? err_names[code] : "unknown");
}

static struct err *
err_make(struct arena *arena, struct err proto, const char *what)
{
	struct err *err = what == NULL ? NULL : arena_znew(arena, struct err);

	if (err == NULL)
		return (&err_no_memory);
	*err = proto;
	err->what = what;
	err->arena = arena;
	return (err);
}

struct err *
err_new(struct arena *arena, enum err_code code, struct mark mark, const char *fmt, ...)
{
	struct err proto = {.code = code, .mark = mark};
	const char *what;
	va_list ap;

	va_start(ap, fmt);
	what = arena_vprintf(arena, fmt, ap);
	va_end(ap);
	return (err_make(arena, proto, what));
}

struct err *
err_because(struct err *cause, const char *fmt, ...)
{
	struct err proto = {.code = cause->code, .mark = cause->mark, .cause = cause};
	const char *what;
	va_list ap;

	/* a constant has no arena to put a sentence in */
	if (cause->arena == NULL)
		return (cause);
	va_start(ap, fmt);
	what = arena_vprintf(cause->arena, fmt, ap);
	va_end(ap);
	return (err_make(cause->arena, proto, what));
}

struct err *
err_system(struct arena *arena, int number, const char *fmt, ...)
{
	struct err proto = {.code = ERR_SYSTEM};
	char buf[128];
	const char *what;
	va_list ap;

	va_start(ap, fmt);
	what = arena_vprintf(arena, fmt, ap);
	va_end(ap);
	if (what != NULL)
		what = arena_printf(arena, "%s: %s", what, strerror_r(number, buf, sizeof(buf)));
	return (err_make(arena, proto, what));
}

static void
err_put_mark(struct text *out, struct mark mark)
{
	if (mark.file == NULL)
		return;
	text_puts(out, mark.file);
	if (mark.line > 0) {
		text_putc(out, ':');
		text_u64(out, mark.line);
		text_putc(out, ':');
		text_u64(out, mark.col);
	}
	text_puts(out, ": ");
}

void
err_format(const struct err *err, struct text *out)
{
	err_put_mark(out, err->mark);
	text_puts(out, "error");
	for (; err != NULL; err = err->cause) {
		text_puts(out, ": ");
		text_puts(out, err->what);
	}
}
