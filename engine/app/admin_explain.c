/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/app/admin_impl.h"
#include "engine/app/explain.h"
#include "engine/base/check.h"

/* GET /explain: what would become of a request. Reading alone: nothing of it runs on a worker. */

/* False: a parameter is no text. */
static bool
read_ask(const struct msg_req *req, struct explain_ask *ask, struct slice *fields)
{
	ask->fields = fields;
	return (admin_param(req, SLICE("method"), &ask->method) &&
	    admin_param(req, SLICE("url"), &ask->url) &&
	    admin_param(req, SLICE("listener"), &ask->listener) &&
	    admin_param(req, SLICE("client"), &ask->client) &&
	    admin_params(req, SLICE("header"), fields, EXPLAIN_FIELDS_MAX, &ask->n_fields));
}

static bool
say_text(struct admin_reply *r, json_t *o)
{
	FILE *out = admin_stream(r);

	if (out != NULL)
		explain_print(o, out);
	json_decref(o);
	r->status = 200;
	return (out != NULL && fclose(out) == 0 && !r->body.failed);
}

bool
admin_explain(struct admin_page *c, struct admin_reply *r)
{
	struct slice fields[EXPLAIN_FIELDS_MAX], format;
	struct explain_ask ask = { .n_fields = 0 };
	const char *wrong;
	json_t *o;

	if (c->status.current == NULL)
		return (admin_problem(r, 503, SLICE("the process is starting")));
	if (!read_ask(c->req, &ask, fields) || !admin_param(c->req, SLICE("format"), &format))
		return (admin_problem(r, 400, SLICE("a parameter is no text")));
	o = c->admin->hooks.explain(c->admin->hooks.arg, &ask, &wrong);
	if (o != NULL)
		return (slice_eq(format, SLICE("text")) ? say_text(r, o) :
		    admin_say_json(r, 200, o));
	return (wrong != NULL ? admin_problem(r, 400, slice_str(wrong)) :
	    admin_problem(r, 503, SLICE("there is no memory for it")));
}
