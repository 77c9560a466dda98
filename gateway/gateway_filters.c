/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "gateway/gateway.h"

/* The gateway's filters, in the order in which they run. */
static const struct filter_ops *const filters[] = {
	NULL
};

const struct proxy_program gateway_proxy = {
	.filters = filters,
	.n_filters = sizeof filters / sizeof filters[0] - 1,
	.via = SLICE_INIT("Via: 1.1 weir\r\n"),
	.server_name = SLICE_INIT("weir-gateway"),
};
