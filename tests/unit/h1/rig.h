/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A codec with an owner that writes down what it is told, for tests and fuzz targets. Bytes go in
 * as a connection would feed them, in pieces of any size; events come out as text.
 */
#ifndef WEIR_TESTS_H1_RIG_H
#define WEIR_TESTS_H1_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/h1/h1.h"
#include "engine/mem/arena.h"
#include "engine/mem/page.h"

enum rig_event { RIG_NONE, RIG_INFO, RIG_HEAD, RIG_BODY, RIG_END, RIG_ERROR, RIG_SENT };

struct rig {
	unsigned magic;
#define RIG_MAGIC 0x7e57a1b2
	struct h1 h1;
	struct codec_limits limits;
	struct page_pool *pages;	/* one for all rigs; empty again when the last one goes */
	struct arena arena;
	struct page *pins[64];		/* heads that the exchange holds on to */
	unsigned n_pins;
	union {
		struct msg m;
		struct msg_req req;
		struct msg_resp resp;
	} msg;
	struct pipe body;		/* of what we send */
	char *log;			/* on the heap */
	size_t log_len, log_cap;
	char *in_body;			/* body bytes since the head, on the heap */
	size_t in_len, in_cap;
	char *out;			/* all bytes gathered and written, on the heap */
	size_t out_len, out_cap;
	unsigned n_heads, n_ends, n_errors, n_sent, n_body, n_infos;
	enum reason reason;
	bool pause;			/* on_body asks for a pause */
	bool answer;			/* server: answer each request at its end, with "ok" */
	bool no_memory;			/* on_begin returns NULL */
	enum rig_event fini_in;		/* the codec is ended in the first event of this kind */
	unsigned n_after;		/* events after that */
	bool quiet;			/* no log */
	struct page *page;		/* of the connection */
	uint32_t start, end;
	enum codec_rc rc;		/* of the last feed */
};

struct rig *rig_new(enum codec_role);
void rig_free(struct rig *);
/* Feeds n bytes in pieces of at most `piece` bytes (0: whole). Returns the last result. */
enum codec_rc rig_feed(struct rig *, const char *p, size_t n, size_t piece);
/* Two pieces, cut at `at`. */
enum codec_rc rig_feed_cut(struct rig *, const char *p, size_t n, size_t at);
enum codec_rc rig_eof(struct rig *);
/* Writes what there is, at most `step` bytes a write (0: all). Returns how many pieces came first. */
unsigned rig_write(struct rig *, size_t step);
/* Puts bytes into the pipe of what we send; static bytes, no page. */
void rig_put(struct rig *, const char *bytes);
/* Sends a request or response that has these words; body by content_length and `body`. */
bool rig_send_get(struct rig *, const char *path);
bool rig_send_method(struct rig *, enum http_method, const char *path);
bool rig_send_status(struct rig *, unsigned status, enum msg_body, int64_t length);
/* What has been written since the last call, as a C string. */
const char *rig_out(struct rig *);
const char *rig_log(struct rig *);

#endif
