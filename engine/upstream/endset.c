/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>

#include "engine/base/check.h"
#include "engine/mem/alloc.h"
#include "engine/upstream/endset.h"

static struct slice
copy_text(char **at, struct slice s)
{
	char *p = *at;

	*at = mempcpy(p, s.p, s.len);
	return (slice_of(p, s.len));
}

struct endset *
endset_new(const struct server *from, unsigned n)
{
	size_t bytes = sizeof(struct endset) + n * sizeof(struct server), text = 0;
	struct endset *set;
	char *at;

	for (unsigned i = 0; i < n; i++)
		text += from[i].name.len + from[i].address.len;
	set = xmalloc(bytes + text);
	at = (char *)set + bytes;
	set->magic = ENDSET_MAGIC;
	ref_atomic_init(&set->refs);
	set->n = n;
	for (unsigned i = 0; i < n; i++) {
		set->v[i] = from[i];
		set->v[i].magic = SERVER_MAGIC;
		set->v[i].name = copy_text(&at, from[i].name);
		set->v[i].address = copy_text(&at, from[i].address);
	}
	return (set);
}

struct endset *
endset_ref(struct endset *set)
{
	CHECK_OBJ(set, ENDSET_MAGIC);
	ref_atomic_get(&set->refs);
	return (set);
}

void
endset_unref(struct endset **sp)
{
	struct endset *set;

	TAKE_OBJ(set, sp, ENDSET_MAGIC);
	if (!ref_atomic_put(&set->refs))
		return;
	set->magic = 0;
	xfree(set);
}
