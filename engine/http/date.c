/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/http/date.h"

static const char date_days[7][10] = {
	"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"
};

static const char date_months[12][4] = {
	"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"
};

enum { DAY_S = 86400 };

/* 9999-12-31T23:59:59Z: what the format can hold. */
#define DATE_LAST_S	253402300799u

struct date {
	unsigned year;
	unsigned month;		/* 1 to 12 */
	unsigned day;		/* 1 to 31 */
	unsigned weekday;	/* 0: Sunday */
	unsigned hour;
	unsigned min;
	unsigned sec;		/* 60 is a leap second */
};

/*
 * Days since 1970-01-01 of a date in the proleptic Gregorian calendar. The year begins in March,
 * so that the leap day is the last one: 153 days in each five months from then on.
 */
static uint64_t
days_of(unsigned year, unsigned month, unsigned day)
{
	uint64_t y = month <= 2 ? year - 1u : year;
	uint64_t m = month <= 2 ? month + 9u : month - 3u;

	/* 719468 days lie between 0000-03-01 and 1970-01-01. */
	return (y * 365 + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468);
}

static void
date_of(uint64_t unix_s, struct date *d)
{
	uint64_t days = unix_s / DAY_S + 719468;
	uint64_t era = days / 146097, of_era = days % 146097;
	uint64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	uint64_t of_year = of_era - (365 * year + year / 4 - year / 100);
	uint64_t m = (5 * of_year + 2) / 153;
	unsigned s = (unsigned)(unix_s % DAY_S);

	d->day = (unsigned)(of_year - (153 * m + 2) / 5 + 1);
	d->month = (unsigned)(m < 10 ? m + 3 : m - 9);
	d->year = (unsigned)(era * 400 + year + (d->month <= 2));
	d->weekday = (unsigned)((unix_s / DAY_S + 4) % 7);
	d->hour = s / 3600;
	d->min = s / 60 % 60;
	d->sec = s % 60;
}

static char *
put2(char *p, unsigned v)
{
	*p++ = (char)('0' + v / 10 % 10);
	*p++ = (char)('0' + v % 10);
	return (p);
}

static char *
put3(char *p, const char *text)
{
	memcpy(p, text, 3);
	return (p + 3);
}

void
date_format(uint64_t unix_s, char out[DATE_BYTES])
{
	struct date d;
	char *p = out;

	date_of(unix_s > DATE_LAST_S ? DATE_LAST_S : unix_s, &d);
	p = put3(p, date_days[d.weekday]);
	*p++ = ',';
	*p++ = ' ';
	p = put2(p, d.day);
	*p++ = ' ';
	p = put3(p, date_months[d.month - 1]);
	*p++ = ' ';
	p = put2(p, d.year / 100);
	p = put2(p, d.year % 100);
	*p++ = ' ';
	p = put2(p, d.hour);
	*p++ = ':';
	p = put2(p, d.min);
	*p++ = ':';
	p = put2(p, d.sec);
	memcpy(p, " GMT", 4);
}

struct slice
date_make_(struct date_cache *c, uint64_t wall_us)
{
	char *text;

	c->which ^= 1;
	text = c->text[c->which];
	memcpy(text, "Date: ", 6);
	date_format(wall_us / 1000000, text + 6);
	memcpy(text + 6 + DATE_BYTES, "\r\n", 2);
	c->end_us = wall_us - wall_us % 1000000 + 1000000;
	return (slice_of(text, DATE_FIELD_BYTES));
}

/* Exactly n digits off the front. */
static bool
take_number(struct slice *s, size_t n, unsigned *r)
{
	unsigned v = 0;

	if (s->len < n)
		return (false);
	for (size_t i = 0; i < n; i++) {
		if (s->p[i] < '0' || s->p[i] > '9')
			return (false);
		v = v * 10 + (unsigned)(s->p[i] - '0');
	}
	*s = slice_skip(*s, n);
	*r = v;
	return (true);
}

/* The dates are case-sensitive (RFC 9110, 5.6.7). */
static bool
take_text(struct slice *s, struct slice text)
{
	if (!slice_has_prefix(*s, text))
		return (false);
	*s = slice_skip(*s, text.len);
	return (true);
}

static bool
take_month(struct slice *s, unsigned *month_r)
{
	for (unsigned i = 0; i < 12; i++) {
		if (take_text(s, slice_of(date_months[i], 3))) {
			*month_r = i + 1;
			return (true);
		}
	}
	return (false);
}

static bool
take_weekday(struct slice *s, bool is_long)
{
	for (unsigned i = 0; i < 7; i++) {
		size_t n = is_long ? strlen(date_days[i]) : 3;

		if (take_text(s, slice_of(date_days[i], n)))
			return (true);
	}
	return (false);
}

static bool
take_time(struct slice *s, struct date *d)
{
	return (take_number(s, 2, &d->hour) && take_text(s, SLICE(":")) &&
	    take_number(s, 2, &d->min) && take_text(s, SLICE(":")) &&
	    take_number(s, 2, &d->sec));
}

/* Sun, 06 Nov 1994 08:49:37 GMT */
static bool
take_fixdate(struct slice s, struct date *d)
{
	return (take_weekday(&s, false) && take_text(&s, SLICE(", ")) &&
	    take_number(&s, 2, &d->day) && take_text(&s, SLICE(" ")) &&
	    take_month(&s, &d->month) && take_text(&s, SLICE(" ")) &&
	    take_number(&s, 4, &d->year) && take_text(&s, SLICE(" ")) &&
	    take_time(&s, d) && slice_eq(s, SLICE(" GMT")));
}

/* Sunday, 06-Nov-94 08:49:37 GMT */
static bool
take_rfc850(struct slice s, uint64_t now_s, struct date *d)
{
	struct date now;

	if (!take_weekday(&s, true) || !take_text(&s, SLICE(", ")) ||
	    !take_number(&s, 2, &d->day) || !take_text(&s, SLICE("-")) ||
	    !take_month(&s, &d->month) || !take_text(&s, SLICE("-")) ||
	    !take_number(&s, 2, &d->year) || !take_text(&s, SLICE(" ")) ||
	    !take_time(&s, d) || !slice_eq(s, SLICE(" GMT")))
		return (false);
	date_of(now_s, &now);
	d->year += now.year - now.year % 100;
	if (d->year > now.year + 50)
		d->year -= 100;
	else if (d->year + 50 <= now.year)
		d->year += 100;
	return (true);
}

/* Sun Nov  6 08:49:37 1994 */
static bool
take_asctime(struct slice s, struct date *d)
{
	if (!take_weekday(&s, false) || !take_text(&s, SLICE(" ")) ||
	    !take_month(&s, &d->month) || !take_text(&s, SLICE(" ")))
		return (false);
	if (take_text(&s, SLICE(" ")) ? !take_number(&s, 1, &d->day) :
	    !take_number(&s, 2, &d->day))
		return (false);
	return (take_text(&s, SLICE(" ")) && take_time(&s, d) && take_text(&s, SLICE(" ")) &&
	    take_number(&s, 4, &d->year) && s.len == 0);
}

static bool
is_real(const struct date *d)
{
	static const uint8_t days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = d->year % 4 == 0 && (d->year % 100 != 0 || d->year % 400 == 0);

	return (d->year >= 1970 && d->day >= 1 &&
	    d->day <= days[d->month - 1] + (unsigned)(d->month == 2 && leap) &&
	    d->hour <= 23 && d->min <= 59 && d->sec <= 60);
}

bool
date_parse(struct slice s, uint64_t now_s, uint64_t *unix_s_r)
{
	struct date d = {0};

	if (!take_fixdate(s, &d) && !take_rfc850(s, now_s, &d) && !take_asctime(s, &d))
		return (false);
	if (!is_real(&d))
		return (false);
	*unix_s_r = days_of(d.year, d.month, d.day) * DAY_S + d.hour * 3600u + d.min * 60u + d.sec;
	return (true);
}
