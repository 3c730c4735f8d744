#!/bin/bash
# The load generator itself, tests/support/load: right answers count as right, wrong ones as wrong, and none as 000.
# shellcheck disable=SC2317,SC2119 # functions that wait_for and check call
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

begin
load=${top_builddir:-.}/tests/support/load
[ -x "$load" ] || die "no $load: make check builds it"
load=$(realpath "$load")
socket=unix:$work/tmp/bg.sock

claims_config "$work/bearergate.conf"
token >"$work/good"
token '.exp = 1700000000' >"$work/expired"
cp "$work/good" "$work/changing"

start_authorizer() {
	start_daemon "$work/daemon.log" -c "$work/bearergate.conf" -l "$socket" -l 127.0.0.1:0
}

run_load() { # run_load OPTION...: to its end; sets $code, the report is in $work/report
	code=0
	timeout -k 5 60 "$load" --socket "$socket" "$@" >"$work/report" 2>"$work/load.log" || code=$?
}

start_load() { # start_load OPTION...: in the background; sets $load_pid
	"$load" --socket "$socket" "$@" </dev/null >"$work/report" 2>"$work/load.log" &
	load_pid=$!
	bg_pids+=("$load_pid")
}

end_load() { # end_load [stop]: its end, by itself or not; sets $code
	code=0
	if [ "${1:-}" = stop ]; then
		stop "$load_pid" || code=$?
	else
		wait_for 40 gone "$load_pid" || die "load does not end"
		wait "$load_pid" || code=$?
	fi
}

said() { # said JQ-FILTER: of the report
	jq -r -c "$1" "$work/report" 2>&1 || :
}

# Right and wrong.

start_authorizer
run_load --requests 300 --clients 8 --uri '/api/private?a=b' --token-file "$work/good" \
    --token-file "$work/expired" --expect 401,403 --random-kids "$issuer" --expect 401
is "answers that are right are right" "$code $(said .wrong)" "0 0"
is "all were asked" "$(said .requests)" 300
is "and counted by status" "$(said .by_status)" '{"200":100,"401":200}'
is "each source had its turn" "$(said '[.sources[] | [.source, .count, .wrong, .by_status]]')" \
    "[[\"$work/good\",100,0,{\"200\":100}],[\"$work/expired\",100,0,{\"401\":100}],[\"random-kids\",100,0,{\"401\":100}]]"
is "times are in order" "$(said '[.sources[] | .p50_us > 0 and .p50_us <= .p99_us and .p99_us <= .max_us] | all')" true
check "every one was the daemon's" lines_at_least 100 'decision=allow' "$work/daemon.log"
is "of random kids it says that there is no such key" "$(grep -c ' reason=unknown_key ' "$work/daemon.log")" 100
is "none of which came twice" \
    "$(sed -n 's/.* reason=unknown_key .* token=\([^ ]*\).*/\1/p' "$work/daemon.log" | sort -u | wc -l)" 100

run_load --requests 20 --clients 2 --token-file "$work/expired" --expect 200 --token-file "$work/good"
is "an expired token that should be good is wrong" "$code $(said .wrong)" "1 10"
is "five such answers are reported" "$(said '.first_wrong | length')" 5
is "with source and status" "$(said '[.first_wrong[] | [.source, .status]] | unique')" "[[\"$work/expired\",\"401\"]]"
is "with what was answered" "$(said '.first_wrong[0].body | fromjson | .detail.error')" invalid_token
is "and when" "$(said '.first_wrong[0].at[:4]')" "$(date -u +%Y)"
run_load --requests 4 --token-file "$work/good" --expect 401
is "a token that is let in and should not be is wrong" "$code $(said .wrong)" "1 4"
is "no token is printed" "$(grep -c -F -f "$work/good" "$work/report" "$work/load.log" | tr '\n' ' ')" \
    "$work/report:0 $work/load.log:0 "

# A token file that changes, and SIGTERM.

: >"$work/daemon.log"
start_load --seconds 60 --rate 100 --clients 4 --token-file "$work/changing"
check "it runs" wait_for 30 lines_at_least 5 decision=allow "$work/daemon.log"
cp "$work/expired" "$work/next"
mv "$work/next" "$work/changing"
check "a token put in place of another is used" wait_for 30 lines_at_least 5 decision=deny "$work/daemon.log"
end_load stop
is "SIGTERM ends it with a report" "$code $(said '.by_status | keys')" '1 ["200","401"]'
is "in which the wrong ones are those of the new token" "$(said '.wrong == .by_status["401"]')" true

# Rate and time.

run_load --requests 201 --rate 100 --clients 4 --token-file "$work/good"
check "a rate is not exceeded" test "$(said '.seconds * 10 | floor')" -ge 20
check "and reached at last" test "$(said '.seconds | floor')" -lt 40
run_load --seconds 2 --rate 100 --clients 4 --token-file "$work/good"
check "nor is it where the time is given" test "$(said .requests)" -le 200
check "which is taken" test "$(said '.seconds * 10 | floor')" -ge 19
check "and not for nothing" test "$(said .requests)" -ge 1
socket=127.0.0.1:$daemon_port run_load --requests 20 --clients 3 --token-file "$work/good"
is "it speaks TCP" "$code $(said .by_status)" '0 {"200":20}'

# No answers.

kill_daemon "$daemon"
run_load --requests 3 --token-file "$work/good"
is "where nobody listens there is no answer" "$code $(said .by_status)" '1 {"000":3}'
check "which says why" test "$(said '.first_wrong[0].why')" = "connect: Connection refused"
run_load --requests 3 --token-file "$work/good" --expect 200,000
is "and can be right" "$code $(said .by_status)" '0 {"000":3}'
run_load --requests 1 --timeout 300 --retry-refused --token-file "$work/good"
is "trying again ends too" "$code $(said .by_status) $(said '.first_wrong[0].why')" '1 {"000":1} too late: connect'
check "after the time it was given" test "$(said '.seconds * 10 | floor')" -ge 3
start_load --requests 500 --rate 100 --clients 4 --timeout 20000 --retry-refused --token-file "$work/good" --expect 200,000
start_authorizer
check "a daemon that comes is asked" wait_for 20 lines_at_least 20 decision=allow "$work/daemon.log"
kill_daemon "$daemon"
start_authorizer
end_load
is "a daemon killed and started again in the middle is no end" "$code $(said .requests)" "0 500"
check "nor a reason to count many as unanswered" test "$(said '.by_status["000"] // 0')" -le 4
stop "$daemon" || :

# A peer that answers anything at all: the bytes of a file, or nothing and no end.
cat >"$work/peer.pl" <<'END'
use Socket;
my ($path, $file) = @ARGV;
unlink $path;
socket(my $l, AF_UNIX, SOCK_STREAM, 0) or die; bind($l, pack_sockaddr_un($path)) or die; listen($l, 16) or die;
chmod 0666, $path;
print "listening\n"; close STDOUT;
my @kept;
while (accept(my $s, $l)) {
	sysread($s, my $request, 65536);
	open(my $f, '<', $file) or die; local $/; my $answer = <$f>;
	if ($answer eq 'hang') { push @kept, $s; next; }
	syswrite($s, $answer);
}
END
: >"$work/peer.log"
start "$work/peer.log" perl "$work/peer.pl" "$work/tmp/peer.sock" "$work/answer"
check "a peer listens" wait_for 30 lines_at_least 1 listening "$work/peer.log"

answers() { # answers SENTENCE STATUS HEX: to an answer of these bytes
	printf '%s' "$3" | perl -e 'print pack("H*", <STDIN>)' >"$work/answer"
	socket=unix:$work/tmp/peer.sock run_load --requests 2 --timeout "${patience:-20000}" --token-file "$work/good" --expect "$2"
	is "$1" "$code $(said '.by_status | keys[]')" "0 $2"
}

text() { # text TEXT: a STDOUT record of it, in hexadecimal
	printf '0106000100%02x0000' "${#1}"
	printf '%s' "$1" | perl -e 'local $/; print unpack("H*", <STDIN>)'
}

end=01030001000800000000000000000000
answers "a status is taken" 207 "$(text $'Status: 207 x\r\n\r\nStatus: 200 OK\r\n')$end"
answers "in small letters too, and not the first line" 403 "$(text $'A: b\nstatus: 403\n\n')$end"
answers "in two records, with padding" 200 "0106000100060200$(printf Status | perl -e 'print unpack("H*", <STDIN>)')0000$(text $': 200 OK\r\n\r\n')$end"
answers "an end without Status is no answer" 000 "$(text $'A: b\r\n\r\nStatus: 200 OK\r\n')$end"
answers "nor is an end alone" 000 "$end"
answers "nor a Status without an end" 000 "$(text $'Status: 200 OK\r\n\r\n')"
answers "nor one that is overloaded" 000 "$(text $'Status: 200 OK\r\n\r\n')01030001000800000000000002000000"
answers "nor one for another request" 000 "$(text $'Status: 200 OK\r\n\r\n' | sed s/^01060001/01060002/)$end"
answers "nor one that is not FastCGI" 000 485454502f312e31203230300d0a
answers "nor nothing" 000 ''
patience=400 answers "nor one that comes never" 000 68616e67
is "for which somebody waits as long as was said, and not for ever" "$(said '.seconds >= 0.8 and .seconds < 50')" true
good=$(cat "$work/good")
answers "an answer with the token in it" 200 "$(text $'Status: 200 OK\r\n\r\n')01060001$(printf %04x "${#good}")0000$(
    perl -e 'local $/; print unpack("H*", <STDIN>)' <<<"$good" | sed 's/0a$//')$end"
socket=unix:$work/tmp/peer.sock run_load --requests 2 --token-file "$work/good" --expect 401
is "does not show it where it is wrong" "$code $(said '.first_wrong[0].body')" "1 (with the token in it)"

# The command line.

for options in "--token-file $work/good" "--requests 1" "--requests 0 --token-file $work/good" \
    "--requests 1 --expect 200 --token-file $work/good" "--requests 1 --token-file $work/good --expect 20" \
    "--requests 1 --token-file $work/good --expect 200," "--seconds 3601 --token-file $work/good" \
    "--requests 1 --token-file $work/good --socket 192.0.2.1:80" "--requests 1 --token-file $work/good more"; do
	# shellcheck disable=SC2086 # words
	run_load $options
	is "\"${options//$work\//}\" is refused" "$code $(wc -c <"$work/report")" "64 0"
done
run_load --requests 1 --token-file "$work/none"
is "a token file that is not there is refused" "$code" 66
: >"$work/empty"
run_load --requests 1 --token-file "$work/empty"
is "and an empty one" "$code" 66
finish
