/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>

#include "engine/base/check.h"
#include "engine/config/diag.h"
#include "engine/config/schema_impl.h"
#include "engine/mem/alloc.h"
#include "engine/mem/arena.h"

/* ---- preparing ---- */

static struct schema_state *
state_new(struct schema *schema)
{
	struct schema_state *st = xcalloc(1, sizeof(*st));

	st->magic = SCHEMA_STATE_MAGIC;
	st->schema = schema;
	st->scalar = -1;
	while (schema->rows[st->n_rows].type != SCHEMA_END) {
		must(st->n_rows < SCHEMA_ROWS_MAX);
		st->rows[st->n_rows] = schema->rows[st->n_rows];
		st->n_rows++;
	}
	st->n_own = st->n_rows;
	schema->state = st;
	return (st);
}

static void
check_row(const struct schema_row *row)
{
	bool has_sub = row->type == SCHEMA_OBJECT || row->type == SCHEMA_INLINE ||
	    row->elem == SCHEMA_OBJECT;

	must(row->type < SCHEMA_TYPE__MAX);
	must(row->name != NULL && strlen(row->name) < 64);
	must(has_sub == (row->sub != NULL));
	must((row->type == SCHEMA_LIST || row->type == SCHEMA_MAP) == (row->elem != 0));
	must((row->type == SCHEMA_MAP) == (row->key != 0));
	must(row->elem != SCHEMA_LIST && row->elem != SCHEMA_MAP && row->elem != SCHEMA_INLINE);
	must((row->type == SCHEMA_ENUM || row->elem == SCHEMA_ENUM) == (row->names != NULL));
}

/* The default is written as in a file and decoded by the same code: it cannot be of another
 * language. */
static void
set_default(struct schema_state *st, struct schema_obj *obj, unsigned i, struct diag *diag)
{
	const struct schema_row *row = &st->rows[i];
	struct schema_reader rd = { .arena = st->arena, .diag = diag };
	const struct node *n = yaml_read(st->arena, diag, NULL, slice_str(row->def), NULL, NULL);

	must(n != NULL);
	schema_decode_row(&rd, st, obj, i, n);
	must(diag_is_ok(diag));
}

static void
prepare_row(struct schema_state *st, struct schema_obj *obj, unsigned i, struct diag *diag)
{
	const struct schema_row *row = &st->rows[i];
	const struct schema_obj *sub;

	check_row(row);
	st->name_len[i] = (uint8_t)strlen(row->name);
	if (row->type == SCHEMA_INLINE) {
		sub = schema_defaults(row->sub);
		memcpy((char *)obj + row->offset, sub, row->sub->size);
		st->inlines |= schema_bit(i);
	} else if (row->type == SCHEMA_OBJECT && (row->flags & SCHEMA_ALWAYS)) {
		must(i < st->n_own);
		sub = schema_defaults(row->sub);
		memcpy((char *)obj + row->offset, &sub, sizeof(sub));
		st->always |= schema_bit(i);
	} else if (row->def != NULL) {
		must(i < st->n_own);
		set_default(st, obj, i, diag);
	}
}

static void
prepare(struct schema_state *st)
{
	struct schema *schema = st->schema;
	struct schema_obj *obj;
	struct mem_trap trap;
	struct diag *diag;

	must(!st->is_preparing); /* a schema cannot contain itself */
	st->arena = arena_new("schema");
	/* It outlives the load that needed it first: without memory it is as if never begun. */
	if (MEM_TRAP_ENTER(&trap)) {
		size_t wanted = trap.wanted;

		st->is_preparing = false;
		arena_free(&st->arena);
		mem_failed(wanted);
	}
	st->is_preparing = true;
	diag = diag_new(st->arena);
	obj = arena_zalloc(st->arena, schema->size);
	obj->magic = SCHEMA_OBJ_MAGIC;
	obj->schema = schema;
	for (unsigned i = 0; i < st->n_rows; i++)
		prepare_row(st, obj, i, diag);
	obj->present = 0;
	if (schema->scalar != NULL)
		st->scalar = (int)schema_row_index(st, schema->scalar);
	st->proto = obj;
	st->is_preparing = false;
	mem_trap_leave(&trap);
}

struct schema_state *
schema_state_of(const struct schema *schema)
{
	struct schema_state *st;

	CHECK_OBJ(schema, SCHEMA_MAGIC);
	st = schema->state;
	/* Rows name their schemas without const: this is where it ends. */
	if (st == NULL)
		st = state_new((struct schema *)(uintptr_t)schema);
	if (st->proto == NULL)
		prepare(st);
	return (st);
}

unsigned
schema_extend(struct schema *schema, const struct schema_key_ext *exts, unsigned n)
{
	struct schema_state *st;
	unsigned first;

	CHECK_OBJ(schema, SCHEMA_MAGIC);
	st = schema->state != NULL ? schema->state : state_new(schema);
	must(st->proto == NULL);
	must(st->n_rows + n <= SCHEMA_ROWS_MAX);
	first = st->n_rows - st->n_own;
	for (unsigned i = 0; i < n; i++) {
		const struct schema_row *row = &exts[i].row;

		must(row->type == SCHEMA_OBJECT || row->type == SCHEMA_LIST ||
		    row->type == SCHEMA_MAP);
		st->rows[st->n_rows++] = *row;
	}
	return (first);
}

const struct schema_obj *
schema_defaults(struct schema *schema)
{
	return (schema_state_of(schema)->proto);
}

/* ---- rows and slots ---- */

int
schema_row_find(const struct schema_state *st, struct slice key)
{
	for (unsigned i = 0; i < st->n_rows; i++)
		if (st->name_len[i] == key.len && !(st->rows[i].flags & SCHEMA_WORD) &&
		    !(st->inlines & schema_bit(i)) && memcmp(st->rows[i].name, key.p, key.len) == 0)
			return ((int)i);
	return (-1);
}

unsigned
schema_row_index(const struct schema_state *st, const char *key)
{
	for (unsigned i = 0; i < st->n_rows; i++)
		if (strcmp(st->rows[i].name, key) == 0)
			return (i);
	never("a key that the schema does not have");
}

bool
schema_is_shadowed(const struct schema_state *outer, const struct schema_state *st, unsigned i)
{
	return (outer != st &&
	    schema_row_find(outer, slice_of(st->rows[i].name, st->name_len[i])) >= 0);
}

const void *
schema_slot(const struct schema_state *st, const struct schema_obj *obj, unsigned i)
{
	if (i < st->n_own)
		return ((const char *)obj + st->rows[i].offset);
	if (obj->ext == NULL || obj->ext[i - st->n_own] == NULL)
		return (NULL);
	if (st->rows[i].type == SCHEMA_OBJECT)
		return (&obj->ext[i - st->n_own]);
	return (obj->ext[i - st->n_own]);
}

void *
schema_slot_make(const struct schema_state *st, struct arena *a, struct schema_obj *obj, unsigned i)
{
	void **ext;

	if (i < st->n_own)
		return ((char *)obj + st->rows[i].offset);
	if (obj->ext == NULL)
		obj->ext = arena_zalloc(a, (st->n_rows - st->n_own) * sizeof(*obj->ext));
	ext = &obj->ext[i - st->n_own];
	if (st->rows[i].type == SCHEMA_OBJECT)
		return (ext);
	*ext = arena_zalloc(a, schema_value_size(st->rows[i].type));
	return (*ext);
}

const struct schema_obj *
schema_without_wrong(struct arena *arena, const struct schema_obj *obj)
{
	const struct schema_state *st = schema_state_of(obj->schema);
	size_t n = st->n_rows - st->n_own;
	struct schema_obj *less;

	CHECK_OBJ(obj, SCHEMA_OBJ_MAGIC);
	if (obj->wrong == 0 || obj->ext == NULL)
		return (obj);
	less = arena_alloc(arena, obj->schema->size);
	memcpy(less, obj, obj->schema->size);
	less->ext = arena_alloc(arena, n * sizeof(*less->ext));
	for (size_t i = 0; i < n; i++)
		less->ext[i] = (obj->wrong & schema_bit(st->n_own + (unsigned)i)) ? NULL :
										     obj->ext[i];
	return (less);
}

const void *
schema_ext_at(const struct schema_obj *obj, unsigned i)
{
	const struct schema_state *st;

	CHECK_OBJ(obj, SCHEMA_OBJ_MAGIC);
	st = schema_state_of(obj->schema);
	must(i < st->n_rows - st->n_own);
	return (obj->ext == NULL ? NULL : obj->ext[i]);
}

struct schema_obj *
schema_inline_at(const struct schema_state *st, struct schema_obj *obj, unsigned i)
{
	struct schema_obj *sub;

	CAST_OBJ(sub, (void *)((char *)obj + st->rows[i].offset), SCHEMA_OBJ_MAGIC);
	return (sub);
}

const struct node *
schema_row_node(const struct schema_state *st, const struct schema_obj *obj, unsigned i)
{
	if (obj->origin != NULL)
		return (obj->origin[i]);
	if (obj->node == NULL || !(obj->present & schema_bit(i)))
		return (NULL);
	if (obj->node->kind != NODE_MAP)
		return (obj->node);
	return (node_get(obj->node, slice_of(st->rows[i].name, st->name_len[i])));
}

/* ---- asking ---- */

/* The object that has the key, `obj` or one inlined in it, and the key's row. */
static const struct schema_obj *
find_owner(const struct schema_obj *obj, const char *key, unsigned *row_r)
{
	const struct schema_state *st;
	const struct schema_obj *owner = NULL;

	CHECK_OBJ(obj, SCHEMA_OBJ_MAGIC);
	st = schema_state_of(obj->schema);
	for (unsigned i = 0; i < st->n_rows; i++) {
		if (st->inlines & schema_bit(i))
			continue;
		if (strcmp(st->rows[i].name, key) != 0)
			continue;
		*row_r = i;
		return (obj);
	}
	for (unsigned i = 0; i < st->n_rows && owner == NULL; i++)
		if (st->inlines & schema_bit(i))
			owner = find_owner(schema_slot(st, obj, i), key, row_r);
	return (owner);
}

static const struct schema_obj *
owner_of(const struct schema_obj *obj, const char *key, unsigned *row_r)
{
	const struct schema_obj *owner = find_owner(obj, key, row_r);

	must(owner != NULL);
	return (owner);
}

bool
schema_has(const struct schema_obj *obj, const char *key)
{
	unsigned i = 0;
	const struct schema_obj *owner = owner_of(obj, key, &i);

	return ((owner->present & schema_bit(i)) != 0);
}

bool
schema_is_off(const struct schema_obj *obj, const char *key)
{
	unsigned i = 0;
	const struct schema_obj *owner = owner_of(obj, key, &i);

	return ((owner->off & schema_bit(i)) != 0);
}

bool
schema_is_wrong(const struct schema_obj *obj, const char *key)
{
	unsigned i = 0;
	const struct schema_obj *owner = owner_of(obj, key, &i);

	return (((owner->wrong | owner->meant) & schema_bit(i)) != 0);
}

struct mark
schema_obj_mark(const struct schema_obj *obj)
{
	CHECK_OBJ(obj, SCHEMA_OBJ_MAGIC);
	return (obj->node != NULL ? obj->node->mark : MARK_NONE);
}

/* The value's node; a key stands before its value unless a scalar took the map's place. */
static struct mark
mark_near(const struct schema_obj *obj, const char *key, bool is_key)
{
	unsigned i = 0;
	const struct schema_obj *owner = owner_of(obj, key, &i);
	const struct node *n = schema_row_node(schema_state_of(owner->schema), owner, i);

	if (n == NULL)
		return (schema_obj_mark(obj));
	if (!is_key || (owner->node != NULL && owner->node->kind != NODE_MAP))
		return (n->mark);
	return (n[-1].mark);
}

struct mark
schema_mark(const struct schema_obj *obj, const char *key)
{
	return (mark_near(obj, key, false));
}

struct mark
schema_key_mark(const struct schema_obj *obj, const char *key)
{
	return (mark_near(obj, key, true));
}

struct mark
schema_item_mark(const struct schema_list *list, uint32_t i)
{
	if (list->node == NULL)
		return (MARK_NONE);
	if (list->node->kind != NODE_LIST)
		return (list->node->mark);
	return (i < list->node->count ? node_item(list->node, i)->mark : list->node->mark);
}

struct mark
schema_entry_mark(const struct schema_map *map, uint32_t i)
{
	return (map->nodes == NULL ? MARK_NONE : map->nodes[i][-1].mark);
}

struct mark
schema_entry_value_mark(const struct schema_map *map, uint32_t i)
{
	return (map->nodes == NULL ? MARK_NONE : map->nodes[i]->mark);
}

int64_t
schema_map_find(const struct schema_map *map, struct slice key)
{
	for (uint32_t i = 0; i < map->count; i++)
		if (slice_eq(map->keys[i], key))
			return (i);
	return (-1);
}
