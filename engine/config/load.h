/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ENGINE_CONFIG_LOAD_H
#define ENGINE_CONFIG_LOAD_H

/*
 * Files to one tree: roots, folders, `include:`, and the rules by which files are merged.
 *
 * The rows of the root schema say how: maps merge by key (the same name twice is an error that
 * names both places), lists are appended in the order the files were read, everything else may
 * stand in one file only (SCHEMA_SAME: in several, if they agree). Included files include no
 * others. SCHEMA_PER_ROOT: every root given must state the key. The order: roots as given,
 * files of a folder sorted, included files sorted, after the file that names them.
 *
 * Reads files, so: main thread only.
 */

#include <stddef.h>

#include "engine/config/node.h"
#include "engine/config/source.h"
#include "engine/config/yaml.h"

struct arena;
struct diag;
struct schema;

struct load_options {
	const char *const *paths; /* files, or folders standing for their *.yaml */
	size_t n_paths;
	/* What is read is kept here, and what is kept of a load before is not read again; NULL:
	   nothing is kept. */
	struct sources *sources;
	/* Keys of the root schema; NULL ends them. A file that is what it was and has no others
	   (but those that can say one thing only) is not parsed: the caller has what it said.
	   NULL: none. */
	const char *const *known;
	yaml_lookup_fn lookup; /* without `sources`, which has its own; NULL: the environment */
	void *lookup_arg;
};

/*
 * The merged tree, or NULL when nothing could be read. Errors are in `diag`; a tree is returned
 * beside errors when decoding it can reveal more of them; its root is NODE_BROKEN when something
 * that the files say is missing from it. Marks carry names that live with the sources, which live
 * as long as the arena at least. With sources_again() the paths say only how many there were.
 */
const struct node *load_files(struct arena *arena, struct diag *diag, const struct schema *root,
    const struct load_options *opt);

/* The same from texts in memory: for tests and other readers. Paths are names only. */
struct load_text {
	const char *name;
	struct slice text;
};
const struct node *load_texts(struct arena *arena, struct diag *diag, const struct schema *root,
    const struct load_text *texts, size_t n, yaml_lookup_fn lookup, void *lookup_arg);

/* A path as the file `from` names it: unchanged when absolute, else beside `from`. */
struct slice load_resolve(struct arena *arena, const char *from, struct slice path);

#endif
