/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "services/common/svc_db.h"

#include <assert.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "services/common/svc_log.h"
#include "services/common/svc_trace.h"

#define WAL_RETRY_MS 10

struct svc_db {
	unsigned magic;
#define SVC_DB_MAGIC 0x5eac9a09u
	sqlite3 *handle;
	sqlite3_stmt *begin;
	sqlite3_stmt *commit;
	sqlite3_stmt *rollback;
	size_t count;
	sqlite3_stmt *stmt[];
};

static void
log_failure(sqlite3 *handle, const char *what)
{
	svc_log(SVC_ERROR, "database",
	    json_pack("{s:s, s:s, s:i}", "what", what, "detail",
		handle == NULL ? "out of memory" : sqlite3_errmsg(handle), "code",
		handle == NULL ? SQLITE_NOMEM : sqlite3_extended_errcode(handle)));
}

static sqlite3 *
open_handle(const char *path)
{
	sqlite3 *handle = NULL;
	/* each connection is used by one thread at a time: the library's own lock is not needed */
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;

	if (sqlite3_open_v2(path, &handle, flags, NULL) != SQLITE_OK) {
		log_failure(handle, path);
		sqlite3_close(handle);
		return (NULL);
	}
	sqlite3_extended_result_codes(handle, 1);
	sqlite3_busy_timeout(handle, SVC_DB_BUSY_MS);
	/* FULL: what was answered as done is on the disk, also when the power fails */
	if (sqlite3_exec(handle,
		"PRAGMA foreign_keys = ON; PRAGMA synchronous = FULL; "
		"PRAGMA trusted_schema = OFF",
		NULL, NULL, NULL) != SQLITE_OK) {
		log_failure(handle, "settings");
		sqlite3_close(handle);
		return (NULL);
	}
	return (handle);
}

/*
 * The change to WAL takes an exclusive lock, and SQLite answers "busy" at once where waiting could
 * deadlock: two programs that start on a new file at the same moment. So it is tried again for as
 * long as the busy timeout.
 */
static bool
make_wal(sqlite3 *handle)
{
	uint64_t end = svc_steady_us() + SVC_DB_BUSY_MS * 1000u;
	int rc;

	while ((rc = sqlite3_exec(handle, "PRAGMA journal_mode = WAL", NULL, NULL, NULL)) !=
	    SQLITE_OK) {
		if ((rc & 0xff) != SQLITE_BUSY || svc_steady_us() > end) {
			log_failure(handle, "journal_mode");
			return (false);
		}
		poll(NULL, 0, WAL_RETRY_MS);
	}
	return (true);
}

static bool
read_version(sqlite3 *handle, size_t *version_r)
{
	sqlite3_stmt *stmt = NULL;
	bool is_good = sqlite3_prepare_v2(handle, "PRAGMA user_version", -1, &stmt, NULL) ==
		SQLITE_OK &&
	    sqlite3_step(stmt) == SQLITE_ROW;

	if (is_good)
		*version_r = (size_t)sqlite3_column_int(stmt, 0);
	sqlite3_finalize(stmt);
	return (is_good);
}

static bool
run_steps(sqlite3 *handle, const char *const *steps, size_t count)
{
	char set_version[64];
	size_t version = 0;

	if (!read_version(handle, &version))
		return (false);
	if (version > count) {
		svc_log(SVC_ERROR, "the database was made by a newer program",
		    json_pack(
			"{s:I, s:I}", "version", (json_int_t)version, "known", (json_int_t)count));
		return (false);
	}
	for (size_t i = version; i < count; i++) {
		if (sqlite3_exec(handle, steps[i], NULL, NULL, NULL) != SQLITE_OK)
			return (false);
	}
	snprintf(set_version, sizeof(set_version), "PRAGMA user_version = %zu", count);
	return (
	    version == count || sqlite3_exec(handle, set_version, NULL, NULL, NULL) == SQLITE_OK);
}

bool
svc_db_migrate(const char *path, const char *const *steps, size_t count)
{
	sqlite3 *handle = open_handle(path);
	bool is_good;

	if (handle == NULL)
		return (false);
	is_good = make_wal(handle) &&
	    sqlite3_exec(handle, "BEGIN EXCLUSIVE", NULL, NULL, NULL) == SQLITE_OK &&
	    run_steps(handle, steps, count) &&
	    sqlite3_exec(handle, "COMMIT", NULL, NULL, NULL) == SQLITE_OK;
	if (!is_good)
		log_failure(handle, "migration");
	/* an open transaction is rolled back */
	sqlite3_close(handle);
	return (is_good);
}

static bool
prepare(struct svc_db *db, const char *sql, sqlite3_stmt **stmt_r)
{
	if (sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, stmt_r, NULL) ==
	    SQLITE_OK)
		return (true);
	log_failure(db->handle, sql);
	return (false);
}

struct svc_db *
svc_db_open(const char *path, const char *const *sql, size_t count)
{
	struct svc_db *db = calloc(1, sizeof(*db) + count * sizeof(db->stmt[0]));
	bool is_good;

	if (db == NULL)
		return (NULL);
	db->magic = SVC_DB_MAGIC;
	db->count = count;
	db->handle = open_handle(path);
	is_good = db->handle != NULL && prepare(db, "BEGIN IMMEDIATE", &db->begin) &&
	    prepare(db, "COMMIT", &db->commit) && prepare(db, "ROLLBACK", &db->rollback);
	for (size_t i = 0; is_good && i < count; i++)
		is_good = prepare(db, sql[i], &db->stmt[i]);
	if (!is_good)
		svc_db_close(&db);
	return (db);
}

void
svc_db_close(struct svc_db **db)
{
	struct svc_db *d = *db;

	*db = NULL;
	if (d == NULL)
		return;
	assert(d->magic == SVC_DB_MAGIC);
	sqlite3_finalize(d->begin);
	sqlite3_finalize(d->commit);
	sqlite3_finalize(d->rollback);
	for (size_t i = 0; i < d->count; i++)
		sqlite3_finalize(d->stmt[i]);
	sqlite3_close(d->handle);
	free(d);
}

sqlite3_stmt *
svc_db_stmt(struct svc_db *db, size_t i)
{
	assert(db->magic == SVC_DB_MAGIC && i < db->count);
	sqlite3_reset(db->stmt[i]);
	sqlite3_clear_bindings(db->stmt[i]);
	return (db->stmt[i]);
}

enum svc_db_result
svc_db_step(struct svc_db *db, sqlite3_stmt *stmt)
{
	enum svc_db_result result = SVC_DB_FAILED;
	int rc = sqlite3_step(stmt);

	if (rc == SQLITE_ROW)
		return (SVC_DB_ROW);
	if (rc == SQLITE_DONE)
		result = SVC_DB_DONE;
	else if (rc == SQLITE_CONSTRAINT_UNIQUE || rc == SQLITE_CONSTRAINT_PRIMARYKEY)
		result = SVC_DB_CONFLICT;
	else if ((rc & 0xff) == SQLITE_BUSY)
		result = SVC_DB_BUSY;
	else
		log_failure(db->handle, sqlite3_sql(stmt));
	sqlite3_reset(stmt);
	return (result);
}

void
svc_db_reset(sqlite3_stmt *stmt)
{
	sqlite3_reset(stmt);
}

enum svc_db_result
svc_db_begin(struct svc_db *db)
{
	return (svc_db_step(db, db->begin));
}

enum svc_db_result
svc_db_commit(struct svc_db *db)
{
	enum svc_db_result result = svc_db_step(db, db->commit);

	if (result != SVC_DB_DONE)
		svc_db_rollback(db);
	return (result);
}

void
svc_db_rollback(struct svc_db *db)
{
	/* some failures have rolled back already */
	if (sqlite3_get_autocommit(db->handle) == 0)
		svc_db_step(db, db->rollback);
}
