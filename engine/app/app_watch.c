/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <errno.h>
#include <glob.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/app/app_impl.h"
#include "engine/base/check.h"
#include "engine/base/log.h"
#include "engine/config/source.h"
#include "engine/loop/watch.h"
#include "engine/mem/alloc.h"
#include "engine/mem/arena.h"
#include "engine/proxy/gate.h"

/*
 * With `watch: true` a change of what was read is a SIGHUP. Watched is every name that decides what
 * is read: of the files, of each link on the way to them (a volume of Kubernetes changes one), and
 * what the patterns of `include` and of folders could match. Changes come in swarms: the reload is
 * made when there was none for a moment.
 */

enum {
	QUIET_MS = 100,
	LATEST_MS = 2000,	/* where it is never quiet */
	LINKS_MAX = 40		/* as Linux has it */
};

/* What is being added, and its memory. */
struct adding {
	struct watch	*w;
	struct arena	*arena;
	bool		 is_full;	/* the system has no room */
};

static void
add_name(struct adding *a, const char *folder, const char *name)
{
	if (!watch_name(a->w, folder, name))
		a->is_full = true;
}

/* The part of `path` before its component that begins at `at`. */
static const char *
folder_before(struct adding *a, const char *path, size_t at)
{
	while (at > 1 && path[at - 1] == '/')
		at--;
	return (at == 0 ? "." : arena_printf(a->arena, "%.*s", (int)at, path));
}

/* Where the link at `link` leads, with what follows it. */
static const char *
follow(struct adding *a, const char *folder, const char *link, const char *rest)
{
	char to[4096];
	ssize_t n = readlink(link, to, sizeof to);

	if (n <= 0 || (size_t)n == sizeof to)
		return (NULL);
	if (to[0] == '/')
		return (arena_printf(a->arena, "%.*s%s", (int)n, to, rest));
	return (arena_printf(a->arena, "%s/%.*s%s", folder, (int)n, to, rest));
}

/* The file's name, and before it the names of all links on the way. */
static void
add_path(struct adding *a, const char *path, unsigned links)
{
	size_t at = strspn(path, "/");

	while (path[at] != '\0' && links < LINKS_MAX) {
		size_t end = at + strcspn(path + at, "/");
		const char *folder = folder_before(a, path, at);
		const char *here = arena_printf(a->arena, "%.*s", (int)end, path);
		const char *name = here + at;
		struct stat st;

		if (lstat(here, &st) < 0) {
			add_name(a, folder, name);
			return;
		}
		if (S_ISLNK(st.st_mode)) {
			add_name(a, folder, name);
			path = follow(a, folder, here, path + end);
			if (path == NULL)
				return;
			links++;
			at = strspn(path, "/");
			continue;
		}
		at = end + strspn(path + end, "/");
		if (path[at] == '\0')
			add_name(a, folder, name);
	}
}

static void
add_matches(struct adding *a, const char *folders, const char *last)
{
	glob_t g = { 0 };

	if (glob(folders, 0, NULL, &g) == 0) {
		for (size_t i = 0; i < g.gl_pathc; i++) {
			if (!watch_pattern(a->w, g.gl_pathv[i], last))
				a->is_full = true;
		}
	}
	globfree(&g);
}

/* What could come to match, in the folders that are there and of those that could come. */
static void
add_pattern(struct adding *a, const char *pattern)
{
	while (strpbrk(pattern, "*?[") != NULL) {
		const char *slash = strrchr(pattern, '/');
		const char *folders = slash == NULL ? "." : slash == pattern ? "/" :
		    arena_printf(a->arena, "%.*s", (int)(slash - pattern), pattern);

		add_matches(a, folders, slash == NULL ? pattern : slash + 1);
		pattern = folders;
	}
	add_path(a, pattern, 0);
}

static void
add_sources(struct adding *a, const struct sources *s)
{
	for (size_t i = 0; i < s->v.n; i++) {
		const struct source *source = s->v.v[i].source;

		add_path(a, source->name, 0);
		for (size_t k = 0; k < source->others.n; k++)
			add_path(a, source->others.v[k]->path, 0);
	}
	for (size_t i = 0; i < s->patterns.n; i++)
		add_pattern(a, s->patterns.v[i].pattern);
}

/* ---- changes ---- */

static void
on_quiet(void *arg)
{
	struct app *app;

	CAST_OBJ(app, arg, APP_MAGIC);
	app->watching.since_ms = 0;
	log_info("files changed");
	app_reload(app, NULL);
}

static void
on_change(void *arg)
{
	struct app *app;
	uint64_t now, due;

	CAST_OBJ(app, arg, APP_MAGIC);
	now = loop_now_ms(app->main.loop);
	if (app->watching.since_ms == 0)
		app->watching.since_ms = now;
	due = app->watching.since_ms + LATEST_MS;
	due = now + QUIET_MS < due ? now + QUIET_MS : due;
	timer_set(app->main.loop, &app->watching.quiet, due);
}

static bool
is_open(struct app *app)
{
	if (app->watching.w != NULL)
		return (true);
	timer_init(&app->watching.quiet, on_quiet, app);
	app->watching.w = watch_new(app->main.loop, on_change, app);
	if (app->watching.w == NULL)
		log_warn("watch: files cannot be watched: %s", strerror(errno));
	return (app->watching.w != NULL);
}

/* What was read just now may have changed before its folder was watched. */
static void
add_all(struct app *app, struct arena *arena, struct sources *read)
{
	struct adding a = { .w = app->watching.w, .arena = arena };
	bool has_new;

	watch_begin(a.w);
	for (size_t i = 0; i < app->opt.n_paths; i++)
		add_path(&a, app->opt.paths[i], 0);
	if (app->current != NULL)
		add_sources(&a, ((const struct gate *)app->current->root)->sources);
	if (read != NULL)
		add_sources(&a, read);
	has_new = watch_end(a.w);
	if (has_new && read != NULL && !sources_are_current(read))
		on_change(app);
	if (a.is_full)
		log_warn("watch: not all files are watched: fs.inotify.max_user_watches is "
		    "too low");
}

void
app_watch_update(struct app *app, struct sources *read)
{
	struct mem_trap trap;
	struct arena *arena;

	CHECK_OBJ(app, APP_MAGIC);
	if (!app->watching.is_wanted) {
		app_watch_end(app);
		return;
	}
	if (MEM_TRAP_ENTER(&trap)) {
		log_warn("watch: out of memory: files are not watched");
		app_watch_end(app);
		return;
	}
	if (is_open(app)) {
		arena = arena_new("watch");
		add_all(app, arena, read);
		arena_free(&arena);
	}
	mem_trap_leave(&trap);
}

void
app_watch_end(struct app *app)
{
	if (app->watching.w != NULL)
		timer_clear(&app->watching.quiet);
	app->watching.since_ms = 0;
	watch_free(&app->watching.w);
}
