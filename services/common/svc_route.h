/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVICES_COMMON_SVC_ROUTE_H
#define SERVICES_COMMON_SVC_ROUTE_H

/* Finds the route of a request. Pure functions, any thread. */

#include <stddef.h>

#include "services/common/svc.h"

#define SVC_PARAMS_MAX 4
#define SVC_ALLOW_SIZE 64

/* The {name} parts of a matched pattern. */
struct svc_route_params {
	unsigned magic;
#define SVC_ROUTE_PARAMS_MAGIC 0x5eac9a04u
	size_t count;
	struct {
		const char *name; /* in the pattern, not terminated */
		size_t name_len;
		char *value; /* decoded; owned */
	} param[SVC_PARAMS_MAX];
};

enum svc_match {
	SVC_MATCH_FOUND,
	SVC_MATCH_NO_PATH,   /* 404 */
	SVC_MATCH_NO_METHOD, /* 405; `allow` says which there are */
	SVC_MATCH_BAD_PATH,  /* a parameter with a NUL or a broken %-escape: 400 */
	SVC_MATCH__MAX
};

/*
 * Looks for `method` and `path` in `routes`. On FOUND, *route_r is set and `params` filled
 * (svc_route_params_fini frees what it holds); on NO_METHOD, `allow` holds the value for the Allow
 * field.
 */
enum svc_match svc_route_find(const struct svc_route *routes, const char *method, const char *path,
    const struct svc_route **route_r, struct svc_route_params *params, char allow[SVC_ALLOW_SIZE]);
const char *svc_route_param(const struct svc_route_params *params, const char *name);
void svc_route_params_fini(struct svc_route_params *params);

#endif
