/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVICES_USER_USER_INPUT_H
#define SERVICES_USER_USER_INPUT_H

/* What clients send, checked. Pure but for the faults that are noted on the request. */

#include <stdbool.h>

#include "services/common/svc.h"
#include "services/user/user_store.h"

#define USER_PASSWORD_MIN 8 /* bytes */
#define USER_PASSWORD_MAX 128
#define USER_PAGE_MAX     100
#define USER_PAGE_DEFAULT 20

struct user_input {
	unsigned magic;
#define USER_INPUT_MAGIC 0x5eac9b04u
	const char *name; /* borrowed from the request's body; NULL: not given */
	const char *password;
	char email[USER_EMAIL_MAX + 1]; /* folded to lower case; "" : not given */
};

enum user_need {
	USER_NEED_ALL,     /* create: every field */
	USER_NEED_PROFILE, /* replace: name and e-mail; the password stays when it is not given */
	USER_NEED_NONE     /* change: what is there */
};

/*
 * Reads the body. False, with a 400 that lists every fault replied, if anything in it cannot be
 * taken.
 */
bool user_input_read(struct svc_req *req, enum user_need need, struct user_input *input_r);

/* Reads ?limit and ?cursor. False with the 400 replied. */
bool user_input_page(struct svc_req *req, size_t *limit_r, const char **after_r);

/*
 * An e-mail address that we take: ASCII, a local part of dot-separated atoms, a domain with at
 * least one dot.
 */
bool user_email_is_valid(const char *email);

#endif
