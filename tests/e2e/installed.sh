#!/bin/sh
# installed.sh SRCDIR TEST: what "make installcheck" makes of one test; its output is shown when it fails.
log=installcheck-${2##*/}.log
"$1/$2" >"$log" 2>&1
case $? in
0)  echo "PASS: $2 (installed)" ;;
77) echo "SKIP: $2 (installed)" ;;
*)  echo "FAIL: $2 (installed)"
    cat "$log"
    exit 1 ;;
esac
