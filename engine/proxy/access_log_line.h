/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_PROXY_ACCESS_LOG_LINE_H
#define WEIR_PROXY_ACCESS_LOG_LINE_H

/*
 * Private to access_log*.c: the facts of one request as one line of text. No I/O, no allocation, no
 * clock but that of the facts. What clients choose is cut, so that a line always fits in
 * ACCESS_LOG_LINE_BYTES; nothing on the way asks for room.
 */
#include <stddef.h>
#include <stdint.h>

struct access_log_plan;
struct facts;

enum {
	ACCESS_LOG_LINE_BYTES = 80 * 1024,
	ACCESS_LOG_STAMP_BYTES = 24	/* 2024-05-06T07:08:09.010Z */
};

/* The time as text; its calendar changes once a second. Made by access_log_stamp_init(). */
struct access_log_stamp {
	uint64_t	 second;	/* since the epoch; UINT64_MAX: none yet */
	char		 text[ACCESS_LOG_STAMP_BYTES];
};

/* By which a sample is made: the first digit of the status. 0, of which nothing is left out: no
   status was sent, or an answer that looks like a success was not (it has a reason). */
unsigned access_log_class(const struct facts *);

void	access_log_stamp_init(struct access_log_stamp *);

/* Writes the line with its newline to p, which has ACCESS_LOG_LINE_BYTES; returns its length. */
size_t	access_log_line(struct access_log_stamp *, const struct access_log_plan *,
	    const struct facts *, char *p);

#endif
