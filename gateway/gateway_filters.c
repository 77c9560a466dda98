/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "filters/filters.h"
#include "gateway/gateway.h"

/* The gateway's filters, in the order in which they run. */
static const struct filter_ops *const filters[] = {
	&filter_request_id,
	&filter_ip_acl,
	&filter_cors,
	&filter_request_headers,
	&filter_strip_prefix,
	&filter_rewrite,
	&filter_response_headers,
};

/* And those of responses; the id comes first, so that edits may do with it what they like. What
   browsers are told comes last, so that no edit can leave half of it. */
static const struct filter_ops *const responses[] = {
	&filter_request_id,
	&filter_response_headers,
	&filter_cors,
};

const struct proxy_program gateway_proxy = {
	.filters = filters,
	.n_filters = sizeof filters / sizeof filters[0],
	.responses = responses,
	.n_responses = sizeof responses / sizeof responses[0],
	.via = SLICE_INIT("Via: 1.1 weir\r\n"),
	.via_1_0 = SLICE_INIT("Via: 1.0 weir\r\n"),
	.server_name = SLICE_INIT("weir-gateway"),
};
