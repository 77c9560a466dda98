/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/base/check.h"
#include "engine/http/uri.h"
#include "engine/proxy/router_int.h"

/* What rules ask of header fields and of the query. */

static enum regex_result
yes(bool is_so)
{
	return (is_so ? REGEX_MATCH : REGEX_NO_MATCH);
}

/* One value of a field. */
static enum regex_result
test(const struct router_field *f, struct slice value, struct regex_work *work)
{
	switch ((enum router_field_kind)f->kind) {
	case ROUTER_FIELD_IS:
		return (yes(slice_eq(value, f->value)));
	case ROUTER_FIELD_PREFIX:
		return (yes(slice_has_prefix(value, f->value)));
	case ROUTER_FIELD_REGEX:
		return (regex_search_within(f->regex, work, value, NULL));
	case ROUTER_FIELD_PRESENT:
	case ROUTER_FIELD_ABSENT:
		return (REGEX_MATCH);
	}
	never("router_field_kind");
}

static enum regex_result
test_header(const struct router_field *f, const struct router_request *req)
{
	enum regex_result rc = REGEX_NO_MATCH;
	const struct hdr *h;

	if (req->headers == NULL)
		return (rc);
	for (h = headers_find(req->headers, f->name); h != NULL && rc == REGEX_NO_MATCH;
	    h = headers_next(req->headers, h))
		rc = test(f, hdr_value(h), req->regex);
	return (rc);
}

/* ---- the query ---- */

/* Does raw mean text, or begin with what means it? */
static bool
means(struct slice raw, struct slice text, bool is_whole)
{
	char c;

	for (size_t i = 0; i < text.len; i++) {
		if (!uri_query_byte(&raw, &c) || c != text.p[i])
			return (false);
	}
	return (!is_whole || raw.len == 0);
}

static enum regex_result
search(const struct router_field *f, struct slice raw, struct regex_work *work)
{
	char bytes[ROUTER_VALUE_MAX];
	size_t n = 0;

	if (slice_find_byte(raw, '%') < 0 && slice_find_byte(raw, '+') < 0)
		return (regex_search_within(f->regex, work, raw, NULL));
	for (; n < sizeof bytes && uri_query_byte(&raw, &bytes[n]); n++)
		;
	return (raw.len > 0 ? REGEX_LIMIT :
	    regex_search_within(f->regex, work, slice_of(bytes, n), NULL));
}

static enum regex_result
test_parameter(const struct router_field *f, struct slice raw, struct regex_work *work)
{
	switch ((enum router_field_kind)f->kind) {
	case ROUTER_FIELD_IS:
		return (yes(means(raw, f->value, true)));
	case ROUTER_FIELD_PREFIX:
		return (yes(means(raw, f->value, false)));
	case ROUTER_FIELD_REGEX:
		return (search(f, raw, work));
	case ROUTER_FIELD_PRESENT:
	case ROUTER_FIELD_ABSENT:
		return (REGEX_MATCH);
	}
	never("router_field_kind");
}

static enum regex_result
test_query(const struct router_field *f, struct router_query *q)
{
	enum regex_result rc = REGEX_NO_MATCH;
	struct slice rest = q->req->query, name, value;

	while (rc == REGEX_NO_MATCH && uri_query_next(&rest, &name, &value)) {
		if (q->parameters == 0)
			return (REGEX_LIMIT);
		q->parameters--;
		if (means(name, f->name, true))
			rc = test_parameter(f, value, q->req->regex);
	}
	return (rc);
}

CC_NOINLINE enum router_take
router_takes_fields(const struct router_more *more, struct router_query *q,
    const struct router_field **field_r)
{
	for (unsigned i = 0; i < more->n_fields; i++) {
		const struct router_field *f = &more->fields[i];
		enum regex_result rc = f->is_query ? test_query(f, q) : test_header(f, q->req);

		if (rc != REGEX_LIMIT && (rc == REGEX_MATCH) == (f->kind != ROUTER_FIELD_ABSENT))
			continue;
		if (field_r != NULL)
			*field_r = f;
		return (rc == REGEX_LIMIT ? ROUTER_TAKES_LIMIT : ROUTER_TAKES_NOT_FIELD);
	}
	return (ROUTER_TAKES);
}
