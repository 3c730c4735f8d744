#define PCRE2_CODE_UNIT_WIDTH 8
#include "core/regex.h"

#include <stdlib.h>

#include <pcre2.h>

#include "core/log.h"

/* Far more than a sensible pattern needs for a claim, and over in milliseconds. */
#define MATCH_LIMIT	100000
#define DEPTH_LIMIT	100000	/* a repeated group takes one for each turn, and claims have thousands of characters */
#define HEAP_LIMIT	16384	/* KiB */

struct bg_regex {
	pcre2_code          *code;
	pcre2_match_context *limits;
};

int
bg_regex_new(struct bg_regex **out, struct bg_slice pattern, struct bg_error *err)
{
	struct bg_regex *regex = calloc(1, sizeof(*regex));
	PCRE2_UCHAR text[128];
	PCRE2_SIZE offset;
	int code;

	*out = NULL;
	if (regex == NULL || (regex->limits = pcre2_match_context_create(NULL)) == NULL) {
		bg_regex_free(regex);
		return bg_fail(err, BG_R_NO_MEMORY, "pattern");
	}
	pcre2_set_match_limit(regex->limits, MATCH_LIMIT);
	pcre2_set_depth_limit(regex->limits, DEPTH_LIMIT);
	pcre2_set_heap_limit(regex->limits, HEAP_LIMIT);
	regex->code = pcre2_compile((PCRE2_SPTR)pattern.ptr, pattern.len,
	    PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C, &code, &offset, NULL);
	if (regex->code == NULL) {
		bg_regex_free(regex);
		if (code == PCRE2_ERROR_HEAP_FAILED)
			return bg_fail(err, BG_R_NO_MEMORY, "pattern");
		if (pcre2_get_error_message(code, text, sizeof(text)) < 0)
			text[0] = '\0';
		return bg_fail(err, BG_R_BAD_VARIABLE, "%s at character %zu", (const char *)text, offset + 1);
	}
	*out = regex;
	return 0;
}

void
bg_regex_free(struct bg_regex *regex)
{
	if (regex == NULL)
		return;
	pcre2_code_free(regex->code);
	pcre2_match_context_free(regex->limits);
	free(regex);
}

int
bg_regex_matches(const struct bg_regex *regex, struct bg_slice text)
{
	pcre2_match_data *data = pcre2_match_data_create(1, NULL);
	int rc;

	if (data == NULL)
		return -1;
	rc = pcre2_match(regex->code, (PCRE2_SPTR)(text.ptr != NULL ? text.ptr : ""), text.len, 0, 0, data, regex->limits);
	pcre2_match_data_free(data);
	switch (rc) {
	case PCRE2_ERROR_NOMEMORY:
		return -1;
	case PCRE2_ERROR_MATCHLIMIT:
	case PCRE2_ERROR_DEPTHLIMIT:
	case PCRE2_ERROR_HEAPLIMIT:
		bg_log(BG_LOG_WARNING, "a pattern took too many steps for a value of %zu bytes, which counts as no match", text.len);
		return 0;
	default:
		return rc >= 0;
	}
}
