/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>

#include "engine/base/check.h"
#include "engine/config/schema_impl.h"
#include "engine/mem/arena.h"

/* ---- show: the values in force and where they come from ---- */

static void show_object(const struct schema_obj *obj, int depth, bool is_in_item, FILE *out);

static void
indent(int depth, FILE *out)
{
	fprintf(out, "%*s", depth * 2, "");
}

static void
show_origin(const struct node *n, FILE *out)
{
	if (n != NULL && n->mark.file != NULL)
		fprintf(out, "  # %s:%u\n", n->mark.file, n->mark.line);
	else
		fputs("  # default\n", out);
}

static bool
is_block(const struct schema_row *row)
{
	return (row->elem == SCHEMA_OBJECT);
}

static bool
has_rows(const struct schema_state *outer, const struct schema_obj *obj)
{
	const struct schema_state *st = schema_state_of(obj->schema);

	for (unsigned i = 0; i < st->n_rows; i++) {
		if (st->inlines & schema_bit(i)) {
			if (has_rows(outer, schema_slot(st, obj, i)))
				return (true);
		} else if (!schema_is_absent(st, obj, i) && !schema_is_shadowed(outer, st, i)) {
			return (true);
		}
	}
	return (false);
}

/* The rest of the line after "key:", then the object below it. */
static void
show_below(const struct schema_obj *obj, const struct node *n, int depth, FILE *out)
{
	bool has_any = has_rows(schema_state_of(obj->schema), obj);

	fputs(has_any ? "" : " {}", out);
	show_origin(n, out);
	if (has_any)
		show_object(obj, depth, false, out);
}

static void
show_flat_list(const struct schema_row *row, const struct schema_list *l, FILE *out)
{
	size_t size = schema_value_size(row->elem);

	fputc('[', out);
	for (uint32_t i = 0; i < l->count; i++) {
		fputs(i > 0 ? ", " : "", out);
		schema_value_print(row, row->elem, (const char *)l->items + i * size, out);
	}
	fputc(']', out);
}

static void
show_list(const struct schema_row *row, const struct schema_list *l, const struct node *n,
    int depth, FILE *out)
{
	if (!is_block(row) || l->count == 0) {
		fputc(' ', out);
		show_flat_list(row, l, out);
		show_origin(n, out);
		return;
	}
	show_origin(n, out);
	for (uint32_t i = 0; i < l->count; i++) {
		indent(depth + 1, out);
		fputs("- ", out);
		show_object(SCHEMA_OBJ_AT(struct schema_obj, *l, i), depth + 2, true, out);
	}
}

int
schema_word(const struct schema_obj *obj)
{
	const struct schema_state *st = schema_state_of(obj->schema);
	unsigned i = (unsigned)st->scalar;

	if (st->scalar < 0 || !(st->rows[i].flags & SCHEMA_WORD) ||
	    (obj->present & ~schema_bit(i)) != 0)
		return (-1);
	return (st->scalar);
}

static bool
show_word(const struct schema_obj *obj, const struct node *n, FILE *out)
{
	const struct schema_state *st = schema_state_of(obj->schema);
	int i = schema_word(obj);

	if (i < 0)
		return (false);
	fputc(' ', out);
	schema_value_print(
	    &st->rows[i], st->rows[i].type, schema_slot(st, obj, (unsigned)i), out);
	show_origin(n, out);
	return (true);
}

static void
show_map(const struct schema_row *row, const struct schema_map *m, const struct node *n, int depth,
    FILE *out)
{
	size_t size = schema_value_size(row->elem);
	const struct schema_obj *obj;

	if (m->count == 0) {
		fputs(" {}", out);
		show_origin(n, out);
		return;
	}
	show_origin(n, out);
	for (uint32_t i = 0; i < m->count; i++) {
		const struct node *entry = m->nodes != NULL ? m->nodes[i] : NULL;

		indent(depth + 1, out);
		schema_print_text(m->keys[i], out);
		fputc(':', out);
		if (is_block(row)) {
			obj = SCHEMA_OBJ_AT(struct schema_obj, *m, i);
			if (!show_word(obj, entry, out))
				show_below(obj, entry, depth + 2, out);
			continue;
		}
		fputc(' ', out);
		schema_value_print(row, row->elem, (const char *)m->items + i * size, out);
		show_origin(entry, out);
	}
}

bool
schema_is_absent(const struct schema_state *st, const struct schema_obj *obj, unsigned i)
{
	const struct schema_row *row = &st->rows[i];
	const void *v = schema_slot(st, obj, i);
	const void *p = NULL;

	if (obj->off & schema_bit(i))
		return (false);
	if (v == NULL || (row->flags & SCHEMA_WORD))
		return (true);
	if (row->type == SCHEMA_OBJECT) {
		memcpy(&p, v, sizeof(p));
		return (p == NULL);
	}
	return (!(obj->present & schema_bit(i)) && row->def == NULL);
}

static void
show_row(
    const struct schema_state *st, const struct schema_obj *obj, unsigned i, int depth, FILE *out)
{
	const struct schema_row *row = &st->rows[i];
	const struct node *n = schema_row_node(st, obj, i);
	const struct schema_obj *sub;
	const void *v = schema_slot(st, obj, i);

	fprintf(out, "%s:", row->name);
	if (obj->off & schema_bit(i)) {
		fputs(" off", out);
		show_origin(n, out);
	} else if (row->type == SCHEMA_LIST) {
		show_list(row, v, n, depth, out);
	} else if (row->type == SCHEMA_MAP) {
		show_map(row, v, n, depth, out);
	} else if (row->type == SCHEMA_OBJECT) {
		memcpy(&sub, v, sizeof(sub));
		if (show_word(sub, n, out))
			return;
		show_below(sub, n, depth + 1, out);
	} else {
		fputc(' ', out);
		schema_value_print(row, row->type, v, out);
		show_origin(n, out);
	}
}

/*
 * `is_first`: the line has begun already ("- "). Returns whether it still has. `outer` is the
 * object that inlines this one, or this one.
 */
static bool
show_rows(const struct schema_state *outer, const struct schema_obj *obj, int depth, bool is_first,
    FILE *out)
{
	const struct schema_state *st = schema_state_of(obj->schema);

	for (unsigned i = 0; i < st->n_rows; i++) {
		if (st->inlines & schema_bit(i)) {
			is_first = show_rows(outer, schema_slot(st, obj, i), depth, is_first, out);
			continue;
		}
		if (schema_is_absent(st, obj, i) || schema_is_shadowed(outer, st, i))
			continue;
		if (!is_first)
			indent(depth, out);
		is_first = false;
		show_row(st, obj, i, depth, out);
	}
	return (is_first);
}

static void
show_object(const struct schema_obj *obj, int depth, bool is_in_item, FILE *out)
{
	CHECK_OBJ(obj, SCHEMA_OBJ_MAGIC);
	if (show_rows(schema_state_of(obj->schema), obj, depth, is_in_item, out) && is_in_item)
		fputs("{}\n", out);
}

void
schema_show(const struct schema_obj *obj, FILE *out)
{
	show_object(obj, 0, false, out);
}

/* ---- one by one ---- */

struct each {
	struct arena *arena;
	schema_each_fn *fn;
	void *arg;
};

static void each_row(const struct each *e, const struct schema_state *outer,
    const struct schema_obj *obj, const char *above);

static const char *
value_text(const struct each *e, const struct schema_row *row, const void *v)
{
	/* Longer ones are cut. Nothing may be held when the arena runs into a trap. */
	char buf[512] = "";
	FILE *out = fmemopen(buf, sizeof(buf) - 1, "w");

	if (out == NULL)
		return ("");
	schema_value_print(row, row->type, v, out);
	(void)fclose(out);
	return (arena_cstr(e->arena, slice_str(buf)));
}

static void
tell(const struct each *e, const char *path, const char *value, const struct node *n)
{
	e->fn(e->arg, path, value, n == NULL ? MARK_NONE : n->mark);
}

static void
each_value(const struct each *e, const struct schema_state *st, const struct schema_obj *obj,
    unsigned i, const char *path)
{
	const struct schema_row *row = &st->rows[i];
	const struct node *n = schema_row_node(st, obj, i);
	const struct schema_state *below;
	const struct schema_obj *sub;
	const void *v = schema_slot(st, obj, i);

	if (obj->off & schema_bit(i)) {
		tell(e, path, "off", n);
	} else if (row->type == SCHEMA_OBJECT) {
		memcpy(&sub, v, sizeof(sub));
		below = schema_state_of(sub->schema);
		if (schema_word(sub) >= 0)
			tell(e, path, value_text(e, &below->rows[below->scalar],
			    schema_slot(below, sub, (unsigned)below->scalar)), n);
		else
			each_row(e, below, sub, path);
	} else if (row->type != SCHEMA_LIST && row->type != SCHEMA_MAP) {
		tell(e, path, value_text(e, row, v), n);
	}
}

static void
each_row(const struct each *e, const struct schema_state *outer, const struct schema_obj *obj,
    const char *above)
{
	const struct schema_state *st = schema_state_of(obj->schema);

	for (unsigned i = 0; i < st->n_rows; i++) {
		if (st->inlines & schema_bit(i))
			each_row(e, outer, schema_slot(st, obj, i), above);
		else if (!schema_is_absent(st, obj, i) && !schema_is_shadowed(outer, st, i))
			each_value(e, st, obj, i, arena_printf(e->arena, "%s%s%s", above,
			    *above != '\0' ? "." : "", st->rows[i].name));
	}
}

void
schema_each(struct arena *arena, const struct schema_obj *obj, schema_each_fn *fn, void *arg)
{
	const struct each e = { arena, fn, arg };

	CHECK_OBJ(obj, SCHEMA_OBJ_MAGIC);
	each_row(&e, schema_state_of(obj->schema), obj, "");
}
