/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_TESTS_SIM_H
#define WEIR_TESTS_SIM_H

/*
 * The simulated world: the symbols of engine/loop and of the TCP transport and listener, with
 * time and network moved by the test alone. Link libsim.a in place of libengine_loop.a and
 * before libengine_net.a. One thread; no real descriptor, no real clock.
 *
 *	sim_begin();
 *	(the code under test makes its loop and its listeners)
 *	struct sim_conn *c = sim_client_connect(8080);
 *	sim_send(c, SLICE("GET / HTTP/1.1\r\n\r\n"));
 *	assert_null(sim_expect(c, SLICE("HTTP/1.1 200 OK\r\n")));
 *	sim_advance(5000);
 *	sim_end();
 *
 * Nothing moves until sim_run_until_idle(), sim_advance() or an expectation. Functions that
 * return const char * return NULL when all is well and else a sentence for the person who reads
 * the failed test, valid until the next such call.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/slice.h"

struct addr;

/* ---- the world ---- */

/* Starts with an empty network. The clocks begin at fixed values. */
void		sim_begin(void);

/* Frees everything; the code under test must have freed its loops and closed its sockets. */
void		sim_end(void);

/*
 * Turns every loop until none has anything to do at this moment, and delivers what is under way
 * on the network. Ends the test process with a message when that takes 100,000 turns.
 */
void		sim_run_until_idle(void);

/* Runs until idle, then moves time by ms, stopping at each timer on the way. */
void		sim_advance(uint64_t ms);

/* Moves time at once, with no turn: as when a callback, or the machine, is slow. */
void		sim_stall(uint64_t ms);

uint64_t	sim_now_ms(void);

/* Time to the next timer, UINT64_MAX when there is none. */
uint64_t	sim_next_timer_ms(void);

/* ---- bare descriptors, for what watches readiness only ---- */

int		sim_fd_new(void);
void		sim_fd_set(int fd, unsigned what);	/* IO_*: becomes ready, an edge */
void		sim_fd_unset(int fd, unsigned what);
void		sim_fd_free(int fd);			/* its watch must be gone */

/* ---- the network ---- */

struct sim_conn;

/* A client connects to the port the engine listens on. NULL: nobody does. */
struct sim_conn	*sim_client_connect(uint16_t port);

enum sim_server_mode {
	SIM_REFUSE,		/* the default for an address that was never named */
	SIM_ACCEPT,
	SIM_BLACKHOLE,		/* no answer ever */
};

/* What happens to those who connect to this address from now on ("10.0.0.1:80"). */
void		sim_server(const char *addr, enum sim_server_mode mode);

/* The oldest connection of the engine to addr that was not taken yet, or NULL. */
struct sim_conn	*sim_server_take(const char *addr);

/* How many connections the engine ever began to addr. */
unsigned	sim_server_count(const char *addr);

/* Bytes to the engine. They arrive as one piece, or as sim_chunk() says. */
void		sim_send(struct sim_conn *c, struct slice bytes);

/* From now on bytes arrive n at a time, each piece with an edge of its own. 0: all at once. */
void		sim_chunk(struct sim_conn *c, size_t n);

/* The engine may write n bytes, then must wait. They are taken over when all is idle, which
   makes room again, unless held. 0: no limit. */
void		sim_window(struct sim_conn *c, size_t n);
void		sim_hold(struct sim_conn *c, bool held);	/* a reader that does not read */
/* n bytes are taken over of one that is held. As with Linux, the engine hears of the room that this
   makes only when a third of the window is free. */
void		sim_take(struct sim_conn *c, size_t n);

/* Of what was sent: bytes that the engine has not read. */
size_t		sim_unread(struct sim_conn *c);

void		sim_close(struct sim_conn *c);	/* FIN, behind the bytes sent */
void		sim_reset(struct sim_conn *c);	/* RST, behind the bytes that have arrived */

/* What the engine wrote and no expectation has consumed. Runs until idle. */
struct slice	sim_received(struct sim_conn *c);

const char	*sim_expect(struct sim_conn *c, struct slice bytes);	/* the next bytes; consumed */
const char	*sim_expect_nothing(struct sim_conn *c);
const char	*sim_expect_open(struct sim_conn *c);
const char	*sim_expect_fin(struct sim_conn *c);	/* all bytes consumed, our side ended */
const char	*sim_expect_closed(struct sim_conn *c);	/* ended by close, not by a reset */
const char	*sim_expect_reset(struct sim_conn *c);

/* ---- names ---- */

/* What resolve_start() answers for a name: "10.0.0.1,::1", or NULL for no such name. Unknown
   names are not found. */
void		sim_name(const char *name, const char *ips, uint32_t ttl_s);
void		sim_name_fails(const char *name, bool timeout);
/* No answer until one of the above is called for it. */
void		sim_name_silent(const char *name);

#endif
