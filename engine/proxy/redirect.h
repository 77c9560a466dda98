/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_PROXY_REDIRECT_H
#define WEIR_PROXY_REDIRECT_H

/*
 * The two actions of a route that need no upstream. Each fills ex->resp through local_reply.h.
 * Not REASON_NONE: it could not, and the request ends so.
 */
#include "engine/http/reason.h"

struct exchange;

enum reason	redirect_make(struct exchange *);
enum reason	respond_make(struct exchange *);

#endif
