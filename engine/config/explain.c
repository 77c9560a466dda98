/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>

#include "engine/base/cc.h"
#include "engine/base/text.h"
#include "engine/config/diag.h"
#include "engine/config/schema_impl.h"
#include "engine/mem/arena.h"

enum {
	PATH_MAX_BYTES = 512,
	NAMES_MAX = 4 * SCHEMA_ROWS_MAX
};

/* ---- where ---- */

static void
put_path(struct text *t, const struct schema_frame *f)
{
	if (f == NULL)
		return;
	put_path(t, f->up);
	if (f->kind == SCHEMA_FRAME_ITEM)
		text_printf(t, "[%u]", f->index);
	else if (f->kind != SCHEMA_FRAME_OBJECT)
		text_printf(t, "%s" SLICE_FMT, t->len > 0 ? "." : "", SLICE_ARG(f->text));
}

const char *
schema_path(struct arena *a, const struct schema_frame *f)
{
	char buf[PATH_MAX_BYTES];
	struct text t;

	text_init(&t, buf, sizeof(buf));
	put_path(&t, f);
	return (arena_cstr(a, text_slice(&t)));
}

static const struct schema_frame *
object_above(const struct schema_frame *f)
{
	while (f != NULL && f->kind != SCHEMA_FRAME_OBJECT)
		f = f->up;
	return (f);
}

/* What an object calls itself: its name, the key it stands under, or its number in the list. */
static void
put_label(struct text *t, const struct schema_frame *f)
{
	const struct node *name = NULL;

	if (f->schema->name != NULL && f->node->kind == NODE_MAP)
		name = node_get(f->node, slice_str(f->schema->name));
	if (name != NULL && name->kind == NODE_SCALAR)
		text_printf(t, " \"%.64s\"", name->text);
	else if (f->up != NULL && f->up->kind == SCHEMA_FRAME_ENTRY)
		text_printf(t, " \"%.*s\"", (int)(f->up->text.len > 64 ? 64 : f->up->text.len),
		    f->up->text.p);
	else if (f->up != NULL && f->up->kind == SCHEMA_FRAME_ITEM)
		text_printf(t, " %u", f->up->index + 1);
}

static void
put_context(struct text *t, const struct schema_frame *f)
{
	const struct schema_frame *up;

	if (f == NULL || f->schema->noun[0] == '\0')
		return;
	text_puts(t, f->schema->noun);
	put_label(t, f);
	up = object_above(f->up);
	if (up == NULL || up->schema->noun[0] == '\0')
		return;
	text_puts(t, " of ");
	put_context(t, up);
}

const char *
schema_context(struct arena *a, const struct schema_frame *object)
{
	char buf[PATH_MAX_BYTES];
	struct text t;

	text_init(&t, buf, sizeof(buf));
	put_context(&t, object_above(object));
	return (arena_cstr(a, text_slice(&t)));
}

static void
put_subject(struct text *t, const struct schema_frame *f)
{
	if (f == NULL || f->kind == SCHEMA_FRAME_OBJECT)
		return;
	if (f->kind == SCHEMA_FRAME_ITEM)
		text_printf(t, "item %u", f->index + 1);
	else
		text_printf(t, "\"%.*s\"", (int)(f->text.len > 64 ? 64 : f->text.len), f->text.p);
	if (f->kind == SCHEMA_FRAME_KEY)
		return;
	text_puts(t, " of ");
	put_subject(t, f->up);
}

const char *
schema_subject(struct arena *a, const struct schema_frame *f)
{
	char buf[PATH_MAX_BYTES];
	const char *context = schema_context(a, f);
	struct text t;

	text_init(&t, buf, sizeof(buf));
	put_subject(&t, f);
	if (t.len == 0)
		text_puts(&t, context[0] != '\0' ? context : "the file");
	else if (context[0] != '\0')
		text_printf(&t, " in %s", context);
	return (arena_cstr(a, text_slice(&t)));
}

/* ---- unknown keys ---- */

/* The keys that may stand in a map of this schema, those of inlined ones too. */
static size_t
list_keys(const struct schema_state *st, const char **names, size_t n)
{
	for (unsigned i = 0; i < st->n_rows; i++) {
		if (st->inlines & schema_bit(i))
			n = list_keys(schema_state_of(st->rows[i].sub), names, n);
		else if (!(st->rows[i].flags & SCHEMA_WORD) && n < NAMES_MAX)
			names[n++] = st->rows[i].name;
	}
	return (n);
}

static bool
has_key(const struct schema_state *st, struct slice key)
{
	const char *names[NAMES_MAX];
	size_t n = list_keys(st, names, 0);

	for (size_t i = 0; i < n; i++)
		if (slice_eq(slice_str(names[i]), key))
			return (true);
	return (false);
}

static bool
has_word(const char *words, struct slice word)
{
	struct slice rest = slice_str(words == NULL ? "" : words), one;

	while (slice_split(&rest, ' ', &one))
		if (slice_eq(one, word))
			return (true);
	return (false);
}

/* The key that another gateway calls `word`, or NULL. */
static const char *
find_also(const struct schema_state *st, struct slice word)
{
	const char *found = NULL;

	for (unsigned i = 0; i < st->n_rows && found == NULL; i++) {
		if (st->inlines & schema_bit(i))
			found = find_also(schema_state_of(st->rows[i].sub), word);
		else if (has_word(st->rows[i].also, word))
			found = st->rows[i].name;
	}
	return (found);
}

/* The key of an object below this one that knows `key`, or NULL. */
static const char *
find_below(const struct schema_state *st, struct slice key)
{
	const char *found = NULL;

	for (unsigned i = 0; i < st->n_rows && found == NULL; i++) {
		const struct schema_row *row = &st->rows[i];

		if (row->sub == NULL)
			continue;
		if (row->type == SCHEMA_INLINE)
			found = find_below(schema_state_of(row->sub), key);
		else if (has_key(schema_state_of(row->sub), key))
			found = row->name;
	}
	return (found);
}

/* "it belongs in ..." when a level above or below knows the key; else NULL. */
static const char *
hint_level(struct arena *a, const struct schema_frame *object, struct slice key)
{
	const char *below = find_below(schema_state_of(object->schema), key), *context;

	for (const struct schema_frame *f = object_above(object->up); f != NULL;
	     f = object_above(f->up)) {
		if (!has_key(schema_state_of(f->schema), key))
			continue;
		context = schema_context(a, f);
		if (context[0] == '\0')
			return ("it belongs at the top level");
		return (arena_printf(a, "it belongs one level up, in %s", context));
	}
	if (below != NULL)
		return (arena_printf(a, "it belongs one level down, in \"%s\"", below));
	return (NULL);
}

static bool
is_upper(char c)
{
	return (c >= 'A' && c <= 'Z');
}

/* "X-From" where the map of such names is one level down, else NULL. No key of ours looks so. */
static const char *
hint_header(struct arena *a, const struct schema_state *st, struct slice key)
{
	if (key.len == 0 || (!is_upper(key.p[0]) && slice_find_byte(key, '-') < 0))
		return (NULL);
	for (unsigned i = 0; i < st->n_rows; i++)
		if (st->rows[i].type == SCHEMA_MAP && st->rows[i].key == SCHEMA_HEADER_NAME)
			return (arena_printf(
			    a, "a header field belongs in \"%s\"", st->rows[i].name));
	return (NULL);
}

uint64_t
schema_report_unknown(
    const struct schema_reader *rd, const struct schema_frame *object, const struct node *key)
{
	const struct schema_state *st = schema_state_of(object->schema);
	const struct schema_frame f = {
		.up = object, .kind = SCHEMA_FRAME_KEY, .text = node_text(key)
	};
	const char *context = schema_context(rd->arena, object), *names[NAMES_MAX];
	const char *hint = hint_level(rd->arena, object, node_text(key)), *near = NULL;
	const char *also = find_also(st, node_text(key));
	enum diag_kind before = diag_set_kind(rd->diag, DIAG_KEY);
	int meant = -1;

	if (also != NULL) {
		hint = arena_printf(rd->arena, "that is \"%s\" here", also);
		meant = schema_row_find(st, slice_str(also));
	} else if (hint == NULL) {
		hint = hint_header(rd->arena, st, node_text(key));
	}
	if (hint == NULL) {
		near = diag_nearest(node_text(key), names, list_keys(st, names, 0));
	}
	if (near != NULL) {
		hint = arena_printf(rd->arena, "did you mean \"%s\"?", near);
		meant = schema_row_find(st, slice_str(near));
	}
	diag_add(rd->diag, DIAG_ERROR, key->mark, schema_path(rd->arena, &f), hint,
	    "unknown key \"%.64s\"%s%s", key->text, context[0] != '\0' ? " in " : "", context);
	(void)diag_set_kind(rd->diag, before);
	return (meant < 0 ? 0 : schema_bit((unsigned)meant));
}
