/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <stdio.h>

#include "ctl/ctl.h"

/* The upstreams come in pages, which fit together when they are of one generation. */

enum { TRIES = 5 };

/* Adds a page to what was gathered. False: it is of another generation, or of no use. */
static bool
join(json_t *all, const json_t *page)
{
	json_t *items = json_object_get(page, "upstreams");

	if (!json_equal(json_object_get(all, "generation"), json_object_get(page, "generation")) ||
	    !json_is_array(items) || json_array_size(items) == 0)
		return (false);
	return (json_array_extend(json_object_get(all, "upstreams"), items) == 0);
}

/* The first page, and those behind it. *o_r is NULL when a reload came between. */
static enum ctl_exit
gather(struct ctl *c, json_t **o_r, struct slice *text_r)
{
	struct ctl_reply reply;
	json_t *page, *next;
	enum ctl_exit rc;

	*o_r = NULL;
	if (!ctl_call(c, "GET", "/upstreams", &reply))
		return (CTL_UNREACHABLE);
	rc = ctl_object(c, &reply, o_r);
	if (rc != CTL_OK)
		return (rc);
	*text_r = reply.body;
	next = json_incref(json_object_get(*o_r, "next"));
	while (next != NULL && *o_r != NULL) {
		const char *target = arena_printf(c->arena, "/upstreams?offset=%s",
		    ctl_number(c, next));

		*text_r = SLICE_NONE;
		json_decref(next);
		if (!ctl_call(c, "GET", target, &reply))
			return (CTL_UNREACHABLE);
		rc = ctl_object(c, &reply, &page);
		if (rc != CTL_OK)
			return (rc);
		next = json_incref(json_object_get(page, "next"));
		if (!join(*o_r, page)) {
			json_decref(*o_r);
			*o_r = NULL;
		}
		json_decref(page);
	}
	json_decref(next);
	return (CTL_OK);
}

static const char *
addresses_of(struct ctl *c, const json_t *server)
{
	const json_t *all = json_object_get(server, "addresses");
	const char *text = "";

	for (size_t i = 0; i < json_array_size(all); i++)
		text = arena_printf(c->arena, "%s%s%s", text, i > 0 ? " " : "",
		    ctl_text(c, json_array_get(all, i)));
	return (*text == '\0' ? "unresolved" : text);
}

static void
print(struct ctl *c, const json_t *all)
{
	static const char *const heading[] = { "UPSTREAM", "SERVER", "WEIGHT", "ACTIVE", "IDLE",
		"REQUESTS", "ADDRESSES" };
	static const char *const numbers[] = { "weight", "active", "idle", "requests" };
	enum { COLUMNS = sizeof heading / sizeof heading[0], RIGHT = 0x3c };
	const json_t *upstreams = json_object_get(all, "upstreams");
	struct ctl_table t;

	ctl_table_init(&t, c, COLUMNS, RIGHT, heading);
	for (size_t i = 0; i < json_array_size(upstreams); i++) {
		const json_t *u = json_array_get(upstreams, i);
		const json_t *servers = json_object_get(u, "servers");

		for (size_t k = 0; k < json_array_size(servers); k++) {
			const json_t *s = json_array_get(servers, k);

			ctl_table_add(&t, ctl_text(c, json_object_get(u, "name")));
			ctl_table_add(&t, ctl_text(c, json_object_get(s, "server")));
			for (size_t m = 0; m < sizeof numbers / sizeof numbers[0]; m++)
				ctl_table_add(&t,
				    ctl_number(c, json_object_get(s, numbers[m])));
			ctl_table_add(&t, addresses_of(c, s));
		}
	}
	ctl_table_print(&t);
}

enum ctl_exit
ctl_upstreams(struct ctl *c)
{
	struct slice text = SLICE_NONE;
	enum ctl_exit rc = CTL_OK;
	json_t *all = NULL;

	for (unsigned i = 0; i < TRIES && rc == CTL_OK && all == NULL; i++)
		rc = gather(c, &all, &text);
	if (rc == CTL_OK && all == NULL) {
		ctl_complain("it was reloaded each time while it was asked");
		return (CTL_REFUSED);
	}
	if (rc == CTL_OK && !c->json) {
		print(c, all);
	} else if (rc == CTL_OK && text.len > 0) {
		fputs(text.p, stdout);
	} else if (rc == CTL_OK) {
		(void)json_object_del(all, "next");
		(void)json_dumpf(all, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
		fputs("\n", stdout);
	}
	json_decref(all);
	return (rc);
}
