/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_GATEWAY_GATEWAY_H
#define WEIR_GATEWAY_GATEWAY_H

/*
 * What makes the engine the gateway: the root of its configuration and its filters.
 */
#include "engine/app/app.h"

extern struct schema gateway_schema;
extern const struct proxy_program gateway_proxy;

/* The engine's part of a decoded root. */
void	gateway_view(const struct schema_obj *root, struct app_view *);

#endif
