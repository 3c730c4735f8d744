#!/bin/sh
# A test that nobody runs proves nothing: every test file in the tree stands in Makefile.am, and is distributed.
set -eu
cd "${srcdir:-.}"
failed=0

for f in tests/test_*.c; do
	name=${f%.c}
	grep -qE "(^|[[:space:]])$name([[:space:]]|\$)" Makefile.am || { echo "registered: $f is not in Makefile.am" >&2; failed=1; }
done
for f in tests/bench/*.sh tests/e2e/*.sh tests/guards/*.sh tests/fuzz/*.sh; do
	[ -f "$f" ] || continue
	case $f in */lib.sh) continue ;; esac
	grep -qF "$f" Makefile.am || { echo "registered: $f is not in Makefile.am" >&2; failed=1; }
	[ -x "$f" ] || { echo "registered: $f cannot be run" >&2; failed=1; }
done
for f in tests/fuzz/fuzz_*.c; do
	[ -f "$f" ] || continue
	name=${f%.c}
	grep -qE "(^|[[:space:]])$name([[:space:]]|\$)" Makefile.am || { echo "registered: $f is not in Makefile.am" >&2; failed=1; }
	corpus=tests/fuzz/corpus/${name#tests/fuzz/fuzz_}
	[ -n "$(ls "$corpus" 2>/dev/null)" ] || { echo "registered: $corpus is empty" >&2; failed=1; }
done
exit $failed
