/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/* The user service: its routes and their handlers. */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "services/common/svc.h"
#include "services/common/svc_text.h"
#include "services/user/user_input.h"
#include "services/user/user_password.h"
#include "services/user/user_store.h"

static json_t *
user_to_json(const struct user *user)
{
	char created[SVC_TIME_SIZE];
	char updated[SVC_TIME_SIZE];

	svc_time_format(user->created_ms, created);
	svc_time_format(user->updated_ms, updated);
	return (json_pack("{s:s, s:s, s:s, s:I, s:s, s:s}", "id", user->id, "email", user->email,
	    "name", user->name, "version", (json_int_t)user->version, "created_at", created,
	    "updated_at", updated));
}

static void
reply_user(struct svc_req *req, int status, const struct user *user)
{
	svc_reply_json(req, status, user_to_json(user));
	svc_reply_header(req, "ETag", "\"%" PRId64 "\"", user->version);
}

/* Everything but USER_OK. */
static void
reply_failure(struct svc_req *req, enum user_result result)
{
	switch (result) {
	case USER_NOT_FOUND:
		svc_problem(req, 404, "user_not_found", "there is no such user");
		break;
	case USER_EMAIL_TAKEN:
		svc_problem(req, 409, "email_taken", "another user has this e-mail address");
		break;
	case USER_STALE:
		svc_problem(
		    req, 412, "version_mismatch", "the user was changed since; read it again");
		break;
	case USER_BUSY:
		svc_problem(req, 503, "database_busy", "the database is busy; try again");
		svc_reply_header(req, "Retry-After", "1");
		break;
	default:
		svc_problem(req, 500, "internal", "the request could not be answered");
		break;
	}
}

/* The {id} of the path; NULL, with the 404 replied, when it cannot be one of ours. */
static const char *
read_id(struct svc_req *req)
{
	const char *id = svc_req_param(req, "id");

	if (id != NULL && svc_uuid_is_valid(id))
		return (id);
	reply_failure(req, USER_NOT_FOUND);
	return (NULL);
}

/* Hashes the password of `input`, if it has one; false with the reply made. */
static bool
fill_fields(struct svc_req *req, const struct user_input *input, char hash[USER_HASH_SIZE],
    struct user_fields *fields)
{
	fields->magic = USER_FIELDS_MAGIC;
	fields->email = input->email[0] == '\0' ? NULL : input->email;
	fields->name = input->name;
	fields->password_hash = NULL;
	if (input->password == NULL)
		return (true);
	fields->password_hash = hash;
	if (user_password_hash(input->password, hash))
		return (true);
	svc_problem(req, 503, "overloaded", "out of memory");
	svc_reply_header(req, "Retry-After", "1");
	return (false);
}

static void
on_create(struct svc_req *req, void *ctx)
{
	struct user_store *store = ctx;
	struct user_input input;
	struct user_fields fields;
	struct user user;
	char hash[USER_HASH_SIZE];
	enum user_result result;

	if (!user_input_read(req, USER_NEED_ALL, &input) || svc_req_go_slow(req) ||
	    !fill_fields(req, &input, hash, &fields))
		return;
	result = user_store_create(store, &fields, &user);
	if (result != USER_OK) {
		reply_failure(req, result);
		return;
	}
	reply_user(req, 201, &user);
	svc_reply_header(req, "Location", "/v1/users/%s", user.id);
}

static void
on_get(struct svc_req *req, void *ctx)
{
	const char *id = read_id(req);
	const char *known = svc_req_header(req, "If-None-Match");
	struct user user;
	enum user_result result;

	if (id == NULL)
		return;
	result = user_store_get(ctx, id, &user);
	if (result != USER_OK) {
		reply_failure(req, result);
		return;
	}
	reply_user(req, 200, &user);
	if (known != NULL && svc_etag_matches(known, user.version, true))
		svc_reply_empty(req, 304);
}

static void
change(struct svc_req *req, struct user_store *store, enum user_need need)
{
	const char *id = read_id(req);
	struct user_input input;
	struct user_fields fields;
	struct user user;
	char hash[USER_HASH_SIZE];
	enum user_result result;

	if (id == NULL || !user_input_read(req, need, &input))
		return;
	if (input.password != NULL && svc_req_go_slow(req))
		return;
	if (!fill_fields(req, &input, hash, &fields))
		return;
	result = user_store_update(store, id, svc_req_header(req, "If-Match"), &fields, &user);
	if (result == USER_OK)
		reply_user(req, 200, &user);
	else
		reply_failure(req, result);
}

static void
on_replace(struct svc_req *req, void *ctx)
{
	change(req, ctx, USER_NEED_PROFILE);
}

static void
on_change(struct svc_req *req, void *ctx)
{
	change(req, ctx, USER_NEED_NONE);
}

static void
on_delete(struct svc_req *req, void *ctx)
{
	const char *id = read_id(req);
	enum user_result result;

	if (id == NULL)
		return;
	result = user_store_delete(ctx, id, svc_req_header(req, "If-Match"));
	if (result == USER_OK)
		svc_reply_empty(req, 204);
	else
		reply_failure(req, result);
}

static void
reply_page(struct svc_req *req, const struct user *users, size_t count, size_t limit)
{
	json_t *list = json_array();
	/* one more than asked for was read, to know whether there is a next page */
	bool has_more = count > limit;

	for (size_t i = 0; i < count && i < limit; i++)
		json_array_append_new(list, user_to_json(&users[i]));
	svc_reply_json(req, 200,
	    json_pack("{s:o, s:s?}", "users", list, "next_cursor",
		has_more ? users[limit - 1].id : NULL));
}

static void
on_list(struct svc_req *req, void *ctx)
{
	size_t limit;
	size_t count;
	const char *after;
	struct user *users;
	enum user_result result;

	if (!user_input_page(req, &limit, &after))
		return;
	users = calloc(limit + 1, sizeof(*users));
	if (users == NULL)
		return;
	result = user_store_list(ctx, after, limit + 1, users, &count);
	if (result == USER_OK)
		reply_page(req, users, count, limit);
	else
		reply_failure(req, result);
	free(users);
}

/* Says whether a password is the user's. The hash itself never leaves the service. */
static void
on_password_check(struct svc_req *req, void *ctx)
{
	const char *id = read_id(req);
	const json_t *password = json_object_get(svc_req_json(req), "password");
	char hash[USER_HASH_SIZE];
	enum user_result result;

	if (id == NULL)
		return;
	if (!json_is_string(password) || json_string_length(password) > USER_PASSWORD_MAX) {
		svc_field_error(
		    req, "password", "must be a string of at most %d bytes", USER_PASSWORD_MAX);
		svc_reply_errors(req);
		return;
	}
	if (svc_req_go_slow(req))
		return;
	result = user_store_hash(ctx, id, hash);
	if (result != USER_OK) {
		reply_failure(req, result);
		return;
	}
	svc_reply_json(req, 200,
	    json_pack("{s:b}", "match", user_password_matches(json_string_value(password), hash)));
}

static const struct svc_option options[] = {
	{ "database", "FILE", "the SQLite file; made if it is not there; instances may share it",
	    true },
	{ NULL, NULL, NULL, false },
};

static const struct svc_route routes[] = {
	{ "POST", "/v1/users", on_create, SVC_QUICK, true },
	{ "GET", "/v1/users", on_list, SVC_QUICK, false },
	{ "GET", "/v1/users/{id}", on_get, SVC_QUICK, false },
	{ "PUT", "/v1/users/{id}", on_replace, SVC_QUICK, true },
	{ "PATCH", "/v1/users/{id}", on_change, SVC_QUICK, true },
	{ "DELETE", "/v1/users/{id}", on_delete, SVC_QUICK, false },
	{ "POST", "/v1/users/{id}/password-check", on_password_check, SVC_QUICK, true },
	{ NULL, NULL, NULL, SVC_QUICK, false },
};

/* The application's state is the path of its database. */
static bool
start(struct svc *svc, void **app_r)
{
	const char *path = svc_option(svc, "database");

	/* the file holds password hashes: nobody else reads it */
	umask(S_IRWXG | S_IRWXO);
	if (!user_password_init() || !user_store_migrate(path))
		return (false);
	*app_r = strdup(path);
	return (*app_r != NULL);
}

static void *
thread_start(void *app)
{
	return (user_store_open(app));
}

static void
thread_stop(void *ctx)
{
	struct user_store *store = ctx;

	user_store_close(&store);
}

static bool
is_ready(void *ctx)
{
	return (user_store_is_ready(ctx));
}

int
main(int argc, char **argv)
{
	static const struct svc_program program = {
		.magic = SVC_PROGRAM_MAGIC,
		.name = "user",
		.options = options,
		.routes = routes,
		.start = start,
		.thread_start = thread_start,
		.thread_stop = thread_stop,
		.ready = is_ready,
		.stop = free,
	};

	return (svc_main(&program, argc, argv));
}
