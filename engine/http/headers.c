/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/http/headers.h"

#include <string.h>

#include "engine/base/check.h"
#include "engine/mem/arena.h"

enum {
	ROOM_FOR_EDITS = 8	/* rows that proxy and filters usually add; no second allocation */
};

void
headers_init(struct headers *h, struct arena *arena)
{
	memset(h, 0, sizeof(*h));
	h->arena = arena;
}

static inline bool
reserve(struct headers *h, unsigned cap)
{
	struct hdr *v;

	if (cap > HEADERS_MAX)
		cap = HEADERS_MAX;
	if (cap <= h->cap)
		return (false);
	v = arena_alloc(h->arena, cap * sizeof(*v));
	if (v == NULL)
		return (false);
	if (h->n > 0)
		memcpy(v, h->v, h->n * sizeof(*v));
	h->v = v;
	h->cap = (uint16_t)cap;
	return (true);
}

/* Apart, and rare: adding to a table that has room saves no registers for it. */
static CC_COLD bool
grow(struct headers *h)
{
	return (reserve(h, h->cap == 0 ? HEADERS_FIRST_CAP : 2u * h->cap));
}

/* A row at the end, to be filled. */
static inline struct hdr *
add_row(struct headers *h, uint8_t id)
{
	unsigned n = h->n;

	must(id < HDR__MAX);
	if (unlikely(n == h->cap) && !grow(h))
		return (NULL);
	h->n = (uint16_t)(n + 1);
	if (id != HDR_OTHER && h->first[id] == 0)
		h->first[id] = (uint8_t)(n + 1);
	return (&h->v[n]);
}

/* The line that is written of a row; an edited one has ": " and CR LF besides name and value. */
static inline size_t
line_len(const struct hdr *row)
{
	return ((row->flags & HDR_RAW) != 0 ? row->raw_len :
	    (size_t)row->name_len + row->value_len + 4);
}

static struct hdr *
push(struct headers *h, struct slice name, struct slice value, uint8_t id, unsigned flags,
    uint32_t raw_len)
{
	struct hdr *row;

	if (name.len > UINT16_MAX || value.len > UINT32_MAX)
		return (NULL);
	row = add_row(h, id);
	if (row == NULL)
		return (NULL);
	row->name = name.p;
	row->name_len = (uint16_t)name.len;
	row->value = value.p;
	row->value_len = (uint32_t)value.len;
	row->id = id;
	row->flags = (uint8_t)(flags | hdr_info[id].row_flags);
	row->raw_len = raw_len;
	h->wire_max += line_len(row);
	return (row);
}

struct hdr *
headers_push(struct headers *h, struct slice name, struct slice value, uint8_t id)
{
	return (push(h, name, value, id, 0, 0));
}

struct hdr *
headers_push_raw(struct headers *h, struct slice name, struct slice value, uint8_t id,
    uint32_t raw_len)
{
	return (push(h, name, value, id, HDR_RAW, raw_len));
}

bool
headers_take_rows(struct headers *h, const struct hdr *rows, unsigned n, bool *repeated_r)
{
	unsigned cap = n + ROOM_FOR_EDITS;

	must(h->n == 0);
	*repeated_r = false;
	if (n > HEADERS_MAX)
		return (false);
	if (h->cap < n && !reserve(h, cap < HEADERS_FIRST_CAP ? HEADERS_FIRST_CAP : cap))
		return (false);
	if (n == 0)
		return (true);
	h->n = (uint16_t)n;
	for (unsigned i = 0; i < n; i++) {
		uint8_t id = rows[i].id;

		h->v[i] = rows[i];
		h->wire_max += line_len(&rows[i]);
		if (id == HDR_OTHER)
			continue;
		if (h->first[id] == 0)
			h->first[id] = (uint8_t)(i + 1);
		else if (hdr_info[id].is_single)
			*repeated_r = true;
	}
	return (true);
}

bool
headers_copy(struct headers *h, const struct headers *from)
{
	/* Room for all lines, so for names and values too. */
	char *at = arena_alloc(h->arena, from->wire_max + 1);

	if (at == NULL)
		return (false);
	for (unsigned i = 0; i < from->n; i++) {
		const struct hdr *row = &from->v[i];
		struct slice name = { at, row->name_len }, value = { at, row->value_len };
		bool is_raw = (row->flags & HDR_RAW) != 0;

		if (!hdr_is_live(row))
			continue;
		if (is_raw) {
			value.p = at + (row->value - row->name);
			at = mempcpy(at, row->name, row->raw_len);
		} else {
			value.p = mempcpy(at, row->name, row->name_len);
			at = mempcpy(at + row->name_len, row->value, row->value_len);
		}
		if (push(h, name, value, row->id, row->flags, is_raw ? row->raw_len : 0) == NULL)
			return (false);
	}
	return (true);
}

/* The first row from index `i` on with that id and none of these flags. */
static struct hdr *
scan_id(const struct headers *h, unsigned i, enum hdr_id id, unsigned without)
{
	for (; i < h->n; i++) {
		struct hdr *row = &h->v[i];

		if (row->id == id && (row->flags & without) == 0)
			return (row);
	}
	return (NULL);
}

static struct hdr *
scan_name(const struct headers *h, unsigned i, struct slice name)
{
	for (; i < h->n; i++) {
		struct hdr *row = &h->v[i];

		if (row->id == HDR_OTHER && hdr_is_live(row) && slice_eq_fold(hdr_name(row), name))
			return (row);
	}
	return (NULL);
}

struct hdr *
headers_first_(const struct headers *h, enum hdr_id id, unsigned without_flags)
{
	return (scan_id(h, h->first[id] - 1u, id, without_flags));
}

struct hdr *
headers_next(const struct headers *h, const struct hdr *row)
{
	unsigned i = (unsigned)(row - h->v) + 1;

	must(row >= h->v && i <= h->n);
	if (row->id != HDR_OTHER)
		return (scan_id(h, i, row->id, HDR_GONE | (~row->flags & HDR_HOP)));
	return (scan_name(h, i, hdr_name(row)));
}

struct hdr *
headers_find(const struct headers *h, struct slice name)
{
	enum hdr_id id = hdr_id_of(name);

	return (id != HDR_OTHER ? headers_get(h, id) : scan_name(h, 0, name));
}

void
headers_drop(struct headers *h, struct hdr *row)
{
	must(row >= h->v && row < h->v + h->n);
	if ((row->flags & HDR_GONE) == 0) {
		row->flags |= HDR_GONE;
		h->wire_max -= line_len(row);
		h->n_gone++;
	}
}

static bool
set_from(struct headers *h, struct hdr *row, struct slice name, struct slice value, uint8_t id)
{
	struct hdr *more;

	if (row == NULL)
		return (headers_push(h, name, value, id) != NULL);
	if (value.len > UINT32_MAX)
		return (false);
	while ((more = headers_next(h, row)) != NULL)
		headers_drop(h, more);
	h->wire_max -= line_len(row);
	row->value = value.p;
	row->value_len = (uint32_t)value.len;
	row->flags &= (uint8_t)~HDR_RAW;
	row->raw_len = 0;
	h->wire_max += line_len(row);
	return (true);
}

bool
headers_set(struct headers *h, struct slice name, struct slice value)
{
	return (set_from(h, headers_find(h, name), name, value, (uint8_t)hdr_id_of(name)));
}

bool
headers_set_id(struct headers *h, enum hdr_id id, struct slice value)
{
	return (set_from(h, headers_get(h, id), hdr_id_spelled(id), value, (uint8_t)id));
}

bool
headers_add(struct headers *h, struct slice name, struct slice value)
{
	return (headers_push(h, name, value, (uint8_t)hdr_id_of(name)) != NULL);
}

/* Apart, as grow() is; the call comes back with room. */
static CC_COLD bool
add_raw_grown(struct headers *h, enum hdr_id id, struct slice raw)
{
	return (grow(h) && headers_add_raw(h, id, raw));
}

bool
headers_add_raw(struct headers *h, enum hdr_id id, struct slice raw)
{
	const struct hdr_info *info = &hdr_info[id];
	size_t name_len = info->name.len;
	struct hdr *row;

	/* Ours, so its shape is known: no search for where the name ends and the value begins. */
	must(id != HDR_OTHER && raw.len >= name_len + 4 && raw.len <= UINT32_MAX &&
	    memcmp(raw.p + name_len, ": ", 2) == 0 &&
	    memcmp(raw.p + raw.len - 2, "\r\n", 2) == 0);
	if (unlikely(h->n == h->cap))
		return (add_raw_grown(h, id, raw));
	row = add_row(h, (uint8_t)id);
	row->name = raw.p;
	row->name_len = (uint16_t)name_len;
	row->value = raw.p + name_len + 2;
	row->value_len = (uint32_t)(raw.len - name_len - 4);
	row->id = (uint8_t)id;
	row->flags = HDR_RAW | info->row_flags;
	row->raw_len = (uint32_t)raw.len;
	h->wire_max += raw.len;
	return (true);
}

/* All live rows from this one on; the pointer stays good, nothing is added. */
unsigned
headers_remove_from_(struct headers *h, struct hdr *row)
{
	unsigned n = 0;

	for (; row != NULL; n++) {
		struct hdr *next = headers_next(h, row);

		headers_drop(h, row);
		row = next;
	}
	return (n);
}

unsigned
headers_remove(struct headers *h, struct slice name)
{
	return (headers_remove_from_(h, headers_find(h, name)));
}

/* One option of Connection. */
static unsigned
mark_option(struct headers *h, struct slice option)
{
	struct hdr *row;

	if (slice_eq_fold(option, SLICE("close")))
		return (HEADERS_CONN_CLOSE);
	if (slice_eq_fold(option, SLICE("keep-alive")))
		return (HEADERS_CONN_KEEP_ALIVE);
	if (slice_eq_fold(option, SLICE("upgrade")))
		return (HEADERS_CONN_UPGRADE);
	if (slice_is_empty(option) || slice_eq_fold(option, SLICE("host")))
		return (0);
	for (row = headers_find(h, option); row != NULL;) {
		struct hdr *next = headers_next(h, row);

		row->flags |= HDR_HOP;
		row = next;
	}
	return (0);
}

unsigned
headers_mark_hop_by_hop(struct headers *h)
{
	struct hdr *row = headers_get_hop(h, HDR_CONNECTION);
	unsigned seen = 0;

	for (; row != NULL; row = headers_next(h, row)) {
		struct slice rest = hdr_value(row);
		struct slice option;

		while (slice_split(&rest, ',', &option))
			seen |= mark_option(h, slice_trim(option));
	}
	return (seen);
}

size_t
headers_wire_len(const struct headers *h)
{
	size_t n = 0;

	for (unsigned i = 0; i < h->n; i++) {
		if (hdr_is_live(&h->v[i]))
			n += line_len(&h->v[i]);
	}
	must(n <= h->wire_max);
	return (n);
}
