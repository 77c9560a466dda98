/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/http/reason.h"

#include "engine/base/check.h"

static const struct reason_info infos[REASON__MAX] = {
#define REASON(NAME, text, http, grpc_name, proxy, blame_name, retry_name, title_text)             \
	[REASON_##NAME] = {                                                                        \
		.name = SLICE_INIT(text),                                                          \
		.proxy_error = SLICE_INIT(proxy),                                                  \
		.title = SLICE_INIT(title_text),                                                   \
		.status = (http),                                                                  \
		.grpc = GRPC_##grpc_name,                                                          \
		.blame = REASON_BLAME_##blame_name,                                                \
		.retry = REASON_RETRY_##retry_name,                                                \
	},
#include "engine/http/reason.def"
#undef REASON
};

const struct reason_info *
reason_info(enum reason r)
{
	must(r < REASON__MAX);
	return (&infos[r]);
}
