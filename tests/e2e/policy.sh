#!/bin/bash
# Policies, locations, optional tokens, preflights and exports, through lighttpd and through Apache.
# shellcheck disable=SC2317,SC2119,SC2016 # functions that wait_for and check call; filters for jq
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

begin lighttpd apache2
"$BG_TOOL" mint key -a ES256 -o "$work/ec.pem"
"$BG_TOOL" mint jwks "$work/key.pem" "$work/ec.pem" -o "$work/keys.json"
cat >"$work/bearergate.conf" <<EOF
issuer "$issuer" {
  audience   = { "$audience" }
  algorithms = { "RS256", "ES256" }
  jwks_file  = "$work/keys.json"
}
preflight   = true
export_json = true
export "/realm_access/roles" { as = "CLAIM_REALM_ROLES" join = " " }
policy "eu-admins" {
  scope = { "read:messages" }
  claim "org_id" { equals = { "org_eu" } }
  any {
    claim "https://example.com/roles" { contains = { "admin" } }
    claim "/realm_access/roles"       { contains = { "admin" } }
  }
}
location "/api/policy" { policy = { "eu-admins" } }
location "/api/open"   { auth = "none" }
EOF
cat >"$work/lighttpd.more" <<EOF
alias.url += ( "/api/policy" => "$work/bin/show-claims", "/api/open" => "$work/bin/show-claims",
  "/api/maybe" => "$work/bin/show-claims", "/api/named" => "$work/bin/show-claims", "/api/nobody" => "$work/bin/show-claims" )
\$HTTP["url"] =^ "/api/maybe" { setenv.set-environment = ( "BEARERGATE_AUTH" => "optional" ) }
\$HTTP["url"] =^ "/api/named" { setenv.set-environment = ( "BEARERGATE_POLICY" => "eu-admins" ) }
\$HTTP["url"] =^ "/api/nobody" { setenv.set-environment = ( "BEARERGATE_POLICY" => "eu-admin" ) }
EOF
for route in policy open maybe named nobody; do
	printf 'ScriptAlias "/api/%s" "%s"\n' "$route" "$work/bin/show-claims"
done >"$work/apache.more"
cat >>"$work/apache.more" <<'EOF'
<Location "/api/maybe">
  SetEnvIf Request_URI ".*" BEARERGATE_AUTH=optional
</Location>
<Location "/api/named">
  SetEnvIf Request_URI ".*" BEARERGATE_POLICY=eu-admins
</Location>
<Location "/api/nobody">
  SetEnvIf Request_URI ".*" BEARERGATE_POLICY=eu-admin
</Location>
EOF

# What a person of no name is called: lighttpd has no REMOTE_USER then, Apache's example says "%none".
scenario() { # scenario NOBODY
	local nobody=$1 admin weak

	admin=$(token '.scope = "read:messages" | .org_id = "org_eu" | .realm_access = { roles: ["user", "admin"] }')
	weak=$(token '.scope = "read:messages" | .org_id = "org_us" | .realm_access = { roles: ["user", "admin"] }')

	bearer "$admin"
	allowed "a location's policy is met" /api/policy /api/policy \
	    '.CLAIM_ORG_ID == "org_eu" and .CLAIM_REALM_ROLES == "user admin"' "${auth[@]}"
	allowed "all claims arrive as JSON" /api/policy /api/policy \
	    '.CLAIMS_JSON | fromjson | .realm_access.roles == ["user", "admin"]' "${auth[@]}"
	allowed "a policy named by the server is met" /api/named /api/named '.CLAIM_ORG_ID == "org_eu"' "${auth[@]}"
	denied "a policy that does not exist lets nobody in" 500 internal_server_error bad_variable /api/nobody "${auth[@]}"
	bearer "$(token '.scope = "read:messages" | .org_id = "org_eu" | .["https://example.com/roles"] = ["admin"]')"
	allowed "the other alternative is met, in a claim whose name is a URL" /api/policy /api/policy \
	    '.CLAIM_ORG_ID == "org_eu"' "${auth[@]}"
	bearer "$weak"
	denied "a claim of another value is refused" 403 insufficient_scope claim_rule /api/policy "${auth[@]}"
	denied "also where the server names the policy" 403 insufficient_scope claim_rule /api/named "${auth[@]}"
	denied "also by another spelling of the path" 403 insufficient_scope claim_rule /api//./%70olicy "${auth[@]}"
	bearer "$(token '.org_id = "org_eu" | .realm_access = { roles: ["admin"] }')"
	denied "a policy's scope is demanded and named" 403 insufficient_scope no_scope /api/policy "${auth[@]}"
	denied "a policy needs a token" 401 - no_token /api/policy
	denied "a path that servers read differently is refused" 400 invalid_request bad_request '/api/open;x' "${auth[@]}"

	allowed "an open location needs no token, and nobody is there" /api/open /api/open \
	    ".REMOTE_USER == $nobody and .CLAIM_SUB == \"\" and .CLAIMS_JSON == \"\" and .AUTH_TYPE == \"\""
	allowed "an open location takes no claims from a token" /api/open /api/open '.CLAIM_SUB == ""' "${auth[@]}"
	request '/api/open/../private'
	is "an open location is no way out of it" "$status" 401
	allowed "an optional token may be missing" /api/maybe /api/maybe ".REMOTE_USER == $nobody and .CLAIM_SUB == \"\""
	allowed "an optional token that is good counts" /api/maybe /api/maybe '.CLAIM_SUB == "alice"' "${auth[@]}"
	bearer "$(token '.exp = $now - 3600')"
	denied "an optional token that is bad is refused" 401 invalid_token expired /api/maybe "${auth[@]}"

	request /api/policy -X OPTIONS -H 'Origin: https://app.example' -H 'Access-Control-Request-Method: GET'
	is "a CORS preflight passes" "$status $(json .claims.CLAIM_SUB)" "200 "
	denied "a plain OPTIONS does not" 401 - no_token /api/policy -X OPTIONS
	denied "nor does a GET dressed as one" 401 - no_token /api/policy \
	    -H 'Origin: https://app.example' -H 'Access-Control-Request-Method: GET'

	bearer "$("$BG_TOOL" mint token -k "$work/ec.pem" --iss "$issuer" --aud "$audience" --sub carol)"
	allowed "an ES256 token is let in where the issuer lists it" /api/private /api/private '.CLAIM_SUB == "carol"' "${auth[@]}"
	bearer "$("$BG_TOOL" mint token -a PS256 -k "$work/key.pem" --iss "$issuer" --aud "$audience" --sub carol)"
	denied "a PS256 token is not, where it does not (SR-1)" 401 invalid_token bad_algorithm /api/private "${auth[@]}"
	bearer "$(token '.aud = "client-1" | .nonce = "n"')"
	denied "an ID token is named as what it is" 401 invalid_token id_token /api/private "${auth[@]}"
}

start_daemon "$work/daemon.log" -c "$work/bearergate.conf" -l "unix:$work/tmp/bg.sock" -l 127.0.0.1:0
start_server lighttpd "$work/tmp/bg.sock" "$work/lighttpd.more"
scenario '""'
stop "$server" || :
start_server apache "127.0.0.1:$daemon_port" "$work/apache.more"
scenario '"%none"'
finish
