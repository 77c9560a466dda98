/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_LOOP_WATCH_H
#define WEIR_LOOP_WATCH_H

/*
 * Tells that files may have changed (inotify). What is watched is a name in a folder, not a file:
 * so one that is moved over it, or a link that is pointed elsewhere, is seen too. A file tells when
 * it has been written and closed, never while it is being written.
 *
 * One thread, that of the loop; not for workers: it asks the file system.
 */

#include <stdbool.h>

struct loop;
struct watch;

/* From the loop, once for what was read in one go. May use the functions below but watch_free(). */
typedef void watch_fn(void *arg);

/* NULL: the system gives none; errno says why. */
struct watch *watch_new(struct loop *l, watch_fn *fn, void *arg);
/* Nulls; NULL is fine. */
void	watch_free(struct watch **wp);

/*
 * What is added between begin and end takes the place of what was watched; what is in both stays
 * watched all the time. A folder that is not there is let pass. False: the system has no room for
 * more; errno says why.
 */
void	watch_begin(struct watch *w);
bool	watch_name(struct watch *w, const char *folder, const char *name);
bool	watch_pattern(struct watch *w, const char *folder, const char *pattern); /* of a shell */
/* True: some folder was not watched before, so what happened there until now is not told. */
bool	watch_end(struct watch *w);

#endif
