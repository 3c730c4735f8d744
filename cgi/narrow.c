#include "cgi/narrow.h"

#define REPORT_MAX	4096

int
bg_narrow_rule(int fd, const char *path, const struct bg_conf *conf, const struct bg_gate *gate, struct bg_rule *out,
    struct bg_error *err)
{
	struct bg_buf report;
	int rc;

	bg_buf_init(&report, REPORT_MAX);
	if ((rc = bg_conf_load_demands(conf, &gate->policies, fd, path, out, &report)) != 0)
		rc = bg_narrow_fail(&report, rc, path, err);
	bg_buf_clear(&report);
	return rc;
}
