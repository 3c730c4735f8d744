#!/bin/bash
# A key set that has not changed is confirmed, not sent again: If-None-Match, RFC 9110 section 13.1.2.
# shellcheck disable=SC2317,SC2119,SC2154 # functions that wait_for and check call; variables of keys.inc
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/keys.inc
. "$(dirname "$0")/keys.inc"

keys_begin
start_issuer
discovery | put .well-known/openid-configuration
config 'cache_ttl_min = "1s"' 'cache_ttl_max = "1s"' 'stale_if_error = "0s"' 'refresh_cooldown = "1h"'
start_gate
check "the issuer's key is known" wait_for 20 answers 200 "$(mint old)"
mint_to good.token old
# Nothing serves beyond a second that was not confirmed.
start_load confirmed --seconds 600 --rate 100 --clients 4 --token-file "$work/good.token"
wait_for 60 has_begun confirmed || die "no load"
confirmed=$(grep -c -x 'GET /jwks.json 304' "$work/issuer.log" || :)
check "refreshes are answered 304" wait_for 60 answered "$((confirmed + 3))" 'GET /jwks.json 304'
end_load confirmed
no_wrong "and confirm what we have" confirmed
is "which was sent once" "$(grep -c -x 'GET /jwks.json 200' "$work/issuer.log")" 1
publish old new
# Whether it is known shows in the log: a request would make us ask.
check "another set is sent" wait_for 30 answered 2 'GET /jwks.json 200'
check "and taken" wait_for 20 logged 'fetched=2'
is "a key of it is good" "$(status_of "$(mint new)")" 200
is "so is the one that stayed" "$(status_of "$(mint old)")" 200
sent=$(grep -c -x 'GET /jwks.json 304' "$work/issuer.log" || :)
check "that one is confirmed in turn" wait_for 30 answered "$((sent + 2))" 'GET /jwks.json 304'
is "it was sent once" "$(grep -c -x 'GET /jwks.json 200' "$work/issuer.log")" 2
how jwks.json no-etag
check "an issuer without ETags sends it each time" wait_for 30 answered 4 'GET /jwks.json 200'
is "which is as good" "$(status_of "$(mint new)")" 200
finish
