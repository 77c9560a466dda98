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

static bool
is_dots(const char *p, size_t n)
{
	return ((n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'));
}

/* Dots to a server that takes escapes for slashes, or cuts off what follows a semicolon. */
static bool
hides_dots(const char *seg, size_t len)
{
	char text[3 * SPEC_PATH_MAX + 1], *part = text;
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		bool slash = !strncmp(seg + i, "%2F", 3) || !strncmp(seg + i, "%5C", 3);
		bool semicolon = !strncmp(seg + i, "%3B", 3);

		text[n++] = slash ? '/' : semicolon ? ';' : seg[i];
		i += slash || semicolon ? 2 : 0;
	}
	text[n] = '\0';
	while (!is_dots(part, strcspn(part, "/;"))) {
		part += strcspn(part, "/");
		if (*part++ == '\0')
			return (false);
	}
	return (true);
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
		ends = len == 0 || is_dots(in, len);
		if (!is_dots(in, len) && hides_dots(in, len))
			return (false);
		if (!is_dots(in, len))
			kept[n++] = in;
		else if (len == 2 && (n == 0 || kept[--n][0] == '/'))
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

void
spec_without_parameters(const char *path, char *out)
{
	for (; *path != '\0'; path += strcspn(path, "/")) {
		const char *escape = strstr(++path, "%3B");
		size_t n = strcspn(path, "/;");

		n = escape != NULL && escape < path + n ? (size_t)(escape - path) : n;
		if (n > 0 || path[strcspn(path, "/")] == '\0')
			*out++ = '/';
		memcpy(out, path, n);
		out += n;
	}
	*out = '\0';
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
