/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "services/user/user_store.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "services/common/svc_db.h"
#include "services/common/svc_text.h"

struct user_store {
	unsigned magic;
#define USER_STORE_MAGIC 0x5eac9b03u
	struct svc_db *db;
};

/*
 * Each step is run once on a database, in order; a released step is never changed, only followed.
 */
static const char *const migrations[] = {
	"CREATE TABLE users ("
	" id TEXT PRIMARY KEY NOT NULL,"
	" email TEXT NOT NULL UNIQUE,"
	" name TEXT NOT NULL,"
	" password_hash TEXT NOT NULL,"
	" version INTEGER NOT NULL,"
	" created_ms INTEGER NOT NULL,"
	" updated_ms INTEGER NOT NULL"
	") STRICT, WITHOUT ROWID",
};

enum statement {
	INSERT,
	SELECT,
	SELECT_PAGE,
	SELECT_HASH,
	UPDATE,
	DELETE,
	PROBE,
	STATEMENT__MAX
};

#define COLUMNS "id, email, name, version, created_ms, updated_ms"

static const char *const statements[STATEMENT__MAX] = {
	[INSERT] = "INSERT INTO users (" COLUMNS
		   ", password_hash) VALUES (?1, ?2, ?3, 1, ?4, ?4, ?5)",
	[SELECT] = "SELECT " COLUMNS " FROM users WHERE id = ?1",
	[SELECT_PAGE] = "SELECT " COLUMNS " FROM users WHERE id > ?1 ORDER BY id LIMIT ?2",
	[SELECT_HASH] = "SELECT password_hash FROM users WHERE id = ?1",
	[UPDATE] = ("UPDATE users SET email = ?2, name = ?3, version = ?5, updated_ms = ?6,"
		    " password_hash = coalesce(?4, password_hash) WHERE id = ?1"),
	[DELETE] = "DELETE FROM users WHERE id = ?1",
	[PROBE] = "SELECT 1 FROM users LIMIT 1",
};

bool
user_store_migrate(const char *path)
{
	return (svc_db_migrate(path, migrations, sizeof(migrations) / sizeof(migrations[0])));
}

struct user_store *
user_store_open(const char *path)
{
	struct user_store *store = calloc(1, sizeof(*store));

	if (store == NULL)
		return (NULL);
	store->magic = USER_STORE_MAGIC;
	store->db = svc_db_open(path, statements, STATEMENT__MAX);
	if (store->db == NULL)
		user_store_close(&store);
	return (store);
}

void
user_store_close(struct user_store **store)
{
	struct user_store *s = *store;

	*store = NULL;
	if (s == NULL)
		return;
	svc_db_close(&s->db);
	free(s);
}

static enum user_result
result_of(enum svc_db_result result)
{
	switch (result) {
	case SVC_DB_ROW:
		return (USER_OK);
	case SVC_DB_DONE:
		return (USER_NOT_FOUND);
	case SVC_DB_CONFLICT:
		return (USER_EMAIL_TAKEN);
	case SVC_DB_BUSY:
		return (USER_BUSY);
	default:
		return (USER_FAILED);
	}
}

static void
copy_text(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from == NULL ? "" : from);
}

static void
bind_text(sqlite3_stmt *stmt, int i, const char *text)
{
	/*
	 * the text outlives the step; without memory the column is NULL, which the schema refuses
	 */
	if (text != NULL)
		sqlite3_bind_text(stmt, i, text, -1, SQLITE_STATIC);
}

static void
read_user(sqlite3_stmt *stmt, struct user *user)
{
	user->magic = USER_MAGIC;
	copy_text(user->id, sizeof(user->id), (const char *)sqlite3_column_text(stmt, 0));
	copy_text(user->email, sizeof(user->email), (const char *)sqlite3_column_text(stmt, 1));
	copy_text(user->name, sizeof(user->name), (const char *)sqlite3_column_text(stmt, 2));
	user->version = sqlite3_column_int64(stmt, 3);
	user->created_ms = sqlite3_column_int64(stmt, 4);
	user->updated_ms = sqlite3_column_int64(stmt, 5);
}

bool
user_store_is_ready(struct user_store *store)
{
	sqlite3_stmt *stmt = svc_db_stmt(store->db, PROBE);
	enum svc_db_result result = svc_db_step(store->db, stmt);

	svc_db_reset(stmt);
	return (result == SVC_DB_ROW || result == SVC_DB_DONE);
}

enum user_result
user_store_create(struct user_store *store, const struct user_fields *fields, struct user *user_r)
{
	sqlite3_stmt *stmt = svc_db_stmt(store->db, INSERT);
	enum svc_db_result result;

	assert(store->magic == USER_STORE_MAGIC && fields->magic == USER_FIELDS_MAGIC);
	memset(user_r, 0, sizeof(*user_r));
	user_r->magic = USER_MAGIC;
	svc_uuid_new(user_r->id);
	copy_text(user_r->email, sizeof(user_r->email), fields->email);
	copy_text(user_r->name, sizeof(user_r->name), fields->name);
	user_r->version = 1;
	user_r->created_ms = svc_now_ms();
	user_r->updated_ms = user_r->created_ms;
	bind_text(stmt, 1, user_r->id);
	bind_text(stmt, 2, user_r->email);
	bind_text(stmt, 3, user_r->name);
	sqlite3_bind_int64(stmt, 4, user_r->created_ms);
	bind_text(stmt, 5, fields->password_hash);
	result = svc_db_step(store->db, stmt);
	return (result == SVC_DB_DONE ? USER_OK : result_of(result));
}

enum user_result
user_store_get(struct user_store *store, const char *id, struct user *user_r)
{
	sqlite3_stmt *stmt = svc_db_stmt(store->db, SELECT);
	enum svc_db_result result;

	bind_text(stmt, 1, id);
	result = svc_db_step(store->db, stmt);
	if (result == SVC_DB_ROW)
		read_user(stmt, user_r);
	svc_db_reset(stmt);
	return (result_of(result));
}

enum user_result
user_store_hash(struct user_store *store, const char *id, char hash_r[USER_HASH_SIZE])
{
	sqlite3_stmt *stmt = svc_db_stmt(store->db, SELECT_HASH);
	enum svc_db_result result;

	bind_text(stmt, 1, id);
	result = svc_db_step(store->db, stmt);
	if (result == SVC_DB_ROW)
		copy_text(hash_r, USER_HASH_SIZE, (const char *)sqlite3_column_text(stmt, 0));
	svc_db_reset(stmt);
	return (result_of(result));
}

enum user_result
user_store_list(struct user_store *store, const char *after, size_t limit, struct user *users_r,
    size_t *count_r)
{
	sqlite3_stmt *stmt = svc_db_stmt(store->db, SELECT_PAGE);
	enum svc_db_result result;

	*count_r = 0;
	bind_text(stmt, 1, after);
	sqlite3_bind_int64(stmt, 2, (sqlite3_int64)limit);
	while ((result = svc_db_step(store->db, stmt)) == SVC_DB_ROW && *count_r < limit)
		read_user(stmt, &users_r[(*count_r)++]);
	svc_db_reset(stmt);
	return (result == SVC_DB_DONE ? USER_OK : result_of(result));
}

static bool
takes_change(struct user *user, const struct user_fields *fields)
{
	bool is_changed = fields->password_hash != NULL;

	if (fields->email != NULL && strcmp(fields->email, user->email) != 0) {
		copy_text(user->email, sizeof(user->email), fields->email);
		is_changed = true;
	}
	if (fields->name != NULL && strcmp(fields->name, user->name) != 0) {
		copy_text(user->name, sizeof(user->name), fields->name);
		is_changed = true;
	}
	return (is_changed);
}

static enum user_result
write_user(struct user_store *store, struct user *user, const char *password_hash)
{
	sqlite3_stmt *stmt = svc_db_stmt(store->db, UPDATE);
	int64_t now = svc_now_ms();
	enum svc_db_result result;

	user->version++;
	/* the clock may step back; the order of changes must not */
	user->updated_ms = now > user->updated_ms ? now : user->updated_ms;
	bind_text(stmt, 1, user->id);
	bind_text(stmt, 2, user->email);
	bind_text(stmt, 3, user->name);
	bind_text(stmt, 4, password_hash);
	sqlite3_bind_int64(stmt, 5, user->version);
	sqlite3_bind_int64(stmt, 6, user->updated_ms);
	result = svc_db_step(store->db, stmt);
	return (result == SVC_DB_DONE ? USER_OK : result_of(result));
}

/*
 * Begins the write transaction in which the user is read and its precondition holds; it is open
 * only on OK.
 */
static enum user_result
begin_change(struct user_store *store, const char *id, const char *if_match, struct user *user_r)
{
	enum svc_db_result begun = svc_db_begin(store->db);
	enum user_result result;

	if (begun != SVC_DB_DONE)
		return (result_of(begun));
	result = user_store_get(store, id, user_r);
	if (result == USER_OK && if_match != NULL &&
	    !svc_etag_matches(if_match, user_r->version, false))
		result = USER_STALE;
	if (result != USER_OK)
		svc_db_rollback(store->db);
	return (result);
}

static enum user_result
end_change(struct user_store *store, enum user_result result)
{
	enum svc_db_result ended;

	if (result != USER_OK) {
		svc_db_rollback(store->db);
		return (result);
	}
	ended = svc_db_commit(store->db);
	return (ended == SVC_DB_DONE ? USER_OK : result_of(ended));
}

enum user_result
user_store_update(struct user_store *store, const char *id, const char *if_match,
    const struct user_fields *fields, struct user *user_r)
{
	enum user_result result = begin_change(store, id, if_match, user_r);

	assert(store->magic == USER_STORE_MAGIC && fields->magic == USER_FIELDS_MAGIC);
	if (result != USER_OK)
		return (result);
	if (takes_change(user_r, fields))
		result = write_user(store, user_r, fields->password_hash);
	return (end_change(store, result));
}

enum user_result
user_store_delete(struct user_store *store, const char *id, const char *if_match)
{
	struct user user;
	enum user_result result = begin_change(store, id, if_match, &user);
	sqlite3_stmt *stmt;
	enum svc_db_result deleted;

	if (result != USER_OK)
		return (result);
	stmt = svc_db_stmt(store->db, DELETE);
	bind_text(stmt, 1, id);
	deleted = svc_db_step(store->db, stmt);
	return (end_change(store, deleted == SVC_DB_DONE ? USER_OK : result_of(deleted)));
}
