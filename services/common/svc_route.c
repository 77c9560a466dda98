/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "services/common/svc_route.h"

#include <stdlib.h>
#include <string.h>

#include <event2/http.h>

static size_t
segment_length(const char *s)
{
	return (strcspn(s, "/"));
}

/*
 * Walks pattern and path side by side, segment by segment. With `params`, notes where the values
 * stand.
 */
static bool
is_match(const char *pattern, const char *path, struct svc_route_params *params)
{
	while (*pattern == '/' && *path == '/') {
		pattern++;
		path++;
		size_t want = segment_length(pattern);
		size_t have = segment_length(path);

		if (want > 2 && pattern[0] == '{') {
			if (have == 0)
				return (false);
			if (params != NULL && params->count < SVC_PARAMS_MAX) {
				params->param[params->count].name = pattern + 1;
				params->param[params->count].name_len = want - 2;
				params->param[params->count].value = strndup(path, have);
				params->count++;
			}
		} else if (want != have || memcmp(pattern, path, want) != 0) {
			return (false);
		}
		pattern += want;
		path += have;
	}
	return (*pattern == '\0' && *path == '\0');
}

static bool
takes_method(const struct svc_route *route, const char *method)
{
	if (strcmp(route->method, method) == 0)
		return (true);
	return (strcmp(method, "HEAD") == 0 && strcmp(route->method, "GET") == 0);
}

static void
allow_add(char allow[SVC_ALLOW_SIZE], const char *method)
{
	size_t used = strlen(allow);
	size_t more = strlen(method);
	size_t comma = used > 0 ? 2 : 0;

	if (used + comma + more >= SVC_ALLOW_SIZE)
		return;
	memcpy(allow + used, ", ", comma);
	memcpy(allow + used + comma, method, more + 1);
}

/* Decoding comes after matching, so that %2F never splits a segment. */
static bool
params_decode(struct svc_route_params *params)
{
	for (size_t i = 0; i < params->count; i++) {
		size_t len;
		char *raw = params->param[i].value;
		char *value;

		if (raw == NULL)
			return (false);
		value = evhttp_uridecode(raw, 0, &len);
		free(raw);
		params->param[i].value = value;
		if (value == NULL || strlen(value) != len)
			return (false);
	}
	return (true);
}

enum svc_match
svc_route_find(const struct svc_route *routes, const char *method, const char *path,
    const struct svc_route **route_r, struct svc_route_params *params, char allow[SVC_ALLOW_SIZE])
{
	memset(params, 0, sizeof(*params));
	params->magic = SVC_ROUTE_PARAMS_MAGIC;
	allow[0] = '\0';
	*route_r = NULL;
	for (const struct svc_route *r = routes; r->method != NULL; r++) {
		if (!is_match(r->pattern, path, NULL))
			continue;
		if (!takes_method(r, method)) {
			allow_add(allow, r->method);
			if (strcmp(r->method, "GET") == 0)
				allow_add(allow, "HEAD");
			continue;
		}
		*route_r = r;
		is_match(r->pattern, path, params);
		return (params_decode(params) ? SVC_MATCH_FOUND : SVC_MATCH_BAD_PATH);
	}
	return (allow[0] != '\0' ? SVC_MATCH_NO_METHOD : SVC_MATCH_NO_PATH);
}

const char *
svc_route_param(const struct svc_route_params *params, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < params->count; i++) {
		if (params->param[i].name_len == len &&
		    memcmp(params->param[i].name, name, len) == 0)
			return (params->param[i].value);
	}
	return (NULL);
}

void
svc_route_params_fini(struct svc_route_params *params)
{
	for (size_t i = 0; i < params->count; i++)
		free(params->param[i].value);
	params->count = 0;
}
