/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "ctl/ctl.h"

void
ctl_complain(const char *fmt, ...)
{
	va_list ap;

	fputs("weirctl: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputs("\n", stderr);
}

/* A copy without control characters, but for those that are kept. */
static char *
make_safe(struct ctl *c, struct slice s, const char *kept)
{
	char *safe = arena_cstr(c->arena, s);

	for (size_t i = 0; i < s.len; i++) {
		unsigned char b = (unsigned char)safe[i];

		/* the control characters of ASCII, and, in two bytes, those of Latin 1 */
		if ((b < ' ' || b == 0x7f) && (b == '\0' || strchr(kept, b) == NULL))
			safe[i] = '?';
		else if (b == 0xc2 && i + 1 < s.len && (unsigned char)safe[i + 1] < 0xa0)
			safe[i] = safe[i + 1] = '?';
	}
	return (safe);
}

const char *
ctl_text(struct ctl *c, const json_t *string)
{
	const char *s = json_string_value(string);

	if (s == NULL)
		return ("-");
	return (make_safe(c, slice_of(s, json_string_length(string)), ""));
}

const char *
ctl_name(struct ctl *c, const char *key)
{
	return (make_safe(c, slice_str(key), ""));
}

void
ctl_put_lines(struct ctl *c, struct slice text)
{
	(void)fwrite(make_safe(c, text, "\n\t"), 1, text.len, stdout);
}

const char *
ctl_number(struct ctl *c, const json_t *integer)
{
	if (!json_is_integer(integer))
		return ("-");
	return (arena_printf(c->arena, "%lld", (long long)json_integer_value(integer)));
}

/* ---- tables ---- */

void
ctl_table_init(struct ctl_table *t, struct ctl *c, unsigned n_columns, unsigned right,
    const char *const *heading)
{
	*t = (struct ctl_table){ .ctl = c, .n_columns = n_columns, .right = right };
	for (unsigned i = 0; i < n_columns; i++)
		ctl_table_add(t, heading[i]);
}

void
ctl_table_add(struct ctl_table *t, const char *cell)
{
	enum { FIRST_CAP = 64 };

	if (t->n == t->cap) {
		unsigned cap = t->cap == 0 ? FIRST_CAP : t->cap * 2;
		const char **grown = arena_zarray(t->ctl->arena, cap, sizeof *grown);

		if (t->n > 0)
			memcpy(grown, t->cells, t->n * sizeof *grown);
		t->cells = grown;
		t->cap = cap;
	}
	t->cells[t->n++] = cell;
}

/* Characters, each of which takes one place: of UTF-8 the bytes that begin one. */
static size_t
width_of(const char *s)
{
	size_t n = 0;

	for (; *s != '\0'; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return (n);
}

static void
put_cell(const char *s, size_t width, bool is_right, bool is_last)
{
	int pad = (int)(width - width_of(s));

	if (is_right)
		printf("%*s%s", pad, "", s);
	else
		printf("%s%*s", s, is_last ? 0 : pad, "");
	fputs(is_last ? "\n" : "  ", stdout);
}

void
ctl_table_print(const struct ctl_table *t)
{
	size_t width[CTL_COLUMNS_MAX] = { 0 };

	for (unsigned i = 0; i < t->n; i++) {
		size_t n = width_of(t->cells[i]);

		if (n > width[i % t->n_columns])
			width[i % t->n_columns] = n;
	}
	for (unsigned i = 0; i < t->n; i++) {
		unsigned k = i % t->n_columns;

		put_cell(t->cells[i], width[k], t->right >> k & 1, k + 1 == t->n_columns);
	}
}
