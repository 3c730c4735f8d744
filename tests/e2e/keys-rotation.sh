#!/bin/bash
# Keys from an issuer that changes them, under load: with both keys in the set for a while, and from one moment to the next.
# shellcheck disable=SC2317,SC2119,SC2154 # functions that wait_for and check call; variables of keys.inc
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/keys.inc
. "$(dirname "$0")/keys.inc"

keys_begin
start_issuer
discovery | put .well-known/openid-configuration

# With overlap: the old key, both, clients change one after the other, the new one.  A refresh comes every second.

config 'cache_ttl_min = "1s"' 'cache_ttl_max = "1s"' 'refresh_cooldown = "1s"'
start_gate
check "the first key is known" wait_for 20 answers 200 "$(mint old)"

last_are() { # last_are NAME: have the last requests all come with this key?
	[ "$(grep -F ' kid=' "$work/daemon.log" | tail -n 100 | grep -c -F -e "kid=\"$(kid_of "$1")\"")" = 100 ]
}

sets_fetched() { # sets_fetched N COUNT: has the daemon said N times that it has another set, of COUNT keys?
	lines_at_least "$1" "fetched=$2 " "$work/daemon.log"
}

mint_to a.token old
mint_to b.token old
start_load overlap --seconds 600 --rate 300 --clients 8 --token-file "$work/a.token" --token-file "$work/b.token"
from=old
rounds=$(pick 2 20)
for ((round = 1; round <= rounds; round++)); do
	to=next$round
	"$BG_TOOL" mint key -o "$work/$to.pem"
	wait_for 60 last_are "$from" || die "round $round: the clients do not run"
	publish "$from" "$to"
	wait_for 30 sets_fetched "$round" 2 || die "round $round: the daemon did not fetch both keys"
	mint_to a.token "$to"
	wait_for 60 decided 20 allow "$to" || die "round $round: the new token is not used"
	mint_to b.token "$to"
	wait_for 60 last_are "$to" || die "round $round: the clients do not all use the new token"
	publish "$to"
	wait_for 30 sets_fetched "$((round + 1))" 1 || die "round $round: the daemon did not fetch the new key alone"
	from=$to
done
wait_for 60 last_are "$from" || die "the clients do not run"
end_load overlap
no_wrong "changes of keys that overlap, $rounds of them, are nobody's trouble" overlap
is "a key that was withdrawn is refused (SR-41)" "$(status_of "$(mint old)")" 401
stop "$daemon" || :

# Without: the set is the new key's alone, and then the new token comes.  Only that token makes us ask, so nothing else may
# have made us ask within the cooldown before (SR-50).

publish old
config 'cache_ttl_min = "1h"' 'cache_ttl_max = "1h"' 'refresh_cooldown = "1s"'
start_gate
check "the key is known" wait_for 20 answers 200 "$(mint old)"
cooled_down() { # cooled_down MS: is that time of the clock a cooldown ago?
	[ "$(date +%s%3N)" -gt "$(($1 + 1000))" ]
}

# Has nothing made us ask for a cooldown?  Requests of loads that have ended may have been left in the daemon's queue, before ours.
rested() {
	local before

	answers 200 "$known" || return 1
	before=$(asked)
	wait_for 30 cooled_down "$(date +%s%3N)" && [ "$(asked)" = "$before" ]
}
from=old
rounds=$(pick 2 20)
for ((round = 1; round <= rounds; round++)); do
	to=after$round
	"$BG_TOOL" mint key -o "$work/$to.pem"
	mint_to changing.token "$from"
	mint_to held.token "$from"
	# One client holds on to its token, so that its answers have an order.  Of the others, each may have a request
	# with the old token on the way when the daemon learns of the new one.
	start_load held --seconds 600 --rate 100 --clients 1 --uri /held --token-file "$work/held.token" --expect 200,401
	start_load changing --seconds 600 --rate 300 --clients 6 --uri /changing --token-file "$work/changing.token" \
	    --expect 200,401
	wait_for 60 decided 50 allow "$from" /changing || die "round $round: the clients do not run"
	wait_for 60 decided 20 allow "$from" /held || die "round $round: the client does not run"
	is "round $round: nobody is refused before the change" "$(decisions "$from" | grep -c deny)" 0
	known=$(mint "$from")
	wait_for 20 rested || die "round $round: the issuer is asked all the time"
	publish "$to"
	mint_to changing.token "$to"
	wait_for 60 decided 100 allow "$to" /changing || die "round $round: the new token is not let in"
	wait_for 60 decided 50 deny "$from" /held ||
	    verdict "round $round: the old token is refused" "it is not: $(decisions "$from" /held | sort | uniq -c)"
	end_load changing
	end_load held
	no_wrong "round $round: who changes the token is answered" changing
	no_wrong "round $round: so is who does not" held
	is "round $round: the new token was good from the first on" "$(decisions "$to" | grep -c deny)" 0
	is "round $round: the old one good until it was bad (SR-41)" \
	    "$(decisions "$from" /held | uniq | tr '\n' ' ')" "allow deny "
	check "round $round: others had it on the way, once at most" \
	    test "$(report changing '.by_status["401"] // 0')" -le 6
	from=$to
done
finish
