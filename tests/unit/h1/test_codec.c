/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/h1/rig.h"

#define SMALL "GET /hello HTTP/1.1\r\nHost: a.test\r\nAccept: */*\r\n\r\n"

static void
plain_request(void **state)
{
	struct rig *r = rig_new(CODEC_SERVER);

	(void)state;
	assert_int_equal(rig_feed(r, SMALL, strlen(SMALL), 0), CODEC_MORE);
	assert_string_equal(rig_log(r),
	    "head GET /hello /hello host=a.test v11 body0 len-1 keep end [Host: a.test] [Accept: */*]\n"
	    "end\n");
	assert_false(r->h1.c.ops->is_idle(&r->h1.c));
	rig_put(r, "hi\n");
	assert_true(rig_send_status(r, 200, MSG_BODY_LENGTH, 3));
	pipe_put_end(&r->body, NULL);
	assert_int_equal(rig_write(r, 0), 1);
	assert_string_equal(rig_out(r), "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi\n");
	assert_int_equal(r->n_sent, 1);
	assert_true(r->h1.c.ops->can_reuse(&r->h1.c));
	assert_true(r->h1.c.ops->is_idle(&r->h1.c));
	rig_free(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_request),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
