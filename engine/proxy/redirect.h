/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_PROXY_REDIRECT_H
#define WEIR_PROXY_REDIRECT_H

/*
 * The two actions of a route that need no upstream. Each fills ex->resp through local_reply.h.
 * False: no memory.
 */
#include <stdbool.h>

struct exchange;

bool	redirect_make(struct exchange *);
bool	respond_make(struct exchange *);

#endif
