/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "gateway/gateway.h"

int
main(int argc, char **argv)
{
	static const struct app_program program = {
		.magic = APP_PROGRAM_MAGIC,
		.name = "weir-gateway",
		.what = "an HTTP gateway: routes, policies, balancing",
		.default_file = WEIR_CONFDIR "/gateway.yaml",
		.schema = &gateway_schema,
		.view = gateway_view,
		.proxy = &gateway_proxy,
	};

	return (app_main(&program, argc, argv));
}
