#!/bin/sh
# make bench: what judging one token costs, as CPU time and, where valgrind is, as instructions, which no other work on
# the machine disturbs.  The goal for RS256: at most 1.3 times the bare verification and parse.  Then what remembering
# DPoP proofs costs: at least 0.7 of the proofs per second that there are without a store; and what the wrapper costs a CGI
# program, beside what programs cost that do next to nothing.  Before all that the daemon as servers see it, over a unix
# socket and TCP, and its memory over a million requests; BG_LONG=N in the environment has it be N.
set -eu
programs=$1/tests/bench
bench=$programs/bench_judge

"$programs/bench_daemon" "$1/bearergate-fcgi" "$programs/floor"
echo
"$bench"
echo
"$programs/bench_proof"
echo
"$programs/bench_cgi" "$1"
echo
if ! command -v valgrind >/dev/null 2>&1; then
	echo "no instruction counts: valgrind is missing"
	exit 0
fi

out=$(mktemp)
trap 'rm -f "$out"' EXIT

# count WHICH ALG TIMES: instructions of such a run
count() {
	valgrind --tool=callgrind --callgrind-out-file=/dev/null "$bench" "$@" >"$out" 2>&1 || { cat "$out" >&2; exit 1; }
	sed -n 's/.*Collected : *\([0-9]*\).*/\1/p' "$out"
}

# The difference of two runs is what the tokens cost, without the start.
each() {
	few=$(count "$1" "$2" 20)
	many=$(count "$1" "$2" 120)
	echo $(((many - few) / 100))
}

echo "Instructions for one token"
for alg in RS256 ES256 EdDSA; do
	judge=$(each judge "$alg")
	bare=$(each bare "$alg")
	printf '%-6s %10d %10d %8s\n' "$alg" "$judge" "$bare" "$(echo "$judge $bare" | awk '{ printf "%.3f", $1 / $2 }')"
done
