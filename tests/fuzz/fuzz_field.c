/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <stdlib.h>

#include "engine/base/check.h"
#include "engine/http/field.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whatever a field holds: pieces are of its bytes, in order, and each is found again by name. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice all = slice_of((const char *)data, size), rest = all, item, parts, part, name,
		     value, found;
	char *out = malloc(size + 1);
	unsigned q;

	must(out != NULL);
	for (const char *at = all.p; field_list_next(&rest, &item); at = item.p + item.len) {
		must(item.len > 0 && item.p >= at && item.p + item.len <= all.p + all.len);
		must(slice_trim(item).len == item.len && field_list_has(all, item));
		for (parts = item; field_part_next(&parts, &part);) {
			must(part.p >= item.p && part.p + part.len <= item.p + item.len);
			if (field_param(part, &name, &value))
				must(field_is_token(name) && name.len + value.len <= part.len);
			if (field_unquote(part, out, &found))
				must(found.len <= part.len);
		}
		if (field_qvalue(item, &q))
			must(q <= 1000);
		(void)field_param_find(item, SLICE("q"), &value);
	}
	for (rest = all; field_cookie_next(&rest, &name, &value);)
		must(field_cookie(all, name, &found) && found.p <= value.p);
	free(out);
	return (0);
}
