#!/bin/bash
# lighttpd in front of files, a FastCGI program and a proxied one, with the example configurations.
# shellcheck disable=SC2317,SC2119,SC2154 # functions that wait_for and check call; what lib.sh sets
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

begin lighttpd fcgiwrap
for dir in /usr/lib/lighttpd /usr/local/lib/lighttpd /usr/lib64/lighttpd; do
	[ ! -e "$dir/mod_magnet.so" ] || magnet=yes
done
[ "${magnet:-}" = yes ] || skip "lighttpd has no mod_magnet"
claims_config "$work/bearergate.conf"
mkdir -p "$work/www/files" "$work/www/app"
printf secret >"$work/www/files/secret.txt"
printf '#!/bin/sh\nprintf "Content-Type: text/plain\\n\\n"; env | grep -E "^(CLAIM_|REMOTE_USER|AUTH_TYPE)" | sort\n' >"$work/www/app/show"
chmod 755 "$work/www/app/show"

# fcgiwrap stands for a FastCGI program of any kind.
program=$work/tmp/program.sock
start "$work/program.log" fcgiwrap -f -s "unix:$program"
wait_for 30 test -S "$program" || die "fcgiwrap does not listen"
start_daemon "$work/daemon.log" -c "$work/bearergate.conf" -l "unix:$work/tmp/bg.sock"
sed -i 's|/api/|/up/|g' "$work/bin/show-claims.pl"
start_backend
start_server lighttpd "$work/tmp/bg.sock" "$bg_source/conf/examples/lighttpd/targets.conf"
bearer "$(token '.scope = "a b" | .org_id = "o\r\nX-Auth-Claim-Evil: 1"')"
spoof=(-H 'X-Auth-Claim-Sub: mallory' -H 'X-Auth-Claim-Evil: mallory' -H 'x_auth_claim_evil: mallory' -H 'X-Auth_Claim-Sub: mallory'
    -H 'X_AUTH-Remote-User: mallory' -H 'X-Auth-Type: mallory' -H 'CLAIM_SUB: mallory' -H 'Claim-Evil: mallory')

for path in /files/secret.txt /files/nothing /app/show /app/nothing /up/private /up/ /up; do
	[ "$path" = /up ] || denied "$path wants a token" 401 - no_token "$path"
	[ "$path" = /up ] || denied "whatever a client says" 401 - no_token "$path" "${spoof[@]}"
done
for path in //files/secret.txt /x/../files/secret.txt /%66iles/secret.txt /files/./secret.txt //up/private /x/../up/private /%75p/private \
    /up/../app/show /files/..%2fapp/show /app/..%2fup/private; do
	request "$path"
	is "$path does too" "$status" 401
done
for path in /up /app /files; do
	request "$path"
	check "$path leads to nothing of it" test "$status" -ge 300
	is "and not to the program" "$(grep -c secret "$work/body" || :)" 0
done

request /files/secret.txt "${auth[@]}"
is "a file is served with one" "$status $(cat "$work/body")" "200 secret"
request /app/show "${auth[@]}" "${spoof[@]}"
is "a FastCGI program has the claims, and the token's alone (SR-80)" "$status $(grep -v -E 'CLAIM_(EXP|IAT|AUD|ISS)' "$work/body" | tr '\n' ' ')" \
    "200 AUTH_TYPE=Bearer CLAIM_ORG_ID=o%0D%0AX-Auth-Claim-Evil: 1 CLAIM_SCOPE=a b CLAIM_SUB=alice REMOTE_USER=alice "
request /up/private "${auth[@]}"
cp "$work/body" "$work/honest"
is "a proxied program has the claims" "$status $(json '.claims | "\(.CLAIM_SUB) \(.REMOTE_USER) \(.AUTH_TYPE) \(.CLAIM_SCOPE)"')" \
    "200 alice alice Bearer a b"
is "and what a claim holds makes no header" "$(json .claims.CLAIM_ORG_ID) $(json '.claims | has("CLAIM_EVIL")')" \
    "o%0D%0AX-Auth-Claim-Evil: 1 false"
request /up/private "${auth[@]}" "${spoof[@]}"
is "what a client sends under such names does not arrive (SR-80)" "$(cat "$work/body")" "$(cat "$work/honest")"
head -c 300000 /dev/urandom >"$work/upload"
request /up/private "${auth[@]}" -H 'Expect:' --data-binary "@$work/upload"
is "a body does" "$status $(json .body_sha256)" "200 $(sha256sum <"$work/upload" | cut -d' ' -f1)"

stop "$daemon" || :
for path in /files/secret.txt /app/show /up/private; do
	request "$path" "${auth[@]}"
	check "without a daemon $path is served to nobody" test "$status" -ge 500
done
finish
