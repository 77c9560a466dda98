/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <jansson.h>
#include <stdio.h>
#include <sys/types.h>

#include "engine/app/admin_impl.h"
#include "engine/base/text.h"
#include "engine/http/uri.h"

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

static bool
unescape(struct slice *s, char *to)
{
	size_t n = 0;
	uint64_t v;

	for (size_t i = 0; i < s->len; i++) {
		if (s->p[i] != '%') {
			to[n++] = s->p[i] == '+' ? ' ' : s->p[i];
			continue;
		}
		if (s->len - i < 3 || !text_to_hex64(slice_sub(*s, i + 1, 2), &v))
			return (false);
		to[n++] = (char)v;
		i += 2;
	}
	*s = slice_of(to, n);
	return (true);
}

bool
admin_params(const struct msg_req *req, struct slice name, struct slice *v, unsigned max,
    unsigned *n_r)
{
	struct slice rest = req->query, key, value;
	char *to;

	*n_r = 0;
	while (*n_r < max && uri_query_next(&rest, &key, &value)) {
		if (!slice_eq(key, name))
			continue;
		to = arena_alloc(req->m.headers.arena, value.len + 1);
		if (to == NULL || !unescape(&value, to))
			return (false);
		v[(*n_r)++] = value;
	}
	return (true);
}

bool
admin_param(const struct msg_req *req, struct slice name, struct slice *value_r)
{
	unsigned n;

	*value_r = SLICE("");
	return (admin_params(req, name, value_r, 1, &n));
}

static ssize_t
on_write(void *cookie, const char *p, size_t n)
{
	struct prom_text *t = cookie;

	if (n > ADMIN_REPLY_MAX - t->len)
		t->failed = true;
	prom_put(t, slice_of(p, n));
	return (t->failed ? 0 : (ssize_t)n);
}

FILE *
admin_stream(struct admin_reply *r)
{
	return (fopencookie(&r->body, "w", (cookie_io_functions_t){ .write = on_write }));
}
