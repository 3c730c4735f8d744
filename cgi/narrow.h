#ifndef BG_CGI_NARROW_H
#define BG_CGI_NARROW_H

#include "cgi/script.h"
#include "conf/conf.h"

#define BG_NARROW_SUFFIX	".bearergate"

/*
 * What the file beside a script demands, SCRIPT.bearergate.  It adds to what the server and the configuration demand and can
 * take nothing away: it is one rule more that a token has to meet.  *found: there is such a file, and out is that rule, the
 * caller's to clear in any case: bg_rule_clear.  It borrows from gate.
 * Returns -1 with BG_R_INTERNAL, or BG_R_NO_MEMORY, for a file that cannot be used: then the script must not run.
 */
int bg_narrow_read(const struct bg_script *script, const struct bg_conf *conf, const struct bg_gate *gate, bool *found,
    struct bg_rule *out, struct bg_error *err) BG_MUST_CHECK;

#endif
