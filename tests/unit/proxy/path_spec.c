/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <ctype.h>
#include <string.h>

#include "tests/unit/proxy/path_spec.h"

static int
value_of(char c)
{
	return (isdigit((unsigned char)c) ? c - '0' : isxdigit((unsigned char)c) ?
	    tolower(c) - 'a' + 10 : -1);
}

/* Escapes of letters, digits and -._~ are undone, the others written in capitals. */
static enum spec_verdict
decode(const char *raw, size_t n, char *out)
{
	enum spec_verdict verdict = SPEC_FINE;

	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)raw[i];

		if (c <= ' ' || c >= 0x7f || c == '?' || c == '#')
			return (SPEC_REFUSED);
		if (c != '%' && c != '\\') {
			*out++ = (char)c;
			continue;
		}
		if (c == '%') {
			if (n - i < 3 || value_of(raw[i + 1]) < 0 || value_of(raw[i + 2]) < 0)
				return (SPEC_REFUSED);
			c = (unsigned char)(value_of(raw[i + 1]) * 16 + value_of(raw[i + 2]));
			i += 2;
		}
		if (c == 0)
			return (SPEC_REFUSED);
		if (c == '/' || c == '\\')
			verdict = SPEC_ENCODED_SLASH;
		if (c < 0x80 && (isalnum(c) || strchr("-._~", c) != NULL)) {
			*out++ = (char)c;
			continue;
		}
		*out++ = '%';
		*out++ = "0123456789ABCDEF"[c / 16];
		*out++ = "0123456789ABCDEF"[c % 16];
	}
	*out = '\0';
	return (verdict);
}

/* Of the whole path: `.` and `..` go, then slashes are merged. Only what is kept is written. */
static bool
resolve(const char *in, char *out)
{
	const char *kept[SPEC_PATH_MAX + 1];
	size_t n = 0, len;
	bool ends = false;	/* in a slash */

	for (; *in == '/'; in += len) {
		len = strcspn(++in, "/");
		ends = len == 0 || (len == 1 && in[0] == '.') || (len == 2 && !strncmp(in, "..", 2));
		if (len == 1 && in[0] == '.')
			continue;
		if (len != 2 || strncmp(in, "..", 2) != 0)
			kept[n++] = in;
		else if (n == 0 || kept[--n][0] == '/')
			return (false);		/* above the root, or back over nothing */
	}
	for (size_t i = 0; i < n; i++) {
		len = strcspn(kept[i], "/");
		if (len > 0)
			*out++ = '/';
		memcpy(out, kept[i], len);
		out += len;
	}
	strcpy(out, ends || n == 0 ? "/" : "");
	return (true);
}

enum spec_verdict
spec_path(const char *raw, size_t n, char *out)
{
	char plain[3 * SPEC_PATH_MAX + 1];
	enum spec_verdict verdict = n == 0 || raw[0] != '/' ? SPEC_REFUSED : decode(raw, n, plain);

	return (verdict != SPEC_REFUSED && !resolve(plain, out) ? SPEC_REFUSED : verdict);
}

/* Which of the two fits better: hosts count first, then paths, then conditions. 0: not at all. */
static size_t
fit(const struct spec_route *r, const char *host, const char *path, unsigned method)
{
	size_t by_host = 1, by_path, below = strlen(r->path);

	if (r->host != NULL && r->host[0] == '*') {
		size_t n = strlen(r->host) - 1, m = strlen(host);

		if (m <= n || strcmp(host + m - n, r->host + 1) != 0)
			return (0);
		by_host = 1 + n;
	} else if (r->host != NULL) {
		if (strcmp(host, r->host) != 0)
			return (0);
		by_host = SPEC_PATH_MAX - 1;
	}
	while (!r->is_exact && below > 0 && r->path[below - 1] == '/')
		below--;
	by_path = r->is_exact ? SPEC_PATH_MAX - 1 : 1 + below;
	if (strncmp(path, r->path, below) != 0 || (path[below] != '\0' &&
	    (r->is_exact || path[below] != '/')) || (r->methods != 0 && !(r->methods & method)))
		return (0);
	return ((by_host * SPEC_PATH_MAX + by_path) * 2 + (r->methods != 0));
}

int
spec_route(const struct spec_route *routes, int n, const char *host, const char *path,
    unsigned method)
{
	size_t best = 0, is;
	int found = -1;

	for (int i = 0; i < n; i++) {
		is = fit(&routes[i], host, path, method);
		if (is > best) {
			best = is;
			found = i;
		}
	}
	return (found);
}
