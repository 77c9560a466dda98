/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ENGINE_CONFIG_SOURCE_H
#define ENGINE_CONFIG_SOURCE_H

/*
 * What a configuration was read from, kept: the text of each file, the variables that it looked
 * up and the other files that it names (secrets, bodies). From it the same configuration can be
 * decoded again whatever has become of the disk, and a file that did not change is known without
 * being read.
 *
 * A source is shared by all that was read while its file stayed as it is; a set of them belongs to
 * one load. Both are counted. Once a load is over its set does not change, but for the identity of
 * files, which is learnt again. Main thread, all of it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/slice.h"
#include "engine/config/yaml.h"
#include "engine/mem/map.h"
#include "engine/mem/vec.h"

struct arena;

/* A file as the system knows it. */
struct source_id {
	uint64_t dev, ino;
	int64_t size, mtime_ns, ctime_ns;
	/* It is older than the grain of file times: another change would show. Without this only
	   the content can tell. */
	bool is_settled;
};

struct source_var {
	const char *name;
	const char *value; /* NULL: not set */
};

/* A file that a source names and that was read with it. */
struct source_other {
	const char *path;
	struct slice text;
	struct source_id id;
};

struct source {
	unsigned magic;
#define SOURCE_MAGIC 0x5c4e3a0aU
	uint32_t refs;
	struct arena *arena; /* of all that it holds */
	const char *name;    /* what marks carry */
	struct slice text;   /* a NUL behind it */
	struct source_id id;
	struct map vars; /* by name: struct source_var */
	VEC(struct source_other *) others;
	/* What its top level says, by the rows of the root schema; once it was read as YAML. */
	uint64_t keys;
	bool has_other_keys;
};

/* A source in a set. */
struct sources_item {
	struct source *source;
	size_t group;     /* which of the paths given it came from */
	bool is_included; /* by a root */
	bool is_shared;   /* with the set before */
	bool is_parsed;   /* else what it says is known (load_options.known) */
};

/* Files were looked for by it, as a shell does. */
struct sources_pattern {
	const char *pattern;
	uint64_t found; /* a digest of their names */
};

struct sources {
	unsigned magic;
#define SOURCES_MAGIC 0x5c4e3a0bU
	uint32_t refs;
	struct arena *arena;
	/* What was read before, to be shared where it stayed as it is; NULL: nothing. A reference,
	   until sources_close(). */
	struct sources *before;
	bool is_again; /* nothing is read: the sources of `before` are taken as they are */
	yaml_lookup_fn lookup; /* NULL: the environment */
	void *lookup_arg;
	VEC(struct sources_item) v; /* in the order in which they were read */
	VEC(struct sources_pattern) patterns;
	struct map by_name;         /* to struct source */
	struct arena *making;       /* of a source that is not in `v` yet */
	struct source *last;        /* that sources_find() found */
	size_t n_read, n_parsed;    /* files, for whoever counts work */
};

/* One reference, the caller's. Never NULL. `before` gets one more. */
struct sources *sources_new(struct sources *before, yaml_lookup_fn lookup, void *lookup_arg);
/* The same configuration once more, from what was kept of it. */
struct sources *sources_again(struct sources *of);
struct sources *sources_ref(struct sources *);
void sources_unref(struct sources **);
/* The load is over: what came before is let go. */
void sources_close(struct sources *);

struct source *source_ref(struct source *);
void source_unref(struct source **);

/* The file at `path`, shared or read, behind the others of the set; NULL with a reason. The item
   stays where it is until the next one is added. */
struct sources_item *sources_read(
    struct sources *, const char *path, size_t max_bytes, const char **why_r);
/* One of the set before, as it was. */
struct sources_item *sources_take(struct sources *, const struct sources_item *);
/* By this pattern these files were found, or none. */
void sources_looked_for(struct sources *, const char *pattern, char *const *paths, size_t n);
/* Are all files still what was read, and those that the patterns find? What is no regular file
   counts as unchanged. After the load only. */
bool sources_are_current(struct sources *);
/* Whose name is `name`, or NULL. */
struct source *sources_find(struct sources *, const char *name);

/*
 * For what is read while the file `from` is decoded: a file that it names, which lives as long as
 * the source, and a variable. False, NULL: as load_slurp() and yaml_lookup_fn. Without a set
 * (NULL), or from a text that is none of its files, the disk and the environment are asked.
 */
bool source_slurp(struct sources *, struct arena *arena, const char *from, const char *path,
    size_t max_bytes, struct slice *text_r, const char **why_r);
const char *source_lookup(struct sources *, const char *from, const char *name);

/* A whole file into the arena, a NUL behind it; false with a reason when it cannot be had. */
bool load_slurp(struct arena *arena, const char *path, size_t max_bytes, struct slice *text_r,
    const char **why_r);

#endif
