/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>

#include "engine/base/cc.h"
#include "engine/base/text.h"
#include "engine/config/schema_impl.h"
#include "engine/config/scalar.h"

/*
 * The JSON Schema of a file, for editors and for whoever writes files by program. It accepts all
 * that the loader accepts, and refuses all mistakes of the kinds up to DIAG_BOUND (diag.h): a file
 * that it accepts may still be wrong in what it means. Draft 7 is the newest one that the language
 * servers of editors know whole. A `${VARIABLE}` may stand for any scalar.
 */

#define VARIABLE "\\$\\{"

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

static bool
is_digits(const char *s)
{
	return (s[strspn(s, "0123456789")] == '\0');
}

/* ---- scalars ---- */

static void
json_words(const struct schema_row *row, FILE *out)
{
	fputs("{\"enum\":[", out);
	for (const struct schema_enum *e = row->names; e->name != NULL; e++) {
		fputs(e == row->names ? "" : ",", out);
		/* A plain number is one for an editor, though we compare texts. */
		if (is_digits(e->name))
			fprintf(out, "%s,", e->name);
		json_string(e->name, out);
	}
	fputs("]}", out);
}

static void
json_int(const struct schema_row *row, FILE *out)
{
	uint64_t max = row->max != 0 ? row->max : SCALAR_AUTO - 1;

	fprintf(out, "{\"type\":\"integer\",\"minimum\":%llu,\"maximum\":%llu}",
	    (unsigned long long)row->min, (unsigned long long)max);
}

static void
json_text(const struct schema_row *row, enum schema_type type, FILE *out)
{
	const char *pattern = schema_value_pattern(type);
	char buf[256];
	struct text t;

	fputs("{\"type\":\"string\"", out);
	if (row->flags & SCHEMA_NOT_EMPTY && row->type != SCHEMA_LIST && row->type != SCHEMA_MAP)
		fputs(",\"minLength\":1", out);
	if (pattern != NULL) {
		text_init(&t, buf, sizeof(buf));
		text_printf(&t, "%s|" VARIABLE, pattern);
		fputs(",\"pattern\":", out);
		json_string(text_cstr(&t), out);
		/* Of no standard: language servers say it in place of the pattern. */
		text_init(&t, buf, sizeof(buf));
		text_printf(&t, "%s is due", schema_type_due(type));
		fputs(",\"patternErrorMessage\":", out);
		json_string(text_cstr(&t), out);
	}
	fputc('}', out);
}

static const char json_secret[] =
    "{\"type\":\"string\"},{\"type\":\"object\",\"additionalProperties\":false,"
    "\"minProperties\":1,\"maxProperties\":1,\"properties\":{"
    "\"file\":{\"type\":\"string\",\"description\":\"read from this file\"},"
    "\"env\":{\"type\":\"string\",\"description\":\"taken from this variable\"}}}";

static void
json_scalar(const struct schema_row *row, enum schema_type type, FILE *out)
{
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
		fputs((row->flags & SCHEMA_NOT_EMPTY) ?
			"{\"type\":[\"string\",\"number\",\"boolean\"],\"minLength\":1}" :
			"{\"type\":[\"string\",\"number\",\"boolean\",\"null\"]}",
		    out);
		break;
	case SCHEMA_LISTEN:
		fputs("{\"type\":\"integer\",\"minimum\":1,\"maximum\":65535},"
		      "{\"type\":\"string\",\"minLength\":1}",
		    out);
		break;
	case SCHEMA_SECRET:
		fputs(json_secret, out);
		break;
	default:
		json_text(row, type, out);
	}
}

/* ---- lists and maps ---- */

static void
json_any_of(const struct schema_row *row, enum schema_type type, FILE *out);

/* How many items there may be, as check_count() of decode.c wants it. */
static void
json_count(const struct schema_row *row, const char *least, const char *most, FILE *out)
{
	bool is_of_items = schema_value_is_number(row->elem); /* then the bounds are theirs */
	uint64_t min = row->min == 0 || is_of_items ?
	    ((row->flags & SCHEMA_NOT_EMPTY) ? 1 : 0) :
	    row->min;

	if (min > 0)
		fprintf(out, ",\"%s\":%llu", least, (unsigned long long)min);
	if (row->max != 0 && !is_of_items)
		fprintf(out, ",\"%s\":%llu", most, (unsigned long long)row->max);
}

static void
json_map_of(const struct schema_row *row, FILE *out)
{
	const char *pattern = schema_value_pattern(row->key);

	fputs("{\"type\":\"object\"", out);
	json_count(row, "minProperties", "maxProperties", out);
	if (pattern != NULL) {
		fputs(",\"propertyNames\":{\"pattern\":", out);
		json_string(pattern, out);
		fputc('}', out);
	}
	fputs(",\"additionalProperties\":", out);
	json_any_of(row, row->elem, out);
	fputc('}', out);
}

static void json_map(struct schema *schema, FILE *out);

static void
json_list_of(const struct schema_row *row, FILE *out)
{
	fputs("{\"type\":\"array\"", out);
	json_count(row, "minItems", "maxItems", out);
	fputs(",\"items\":", out);
	json_any_of(row, row->elem, out);
	fputc('}', out);
	/* A lone map is a list of one. */
	if (row->elem == SCHEMA_OBJECT) {
		fputc(',', out);
		json_map(row->sub, out);
	} else if (row->elem == SCHEMA_ANY) {
		fputs(",{\"type\":\"object\"}", out);
	}
}

/* The alternatives, with commas between them. */
static void
json_type(const struct schema_row *row, enum schema_type type, FILE *out)
{
	if (type == SCHEMA_OBJECT)
		json_object(row->sub, out);
	else if (type == SCHEMA_MAP)
		json_map_of(row, out);
	else if (type == SCHEMA_LIST)
		json_list_of(row, out);
	else
		json_scalar(row, type, out);
}

/* A value, or one of the words that may stand for it. */
static void
json_words_of(const struct schema_row *row, FILE *out)
{
	static const struct {
		uint32_t flag;
		const char *word;
	} words[] = { { SCHEMA_CAN_AUTO, "auto" }, { SCHEMA_UNLIMITED, "unlimited" },
		{ SCHEMA_CAN_OFF, "off" } };

	for (size_t i = 0; i < array_len(words); i++)
		if (row->flags & words[i].flag)
			fprintf(out, ",{\"const\":\"%s\"}", words[i].word);
}

static bool
may_be_variable(enum schema_type type)
{
	return (type == SCHEMA_BOOL || type == SCHEMA_INT || type == SCHEMA_ENUM);
}

static void
json_any_of(const struct schema_row *row, enum schema_type type, FILE *out)
{
	fputs("{\"anyOf\":[", out);
	json_type(row, type, out);
	/* Of a number in a list or a map the words are its own. */
	if (type != SCHEMA_OBJECT || row->type == SCHEMA_OBJECT)
		json_words_of(row, out);
	if (may_be_variable(type))
		fputs(",{\"$ref\":\"#/definitions/variable\"}", out);
	fputs("]}", out);
}

/* ---- objects ---- */

static void
json_default(const struct schema_row *row, FILE *out)
{
	enum schema_type type = row->type;

	if (row->def == NULL)
		return;
	fputs(",\"default\":", out);
	if (type == SCHEMA_BOOL || (type == SCHEMA_INT && is_digits(row->def)))
		fputs(row->def, out);
	else
		json_string(row->def, out);
}

/* What schema_type_due() gives for one. */
static void
json_examples(enum schema_type type, FILE *out)
{
	static const char before[] = "such as ";
	const char *at = strstr(schema_type_due(type), before);

	if (at == NULL)
		return;
	fputs(",\"examples\":[", out);
	json_string(at + sizeof(before) - 1, out);
	fputc(']', out);
}

static void
json_row(const struct schema_row *row, FILE *out)
{
	json_string(row->name, out);
	fputs(":{\"description\":", out);
	json_string(row->help != NULL ? row->help : "", out);
	json_default(row, out);
	if (row->type != SCHEMA_OBJECT && row->type != SCHEMA_LIST && row->type != SCHEMA_MAP)
		json_examples(row->type, out);
	if (row->flags & SCHEMA_DEPRECATED)
		fputs(",\"deprecated\":true", out);
	fputs(",\"anyOf\":[", out);
	json_type(row, row->type, out);
	json_words_of(row, out);
	if (may_be_variable(row->type))
		fputs(",{\"$ref\":\"#/definitions/variable\"}", out);
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
		if (!(st->rows[i].flags & (SCHEMA_REQUIRED | SCHEMA_PER_ROOT)))
			continue;
		fputs(is_first ? ",\"required\":[" : ",", out);
		json_string(st->rows[i].name, out);
		is_first = false;
	}
	fputs(is_first ? "" : "]", out);
}

/* The key is written, and not as `off`. */
static void
json_is_given(const struct schema_state *st, const char *key, FILE *out)
{
	const struct schema_row *row = &st->rows[schema_row_index(st, key)];

	fputs("{\"required\":[", out);
	json_string(key, out);
	fputc(']', out);
	if (row->flags & SCHEMA_CAN_OFF) {
		fputs(",\"properties\":{", out);
		json_string(key, out);
		fputs(":{\"not\":{\"const\":\"off\"}}}", out);
	}
	fputc('}', out);
}

static bool
is_key(const struct schema_state *st, const char *key)
{
	return (!(st->rows[schema_row_index(st, key)].flags & SCHEMA_WORD));
}

/* One rule of `allOf`: the comma before it. */
static void
json_begin_rule(bool *is_first, FILE *out)
{
	fputs(*is_first ? ",\"allOf\":[" : ",", out);
	*is_first = false;
}

static void
json_exclude(const struct schema_state *st, const struct schema_group *g, bool *is_first, FILE *out)
{
	for (size_t i = 0; i < array_len(g->keys) && g->keys[i] != NULL; i++)
		for (size_t j = 0; j < i; j++) {
			if (!is_key(st, g->keys[i]) || !is_key(st, g->keys[j]))
				continue;
			json_begin_rule(is_first, out);
			fputs("{\"not\":{\"allOf\":[", out);
			json_is_given(st, g->keys[j], out);
			fputc(',', out);
			json_is_given(st, g->keys[i], out);
			fputs("]}}", out);
		}
}

static void
json_one_is_due(
    const struct schema_state *st, const struct schema_group *g, bool *is_first, FILE *out)
{
	bool is_first_key = true;

	if (!g->is_due)
		return;
	json_begin_rule(is_first, out);
	fputs("{\"anyOf\":[", out);
	for (size_t i = 0; i < array_len(g->keys) && g->keys[i] != NULL; i++) {
		if (!is_key(st, g->keys[i]))
			continue;
		fputs(is_first_key ? "" : ",", out);
		is_first_key = false;
		json_is_given(st, g->keys[i], out);
	}
	fputs("]}", out);
}

static void
json_rules(const struct schema_state *st, bool *is_first, FILE *out)
{
	for (const struct schema_group *g = st->schema->groups; g != NULL && g->keys[0] != NULL;
	     g++) {
		json_exclude(st, g, is_first, out);
		json_one_is_due(st, g, is_first, out);
	}
	for (unsigned i = 0; i < st->n_rows; i++) {
		if (st->inlines & schema_bit(i))
			json_rules(schema_state_of(st->rows[i].sub), is_first, out);
		if (st->rows[i].needs == NULL)
			continue;
		json_begin_rule(is_first, out);
		fputs("{\"anyOf\":[{\"not\":{\"required\":[", out);
		json_string(st->rows[i].name, out);
		fputs("]}},", out);
		json_is_given(st, st->rows[i].needs, out);
		fputs("]}", out);
	}
}

static void
json_members(const struct schema_state *st, FILE *out)
{
	bool is_first = true;

	fputs("\"type\":\"object\",\"additionalProperties\":false,\"properties\":{", out);
	json_rows(st, st, &is_first, out);
	fputc('}', out);
	json_required(st, out);
	is_first = true;
	json_rules(st, &is_first, out);
	fputs(is_first ? "" : "]", out);
}

static void
json_map(struct schema *schema, FILE *out)
{
	fputc('{', out);
	json_members(schema_state_of(schema), out);
	fputc('}', out);
}

static void
json_object(struct schema *schema, FILE *out)
{
	const struct schema_state *st = schema_state_of(schema);

	if (st->scalar >= 0) {
		json_any_of(&st->rows[st->scalar], st->rows[st->scalar].type, out);
		fputc(',', out);
	}
	json_map(schema, out);
}

void
schema_print_json_schema(struct schema *root, const char *title, FILE *out)
{
	fputs("{\"$schema\":\"http://json-schema.org/draft-07/schema#\",\"title\":", out);
	json_string(title, out);
	fputs(",\"definitions\":{\"variable\":{\"type\":\"string\",\"pattern\":", out);
	json_string(VARIABLE, out);
	fputs("}},", out);
	json_members(schema_state_of(root), out);
	fputs("}\n", out);
}
