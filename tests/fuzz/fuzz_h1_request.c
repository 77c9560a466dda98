/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>

#include "engine/base/check.h"
#include "engine/h1/h1_parse.h"
#include "engine/mem/arena.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A request head: slices lie within it, and a sound one does not depend on what comes behind. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct codec_limits limits = { 4096, 1024, 20, 256 };
	const char *p = (const char *)data;
	struct arena *arena;
	struct h1_head h;
	struct msg_req r;

	if (h1_parse_request(&h, &limits, p, size) != H1_PARSE_DONE)
		return (0);
	must(h.len <= size && h.n_rows <= limits.fields && h.counted <= limits.head_bytes);
	for (unsigned i = 0; i < h.n_rows; i++) {
		must(h.rows[i].name >= p && h.rows[i].name + h.rows[i].raw_len <= p + h.len);
		must(h.rows[i].value + h.rows[i].value_len <= h.rows[i].name + h.rows[i].raw_len);
	}
	must(h1_parse_request(&h, &limits, p, h.len - 1) == H1_PARSE_MORE);
	must(h1_parse_request(&h, &limits, p, size) == H1_PARSE_DONE);
	arena = arena_new("fuzz");
	msg_req_init(&r, arena);
	if (h1_req_fill(&r, &h) == REASON_NONE)
		must(r.path_raw.len > 0 && (r.m.body == MSG_BODY_NONE || r.upgrade.len == 0));
	arena_free(&arena);
	return (0);
}
