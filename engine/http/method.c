/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/http/method.h"

#include "engine/base/check.h"

struct method_info {
	struct slice name;
	bool is_safe;
	bool is_idempotent;
};

static const struct method_info infos[METHOD__MAX] = {
	[METHOD_OTHER] = { SLICE_INIT(""), false, false },
#define METHOD(NAME, safe, idempotent) [METHOD_##NAME] = { SLICE_INIT(#NAME), safe, idempotent },
#include "engine/http/method.def"
#undef METHOD
};

enum http_method
method_of(struct slice text)
{
	if (text.len == 3 && memcmp(text.p, "GET", 3) == 0)
		return (METHOD_GET);
	for (unsigned m = METHOD_OTHER + 1; m < METHOD__MAX; m++) {
		if (slice_eq(text, infos[m].name))
			return ((enum http_method)m);
	}
	return (METHOD_OTHER);
}

struct slice
method_name(enum http_method m)
{
	must(m < METHOD__MAX);
	return (infos[m].name);
}

bool
method_is_safe(enum http_method m)
{
	must(m < METHOD__MAX);
	return (infos[m].is_safe);
}

bool
method_is_idempotent(enum http_method m)
{
	must(m < METHOD__MAX);
	return (infos[m].is_idempotent);
}
