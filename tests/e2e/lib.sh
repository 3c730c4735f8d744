# shellcheck shell=bash
# Shared by the end-to-end tests.  automake gives BG_FCGI, BG_FETCH and BG_TOOL: the programs of the build directory,
# or, under "make installcheck", the installed ones.  Each check prints one line "ok - sentence" or "not ok - sentence".
set -euo pipefail

e2e=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib.sh
. "$e2e/../../scripts/lib.sh"

failed=0
issuer=https://issuer.example/
audience=https://api.example.com

skip() { # skip SENTENCE
	printf 'SKIP: %s\n' "$*"
	exit 77
}

begin() { # begin COMMAND...: the working directory, keys and programs of a test that needs these commands
	local command

	for command in curl jq openssl perl "$@"; do
		command -v "$command" >/dev/null || skip "$command is not installed"
	done
	: "${BG_FCGI:?}" "${BG_FETCH:?}" "${BG_TOOL:?}" "${BG_CGI:?}"
	BG_TOOL=$(realpath "$BG_TOOL")
	make_work "bg-$(basename "$0" .sh)"
	use_programs "$BG_FCGI" "$BG_FETCH"
	"$BG_TOOL" mint key -o "$work/key.pem"
	"$BG_TOOL" mint jwks "$work/key.pem" -o "$work/jwks.json"
	kid=$(jq -r '.keys[0].kid' "$work/jwks.json")
}

finish() {
	[ "$failed" -eq 0 ] || die "$failed failed"
	exit 0
}

on_failure() {
	show_logs 40
}

# The daemon's processes.  The worker is named after its work, in fcgi/supervisor.h.

worker_of() { # worker_of PID: the process that decides, of the daemon with this one; nothing when there is none
	cat /proc/[0-9]*/stat 2>/dev/null | sed -n "s/^\([0-9]*\) (bearergate-work) [^Z] $1 .*/\1/p" || :
}

has_worker() { # has_worker PID [OTHER]: one that is not OTHER
	local worker

	worker=$(worker_of "$1")
	[ -n "$worker" ] && [ "$worker" != "${2:-}" ]
}

ended() { # ended PID: no thread of it runs; whoever inherits orphans may take his time to notice
	local tasks=("/proc/$1/task/"*)

	[ ! -e "/proc/$1" ] ||
	    { [ "${#tasks[@]}" -le 1 ] && grep -q '^State:[[:space:]]*Z' "/proc/$1/status"; } 2>/dev/null || [ ! -e "/proc/$1" ]
}

kill_daemon() { # kill_daemon PID: as the kernel would when memory is short; its worker dies with it, if not in the same moment
	local worker

	worker=$(worker_of "$1")
	kill -KILL "$1" 2>/dev/null || :
	stop "$1" 2>/dev/null || :
	[ -z "$worker" ] || wait_for 20 ended "$worker" || die "a worker outlives its supervisor"
}

# Checks.  A check is a sentence and what was wrong; nothing wrong is good.

verdict() { # verdict SENTENCE WRONG
	if [ -z "$2" ]; then
		printf 'ok - %s\n' "$1"
	else
		printf 'not ok - %s\n' "$1"
		printf '#   %s\n' "${2%$'\n'}" | sed '2,$s/^/#   /'
		failed=$((failed + 1))
	fi
}

check() { # check SENTENCE COMMAND...: the command succeeds
	local sentence=$1 words

	shift
	words=$*
	if "$@"; then
		verdict "$sentence" ""
	else
		verdict "$sentence" "this failed: ${words:0:120}"
	fi
}

is() { # is SENTENCE GOT WANTED
	if [ "$2" = "$3" ]; then
		verdict "$1" ""
	else
		verdict "$1" "got \"$2\", wanted \"$3\""
	fi
}

wrong() { # wrong WHAT GOT WANTED: a line for a verdict where a value is not what it should be
	[ "$2" = "$3" ] || printf '%s is "%s", not "%s"\n' "$1" "$2" "$3"
}

# Tokens.  "bearergate mint" makes the good ones; the odd ones are made here, with openssl alone, so that a mistake
# that mint and daemon share does not hide.

b64url() { # standard input in base64url
	openssl base64 -A | tr '+/' '-_' | tr -d '='
}

payload() { # payload [JQ-FILTER]: a good set of claims, changed by the filter
	jq -n -c -j --arg iss "$issuer" --arg aud "$audience" --argjson now "$(date +%s)" \
	    "{iss: \$iss, aud: \$aud, sub: \"alice\", iat: \$now, exp: (\$now + 600)} | ${1:-.}"
}

rs256() { # rs256 HEADER PAYLOAD [KEY]: a compact JWS.  RFC 7515 section 3.1
	local input

	input=$(printf %s "$1" | b64url).$(printf %s "$2" | b64url)
	printf '%s.%s' "$input" "$(printf %s "$input" | openssl dgst -sha256 -sign "${3:-$work/key.pem}" | b64url)"
}

token() { # token [JQ-FILTER]: a token signed with the issuer's key
	rs256 "{\"alg\":\"RS256\",\"typ\":\"at+jwt\",\"kid\":\"$kid\"}" "$(payload "${1:-.}")"
}

other_character() { # other_character TEXT INDEX: the text with one base64url character changed
	local c=${1:$2:1} new=A

	[ "$c" != A ] || new=B
	printf '%s%s%s' "${1:0:$2}" "$new" "${1:$2+1}"
}

# Requests.

scheme=http

# request PATH [CURL-OPTION...]: sets $status (000 when there was no answer); head and body are files in $work
request() {
	local path=$1

	shift
	: >"$work/head"
	: >"$work/body"
	status=$(curl -s -g --path-as-is --max-time 30 -D "$work/head" -o "$work/body" -w '%{http_code}' "$@" \
	    "$scheme://127.0.0.1:$port$path") || :
}

head_body() { # head_body PATH [HEADER]: the bytes behind the head of an answer to HEAD, where none may be
	exec 6<>"/dev/tcp/127.0.0.1/$port"
	printf 'HEAD %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n%s\r\n' "$1" "${2:+$2$'\r\n'}" >&6
	timeout 20 sed '1,/^\r$/d' <&6
	exec 6>&-
}

header() { # header NAME: the values of a header of the last answer
	tr -d '\r' <"$work/head" | sed -n "s/^$1: //Ip"
}

json() { # json JQ-FILTER: of the body of the last answer
	jq -r "$1" "$work/body" 2>&1 || :
}

# shellcheck disable=SC2034
bearer() { # bearer TOKEN: sets $auth, to go to request as "${auth[@]}"
	auth=(-H "Authorization: Bearer $1")
}

route() { # the route that answered, from the script itself; empty when the script did not run
	jq -r '.route // empty' "$work/body" 2>/dev/null || :
}

# The program of start_backend as one that takes hyphens and underscores in the name of a header for the same, as many do, and
# shows all that comes under it; at /api/proxied as well.
names_are_loose() {
	cat >"$work/loose.pl" <<'END'
		if ($name =~ /^X[-_]Auth[-_](.*)/i) {
			my $variable = variable($1);
			$claims{$variable} = join ',', $claims{$variable} // (), $value;
		}
END
	sed -i -e 's|/api/public |&/api/proxied |' -e "/X-Auth-(/ { r $work/loose.pl" -e 'd }' "$work/bin/show-claims.pl"
	grep -q 'join .,., $claims' "$work/bin/show-claims.pl" || die "show-claims.pl has changed"
}

claims_config() { # claims_config FILE: the configuration most tests use
	cat >"$1" <<EOF
issuer "$issuer" {
  audience  = { "$audience" }
  jwks_file = "$work/jwks.json"
}
EOF
}

use_wrapper() { # use_wrapper LINE...: the CGI wrapper as $bg_cgi, with its configuration and these lines beside it
	bg_cgi=$work/bin/bearergate-cgi
	cp "$BG_CGI" "$(dirname "$BG_CGI")"/bearergate-alone*.so "$work/bin/"
	chmod 755 "$work/bin"/bearergate-*
	claims_config "$work/bin/bearergate.conf"
	printf '%s\n' "$@" >>"$work/bin/bearergate.conf"
}

log_mark() {
	marked=$(wc -l <"$work/daemon.log")
}

reason_logged() { # reason_logged REASON: since the mark
	tail -n "+$((marked + 1))" "$work/daemon.log" | grep -q -F -e " reason=$1 "
}

dpop_mode=allowed	# as the daemon of the test has it: which schemes a challenge names

# challenge STATUS ERROR TEXT CURL-OPTION...: what an answer to such a request has to have in WWW-Authenticate, without the
# realm's name.  The scheme that was used says what is wrong, else the first.  RFC 6750 section 3, RFC 9449 section 7.1.
challenge() {
	local code=$1 error=$2 text=$3 said='' dpop='' bearer=''

	shift 3
	[ "$code" -lt 500 ] || return 0
	[ "$error" = - ] || said="error=\"$error\", error_description=\"$text\""	# section 3.1: no error without a token
	[ "$code" -ne 403 ] || said+=', scope="read:messages"'
	if [ "$dpop_mode" = required ] || { [ "$dpop_mode" = allowed ] && [[ " $* " = *' Authorization: DPoP '* ]]; }; then
		dpop=${said:+$said, }
		said=
	fi
	[ "$dpop_mode" = required ] || bearer="Bearer realm${said:+, $said}"
	[ "$dpop_mode" = disabled ] || bearer+="${bearer:+, }DPoP ${dpop}algs=\"ES256\""
	printf '%s\n' "$bearer"
}

# denied SENTENCE STATUS ERROR REASON PATH [CURL-OPTION...]: the request is refused for this reason, and every header,
# the body and the log say so.  ERROR is what the challenge names, "-" for a challenge that names none.
denied() {
	local sentence=$1 code=$2 error=$3 reason=$4 path=$5 text said

	shift 5
	text=$(sed -n "s/^BG_REASON([A-Z_]*, *$reason,.* \"\(.*\)\").*/\1/p" "$bg_source/core/reasons.def")
	[ -n "$text" ] || die "no reason $reason in core/reasons.def"
	log_mark
	request "$path" "$@"
	said=$(
		wrong status "$status" "$code"
		wrong Content-Type "$(header Content-Type)" application/json
		wrong Cache-Control "$(header Cache-Control)" no-store
		wrong WWW-Authenticate "$(header WWW-Authenticate | sed 's/realm="[^"]*"/realm/')" \
		    "$(challenge "$code" "$error" "$text" "$@")"
		[ "$error" != - ] || error=invalid_request
		# With --head curl writes the head where the body would go, and does not look for one.
		[[ " $* " = *' --head '* ]] || wrong body "$(cat "$work/body")" \
		    "{\"detail\":{\"error\":\"$error\",\"error_description\":\"$text\"}}"
		wait_for 30 reason_logged "$reason" ||
		    printf 'the log has no reason=%s, but %s\n' "$reason" "$(tail -n 1 "$work/daemon.log")"
	)
	verdict "$sentence" "$said"
}

# allowed SENTENCE ROUTE PATH JQ-CONDITION [CURL-OPTION...]: the script of this route answers, and the condition holds
# for its claims
allowed() {
	local sentence=$1 route=$2 path=$3 condition=$4 said

	shift 4
	request "$path" "$@"
	said=$(
		wrong status "$status" 200
		wrong route "$(route)" "$route"
		[ "$(json ".claims | $condition")" = true ] ||
		    printf 'not so: %s of %s\n' "$condition" "$(cat "$work/body")"
	)
	verdict "$sentence" "$said"
}
