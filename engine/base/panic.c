/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/base/panic.h"

#include <execinfo.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/check.h"
#include "engine/base/text.h"

struct panic_type {
	unsigned magic;
	const char *name;
	panic_dump_fn dump;
};

enum { PANIC_FRAMES = 48, PANIC_TEXT = 4096 };

_Thread_local const void *panic_watched[PANIC_SLOT__MAX];

static struct panic_type panic_types[PANIC_TYPES_MAX];
static unsigned panic_n_types;

static struct panic_type *
panic_find(unsigned magic)
{
	for (unsigned i = 0; i < panic_n_types; i++) {
		if (panic_types[i].magic == magic)
			return (&panic_types[i]);
	}
	return (NULL);
}

void
panic_register(unsigned magic, const char *name, panic_dump_fn dump)
{
	struct panic_type *type = panic_find(magic);
	void *frame;

	if (type == NULL) {
		must(panic_n_types < PANIC_TYPES_MAX);
		type = &panic_types[panic_n_types++];
		/* The first backtrace loads the unwinder, which allocates: now, not in trouble. */
		(void)backtrace(&frame, 1);
	}
	*type = (struct panic_type){magic, name, dump};
}

static void
panic_write(const struct text *t)
{
	size_t off = 0;

	while (off < t->len) {
		ssize_t n = write(STDERR_FILENO, t->p + off, t->len - off);

		if (n <= 0)
			return;
		off += (size_t)n;
	}
}

static void
panic_dump_object(const void *obj)
{
	char buf[PANIC_TEXT];
	struct panic_type *type;
	struct text t;
	unsigned magic;

	memcpy(&magic, obj, sizeof(magic));
	type = panic_find(magic);
	text_init(&t, buf, sizeof(buf) - 1);
	text_printf(&t, "%s %p magic %08x\n", type == NULL ? "unknown" : type->name, obj, magic);
	if (type != NULL && type->dump != NULL)
		type->dump(obj, &t);
	t.cap = sizeof(buf);
	t.full = false;
	if (t.p[t.len - 1] != '\n')
		text_putc(&t, '\n');
	panic_write(&t);
}

void
panic_dump(void)
{
	static _Thread_local bool busy;
	void *frames[PANIC_FRAMES];

	/* A dump function that fails a check must not dump again. */
	if (busy)
		return;
	busy = true;
	backtrace_symbols_fd(frames, backtrace(frames, PANIC_FRAMES), STDERR_FILENO);
	for (unsigned i = 0; i < PANIC_SLOT__MAX; i++) {
		if (panic_watched[i] != NULL)
			panic_dump_object(panic_watched[i]);
	}
	busy = false;
}
