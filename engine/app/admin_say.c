/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <jansson.h>
#include <stdio.h>
#include <sys/types.h>

#include "engine/app/admin_impl.h"

/* How the pages of the admin listener are written. */

bool
admin_say(struct admin_reply *r, unsigned status, struct slice text)
{
	r->status = status;
	prom_put(&r->body, text);
	prom_put(&r->body, SLICE("\n"));
	return (!r->body.failed);
}

bool
admin_say_json(struct admin_reply *r, unsigned status, json_t *o)
{
	char *text = o == NULL ? NULL : json_dumps(o, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
	json_free_t give_back;

	json_decref(o);
	if (text == NULL)
		return (false);
	r->type = SLICE("application/json");
	(void)admin_say(r, status, slice_str(text));
	json_get_alloc_funcs(NULL, &give_back);
	give_back(text);
	return (!r->body.failed);
}

bool
admin_problem(struct admin_reply *r, unsigned status, struct slice what)
{
	return (admin_say_json(r, status, json_pack("{s:i, s:s%}", "status", (int)status, "error",
	    what.p, what.len)));
}

static ssize_t
on_write(void *cookie, const char *p, size_t n)
{
	struct prom_text *t = cookie;

	prom_put(t, slice_of(p, n));
	return (t->failed ? 0 : (ssize_t)n);
}

FILE *
admin_stream(struct admin_reply *r)
{
	return (fopencookie(&r->body, "w", (cookie_io_functions_t){ .write = on_write }));
}
