#!/bin/bash
# An issuer that takes connections and never answers is nobody's trouble whose key is known (SR-51).
# shellcheck disable=SC2317,SC2119,SC2154 # functions that wait_for and check call; variables of keys.inc
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/keys.inc
. "$(dirname "$0")/keys.inc"

keys_begin
start_issuer
discovery | put .well-known/openid-configuration
# A refresh is due all the time, and one that hangs takes 2 s: a request that waited for it would show.
config 'cache_ttl_min = "1s"' 'cache_ttl_max = "1s"' 'refresh_cooldown = "1s"' 'stale_if_error = "1h"'
start_gate
check "the issuer's key is known" wait_for 20 answers 200 "$(mint old)"

mint_to known.token old
start_load before --seconds "$(pick 2 20)" --rate 300 --clients 4 --token-file "$work/known.token"
wait_load before 120
no_wrong "before it hangs all is well" before

both_how 'how hang'
wait_for 30 logged 'reason=fetch_failed' || die "the daemon does not notice that the issuer hangs"
seconds=$(pick 6 60)
hung=$(asked)$(asked /.well-known/openid-configuration)
start_load strangers --seconds "$seconds" --rate 10 --clients 20 --timeout 20000 --uri /stranger \
    --random-kids "$issuer" --expect 401,503
start_load known --seconds "$seconds" --rate 300 --clients 4 --token-file "$work/known.token"
wait_load known 200
wait_load strangers 60
no_wrong "while it hangs, known keys are as good as ever" known
no_wrong "and strangers are refused" strangers
check "it was asked meanwhile" test "$hung" != "$(asked)$(asked /.well-known/openid-configuration)"
is "no request with a known key took a second" "$(report known '.sources[0].max_us < 1000000')" true
before=$(report before '.sources[0].p99_us')
during=$(report known '.sources[0].p99_us')
echo "p99 before: $before us, while the issuer hung: $during us; the longest: $(report known '.sources[0].max_us') us;" \
    "strangers: $(report strangers '[.by_status, .sources[0].p50_us]')"
check "nor was it about as fast as before" test "$during" -lt "$((before * 20 + 50000))"

both_how
publish new
check "when it answers again, so do we with what it says" wait_for 100 answers 200 "$(mint new)"
finish
