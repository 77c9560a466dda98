/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>

#include "engine/base/cc.h"
#include "engine/base/text.h"
#include "engine/config/schema_impl.h"

/*
 * What the rows say, for people and for editors: the table of defaults, the reference page and
 * the JSON Schema. Schemas form a tree (prepare() sees to it), so plain recursion ends.
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
	return ((row->flags & SCHEMA_REQUIRED) ? "required" : "-");
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

/* ---- JSON Schema ---- */

static void json_object(struct schema *schema, FILE *out);

static void
json_string(const char *s, FILE *out)
{
	char buf[2048];
	struct text t;

	text_init(&t, buf, sizeof(buf));
	text_json(&t, slice_str(s));
	fprintf(out, "\"%.*s\"", (int)t.len, t.p);
}

static void
json_words(const struct schema_row *row, FILE *out)
{
	fputs("{\"enum\":[", out);
	for (const struct schema_enum *e = row->names; e->name != NULL; e++) {
		fputs(e == row->names ? "" : ",", out);
		/* A plain number is one for an editor, though we compare texts. */
		if (strspn(e->name, "0123456789") == strlen(e->name))
			fputs(e->name, out);
		else
			json_string(e->name, out);
	}
	fputs("]}", out);
}

static void
json_int(const struct schema_row *row, FILE *out)
{
	fprintf(out, "{\"type\":\"integer\",\"minimum\":%llu", (unsigned long long)row->min);
	if (row->max != 0)
		fprintf(out, ",\"maximum\":%llu", (unsigned long long)row->max);
	fputc('}', out);
}

/* Texts with a form of their own; patterns are no stricter than the loader. */
static const char *
json_pattern(enum schema_type type)
{
	switch (type) {
	case SCHEMA_DURATION:
		return ("^([0-9]+(ms|s|m|h|d))+$");
	case SCHEMA_BYTES:
		return ("^[0-9]+(B|KiB|MiB|GiB)$");
	case SCHEMA_BYTE_RATE:
		return ("^[0-9]+(B|KiB|MiB|GiB)/s$");
	case SCHEMA_PERCENT:
		return ("^[0-9]+(\\.[0-9]+)?%$");
	case SCHEMA_RATE:
		return ("^[0-9]+/[smhd]$");
	case SCHEMA_NAME:
	case SCHEMA_REF:
		return ("^[A-Za-z0-9_][A-Za-z0-9_.-]*$");
	case SCHEMA_PATH:
		return ("^/[^?#]*$");
	case SCHEMA_METHOD:
		return ("^[A-Z!#$%&'*+.^_`|~0-9-]+$");
	default:
		return (NULL);
	}
}

static void
json_scalar(const struct schema_row *row, enum schema_type type, FILE *out)
{
	const char *pattern = json_pattern(type);

	switch (type) {
	case SCHEMA_BOOL:
		fputs("{\"type\":\"boolean\"}", out);
		break;
	case SCHEMA_INT:
		json_int(row, out);
		break;
	case SCHEMA_ENUM:
		json_words(row, out);
		break;
	case SCHEMA_ANY:
		fputs("{}", out);
		break;
	case SCHEMA_TEXT:
	case SCHEMA_LISTEN:
		fputs("{\"type\":[\"string\",\"number\",\"boolean\"]}", out);
		break;
	case SCHEMA_SECRET:
		fputs("{\"type\":[\"string\",\"object\"]}", out);
		break;
	default:
		fputs("{\"type\":\"string\"", out);
		if (pattern != NULL) {
			fputs(",\"pattern\":", out);
			/* A ${VARIABLE} may stand for any of it. */
			json_string(pattern, out);
		}
		fputc('}', out);
	}
}

static void
json_type(const struct schema_row *row, enum schema_type type, FILE *out)
{
	if (type == SCHEMA_OBJECT) {
		json_object(row->sub, out);
	} else if (type == SCHEMA_MAP) {
		fputs("{\"type\":\"object\",\"additionalProperties\":", out);
		json_type(row, row->elem, out);
		fputc('}', out);
	} else if (type != SCHEMA_LIST) {
		json_scalar(row, type, out);
	} else {
		fputs(row->elem == SCHEMA_OBJECT ? "{\"anyOf\":[{\"type\":\"array\",\"items\":" :
						   "{\"type\":\"array\",\"items\":",
		    out);
		json_type(row, row->elem, out);
		if (row->elem == SCHEMA_OBJECT) {
			fputs("},", out);
			json_type(row, row->elem, out);
			fputc(']', out);
		}
		fputc('}', out);
	}
}

/* A value, or one of the words that may stand for it. */
static void
json_row(const struct schema_row *row, FILE *out)
{
	static const struct {
		uint32_t flag;
		const char *word;
	} words[] = { { SCHEMA_CAN_AUTO, "auto" }, { SCHEMA_UNLIMITED, "unlimited" },
		{ SCHEMA_CAN_OFF, "off" } };

	json_string(row->name, out);
	fputs(":{\"description\":", out);
	json_string(help_of(row), out);
	if (row->def != NULL) {
		fputs(",\"default\":", out);
		json_string(row->def, out);
	}
	if (row->flags & SCHEMA_DEPRECATED)
		fputs(",\"deprecated\":true", out);
	fputs(",\"anyOf\":[", out);
	json_type(row, row->type, out);
	for (size_t i = 0; i < array_len(words); i++)
		if (row->flags & words[i].flag)
			fprintf(out, ",{\"const\":\"%s\"}", words[i].word);
	fputs("]}", out);
}

static void
json_rows(
    const struct schema_state *outer, const struct schema_state *st, bool *is_first, FILE *out)
{
	for (unsigned i = 0; i < st->n_rows; i++) {
		if (st->inlines & schema_bit(i)) {
			json_rows(outer, schema_state_of(st->rows[i].sub), is_first, out);
			continue;
		}
		if ((st->rows[i].flags & SCHEMA_WORD) || schema_is_shadowed(outer, st, i))
			continue;
		fputs(*is_first ? "" : ",", out);
		*is_first = false;
		json_row(&st->rows[i], out);
	}
}

static void
json_required(const struct schema_state *st, FILE *out)
{
	bool is_first = true;

	for (unsigned i = 0; i < st->n_rows; i++) {
		if (!(st->rows[i].flags & SCHEMA_REQUIRED))
			continue;
		fputs(is_first ? ",\"required\":[" : ",", out);
		json_string(st->rows[i].name, out);
		is_first = false;
	}
	fputs(is_first ? "" : "]", out);
}

static void
json_map(const struct schema_state *st, FILE *out)
{
	bool is_first = true;

	fputs("\"type\":\"object\",\"additionalProperties\":false,\"properties\":{", out);
	json_rows(st, st, &is_first, out);
	fputc('}', out);
	json_required(st, out);
}

static void
json_object(struct schema *schema, FILE *out)
{
	const struct schema_state *st = schema_state_of(schema);

	if (st->scalar < 0) {
		fputc('{', out);
		json_map(st, out);
		fputc('}', out);
		return;
	}
	fputs("{\"anyOf\":[", out);
	json_type(&st->rows[st->scalar], st->rows[st->scalar].type, out);
	fputs(",{", out);
	json_map(st, out);
	fputs("}]}", out);
}

void
schema_print_json_schema(struct schema *root, const char *title, FILE *out)
{
	const struct schema_state *st = schema_state_of(root);

	fputs("{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"title\":", out);
	json_string(title, out);
	fputc(',', out);
	json_map(st, out);
	fputs("}\n", out);
}
