/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/check.h"
#include "tests/unit/h1/rig.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A chunked body, whole and byte by byte: the same bytes, trailers and verdict. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char head[] = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
	struct rig *r[2];

	if (size > 4096)
		return (0);
	for (size_t i = 0; i < 2; i++) {
		r[i] = rig_new(CODEC_SERVER);
		(void)rig_feed(r[i], head, sizeof(head) - 1, 0);
		(void)rig_feed(r[i], (const char *)data, size, i);
		(void)rig_feed(r[i], "\n", 1, 0);
		(void)rig_eof(r[i]);
	}
	must(strcmp(rig_log(r[0]), rig_log(r[1])) == 0);
	must(r[0]->n_ends + r[0]->n_errors == 1);
	rig_free(r[0]);
	rig_free(r[1]);
	return (0);
}
