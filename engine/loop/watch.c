/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/loop/watch.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/check.h"
#include "engine/loop/io.h"
#include "engine/mem/alloc.h"
#include "engine/mem/arena.h"

#define FILE_WATCH_MAGIC	0x494e4f54u	/* "INOT" */

enum {
	WATCH_BUFFER = 16 * 1024,
	WATCH_MASK = IN_CLOSE_WRITE | IN_CREATE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE |
	    IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR
};

struct watch_entry {
	struct watch_entry *next;
	int		 wd;		/* the folder; the kernel has one number for each */
	bool		 is_pattern;
	const char	*folder;
	const char	*name;
};

struct watch {
	unsigned	 magic;
	int		 fd;
	struct io	 io;
	watch_fn	*fn;
	void		*arg;
	struct arena	*arena, *before;	/* of the entries; of those that go at the end */
	struct watch_entry *first, *first_before;
};

/* Of a regular file with one name that is made, the end of its writing is told next. */
static bool
is_being_written(const struct watch_entry *e, const char *name)
{
	char path[4096];
	struct stat st;
	int n = snprintf(path, sizeof path, "%s/%s", e->folder, name);

	return (n > 0 && (size_t)n < sizeof path && lstat(path, &st) == 0 && S_ISREG(st.st_mode) &&
	    st.st_nlink == 1);
}

static bool
is_meant(const struct watch_entry *e, const struct inotify_event *ev)
{
	const char *name = ev->len > 0 ? ev->name : "";

	if (e->wd != ev->wd)
		return (false);
	if (ev->mask & (IN_DELETE_SELF | IN_MOVE_SELF))
		return (true);
	if (e->is_pattern ? fnmatch(e->name, name, FNM_PERIOD) != 0 : strcmp(e->name, name) != 0)
		return (false);
	return (!(ev->mask & IN_CREATE) || !is_being_written(e, name));
}

static bool
concerns(const struct watch *w, const struct inotify_event *ev)
{
	if (ev->mask & IN_Q_OVERFLOW)
		return (true);
	for (const struct watch_entry *e = w->first; e != NULL; e = e->next) {
		if (is_meant(e, ev))
			return (true);
	}
	return (false);
}

static void
on_events(void *arg, unsigned what)
{
	_Alignas(struct inotify_event) char buf[WATCH_BUFFER];
	bool changed = false;
	struct watch *w;
	ssize_t n;

	(void)what;
	CAST_OBJ(w, arg, FILE_WATCH_MAGIC);
	while ((n = read(w->fd, buf, sizeof buf)) > 0) {
		for (char *p = buf; p < buf + n;) {
			const struct inotify_event *ev = (const void *)p;

			changed = changed || concerns(w, ev);
			p += sizeof *ev + ev->len;
		}
	}
	if (changed)
		w->fn(w->arg);
}

struct watch *
watch_new(struct loop *l, watch_fn *fn, void *arg)
{
	struct watch *w = xcalloc(1, sizeof *w);

	w->magic = FILE_WATCH_MAGIC;
	w->fn = fn;
	w->arg = arg;
	io_init(&w->io);
	w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (w->fd >= 0 && io_add_level(l, &w->io, w->fd, IO_READ, on_events, w))
		return (w);
	watch_free(&w);
	return (NULL);
}

void
watch_free(struct watch **wp)
{
	struct watch *w;
	int saved = errno;

	if (*wp == NULL)
		return;
	TAKE_OBJ(w, wp, FILE_WATCH_MAGIC);
	io_del(&w->io);
	if (w->fd >= 0)
		(void)close(w->fd);
	arena_free(&w->arena);
	arena_free(&w->before);
	w->magic = 0;
	xfree(w);
	errno = saved;
}

void
watch_begin(struct watch *w)
{
	CHECK_OBJ(w, FILE_WATCH_MAGIC);
	must(w->before == NULL);
	w->before = w->arena;
	w->first_before = w->first;
	w->arena = arena_new("watch");
	w->first = NULL;
}

static bool
add(struct watch *w, const char *folder, const char *name, bool is_pattern)
{
	struct watch_entry *e;
	int wd;

	CHECK_OBJ(w, FILE_WATCH_MAGIC);
	wd = inotify_add_watch(w->fd, folder, WATCH_MASK);
	if (wd < 0)
		return (errno != ENOSPC && errno != ENOMEM);
	e = arena_znew(w->arena, struct watch_entry);
	e->wd = wd;
	e->is_pattern = is_pattern;
	e->folder = arena_cstr(w->arena, slice_str(folder));
	e->name = arena_cstr(w->arena, slice_str(name));
	e->next = w->first;
	w->first = e;
	return (true);
}

bool
watch_name(struct watch *w, const char *folder, const char *name)
{
	return (add(w, folder, name, false));
}

bool
watch_pattern(struct watch *w, const char *folder, const char *pattern)
{
	return (add(w, folder, pattern, true));
}

static bool
has_folder(const struct watch_entry *e, int wd)
{
	while (e != NULL && e->wd != wd)
		e = e->next;
	return (e != NULL);
}

/* The next one in another folder: names of one mostly stand together. */
static const struct watch_entry *
next_folder(const struct watch_entry *e)
{
	int wd = e->wd;

	while (e != NULL && e->wd == wd)
		e = e->next;
	return (e);
}

bool
watch_end(struct watch *w)
{
	bool has_new = false;

	CHECK_OBJ(w, FILE_WATCH_MAGIC);
	for (const struct watch_entry *e = w->first; e != NULL && !has_new; e = next_folder(e))
		has_new = !has_folder(w->first_before, e->wd);
	/* A folder that stands there more than once is an error from the second time on, which is
	   nothing to care about. */
	for (const struct watch_entry *e = w->first_before; e != NULL; e = next_folder(e)) {
		if (!has_folder(w->first, e->wd))
			(void)inotify_rm_watch(w->fd, e->wd);
	}
	w->first_before = NULL;
	if (w->before != NULL)
		arena_free(&w->before);
	return (has_new);
}
