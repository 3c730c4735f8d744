#!/bin/bash
# What peers on the daemon's socket can do to it and to others (SR-21, SR-22, SR-92): tests/support/assail sends it
# thousands of requests that were changed record by record, while 5,500 others keep a connection and say nothing, or half a
# request.  Its address space is bounded meanwhile.  With BG_LONG in the environment it goes on for a minute, from a seed
# that is another one each time; BG_SEED gives one.
# shellcheck disable=SC2317,SC2119 # functions that wait_for and check call
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

begin
assail=${top_builddir:-.}/tests/support/assail
[ -x "$assail" ] || die "no $assail: make check builds it"
assail=$(realpath "$assail")
address=unix:$work/tmp/bg.sock
seed=${BG_SEED:-1}
effort=(--peers 4000)
if [ -n "${BG_LONG:-}" ]; then
	seed=${BG_SEED:-$((SRANDOM % 1000000000))}
	effort=(--seconds 30)
fi

claims_config "$work/bearergate.conf"
printf 'threads = 4\ndpop = "disabled"\nlog_level = "info"\n' >>"$work/bearergate.conf"
token >"$work/good"

# AddressSanitizer and ThreadSanitizer take more addresses than any bound allows.
bound=268435456
if grep -q -a -E '__[at]san_init' "$BG_FCGI"; then
	bound=unlimited
fi
mv "$bg_fcgi" "$bg_fcgi.real"
cat >"$bg_fcgi" <<END
#!/bin/bash
ulimit -v $([ "$bound" = unlimited ] && echo "$bound" || echo $((bound / 1024)))
exec "$bg_fcgi.real" "\$@"
END
chmod 755 "$bg_fcgi"

figure() { # figure NAME: what the daemon's own page says
	perl "$e2e/fcgi.pl" "$address" --responder BEARERGATE_PAGE=status REQUEST_METHOD=GET REQUEST_URI=/s SCRIPT_NAME=/s \
	    QUERY_STRING=json | sed '1,/^\r*$/d' | jq -r "[.. | .$1? | numbers][0]"
}

calm() { # no connection is open but the one that asks
	[ "$(figure descriptors)" -le "$descriptors" ]
}

attack() { # attack ADDRESS [OPTION...]: sets $code; what it did is in $work/report
	code=0
	timeout -k 5 300 "$assail" --socket "$1" --token-file "$work/good" --seed "$seed" "${@:2}" \
	    >"$work/report" 2>"$work/assail.log" || code=$?
}

start_daemon "$work/daemon.log" -c "$work/bearergate.conf" -l "$address" -l 127.0.0.1:0
descriptors=$(figure descriptors)
resident=$(figure resident_bytes)
check "the daemon says how many descriptors it has" test "$descriptors" -gt 0

attack "$address" "${effort[@]}"
is "peers on a unix socket, from seed $seed, get what is right and no more (SR-21)" "$code $(cat "$work/assail.log")" "0 "
is "the page knows how many tokens were looked for, and found" \
    "$(test "$(figure token_hits)" -gt 100 && test "$(figure token_misses)" -gt 100 && echo yes)" yes
is "some of them an answer, some none" "$(jq '.answers > 50 and .allowed > 10 and .silent > 50' "$work/report")" true
is "and others were answered all the while" "$(jq '.honest > 100' "$work/report")" true
attack "127.0.0.1:$daemon_port" "${effort[@]}"
is "the same on TCP" "$code $(cat "$work/assail.log")" "0 "

# A crowd that is larger than WAITING_MAX of fcgi/main.c, so that the oldest must go.
if [ "$(ulimit -Hn)" -ge 16384 ]; then
	attack "$address" --crowd 5500 --peers 1000
	is "5,000 silent connections and 500 with half a request delay nobody (SR-22)" "$code $(cat "$work/assail.log")" "0 "
	is "all of them came" "$(jq .crowd "$work/report")" 5500
	is "and those that waited longest made room" "$(jq '.closed >= 5500 - 4096 and .oldest == 1000' "$work/report")" true
fi
check "afterwards no descriptor is left open" wait_for 20 calm
grown=$((($(figure resident_bytes) - resident) / 1024))
[ "$bound" = unlimited ] || check "and memory has grown by $grown KiB alone" test "$grown" -lt 16384
check "the daemon is the one that was started" test "$(sed -n '$=' <(grep 'listening on unix:' "$work/daemon.log"))" = 1
is "it never had to complain of itself" "$(grep -c -E 'Sanitizer|runtime error|internal|no memory' "$work/daemon.log" || :)" 0
code=0
stop "$daemon" || code=$?
is "and it ends as always" "$code" 0
finish
