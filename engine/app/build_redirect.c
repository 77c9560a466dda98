/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/app/build_impl.h"
#include "engine/http/uri.h"

/*
 * `redirect: { to }`: where to, in three parts, each a template of its own: the origin of an
 * absolute URL, the path, and a query and fragment. What a request's path says never reaches the
 * first, so nobody can be sent to a host that the file does not name, {host} apart.
 */

static size_t
find_any(struct slice s, const char *bytes)
{
	size_t n = 0;

	while (n < s.len && strchr(bytes, s.p[n]) == NULL)
		n++;
	return (n);
}

/* Of `to` the bytes of "https://host:port"; 0: it is a path. {path} begins with a slash. */
static size_t
origin_len(struct slice to)
{
	ssize_t at = slice_find(to, SLICE("://")), path;
	size_t n;

	if (at < 0 || (size_t)at > find_any(to, "/?#"))
		return (0);
	n = (size_t)at + 3 + find_any(slice_skip(to, (size_t)at + 3), "/?#");
	path = slice_find(slice_sub(to, 0, n), SLICE("{path}"));
	return (path < 0 ? n : (size_t)path);
}

/* What is wrong with what `to` becomes, or NULL. */
static const char *
sample_wrong(struct slice origin, struct slice path)
{
	struct slice host;
	size_t scheme = slice_has_prefix(origin, SLICE("https://")) ? 8 : 7;

	if (origin.len == 0) {
		if (slice_has_prefix(path, SLICE("//")))
			return ("\"//\" begins another host's name, not a path; write http:// or "
			    "https://");
		return (slice_has_prefix(path, SLICE("/")) ? NULL :
		    "a path or a URL with http:// or https:// is due");
	}
	if (!slice_has_prefix(origin, SLICE("http://")) &&
	    !slice_has_prefix(origin, SLICE("https://")))
		return ("a path or a URL with http:// or https:// is due");
	return (uri_split_authority(slice_skip(origin, scheme), &host) ? NULL :
	    "the URL has no host, or one that is none");
}

static const char *
compile(struct build *b, struct arena *kept, struct route_redirect *rd, struct slice to,
    int groups)
{
	size_t n = origin_len(to);
	struct slice path = slice_skip(to, n), tail;
	const char *why;

	tail = slice_skip(path, find_any(path, "?#"));
	path.len -= tail.len;
	why = template_compile(&rd->origin, TEMPLATE_IN_ORIGIN, slice_sub(to, 0, n), groups,
	    kept);
	if (why == NULL)
		why = template_compile(&rd->path, TEMPLATE_IN_PATH, path, groups, kept);
	if (why == NULL)
		why = template_compile(&rd->tail, TEMPLATE_IN_TAIL, tail, groups, kept);
	if (why == NULL)
		why = sample_wrong(template_sample(&rd->origin, b->arena),
		    template_sample(&rd->path, b->arena));
	if (why == NULL && !template_is_plain(&rd->path) &&
	    template_has_dots(template_sample(&rd->path, b->arena)))
		why = "a segment that is . or .. leads elsewhere";
	rd->keep_query = !slice_has_prefix(tail, SLICE("?"));
	rd->encodes_slash = template_has_encoded_slash(path);
	return (why);
}

static bool
uses(const struct route_redirect *rd, enum template_kind kind)
{
	return (template_uses(&rd->path, kind) || template_uses(&rd->tail, kind));
}

void
build_redirect(struct build *b, const struct route_conf *c, const struct regex *regex,
    struct arena *kept, struct route_redirect *rd)
{
	const struct route_redirect_conf *conf = c->redirect;
	const char *why;

	rd->status = (uint16_t)conf->status;
	if (schema_is_wrong(&conf->obj, "to") || !schema_has(&conf->obj, "to"))
		return;
	why = compile(b, kept, rd, conf->to, regex == NULL ? -1 : (int)regex_groups(regex));
	if (why != NULL)
		diag_error(b->diag, schema_mark(&conf->obj, "to"), "redirect to \"%.*s\": %s",
		    build_slice_len(conf->to), conf->to.p, why);
	/* A target that says where the path goes is all of it. */
	rd->keep_rest = c->prefix.len > 0 && !uses(rd, TEMPLATE_PATH);
	rd->needs_host = template_uses(&rd->origin, TEMPLATE_HOST);
	rd->regex = uses(rd, TEMPLATE_CAPTURE) ? regex : NULL;
}
