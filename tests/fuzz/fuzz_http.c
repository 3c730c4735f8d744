/* Any answer of a web server, cut anywhere, read and judged; the URL it was asked for, too. */
#include <stdint.h>
#include <stdlib.h>

#include "tool/diagnosis.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bg_slice input = { (const char *)data, size };
	struct bg_http_answer answer;
	struct bg_http_url url;
	enum bg_outcome outcome;
	char said[200], *text;

	bg_http_answer_init(&answer);
	bg_buf_put(&answer.raw, (struct bg_slice){ input.ptr, size / 2 });
	(void)bg_http_answer_read(&answer, false, false);
	bg_buf_put(&answer.raw, bg_slice_skip(input, size / 2));
	(void)bg_http_answer_read(&answer, false, false);
	if (bg_http_answer_read(&answer, size % 2 == 1, true) == BG_HTTP_MORE)
		abort();	/* behind the end there is nothing to wait for */
	outcome = bg_outcome_of_forgery(&answer, BG_SLICE("mark"), BG_SLICE("control"));
	bg_outcome_describe(outcome, &answer, said, sizeof(said));
	for (const char *c = said; *c != '\0'; c++)
		if (*c < ' ' || *c > '~')
			abort();
	(void)bg_outcome_of_body(&answer);
	bg_http_answer_clear(&answer);
	if ((text = strndup(input.ptr != NULL ? input.ptr : "", size)) != NULL && bg_http_url_parse(text, &url) == NULL &&
	    (url.path[0] != '/' || url.host[0] == '\0'))
		abort();
	free(text);
	return 0;
}
