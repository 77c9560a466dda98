/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/proxy/edit.h"

#include <string.h>

#include "engine/config/diag.h"
#include "engine/http/uri.h"
#include "engine/mem/arena.h"

const char *
edit_refused(struct slice name, enum edit_kind kind, bool is_request)
{
	enum hdr_id id = hdr_id_of(name);

	if (hdr_info[id].row_flags & HDR_HOP)
		return ("it belongs to one connection; the proxy writes it itself");
	if (id == HDR_EXPECT)
		return ("the proxy answers and sends it itself");
	if (id == HDR_HOST && (!is_request || kind != EDIT_SET))
		return ("a request has exactly one, and a response none");
	return (NULL);
}

/* Is this name fine to edit? If not, that is reported. */
static bool
check(struct diag *diag, struct mark mark, struct slice name, enum edit_kind kind, bool is_request)
{
	const char *why = edit_refused(name, kind, is_request);

	if (why == NULL)
		return (true);
	diag_error(diag, mark, "field \"" SLICE_FMT "\" cannot be edited here: %s",
	    SLICE_ARG(name), why);
	return (false);
}

static bool
is_sound_host(struct slice value)
{
	struct slice host;

	return (uri_split_authority(value, &host));
}

static struct edit_op
with_line(struct arena *arena, enum edit_kind kind, struct slice name, struct slice value)
{
	char *line;

	value = slice_trim(value);
	line = arena_printf(arena, SLICE_FMT ": " SLICE_FMT "\r\n", SLICE_ARG(name),
	    SLICE_ARG(value));
	return ((struct edit_op){ .kind = (uint8_t)kind, .id = (uint8_t)hdr_id_of(name),
		.name = slice_of(line, name.len),
		.value = slice_of(line + name.len + 2, value.len),
		.line_len = (uint32_t)strlen(line) });
}

static unsigned
compile_map(struct edit_op *v, const struct schema_map *map, enum edit_kind kind, bool is_request,
    struct arena *arena, struct diag *diag)
{
	unsigned n = 0;

	for (uint32_t i = 0; i < map->count; i++) {
		struct slice value = SCHEMA_AT(struct slice, *map, i);

		if (!check(diag, schema_entry_mark(map, i), map->keys[i], kind, is_request))
			continue;
		if (hdr_id_of(map->keys[i]) == HDR_HOST && !is_sound_host(value)) {
			diag_error(diag, schema_entry_value_mark(map, i),
			    "\"" SLICE_FMT "\" is no host for Host; write NAME or NAME:PORT",
			    SLICE_ARG(value));
			continue;
		}
		v[n++] = with_line(arena, kind, map->keys[i], value);
	}
	return (n);
}

static bool
is_set(const struct schema_map *set, struct slice name)
{
	for (uint32_t i = 0; i < set->count; i++) {
		if (slice_eq_fold(set->keys[i], name))
			return (true);
	}
	return (false);
}

void
edit_compile(struct edit_list *list, const struct schema_map *set, const struct schema_map *add,
    const struct schema_list *remove, bool is_request, struct arena *arena, struct diag *diag)
{
	struct edit_op *v = arena_zarray(arena, (size_t)set->count + add->count + remove->count,
	    sizeof *v);
	unsigned n = 0;

	for (uint32_t i = 0; i < remove->count; i++) {
		struct slice name = SCHEMA_AT(struct slice, *remove, i);
		struct mark mark = schema_item_mark(remove, i);

		if (!check(diag, mark, name, EDIT_REMOVE, is_request))
			continue;
		if (is_set(set, name)) {
			diag_error(diag, mark, "field \"" SLICE_FMT "\" is set and removed; "
			    "setting it replaces every line of it already", SLICE_ARG(name));
			continue;
		}
		v[n++] = (struct edit_op){ .kind = EDIT_REMOVE, .id = (uint8_t)hdr_id_of(name),
			.name = arena_dup(arena, name) };
	}
	n += compile_map(v + n, set, EDIT_SET, is_request, arena, diag);
	n += compile_map(v + n, add, EDIT_ADD, is_request, arena, diag);
	*list = (struct edit_list){ .v = v, .n = n };
}

static void
remove_field(const struct edit_op *op, struct headers *hs)
{
	if (op->id != HDR_OTHER)
		(void)headers_remove_id(hs, op->id);
	else
		(void)headers_remove(hs, op->name);
}

static bool
add_field(const struct edit_op *op, struct headers *hs)
{
	return (headers_push_raw(hs, op->name, op->value, op->id, op->line_len) != NULL);
}

bool
edit_apply(const struct edit_list *list, struct headers *hs)
{
	for (unsigned i = 0; i < list->n; i++) {
		const struct edit_op *op = &list->v[i];

		if (op->kind != EDIT_ADD)
			remove_field(op, hs);
		if (op->kind != EDIT_REMOVE && !add_field(op, hs))
			return (false);
	}
	return (true);
}

void
edit_explain(const struct edit_list *list, FILE *out)
{
	static const char *const words[] = {
		[EDIT_REMOVE] = "removes ", [EDIT_SET] = "sets ", [EDIT_ADD] = "adds "
	};

	for (unsigned i = 0; i < list->n; i++) {
		const struct edit_op *op = &list->v[i];

		fprintf(out, "%s%s" SLICE_FMT, i == 0 ? "" : ", ",
		    i > 0 && op[-1].kind == op->kind ? "" : words[op->kind],
		    SLICE_ARG(op->name));
		if (op->kind != EDIT_REMOVE)
			fprintf(out, ": " SLICE_FMT, SLICE_ARG(op->value));
	}
}
