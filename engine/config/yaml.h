/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ENGINE_CONFIG_YAML_H
#define ENGINE_CONFIG_YAML_H

/*
 * YAML text to nodes. The only file that knows libyaml.
 *
 * The language is a careful part of YAML 1.2: one document, no tags, no merge keys, keys are
 * scalars and differ, anchors and aliases are capped. ${NAME}, ${NAME:-default} and $${ are
 * replaced in every scalar once YAML has been read, so a value can never change the structure.
 */

#include <stddef.h>

#include "engine/base/slice.h"
#include "engine/config/node.h"

struct arena;
struct diag;

enum {
	YAML_DEPTH_MAX = 32,
	YAML_KEY_BYTES_MAX = 255,   /* so that it is always a simple key */
	YAML_ALIASES_MAX = 1000,    /* in one file */
	YAML_EXPANDED_MAX = 100000, /* nodes that aliases stand for, in one file */
	YAML_FILE_BYTES_MAX = 64 << 20,
	YAML_ALL_BYTES_MAX = 256 << 20, /* of all files of one configuration */
};

/*
 * Finds a variable; NULL when unset. The text must live as long as the tree. Called while
 * reading, on the thread that reads.
 */
typedef const char *(*yaml_lookup_fn)(void *arg, const char *name);

/* The library below, as in "libyaml 0.2.5"; for `version`. */
const char *yaml_library(void);

/*
 * Reads one file's text. `name` (kept, not copied) goes into marks. Mistakes go to `diag`; the
 * syntax stops at its first mistake. Returns the tree, or NULL when the text could not be read
 * as a tree at all; an empty text gives a null scalar. Nodes and texts are in `arena`.
 */
const struct node *yaml_read(struct arena *arena, struct diag *diag, const char *name,
    struct slice text, yaml_lookup_fn lookup, void *lookup_arg);

#endif
