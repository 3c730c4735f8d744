#!/bin/bash
# Keys from an issuer over https: discovery, an issuer that is down when the daemon starts, and a change of keys.
# shellcheck disable=SC2317,SC2119 # functions that wait_for and check call
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

begin
serve=${top_builddir:-.}/tests/support/serve
[ -x "$serve" ] || die "no $serve: make check builds it"
serve=$(realpath "$serve")

mkdir -p "$work/issuer/.well-known"
cp "$work/jwks.json" "$work/issuer/jwks.json"

start_issuer() { # start_issuer [PORT]: sets $issuer_pid and $issuer_port; false when somebody has the port
	rm -f "$work/port"
	: >"$work/issuer.log"
	"$serve" --dir "$work/issuer" --cert-out "$work/ca.pem" --port-file "$work/port" ${1:+--port "$1"} --max-age 3600 \
	    </dev/null >>"$work/issuer.log" 2>&1 &
	issuer_pid=$!
	bg_pids+=("$issuer_pid")
	wait_for 20 issuer_is_up || die "the issuer neither starts nor gives up"
	[ -s "$work/port" ] || return 1
	issuer_port=$(cat "$work/port")
	chmod 644 "$work/ca.pem"
}

issuer_is_up() {
	[ -s "$work/port" ] || gone "$issuer_pid"
}

publish_discovery() {
	issuer=https://localhost:$issuer_port/
	jq -n --arg issuer "$issuer" '{issuer: $issuer, jwks_uri: ($issuer + "jwks.json"),
	    authorization_endpoint: ($issuer + "authorize"), response_types_supported: ["code"],
	    subject_types_supported: ["public"], id_token_signing_alg_values_supported: ["RS256"]}' \
	    >"$work/issuer/.well-known/openid-configuration"
}

ask() { # ask TOKEN: the whole answer
	perl "$e2e/fcgi.pl" "unix:$work/tmp/bg.sock" REQUEST_METHOD=GET REQUEST_URI=/api/private REMOTE_ADDR=127.0.0.1 \
	    "HTTP_AUTHORIZATION=Bearer $1" >"$work/answer" 2>&1 || :
	tr -d '\r' <"$work/answer"
}

first_line() { # first_line TOKEN
	ask "$1" | head -n 1
}

lets_in() {
	[ "$(first_line "$1")" = "Status: 200 OK" ]
}

mint() { # mint KEY
	"$BG_TOOL" mint token -k "$1" --iss "$issuer" --aud "$audience" --sub bob --expires 1h
}

# The issuer is down when the daemon starts, and then comes, on the port that the daemon was told.
start_issuer || die "the issuer did not start"
publish_discovery
stop "$issuer_pid" || :
export AUTH0_DOMAIN=localhost:$issuer_port AUTH0_AUDIENCE=$audience BEARERGATE_CA_FILE=$work/ca.pem
start_daemon "$work/daemon.log" -l "unix:$work/tmp/bg.sock"
good=$(mint "$work/key.pem")
answer=$(ask "$good")
is "without keys nobody is let in (SR-45)" "$(head -n 1 <<<"$answer")" "Status: 503 Service Unavailable"
check "and the client is told when to try again" grep -q -E '^Retry-After: [1-9][0-9]*$' <<<"$answer"
is "as JSON" "$(tail -n 1 <<<"$answer" | jq -r .detail.error)" temporarily_unavailable
check "the log says why" lines_at_least 1 'reason=no_keys' "$work/daemon.log"
start_issuer "$issuer_port" || skip "somebody took port $issuer_port"
check "when the issuer comes, it is let in by itself" wait_for 60 lets_in "$good"
"$BG_TOOL" mint key -o "$work/other.pem"
is "a key that the issuer does not have is refused" "$(first_line "$(mint "$work/other.pem")")" \
    "Status: 401 Unauthorized"
stop "$issuer_pid" || :
is "the issuer gone again, its keys still count" "$(first_line "$good")" "Status: 200 OK"
stop "$daemon" || :
unset AUTH0_DOMAIN AUTH0_AUDIENCE BEARERGATE_CA_FILE

# The issuer changes its key: the next token with the new kid makes us ask, once the cooldown is over.
start_issuer || die "the issuer did not start"
publish_discovery
cat >"$work/bearergate.conf" <<EOF
refresh_cooldown = "1s"
ca_file = "$work/ca.pem"
issuer "$issuer" {
  audience = { "$audience" }
}
EOF
start_daemon "$work/daemon.log" -c "$work/bearergate.conf" -l "unix:$work/tmp/bg.sock"
good=$(mint "$work/key.pem")
new=$(mint "$work/other.pem")
check "a token of the first key is let in" wait_for 30 lets_in "$good"
is "one of a key not published yet is refused" "$(first_line "$new")" "Status: 401 Unauthorized"
"$BG_TOOL" mint jwks "$work/key.pem" "$work/other.pem" -o "$work/jwks.new"
cp "$work/jwks.new" "$work/issuer/next.json"
mv "$work/issuer/next.json" "$work/issuer/jwks.json"
check "after the change of keys the new one is let in" wait_for 30 lets_in "$new"
is "and the old one still" "$(first_line "$good")" "Status: 200 OK"
"$BG_TOOL" mint jwks "$work/other.pem" -o "$work/issuer/last.json"
mv "$work/issuer/last.json" "$work/issuer/jwks.json"
"$BG_TOOL" mint key -o "$work/third.pem"
# A stranger's kid makes us ask again, and what we learn is that the first key is withdrawn.
withdrawn() {
	first_line "$(mint "$work/third.pem")" >/dev/null
	[ "$(first_line "$good")" = "Status: 401 Unauthorized" ]
}
check "a key withdrawn is a token refused (SR-41)" wait_for 30 withdrawn

# An authority that we were not told to trust.
openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=another -days 2 -keyout "$work/another.key" -out "$work/another.pem" \
    2>/dev/null
stop "$daemon" || :
sed -i "s|ca.pem|another.pem|" "$work/bearergate.conf"
start_daemon "$work/daemon.log" -c "$work/bearergate.conf" -l "unix:$work/tmp/bg.sock"
is "an issuer whose certificate nobody vouches for has no keys (SR-53)" "$(first_line "$new")" \
    "Status: 503 Service Unavailable"
finish
