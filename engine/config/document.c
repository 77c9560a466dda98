/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>

#include "engine/base/cc.h"
#include "engine/base/text.h"
#include "engine/config/schema_impl.h"

/*
 * What the rows say, for people: the table of defaults and the reference page. Schemas form a
 * tree (prepare() sees to it), so plain recursion ends.
 */

enum {
	PATH_BYTES = 256
};

/* Called for each key in the order of the tables; `path` is "routes[].timeout.connect". */
typedef void (*row_fn)(const struct schema_row *row, const char *path, FILE *out);

static void
walk(const struct schema_state *outer, struct schema *schema, const char *prefix, row_fn fn,
    FILE *out)
{
	const struct schema_state *st = schema_state_of(schema);

	for (unsigned i = 0; i < st->n_rows; i++) {
		const struct schema_row *row = &st->rows[i];
		const char *tail = row->type == SCHEMA_LIST ? "[]" :
		    row->type == SCHEMA_MAP                 ? ".NAME" :
							      "";
		char path[PATH_BYTES];

		if (row->type == SCHEMA_INLINE) {
			walk(outer, row->sub, prefix, fn, out);
			continue;
		}
		if (schema_is_shadowed(outer, st, i))
			continue;
		(void)snprintf(
		    path, sizeof(path), "%s%s%s", prefix, *prefix != '\0' ? "." : "", row->name);
		fn(row, path, out);
		if (row->sub == NULL)
			continue;
		(void)snprintf(path, sizeof(path), "%s%s%s%s", prefix, *prefix != '\0' ? "." : "",
		    row->name, tail);
		walk(schema_state_of(row->sub), row->sub, path, fn, out);
	}
}

static void
put_words(struct text *t, const struct schema_row *row)
{
	for (const struct schema_enum *e = row->names; e->name != NULL; e++)
		text_printf(t, "%s%s", e == row->names ? "" : " | ", e->name);
}

static void put_type(struct text *t, const struct schema_row *row, enum schema_type type);

/* What may stand in place of the map. */
static void
put_short_form(struct text *t, struct schema *sub)
{
	const struct schema_state *st = schema_state_of(sub);

	if (st->scalar < 0)
		return;
	put_type(t, &st->rows[st->scalar], st->rows[st->scalar].type);
	text_puts(t, " | ");
}

static void
put_type(struct text *t, const struct schema_row *row, enum schema_type type)
{
	if (type == SCHEMA_LIST || type == SCHEMA_MAP) {
		text_puts(t, type == SCHEMA_LIST ? "list of " : "map of ");
		put_type(t, row, row->elem);
		return;
	}
	if (type == SCHEMA_OBJECT)
		put_short_form(t, row->sub);
	if (type == SCHEMA_ENUM)
		put_words(t, row);
	else
		text_puts(t, schema_type_name(type));
	if (row->flags & SCHEMA_CAN_AUTO)
		text_puts(t, " | auto");
	if (row->flags & SCHEMA_UNLIMITED)
		text_puts(t, " | unlimited");
	if (row->flags & SCHEMA_CAN_OFF)
		text_puts(t, " | off");
}

static void
put_bounds(struct text *t, const struct schema_row *row)
{
	bool is_outer = row->type == SCHEMA_LIST || row->type == SCHEMA_MAP;
	enum schema_type type = is_outer ? row->elem : row->type;

	if (row->min == 0 && row->max == 0)
		return;
	if (!schema_value_is_number(type))
		type = SCHEMA_INT;
	if (row->min != 0)
		schema_number_put(row, type, row->min, t);
	text_puts(t, "..");
	if (row->max != 0)
		schema_number_put(row, type, row->max, t);
}

static const char *
default_of(const struct schema_row *row)
{
	const struct schema_state *st;

	if (row->def != NULL)
		return (row->def);
	if (row->type == SCHEMA_OBJECT && (row->flags & SCHEMA_ALWAYS)) {
		st = schema_state_of(row->sub);
		if (st->scalar >= 0 && st->rows[st->scalar].def != NULL)
			return (st->rows[st->scalar].def);
	}
	return ((row->flags & (SCHEMA_REQUIRED | SCHEMA_PER_ROOT)) ? "required" : "-");
}

static const char *
help_of(const struct schema_row *row)
{
	return (row->help != NULL ? row->help : "");
}

static void
print_default(const struct schema_row *row, const char *path, FILE *out)
{
	char type[256], bounds[64];
	struct text t, b;

	if (row->flags & SCHEMA_WORD)
		return;
	text_init(&t, type, sizeof(type));
	text_init(&b, bounds, sizeof(bounds));
	put_type(&t, row, row->type);
	put_bounds(&b, row);
	fprintf(out, "%-44s %-24s %-12s %-14s %s%s\n", path, text_cstr(&t), default_of(row),
	    text_cstr(&b), help_of(row), (row->flags & SCHEMA_DEPRECATED) ? " (deprecated)" : "");
}

void
schema_print_defaults(struct schema *root, FILE *out)
{
	fprintf(out, "%-44s %-24s %-12s %-14s %s\n", "key", "type", "default", "bounds", "meaning");
	walk(schema_state_of(root), root, "", print_default, out);
}

/* ---- reference page ---- */

/* "|" ends a cell of a table. */
static void
print_cell(const char *s, FILE *out)
{
	for (; *s != '\0'; s++)
		fprintf(out, *s == '|' ? "\\%c" : "%c", *s);
}

static void
print_reference_row(const struct schema_row *row, const char *path, FILE *out)
{
	char type[256], bounds[64];
	struct text t, b;

	if (row->flags & SCHEMA_WORD)
		return;
	text_init(&t, type, sizeof(type));
	text_init(&b, bounds, sizeof(bounds));
	put_type(&t, row, row->type);
	put_bounds(&b, row);
	fprintf(out, "| `%s` | ", path);
	print_cell(text_cstr(&t), out);
	fprintf(out, " | %s | %s | ", default_of(row), text_cstr(&b));
	print_cell(help_of(row), out);
	if (row->flags & SCHEMA_DEPRECATED)
		fprintf(out, " (deprecated: %s)", row->note != NULL ? row->note : "");
	fputs(" |\n", out);
}

void
schema_print_reference(struct schema *root, FILE *out)
{
	fputs(
	    "| key | type | default | bounds | meaning |\n| --- | --- | --- | --- | --- |\n", out);
	walk(schema_state_of(root), root, "", print_reference_row, out);
}
