/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ctl/ctl.h"

int
main(int argc, char **argv)
{
	struct ctl c = { .magic = CTL_MAGIC };
	enum ctl_exit rc = CTL_USAGE;
	bool is_written;

	c.arena = arena_new("weirctl");
	if (ctl_options_parse(&c, argc, argv))
		rc = ctl_run(&c);
	arena_free(&c.arena);
	/* A full disk behind a pipe would else look like a short answer. What failed before may
	   have left nothing that could fail now. */
	is_written = fflush(stdout) == 0;
	if (!is_written || ferror(stdout)) {
		ctl_complain("cannot write: %s", is_written ? "not all was taken" :
		    strerror(errno));
		rc = CTL_UNREACHABLE;
	}
	return ((int)rc);
}
