#!/bin/sh
# The pages tell the truth: every option and long command-line option has its entry, and mandoc finds no fault.
set -eu
cd "${srcdir:-.}"
failed=0

complain() {
	echo "documented: $1" >&2
	failed=1
}

# one BG_OPTION row a line: section, then name
names=$(sed -nE 's/^BG_OPTION\([A-Z]+, *([a-z_]+),.*/\1/p' conf/options.def | sort -u)
[ -n "$names" ] || complain "no option found in conf/options.def"
for name in $names; do
	grep -qE "^\.It Cm $name( |\$)" conf/bearergate.conf.5 || complain "conf/bearergate.conf.5 has no entry for $name"
done

# long options: { "name", no_argument, ...
check_long() {
	for name in $(sed -nE 's/.*\{ *"([a-z0-9-]+)", *(no|required|optional)_argument.*/\1/p' "$1" | sort -u); do
		grep -qE "Fl -$name( |\$)" "$2" || complain "$2 has no entry for --$name of $1"
	done
}
check_long fcgi/main.c fcgi/bearergate-fcgi.8
check_long fetch/main.c fetch/bearergate-fetch.8
for f in tool/main.c tool/check.c tool/keys.c tool/mint*.c; do
	check_long "$f" tool/bearergate.1
done

if command -v mandoc >/dev/null 2>&1; then
	for page in tool/bearergate.1 conf/bearergate.conf.5 cgi/bearergate-cgi.8 fcgi/bearergate-fcgi.8 fetch/bearergate-fetch.8; do
		said=$(mandoc -T lint -W warning "$page" 2>&1) || true
		[ -z "$said" ] || complain "$said"
	done
else
	[ -z "${CI:-}" ] || complain "mandoc is missing"
fi
exit $failed
