/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/cc.h"
#include "engine/base/check.h"
#include "engine/config/diag.h"
#include "engine/config/load.h"
#include "engine/config/schema_impl.h"
#include "engine/mem/arena.h"

/*
 * A walk down the node tree with the schema beside it. It never stops at a mistake: a wrong
 * value leaves its default in place and the walk goes on with the next.
 */

enum {
	SECRET_BYTES_MAX = 1 << 20
};

static bool decode_value(const struct schema_reader *rd, const struct schema_frame *at,
    const struct schema_row *row, enum schema_type type, const struct node *n, void *value_r);
static struct schema_obj *decode_object(const struct schema_reader *rd,
    const struct schema_frame *up, struct schema *schema, const struct node *n);

/* ---- messages ---- */

static void report(const struct schema_reader *rd, const struct schema_frame *at,
    enum diag_kind kind, struct mark mark, const char *hint, const char *fmt, ...) CC_PRINTF(6, 7);

static void
report(const struct schema_reader *rd, const struct schema_frame *at, enum diag_kind kind,
    struct mark mark, const char *hint, const char *fmt, ...)
{
	enum diag_kind before = diag_set_kind(rd->diag, kind);
	char message[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	if (hint != NULL && hint[0] == '\0')
		hint = NULL;
	diag_add(rd->diag, DIAG_ERROR, mark, schema_path(rd->arena, at), hint, "%s", message);
	(void)diag_set_kind(rd->diag, before);
}

static bool
report_kind(const struct schema_reader *rd, const struct schema_frame *at, const struct node *n,
    const char *due)
{
	const char *subject = schema_subject(rd->arena, at);

	if (node_is_null(n))
		report(rd, at, DIAG_TYPE, n->mark, arena_printf(rd->arena, "%s is due", due),
		    "%s has no value", subject);
	else
		report(rd, at, DIAG_TYPE, n->mark, arena_printf(rd->arena, "%s is due", due),
		    "%s is %s", subject, node_describe(n));
	return (false);
}

/* ---- secrets ---- */

static bool
read_secret_file(const struct schema_reader *rd, const struct schema_frame *at,
    const struct node *n, struct scalar_secret *r)
{
	const char *why = NULL;

	r->from = SCALAR_SECRET_FILE;
	r->where = load_resolve(rd->arena, n->mark.file, node_text(n));
	if (!source_slurp(rd->sources, rd->arena, n->mark.file, arena_cstr(rd->arena, r->where),
		SECRET_BYTES_MAX, &r->value, &why)) {
		report(rd, at, DIAG_VALUE, n->mark, NULL, "%s: cannot read \"%.*s\": %s",
		    schema_subject(rd->arena, at), (int)r->where.len, r->where.p, why);
		return (false);
	}
	if (slice_has_suffix(r->value, SLICE("\n")))
		r->value.len--;
	if (slice_has_suffix(r->value, SLICE("\r")))
		r->value.len--;
	return (true);
}

static bool
read_secret_env(const struct schema_reader *rd, const struct schema_frame *at, const struct node *n,
    struct scalar_secret *r)
{
	const char *value = rd->sources == NULL && rd->lookup != NULL ?
	    rd->lookup(rd->lookup_arg, n->text) :
	    source_lookup(rd->sources, n->mark.file, n->text);

	r->from = SCALAR_SECRET_ENV;
	r->where = node_text(n);
	if (value == NULL) {
		report(rd, at, DIAG_VALUE, n->mark, NULL, "%s: the variable \"%.64s\" is not set",
		    schema_subject(rd->arena, at), n->text);
		return (false);
	}
	r->value = arena_dup(rd->arena, slice_str(value));
	return (true);
}

static bool
decode_secret(const struct schema_reader *rd, const struct schema_frame *at, const struct node *n,
    struct scalar_secret *r)
{
	struct slice key;

	memset(r, 0, sizeof(*r));
	if (n->kind == NODE_SCALAR && (n->flags & NODE_BROKEN))
		return (false);
	if (n->kind == NODE_SCALAR && node_scalar_kind(n) == NODE_STRING) {
		r->from = SCALAR_SECRET_LITERAL;
		r->value = node_text(n);
		return (true);
	}
	if (n->kind == NODE_MAP && n->count == 1 && node_value(n, 0)->kind == NODE_SCALAR) {
		key = node_text(node_key(n, 0));
		if (slice_eq(key, SLICE("file")))
			return (read_secret_file(rd, at, node_value(n, 0), r));
		if (slice_eq(key, SLICE("env")))
			return (read_secret_env(rd, at, node_value(n, 0), r));
	}
	return (report_kind(rd, at, n, schema_type_due(SCHEMA_SECRET)));
}

/* ---- lists and maps ---- */

static bool
check_count(const struct schema_reader *rd, const struct schema_frame *at,
    const struct schema_row *row, const struct node *n, uint64_t count)
{
	uint64_t least = row->min == 0 && (row->flags & SCHEMA_NOT_EMPTY) ? 1 : row->min;
	bool is_outer = row->type == SCHEMA_LIST || row->type == SCHEMA_MAP;

	/* A bound on elements that are numbers is theirs, not the list's. */
	if (!is_outer || schema_value_is_number(row->elem))
		least = (row->flags & SCHEMA_NOT_EMPTY) ? 1 : 0;
	else if (row->max != 0 && count > row->max)
		report(rd, at, DIAG_BOUND, n->mark, NULL,
		    "%s has %llu items, at most %llu are taken", schema_subject(rd->arena, at),
		    (unsigned long long)count, (unsigned long long)row->max);
	if (count >= least)
		return (true);
	if (count == 0)
		report(rd, at, DIAG_BOUND, n->mark, NULL, "%s is empty",
		    schema_subject(rd->arena, at));
	else
		report(rd, at, DIAG_BOUND, n->mark, NULL,
		    "%s has %llu items, at least %llu are due", schema_subject(rd->arena, at),
		    (unsigned long long)count, (unsigned long long)least);
	return (false);
}

/* As it would stand in a list; what has a quote itself is left to who reads it. */
static const char *
list_due(const struct schema_reader *rd, const struct node *n)
{
	struct slice text = node_text(n);
	bool is_plain = node_scalar_kind(n) != NODE_STRING || schema_is_plain_text(text);

	if (!is_plain && strpbrk(n->text, "\"\\\n") != NULL)
		return ("a list");
	return (arena_printf(rd->arena, "a list such as [%s%.40s%s]", is_plain ? "" : "\"", n->text,
	    is_plain ? "" : "\""));
}

static bool
decode_list(const struct schema_reader *rd, const struct schema_frame *at,
    const struct schema_row *row, const struct node *n, struct schema_list *r)
{
	bool is_lone = n->kind == NODE_MAP &&
	    (row->elem == SCHEMA_OBJECT || row->elem == SCHEMA_ANY || row->elem == SCHEMA_SECRET);
	uint32_t count = is_lone ? 1 : n->count;
	size_t size = schema_value_size(row->elem);
	char *items;
	bool ok;

	if (n->kind == NODE_SCALAR && !node_is_null(n))
		return (report_kind(rd, at, n, list_due(rd, n)));
	if (n->kind != NODE_LIST && !is_lone)
		return (report_kind(rd, at, n, "a list"));
	items = count > 0 ? arena_zalloc(rd->arena, count * size) : NULL;
	*r = (struct schema_list){ .node = n, .items = items, .count = count };
	ok = check_count(rd, at, row, n, count);
	for (uint32_t i = 0; i < count; i++) {
		struct schema_frame f = { .up = at, .kind = SCHEMA_FRAME_ITEM, .index = i };

		ok &= decode_value(
		    rd, &f, row, row->elem, is_lone ? n : node_item(n, i), items + i * size);
	}
	return (ok);
}

static bool
decode_key(const struct schema_reader *rd, const struct schema_frame *at,
    const struct schema_row *row, const struct node *key, struct slice *r)
{
	/* A row's own rules are for its values. */
	static const struct schema_row plain = { .name = "", .type = SCHEMA_END };
	struct scalar_why why;

	if (key->flags & NODE_BROKEN)
		return (false);
	if (schema_value_parse(rd->arena, &plain, row->key, key, r, &why))
		return (true);
	/* What a schema sees of a key is a string, whatever it was. */
	report(rd, at->up, why.kind == DIAG_TYPE ? DIAG_VALUE : why.kind, key->mark, why.hint,
	    "a key of %s: %s", schema_subject(rd->arena, at->up), why.what);
	return (false);
}

static bool
decode_map(const struct schema_reader *rd, const struct schema_frame *at,
    const struct schema_row *row, const struct node *n, struct schema_map *r)
{
	size_t size = schema_value_size(row->elem);
	const struct node **nodes;
	struct slice *keys;
	char *items;
	bool ok;

	if (n->kind != NODE_MAP)
		return (report_kind(rd, at, n, "a map"));
	ok = check_count(rd, at, row, n, n->count);
	*r = (struct schema_map){ .count = n->count };
	if (n->count == 0)
		return (ok);
	nodes = arena_alloc(rd->arena, n->count * sizeof(*nodes));
	keys = arena_zalloc(rd->arena, n->count * sizeof(*keys));
	items = arena_zalloc(rd->arena, n->count * size);
	*r = (struct schema_map){ .nodes = nodes, .keys = keys, .items = items, .count = n->count };
	for (uint32_t i = 0; i < n->count; i++) {
		struct schema_frame f = {
			.up = at, .kind = SCHEMA_FRAME_ENTRY, .text = node_text(node_key(n, i))
		};

		nodes[i] = node_value(n, i);
		ok &= decode_key(rd, &f, row, node_key(n, i), &keys[i]);
		ok &= decode_value(rd, &f, row, row->elem, nodes[i], items + i * size);
	}
	return (ok);
}

/* ---- values ---- */

static void
set_inline_nodes(const struct schema_state *st, struct schema_obj *obj, const struct node *n)
{
	obj->node = n;
	for (unsigned i = 0; st->inlines >> i != 0; i++)
		if (st->inlines & schema_bit(i))
			set_inline_nodes(
			    schema_state_of(st->rows[i].sub), schema_inline_at(st, obj, i), n);
}

/* Nothing of it could be read. */
static void
set_all_wrong(const struct schema_state *st, struct schema_obj *obj)
{
	obj->wrong = UINT64_MAX;
	for (unsigned i = 0; st->inlines >> i != 0; i++)
		if (st->inlines & schema_bit(i))
			set_all_wrong(
			    schema_state_of(st->rows[i].sub), schema_inline_at(st, obj, i));
}

/* All defaults. */
static struct schema_obj *
new_object(const struct schema_reader *rd, const struct schema_state *st, const struct node *n)
{
	struct schema_obj *obj = arena_alloc(rd->arena, st->schema->size);

	memcpy(obj, st->proto, st->schema->size);
	set_inline_nodes(st, obj, n);
	return (obj);
}

static bool
decode_scalar(const struct schema_reader *rd, const struct schema_frame *at,
    const struct schema_row *row, enum schema_type type, const struct node *n, void *value_r)
{
	struct scalar_why why;
	/* A value that is refused must not be left half written over the default. */
	union {
		uint64_t align;
		char bytes[sizeof(struct scalar_server)];
	} value = { 0 };

	_Static_assert(sizeof(value) >= sizeof(struct scalar_listen), "the largest scalar");
	if (n->kind == NODE_SCALAR && (n->flags & NODE_BROKEN))
		return (false);
	if (n->kind != NODE_SCALAR || (node_is_null(n) && type != SCHEMA_TEXT))
		return (report_kind(rd, at, n, schema_type_due(type)));
	if (!schema_value_parse(rd->arena, row, type, n, &value, &why)) {
		report(rd, at, why.kind, n->mark, why.hint, "%s: %s",
		    schema_subject(rd->arena, at), why.what);
		return (false);
	}
	if (row->is_usual != NULL && !row->is_usual(&value, &why))
		diag_add(rd->diag, DIAG_WARNING, n->mark, schema_path(rd->arena, at), why.hint,
		    "%s: %s", schema_subject(rd->arena, at), why.what);
	memcpy(value_r, &value, schema_value_size(type));
	return (true);
}

static bool
decode_value(const struct schema_reader *rd, const struct schema_frame *at,
    const struct schema_row *row, enum schema_type type, const struct node *n, void *value_r)
{
	struct schema_obj *obj;
	size_t errors;

	switch (type) {
	case SCHEMA_OBJECT:
		errors = diag_errors(rd->diag);
		obj = decode_object(rd, at, row->sub, n);
		memcpy(value_r, &obj, sizeof(obj));
		return (errors == diag_errors(rd->diag) && obj->wrong == 0);
	case SCHEMA_LIST:
		return (decode_list(rd, at, row, n, value_r));
	case SCHEMA_MAP:
		return (decode_map(rd, at, row, n, value_r));
	case SCHEMA_SECRET:
		return (decode_secret(rd, at, n, value_r));
	case SCHEMA_ANY:
		memcpy(value_r, &n, sizeof(n));
		return (true);
	default:
		return (decode_scalar(rd, at, row, type, n, value_r));
	}
}

static bool
is_off(const struct schema_row *row, const struct node *n)
{
	/* In quotes too, as a program writes it that knows JSON only. */
	return ((row->flags & SCHEMA_CAN_OFF) && n->kind == NODE_SCALAR &&
	    slice_eq(node_text(n), SLICE("off")) && !schema_value_is_number(row->type) &&
	    row->type != SCHEMA_ENUM);
}

static void
decode_slot(const struct schema_reader *rd, const struct schema_frame *at,
    const struct schema_state *st, struct schema_obj *obj, unsigned i, const struct node *n)
{
	const struct schema_row *row = &st->rows[i];
	void *slot;

	obj->present |= schema_bit(i);
	if (is_off(row, n)) {
		obj->off |= schema_bit(i);
		if (i < st->n_own)
			memset((char *)obj + row->offset, 0, schema_value_size(row->type));
		return;
	}
	slot = schema_slot_make(st, rd->arena, obj, i);
	if (!decode_value(rd, at, row, row->type, n, slot))
		obj->wrong |= schema_bit(i);
}

void
schema_decode_row(const struct schema_reader *rd, const struct schema_state *st,
    struct schema_obj *obj, unsigned i, const struct node *value)
{
	struct schema_frame f = { .kind = SCHEMA_FRAME_KEY, .text = slice_str(st->rows[i].name) };

	decode_slot(rd, &f, st, obj, i, value);
}

/* ---- objects ---- */

/* The object with a row for `key`: this one, or one inlined in it. */
static struct schema_obj *
find_row(struct schema_state **st, struct schema_obj *obj, struct slice key, unsigned *row_r)
{
	struct schema_obj *found = NULL;
	struct schema_state *sub;
	int row = schema_row_find(*st, key);
	const struct schema_state *outer = *st;

	if (row >= 0) {
		*row_r = (unsigned)row;
		return (obj);
	}
	for (unsigned i = 0; outer->inlines >> i != 0 && found == NULL; i++) {
		if (!(outer->inlines & schema_bit(i)))
			continue;
		sub = schema_state_of(outer->rows[i].sub);
		found = find_row(&sub, schema_inline_at(outer, obj, i), key, row_r);
		if (found != NULL)
			*st = sub;
	}
	return (found);
}

static void
warn_deprecated(const struct schema_reader *rd, const struct schema_frame *at,
    const struct schema_row *row, const struct node *key)
{
	if (row->flags & SCHEMA_DEPRECATED)
		diag_add(rd->diag, DIAG_WARNING, key->mark, schema_path(rd->arena, at), row->note,
		    "%s is deprecated", schema_subject(rd->arena, at));
}

/* Returns a bit for the row that an unknown key probably meant. */
static uint64_t
decode_pair(const struct schema_reader *rd, const struct schema_frame *object,
    struct schema_state *st, struct schema_obj *obj, uint32_t pair)
{
	const struct node *key = node_key(object->node, pair);
	struct schema_frame f = { .up = object, .kind = SCHEMA_FRAME_KEY, .text = node_text(key) };
	unsigned row = 0;
	struct schema_obj *owner = find_row(&st, obj, f.text, &row);

	if (key->flags & NODE_BROKEN || owner == NULL)
		obj->has_unknown = true;
	if (key->flags & NODE_BROKEN)
		return (UINT64_MAX);
	if (owner == NULL)
		return (schema_report_unknown(rd, object, key));
	warn_deprecated(rd, &f, &st->rows[row], key);
	decode_slot(rd, &f, st, owner, row, node_value(object->node, pair));
	return (0);
}

static bool
is_given(const struct schema_obj *obj, const char *key)
{
	return (schema_has(obj, key) && !schema_is_off(obj, key));
}

static const struct node *
key_node(const struct node *map, const char *key)
{
	const struct node *value = map->kind == NODE_MAP ? node_get(map, slice_str(key)) : NULL;

	return (value != NULL ? value - 1 : map);
}

/* Returns how many keys were written; words are no keys. */
static unsigned
list_group(const struct schema_state *st, const struct schema_group *g, struct text *t)
{
	unsigned n = 0, left;

	for (left = 0; left < array_len(g->keys) && g->keys[left] != NULL; left++)
		;
	for (unsigned i = 0; i < array_len(g->keys) && g->keys[i] != NULL; i++) {
		left--;
		if (schema_row_find(st, slice_str(g->keys[i])) < 0)
			continue;
		text_printf(t, "%s\"%s\"", n == 0 ? "" : left == 0 ? " and " : ", ", g->keys[i]);
		n++;
	}
	return (n);
}

/* "or one of a, b and c in place of the map"; NULL when the map has no such form. */
static const char *
hint_words(struct arena *a, const struct schema_state *st)
{
	const struct schema_row *row = st->scalar < 0 ? NULL : &st->rows[st->scalar];
	char buf[200];
	struct text t;

	if (row == NULL || row->type != SCHEMA_ENUM)
		return (NULL);
	text_init(&t, buf, sizeof(buf));
	for (const struct schema_enum *e = row->names; e->name != NULL; e++)
		text_printf(&t, "%s%s", e == row->names ? "" : ", ", e->name);
	return (arena_printf(a, "in place of the map may stand: %s", text_cstr(&t)));
}

static void
check_group(const struct schema_reader *rd, const struct schema_frame *object,
    const struct schema_state *st, const struct schema_obj *obj, const struct schema_group *g,
    uint64_t meant)
{
	const char *context = schema_context(rd->arena, object), *first = NULL;
	char buf[200];
	struct text t;
	unsigned n;

	for (size_t i = 0; i < array_len(g->keys) && g->keys[i] != NULL; i++) {
		if (meant & schema_bit(schema_row_index(st, g->keys[i])))
			return;
		if (!is_given(obj, g->keys[i]))
			continue;
		if (first != NULL) {
			report(rd, object, DIAG_CONFLICT,
			    key_node(object->node, g->keys[i])->mark, "keep one",
			    "\"%s\" and \"%s\" exclude each other in %s", first, g->keys[i],
			    context[0] != '\0' ? context : "the file");
			return;
		}
		first = g->keys[i];
	}
	if (first != NULL || !g->is_due)
		return;
	text_init(&t, buf, sizeof(buf));
	n = list_group(st, g, &t);
	report(rd, object, DIAG_MISSING, object->node->mark, hint_words(rd->arena, st),
	    "%s%s is due in %s", n > 1 ? "one of " : "", text_cstr(&t),
	    context[0] != '\0' ? context : "the file");
}

/* A key of the root that stands in files which were not parsed. */
static bool
is_known(const struct schema_reader *rd, const struct schema_frame *object, const char *key)
{
	for (const char *const *n = rd->known; n != NULL && object->up == NULL && *n != NULL; n++)
		if (strcmp(*n, key) == 0)
			return (true);
	return (false);
}

static void
check_object(const struct schema_reader *rd, const struct schema_frame *object,
    const struct schema_state *st, const struct schema_obj *obj, uint64_t meant)
{
	const struct schema *schema = st->schema;

	for (unsigned i = 0; i < st->n_rows; i++) {
		const struct schema_row *row = &st->rows[i];
		bool is_present = (obj->present & schema_bit(i)) != 0;

		if (is_present && row->needs != NULL && !is_given(obj, row->needs) &&
		    !(meant & schema_bit(schema_row_index(st, row->needs))))
			report(rd, object, DIAG_MISSING, key_node(object->node, row->name)->mark,
			    NULL, "\"%s\" needs \"%s\" beside it in %s", row->name, row->needs,
			    schema_context(rd->arena, object));
		if (is_present || (meant & schema_bit(i)) || !(row->flags & SCHEMA_REQUIRED) ||
		    is_known(rd, object, row->name))
			continue;
		report(rd, object, DIAG_MISSING, object->node->mark, NULL,
		    "\"%s\" is missing in %s", row->name,
		    schema->noun[0] != '\0' ? schema_context(rd->arena, object) : "the file");
	}
	for (const struct schema_group *g = schema->groups; g != NULL && g->keys[0] != NULL; g++)
		check_group(rd, object, st, obj, g, meant);
	for (unsigned i = 0; st->inlines >> i != 0; i++)
		if (st->inlines & schema_bit(i))
			check_object(rd, object, schema_state_of(st->rows[i].sub),
			    schema_slot(st, obj, i), 0);
}

/* `balance: hash` where `balance: { hash: ... }` is due. */
static bool
report_bare_key(const struct schema_reader *rd, const struct schema_frame *up,
    const struct schema_state *st, const struct node *n)
{
	int row = schema_row_find(st, node_text(n));

	if (row < 0)
		return (false);
	report(rd, up, DIAG_TYPE, n->mark,
	    arena_printf(rd->arena, "write { %s: ... }", st->rows[row].name),
	    "%s: \"%s\" needs a value of its own", schema_subject(rd->arena, up),
	    st->rows[row].name);
	return (true);
}

/* With the first key that must, or else may, stand in it. */
static const char *
due_map(struct arena *a, const struct schema_state *st)
{
	const struct schema_row *first = NULL;

	for (unsigned i = 0; i < st->n_rows; i++) {
		if (st->rows[i].type == SCHEMA_INLINE)
			continue;
		if (first == NULL || (!(first->flags & SCHEMA_REQUIRED) &&
					 (st->rows[i].flags & SCHEMA_REQUIRED)))
			first = &st->rows[i];
	}
	return (first == NULL ? "a map" :
				arena_printf(a, "a map such as { %s: ... }", first->name));
}

/* A scalar where a map is due: the short form, if this schema has one. */
static void
decode_short(const struct schema_reader *rd, const struct schema_frame *up, struct schema_state *st,
    struct schema_obj *obj, const struct node *n)
{
	if (st->scalar < 0)
		(void)report_kind(rd, up, n, due_map(rd->arena, st));
	else if (!report_bare_key(rd, up, st, n))
		decode_slot(rd, up, st, obj, (unsigned)st->scalar, n);
}

static struct schema_obj *
decode_object(const struct schema_reader *rd, const struct schema_frame *up, struct schema *schema,
    const struct node *n)
{
	struct schema_state *st = schema_state_of(schema);
	struct schema_frame object = {
		.up = up, .kind = SCHEMA_FRAME_OBJECT, .schema = schema, .node = n
	};
	struct schema_obj *obj = new_object(rd, st, n);
	size_t errors = diag_errors(rd->diag);

	if (up != NULL && node_is_null(n))
		(void)report_kind(rd, up, n, "a map, or {} for the defaults,");
	else if (n->kind == NODE_LIST)
		(void)report_kind(rd, up, n, "a map");
	else if (n->kind == NODE_SCALAR)
		decode_short(rd, up, st, obj, n);
	if (errors != diag_errors(rd->diag)) {
		set_all_wrong(st, obj);
		return (obj);
	}
	for (uint32_t i = 0; n->kind == NODE_MAP && i < n->count; i++)
		obj->meant |= decode_pair(rd, &object, st, obj, i);
	check_object(rd, &object, st, obj, obj->meant);
	return (obj);
}

const struct schema_obj *
schema_decode(const struct schema_reader *rd, struct schema *schema, const struct node *node)
{
	return (decode_object(rd, NULL, schema, node));
}
