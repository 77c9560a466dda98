/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <stdlib.h>

#include "engine/base/check.h"
#include "engine/config/diag.h"
#include "engine/mem/arena.h"
#include "tests/unit/config/shape.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* Any bytes as a file: errors, or a configuration that equals itself when shown and read back. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_new("fuzz");
	struct diag *diag = diag_new(arena);
	const struct schema_obj *a = shape_read(arena, diag, slice_of((const char *)data, size)),
				*b;
	char *out = NULL;
	FILE *f = open_memstream(&out, &size);

	if (a != NULL && diag_is_ok(diag))
		schema_show(a, f);
	(void)fflush(f);
	if (a != NULL && diag_is_ok(diag)) {
		b = shape_read(arena, diag, slice_of(out, size));
		must(b != NULL && schema_eq(a, b));
	}
	diag_print_json(diag, f);
	(void)fclose(f);
	free(out);
	arena_free(&arena);
	return (0);
}
