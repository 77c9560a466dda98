/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>

#include "engine/base/text.h"
#include "engine/mem/alloc.h"
#include "engine/stats/prom.h"
#include "engine/stats/stats_process.h"

/* Upper bounds that are shown, in microseconds: 50 us to 100 s. Each is a bucket's own bound. */
static const uint64_t bounds[] = { 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000,
	200000, 500000, 1000000, 2000000, 5000000, 10000000, 20000000, 50000000, 100000000 };

struct slice
prom_content_type(enum prom_format format)
{
	if (format == PROM_OPENMETRICS)
		return (SLICE("application/openmetrics-text; version=1.0.0; charset=utf-8"));
	return (SLICE("text/plain; version=0.0.4; charset=utf-8"));
}

/* ---- text ---- */

static bool
make_room(struct prom_text *t, size_t n)
{
	size_t cap = t->cap == 0 ? 16384 : t->cap;
	char *p;

	if (t->failed)
		return (false);
	if (likely(t->cap - t->len >= n))
		return (true);
	while (cap - t->len < n)
		cap *= 2;
	p = mem_try_realloc(t->p, cap);
	if (p == NULL) {
		t->failed = true;
		return (false);
	}
	t->p = p;
	t->cap = cap;
	return (true);
}

void
prom_put(struct prom_text *t, struct slice s)
{
	if (s.len == 0 || !make_room(t, s.len))
		return;
	memcpy(t->p + t->len, s.p, s.len);
	t->len += s.len;
}

static void
puts_(struct prom_text *t, const char *s)
{
	prom_put(t, slice_str(s));
}

void
prom_put_u64(struct prom_text *t, uint64_t v)
{
	char buf[TEXT_U64_MAX];

	prom_put(t, slice_of(buf, text_u64_digits(buf, v)));
}

void
prom_put_label(struct prom_text *t, struct slice s)
{
	puts_(t, "\"");
	while (s.len > 0) {
		unsigned n = text_utf8_len(s);

		if (n == 0) {
			puts_(t, "\xef\xbf\xbd");	/* U+FFFD */
			n = 1;
		} else if (s.p[0] == '\\' || s.p[0] == '"') {
			puts_(t, "\\");
			prom_put(t, slice_of(s.p, 1));
		} else if (s.p[0] == '\n') {
			puts_(t, "\\n");
		} else {
			prom_put(t, slice_of(s.p, n));
		}
		s = slice_skip(s, n);
	}
	puts_(t, "\"");
}

static void
put_i64(struct prom_text *t, int64_t v)
{
	if (v < 0)
		puts_(t, "-");
	prom_put_u64(t, v < 0 ? -(uint64_t)v : (uint64_t)v);
}

void
prom_put_seconds(struct prom_text *t, int64_t us)
{
	uint64_t v = us < 0 ? -(uint64_t)us : (uint64_t)us;
	char frac[6];
	size_t n = sizeof frac;
	uint64_t rest = v % 1000000;

	if (us < 0)
		puts_(t, "-");
	prom_put_u64(t, v / 1000000);
	for (size_t i = sizeof frac; i-- > 0; rest /= 10)
		frac[i] = (char)('0' + rest % 10);
	while (n > 1 && frac[n - 1] == '0')
		n--;
	puts_(t, ".");
	prom_put(t, slice_of(frac, n));
}

void
prom_text_free(struct prom_text *t)
{
	xfree(t->p);
	memset(t, 0, sizeof *t);
}

/* ---- metrics ---- */

static void
put_value(struct prom_text *t, const struct stats_info *info, int64_t v)
{
	if (info->scale == STATS_SCALE_MICRO)
		prom_put_seconds(t, v);
	else
		put_i64(t, v);
}

/* The name of the family: what HELP, TYPE and UNIT say. */
static void
put_family(struct prom_text *t, const struct stats_info *info, enum prom_format format)
{
	prom_put(t, info->name);
	if (info->type == STATS_TYPE_TOTAL ||
	    (info->type == STATS_TYPE_COUNTER && format == PROM_TEXT))
		puts_(t, "_total");
}

static void
put_head(struct prom_text *t, const struct stats_info *info, enum prom_format format)
{
	static const char *const types[] = {
		[STATS_TYPE_COUNTER] = " counter\n",
		[STATS_TYPE_TOTAL] = " counter\n",
		[STATS_TYPE_GAUGE] = " gauge\n",
		[STATS_TYPE_HISTOGRAM] = " histogram\n",
	};
	const char *type = types[info->type];

	if (format == PROM_OPENMETRICS && info->type == STATS_TYPE_TOTAL)
		type = " unknown\n";
	puts_(t, "# HELP ");
	put_family(t, info, format);
	puts_(t, " ");
	prom_put(t, info->help);
	puts_(t, "\n# TYPE ");
	put_family(t, info, format);
	puts_(t, type);
	if (format == PROM_OPENMETRICS && info->unit.len > 0) {
		puts_(t, "# UNIT ");
		put_family(t, info, format);
		puts_(t, " ");
		prom_put(t, info->unit);
		puts_(t, "\n");
	}
}

/* The name with its suffix, the labels, the bound if there is one, and the blank. */
static void
put_sample(struct prom_text *t, const struct stats_info *info, const char *suffix,
    const struct slice *labels, const uint64_t *bound, bool is_inf)
{
	const char *sep = "{";

	prom_put(t, info->name);
	puts_(t, suffix);
	for (unsigned i = 0; i < info->n_labels; i++) {
		puts_(t, sep);
		puts_(t, info->labels[i]);
		puts_(t, "=");
		prom_put_label(t, labels[i]);
		sep = ",";
	}
	if (bound != NULL || is_inf) {
		puts_(t, sep);
		puts_(t, "le=\"");
		if (is_inf)
			puts_(t, "+Inf");
		else
			prom_put_seconds(t, (int64_t)*bound);
		puts_(t, "\"");
		sep = ",";
	}
	puts_(t, *sep == ',' ? "} " : " ");
}

static void
put_histogram(struct prom_text *t, const struct stats_info *info, const struct stats_sum *sum)
{
	uint64_t count = hist_count(sum->hist);

	for (unsigned i = 0; i < array_len(bounds); i++) {
		put_sample(t, info, "_bucket", sum->labels, &bounds[i], false);
		prom_put_u64(t, hist_count_upto(sum->hist, bounds[i]));
		puts_(t, "\n");
	}
	put_sample(t, info, "_bucket", sum->labels, NULL, true);
	prom_put_u64(t, count);
	puts_(t, "\n");
	put_sample(t, info, "_count", sum->labels, NULL, false);
	prom_put_u64(t, count);
	puts_(t, "\n");
	put_sample(t, info, "_sum", sum->labels, NULL, false);
	prom_put_seconds(t, (int64_t)sum->hist->sum);
	puts_(t, "\n");
}

static void
put_series(struct prom_text *t, const struct stats_info *info, const struct stats_sum *sum,
    enum prom_format format)
{
	const char *suffix = "";

	if (info->type == STATS_TYPE_HISTOGRAM) {
		put_histogram(t, info, sum);
	} else {
		if (info->type != STATS_TYPE_GAUGE)
			suffix = "_total";
		put_sample(t, info, suffix, sum->labels, NULL, false);
		put_value(t, info, sum->value);
		puts_(t, "\n");
	}
	/* When it was zero: OpenMetrics only, where it belongs to the family. */
	if (format == PROM_OPENMETRICS &&
	    (info->type == STATS_TYPE_COUNTER || info->type == STATS_TYPE_HISTOGRAM)) {
		put_sample(t, info, "_created", sum->labels, NULL, false);
		prom_put_seconds(t, (int64_t)sum->created_us);
		puts_(t, "\n");
	}
}

static void
put_build(struct prom_text *t, enum prom_format format, struct slice version)
{
	bool om = format == PROM_OPENMETRICS;

	puts_(t, om ? "# HELP weir_build " : "# HELP weir_build_info ");
	puts_(t, "What runs; always 1.\n");
	puts_(t, om ? "# TYPE weir_build info\n" : "# TYPE weir_build_info gauge\n");
	puts_(t, "weir_build_info{version=");
	prom_put_label(t, version);
	puts_(t, "} 1\n");
}

bool
prom_render(struct stats *st, enum prom_format format, struct slice version, struct prom_text *t)
{
	for (unsigned id = 0; id < STATS__MAX; id++) {
		const struct stats_info *info = stats_info((enum stats_id)id);
		struct stats_sums sums = stats_collect(st, (enum stats_id)id);

		t->failed |= !sums.is_whole;
		put_head(t, info, format);
		for (unsigned i = 0; i < sums.n; i++)
			put_series(t, info, sums.v[i], format);
	}
	put_build(t, format, version);
	stats_process_put(t, format);
	if (format == PROM_OPENMETRICS)
		puts_(t, "# EOF\n");
	return (!t->failed);
}
