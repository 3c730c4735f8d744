#!/bin/sh
# The arrows between folders point one way, and each library has one home (doc/architecture.md).
set -eu
cd "${srcdir:-.}"
failed=0

complain() {
	echo "layers: $1" >&2
	failed=1
}

# may FOLDER REGEX: what files of FOLDER include of ours must match REGEX.
may() {
	for f in "$1"/*.[ch] "$1"/*.def; do
		[ -f "$f" ] || continue
		sed -n 's/^#[[:space:]]*include "\(.*\)".*/\1/p' "$f" | grep -Ev "^(config\.h|$2)" | while read -r name; do
			echo "$f includes $name"
		done
	done
}

# home HEADER REGEX: only files that match REGEX may include <HEADER>.
home() {
	grep -lE "^#[[:space:]]*include <($1)" core/*.[ch] conf/*.[ch] cgi/*.[ch] fcgi/*.[ch] fetch/*.[ch] tool/*.[ch] |
	    grep -Ev "^($2)$" | while read -r f; do
		echo "$f includes <$1>"
	done
}

found=$(
	may core 'core/'
	may conf '(conf|core)/'
	may cgi '(cgi|core)/' | grep -Ev '^cgi/(part|narrow)\.h includes conf/conf\.h$' || true	# of the program, not of libcgi
	may fcgi '(fcgi|cgi|conf|core)/'
	may tool '(tool|cgi|conf|core)/'
	may fetch '(fetch/|core/(error|filter|slice|io|buf|limits|log|clock|json|b64url|url|address|etag)\.h)'
	home 'confuse\.h' 'conf/parse\.c'
	home 'dlfcn\.h' 'cgi/part_load\.c'
	home 'curl/' 'fetch/https\.c'
	home 'seccomp\.h' 'core/filter\.c'
	home 'fcgiapp\.h|fcgi_' 'fcgi/.*'
	home 'lmdb\.h' 'core/replay_lmdb\.c'
	home '(hiredis/)?(hiredis|read)\.h' 'core/redis\.c'
	home 'openssl/' 'core/(certificate|jwk|secret|stream|alg_[a-z]+)\.c|tool/issuer\.c|fetch/https\.c'
	# every include of ours is written from the top
	grep -nE '^#[[:space:]]*include "[^/]*"' core/*.[ch] conf/*.[ch] cgi/*.[ch] fcgi/*.[ch] fetch/*.[ch] tool/*.[ch] |
	    grep -v '"config.h"' || true
	# SR-9: what compares secrets does not tell how far it got
	grep -nE '\b(strcmp|memcmp|strncmp)\(' core/secret.c core/proof.c || true
)
[ -z "$found" ] || complain "$found"
exit $failed
