#!/bin/bash
# The issuer is down while the daemon is started anew: what is on disk serves, for as long as it may.
# shellcheck disable=SC2317,SC2119,SC2154 # functions that wait_for and check call; variables of keys.inc
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/keys.inc
. "$(dirname "$0")/keys.inc"

keys_begin
start_issuer
discovery | put .well-known/openid-configuration
make_cache
good=$(mint old)

# With a lifetime of its own.

config "cache_dir = \"$cache\"" 'stale_if_error = "1h"'
start_gate
check "the issuer's key is known" wait_for 20 answers 200 "$good"
check "and kept" wait_for 30 cached
stop "$daemon" || :
stop "$issuer_pid" || :
start_gate
is "without the issuer the first request after a restart is let in" "$(status_of "$good")" 200
check "since the set was on disk" wait_for 30 logged 'taken_from_disk=1'
is "a key that is not in the set is refused or cannot be judged" \
    "$(status_of "$(mint new)" | grep -x -e 401 -e 503 >/dev/null && echo so)" so
is "and the one that is remains good" "$(status_of "$good")" 200
stop "$daemon" || :

# Beyond its time.

start_issuer
config "cache_dir = \"$cache\"" 'cache_ttl_min = "1s"' 'cache_ttl_max = "1s"' 'stale_if_error = "2s"'
start_gate
check "the issuer's key is known again" wait_for 20 answers 200 "$good"
stop "$issuer_pid" || :
check "a set beyond its time serves no more (SR-45)" wait_for 60 answers 503 "$good"
is "the client is told when to come again" "$(ask "$good" | grep -c -E '^Retry-After: [1-9][0-9]*$')" 1
check "the log says why" wait_for 30 logged 'reason=no_keys'
stop "$daemon" || :
start_gate
is "a restart does not make it any younger" "$(status_of "$good")" 503
check "which is said" wait_for 30 logged 'the set on disk is'
is "with the time to come again" "$(ask "$good" | grep -c -E '^Retry-After: [1-9][0-9]*$')" 1
start_issuer
check "when the issuer is back, so is everybody" wait_for 100 answers 200 "$good"
finish
