/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_APP_RELOAD_H
#define WEIR_APP_RELOAD_H

/*
 * Another generation, from files to workers. Main thread.
 *
 *	IDLE --app_reload--> (build) --mistakes------------------------------> IDLE
 *	                        |
 *	                     NAMES: each new name has a first answer, or 5 s are over
 *	                        |
 *	                     (sockets, logs, admin; publish) ---> IDLE, or the next one that is due
 *
 * Meanwhile the process serves what it served. One at a time: who asks while names are waited for
 * gets another reload behind this one, which reads the files as they are then.
 */
#include <stdbool.h>

#include "engine/app/build.h"
#include "engine/base/list.h"

struct app;

enum { RELOAD_WHY_MAX = 256 };	/* bytes, with the NUL */

/* How a reload ended; on the stack of whoever tells. */
struct reload_end {
	bool		 ok;
	bool		 no_memory;
	/* what the files brought up, also where it went well; NULL: they were not read */
	struct diag	*diag;
};

/* Someone who wants to know how it ended. Before that, list_del(&link) and it is told nothing. */
struct reload_wait {
	struct list	 link;
	void		(*done)(struct reload_wait *, const struct reload_end *);
};

/* The same for who asks later, and of a bounded size, whatever the files say. */
struct reload_last {
	uint64_t	 wall_us;	/* when; 0: there was none */
	uint64_t	 generation;	/* in force from then on */
	bool		 ok;
	/* of a failure: its first mistake, "file:line:col: ...", cut where it is longer */
	char		 why[RELOAD_WHY_MAX];
};

struct reload {
	bool		 is_running;		/* `build` is alive */
	bool		 waits_for_names;	/* and nothing of it is on the stack */
	bool		 is_due;		/* another one follows */
	struct list	 told;			/* struct reload_wait: of this one */
	struct list	 told_next;		/* of the one that follows */
	struct build	 build;
	struct reload_last last;
};

void	app_reload_init(struct app *);
/* `done` is called once, perhaps before this returns. The wait may be NULL. */
void	app_reload(struct app *, struct reload_wait *);
/* What is not published will not be; those who wait are told so. Harmless when idle. */
void	app_reload_cancel(struct app *);

#endif
