/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_TESTS_PATH_SPEC_H
#define WEIR_TESTS_PATH_SPEC_H

/*
 * What a path means and which route serves it, as docs/configuration.md has it, said again as
 * naively as can be: no table, no hash, each route is looked at for each request. It shares no line
 * with the engine. test_path_spec.c and test_uri.c hold the two
 * against each other.
 */
#include <stdbool.h>
#include <stddef.h>

enum { SPEC_PATH_MAX = 1024 };

enum spec_verdict { SPEC_FINE, SPEC_ENCODED_SLASH, SPEC_REFUSED };

/* out has room for three times the path; what it holds ends with a NUL. */
enum spec_verdict spec_path(const char *raw, size_t n, char *out);

/* The path as read by who cuts parameters (`;x`) off its segments. */
void spec_without_parameters(const char *path, char *out);

struct spec_route {
	const char	*host;		/* small letters; "*.x": a wildcard; NULL: any */
	const char	*path;		/* canonical */
	bool		 is_exact;	/* else all below it too, by whole segments */
	unsigned	 methods;	/* bits; 0: all */
};

/* The index of the route, or -1. host has neither port nor capitals; method is one bit. */
int spec_route(const struct spec_route *, int n, const char *host, const char *path,
    unsigned method);

#endif
