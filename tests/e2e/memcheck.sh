#!/bin/bash
# The daemon under valgrind's memcheck, with a few hundred requests of every kind, bad peers, a reload and an end: no byte is
# read that is not ours or was never written, and none is lost (SR-92).
# shellcheck disable=SC2317,SC2119 # functions that wait_for and check call
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/dpop.inc
. "$(dirname "$0")/dpop.inc"

begin valgrind
! grep -q -a -E '__[at]san_init' "$BG_FCGI" || skip "valgrind cannot run a program with sanitizers"
assail=${top_builddir:-.}/tests/support/assail
[ -x "$assail" ] || die "no $assail: make check builds it"
address=unix:$work/tmp/bg.sock

claims_config "$work/bearergate.conf"
cat >>"$work/bearergate.conf" <<END
threads = 2
replay = "lmdb:$work/tmp/replay"
token_cache = 3
END

# Not the programs that the daemon runs, which have tests of their own; and not in the sandbox, which is not made for valgrind.
mv "$bg_fcgi" "$bg_fcgi.real"
cat >"$bg_fcgi" <<END
#!/bin/bash
exec valgrind -q --leak-check=full --errors-for-leak-kinds=definite,indirect,possible --error-exitcode=99 \\
    --trace-children=yes --trace-children-skip='*bearergate-fetch' --log-file="$work/tmp/valgrind.%p" "$bg_fcgi.real" --no-sandbox "\$@"
END
chmod 755 "$bg_fcgi"

ask() { # ask VARIABLE...: the first line of the answer
	local role=()

	if [ "${1:-}" = --responder ]; then
		role=(--responder)
		shift
	fi
	perl "$e2e/fcgi.pl" "$address" "${role[@]}" REQUEST_METHOD=GET REQUEST_URI=/api/private HTTP_HOST=localhost REMOTE_ADDR=127.0.0.1 "$@" |
	    sed -n '1s/\r$//p'
}

bound_tokens
token >"$work/good"
start_daemon "$work/daemon.log" -c "$work/bearergate.conf" -l "$address" -l 127.0.0.1:0
said=$(
	for ((i = 0; i < 12; i++)); do
		wrong "answer $i" "$(ask "HTTP_AUTHORIZATION=Bearer $(token ".sub = \"user $((i % 4))\"")")" "Status: 200 OK"
	done
)
verdict "good tokens are let in, the first time and again, more of them than are remembered" "$said"
is "an expired one is not" "$(ask "HTTP_AUTHORIZATION=Bearer $(token '.exp = 1700000000')")" "Status: 401 Unauthorized"
is "nor one for somebody else" "$(ask "HTTP_AUTHORIZATION=Bearer $(token '.aud = "other"')")" "Status: 401 Unauthorized"
is "nor none" "$(ask)" "Status: 401 Unauthorized"
is "nor one without the scope" "$(ask BEARERGATE_SCOPE=write "HTTP_AUTHORIZATION=Bearer $(cat "$work/good")")" \
    "Status: 403 Forbidden"


once=$(proof GET https://localhost/api/private)
bound_request=(HTTPS=on "HTTP_AUTHORIZATION=DPoP $bound" "HTTP_DPOP=$once")
is "a token with its proof is let in" "$(ask "${bound_request[@]}")" "Status: 200 OK"
is "once" "$(ask "${bound_request[@]}")" "Status: 400 Bad Request"
for page in ping ready status metrics; do
	is "the page $page is shown" "$(ask --responder BEARERGATE_PAGE=$page SCRIPT_NAME=/api/private)" "Status: 200 OK"
done
is "a question in the Responder role is answered" \
    "$(ask --responder "HTTP_AUTHORIZATION=Bearer $(cat "$work/good")")" "Status: 200 OK"

assail() { # assail ADDRESS SEED
	code=0
	timeout -k 5 300 "$assail" --socket "$1" --token-file "$work/good" --seed "$2" --peers 300 >/dev/null 2>"$work/assail.log" ||
	    code=$?
	is "300 peers of every bad kind on ${1%%:*} get what is right" "$code $(cat "$work/assail.log")" "0 "
}

assail "$address" 1
kill -HUP "$daemon"
check "a reload takes effect" wait_for 20 lines_at_least 1 'is in force' "$work/daemon.log"
assail "127.0.0.1:$daemon_port" 2
printf 'nonsense\n' >>"$work/bearergate.conf"
kill -HUP "$daemon"
check "a bad configuration does not" wait_for 20 lines_at_least 1 'was not changed' "$work/daemon.log"
is "and the daemon goes on" "$(ask "HTTP_AUTHORIZATION=Bearer $(cat "$work/good")")" "Status: 200 OK"
code=0
stop "$daemon" || code=$?
is "it ends without an error of memcheck" "$code" 0
cat "$work"/tmp/valgrind.* >"$work/valgrind.log"
is "which has nothing to say" "$(grep -c . "$work/valgrind.log" || :)" 0
finish
