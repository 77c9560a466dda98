/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/check.h"
#include "tests/unit/h1/rig.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/*
 * A whole connection. First byte: bit 0 the role, bit 1 HEAD, the rest the size of the pieces it is fed in
 * and written in. The events must be those of the bytes fed whole.
 */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum codec_role role;
	struct rig *r[2];

	if (size < 1 || size > 8192)
		return (0);
	role = (data[0] & 1) != 0 ? CODEC_CLIENT : CODEC_SERVER;
	for (size_t i = 0; i < 2; i++) {
		r[i] = rig_new(role);
		r[i]->answer = true;
		if (role == CODEC_CLIENT)
			must(rig_send_method(r[i], (data[0] & 2) != 0 ? METHOD_HEAD : METHOD_GET, "/"));
		(void)rig_write(r[i], i == 0 ? 0 : 1);
		(void)rig_feed(r[i], (const char *)data + 1, size - 1, i * (1 + (data[0] >> 2)));
		/* A line's end: what is wrong with a head in pieces is said when a line is whole. */
		(void)rig_feed(r[i], "\n", 1, 0);
		(void)rig_eof(r[i]);
		(void)rig_write(r[i], i * (1 + (data[0] >> 2)));
	}
	must(strcmp(rig_log(r[0]), rig_log(r[1])) == 0);
	must(strcmp(rig_out(r[0]), rig_out(r[1])) == 0);
	rig_free(r[0]);
	rig_free(r[1]);
	return (0);
}
