/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SipHash by J.-P. Aumasson and D. Bernstein ("SipHash: a fast short-input PRF", 2012), with one
 * compression and three finalisation rounds: keyed, so that clients cannot choose collisions.
 */
#ifndef WEIR_BASE_SIPHASH_H
#define WEIR_BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

enum { SIPHASH_KEY_BYTES = 16 };

/* SipHash-1-3 of n bytes at p. */
uint64_t siphash(const uint8_t key[SIPHASH_KEY_BYTES], const void *p, size_t n);

/* The same over the ASCII lower case of the bytes: for host and header names. */
uint64_t siphash_fold(const uint8_t key[SIPHASH_KEY_BYTES], const void *p, size_t n);

/* The published SipHash-2-4, for formats that name it and for the published test vectors. */
uint64_t siphash_24(const uint8_t key[SIPHASH_KEY_BYTES], const void *p, size_t n);

#endif
