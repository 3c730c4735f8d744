#!/bin/sh
# installed.sh SRCDIR TEST: what "make installcheck" makes of one test: files as automake's driver makes them, below
# installed/; its output is shown when it fails.
to=installed/$(basename "$2" .sh)
"$1/$2" >"$to.log" 2>&1
rc=$?
case $rc in
0)  result=PASS ;;
77) result=SKIP ;;
*)  result=FAIL ;;
esac
echo ":test-result: $result" >"$to.trs"
echo "$result: $2 (installed)"
[ "$result" != FAIL ] || cat "$to.log"
[ "$result" != FAIL ]
