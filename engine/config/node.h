/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ENGINE_CONFIG_NODE_H
#define ENGINE_CONFIG_NODE_H

/*
 * The tree of a YAML file: scalars, maps and lists, each with its place.
 *
 * Nodes are small (32 bytes), live in the arena of the reader (yaml.h, load.h) and never change
 * once the reader has returned. The children of one node lie side by side: a list has `count`
 * nodes, a map has `count` pairs, the key before its value. So a key is found from its value:
 * it is the node just before.
 *
 * An alias shares the children of the anchored node and carries its marks. All texts end in NUL
 * (and may hold no other). Nothing here allocates; all functions may be called from any thread.
 */

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/slice.h"
#include "engine/mem/err.h"

enum node_kind {
	NODE_SCALAR,
	NODE_MAP,
	NODE_LIST,
	NODE__MAX
};

enum {
	NODE_QUOTED = 1,   /* written in quotes or as a block scalar: always a string */
	NODE_EXPANDED = 2, /* a ${VARIABLE} was replaced */
	NODE_BROKEN = 4,   /* reported already: what it says means nothing */
};

/* What a scalar is by the YAML 1.2 core schema, octal and hexadecimal numbers left out. */
enum node_scalar {
	NODE_STRING,
	NODE_NULL,  /* nothing, ~, null, Null, NULL */
	NODE_BOOL,  /* true, True, TRUE, false, False, FALSE */
	NODE_INT,   /* 0, 12, -3: no sign "+", no leading zero */
	NODE_FLOAT, /* 1.5, -2e3, .inf, .nan */
	NODE_SCALAR__MAX
};

struct node {
	struct mark mark; /* file, line and column, counted from 1, columns in characters */
	union {
		const char *text;         /* scalar */
		const struct node *child; /* map, list */
	};
	uint32_t count; /* bytes of the scalar, pairs of the map, items of the list */
	uint8_t kind;   /* enum node_kind */
	uint8_t flags;
};

static inline struct slice
node_text(const struct node *n)
{
	return (slice_of(n->text, n->count));
}

static inline const struct node *
node_item(const struct node *list, uint32_t i)
{
	return (&list->child[i]);
}

static inline const struct node *
node_key(const struct node *map, uint32_t i)
{
	return (&map->child[2 * i]);
}

static inline const struct node *
node_value(const struct node *map, uint32_t i)
{
	return (&map->child[2 * i + 1]);
}

/* The value of a key, or NULL; linear. */
const struct node *node_get(const struct node *map, struct slice key);

enum node_scalar node_scalar_kind(const struct node *n);
bool node_is_null(const struct node *n);

/* Same kinds and texts all the way down; places are ignored, the order of keys too. */
bool node_eq(const struct node *a, const struct node *b);

/* "a map", "a list", "a string", "a number"...: for messages. */
const char *node_describe(const struct node *n);

#endif
