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
# A refresh is due all the time, and one that hangs takes 40 s: a request that waited for it would show.
config 'cache_ttl_min = "1s"' 'cache_ttl_max = "1s"' 'refresh_cooldown = "1s"' 'stale_if_error = "1h"' 'fetch_timeout = "40s"'
start_gate
check "the issuer's key is known" wait_for 20 answers 200 "$(mint old)"

mint_to known.token old
start_load before --requests "$(pick 600 6000)" --rate 300 --clients 4 --token-file "$work/known.token"
wait_load before 200
no_wrong "before it hangs all is well" before

both_how 'how hang'
hung=$(asked)$(asked /.well-known/openid-configuration)
asked_again() {
	[ "$hung" != "$(asked)$(asked /.well-known/openid-configuration)" ]
}
check "it is asked, and hangs" wait_for 60 asked_again
start_load strangers --seconds 600 --rate 10 --clients 20 --uri /stranger --random-kids "$issuer" --expect 401,503
check "strangers wait for it" wait_for 60 parked
start_load known --requests "$(pick 1800 15000)" --rate 300 --clients 4 --token-file "$work/known.token"
wait_load known 300
no_wrong "while it hangs, known keys are as good as ever" known
is "no request with a known key waited for it" "$(report known '.sources[0].max_us < 20000000')" true
before=$(report before '.sources[0].p50_us')
during=$(report known '.sources[0].p50_us')
echo "half of the requests took at most $before us before, $during us while the issuer hung; the longest: $(report known '.sources[0].max_us') us"
check "nor was it about as fast as before" test "$during" -lt "$((before * 20 + 50000))"

# What hangs ends with the issuer, and with it the waiting of strangers.
stop "$issuer_pid" || :
check "strangers get their answer, more than there are" wait_for 90 lines_at_least 21 ' path="/stranger"' "$work/daemon.log"
end_load strangers
no_wrong "and are refused" strangers

both_how
start_issuer
publish new
check "when it answers again, so do we with what it says" wait_for 100 answers 200 "$(mint new)"
finish
