/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/check.h"
#include "engine/base/text.h"
#include "engine/config/diag.h"
#include "engine/mem/arena.h"

enum {
	LINE_MAX_SHOWN = 120, /* characters of a long line that are shown around the caret */
	WORD_MAX = 64,        /* longer words get no suggestion */
	MESSAGE_MAX = 1024,
};

struct diag_source {
	struct diag_source *next;
	const char *name;
	struct slice text;
	unsigned order;
};

struct diag_entry {
	struct diag_item item;
	unsigned order; /* of the file */
	unsigned added;
};

struct diag {
	unsigned magic;
#define DIAG_MAGIC 0xd1a90001U
	struct arena *arena;
	struct diag_source *sources;
	unsigned n_sources;
	struct diag_entry entries[2 * DIAG_MAX];
	size_t kept[DIAG_LEVEL__MAX];
	size_t seen[DIAG_LEVEL__MAX];
	size_t count;
	enum diag_kind kind;
	bool is_sorted;
};

static const char *const level_names[DIAG_LEVEL__MAX] = { "error", "warning" };
static const char *const kind_names[DIAG_KIND__MAX] = {
	[DIAG_KEY] = "key",
	[DIAG_MISSING] = "missing",
	[DIAG_CONFLICT] = "conflict",
	[DIAG_TYPE] = "type",
	[DIAG_FORM] = "form",
	[DIAG_BOUND] = "bound",
	[DIAG_VALUE] = "value",
	[DIAG_SYNTAX] = "syntax",
	[DIAG_RULE] = "rule",
};

struct diag *
diag_new(struct arena *arena)
{
	struct diag *d = arena_znew(arena, struct diag);

	d->magic = DIAG_MAGIC;
	d->arena = arena;
	d->kind = DIAG_RULE;
	return (d);
}

enum diag_kind
diag_set_kind(struct diag *d, enum diag_kind kind)
{
	enum diag_kind before = d->kind;

	CHECK_OBJ(d, DIAG_MAGIC);
	d->kind = kind;
	return (before);
}

void
diag_add_source(struct diag *d, const char *name, struct slice text)
{
	struct diag_source *s = arena_znew(d->arena, struct diag_source);

	CHECK_OBJ(d, DIAG_MAGIC);
	s->name = name;
	s->text = text;
	s->order = ++d->n_sources;
	s->next = d->sources;
	d->sources = s;
}

static const struct diag_source *
find_source(const struct diag *d, const char *name)
{
	for (const struct diag_source *s = d->sources; s != NULL; s = s->next)
		if (s->name == name)
			return (s);
	return (NULL);
}

static bool
is_kept(const struct diag *d, const struct diag_item *item, const char *message)
{
	for (size_t i = 0; i < d->count; i++) {
		const struct diag_item *other = &d->entries[i].item;

		if (other->level == item->level && other->mark.file == item->mark.file &&
		    other->mark.line == item->mark.line && other->mark.col == item->mark.col &&
		    strcmp(other->message, message) == 0)
			return (true);
	}
	return (false);
}

static void
add(struct diag *d, struct diag_item item, const char *fmt, va_list ap)
{
	const struct diag_source *src = find_source(d, item.mark.file);
	char message[MESSAGE_MAX];
	struct diag_entry *e;

	CHECK_OBJ(d, DIAG_MAGIC);
	(void)vsnprintf(message, sizeof(message), fmt, ap);
	/* A value that is read for each listener is wrong once. */
	if (item.mark.file != NULL && is_kept(d, &item, message))
		return;
	d->seen[item.level]++;
	if (d->kept[item.level] == DIAG_MAX)
		return;
	d->kept[item.level]++;
	e = &d->entries[d->count++];
	e->item = item;
	e->item.kind = d->kind;
	e->item.message = arena_cstr(d->arena, slice_str(message));
	e->item.path = item.path == NULL ? "" : arena_cstr(d->arena, slice_str(item.path));
	e->item.hint = item.hint == NULL ? NULL : arena_cstr(d->arena, slice_str(item.hint));
	e->order = src != NULL ? src->order : 0;
	e->added = (unsigned)d->count;
	d->is_sorted = false;
}

void
diag_add(struct diag *d, enum diag_level level, struct mark mark, const char *path,
    const char *hint, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(d, (struct diag_item){ .level = level, .mark = mark, .path = path, .hint = hint }, fmt,
	    ap);
	va_end(ap);
}

void
diag_error(struct diag *d, struct mark mark, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(d, (struct diag_item){ .level = DIAG_ERROR, .mark = mark }, fmt, ap);
	va_end(ap);
}

void
diag_warn(struct diag *d, struct mark mark, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(d, (struct diag_item){ .level = DIAG_WARNING, .mark = mark }, fmt, ap);
	va_end(ap);
}

size_t
diag_errors(const struct diag *d)
{
	return (d->seen[DIAG_ERROR]);
}

size_t
diag_warnings(const struct diag *d)
{
	return (d->seen[DIAG_WARNING]);
}

size_t
diag_count(const struct diag *d)
{
	return (d->count);
}

static int
compare(const void *a, const void *b)
{
	const struct diag_entry *x = a, *y = b;

	if (x->order != y->order)
		return (x->order < y->order ? -1 : 1);
	if (x->item.mark.line != y->item.mark.line)
		return (x->item.mark.line < y->item.mark.line ? -1 : 1);
	if (x->item.mark.col != y->item.mark.col)
		return (x->item.mark.col < y->item.mark.col ? -1 : 1);
	return (x->added < y->added ? -1 : 1);
}

const struct diag_item *
diag_at(struct diag *d, size_t i)
{
	CHECK_OBJ(d, DIAG_MAGIC);
	must(i < d->count);
	if (!d->is_sorted)
		qsort(d->entries, d->count, sizeof(d->entries[0]), compare);
	d->is_sorted = true;
	return (&d->entries[i].item);
}

/* ---- printing ---- */

static bool
find_line(struct slice text, uint32_t line, struct slice *line_r)
{
	while (line > 1) {
		ssize_t end = slice_find_byte(text, '\n');

		if (end < 0)
			return (false);
		text = slice_skip(text, (size_t)end + 1);
		line--;
	}
	if (text.len == 0)
		return (false); /* behind the last line */
	if (!slice_split(&text, '\n', line_r))
		return (false);
	if (line_r->len > 0 && line_r->p[line_r->len - 1] == '\r')
		line_r->len--;
	return (true);
}

static bool
is_continuation(char c)
{
	return (((unsigned char)c & 0xc0) == 0x80);
}

/* Skips `n` characters. */
static struct slice
skip_characters(struct slice s, size_t n)
{
	size_t i = 0;

	for (; i < s.len; i++)
		if (!is_continuation(s.p[i]) && n-- == 0)
			break;
	return (slice_skip(s, i));
}

/* Bytes that a terminal must not see become question marks. */
static void
put_clean(FILE *out, struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.p[i];

		fputc((c < 0x20 && c != '\t') || c == 0x7f ? '?' : c, out);
	}
}

/* The part of the line around column `col` and, under it, a caret. */
static void
print_line(FILE *out, struct slice line, uint32_t number, uint32_t col)
{
	size_t before = col > 0 ? col - 1 : 0, start = 0;
	struct slice shown, rest;

	if (before > LINE_MAX_SHOWN / 2)
		start = before - LINE_MAX_SHOWN / 2;
	shown = skip_characters(line, start);
	rest = skip_characters(shown, LINE_MAX_SHOWN);
	shown.len -= rest.len;
	fprintf(out, "%5u | %s", number, start > 0 ? "..." : "");
	put_clean(out, shown);
	fprintf(out, "%s\n      | %s", rest.len > 0 ? "..." : "", start > 0 ? "   " : "");
	for (size_t i = 0, at = 0; at < before - start && i < shown.len; i++) {
		if (is_continuation(shown.p[i]))
			continue;
		fputc(shown.p[i] == '\t' ? '\t' : ' ', out);
		at++;
	}
	fputs("^\n", out);
}

static void
print_item(struct diag *d, const struct diag_item *it, FILE *out)
{
	const struct diag_source *src = find_source(d, it->mark.file);
	struct slice line;

	if (it->mark.file != NULL)
		fprintf(out, "%s:", it->mark.file);
	if (it->mark.file != NULL && it->mark.line > 0)
		fprintf(out, "%u:%u:", it->mark.line, it->mark.col);
	fprintf(out, "%s%s: ", it->mark.file != NULL ? " " : "", level_names[it->level]);
	put_clean(out, slice_str(it->message));
	if (it->hint != NULL) {
		fputs("; ", out);
		put_clean(out, slice_str(it->hint));
	}
	fputc('\n', out);
	if (src != NULL && it->mark.line > 0 && find_line(src->text, it->mark.line, &line))
		print_line(out, line, it->mark.line, it->mark.col);
}

void
diag_print(struct diag *d, FILE *out)
{
	size_t more = d->seen[DIAG_ERROR] - d->kept[DIAG_ERROR];

	CHECK_OBJ(d, DIAG_MAGIC);
	for (size_t i = 0; i < d->count; i++)
		print_item(d, diag_at(d, i), out);
	if (more > 0)
		fprintf(out, "and %zu more error%s\n", more, more == 1 ? "" : "s");
}

static void
put_json(FILE *out, const char *s)
{
	char buf[MESSAGE_MAX * 6];
	struct text t;

	if (s == NULL) {
		fputs("null", out);
		return;
	}
	text_init(&t, buf, sizeof(buf));
	text_json(&t, slice_str(s));
	fputc('"', out);
	(void)fwrite(t.p, 1, t.len, out);
	fputc('"', out);
}

void
diag_print_json(struct diag *d, FILE *out)
{
	CHECK_OBJ(d, DIAG_MAGIC);
	fputc('[', out);
	for (size_t i = 0; i < d->count; i++) {
		const struct diag_item *it = diag_at(d, i);

		fprintf(out, "%s\n  {\"file\":", i > 0 ? "," : "");
		put_json(out, it->mark.file);
		fprintf(out, ",\"line\":%u,\"column\":%u", it->mark.line, it->mark.col);
		fprintf(out, ",\"level\":\"%s\",\"kind\":\"%s\",\"path\":",
		    level_names[it->level], kind_names[it->kind]);
		put_json(out, it->path);
		fputs(",\"message\":", out);
		put_json(out, it->message);
		fputs(",\"hint\":", out);
		put_json(out, it->hint);
		fputc('}', out);
	}
	fputs(d->count > 0 ? "\n]\n" : "]\n", out);
}

/* ---- nearest names ---- */

/* Damerau-Levenshtein, the form in which a text is edited once at each place. */
unsigned
diag_distance(struct slice a, struct slice b)
{
	unsigned rows[3][WORD_MAX + 1];
	unsigned *old = rows[0], *prev = rows[1], *now = rows[2], *spare;
	size_t gap = a.len > b.len ? a.len - b.len : b.len - a.len;

	if (gap > 2 || a.len > WORD_MAX || b.len > WORD_MAX)
		return (3);
	for (unsigned j = 0; j <= b.len; j++)
		prev[j] = j;
	for (size_t i = 1; i <= a.len; i++) {
		now[0] = (unsigned)i;
		for (size_t j = 1; j <= b.len; j++) {
			unsigned best = prev[j - 1] + (a.p[i - 1] != b.p[j - 1]);

			best = prev[j] + 1 < best ? prev[j] + 1 : best;
			best = now[j - 1] + 1 < best ? now[j - 1] + 1 : best;
			if (i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] &&
			    a.p[i - 2] == b.p[j - 1] && old[j - 2] + 1 < best)
				best = old[j - 2] + 1;
			now[j] = best;
		}
		spare = old;
		old = prev;
		prev = now;
		now = spare;
	}
	return (prev[b.len] > 3 ? 3 : prev[b.len]);
}

static size_t
same_bytes(struct slice a, const char *b)
{
	size_t n = 0;

	while (n < a.len && b[n] == a.p[n])
		n++;
	return (n);
}

const char *
diag_nearest(struct slice word, const char *const *names, size_t n)
{
	const char *best = NULL;
	unsigned best_distance = 3;

	for (size_t i = 0; i < n; i++) {
		struct slice name = slice_str(names[i]);
		unsigned d = diag_distance(word, name);

		/* Two edits make any short word of another. */
		if (d * 2 > (word.len > name.len ? word.len : name.len))
			continue;
		if (d < best_distance || (d == best_distance && best != NULL &&
		    same_bytes(word, names[i]) > same_bytes(word, best))) {
			best = names[i];
			best_distance = d;
		}
	}
	return (best);
}
