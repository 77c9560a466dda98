/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_UPSTREAM_ENDSET_H
#define WEIR_UPSTREAM_ENDSET_H

/*
 * The servers of an upstream at one time: an immutable, counted list, shared by all workers.
 * Literal addresses make the first one; names replace it by mailbox when they resolve anew.
 */
#include <stdint.h>

#include "engine/base/addr.h"
#include "engine/base/slice.h"
#include "engine/mem/ref.h"

struct server {
	unsigned	 magic;
#define SERVER_MAGIC	0x0b9e77f4
	uint32_t	 weight;	/* at least 1 */
	struct addr	 addr;
	struct slice	 name;		/* as configured: the label in logs and metrics */
	struct slice	 address;	/* "10.0.0.1:8080" */
};

struct endset {
	unsigned	 magic;
#define ENDSET_MAGIC	0x33d0a1c7
	struct ref_atomic refs;
	unsigned	 n;
	struct server	 v[];		/* texts lie behind the last one */
};

/* n servers with room for their texts copied from `from`; one reference is the caller's. Main
   thread. */
struct endset	*endset_new(const struct server *from, unsigned n);
struct endset	*endset_ref(struct endset *);		/* any thread */
void		 endset_unref(struct endset **);	/* any thread: plain memory */

#endif
