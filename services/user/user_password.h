/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVICES_USER_USER_PASSWORD_H
#define SERVICES_USER_USER_PASSWORD_H

/*
 * Passwords as argon2id hashes (RFC 9106), by libsodium. Each call takes a core for tens of ms:
 * slow pool only.
 */

#include <stdbool.h>

#include "services/user/user_store.h"

/* Before any other call, on one thread. */
bool user_password_init(void);
/* False when out of memory. */
bool user_password_hash(const char *password, char hash_r[USER_HASH_SIZE]);
bool user_password_matches(const char *password, const char *hash);

#endif
