/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "engine/base/cc.h"
#include "engine/base/check.h"
#include "engine/base/rnd.h"
#include "engine/base/siphash.h"
#include "engine/config/diag.h"
#include "engine/config/yaml.h"
#include "engine/mem/alloc.h"
#include "engine/mem/arena.h"
#include "engine/mem/vec.h"

/*
 * Children are gathered on one stack and copied into the arena when their parent ends, so that
 * they lie side by side without a list being built first.
 */

enum {
	ANCHORS_MAX = 1000,
	LINEAR_KEYS_MAX = 12, /* pairs of a map compared each with each */
};

struct yaml_frame {
	size_t first;   /* on the stack */
	uint64_t total; /* nodes before this one */
	struct mark mark;
	char *anchor;    /* or NULL; in the arena */
	unsigned height; /* of the highest child */
	uint8_t kind;
};

struct yaml_anchor {
	const char *name;
	struct node node;
	uint64_t total;
	unsigned height;
};

struct yaml_state {
	struct arena *arena;
	struct diag *diag;
	const char *name;
	struct slice text;
	yaml_lookup_fn lookup;
	void *lookup_arg;
	yaml_parser_t parser;
	VEC(struct node) stack;
	struct yaml_frame frames[YAML_DEPTH_MAX];
	unsigned depth;
	struct yaml_anchor *anchors;
	unsigned n_anchors;
	unsigned n_aliases;
	unsigned n_documents;
	uint64_t total;    /* nodes, those behind aliases counted each time */
	uint64_t expanded; /* of them behind aliases */
	uint32_t *slots;   /* duplicate keys: hash table of pair numbers plus one */
	size_t n_slots;
	uint8_t hash_key[SIPHASH_KEY_BYTES];
	struct node root;
	struct mark wide;     /* the last text in quotes that goes over lines; line 0: none */
	uint32_t wide_end;    /* its last line */
	size_t end_of_events; /* in characters: what was read well */
	yaml_event_t event;
	struct arena_cleanup cleanup;
	bool has_parser;
	bool has_event;
	bool has_root;
	bool is_stopped;
};

static struct mark
mark_of(const struct yaml_state *y, const yaml_mark_t *m)
{
	return ((struct mark){
	    .file = y->name, .line = (uint32_t)(m->line + 1), .col = (uint32_t)(m->column + 1) });
}

/* An error after which the rest of the file makes no sense. */
static void
stop(struct yaml_state *y, struct mark mark, const char *hint, const char *what)
{
	diag_add(y->diag, DIAG_ERROR, mark, NULL, hint, "%s", what);
	y->is_stopped = true;
}

/* ---- variables ---- */

static bool
is_name_char(char c, bool is_first)
{
	if ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_')
		return (true);
	return (!is_first && c >= '0' && c <= '9');
}

struct yaml_out {
	char *p;
	size_t len;
	size_t cap;
};

static void
out_put(struct yaml_state *y, struct yaml_out *o, const char *p, size_t n)
{
	if (o->cap - o->len < n) {
		size_t cap = (o->len + n) * 2 + 64;
		char *grown = arena_alloc(y->arena, cap);

		if (o->len > 0)
			memcpy(grown, o->p, o->len);
		o->p = grown;
		o->cap = cap;
	}
	if (n > 0)
		memcpy(o->p + o->len, p, n);
	o->len += n;
}

/*
 * One ${...} at the start of `s`, braces included. Returns how many bytes it takes, or 0 after
 * an error.
 */
static size_t
expand_one(struct yaml_state *y, struct yaml_out *o, struct mark mark, struct slice s)
{
	char name[128];
	size_t n = 2, name_len;
	const char *end = memchr(s.p, '}', s.len), *value;

	while (n < s.len && is_name_char(s.p[n], n == 2))
		n++;
	name_len = n - 2;
	if (end == NULL || name_len == 0 || name_len >= sizeof(name) ||
	    (s.p[n] != '}' && (s.len - n < 3 || s.p[n] != ':' || s.p[n + 1] != '-'))) {
		diag_add(y->diag, DIAG_ERROR, mark, NULL,
		    "write ${NAME} or ${NAME:-default}, and $${ for the two characters ${",
		    "\"${\" does not begin a variable here");
		return (0);
	}
	memcpy(name, s.p + 2, name_len);
	name[name_len] = '\0';
	value = y->lookup != NULL ? y->lookup(y->lookup_arg, name) : getenv(name);
	if (s.p[n] == ':' && (value == NULL || *value == '\0')) {
		out_put(y, o, s.p + n + 2, (size_t)(end - (s.p + n + 2)));
	} else if (value == NULL) {
		diag_add(y->diag, DIAG_ERROR, mark, NULL,
		    arena_printf(y->arena, "set it, or write ${%s:-default}", name),
		    "the variable \"%s\" is not set", name);
		return (0);
	} else {
		out_put(y, o, value, strlen(value));
	}
	return ((size_t)(end - s.p) + 1);
}

static struct slice
expand(struct yaml_state *y, struct mark mark, struct slice s, uint8_t *flags)
{
	struct yaml_out o = { 0 };
	struct slice rest = s;

	while (rest.len > 0) {
		const char *dollar = memchr(rest.p, '$', rest.len);
		size_t n = dollar != NULL ? (size_t)(dollar - rest.p) : rest.len;

		out_put(y, &o, rest.p, n);
		rest = slice_skip(rest, n);
		if (slice_has_prefix(rest, SLICE("$${"))) {
			out_put(y, &o, "${", 2);
			rest = slice_skip(rest, 3);
		} else if (slice_has_prefix(rest, SLICE("${"))) {
			n = expand_one(y, &o, mark, rest);
			if (n == 0) {
				*flags |= NODE_BROKEN;
				return (s);
			}
			*flags |= NODE_EXPANDED;
			rest = slice_skip(rest, n);
		} else if (rest.len > 0) {
			out_put(y, &o, "$", 1);
			rest = slice_skip(rest, 1);
		}
	}
	return (slice_of(o.p, o.len));
}

/* ---- building ---- */

static void
push(struct yaml_state *y, const struct node *n)
{
	y->total++;
	if (y->depth == 0) {
		y->root = *n;
		y->has_root = true;
		return;
	}
	vec_push(&y->stack, *n);
}

static struct yaml_frame *
top(struct yaml_state *y)
{
	return (y->depth > 0 ? &y->frames[y->depth - 1] : NULL);
}

static bool
is_key_next(struct yaml_state *y)
{
	const struct yaml_frame *f = top(y);

	return (f != NULL && f->kind == NODE_MAP && (y->stack.n - f->first) % 2 == 0);
}

static void
raise_height(struct yaml_state *y, unsigned height)
{
	struct yaml_frame *f = top(y);

	if (f != NULL && height > f->height)
		f->height = height;
}

static void
add_anchor(
    struct yaml_state *y, const char *name, const struct node *n, uint64_t total, unsigned height)
{
	if (y->n_anchors == ANCHORS_MAX) {
		stop(y, n->mark, NULL, "too many anchors, at most 1000 are taken");
		return;
	}
	if (y->anchors == NULL)
		y->anchors = arena_alloc(y->arena, ANCHORS_MAX * sizeof(*y->anchors));
	y->anchors[y->n_anchors++] = (struct yaml_anchor){
		.name = name, .node = *n, .total = total, .height = height
	};
}

static void
on_alias(struct yaml_state *y, const yaml_event_t *e)
{
	struct mark mark = mark_of(y, &e->start_mark);
	const char *name = (const char *)e->data.alias.anchor;
	const struct yaml_anchor *a = NULL;

	for (unsigned i = y->n_anchors; i > 0 && a == NULL; i--)
		if (strcmp(y->anchors[i - 1].name, name) == 0)
			a = &y->anchors[i - 1];
	if (is_key_next(y)) {
		stop(y, mark, NULL, "an alias cannot be a key");
	} else if (a == NULL) {
		diag_error(
		    y->diag, mark, "the alias \"*%s\" has no anchor \"&%s\" before it", name, name);
		y->is_stopped = true;
	} else if (++y->n_aliases > YAML_ALIASES_MAX) {
		stop(y, mark, NULL, "too many aliases, at most 1000 are taken");
	} else if ((y->expanded += a->total) > YAML_EXPANDED_MAX) {
		stop(y, mark, NULL, "the aliases stand for too much, at most 100000 values");
	} else if (y->depth + a->height > YAML_DEPTH_MAX) {
		stop(y, mark, NULL, "nested too deep, at most 32 levels");
	} else {
		raise_height(y, a->height);
		push(y, &a->node);
		y->total += a->total - 1;
	}
}

static bool
has_tag(struct yaml_state *y, const yaml_event_t *e, const yaml_char_t *tag)
{
	if (tag == NULL)
		return (false);
	diag_error(y->diag, mark_of(y, &e->start_mark),
	    "tags such as \"%s\" are not part of the language", (const char *)tag);
	return (true);
}

static void
check_key(struct yaml_state *y, struct node *n)
{
	if (n->count > YAML_KEY_BYTES_MAX)
		stop(y, n->mark, NULL, "a key is longer than 255 bytes");
	if (n->flags & NODE_QUOTED)
		return;
	if (n->count == 0)
		stop(y, n->mark, NULL, "a key is missing before \":\"");
	if (!slice_eq(node_text(n), SLICE("<<")))
		return;
	diag_add(y->diag, DIAG_ERROR, n->mark, NULL, "write the keys out, or use \"defaults\"",
	    "merge keys are not part of the language");
	n->flags |= NODE_BROKEN;
}

static void
on_scalar(struct yaml_state *y, const yaml_event_t *e)
{
	struct slice s = slice_of((const char *)e->data.scalar.value, e->data.scalar.length);
	struct node n = { .kind = NODE_SCALAR, .mark = mark_of(y, &e->start_mark) };

	(void)has_tag(y, e, e->data.scalar.tag);
	if (e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
		n.flags |= NODE_QUOTED;
	if ((e->data.scalar.style == YAML_DOUBLE_QUOTED_SCALAR_STYLE ||
		e->data.scalar.style == YAML_SINGLE_QUOTED_SCALAR_STYLE) &&
	    e->end_mark.line > e->start_mark.line) {
		y->wide = n.mark;
		y->wide_end = (uint32_t)(e->end_mark.line + 1);
	}
	if (memchr(s.p, '\0', s.len) != NULL) {
		diag_error(y->diag, n.mark, "a NUL byte cannot be part of a value");
		s.len = strlen(s.p);
		n.flags |= NODE_BROKEN;
	}
	if (slice_find_byte(s, '$') >= 0)
		s = expand(y, n.mark, s, &n.flags);
	n.text = arena_cstr(y->arena, s);
	n.count = (uint32_t)s.len;
	if (is_key_next(y))
		check_key(y, &n);
	push(y, &n);
	if (e->data.scalar.anchor != NULL)
		add_anchor(y, arena_cstr(y->arena, slice_str((const char *)e->data.scalar.anchor)),
		    &n, 1, 0);
}

static void
on_start(struct yaml_state *y, const yaml_event_t *e, enum node_kind kind,
    const yaml_char_t *anchor, const yaml_char_t *tag)
{
	struct mark mark = mark_of(y, &e->start_mark);

	(void)has_tag(y, e, tag);
	if (is_key_next(y)) {
		stop(y, mark,
		    kind == NODE_MAP ? "a variable in { } or [ ] needs quotes: \"${NAME}\"" : NULL,
		    "a key must be a text, not a map or a list");
		return;
	}
	if (y->depth == YAML_DEPTH_MAX) {
		stop(y, mark, NULL, "nested too deep, at most 32 levels");
		return;
	}
	y->frames[y->depth++] = (struct yaml_frame){ .first = y->stack.n,
		.total = y->total,
		.mark = mark,
		.kind = (uint8_t)kind,
		.anchor = anchor != NULL ? arena_cstr(y->arena, slice_str((const char *)anchor)) :
					   NULL };
}

/* ---- duplicate keys ---- */

static void
report_duplicate(struct yaml_state *y, const struct node *again, const struct node *first)
{
	diag_add(y->diag, DIAG_ERROR, again->mark, NULL,
	    arena_printf(y->arena, "it stands already on line %u", first->mark.line),
	    "duplicate key \"%s\"", again->text);
}

/* The pair before `i` with the same key, or `i`; `kept` pairs stand before it. */
static size_t
find_linear(const struct node *pairs, size_t kept, const struct node *key)
{
	for (size_t j = 0; j < kept; j++)
		if (slice_eq(node_text(&pairs[2 * j]), node_text(key)))
			return (j);
	return (kept);
}

static size_t
find_hashed(struct yaml_state *y, const struct node *pairs, size_t kept, const struct node *key)
{
	size_t i = siphash(y->hash_key, key->text, key->count) & (y->n_slots - 1);

	for (; y->slots[i] != 0; i = (i + 1) & (y->n_slots - 1))
		if (slice_eq(node_text(&pairs[2 * (y->slots[i] - 1)]), node_text(key)))
			return (y->slots[i] - 1);
	y->slots[i] = (uint32_t)kept + 1;
	return (kept);
}

static void
clear_slots(struct yaml_state *y, size_t pairs)
{
	size_t want = 32;

	while (want < pairs * 2)
		want *= 2;
	if (want > y->n_slots || want * 8 < y->n_slots) {
		y->slots = xrealloc(y->slots, want * sizeof(*y->slots));
		y->n_slots = want;
	}
	memset(y->slots, 0, y->n_slots * sizeof(*y->slots));
}

/* Leaves the first of each key; returns how many pairs stay. */
static size_t
drop_duplicates(struct yaml_state *y, struct node *pairs, size_t n)
{
	size_t kept = 0;
	bool is_hashed = n > LINEAR_KEYS_MAX;

	if (is_hashed)
		clear_slots(y, n);
	for (size_t i = 0; i < n; i++) {
		const struct node *key = &pairs[2 * i];
		size_t at = is_hashed ? find_hashed(y, pairs, kept, key) :
					find_linear(pairs, kept, key);

		if (at != kept) {
			report_duplicate(y, key, &pairs[2 * at]);
			continue;
		}
		if (kept != i) {
			pairs[2 * kept] = pairs[2 * i];
			pairs[2 * kept + 1] = pairs[2 * i + 1];
		}
		kept++;
	}
	return (kept);
}

static void
on_end(struct yaml_state *y)
{
	struct yaml_frame f = *top(y);
	size_t n = y->stack.n - f.first, count = n;
	/* Where nothing was pushed yet there is no stack to point into. */
	struct node *from = n > 0 ? y->stack.v + f.first : NULL, *child = NULL;
	struct node node = { .kind = f.kind, .mark = f.mark };

	if (f.kind == NODE_MAP) {
		count = n == 0 ? 0 : drop_duplicates(y, from, n / 2);
		n = count * 2;
	}
	if (n > 0) {
		child = arena_alloc(y->arena, n * sizeof(*child));
		memcpy(child, from, n * sizeof(*child));
	}
	node.child = child;
	node.count = (uint32_t)count;
	y->stack.n = f.first;
	y->depth--;
	raise_height(y, f.height + 1);
	push(y, &node);
	if (f.anchor != NULL)
		add_anchor(y, f.anchor, &node, y->total - f.total, f.height + 1);
}

/* ---- what libyaml says ---- */

struct yaml_problem {
	const char *problem; /* its beginning, in libyaml's words */
	const char *what;
	const char *hint;
};

#define UNCLOSED "found unexpected end of stream"

static const struct yaml_problem problems[] = {
	{ "mapping values are not allowed", "\": \" is not allowed here",
	    "check the indentation, or put the value in quotes" },
	{ "did not find expected key", "a key is due here",
	    "check the indentation and the quotes" },
	{ "did not find expected '-'", "\"- \" is due here", "check the indentation" },
	{ "did not find expected ',' or ']'", "\",\" or \"]\" is due here", NULL },
	{ "did not find expected ',' or '}'", "\",\" or \"}\" is due here", NULL },
	{ "could not find expected ':'", "\":\" is due after the key", NULL },
	{ "block sequence entries are not", "\"- \" is not allowed here", "check the indentation" },
	{ UNCLOSED, "the text in quotes that begins here has no end", NULL },
	{ "did not find expected <document start>", "the document has ended before this",
	    "check the indentation" },
	{ "found unexpected document indicator", "the document ends inside a quoted text", NULL },
	{ "did not find expected node content", "a value is due here", NULL },
	{ "found unknown escape character", "an unknown escape after \"\\\"",
	    "use single quotes, where \"\\\" is an ordinary character" },
	{ "control characters are not allowed", "a control character is not allowed", NULL },
	{ "invalid leading UTF-8", "this is not UTF-8", NULL },
	{ "invalid trailing UTF-8", "this is not UTF-8", NULL },
	{ "incomplete UTF-8", "this is not UTF-8", NULL },
	{ "invalid length of a UTF-8", "this is not UTF-8", NULL },
	{ "invalid Unicode", "this is not UTF-8", NULL },
	{ "found undefined tag handle", "tags are not part of the language", NULL },
	{ "found a tab character", "a tab where YAML wants spaces", "indent with spaces" },
	{ "found duplicate anchor", "this anchor exists already", NULL },
	{ "exceeded maximum depth", "nested too deep, at most 32 levels", NULL },
};

/* Where byte `offset` is; libyaml gives only that when the encoding is wrong. */
static struct mark
mark_at(const struct yaml_state *y, size_t offset)
{
	struct mark m = { .file = y->name, .line = 1, .col = 1 };

	for (size_t i = 0; i < offset && i < y->text.len; i++) {
		unsigned char c = (unsigned char)y->text.p[i];

		if (c == '\n') {
			m.line++;
			m.col = 1;
		} else if ((c & 0xc0) != 0x80) {
			m.col++;
		}
	}
	return (m);
}

static char
byte_at(const struct yaml_state *y, size_t i)
{
	return (i < y->text.len ? y->text.p[i] : '\0');
}

/* A character of its own words: tabs, and those YAML keeps for itself. */
static void
report_character(struct yaml_state *y, struct mark mark, char c)
{
	if (c == '\t')
		stop(y, mark, "indent with spaces", "a tab where YAML wants spaces");
	else if (c == '@' || c == '`' || c == '%')
		stop(y, mark, "put it in quotes",
		    arena_printf(y->arena, "a value cannot begin with \"%c\"", c));
	else
		stop(y, mark, NULL, "no value can begin like this");
}

/* libyaml gives characters, the text is in bytes: counted only for an error. */
static size_t
offset_of(const struct yaml_state *y, size_t characters)
{
	size_t i = 0;

	for (; i < y->text.len; i++)
		if (((unsigned char)y->text.p[i] & 0xc0) != 0x80 && characters-- == 0)
			break;
	return (i);
}

/*
 * What is wrong may be a quote that is missing lines before: the text in quotes then went on to the
 * next quote, which was to begin another. libyaml may stumble over what follows it before it has
 * said so. NULL: nothing of the kind.
 */
static const char *
hint_quote(struct yaml_state *y, struct mark mark, size_t at)
{
	uint32_t line = y->wide.line != 0 && mark.line <= y->wide_end + 1 ? y->wide.line : 0;
	size_t i = offset_of(y, y->end_of_events);
	char c = '\0';

	for (; line == 0 && i < at && (c != '"' && c != '\''); i++) {
		c = byte_at(y, i);
		if ((c == '"' || c == '\'') && byte_at(y, i > 0 ? i - 1 : 0) == ' ')
			line = mark_at(y, i).line;
	}
	if (line == 0 || line >= mark.line)
		return (NULL);
	return (arena_printf(
	    y->arena, "a text in quotes begins in line %u; is its end missing?", line));
}

static void
report_syntax(struct yaml_state *y)
{
	const yaml_parser_t *p = &y->parser;
	const char *problem = p->problem != NULL ? p->problem : "unknown";
	struct mark mark = p->error == YAML_READER_ERROR ? mark_at(y, p->problem_offset) :
							   mark_of(y, &p->problem_mark);
	size_t at = offset_of(y, p->problem_mark.index);
	const char *hint, *quote;

	if (p->error == YAML_MEMORY_ERROR) {
		stop(y, mark, NULL, "out of memory");
		return;
	}
	if (strcmp(problem, UNCLOSED) == 0)
		mark = mark_of(y, &p->context_mark);
	quote = p->error == YAML_READER_ERROR ? NULL : hint_quote(y, mark, at);
	if (quote == NULL && strncmp(problem, "found character that cannot start", 33) == 0) {
		report_character(y, mark, byte_at(y, at));
		return;
	}
	for (size_t i = 0; i < array_len(problems); i++) {
		if (strncmp(problem, problems[i].problem, strlen(problems[i].problem)) != 0)
			continue;
		hint = problems[i].hint;
		if (hint == NULL && byte_at(y, at) == '{' && at > 0 && byte_at(y, at - 1) == '$')
			hint = "a variable in { } or [ ] needs quotes: \"${NAME}\"";
		stop(y, mark, quote != NULL ? quote : hint, problems[i].what);
		return;
	}
	stop(y, mark, quote, arena_printf(y->arena, "not YAML: %s", problem));
}

/* ---- reading ---- */

static void
on_document(struct yaml_state *y, const yaml_event_t *e)
{
	if (++y->n_documents > 1)
		stop(y, mark_of(y, &e->start_mark), "use several files and \"include\"",
		    "a second document in one file");
	else if (e->data.document_start.tag_directives.start !=
	    e->data.document_start.tag_directives.end)
		stop(y, mark_of(y, &e->start_mark), NULL, "tags are not part of the language");
}

static void
on_event(struct yaml_state *y, const yaml_event_t *e)
{
	switch (e->type) {
	case YAML_DOCUMENT_START_EVENT:
		on_document(y, e);
		break;
	case YAML_SCALAR_EVENT:
		on_scalar(y, e);
		break;
	case YAML_ALIAS_EVENT:
		on_alias(y, e);
		break;
	case YAML_MAPPING_START_EVENT:
		on_start(y, e, NODE_MAP, e->data.mapping_start.anchor, e->data.mapping_start.tag);
		break;
	case YAML_SEQUENCE_START_EVENT:
		on_start(
		    y, e, NODE_LIST, e->data.sequence_start.anchor, e->data.sequence_start.tag);
		break;
	case YAML_MAPPING_END_EVENT:
	case YAML_SEQUENCE_END_EVENT:
		on_end(y);
		break;
	default:
		break;
	}
}

/* Also runs as a clean-up of the arena, should memory end while we read. */
static void
on_reset(void *arg)
{
	struct yaml_state *y = arg;

	if (y->has_event)
		yaml_event_delete(&y->event);
	if (y->has_parser)
		yaml_parser_delete(&y->parser);
	vec_fini(&y->stack);
	xfree(y->slots);
	y->slots = NULL;
	y->has_event = y->has_parser = false;
}

static void
read_events(struct yaml_state *y)
{
	yaml_event_type_t type = YAML_NO_EVENT;

	while (!y->is_stopped && type != YAML_STREAM_END_EVENT) {
		if (!yaml_parser_parse(&y->parser, &y->event)) {
			report_syntax(y);
			return;
		}
		y->has_event = true;
		type = y->event.type;
		on_event(y, &y->event);
		y->end_of_events = y->event.end_mark.index;
		y->has_event = false;
		yaml_event_delete(&y->event);
	}
}

static struct yaml_state *
state_new(struct arena *arena, struct diag *diag, const char *name, struct slice text)
{
	struct yaml_state *y = arena_znew(arena, struct yaml_state);

	y->arena = arena;
	y->diag = diag;
	y->name = name;
	y->text = text;
	arena_on_reset(arena, &y->cleanup, on_reset, y);
	rnd_bytes(y->hash_key, sizeof(y->hash_key));
	return (y);
}

const struct node *
yaml_read(struct arena *arena, struct diag *diag, const char *name, struct slice text,
    yaml_lookup_fn lookup, void *lookup_arg)
{
	struct yaml_state *y = state_new(arena, diag, name, text);
	struct node *root = arena_znew(arena, struct node);

	y->lookup = lookup;
	y->lookup_arg = lookup_arg;
	y->root = (struct node){
		.kind = NODE_SCALAR, .text = "", .mark = { .file = name, .line = 1, .col = 1 }
	};
	if (text.len > YAML_FILE_BYTES_MAX) {
		diag_error(diag, y->root.mark, "the file is larger than 64MiB");
		return (NULL);
	}
	y->has_parser = yaml_parser_initialize(&y->parser) != 0;
	if (!y->has_parser)
		mem_failed(sizeof(y->parser));
	/* Some editors begin a file with a byte order mark; libyaml, told the encoding,
	 * would take it for content. */
	if (slice_has_prefix(text, SLICE("\xef\xbb\xbf")))
		text = y->text = slice_skip(text, 3);
	yaml_parser_set_encoding(&y->parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(
	    &y->parser, (const unsigned char *)(text.len > 0 ? text.p : ""), text.len);
	read_events(y);
	on_reset(y);
	if (y->is_stopped)
		return (NULL);
	*root = y->root;
	return (root);
}

const char *
yaml_library(void)
{
	static char text[64];

	(void)snprintf(text, sizeof(text), "libyaml %s", yaml_get_version_string());
	return (text);
}
