/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "tests/unit/filters/runs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct filter_ops *const filters[] = {
	&filter_request_id, &filter_ip_acl, &filter_cors, &filter_request_headers,
	&filter_strip_prefix, &filter_rewrite, &filter_response_headers,
};
static const struct filter_ops *const responses[] = {
	&filter_request_id, &filter_response_headers, &filter_cors,
};
const struct proxy_program runs_program = {
	.filters = filters, .n_filters = sizeof filters / sizeof filters[0],
	.responses = responses, .n_responses = sizeof responses / sizeof responses[0],
	.via = SLICE_INIT("Via: 1.1 rig\r\n"),
	.via_1_0 = SLICE_INIT("Via: 1.0 rig\r\n"), .server_name = SLICE_INIT("rig"),
};

static void
look(const struct run *r, const char *who, struct slice got, const char *wanted, bool is_wanted)
{
	struct slice rest = slice_str(wanted), piece;

	while (rest.len > 0 && slice_split(&rest, '|', &piece)) {
		if ((slice_find(got, piece) >= 0) != is_wanted)
			fail_msg("route { %s }, request %s: %s %s \"%.*s\", got %.*s", r->route,
			    r->request, who, is_wanted ? "should see" : "should not see",
			    (int)piece.len, piece.p, (int)got.len, got.p);
	}
}

static void
answer(const struct run *r, char *text, size_t size)
{
	struct sim_conn *s = sim_server_take("10.0.0.1:80");

	if (r->to_upstream == NULL) {
		if (s != NULL)
			fail_msg("route { %s }, request %s: the upstream was asked", r->route,
			    r->request);
		return;
	}
	if (s == NULL)
		fail_msg("route { %s }, request %s: the upstream was not asked", r->route,
		    r->request);
	look(r, "the upstream", sim_received(s), r->to_upstream, true);
	look(r, "the upstream", sim_received(s), r->not_to_upstream, false);
	snprintf(text, size, "HTTP/1.1 200 OK\r\n%sContent-Length: 2\r\n\r\nhi", r->response);
	sim_send(s, slice_str(text));
}

static void
write_file(const struct run *r, char *text, size_t size)
{
	struct slice rest = slice_str(r->route), piece;
	int n = snprintf(text, size, RUNS_HEAD("%s"), r->listener);

	if (slice_find_byte(rest, '|') < 0)
		n += snprintf(text + n, size - (size_t)n, "  - { upstream: u, %s }\n", r->route);
	else while (slice_split(&rest, '|', &piece))
		n += snprintf(text + n, size - (size_t)n, "  %.*s\n", (int)piece.len, piece.p);
	assert_true((size_t)n < size);
}

static void
check_run(const struct run *r)
{
	const char *fields = strchr(r->request, '|') == NULL ? "" : strchr(r->request, '|') + 1;
	char text[4096];
	struct sim_conn *c;

	write_file(r, text, sizeof text);
	rig_start(&runs_program, text);
	sim_server("10.0.0.1:80", SIM_ACCEPT);
	c = sim_client_connect(8080);
	snprintf(text, sizeof text, "%.*s HTTP/1.1\r\n%s%s\r\n", (int)strcspn(r->request, "|"),
	    r->request, strncmp(fields, "Host: ", 6) == 0 ? "" : "Host: h\r\n", fields);
	sim_send(c, slice_str(text));
	sim_run_until_idle();
	answer(r, text, sizeof text);
	look(r, "the client", sim_received(c), r->to_client, true);
	look(r, "the client", sim_received(c), r->not_to_client, false);
	sim_close(c);
	rig_stop();
}

void
runs_check(const struct run *runs, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		check_run(&runs[i]);
}

void
runs_check_mistakes(const struct mistake *cases, unsigned n)
{
	char text[1024], *says;

	for (unsigned i = 0; i < n; i++) {
		snprintf(text, sizeof text, RUNS_HEAD("") "  - { upstream: u, %s }\n",
		    cases[i].route);
		says = rig_mistakes(&runs_program, text);
		if (strstr(says, "error: ") == NULL || strstr(says, cases[i].says) == NULL)
			fail_msg("{ %s }: wanted %s, got %s", cases[i].route, cases[i].says, says);
		free(says);
	}
}
