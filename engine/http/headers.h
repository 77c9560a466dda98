/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_HTTP_HEADERS_H
#define WEIR_HTTP_HEADERS_H

/*
 * The header fields of one message, as slices into bytes that do not move while the exchange
 * lives (input pages, the exchange's arena, static text). Order is kept; names keep their case.
 *
 * Nothing here is copied on the way in. On the way out an untouched field (HDR_RAW) is copied as
 * the raw bytes "name: value\r\n" that stand at `name`, and a run of such fields that lie side by
 * side is one copy; only edited fields are formatted.
 *
 * One worker, one exchange; no locks. Functions that add return false when the arena or the
 * table is full; the caller ends the exchange with REASON_OVERLOADED or a limit's own reason.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/check.h"
#include "engine/base/slice.h"
#include "engine/http/hdr_id.h"

struct arena;

enum hdr_flag {
	HDR_RAW = 1,	/* "name: value\r\n" lies contiguous at name, raw_len bytes of it */
	HDR_GONE = 2,	/* removed; kept in the table so that indexes stay */
	HDR_HOP = 4,	/* hop-by-hop (RFC 9110, 7.6.1), or named by Connection: never written */
	HDR_SECRET = 8,	/* never logged, never indexed */
};

struct hdr {
	const char	*name;
	const char	*value;
	uint32_t	 value_len;
	uint16_t	 name_len;
	uint8_t		 id;		/* enum hdr_id; HDR_OTHER when not well known */
	uint8_t		 flags;		/* enum hdr_flag */
	uint32_t	 raw_len;	/* with HDR_RAW: bytes at name, CRLF and padding included */
};

enum {
	HEADERS_MAX = 254,		/* fields a message may hold; limits are lower */
	HEADERS_FIRST_CAP = 32		/* what the first allocation holds */
};

struct headers {
	struct hdr	*v;
	struct arena	*arena;
	uint16_t	 n;		/* rows used, gone ones included */
	uint16_t	 cap;
	uint16_t	 n_gone;
	/* Bytes of all rows that are not gone, as lines of HTTP/1: room that is enough for them. */
	size_t		 wire_max;
	/* Row + 1 of the first of each known id; 0: none. It may be gone: use headers_get(). */
	uint8_t		 first[HDR__MAX];
};

/* An empty table whose rows will come from the arena on the first add. */
void		 headers_init(struct headers *, struct arena *);

/*
 * Rows of the ids that hdr.def calls HOP (Connection, Content-Length, Transfer-Encoding and the
 * like) are HDR_HOP from the start, whoever adds them: codecs write these lines themselves from
 * the message, so headers_get() does not show them and no filter can forge framing.
 *
 * Adding may move the rows: a struct hdr pointer is good until the next add, set or push.
 */

/* A row at the end, as the parser makes them. The bytes are not copied. NULL when full. */
struct hdr	*headers_push(struct headers *, struct slice name, struct slice value, uint8_t id);
/* The same for a field whose whole line lies at name, raw_len bytes of it: HDR_RAW. */
struct hdr	*headers_push_raw(struct headers *, struct slice name, struct slice value,
		    uint8_t id, uint32_t raw_len);

struct hdr	*headers_first_(const struct headers *, enum hdr_id, unsigned without_flags);

/* The first live row of a known id, or NULL. One load when there is none. */
static inline struct hdr *
headers_get(const struct headers *h, enum hdr_id id)
{
	must(id != HDR_OTHER && id < HDR__MAX);
	return (h->first[id] == 0 ? NULL : headers_first_(h, id, HDR_GONE | HDR_HOP));
}

/* The same, hop-by-hop rows included (codecs; a log that wants Content-Length as received). */
static inline struct hdr *
headers_get_hop(const struct headers *h, enum hdr_id id)
{
	must(id != HDR_OTHER && id < HDR__MAX);
	return (h->first[id] == 0 ? NULL : headers_first_(h, id, HDR_GONE));
}

/* The next live row with the same id (or same name, for HDR_OTHER) after this one, or NULL. */
struct hdr	*headers_next(const struct headers *, const struct hdr *);
/* The first live row of that name, case-insensitive; well-known names take the id path. */
struct hdr	*headers_find(const struct headers *, struct slice name);

/*
 * Edits. Names and values must live as long as the exchange (static, configuration or arena);
 * use arena_dup() first if they do not. `set` replaces the first and removes the others, or adds;
 * `add` appends; `remove` returns how many went.
 */
bool		 headers_set(struct headers *, struct slice name, struct slice value);
bool		 headers_set_id(struct headers *, enum hdr_id, struct slice value);
bool		 headers_add(struct headers *, struct slice name, struct slice value);
/* `raw` is "Name: value\r\n", formatted already, of that id, a known one; static or arena. */
bool		 headers_add_raw(struct headers *, enum hdr_id, struct slice raw);
unsigned	 headers_remove(struct headers *, struct slice name);
unsigned	 headers_remove_from_(struct headers *, struct hdr *first);

static inline unsigned
headers_remove_id(struct headers *h, enum hdr_id id)
{
	struct hdr *first = headers_get(h, id);

	return (first == NULL ? 0 : headers_remove_from_(h, first));
}

/* Removes this row alone. Pointers to rows stay good. */
void		 headers_drop(struct headers *, struct hdr *);

/*
 * Marks as HDR_HOP the fields that Connection names (RFC 9110, 7.6.1), Host excepted, which no
 * message may lose. Returns the options that mean something to the codec: enum headers_conn.
 */
unsigned	 headers_mark_hop_by_hop(struct headers *);

enum headers_conn {
	HEADERS_CONN_CLOSE = 1,
	HEADERS_CONN_KEEP_ALIVE = 2,
	HEADERS_CONN_UPGRADE = 4
};

/*
 * Fills an empty table with rows made elsewhere (the parser's stack) in one copy, with room for
 * a few more. False: no memory, or more than HEADERS_MAX. *repeated_r: an id that may stand once
 * (hdr_info.is_single) stands twice.
 */
bool		 headers_take_rows(struct headers *, const struct hdr *, unsigned n,
		    bool *repeated_r);

/* The live rows of another table, with copies of their bytes in this one's arena, behind what
   stands here. False: no memory, or too many. */
bool		 headers_copy(struct headers *, const struct headers *from);

static inline struct slice
hdr_name(const struct hdr *h)
{
	return (slice_of(h->name, h->name_len));
}

static inline struct slice
hdr_value(const struct hdr *h)
{
	return (slice_of(h->value, h->value_len));
}

static inline bool
hdr_is_live(const struct hdr *h)
{
	return ((h->flags & (HDR_GONE | HDR_HOP)) == 0);
}

/* Bytes of the live fields alone, counted. */
size_t		 headers_wire_len(const struct headers *);

#endif
