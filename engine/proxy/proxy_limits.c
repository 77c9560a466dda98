/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <stdatomic.h>
#include <sys/resource.h>

#include "engine/base/cc.h"
#include "engine/proxy/proxy_limits.h"

static struct {
	atomic_uint_fast64_t open CC_CACHELINE(64);
	atomic_uint_fast64_t refuse_at CC_CACHELINE(64);
	atomic_uint_fast64_t shed_at;
} limits = { .refuse_at = UINT64_MAX, .shed_at = UINT64_MAX };

void
proxy_limits_set(uint64_t max_connections)
{
	uint64_t refuse = max_connections * PROXY_LIMITS_REFUSE_PERCENT / 100;
	uint64_t shed = max_connections * PROXY_LIMITS_SHED_PERCENT / 100;

	atomic_store_explicit(&limits.refuse_at, refuse > 0 ? refuse : 1, memory_order_relaxed);
	atomic_store_explicit(&limits.shed_at, shed > 0 ? shed : 1, memory_order_relaxed);
}

uint64_t
proxy_limits_auto(void)
{
	/* files of our own; never less than this many clients */
	enum { OURS = 64, LEAST = 64 };
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) < 0 || r.rlim_cur == RLIM_INFINITY)
		return (UINT32_MAX);
	return (r.rlim_cur > OURS + 2 * LEAST ? (r.rlim_cur - OURS) / 2 : LEAST);
}

bool
proxy_limits_open(void)
{
	uint64_t n = atomic_fetch_add_explicit(&limits.open, 1, memory_order_relaxed);

	if (n < atomic_load_explicit(&limits.refuse_at, memory_order_relaxed))
		return (true);
	atomic_fetch_sub_explicit(&limits.open, 1, memory_order_relaxed);
	return (false);
}

void
proxy_limits_close(void)
{
	atomic_fetch_sub_explicit(&limits.open, 1, memory_order_relaxed);
}

bool
proxy_limits_shed(void)
{
	return (atomic_load_explicit(&limits.open, memory_order_relaxed) >=
	    atomic_load_explicit(&limits.shed_at, memory_order_relaxed));
}

uint64_t
proxy_limits_count(void)
{
	return (atomic_load_explicit(&limits.open, memory_order_relaxed));
}
