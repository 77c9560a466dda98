/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to this folder: tells AddressSanitizer which bytes nobody may touch.  Nothing without it.
 */
#ifndef WEIR_MEM_POISON_H
#define WEIR_MEM_POISON_H

#include <stddef.h>

#include "engine/base/cc.h"

#if CC_ASAN
#include <sanitizer/asan_interface.h>
#endif

static inline void
poison_bytes(const void *p, size_t n)
{
#if CC_ASAN
	ASAN_POISON_MEMORY_REGION(p, n);
#else
	(void)p;
	(void)n;
#endif
}

static inline void
unpoison_bytes(const void *p, size_t n)
{
#if CC_ASAN
	ASAN_UNPOISON_MEMORY_REGION(p, n);
#else
	(void)p;
	(void)n;
#endif
}

#endif
