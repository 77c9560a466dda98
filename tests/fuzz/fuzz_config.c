/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <stdlib.h>

#include "engine/base/check.h"
#include "engine/config/diag.h"
#include "engine/config/load.h"
#include "engine/mem/arena.h"
#include "tests/unit/config/shape.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static const struct schema_obj *
read_text(struct arena *arena, struct diag *diag, const char *p, size_t n)
{
	const struct load_text text = { "f", slice_of(p, n) };
	const struct schema_reader rd = { .arena = arena, .diag = diag };
	const struct node *node = load_texts(arena, diag, &shape_schema, &text, 1, NULL, NULL);

	/* Secrets may name files, and what is shown of them cannot be read back. */
	if (node == NULL || slice_find(text.text, SLICE("password")) >= 0)
		return (NULL);
	return (schema_decode(&rd, &shape_schema, node));
}

/* Any bytes as a file: errors, or a configuration that equals itself when shown and read back. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_new("fuzz");
	struct diag *diag = diag_new(arena);
	const struct schema_obj *a = read_text(arena, diag, (const char *)data, size), *b;
	char *out = NULL;
	FILE *f = open_memstream(&out, &size);

	if (a != NULL && diag_is_ok(diag))
		schema_show(a, f);
	(void)fflush(f);
	if (a != NULL && diag_is_ok(diag)) {
		b = read_text(arena, diag, out, size);
		must(b != NULL && schema_eq(a, b));
	}
	diag_print_json(diag, f);
	(void)fclose(f);
	free(out);
	arena_free(&arena);
	return (0);
}
