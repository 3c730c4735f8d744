#!/bin/bash
# An issuer that nobody here wrote: the npm package oidc-provider, a certified OpenID Provider, over TLS with an
# authority made for this test; its tokens, got by client credentials, go through lighttpd.
# BG_NODE_MODULES: the directory that holds the package's node_modules; scripts/check installs it.
# shellcheck disable=SC2317,SC2119 # functions that wait_for and check call
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/routes.inc
. "$(dirname "$0")/routes.inc"

command -v node >/dev/null || skip "node is not installed"
[ -n "${BG_NODE_MODULES:-}" ] || skip "BG_NODE_MODULES does not say where the package oidc-provider is"
modules=$(realpath -m "$BG_NODE_MODULES/node_modules")
[ -e "$modules/oidc-provider/package.json" ] || skip "there is no package oidc-provider in BG_NODE_MODULES"
begin lighttpd node

# An authority, and a certificate of it for localhost.
authority() {
	openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=bearergate test authority" \
	    -addext "basicConstraints=critical,CA:TRUE" -addext "keyUsage=critical,keyCertSign" \
	    -keyout "$work/ca.key" -out "$work/ca.pem"
	openssl req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout "$work/tls.key" -out "$work/tls.csr"
	openssl x509 -req -in "$work/tls.csr" -CA "$work/ca.pem" -CAkey "$work/ca.key" -set_serial 2 -days 2 \
	    -extfile <(printf 'subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n') -out "$work/tls.pem"
}
authority >"$work/openssl.log" 2>&1 || die "openssl made no certificate"

# import looks for packages beside the file, so the file goes where they are.
cp "$e2e/oidc-provider/provider.mjs" "$work/provider.mjs"
ln -s "$modules" "$work/node_modules"
secret=$(openssl rand -hex 24)
node "$work/provider.mjs" "$work/tls.key" "$work/tls.pem" "$secret" </dev/null >"$work/provider.log" 2>&1 &
provider=$!
bg_pids+=("$provider")
provider_is_up() {
	gone "$provider" || lines_at_least 1 'listening on' "$work/provider.log"
}
if ! wait_for 30 provider_is_up || gone "$provider"; then
	die "the provider did not start"
fi
issuer=https://localhost:$(sed -n 's/^listening on //p' "$work/provider.log")

grant() { # grant RESOURCE [SCOPE]: an access token by client credentials.  RFC 6749 section 4.4, RFC 8707 section 2
	curl -s -f --max-time 30 --cacert "$work/ca.pem" -u "robot:$secret" \
	    --data-urlencode grant_type=client_credentials --data-urlencode "resource=$1" \
	    ${2:+--data-urlencode "scope=$2"} "$issuer/token" | jq -r .access_token
}

cat >"$work/bearergate.conf" <<EOF
ca_file = "$work/ca.pem"
issuer "$issuer" {
  audience = { "$audience" }
}
EOF
start_daemon "$work/daemon.log" -c "$work/bearergate.conf" -l "unix:$work/tmp/bg.sock"
start_server lighttpd "$work/tmp/bg.sock"

good=$(grant "$audience" read:messages)
is "the provider gives a JWT access token (RFC 9068)" \
    "$(printf '%s==' "${good%%.*}" | tr '_-' '/+' | base64 -d 2>/dev/null | jq -r '.typ + " " + .alg')" "at+jwt RS256"
bearer "$good"
allowed "its token is let in" /api/private /api/private ".CLAIM_ISS == \"$issuer\" and .CLAIM_AUD == \"$audience\"
    and .CLAIM_CLIENT_ID == \"robot\" and .REMOTE_USER == .CLAIM_SUB" "${auth[@]}"
allowed "and has its scope" /api/private-scoped /api/private-scoped '.CLAIM_SCOPE == "read:messages"' "${auth[@]}"

IFS=. read -ra parts <<<"$good"
for i in 0 1 2; do
	bearer "$(changed_in "$i" "${parts[@]}")"
	request /api/private "${auth[@]}"
	is "with one byte changed in segment $((i + 1)) it is refused" "$status $(json .detail.error)" "401 invalid_token"
done
bearer "$(changed_in 2 "${parts[@]}")"
denied "a changed signature is a bad signature" 401 invalid_token bad_signature /api/private "${auth[@]}"
bearer "$(grant https://other.example read:messages)"
denied "its token for another API is refused" 401 invalid_token wrong_audience /api/private "${auth[@]}"
bearer "$(grant "$audience")"
allowed "its token without a scope is let in where none is wanted" /api/private /api/private 'has("CLAIM_SCOPE") == false' \
    "${auth[@]}"
denied "and refused where one is" 403 insufficient_scope no_scope /api/private-scoped "${auth[@]}"
bearer "$(grant "$audience" write:messages)"
denied "as is one with another scope" 403 insufficient_scope no_scope /api/private-scoped "${auth[@]}"
finish
