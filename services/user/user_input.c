/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "services/user/user_input.h"

#include <string.h>

#include "services/common/svc_text.h"

#define LOCAL_MAX 64 /* bytes: RFC 5321 section 4.5.3.1.1 */
#define LABEL_MAX 63 /* bytes: RFC 1035 section 2.3.4 */

#define ALNUM     "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
#define ATEXT     ALNUM "!#$%&'*+-/=?^_`{|}~" /* RFC 5322 section 3.2.3 */

/* Non-empty runs of `allowed`, one dot between each, up to `end`. */
static bool
is_dotted(const char *s, const char *end, const char *allowed, size_t run_max, unsigned *runs_r)
{
	*runs_r = 0;
	for (;;) {
		size_t len = strspn(s, allowed);

		if (len == 0 || len > run_max)
			return (false);
		++*runs_r;
		s += len;
		if (s >= end)
			return (s == end);
		if (*s++ != '.')
			return (false);
	}
}

bool
user_email_is_valid(const char *email)
{
	const char *at = strchr(email, '@');
	size_t len = strlen(email);
	unsigned runs;

	if (at == NULL || len > USER_EMAIL_MAX || at - email > LOCAL_MAX)
		return (false);
	if (!is_dotted(email, at, ATEXT, LOCAL_MAX, &runs))
		return (false);
	if (!is_dotted(at + 1, email + len, ALNUM "-", LABEL_MAX, &runs) || runs < 2)
		return (false);
	/* no label begins or ends with a dash */
	return (at[1] != '-' && email[len - 1] != '-' && strstr(at, "-.") == NULL &&
	    strstr(at, ".-") == NULL);
}

static void
read_email(struct svc_req *req, const char *value, struct user_input *input)
{
	size_t i;

	if (!user_email_is_valid(value)) {
		svc_field_error(req, "email",
		    "must be an e-mail address in ASCII of at most %d bytes", USER_EMAIL_MAX);
		return;
	}
	for (i = 0; value[i] != '\0'; i++) {
		bool is_upper = value[i] >= 'A' && value[i] <= 'Z';

		input->email[i] = (char)(is_upper ? value[i] + ('a' - 'A') : value[i]);
	}
	input->email[i] = '\0';
}

static void
read_name(struct svc_req *req, const char *value, struct user_input *input)
{
	size_t chars;

	if (!svc_text_length(value, &chars) || svc_text_has_control(value))
		svc_field_error(req, "name", "must be UTF-8 without control characters");
	else if (chars > USER_NAME_CHARS_MAX || svc_text_is_blank(value))
		svc_field_error(req, "name", "must have 1 to %d characters and not be blank",
		    USER_NAME_CHARS_MAX);
	else
		input->name = value;
}

static void
read_password(struct svc_req *req, const char *value, struct user_input *input)
{
	size_t len = strlen(value);

	if (len < USER_PASSWORD_MIN || len > USER_PASSWORD_MAX)
		svc_field_error(req, "password", "must have %d to %d bytes", USER_PASSWORD_MIN,
		    USER_PASSWORD_MAX);
	else
		input->password = value;
}

static const struct {
	const char *name;
	void (*read)(struct svc_req *req, const char *value, struct user_input *input);
	enum user_need needed_up_to; /* the field is required for needs up to this one */
} fields[] = {
	{ "email", read_email, USER_NEED_PROFILE },
	{ "name", read_name, USER_NEED_PROFILE },
	{ "password", read_password, USER_NEED_ALL },
};

#define FIELDS (sizeof(fields) / sizeof(fields[0]))

static void
read_field(struct svc_req *req, const char *key, const json_t *value, struct user_input *input)
{
	for (size_t i = 0; i < FIELDS; i++) {
		if (strcmp(key, fields[i].name) != 0)
			continue;
		if (json_is_string(value))
			fields[i].read(req, json_string_value(value), input);
		else
			svc_field_error(req, key, "must be a string");
		return;
	}
	svc_field_error(req, key, "is not a field of a user");
}

bool
user_input_read(struct svc_req *req, enum user_need need, struct user_input *input_r)
{
	/* jansson's iteration takes a non-const object, and changes nothing */
	json_t *body = (json_t *)(uintptr_t)svc_req_json(req);
	const char *key;
	json_t *value;

	memset(input_r, 0, sizeof(*input_r));
	input_r->magic = USER_INPUT_MAGIC;
	json_object_foreach(body, key, value) read_field(req, key, value, input_r);
	for (size_t i = 0; i < FIELDS; i++) {
		if (need <= fields[i].needed_up_to && json_object_get(body, fields[i].name) == NULL)
			svc_field_error(req, fields[i].name, "is required");
	}
	return (!svc_reply_errors(req));
}

bool
user_input_page(struct svc_req *req, size_t *limit_r, const char **after_r)
{
	const char *limit = svc_req_query(req, "limit");
	const char *cursor = svc_req_query(req, "cursor");
	uint64_t number = USER_PAGE_DEFAULT;

	if (limit != NULL && !svc_text_number(limit, 1, USER_PAGE_MAX, &number))
		svc_field_error(req, "limit", "must be a number from 1 to %d", USER_PAGE_MAX);
	if (cursor != NULL && !svc_uuid_is_valid(cursor))
		svc_field_error(req, "cursor", "must be the next_cursor of an earlier page");
	*limit_r = (size_t)number;
	*after_r = cursor == NULL ? "" : cursor;
	return (!svc_reply_errors(req));
}
