/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>

#include "engine/base/check.h"
#include "engine/base/text.h"
#include "engine/config/schema_impl.h"

/*
 * show, for programs. One walk writes either of two objects: the values, or where they come from.
 * Texts are escaped as YAML and JSON both have it, so the values can be loaded as a file.
 */

enum {
	STEP = 2,
	PIECE_MAX = 256,
	/* Of a number that JSON readers take as it is. */
	DIGITS_MAX = 15
};

/* Where a value stands. */
struct at {
	const struct at *up; /* NULL: the whole */
	struct slice key;    /* none: an item of a list */
	uint32_t index;
};

struct printer {
	FILE *out;
	bool of_origins;
	bool is_first; /* nothing stands before it in its object */
	unsigned depth;
};

static void put_object(struct printer *p, const struct schema_obj *obj, const struct at *at);

/* ---- texts ---- */

static void
put_text(struct printer *p, struct slice s)
{
	fputc('"', p->out);
	schema_print_inner(s, p->out);
	fputc('"', p->out);
}

/* A name of a file may be any bytes. */
static void
print_any(struct slice s, FILE *out)
{
	char buf[PIECE_MAX * 6];
	struct text t;

	while (s.len > 0) {
		size_t n = s.len < PIECE_MAX ? s.len : PIECE_MAX;

		/* No character is cut. */
		while (n > 1 && n < s.len && ((unsigned char)s.p[n] & 0xc0) == 0x80)
			n--;
		text_init(&t, buf, sizeof(buf));
		text_json(&t, slice_of(s.p, n));
		(void)fwrite(t.p, 1, t.len, out);
		s = slice_skip(s, n);
	}
}

void
schema_print_json_text(struct slice s, FILE *out)
{
	fputc('"', out);
	print_any(s, out);
	fputc('"', out);
}

void
schema_print_json_place(struct mark mark, FILE *out)
{
	if (mark.file == NULL) {
		fputs("\"default\"", out);
		return;
	}
	fputc('"', out);
	print_any(slice_str(mark.file), out);
	fprintf(out, ":%u\"", mark.line);
}

static void
put_pointer(struct printer *p, const struct at *at)
{
	struct slice s = at->key;
	size_t n;

	if (at->up == NULL)
		return;
	put_pointer(p, at->up);
	fputc('/', p->out);
	if (s.p == NULL)
		fprintf(p->out, "%u", at->index);
	while (s.len > 0) {
		for (n = 0; n < s.len && s.p[n] != '~' && s.p[n] != '/'; n++)
			continue;
		schema_print_inner(slice_of(s.p, n), p->out);
		if (n < s.len)
			fputs(s.p[n] == '~' ? "~0" : "~1", p->out);
		s = slice_skip(s, n < s.len ? n + 1 : n);
	}
}

/* ---- objects and lists ---- */

static void
new_line(struct printer *p)
{
	fprintf(p->out, "%s\n%*s", p->is_first ? "" : ",", (int)p->depth, "");
	p->is_first = false;
}

static void
begin(struct printer *p, char c)
{
	if (p->of_origins)
		return;
	fputc(c, p->out);
	p->is_first = true;
	p->depth += STEP;
}

static void
end(struct printer *p, char c)
{
	if (p->of_origins)
		return;
	p->depth -= STEP;
	if (!p->is_first)
		fprintf(p->out, "\n%*s", (int)p->depth, "");
	fputc(c, p->out);
	p->is_first = false;
}

/* What stands before the value; or all that there is to say of it. True: the value is due. */
static bool
put_head(struct printer *p, const struct at *at, const struct node *n)
{
	new_line(p);
	if (p->of_origins) {
		fputc('"', p->out);
		put_pointer(p, at);
		fputs("\": ", p->out);
		schema_print_json_place(n != NULL ? n->mark : MARK_NONE, p->out);
		return (false);
	}
	if (at->key.p != NULL) {
		put_text(p, at->key);
		fputs(": ", p->out);
	}
	return (true);
}

/* ---- values ---- */

static bool
is_number(struct slice s)
{
	uint64_t v;

	return (s.len > 0 && s.len <= DIGITS_MAX && (s.p[0] != '0' || s.len == 1) &&
	    text_to_u64(s, &v));
}

/* A word or a number of the language, as its bytes are known to be. */
static void
put_bare(struct printer *p, const struct text *t)
{
	struct slice s = slice_of(t->p, t->len);

	fprintf(p->out, is_number(s) ? "%.*s" : "\"%.*s\"", (int)s.len, s.p);
}

static void
put_secret(struct printer *p, const struct scalar_secret *s)
{
	bool is_file = s->from == SCALAR_SECRET_FILE;

	if (!is_file && s->from != SCALAR_SECRET_ENV) {
		fputs(s->from == SCALAR_SECRET_LITERAL ? "\"(secret)\"" : "\"\"", p->out);
		return;
	}
	fprintf(p->out, "{ \"%s\": ", is_file ? "file" : "env");
	put_text(p, s->where);
	fputs(" }", p->out);
}

static void
put_scalar_node(struct printer *p, const struct node *n)
{
	enum node_scalar kind = (n->flags & NODE_QUOTED) ? NODE_STRING : node_scalar_kind(n);

	if (kind == NODE_NULL)
		fputs("null", p->out);
	else if (kind == NODE_BOOL)
		fputs(n->text[0] == 't' || n->text[0] == 'T' ? "true" : "false", p->out);
	else if (kind == NODE_INT)
		fputs(n->text, p->out);
	else
		put_text(p, node_text(n));
}

static void
put_node(struct printer *p, const struct node *n)
{
	if (n->kind == NODE_SCALAR) {
		put_scalar_node(p, n);
		return;
	}
	fputs(n->kind == NODE_MAP ? "{ " : "[", p->out);
	for (uint32_t i = 0; i < n->count; i++) {
		fputs(i > 0 ? ", " : "", p->out);
		if (n->kind == NODE_MAP) {
			put_text(p, node_text(node_key(n, i)));
			fputs(": ", p->out);
		}
		put_node(p, n->kind == NODE_MAP ? node_value(n, i) : node_item(n, i));
	}
	fputs(n->kind == NODE_MAP ? " }" : "]", p->out);
}

static void
put_enum(struct printer *p, const struct schema_row *row, int value)
{
	const struct schema_enum *e = row->names;

	while (e->name != NULL && e->value != value)
		e++;
	put_text(p, slice_str(e->name != NULL ? e->name : ""));
}

static void
put_slice(struct printer *p, enum schema_type type, struct slice s)
{
	if (type == SCHEMA_TEXT && is_number(s))
		(void)fwrite(s.p, 1, s.len, p->out);
	else
		put_text(p, s);
}

static void
put_value(struct printer *p, const struct schema_row *row, enum schema_type type, const void *value)
{
	char buf[ADDR_TEXT_MAX];
	struct text t;

	text_init(&t, buf, sizeof(buf));
	if (schema_value_is_number(type))
		schema_number_put(row, type, *(const uint64_t *)value, &t);
	else if (type == SCHEMA_RATE)
		scalar_put_rate(&t, *(const struct scalar_rate *)value);
	else if (type == SCHEMA_LISTEN)
		scalar_put_listen(&t, value);
	else if (type == SCHEMA_CIDR)
		scalar_put_cidr(&t, value);
	else if (type == SCHEMA_BOOL)
		fputs(*(const bool *)value ? "true" : "false", p->out);
	else if (type == SCHEMA_ENUM)
		put_enum(p, row, *(const int *)value);
	else if (type == SCHEMA_SECRET)
		put_secret(p, value);
	else if (type == SCHEMA_SERVER)
		put_text(p, ((const struct scalar_server *)value)->text);
	else if (type == SCHEMA_ANY)
		put_node(p, *(const struct node *const *)value);
	else
		put_slice(p, type, *(const struct slice *)value);
	if (t.len > 0)
		put_bare(p, &t);
}

/* ---- what holds values ---- */

/* An object, or the word that it is, as the value of a key or as an item. */
static void
put_sub(struct printer *p, const struct schema_obj *obj, const struct node *n, const struct at *at)
{
	const struct schema_state *st = schema_state_of(obj->schema);
	int word = schema_word(obj);
	bool is_due = put_head(p, at, n);

	if (word < 0)
		put_object(p, obj, at);
	else if (is_due)
		put_value(p, &st->rows[word], st->rows[word].type,
		    schema_slot(st, obj, (unsigned)word));
}

static void
put_flat_list(struct printer *p, const struct schema_row *row, const struct schema_list *l)
{
	size_t size = schema_value_size(row->elem);

	fputc('[', p->out);
	for (uint32_t i = 0; i < l->count; i++) {
		fputs(i > 0 ? ", " : "", p->out);
		put_value(p, row, row->elem, (const char *)l->items + i * size);
	}
	fputc(']', p->out);
}

static void
put_list(struct printer *p, const struct schema_row *row, const struct schema_list *l,
    const struct node *n, const struct at *at)
{
	bool is_due = put_head(p, at, n);

	if (row->elem != SCHEMA_OBJECT) {
		if (is_due)
			put_flat_list(p, row, l);
		return;
	}
	begin(p, '[');
	for (uint32_t i = 0; i < l->count; i++) {
		const struct schema_obj *obj = SCHEMA_OBJ_AT(struct schema_obj, *l, i);
		const struct at item = { .up = at, .index = i };

		(void)put_head(p, &item, obj->node);
		put_object(p, obj, &item);
	}
	end(p, ']');
}

static void
put_map(struct printer *p, const struct schema_row *row, const struct schema_map *m,
    const struct node *n, const struct at *at)
{
	size_t size = schema_value_size(row->elem);

	(void)put_head(p, at, n);
	begin(p, '{');
	for (uint32_t i = 0; i < m->count; i++) {
		const struct node *entry = m->nodes != NULL ? m->nodes[i] : NULL;
		const struct at here = { .up = at, .key = m->keys[i] };

		if (row->elem == SCHEMA_OBJECT)
			put_sub(p, SCHEMA_OBJ_AT(struct schema_obj, *m, i), entry, &here);
		else if (put_head(p, &here, entry))
			put_value(p, row, row->elem, (const char *)m->items + i * size);
	}
	end(p, '}');
}

static void
put_row(struct printer *p, const struct schema_state *st, const struct schema_obj *obj, unsigned i,
    const struct at *up)
{
	const struct schema_row *row = &st->rows[i];
	const struct node *n = schema_row_node(st, obj, i);
	const struct at at = { .up = up, .key = slice_str(row->name) };
	const void *v = schema_slot(st, obj, i);
	const struct schema_obj *sub;

	if (obj->off & schema_bit(i)) {
		if (put_head(p, &at, n))
			fputs("\"off\"", p->out);
	} else if (row->type == SCHEMA_LIST) {
		put_list(p, row, v, n, &at);
	} else if (row->type == SCHEMA_MAP) {
		put_map(p, row, v, n, &at);
	} else if (row->type == SCHEMA_OBJECT) {
		memcpy(&sub, v, sizeof(sub));
		put_sub(p, sub, n, &at);
	} else if (put_head(p, &at, n)) {
		put_value(p, row, row->type, v);
	}
}

/* `outer` is the object that inlines this one, or this one. */
static void
put_rows(struct printer *p, const struct schema_state *outer, const struct schema_obj *obj,
    const struct at *at)
{
	const struct schema_state *st = schema_state_of(obj->schema);

	for (unsigned i = 0; i < st->n_rows; i++) {
		if (st->inlines & schema_bit(i))
			put_rows(p, outer, schema_slot(st, obj, i), at);
		else if (!schema_is_absent(st, obj, i) && !schema_is_shadowed(outer, st, i))
			put_row(p, st, obj, i, at);
	}
}

static void
put_object(struct printer *p, const struct schema_obj *obj, const struct at *at)
{
	CHECK_OBJ(obj, SCHEMA_OBJ_MAGIC);
	begin(p, '{');
	put_rows(p, schema_state_of(obj->schema), obj, at);
	end(p, '}');
}

/* ---- the two of them ---- */

void
schema_show_json(const struct schema_obj *obj, unsigned indent, FILE *out)
{
	struct printer p = { .out = out, .depth = indent };

	put_object(&p, obj, &(const struct at){ .up = NULL });
}

void
schema_show_json_origins(const struct schema_obj *obj, unsigned indent, FILE *out)
{
	struct printer p = {
		.out = out, .depth = indent + STEP, .of_origins = true, .is_first = true
	};

	fputc('{', out);
	put_object(&p, obj, &(const struct at){ .up = NULL });
	fprintf(out, "%s%*s}", p.is_first ? "" : "\n", p.is_first ? 0 : (int)indent, "");
}
