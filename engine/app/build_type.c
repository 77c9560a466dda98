/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/app/build_impl.h"

/* The media types of what people put into `respond: { file }`. */
static const struct {
	struct slice ends;
	struct slice type;
} types[] = {
	{ SLICE_INIT(".html"), SLICE_INIT("text/html; charset=utf-8") },
	{ SLICE_INIT(".htm"), SLICE_INIT("text/html; charset=utf-8") },
	{ SLICE_INIT(".txt"), SLICE_INIT("text/plain; charset=utf-8") },
	{ SLICE_INIT(".md"), SLICE_INIT("text/markdown; charset=utf-8") },
	{ SLICE_INIT(".css"), SLICE_INIT("text/css; charset=utf-8") },
	{ SLICE_INIT(".csv"), SLICE_INIT("text/csv; charset=utf-8") },
	{ SLICE_INIT(".js"), SLICE_INIT("text/javascript; charset=utf-8") },
	{ SLICE_INIT(".mjs"), SLICE_INIT("text/javascript; charset=utf-8") },
	{ SLICE_INIT(".json"), SLICE_INIT("application/json") },
	{ SLICE_INIT(".yaml"), SLICE_INIT("application/yaml") },
	{ SLICE_INIT(".xml"), SLICE_INIT("application/xml") },
	{ SLICE_INIT(".pdf"), SLICE_INIT("application/pdf") },
	{ SLICE_INIT(".wasm"), SLICE_INIT("application/wasm") },
	{ SLICE_INIT(".svg"), SLICE_INIT("image/svg+xml") },
	{ SLICE_INIT(".png"), SLICE_INIT("image/png") },
	{ SLICE_INIT(".jpg"), SLICE_INIT("image/jpeg") },
	{ SLICE_INIT(".jpeg"), SLICE_INIT("image/jpeg") },
	{ SLICE_INIT(".gif"), SLICE_INIT("image/gif") },
	{ SLICE_INIT(".webp"), SLICE_INIT("image/webp") },
	{ SLICE_INIT(".ico"), SLICE_INIT("image/x-icon") },
	{ SLICE_INIT(".woff2"), SLICE_INIT("font/woff2") },
};

struct slice
build_media_type(struct slice file)
{
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
		struct slice ends = types[i].ends;

		if (file.len > ends.len &&
		    slice_eq_fold(slice_skip(file, file.len - ends.len), ends))
			return (types[i].type);
	}
	return (SLICE("application/octet-stream"));
}
