/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Request methods. Case matters (RFC 9110, 9.1). Constant tables; any thread.
 */
#ifndef WEIR_HTTP_METHOD_H
#define WEIR_HTTP_METHOD_H

#include <stdbool.h>

#include "engine/base/slice.h"

enum http_method {
	METHOD_OTHER,		/* known by its text only */
#define METHOD(NAME, safe, idempotent) METHOD_##NAME,
#include "engine/http/method.def"
#undef METHOD
	METHOD__MAX
};

enum http_method method_of(struct slice text);
/* Static text; empty for METHOD_OTHER. */
struct slice	 method_name(enum http_method);
bool		 method_is_safe(enum http_method);
/* A second try does no harm (RFC 9110, 9.2.2). */
bool		 method_is_idempotent(enum http_method);

#endif
