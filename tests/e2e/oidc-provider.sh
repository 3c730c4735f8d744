#!/bin/bash
# An issuer that nobody here wrote: the npm package oidc-provider; its tokens, got by client credentials, go through
# lighttpd.  See provider.inc.
# shellcheck disable=SC2317,SC2119 # functions that wait_for and check call
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/routes.inc
. "$(dirname "$0")/routes.inc"
# shellcheck source=tests/e2e/provider.inc
. "$(dirname "$0")/provider.inc"

need_packages oidc-provider
begin lighttpd node
start_provider

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
