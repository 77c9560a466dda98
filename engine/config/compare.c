/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>

#include "engine/base/check.h"
#include "engine/base/siphash.h"
#include "engine/config/schema_impl.h"

/* Equality and digest walk the same rows in the same way: what one ignores, so does the other. */

static bool value_eq(
    const struct schema_row *row, enum schema_type type, const void *a, const void *b);

/* ---- equality ---- */

static bool
list_eq(const struct schema_row *row, const struct schema_list *a, const struct schema_list *b)
{
	size_t size = schema_value_size(row->elem);

	if (a->count != b->count)
		return (false);
	for (uint32_t i = 0; i < a->count; i++)
		if (!value_eq(row, row->elem, (const char *)a->items + i * size,
			(const char *)b->items + i * size))
			return (false);
	return (true);
}

static bool
map_eq(const struct schema_row *row, const struct schema_map *a, const struct schema_map *b)
{
	size_t size = schema_value_size(row->elem);

	if (a->count != b->count)
		return (false);
	for (uint32_t i = 0; i < a->count; i++) {
		/* Usually in the same order. */
		int64_t at = slice_eq(a->keys[i], b->keys[i]) ? (int64_t)i :
								schema_map_find(b, a->keys[i]);

		if (at < 0 ||
		    !value_eq(row, row->elem, (const char *)a->items + i * size,
			(const char *)b->items + (size_t)at * size))
			return (false);
	}
	return (true);
}

static bool
object_eq(const void *a, const void *b)
{
	const struct schema_obj *x, *y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	if (x == NULL || y == NULL || x == y)
		return (x == y);
	return (schema_eq(x, y));
}

static bool
secret_eq(const struct scalar_secret *a, const struct scalar_secret *b)
{
	return (a->from == b->from && slice_eq(a->where, b->where) && slice_eq(a->value, b->value));
}

static bool
any_eq(const struct node *a, const struct node *b)
{
	return (a == NULL || b == NULL ? a == b : node_eq(a, b));
}

static bool
listen_eq(const struct scalar_listen *a, const struct scalar_listen *b)
{
	if (a->is_dual != b->is_dual || (a->addr.len == 0) != (b->addr.len == 0))
		return (false);
	return (a->addr.len == 0 || addr_eq(&a->addr, &b->addr));
}

static bool
value_eq(const struct schema_row *row, enum schema_type type, const void *a, const void *b)
{
	switch (type) {
	case SCHEMA_OBJECT:
		return (object_eq(a, b));
	case SCHEMA_INLINE:
		return (schema_eq(a, b));
	case SCHEMA_LIST:
		return (list_eq(row, a, b));
	case SCHEMA_MAP:
		return (map_eq(row, a, b));
	case SCHEMA_SECRET:
		return (secret_eq(a, b));
	case SCHEMA_LISTEN:
		return (listen_eq(a, b));
	case SCHEMA_ANY:
		return (any_eq(*(const struct node *const *)a, *(const struct node *const *)b));
	case SCHEMA_SERVER:
		return (slice_eq(((const struct scalar_server *)a)->text,
		    ((const struct scalar_server *)b)->text));
	case SCHEMA_BOOL:
	case SCHEMA_ENUM:
	case SCHEMA_RATE:
	case SCHEMA_CIDR:
		return (memcmp(a, b, schema_value_size(type)) == 0);
	default:
		if (schema_value_is_number(type))
			return (memcmp(a, b, sizeof(uint64_t)) == 0);
		return (slice_eq(*(const struct slice *)a, *(const struct slice *)b));
	}
}

bool
schema_eq(const struct schema_obj *a, const struct schema_obj *b)
{
	const struct schema_state *st;

	CHECK_OBJ(a, SCHEMA_OBJ_MAGIC);
	CHECK_OBJ(b, SCHEMA_OBJ_MAGIC);
	if (a->schema != b->schema)
		return (false);
	st = schema_state_of(a->schema);
	for (unsigned i = 0; i < st->n_rows; i++) {
		const void *x = schema_slot(st, a, i), *y = schema_slot(st, b, i);

		if (x == NULL || y == NULL) {
			if (x != y)
				return (false);
			continue;
		}
		if (!value_eq(&st->rows[i], st->rows[i].type, x, y))
			return (false);
	}
	return (true);
}

/* ---- digest ---- */

struct digest {
	uint64_t h[2];
};

static void value_digest(
    struct digest *d, const struct schema_row *row, enum schema_type type, const void *v);

/* Each piece is hashed under a key made of all pieces before it. */
static void
put(struct digest *d, const void *p, size_t n)
{
	uint8_t key[SIPHASH_KEY_BYTES];
	uint64_t len = n;

	d->h[0] += len * UINT64_C(0x9e3779b97f4a7c15);
	memcpy(key, d->h, sizeof(key));
	d->h[0] = siphash(key, n > 0 ? p : "", n);
	key[0] ^= 0x5a;
	d->h[1] = siphash(key, n > 0 ? p : "", n);
}

static void
put_u64(struct digest *d, uint64_t v)
{
	put(d, &v, sizeof(v));
}

static void
put_slice(struct digest *d, struct slice s)
{
	put(d, s.p, s.len);
}

static void
put_node(struct digest *d, const struct node *n)
{
	struct digest sum = { { 0, 0 } };

	put_u64(d, n->kind);
	if (n->kind == NODE_SCALAR) {
		put_u64(d, node_scalar_kind(n));
		put_slice(d, node_is_null(n) ? SLICE("") : node_text(n));
		return;
	}
	put_u64(d, n->count);
	for (uint32_t i = 0; i < n->count; i++) {
		struct digest one = { { 1, 2 } };

		if (n->kind == NODE_LIST) {
			put_node(d, node_item(n, i));
			continue;
		}
		put_slice(&one, node_text(node_key(n, i)));
		put_node(&one, node_value(n, i));
		sum.h[0] += one.h[0];
		sum.h[1] += one.h[1];
	}
	put(d, sum.h, sizeof(sum.h));
}

static void
put_object(struct digest *d, const void *v)
{
	const struct schema_obj *obj;
	uint64_t h[2] = { 0, 0 };

	memcpy(&obj, v, sizeof(obj));
	if (obj != NULL)
		schema_digest(obj, h);
	put_u64(d, obj != NULL);
	put(d, h, sizeof(h));
}

static void
put_list(struct digest *d, const struct schema_row *row, const struct schema_list *l)
{
	size_t size = schema_value_size(row->elem);

	put_u64(d, l->count);
	for (uint32_t i = 0; i < l->count; i++)
		value_digest(d, row, row->elem, (const char *)l->items + i * size);
}

/* The order of keys means nothing, so entries are summed. */
static void
put_map(struct digest *d, const struct schema_row *row, const struct schema_map *m)
{
	size_t size = schema_value_size(row->elem);
	struct digest sum = { { 0, 0 } };

	for (uint32_t i = 0; i < m->count; i++) {
		struct digest one = { { 1, 2 } };

		put_slice(&one, m->keys[i]);
		value_digest(&one, row, row->elem, (const char *)m->items + i * size);
		sum.h[0] += one.h[0];
		sum.h[1] += one.h[1];
	}
	put_u64(d, m->count);
	put(d, sum.h, sizeof(sum.h));
}

static void
put_secret(struct digest *d, const struct scalar_secret *s)
{
	put_u64(d, s->from);
	put_slice(d, s->where);
	put_slice(d, s->value);
}

/* The text of the address: sockets hold bytes that mean nothing. */
static void
put_listen(struct digest *d, const struct scalar_listen *l)
{
	char buf[ADDR_TEXT_MAX];

	put_u64(d, l->is_dual);
	put(d, buf, l->addr.len == 0 ? 0 : addr_format(&l->addr, buf, sizeof(buf)));
}

static void
put_any(struct digest *d, const struct node *n)
{
	put_u64(d, n != NULL);
	if (n != NULL)
		put_node(d, n);
}

static void
value_digest(struct digest *d, const struct schema_row *row, enum schema_type type, const void *v)
{
	switch (type) {
	case SCHEMA_OBJECT:
		put_object(d, v);
		break;
	case SCHEMA_INLINE:
		put_object(d, &v);
		break;
	case SCHEMA_LIST:
		put_list(d, row, v);
		break;
	case SCHEMA_MAP:
		put_map(d, row, v);
		break;
	case SCHEMA_SECRET:
		put_secret(d, v);
		break;
	case SCHEMA_LISTEN:
		put_listen(d, v);
		break;
	case SCHEMA_ANY:
		put_any(d, *(const struct node *const *)v);
		break;
	case SCHEMA_SERVER:
		put_slice(d, ((const struct scalar_server *)v)->text);
		break;
	case SCHEMA_BOOL:
	case SCHEMA_ENUM:
	case SCHEMA_RATE:
	case SCHEMA_CIDR:
		put(d, v, schema_value_size(type));
		break;
	default:
		if (schema_value_is_number(type))
			put(d, v, sizeof(uint64_t));
		else
			put_slice(d, *(const struct slice *)v);
	}
}

void
schema_digest(const struct schema_obj *obj, uint64_t digest_r[2])
{
	struct digest d = { { UINT64_C(0x736f6d6570736575), UINT64_C(0x646f72616e646f6d) } };
	const struct schema_state *st;

	CHECK_OBJ(obj, SCHEMA_OBJ_MAGIC);
	st = schema_state_of(obj->schema);
	put_slice(&d, slice_str(obj->schema->noun));
	for (unsigned i = 0; i < st->n_rows; i++) {
		const void *v = schema_slot(st, obj, i);

		put_u64(&d, v != NULL);
		if (v != NULL)
			value_digest(&d, &st->rows[i], st->rows[i].type, v);
	}
	digest_r[0] = d.h[0];
	digest_r[1] = d.h[1];
}
