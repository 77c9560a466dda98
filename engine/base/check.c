/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/base/check.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/log.h"
#include "engine/base/panic.h"
#include "engine/base/text.h"

enum { CHECK_LINE = 1024, CHECK_FRAMES = 16 };

CC_NORETURN static void
check_die(struct text *t)
{
	ssize_t ignored;

	t->cap++;
	t->full = false;
	text_putc(t, '\n');
	ignored = write(STDERR_FILENO, t->p, t->len);
	(void)ignored;
	panic_dump();
	abort();
}

void
check_failed(const char *file, int line, const char *func, const char *kind, const char *what)
{
	char buf[CHECK_LINE];
	struct text t;

	text_init(&t, buf, sizeof(buf) - 1);
	text_printf(&t, "panic: %s:%d: %s: %s(%s)", file, line, func, kind, what);
	check_die(&t);
}

void
check_obj_failed(const char *file, int line, const char *func, const char *what, const void *obj,
    unsigned want)
{
	char buf[CHECK_LINE];
	struct text t;
	unsigned found;

	text_init(&t, buf, sizeof(buf) - 1);
	text_printf(&t, "panic: %s:%d: %s: object %s at %p", file, line, func, what, obj);
	if (obj == NULL) {
		text_puts(&t, " is NULL");
	} else {
		memcpy(&found, obj, sizeof(found));
		text_printf(&t, " has magic %08x, not %08x", found, want);
	}
	check_die(&t);
}

/* Addresses as offsets into their file: what addr2line wants of a program that moves. */
static void
check_put_frames(struct text *t)
{
	void *frames[CHECK_FRAMES];
	int n = backtrace(frames, CHECK_FRAMES);

	for (int i = 1; i < n; i++) {
		Dl_info info;
		const char *name;

		text_putc(t, ' ');
		if (dladdr(frames[i], &info) == 0 || info.dli_fname == NULL) {
			text_hex(t, (uintptr_t)frames[i], 0);
			continue;
		}
		name = strrchr(info.dli_fname, '/');
		text_puts(t, name == NULL ? info.dli_fname : name + 1);
		text_puts(t, "+0x");
		text_hex(t, (uintptr_t)frames[i] - (uintptr_t)info.dli_fbase, 0);
	}
}

void
check_surprised(struct check_site *site)
{
	char buf[CHECK_LINE];
	struct text t;

	if (__atomic_exchange_n(&site->seen, true, __ATOMIC_RELAXED))
		return;
	text_init(&t, buf, sizeof(buf));
	check_put_frames(&t);
	log_write(NULL, LOG_LEVEL_ERROR, "surprise: %s:%d: %s: %s; backtrace:" SLICE_FMT,
	    site->file, site->line, site->func, site->what, SLICE_ARG(text_slice(&t)));
}
