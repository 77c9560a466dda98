/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For scripts: `print_stats text|openmetrics` shows metrics whose labels are as odd as can be;
 * `print_stats metrics|reasons` shows the tables that the documents are made of.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "engine/http/reason.h"
#include "engine/stats/prom.h"

#define L(...)	((const struct slice[]){ __VA_ARGS__ })

static int
show_text(enum prom_format format)
{
	struct stats *st = stats_new();
	struct stats_shard *a = stats_shard_new(st), *b = stats_shard_new(st);
	struct prom_text t = { 0 };
	struct stats_series *s;

	stats_add(stats_series(a, STATS_REQUESTS, L(SLICE("a\"b"), SLICE("c\\d"), SLICE("e\nf"),
	    SLICE("200"), SLICE(""))), 3);
	stats_add(stats_series(b, STATS_REQUESTS, L(SLICE("a\"b"), SLICE("c\\d"), SLICE("e\nf"),
	    SLICE("200"), SLICE(""))), 4);
	stats_add(stats_series(b, STATS_REQUESTS, L(SLICE("\xff"), SLICE("\xc3\xa9"),
	    SLICE("{},="), SLICE("0"), SLICE("no_route"))), 1);
	stats_add(stats_series(a, STATS_CONNECTIONS, L(SLICE("web"))), -1);
	stats_add(stats_series(b, STATS_CONNECTIONS, L(SLICE("web"))), 3);
	stats_add(stats_series(b, STATS_CONNECTIONS_OPENED, L(SLICE("web"))), INT64_MAX);
	s = stats_series(a, STATS_REQUEST_DURATION, L(SLICE("web"), SLICE("r")));
	for (uint64_t v = 1; v < 2000000000; v = v * 3 + 1)
		stats_observe(s, v);
	stats_set(stats_plain(a, STATS_CONFIG_LAST_RELOAD_SECONDS), 1700000000000001);
	for (unsigned i = 0; i < 400; i++) {
		char name[16];
		int n = snprintf(name, sizeof name, "l%u", i);

		stats_add(stats_series(a, STATS_CONNECTIONS, L(slice_of(name, (size_t)n))), 1);
	}
	if (!prom_render(st, format, SLICE("1.2\"3"), &t))
		return (1);
	(void)fwrite(t.p, 1, t.len, stdout);
	prom_text_free(&t);
	stats_free(&st);
	return (0);
}

static int
show_metrics(void)
{
	static const char *const types[] = { "counter", "counter", "gauge", "histogram" };

	printf("| metric | type | labels | sets | meaning |\n| --- | --- | --- | --- | --- |\n");
	for (unsigned i = 0; i < STATS__MAX; i++) {
		const struct stats_info *m = stats_info((enum stats_id)i);
		char name[STATS_VALUE_BYTES];
		struct slice s = stats_name(m, name, sizeof name);

		printf("| `" SLICE_FMT "` | %s |", SLICE_ARG(s), types[m->type]);
		for (unsigned l = 0; l < m->n_labels; l++)
			printf("%s`%s`", l == 0 ? " " : ", ", m->labels[l]);
		printf(" | %u | " SLICE_FMT " |\n", m->max, SLICE_ARG(m->help));
	}
	return (0);
}

static int
show_reasons(void)
{
	static const char *const blames[] = { "-", "the client", "the upstream", "the gateway" };

	printf("| reason | status | gRPC | Proxy-Status error | caused by | meaning |\n"
	    "| --- | --- | --- | --- | --- | --- |\n");
	for (unsigned i = REASON_NONE + 1; i < REASON__MAX; i++) {
		const struct reason_info *r = reason_info((enum reason)i);
		char status[8] = "-";

		if (r->status != 0)
			(void)snprintf(status, sizeof status, "%u", r->status);
		printf("| <a id=\"" SLICE_FMT "\"></a>`" SLICE_FMT "` | %s | %u | " SLICE_FMT
		    " | %s | " SLICE_FMT " |\n", SLICE_ARG(r->name), SLICE_ARG(r->name), status,
		    r->grpc, SLICE_ARG(r->proxy_error), blames[r->blame], SLICE_ARG(r->title));
	}
	return (0);
}

int
main(int argc, char **argv)
{
	const char *what = argc == 2 ? argv[1] : "";

	if (strcmp(what, "text") == 0)
		return (show_text(PROM_TEXT));
	if (strcmp(what, "openmetrics") == 0)
		return (show_text(PROM_OPENMETRICS));
	if (strcmp(what, "metrics") == 0)
		return (show_metrics());
	if (strcmp(what, "reasons") == 0)
		return (show_reasons());
	return (2);
}
