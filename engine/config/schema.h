/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ENGINE_CONFIG_SCHEMA_H
#define ENGINE_CONFIG_SCHEMA_H

/*
 * Tables that describe typed structs. One row a key; a key exists nowhere else.
 *
 * From the same rows come: decoding with all errors at once, defaults and bounds, layers
 * (defaults < listener < route), the dump with the place of each value, equality and digest of
 * two structs, the table of defaults, the JSON Schema and the reference page.
 *
 * A struct that a schema describes begins with `struct schema_obj obj`. Members:
 *
 *	numbers, times, sizes, percents  uint64_t		SCHEMA_ENUM  an enum
 *	texts of all kinds		 struct slice		SCHEMA_BOOL  bool
 *	SCHEMA_LIST, SCHEMA_MAP		 struct schema_list, struct schema_map
 *	SCHEMA_OBJECT			 const struct x *	NULL when absent, or with
 *					 SCHEMA_ALWAYS a shared object of defaults
 *	SCHEMA_INLINE			 struct x, by value: its keys stand directly in the
 *					 outer map; the outer struct's own rows win
 *
 * Decoded structs and their texts live in the reader's arena and point into the node tree, which
 * must live as long. They are immutable once returned, so any thread may read them. Schemas are
 * static, prepared on first use and then never freed; extending, decoding and merging are for
 * the main thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "engine/base/slice.h"
#include "engine/config/node.h"
#include "engine/config/scalar.h"
#include "engine/config/yaml.h"

struct arena;
struct diag;
struct schema;
struct sources;

enum schema_type {
	SCHEMA_END,          /* closes a table of rows */
	SCHEMA_BOOL,         /* bool: true or false */
	SCHEMA_INT,          /* uint64_t, within .min and .max */
	SCHEMA_DURATION,     /* uint64_t in ms: 500ms, 10s, 1h30m */
	SCHEMA_BYTES,        /* uint64_t: 16KiB */
	SCHEMA_BYTE_RATE,    /* uint64_t a second: 240B/s */
	SCHEMA_PERCENT,      /* uint64_t in ppm: 5% */
	SCHEMA_RATE,         /* struct scalar_rate: 10/s */
	SCHEMA_ENUM,         /* an enum: one of .names */
	SCHEMA_STRING,       /* struct slice: a string, so numbers need quotes */
	SCHEMA_TEXT,         /* struct slice: any scalar as it is written; see .check */
	SCHEMA_NAME,         /* struct slice: [A-Za-z0-9_][A-Za-z0-9_.-]*, at most 64 bytes */
	SCHEMA_REF,          /* struct slice: a NAME that something else bears; resolved later */
	SCHEMA_HEADER_NAME,  /* struct slice: a token, RFC 9110 5.6.2 */
	SCHEMA_HEADER_VALUE, /* struct slice: RFC 9110 5.5 */
	SCHEMA_HOST,         /* struct slice: lower case; exact or *.example.com */
	SCHEMA_PATH,         /* struct slice: begins with "/", no query, no fragment */
	SCHEMA_METHOD,       /* struct slice: an upper-case token */
	SCHEMA_FILE,         /* struct slice: path, made relative to the file that names it */
	SCHEMA_SERVER,       /* struct scalar_server: ip:port, name:port, unix:/path */
	SCHEMA_LISTEN,       /* struct scalar_listen: 8080, 0.0.0.0:80, [::]:80 */
	SCHEMA_CIDR,         /* struct cidr: 10.0.0.0/8, or one address */
	SCHEMA_SECRET,       /* struct scalar_secret: text, { file: } or { env: }; never shown */
	SCHEMA_ANY,          /* const struct node *: not looked into */
	SCHEMA_OBJECT,       /* const struct x *, by .sub */
	SCHEMA_INLINE,       /* struct x, by .sub */
	SCHEMA_LIST,         /* struct schema_list of .elem; a lone map is a list of one */
	SCHEMA_MAP,          /* struct schema_map of .key (a kind of text) to .elem */
	SCHEMA_TYPE__MAX
};

enum {
	SCHEMA_REQUIRED = 1 << 0,
	SCHEMA_CAN_OFF = 1 << 1,    /* `off` removes what a lower layer gave; numbers: means 0 */
	SCHEMA_ALWAYS = 1 << 2,     /* OBJECT: NULL only when `off` */
	SCHEMA_CAN_AUTO = 1 << 3,   /* numbers: `auto` is SCALAR_AUTO */
	SCHEMA_UNLIMITED = 1 << 4,  /* numbers: `unlimited` is SCALAR_UNLIMITED */
	SCHEMA_WORD = 1 << 5,       /* no key: only the scalar form sets it (schema.scalar) */
	SCHEMA_SAME = 1 << 6,       /* several files may state it, if they agree (load.h) */
	SCHEMA_PER_ROOT = 1 << 7,   /* required in every root file (load.h) */
	SCHEMA_DEPRECATED = 1 << 8, /* a warning that says .note */
	SCHEMA_NOT_EMPTY = 1 << 9,  /* LIST, MAP, texts */
};

struct schema_enum {
	const char *name; /* NULL ends the list */
	int value;
};

struct schema_row {
	const char *name;
	uint32_t offset;
	uint32_t flags;
	uint8_t type;    /* enum schema_type, as elem and key */
	uint8_t elem;    /* LIST, MAP */
	uint8_t key;     /* MAP: NAME, REF, HEADER_NAME, HOST, STRING */
	const char *def; /* as a file would write it; NULL: none (zero, NULL, empty) */
	uint64_t min;    /* numbers in the unit of the value; LIST, MAP: how many */
	uint64_t max;    /* 0: no bound */
	struct schema *sub;
	const struct schema_enum *names;
	/* A rule of its own for a decoded scalar (an element, in a LIST or MAP): what is wrong with
	 * it, or NULL. */
	const char *(*check)(const void *value);
	/* The same for what is right and seldom meant: false, and what to warn of. */
	bool (*is_usual)(const void *value, struct scalar_why *why);
	const char *needs; /* may stand only beside this other key */
	const char *note;  /* DEPRECATED: what to write instead; ENUM: more for whoever errs */
	const char *also;  /* words of other gateways for it, with blanks between: in a hint */
	const char *help;  /* one line of meaning */
};

/* Keys of which only one may stand; `is_due`: and one must. Unused places are NULL. */
struct schema_group {
	const char *keys[8];
	bool is_due;
};

struct schema {
	unsigned magic;
#define SCHEMA_MAGIC 0x5c4e3a01U
	const char *noun; /* "route", for messages; the root has "" */
	size_t size;
	const struct schema_row *rows;     /* ends with SCHEMA_END; at most 64 with extensions */
	const struct schema_group *groups; /* ends with one whose keys[0] is NULL; or NULL */
	const char *name;                  /* the row that names an object in messages; or NULL */
	const char *scalar;         /* the row that a scalar in place of the map sets; or NULL */
	bool is_alternative;        /* an upper layer replaces it whole instead of merging */
	struct schema_state *state; /* private; NULL at the start */
};

/* The head of every decoded struct. */
struct schema_obj {
	unsigned magic;
#define SCHEMA_OBJ_MAGIC 0x5c4e3a02U
	const struct schema *schema;
	uint64_t present;                 /* bit i: row i was written, here or in a layer below */
	uint64_t off;                     /* bit i: row i was written as `off` */
	uint64_t wrong;                   /* bit i: row i was written, and is not sound */
	uint64_t meant;                   /* bit i: an unknown key probably meant row i */
	bool has_unknown;                 /* it had an unknown key */
	const struct node *node;          /* the map it was read from; NULL: all defaults */
	const struct node *const *origin; /* merged: the value node of each row; else NULL */
	void **ext;                       /* values of extension rows; see schema_ext_at() */
};

struct schema_list {
	const struct node *node; /* the list, or the lone item; NULL: default */
	const void *items;       /* an array of the element's type; OBJECT: of pointers */
	uint32_t count;
};

struct schema_map {
	const struct node *const *nodes; /* value node of each entry; its key is at [-1]; or NULL */
	const struct slice *keys;        /* in the order of the file */
	const void *items;
	uint32_t count;
};

/*
 * A row. The member's type is checked by the compiler:
 *
 *	SCHEMA_ROW("connect", DURATION, struct timeouts, connect_ms, .def = "3s", .help = "..."),
 */
#define SCHEMA_ROW(key_, type_, struct_, member_, ...)                                       \
	{                                                                                    \
		.name = (key_), .type = SCHEMA_##type_,                                      \
		.offset = offsetof(struct_, member_) +                                       \
		    0 * sizeof(char[SCHEMA_FITS_##type_(((struct_ *)0)->member_) ? 1 : -1]), \
		__VA_ARGS__                                                                  \
	}
/* A row without a member, for schema_extend(): the object or list of a part of the program. */
#define SCHEMA_EXT_ROW(key_, type_, ...)                            \
	{                                                           \
		.name = (key_), .type = SCHEMA_##type_, __VA_ARGS__ \
	}
#define SCHEMA_ROWS_END            \
	{                          \
		.type = SCHEMA_END \
	}

#define SCHEMA_DEFINE(noun_, struct_, rows_, ...)                                                 \
	{                                                                                         \
		.magic = SCHEMA_MAGIC, .noun = (noun_), .rows = (rows_),                          \
		.size = sizeof(struct_) + 0 * sizeof(char[offsetof(struct_, obj) == 0 ? 1 : -1]), \
		__VA_ARGS__                                                                       \
	}

#define SCHEMA_IS_(m, t)               __builtin_types_compatible_p(__typeof__(m), t)
#define SCHEMA_FITS_BOOL(m)            SCHEMA_IS_(m, bool)
#define SCHEMA_FITS_INT(m)             SCHEMA_IS_(m, uint64_t)
#define SCHEMA_FITS_DURATION(m)        SCHEMA_IS_(m, uint64_t)
#define SCHEMA_FITS_BYTES(m)           SCHEMA_IS_(m, uint64_t)
#define SCHEMA_FITS_BYTE_RATE(m)       SCHEMA_IS_(m, uint64_t)
#define SCHEMA_FITS_PERCENT(m)         SCHEMA_IS_(m, uint64_t)
#define SCHEMA_FITS_RATE(m)            SCHEMA_IS_(m, struct scalar_rate)
#define SCHEMA_FITS_ENUM(m)            (sizeof(m) == sizeof(int))
#define SCHEMA_FITS_STRING(m)          SCHEMA_IS_(m, struct slice)
#define SCHEMA_FITS_TEXT(m)            SCHEMA_IS_(m, struct slice)
#define SCHEMA_FITS_NAME(m)            SCHEMA_IS_(m, struct slice)
#define SCHEMA_FITS_REF(m)             SCHEMA_IS_(m, struct slice)
#define SCHEMA_FITS_HEADER_NAME(m)     SCHEMA_IS_(m, struct slice)
#define SCHEMA_FITS_HEADER_VALUE(m)    SCHEMA_IS_(m, struct slice)
#define SCHEMA_FITS_HOST(m)            SCHEMA_IS_(m, struct slice)
#define SCHEMA_FITS_PATH(m)            SCHEMA_IS_(m, struct slice)
#define SCHEMA_FITS_METHOD(m)          SCHEMA_IS_(m, struct slice)
#define SCHEMA_FITS_FILE(m)            SCHEMA_IS_(m, struct slice)
#define SCHEMA_FITS_SERVER(m)          SCHEMA_IS_(m, struct scalar_server)
#define SCHEMA_FITS_LISTEN(m)          SCHEMA_IS_(m, struct scalar_listen)
#define SCHEMA_FITS_CIDR(m)            SCHEMA_IS_(m, struct cidr)
#define SCHEMA_FITS_SECRET(m)          SCHEMA_IS_(m, struct scalar_secret)
#define SCHEMA_FITS_ANY(m)             SCHEMA_IS_(m, const struct node *)
#define SCHEMA_FITS_OBJECT(m)          (sizeof(m) == sizeof(void *) && sizeof(*(m)) > 0)
#define SCHEMA_FITS_INLINE(m)          (sizeof((m).obj) == sizeof(struct schema_obj))
#define SCHEMA_FITS_LIST(m)            SCHEMA_IS_(m, struct schema_list)
#define SCHEMA_FITS_MAP(m)             SCHEMA_IS_(m, struct schema_map)

/* Item i of a list or map: SCHEMA_AT(struct slice, r->hosts, i); objects: SCHEMA_OBJ_AT. */
#define SCHEMA_AT(type_, c_, i_)       (((const type_ *)(c_).items)[i_])
#define SCHEMA_OBJ_AT(struct_, c_, i_) (((const struct_ *const *)(c_).items)[i_])

/* ---- reading ---- */

struct schema_reader {
	struct arena *arena;
	struct diag *diag;
	struct sources *sources; /* of the tree; NULL: secrets come from disk and environment */
	const char *const *known; /* as in load_options: keys of the root that may be missing */
	yaml_lookup_fn lookup;   /* for { env: }, without `sources`; NULL: the environment */
	void *lookup_arg;
};

/*
 * Decodes a tree (load.h) by the program's root schema. Reads on past every mistake; the result
 * is whole only when the diag counts no errors. Never NULL. Reads files of secrets.
 */
const struct schema_obj *schema_decode(
    const struct schema_reader *rd, struct schema *schema, const struct node *node);

/*
 * Lays `over` on `base`, both of one schema: scalars and lists replace, maps merge by key,
 * objects merge row by row, alternatives replace whole, `off` removes. Returns one of the two
 * when the other adds nothing, else a new object in the arena. NULL counts as an empty layer.
 */
const struct schema_obj *schema_merge(
    struct arena *arena, const struct schema_obj *base, const struct schema_obj *over);

/* An object of nothing but defaults; shared, lives for ever. */
const struct schema_obj *schema_defaults(struct schema *schema);

/* ---- extension: keys that a part of the program brings (a filter and its policy key) ---- */

struct schema_key_ext {
	struct schema_row row; /* OBJECT, LIST or MAP; offset unused */
};

/*
 * Appends rows to a schema before its first use; returns the index of the first. They behave as
 * the schema's own, on every struct that inlines it.
 */
unsigned schema_extend(struct schema *schema, const struct schema_key_ext *exts, unsigned n);

/* The object less its extension rows that are wrong; itself when there are none. */
const struct schema_obj *schema_without_wrong(struct arena *arena, const struct schema_obj *obj);

/* OBJECT: the struct, NULL when absent. LIST, MAP: its struct schema_list or schema_map. */
const void *schema_ext_at(const struct schema_obj *obj, unsigned i);

/* ---- asking a decoded object; keys of inlined structs too ---- */

bool schema_has(const struct schema_obj *obj, const char *key);    /* written anywhere */
bool schema_is_off(const struct schema_obj *obj, const char *key); /* written as `off` */
/*
 * For checks that go on beside mistakes: the value was refused, in part or as a whole, or a
 * misspelt key probably meant it. It has been reported; of a list or map, what is sound is there.
 */
bool schema_is_wrong(const struct schema_obj *obj, const char *key);
/* Where the value (the key) stands; the object's own place when it was not written. */
struct mark schema_mark(const struct schema_obj *obj, const char *key);
struct mark schema_key_mark(const struct schema_obj *obj, const char *key);
struct mark schema_obj_mark(const struct schema_obj *obj);
struct mark schema_item_mark(const struct schema_list *list, uint32_t i);
struct mark schema_entry_mark(const struct schema_map *map, uint32_t i); /* of the key */
struct mark schema_entry_value_mark(const struct schema_map *map, uint32_t i);
/* The entry's index, or -1; linear. */
int64_t schema_map_find(const struct schema_map *map, struct slice key);

/*
 * Same values all the way down, wherever and in whatever order they were written; defaults
 * spelled out equal defaults left out. The digest agrees with it: 128 bits of SipHash with a
 * fixed key, so it may be kept when the object is gone.
 */
bool schema_eq(const struct schema_obj *a, const struct schema_obj *b);
void schema_digest(const struct schema_obj *obj, uint64_t digest_r[2]);

/* ---- printing; secrets show where they come from, never what they are ---- */

/* YAML of all values in force, each with its origin: `connect: 3s  # api.yaml:12`. */
void schema_show(const struct schema_obj *obj, FILE *out);
/*
 * The values that schema_show() shows, one by one, but for lists and maps. `path` is "host" or
 * "timeout.idle"; the mark has no file where the value is a default. Texts are the arena's.
 */
typedef void schema_each_fn(void *arg, const char *path, const char *value, struct mark where);
void schema_each(
    struct arena *arena, const struct schema_obj *obj, schema_each_fn *fn, void *arg);
/* The same as JSON, two objects: the values as a file of ours, which JSON is, could say them, and
   the places, "api.yaml:12" or "default", by JSON pointers into it. The first line begins where the
   output stands, the others with `indent` blanks. */
void schema_show_json(const struct schema_obj *obj, unsigned indent, FILE *out);
void schema_show_json_origins(const struct schema_obj *obj, unsigned indent, FILE *out);
/* For what stands beside them: a place as they say it, any text; in quotes. */
void schema_print_json_place(struct mark mark, FILE *out);
void schema_print_json_text(struct slice s, FILE *out);
/* The table of every key: path, type, default, bounds, meaning. */
void schema_print_defaults(struct schema *root, FILE *out);
void schema_print_json_schema(struct schema *root, const char *title, FILE *out);
void schema_print_reference(struct schema *root, FILE *out);

#endif
