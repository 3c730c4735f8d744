#!/bin/bash
# Strangers whose made-up kids wait for an issuer that hangs do not use up the descriptors that others need (SR-51).
# shellcheck disable=SC2317,SC2119,SC2154 # functions that wait_for and check call; variables of keys.inc
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/keys.inc
. "$(dirname "$0")/keys.inc"

keys_begin prlimit
start_issuer
discovery | put .well-known/openid-configuration
config 'cache_ttl_min = "1s"' 'cache_ttl_max = "1s"' 'refresh_cooldown = "1s"' 'stale_if_error = "1h"' 'fetch_timeout = "40s"'
bg_unprivileged+=(prlimit --nofile=160:160)
start_gate
worker=$(worker_of "$daemon")
is "it has few descriptors" "$(sed -n 's/^Max open files *\([0-9]*\) .*/\1/p' "/proc/$worker/limits")" 160
check "the issuer's key is known" wait_for 20 answers 200 "$(mint old)"
both_how 'how hang'
hung=$(asked)$(asked /.well-known/openid-configuration)
asked_again() {
	[ "$hung" != "$(asked)$(asked /.well-known/openid-configuration)" ]
}
check "it is asked, and hangs" wait_for 60 asked_again

mint_to known.token old
start_load strangers --seconds 600 --clients 200 --uri /stranger --random-kids "$issuer" --expect 401,503,000
# A quarter of the descriptors.
check "as many as may are parked at once" wait_for 30 parked '.parked >= 40'
start_load known --requests "$(pick 2000 20000)" --rate 1000 --clients 4 --token-file "$work/known.token"
wait_load known 300
end_load strangers
no_wrong "while two hundred of them wait, known keys are let in" known
is "none of them had to wait for the issuer" "$(report known '.sources[0].max_us < 20000000')" true
check "strangers were many" test "$(report strangers .requests)" -ge 100
finish
