#include "fcgi/status.h"

void
bg_status_put_html(const struct bg_status *status, size_t n, struct bg_buf *out)
{
	bg_buf_put_str(out, "<!DOCTYPE html>\n");
	bg_status_put_text(status, n, out);
}
