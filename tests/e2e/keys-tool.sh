#!/bin/bash
# "bearergate keys": what it shows of each issuer, and --refresh, by which a running daemon learns of a withdrawn key.
# shellcheck disable=SC2317,SC2119 # functions that wait_for and check call
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/keys.inc
. "$(dirname "$0")/keys.inc"

begin
issuer_begin
make_cache
start_issuer --max-age 3600
discovery | put .well-known/openid-configuration
"$BG_TOOL" mint key -o "$work/other.pem"
"$BG_TOOL" mint jwks "$work/key.pem" "$work/other.pem" -o "$work/issuer/jwks.json"
openssl pkey -in "$work/key.pem" -pubout -out "$work/public.pem"
chmod 644 "$work/public.pem"

cat >"$work/bearergate.conf" <<EOF
ca_file   = "$work/ca/ca.pem"
cache_dir = "$work/cache"
audience  = { "$audience" }
issuer "$issuer" { }
issuer "https://file.example/" { jwks_file = "$work/public.pem" }
EOF

keys() { # keys ARGUMENT...: sets $said and $code
	code=0
	said=$("$BG_TOOL" keys -c "$work/bearergate.conf" -F "$bg_fetch" "$@" 2>"$work/keys.log") || code=$?
}

of() { # of JQ-FILTER: of the first issuer
	jq -r ".[0] | $1" <<<"$said"
}

keys
is "before anything was fetched the exit code tells" "$code" 69
check "and the table" grep -q 'never, as far as cache_dir tells' <<<"$said"
check "which has the file's key, for tokens of any kid" grep -q 'RSA 2048 .* any  *any, ' <<<"$said"
keys --json
is "as JSON has it" "$(of .state)" none
is "with the other issuer, which is well" "$(jq -r '.[1] | .state + " " + .source + " " + .keys[0].type' <<<"$said")" \
    "good jwks_file RSA 2048"

keys --refresh --json
is "--refresh fetches" "$code $(of .state)" "0 good"
is "both keys" "$(of '.keys | length')" 2
is "from where discovery says" "$(of .source) $(of .location)" "discovery ${issuer}jwks.json"
is "with the kid of each" "$(of '.keys[0].kid')" "$kid"
is "which is its thumbprint" "$(of '.keys[0].thumbprint')" "$kid"
check "and says until when they serve" test "$(of '.serves_until - .fetched')" -ge 86400
is "what it wrote belongs to the owner of cache_dir" "$(stat -c %u "$work"/cache/*.keys)" "$(stat -c %u "$work/cache")"
keys
is "the next time they come from there" "$code" 0
check "as the table says" grep -q 'good, from cache_dir' <<<"$said"
check "with their age" grep -q 'fetched .* ago' <<<"$said"
is "without asking" "$(grep -c -x 'ask GET /jwks.json' "$work/issuer.log")" 1

# A daemon takes up what --refresh brings, at once.
first_line() { # first_line KEY
	perl "$e2e/fcgi.pl" "unix:$work/tmp/bg.sock" REQUEST_METHOD=GET REQUEST_URI=/ REMOTE_ADDR=127.0.0.1 "HTTP_AUTHORIZATION=Bearer \
$("$BG_TOOL" mint token -k "$1" --iss "$issuer" --aud "$audience" --sub bob --expires 1h)" | tr -d '\r' | head -n 1
}
start_daemon "$work/daemon.log" -c "$work/bearergate.conf" -l "unix:$work/tmp/bg.sock"
is "the daemon starts with them" "$(first_line "$work/other.pem")" "Status: 200 OK"
"$BG_TOOL" mint jwks "$work/key.pem" -o "$work/issuer/next.json"
mv "$work/issuer/next.json" "$work/issuer/jwks.json"
is "and keeps a withdrawn key while it has no reason to ask" "$(first_line "$work/other.pem")" "Status: 200 OK"
keys --refresh
refused() {
	[ "$(first_line "$work/other.pem")" = "Status: 401 Unauthorized" ]
}
check "until --refresh has brought the set without it (SR-41)" wait_for 30 refused
is "the other key is still good" "$(first_line "$work/key.pem")" "Status: 200 OK"

stop "$issuer_pid" || :
keys --refresh --json
is "an issuer that is down is told by the exit code" "$code" 69
is "its keys still serve" "$(of '.state, (.keys | length)' | tr '\n' ' ')" "failing 1 "
check "and it is said what failed" grep -q 'bearergate-fetch: https://localhost' <<<"$(of .error)"
keys
check "in the table too" grep -q '^  failed .*ago: "bearergate-fetch: ' <<<"$said"

keys --fetch relative
is "a program to fetch with has an absolute path" "$code" 64
keys surplus
is "surplus words are refused" "$code" 64
chmod 777 "$work/cache"
keys
check "a directory that anybody may write to is not believed, and that is said" \
    grep -q 'may be written to by its group or by others' "$work/keys.log"
is "so that there are no keys" "$code" 69
finish
