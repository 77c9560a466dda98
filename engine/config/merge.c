/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>

#include "engine/base/check.h"
#include "engine/config/schema_impl.h"
#include "engine/mem/arena.h"

/* Layers: one object laid over another. Defaults are in the objects already. */

static void merge_into(struct arena *a, const struct schema_state *st, struct schema_obj *dst,
    const struct schema_obj *over);

static bool
is_empty(const struct schema_state *st, const struct schema_obj *obj)
{
	if (obj->present != 0)
		return (false);
	for (unsigned i = 0; st->inlines >> i != 0; i++)
		if ((st->inlines & schema_bit(i)) &&
		    !is_empty(schema_state_of(st->rows[i].sub), schema_slot(st, obj, i)))
			return (false);
	return (true);
}

/* An object's marks stop following from its one node: each row now has its own. */
static const struct node **
origins_of(struct arena *a, const struct schema_state *st, const struct schema_obj *obj)
{
	const struct node **origin = arena_zalloc(a, (st->n_rows + 1) * sizeof(*origin));

	for (unsigned i = 0; i < st->n_rows; i++)
		origin[i] = schema_row_node(st, obj, i);
	return (origin);
}

static void
merge_item(struct arena *a, const struct schema_row *row, void *dst, const void *over)
{
	const struct schema_obj *below, *above;
	size_t size = schema_value_size(row->type == SCHEMA_OBJECT ? SCHEMA_OBJECT : row->elem);

	if (row->sub == NULL || row->sub->is_alternative) {
		memcpy(dst, over, size);
		return;
	}
	memcpy(&below, dst, sizeof(below));
	memcpy(&above, over, sizeof(above));
	above = schema_merge(a, below, above);
	memcpy(dst, &above, sizeof(above));
}

static void
merge_map(struct arena *a, const struct schema_row *row, struct schema_map *dst,
    const struct schema_map *over)
{
	size_t size = schema_value_size(row->elem), room = dst->count + over->count;
	const struct node **nodes = arena_zalloc(a, (room + 1) * sizeof(*nodes));
	struct slice *keys = arena_zalloc(a, (room + 1) * sizeof(*keys));
	char *items = arena_zalloc(a, (room + 1) * size);
	struct schema_map all = {
		.nodes = nodes, .keys = keys, .items = items, .count = dst->count
	};

	if (dst->count > 0) {
		memcpy(nodes, dst->nodes, dst->count * sizeof(*nodes));
		memcpy(keys, dst->keys, dst->count * sizeof(*keys));
		memcpy(items, dst->items, dst->count * size);
	}
	for (uint32_t i = 0; i < over->count; i++) {
		const char *from = (const char *)over->items + i * size;
		int64_t at = schema_map_find(dst, over->keys[i]);

		if (at >= 0) {
			merge_item(a, row, items + (size_t)at * size, from);
		} else {
			at = all.count++;
			memcpy(items + (size_t)at * size, from, size);
		}
		keys[at] = over->keys[i];
		nodes[at] = over->nodes[i];
	}
	*dst = all;
}

static void
merge_row(struct arena *a, const struct schema_state *st, struct schema_obj *dst,
    const struct schema_obj *over, unsigned i)
{
	const struct schema_row *row = &st->rows[i];
	const void *from = schema_slot(st, over, i);
	bool had = (dst->present & schema_bit(i)) && !(dst->off & schema_bit(i));
	void *to;

	dst->present |= schema_bit(i);
	dst->off &= ~schema_bit(i);
	if (over->off & schema_bit(i)) {
		dst->off |= schema_bit(i);
		if (i < st->n_own)
			memset((char *)dst + row->offset, 0, schema_value_size(row->type));
		else if (dst->ext != NULL)
			dst->ext[i - st->n_own] = NULL;
		return;
	}
	if (i >= st->n_own && had && row->type == SCHEMA_MAP) {
		struct schema_map below = *(const struct schema_map *)schema_slot(st, dst, i);

		merge_map(a, row, &below, from);
		*(struct schema_map *)schema_slot_make(st, a, dst, i) = below;
		return;
	}
	to = schema_slot_make(st, a, dst, i);
	if (had && row->type == SCHEMA_MAP)
		merge_map(a, row, to, from);
	else if (had && row->type == SCHEMA_OBJECT)
		merge_item(a, row, to, from);
	else
		memcpy(to, from, schema_value_size(row->type));
}

/* What dst shares with the layer below, so that writing to it leaves that layer alone. */
static void
unshare(struct arena *a, const struct schema_state *st, struct schema_obj *dst)
{
	size_t n_ext = st->n_rows - st->n_own;
	void **ext;

	dst->origin = origins_of(a, st, dst);
	if (dst->ext == NULL)
		return;
	ext = arena_alloc(a, n_ext * sizeof(*ext));
	memcpy(ext, dst->ext, n_ext * sizeof(*ext));
	dst->ext = ext;
}

static void
merge_into(struct arena *a, const struct schema_state *st, struct schema_obj *dst,
    const struct schema_obj *over)
{
	const struct node **origin;

	unshare(a, st, dst);
	/* It was made by unshare() a line above: writing to it is fine. */
	origin = (const struct node **)(uintptr_t)dst->origin;
	for (unsigned i = 0; i < st->n_rows; i++) {
		if (st->inlines & schema_bit(i))
			merge_into(a, schema_state_of(st->rows[i].sub),
			    schema_inline_at(st, dst, i), schema_slot(st, over, i));
		if (!(over->present & schema_bit(i)))
			continue;
		merge_row(a, st, dst, over, i);
		origin[i] = schema_row_node(st, over, i);
	}
	dst->wrong |= over->wrong;
	if (over->node != NULL)
		dst->node = over->node;
}

const struct schema_obj *
schema_merge(struct arena *arena, const struct schema_obj *base, const struct schema_obj *over)
{
	const struct schema_state *st;
	struct schema_obj *merged;

	if (over == NULL)
		return (base);
	CHECK_OBJ(over, SCHEMA_OBJ_MAGIC);
	if (base == NULL)
		return (over);
	CHECK_OBJ(base, SCHEMA_OBJ_MAGIC);
	must(base->schema == over->schema);
	st = schema_state_of(base->schema);
	if (is_empty(st, over))
		return (base);
	if (is_empty(st, base))
		return (over);
	merged = arena_alloc(arena, base->schema->size);
	memcpy(merged, base, base->schema->size);
	merge_into(arena, st, merged, over);
	return (merged);
}
