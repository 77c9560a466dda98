/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ENGINE_CONFIG_SCHEMA_IMPL_H
#define ENGINE_CONFIG_SCHEMA_IMPL_H

/* Private to this folder: what a schema becomes on first use, and values by type. */

#include "engine/config/schema.h"

enum {
	SCHEMA_ROWS_MAX = 64
}; /* bits of schema_obj.present */

struct schema_state {
	unsigned magic;
#define SCHEMA_STATE_MAGIC 0x5c4e3a03U
	struct schema *schema;
	struct arena *arena;      /* of the defaults; never freed */
	struct schema_obj *proto; /* an object of defaults; NULL: not prepared */
	bool is_preparing;
	unsigned n_own; /* rows of the table; those of extensions follow */
	unsigned n_rows;
	uint64_t inlines; /* bit i: row i is INLINE */
	uint64_t always;  /* bit i: row i is OBJECT with ALWAYS */
	int scalar;       /* row set by the scalar form, or -1 */
	uint8_t name_len[SCHEMA_ROWS_MAX];
	struct schema_row rows[SCHEMA_ROWS_MAX];
};

/* Where a value is being decoded: for messages only. */
enum schema_frame_kind {
	SCHEMA_FRAME_OBJECT,
	SCHEMA_FRAME_KEY,
	SCHEMA_FRAME_ITEM,
	SCHEMA_FRAME_ENTRY,
	SCHEMA_FRAME__MAX
};

struct schema_frame {
	const struct schema_frame *up;
	const struct schema *schema; /* OBJECT */
	const struct node *node;     /* OBJECT */
	struct slice text;           /* KEY, ENTRY */
	uint32_t index;              /* ITEM */
	enum schema_frame_kind kind;
};

static inline uint64_t
schema_bit(unsigned i)
{
	return (UINT64_C(1) << i);
}

/* The state, made and prepared when it is not. */
struct schema_state *schema_state_of(const struct schema *schema);

/* Index of a row by its key, or -1; words are not keys. */
int schema_row_find(const struct schema_state *st, struct slice key);
/* The same for tables in code, words included; a row that is not there is a bug. */
unsigned schema_row_index(const struct schema_state *st, const char *key);

/* Row i of an inlined schema, but the struct around it has a key of that name. */
bool schema_is_shadowed(
    const struct schema_state *outer, const struct schema_state *st, unsigned i);

/* The typed storage of row i; NULL: an extension that is absent. */
const void *schema_slot(const struct schema_state *st, const struct schema_obj *obj, unsigned i);
void *schema_slot_make(
    const struct schema_state *st, struct arena *a, struct schema_obj *obj, unsigned i);
struct schema_obj *schema_inline_at(
    const struct schema_state *st, struct schema_obj *obj, unsigned i);

/* The node of row i's value, or NULL when it was not written. */
const struct node *schema_row_node(
    const struct schema_state *st, const struct schema_obj *obj, unsigned i);

/* ---- values by type (value.c) ---- */

size_t schema_value_size(enum schema_type type);
bool schema_value_is_number(enum schema_type type);
/* A scalar of any type but the composed ones. */
bool schema_value_parse(struct arena *a, const struct schema_row *row, enum schema_type type,
    const struct node *n, void *value_r, struct scalar_why *why);
/* As the language writes it; texts in quotes where they need them. */
void schema_value_print(
    const struct schema_row *row, enum schema_type type, const void *value, FILE *out);
void schema_number_put(
    const struct schema_row *row, enum schema_type type, uint64_t v, struct text *t);
/* Of a text of this type, as JSON Schema writes expressions; NULL: no short one says it. */
const char *schema_value_pattern(enum schema_type type);
const char *schema_type_name(enum schema_type type);
/* "a time such as 10s" */
const char *schema_type_due(enum schema_type type);
/* Plain where YAML allows it, else in double quotes. */
void schema_print_text(struct slice s, FILE *out);
/* Does YAML take it for that text without quotes, also within a list? */
bool schema_is_plain_text(struct slice s);
/* What stands between the quotes: of YAML and of JSON. */
void schema_print_inner(struct slice s, FILE *out);

/* ---- printing (print.c) ---- */

/* Nothing written in row i and no default: nothing to show. */
bool schema_is_absent(const struct schema_state *st, const struct schema_obj *obj, unsigned i);
/* The row of an alternative that is one word, `balance: round_robin`, or -1. */
int schema_word(const struct schema_obj *obj);

/* ---- decoding (decode.c) ---- */

/* One value into row i of `obj`, as if it stood in a map there. */
void schema_decode_row(const struct schema_reader *rd, const struct schema_state *st,
    struct schema_obj *obj, unsigned i, const struct node *value);

/* ---- messages (explain.c) ---- */

/* "routes[3].timeout.connect"; in the arena. */
const char *schema_path(struct arena *a, const struct schema_frame *f);
/* `"connect" in timeout of route "users"` */
const char *schema_subject(struct arena *a, const struct schema_frame *f);
/* `timeout of route "users"`, "" at the top. */
const char *schema_context(struct arena *a, const struct schema_frame *object);
/* Writes the error and returns a bit for the row that was probably meant, or 0. */
uint64_t schema_report_unknown(
    const struct schema_reader *rd, const struct schema_frame *object, const struct node *key);

#endif
