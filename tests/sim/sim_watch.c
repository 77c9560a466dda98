/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <errno.h>
#include <stddef.h>

#include "engine/base/check.h"
#include "engine/loop/watch.h"

/* watch.h: the simulation has no files that change. */

struct watch *
watch_new(struct loop *l, watch_fn *fn, void *arg)
{
	(void)l;
	(void)fn;
	(void)arg;
	errno = ENOSYS;
	return (NULL);
}

void
watch_free(struct watch **wp)
{
	must(*wp == NULL);
}

/* Nobody has one. */

void
watch_begin(struct watch *w)
{
	must(w != NULL);
}

bool
watch_name(struct watch *w, const char *folder, const char *name)
{
	must(w != NULL && folder != NULL && name != NULL);
	return (false);
}

bool
watch_pattern(struct watch *w, const char *folder, const char *pattern)
{
	must(w != NULL && folder != NULL && pattern != NULL);
	return (false);
}

bool
watch_end(struct watch *w)
{
	must(w != NULL);
	return (false);
}
