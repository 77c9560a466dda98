/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <stdint.h>

#include "engine/base/check.h"
#include "engine/http/uri.h"
#include "engine/mem/arena.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A canonical path holds nothing that could be read twice, and is itself canonical. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice raw = slice_of((const char *)data, size), path, again, host, name, value;
	struct arena *a = arena_new("fuzz");

	if (uri_canonical(raw, a, &path) != URI_MALFORMED) {
		must(path.len > 0 && path.p[0] == '/');
		must(slice_find(path, SLICE("//")) < 0 && slice_find_byte(path, '\\') < 0);
		must(slice_find(path, SLICE("/./")) < 0 && slice_find(path, SLICE("/../")) < 0);
		must(!slice_has_suffix(path, SLICE("/.")) && !slice_has_suffix(path, SLICE("/..")));
		must(uri_canonical(path, a, &again) != URI_MALFORMED && again.p == path.p);
		must(again.len == path.len);
	}
	if (uri_split_authority(raw, &host))
		must(host.len > 0 && host.len <= size);
	while (uri_query_next(&raw, &name, &value))
		must(name.len + value.len <= size && slice_find_byte(name, '=') < 0);
	arena_free(&a);
	return (0);
}
