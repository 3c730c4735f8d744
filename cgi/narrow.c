#include "cgi/narrow.h"

#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#define REPORT_MAX	4096

int
bg_narrow_read(const struct bg_script *script, const struct bg_conf *conf, const struct bg_gate *gate, bool *found,
    struct bg_rule *out, struct bg_error *err)
{
	struct bg_slice text;
	struct bg_buf report;
	char *path = NULL;
	int fd, rc, ret = -1;

	*found = false;
	*out = (struct bg_rule){ .kind = BG_RULE_NEVER };
	bg_buf_init(&report, REPORT_MAX);
	if (bg_script_open_beside(script, BG_NARROW_SUFFIX, &fd, &path, err) != 0)
		goto out;
	if (fd == -1) {
		ret = 0;
		goto out;
	}
	rc = bg_conf_load_demands(conf, &gate->policies, fd, path, out, &report);
	close(fd);
	if (rc == 0) {
		*found = true;
		ret = 0;
	} else {
		if (bg_buf_finish(&report, &text, NULL) != 0 || text.len == 0)
			text = bg_slice_str(path);
		else
			text.len--;	/* the end of its line */
		bg_fail(err, rc == EX_OSERR ? BG_R_NO_MEMORY : BG_R_INTERNAL, "%.*s", (int)text.len, text.ptr);
	}
out:
	free(path);
	bg_buf_clear(&report);
	return ret;
}
