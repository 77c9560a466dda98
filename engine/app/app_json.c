/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <stdio.h>
#include <sys/types.h>

#include "engine/app/app_json.h"
#include "engine/base/text.h"
#include "engine/stats/prom.h"

json_t *
app_json_text(struct slice s)
{
	json_t *text = s.len == 0 ? json_string("") : json_stringn(s.p, s.len);
	struct prom_text valid = { 0 };

	if (text != NULL)
		return (text);
	/* Bytes that are no UTF-8, as a file's name may have. */
	while (s.len > 0) {
		unsigned n = text_utf8_len(s);

		prom_put(&valid, n > 0 ? slice_of(s.p, n) : SLICE("\xef\xbf\xbd"));
		s = slice_skip(s, n > 0 ? n : 1);
	}
	if (!valid.failed)
		text = json_stringn(valid.p, valid.len);
	prom_text_free(&valid);
	return (text);
}

json_t *
app_json_mark(struct mark mark)
{
	char line[TEXT_U64_MAX];
	struct prom_text t = { 0 };
	json_t *text;

	if (mark.file == NULL)
		return (json_null());
	prom_put(&t, slice_str(mark.file));
	prom_put(&t, SLICE(":"));
	prom_put(&t, slice_of(line, text_u64_digits(line, mark.line)));
	text = t.failed ? NULL : app_json_text(slice_of(t.p, t.len));
	prom_text_free(&t);
	return (text);
}

static ssize_t
on_write(void *cookie, const char *p, size_t n)
{
	struct prom_text *t = cookie;

	prom_put(t, slice_of(p, n));
	return (t->failed ? 0 : (ssize_t)n);
}

FILE *
app_json_print(struct prom_text *t)
{
	return (fopencookie(t, "w", (cookie_io_functions_t){ .write = on_write }));
}

json_t *
app_json_printed(FILE *out, struct prom_text *t)
{
	json_t *text = NULL;

	if (out != NULL && fclose(out) == 0 && !t->failed)
		text = app_json_text(slice_of(t->p, t->len));
	prom_text_free(t);
	return (text);
}
