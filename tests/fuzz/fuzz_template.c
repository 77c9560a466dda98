/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <stdint.h>

#include "engine/base/check.h"
#include "engine/mem/arena.h"
#include "engine/proxy/template.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first line is a template, the rest what a client puts into it. Nothing but the bytes of a URL
   comes out, as many as were said, and a path that is settled leads where it leads. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice rest = slice_of((const char *)data, size), text = rest, made;
	bool has_more = slice_split(&rest, '\n', &text);
	struct slice c = has_more ? rest : SLICE("");
	struct regex_captures captures = { { c, c, c, c, c, c, c, c, c, c } };
	struct msg_req req = { .path = c, .query = c, .host = SLICE("h") };
	const struct template_input in = { .req = &req, .captures = &captures };
	struct arena *a = arena_new("fuzz");
	struct template t;

	for (enum template_place at = TEMPLATE_IN_PATH; at <= TEMPLATE_IN_TAIL; at++) {
		if (template_compile(&t, at, text, REGEX_CAPTURES - 1, a) != NULL)
			continue;
		made.len = template_len(&t, &in);
		made.p = arena_alloc(a, made.len + 1);
		must(template_put(&t, &in, (char *)(uintptr_t)made.p) == made.p + made.len);
		for (size_t i = 0; i < made.len; i++)
			must(made.p[i] > ' ' && made.p[i] < 0x7f && made.p[i] != '"');
		if (at == TEMPLATE_IN_PATH && made.len > 0 &&
		    template_settle_path(a, &req, false, &made) == REASON_NONE)
			must(made.p[0] == '/' && slice_find(made, SLICE("//")) < 0);
	}
	arena_free(&a);
	return (0);
}
