#include "core/error.h"

#include "core/buf.h"

static const struct row {
	const char    *code;
	enum bg_oauth  oauth;
	int            status;
	const char    *text;
} rows[BG_R_COUNT] = {
#define BG_REASON(name, code, oauth, status, text)	[BG_R_##name] = { #code, BG_OAUTH_##oauth, status, text },
#include "core/reasons.def"
#undef BG_REASON
};

static const struct row *
row_of(enum bg_reason reason)
{
	return (unsigned)reason < BG_R_COUNT ? &rows[reason] : &rows[BG_R_INTERNAL];
}

int
bg_fail(struct bg_error *err, enum bg_reason reason, const char *fmt, ...)
{
	va_list ap;

	if (err != NULL && err->reason == BG_R_OK) {
		err->reason = reason;
		va_start(ap, fmt);
		bg_vformat(err->detail, sizeof(err->detail), fmt, ap);
		va_end(ap);
	}
	return -1;
}

void
bg_error_clear(struct bg_error *err)
{
	err->reason = BG_R_OK;
	err->detail[0] = '\0';
}

const char *
bg_reason_name(enum bg_reason reason)
{
	return row_of(reason)->code;
}

enum bg_oauth
bg_reason_oauth(enum bg_reason reason)
{
	return row_of(reason)->oauth;
}

int
bg_reason_status(enum bg_reason reason)
{
	return row_of(reason)->status;
}

const char *
bg_reason_text(enum bg_reason reason)
{
	return row_of(reason)->text;
}
