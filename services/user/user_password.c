/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "services/user/user_password.h"

#include <string.h>

#include <sodium.h>

/* OWASP's Password Storage Cheat Sheet: argon2id with 19 MiB, two passes, one lane. */
#define PASSWORD_OPSLIMIT 2u
#define PASSWORD_MEMLIMIT (19u * 1024u * 1024u)

_Static_assert(USER_HASH_SIZE == crypto_pwhash_STRBYTES, "a hash must fit");

bool
user_password_init(void)
{
	return (sodium_init() >= 0);
}

bool
user_password_hash(const char *password, char hash_r[USER_HASH_SIZE])
{
	return (crypto_pwhash_str_alg(hash_r, password, strlen(password), PASSWORD_OPSLIMIT,
		    PASSWORD_MEMLIMIT, crypto_pwhash_ALG_ARGON2ID13) == 0);
}

bool
user_password_matches(const char *password, const char *hash)
{
	return (crypto_pwhash_str_verify(hash, password, strlen(password)) == 0);
}
