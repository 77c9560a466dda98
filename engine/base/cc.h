/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the compiler can do for us: attributes, branch hints, container_of.  No code, no state.
 */
#ifndef WEIR_BASE_CC_H
#define WEIR_BASE_CC_H

#include <stddef.h>

#define likely(x)		__builtin_expect(!!(x), 1)
#define unlikely(x)		__builtin_expect(!!(x), 0)

/* printf-like function: the format is argument number fmt, the first value argument number args. */
#define CC_PRINTF(fmt, args)	__attribute__((format(printf, fmt, args)))
#define CC_NORETURN		__attribute__((noreturn))
#define CC_MUST_USE		__attribute__((warn_unused_result))
#define CC_COLD			__attribute__((cold, noinline))
#define CC_NOINLINE		__attribute__((noinline))
#define CC_ALWAYS_INLINE	inline __attribute__((always_inline))

/* Aligns a type or a member to n bytes, normally CC_CACHELINE(64). */
#define CC_CACHELINE(n)		__attribute__((aligned(n)))

/* 0 as a constant; does not compile when cond is false. */
#define CC_ZERO_IF(cond)	(0 * sizeof(char[1 - 2 * !(cond)]))

/* Number of elements of an array; does not compile for a pointer. */
#define array_len(a)                                                                               \
	(sizeof(a) / sizeof((a)[0]) +                                                              \
	 CC_ZERO_IF(!__builtin_types_compatible_p(__typeof__(a), __typeof__(&(a)[0]))))

/*
 * The object of this type whose member lies at ptr.  The type of ptr is checked against the
 * member.  ptr is evaluated once and must not be NULL.
 */
#define container_of(ptr, type, member)                                                            \
	((type *)(void *)((char *)(1 ? (ptr) : &((type *)0)->member) - offsetof(type, member)))

#if defined(__SANITIZE_ADDRESS__)
#define CC_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CC_ASAN 1
#endif
#endif
#ifndef CC_ASAN
#define CC_ASAN 0
#endif

#endif
