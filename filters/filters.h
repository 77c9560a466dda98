/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_FILTERS_FILTERS_H
#define WEIR_FILTERS_FILTERS_H

/*
 * The filters of this folder, for the tables of the programs. One file each; what a filter does
 * stands at the head of its file, its key and its conf are its own.
 */
#include "engine/proxy/filter.h"

extern const struct filter_ops filter_request_id;	/* request_id.c */
extern const struct filter_ops filter_ip_acl;		/* ip_acl.c: `ip` */
extern const struct filter_ops filter_cors;		/* cors.c */
extern const struct filter_ops filter_request_headers;	/* header_edit.c */
extern const struct filter_ops filter_response_headers;
extern const struct filter_ops filter_strip_prefix;	/* path_rewrite.c */
extern const struct filter_ops filter_rewrite;

#endif
