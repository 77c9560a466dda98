/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVICES_USER_USER_STORE_H
#define SERVICES_USER_USER_STORE_H

/*
 * Users in SQLite. A store is one connection and belongs to one thread; every call may block
 * (svc_db.h).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "services/common/svc_trace.h"

#define USER_EMAIL_MAX      254 /* bytes: RFC 5321 section 4.5.3.1.3, less the angle brackets */
#define USER_NAME_CHARS_MAX 100 /* code points */
#define USER_NAME_MAX       (USER_NAME_CHARS_MAX * 4)
#define USER_HASH_SIZE      128 /* with its end; libsodium's crypto_pwhash_STRBYTES */

struct user_store;

struct user {
	unsigned magic;
#define USER_MAGIC 0x5eac9b01u
	int64_t version;    /* 1 when new; one more with each change */
	int64_t created_ms; /* wall clock, since 1970 */
	int64_t updated_ms;
	char id[SVC_UUID_SIZE];
	char email[USER_EMAIL_MAX + 1]; /* lower case */
	char name[USER_NAME_MAX + 1];
};

/* What a request sets; NULL leaves a value as it is. */
struct user_fields {
	unsigned magic;
#define USER_FIELDS_MAGIC 0x5eac9b02u
	const char *email;
	const char *name;
	const char *password_hash;
};

enum user_result {
	USER_OK,
	USER_NOT_FOUND,
	USER_EMAIL_TAKEN,
	USER_STALE,  /* the precondition does not hold */
	USER_BUSY,   /* the database is locked by another for too long */
	USER_FAILED, /* logged */
	USER__MAX
};

/* Once at start: makes the file or brings it up to date; false with the cause logged. */
bool user_store_migrate(const char *path);
struct user_store *user_store_open(const char *path);
void user_store_close(struct user_store **store);
/* Can it be read? */
bool user_store_is_ready(struct user_store *store);

/* All three fields are set. On OK the new user is in *user_r. */
enum user_result user_store_create(
    struct user_store *store, const struct user_fields *fields, struct user *user_r);
enum user_result user_store_get(struct user_store *store, const char *id, struct user *user_r);
/*
 * `if_match` is the request's field or NULL; on OK the changed user is in *user_r. No change, no
 * new version.
 */
enum user_result user_store_update(struct user_store *store, const char *id, const char *if_match,
    const struct user_fields *fields, struct user *user_r);
enum user_result user_store_delete(struct user_store *store, const char *id, const char *if_match);
/*
 * The first `limit` users with an id above `after` ("" for the start), by id: users_r has room for
 * them.
 */
enum user_result user_store_list(struct user_store *store, const char *after, size_t limit,
    struct user *users_r, size_t *count_r);
enum user_result user_store_hash(
    struct user_store *store, const char *id, char hash_r[USER_HASH_SIZE]);

#endif
