/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Atomic reference counts, for what workers share: generations, their parts, lists of servers.
 * Objects of one worker count by themselves.
 */
#ifndef WEIR_MEM_REF_H
#define WEIR_MEM_REF_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/base/cc.h"
#include "engine/base/check.h"

struct ref_atomic {
	_Atomic uint32_t n;
};

/* One reference: the caller's. */
static inline void
ref_atomic_init(struct ref_atomic *r)
{
	atomic_init(&r->n, 1);
}

/* The caller holds a reference already, or got the object under a lock of its owner. */
static inline void
ref_atomic_get(struct ref_atomic *r)
{
	uint32_t was = atomic_fetch_add_explicit(&r->n, 1, memory_order_relaxed);

	must(was > 0 && was < UINT32_MAX);
}

/* True when the last one went: the caller then frees the object.  What other threads wrote to it
   before their put is seen by the one that frees it. */
static inline bool CC_MUST_USE
ref_atomic_put(struct ref_atomic *r)
{
	uint32_t was = atomic_fetch_sub_explicit(&r->n, 1, memory_order_acq_rel);

	must(was > 0);
	return (was == 1);
}

#endif
