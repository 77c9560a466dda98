/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Well-known field names as small numbers. Constant tables; any thread.
 */
#ifndef WEIR_HTTP_HDR_ID_H
#define WEIR_HTTP_HDR_ID_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/slice.h"

enum hdr_id {
	HDR_OTHER,		/* not well known: ask by name */
#define HDR(NAME, name, spelled, flags) HDR_##NAME,
#include "engine/http/hdr.def"
#undef HDR
	HDR__MAX
};

struct hdr_info {
	struct slice	 name;		/* lower case, static */
	uint8_t		 row_flags;	/* enum hdr_flag that every row of this id carries */
	bool		 is_single;	/* may stand once only */
};

/* Indexed by enum hdr_id; the row of HDR_OTHER has an empty name. */
extern const struct hdr_info hdr_info[HDR__MAX];

/* The id of a name in any case, or HDR_OTHER. Any bytes may be given. */
enum hdr_id	hdr_id_of(struct slice name);

static inline struct slice
hdr_id_name(enum hdr_id id)
{
	return (hdr_info[id].name);
}

/* As people know it from HTTP/1: the fields that we add are spelled so. Apart from hdr_info, which
   is looked at for every field that comes. */
extern const char *const hdr_spelled[HDR__MAX];

static inline struct slice
hdr_id_spelled(enum hdr_id id)
{
	return (slice_of(hdr_spelled[id], hdr_info[id].name.len));
}

#endif
