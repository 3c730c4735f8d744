#!/bin/bash
# A flood of tokens with kids that nobody knows: the issuer is asked once in a cooldown, and others do not notice (SR-50).
# shellcheck disable=SC2317,SC2119,SC2154 # functions that wait_for and check call; variables of keys.inc
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/keys.inc
. "$(dirname "$0")/keys.inc"

keys_begin
start_issuer
discovery | put .well-known/openid-configuration
cooldown=2
config 'cache_ttl_min = "1h"' 'cache_ttl_max = "1h"' "refresh_cooldown = \"${cooldown}s\""
start_gate
check "the issuer's key is known" wait_for 20 answers 200 "$(mint old)"
is "and was asked for once" "$(asked)" 1

mint_to known.token old
begun=$(date +%s%3N)
start_load known --seconds 600 --rate 100 --clients 4 --token-file "$work/known.token"
start_load flood --seconds "$(pick 3 10)" --rate 10000 --clients 64 --timeout 20000 --uri /flood \
    --random-kids "$issuer" --expect 401
wait_load flood 120
end_load known
took=$(($(date +%s%3N) - begun))
no_wrong "strangers are refused" flood
no_wrong "others are not" known
times=$(asked)
most=$((1 + (took + cooldown * 1000 - 1) / (cooldown * 1000) + 1))
echo "asked for the key set $times times, at most $most; flood $(report flood '[.requests, .rate, .by_status]')" \
    "p99 $(report flood '.sources[0].p99_us') us; others' p99 $(report known '.sources[0].p99_us') us," \
    "longest $(report known '.sources[0].max_us') us"
check "the issuer was asked because of them" test "$times" -ge 2
check "once in a cooldown (SR-50)" test "$times" -le "$most"
is "and never for anything else" "$(grep '^ask' "$work/issuer.log" | sort -u | wc -l)" 2
publish old new
check "a key that is new is learnt all the same" wait_for 30 answers 200 "$(mint new)"
finish
