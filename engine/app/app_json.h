/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_APP_APP_JSON_H
#define WEIR_APP_APP_JSON_H

/* What is told as JSON. Any thread; NULL: no memory, as all of jansson. */
#include <jansson.h>
#include <stdio.h>

#include "engine/base/slice.h"
#include "engine/mem/err.h"

json_t	*app_json_text(struct slice);	/* bytes that are no UTF-8 become U+FFFD */
json_t	*app_json_mark(struct mark);	/* "file:line"; null where there is no file */

/* A text that is printed first: what is written to the stream is kept in `t`, zeroed before.
   app_json_printed() closes it (NULL is fine) and gives `t` back. */
struct prom_text;
FILE	*app_json_print(struct prom_text *t);
json_t	*app_json_printed(FILE *, struct prom_text *t);

#endif
