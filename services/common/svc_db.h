/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVICES_COMMON_SVC_DB_H
#define SERVICES_COMMON_SVC_DB_H

/*
 * SQLite as these services use it: one file that several processes open (WAL, busy timeout), one
 * connection for each thread, statements prepared once, a schema that is brought up to date at
 * start.
 *
 * A connection belongs to one thread at a time. Every call may block, for the busy timeout at most.
 */

#include <stdbool.h>
#include <stddef.h>

#include <sqlite3.h>

#define SVC_DB_BUSY_MS 5000 /* how long a connection waits for another's write to end */

struct svc_db;

enum svc_db_result {
	SVC_DB_ROW,      /* a row is there to read */
	SVC_DB_DONE,     /* no (more) row */
	SVC_DB_CONFLICT, /* a UNIQUE or PRIMARY KEY says no */
	SVC_DB_BUSY,     /* another's write did not end within the busy timeout */
	SVC_DB_FAILED,   /* anything else; logged */
	SVC_DB__MAX
};

/*
 * At start, before threads: creates the file if need be, makes it WAL, and runs steps[PRAGMA
 * user_version..count) in one exclusive transaction, so that of several processes that start at
 * once one migrates and the others find it done. False, with the cause logged, when it cannot, or
 * when the file comes from a newer program.
 */
bool svc_db_migrate(const char *path, const char *const *steps, size_t count);

/* Opens a connection and prepares sql[0..count); NULL, with the cause logged, if it cannot. */
struct svc_db *svc_db_open(const char *path, const char *const *sql, size_t count);
void svc_db_close(struct svc_db **db);

/* Statement `i`, reset and without bindings, ready for sqlite3_bind_*. */
sqlite3_stmt *svc_db_stmt(struct svc_db *db, size_t i);
/*
 * Runs a statement one step. After anything but ROW it is reset; what it returned before must have
 * been copied.
 */
enum svc_db_result svc_db_step(struct svc_db *db, sqlite3_stmt *stmt);
/*
 * Ends the reading of a statement before its last row. Open statements hold the database's read
 * snapshot.
 */
void svc_db_reset(sqlite3_stmt *stmt);

/* A write transaction: DONE, BUSY or FAILED. After a failed commit it is rolled back. */
enum svc_db_result svc_db_begin(struct svc_db *db);
enum svc_db_result svc_db_commit(struct svc_db *db);
void svc_db_rollback(struct svc_db *db);

#endif
