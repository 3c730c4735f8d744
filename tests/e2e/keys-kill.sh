#!/bin/bash
# Daemon and fetcher killed at any moment: what is on disk is whole, and nobody is left behind.
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
# A fetcher without an answer lives until it is killed.
config "cache_dir = \"$cache\"" 'cache_ttl_min = "1s"' 'cache_ttl_max = "1s"' 'stale_if_error = "1h"' 'fetch_timeout = "60s"'

let_go() { # nothing of ours runs any more
	wait_for 20 no_fetchers || verdict "$1: no fetcher is left behind" "still there: $(fetchers)"
}

asked_more_than() { # asked_more_than N: has the issuer been asked for its keys more often?
	[ "$(asked)" -gt "$1" ]
}

one_fetcher() { # those that have had their answer are gone, which may take them a moment
	[ "$(fetchers | wc -l)" -eq 1 ]
}

hangs() { # a fetcher comes that gets no answer, so that it does not end before it is killed, and no other is there
	local sets

	how jwks.json 'how hang'
	sets=$(asked)
	wait_for 60 asked_more_than "$sets" && wait_for 20 one_fetcher
}

# The daemon.  Both sets in turn, so that each refresh writes another record; one that was left half written is in
# the way of none.

start_gate
check "the issuer's key is known" wait_for 20 answers 200 "$good"
check "and kept" wait_for 30 cached
record=$(compgen -G "$cache/*.keys")
kill_gate
rounds=$(pick 15 60)
bad=
left=0
taken=0
for ((round = 1; round <= rounds; round++)); do
	case $((round % 3)) in
	0) publish old new ;;
	1) publish old ;;
	2) head -c "$((RANDOM % 300))" "$record" >"$record.new" ;;
	esac
	both_how
	start_gate
	# Some in the middle of a refresh, some at any time, of a second and more in which one certainly comes.
	seen=$(asked)
	[ $((round % 2)) -eq 0 ] || wait_for 60 asked_more_than "$seen" || die "round $round: no refresh"
	sleep "$(printf '0.%03d' $((RANDOM % (round % 2 ? 80 : 500))))"
	kill_gate
	[ ! -e "$record.new" ] || left=$((left + 1))
	both_how 'how hang'
	start_gate
	code=$(status_of "$good")
	[ "$code" = 200 ] || bad+="round $round: $code, $(grep reason= "$work/daemon.log" | head -n 1)"$'\n'
	! logged 'taken_from_disk' || taken=$((taken + 1))
	! logged 'reason=bad_cache' || bad+="round $round: $(grep -F bad_cache "$work/daemon.log" | head -n 1)"$'\n'
	kill_gate
done
verdict "killed at any moment, $rounds times, it starts with what is on disk and no issuer" "$bad"
is "and from nowhere else" "$taken" "$rounds"
echo "a record that was not finished was there after $left of $rounds kills"
let_go "after kills of the daemon"
both_how
printf 'half' >"$record.new"
start_gate
check "what a kill left behind is in nobody's way" wait_for 20 test ! -e "$record.new"
is "and the daemon as good as ever" "$(status_of "$good")" 200
is "with one record, which everybody may read" "$(cd "$cache" && stat -c '%a %n' -- *.keys)" "644 ${record##*/}"

# The fetcher: the daemon goes on, and takes notice of its end.

bad=
rounds=$(pick 4 20)
for ((round = 1; round <= rounds; round++)); do
	if ! hangs; then
		bad+="round $round: no fetcher came"$'\n'
		break
	fi
	sleep "$(printf '0.%03d' $((RANDOM % 300)))"
	kill -KILL "$(fetchers)" || bad+="round $round: the fetcher ended by itself"$'\n'
	answers 200 "$good" || bad+="round $round: $(ask "$good" | head -n 1)"$'\n'
	wait_for 20 lines_at_least "$round" 'was ended by signal 9' "$work/daemon.log" ||
	    bad+="round $round: the log does not say it: $(tail -n 3 "$work/daemon.log")"$'\n'
	wait_for 20 no_zombies || bad+="round $round: nobody took notice"$'\n'
	# The next try is 1, 2, 4 seconds and more away, and after a good fetch it is the first again.
	how jwks.json
	sets=$(asked)
	wait_for 30 asked_more_than "$sets" || bad+="round $round: it was not asked again"$'\n'
done
verdict "a fetcher killed is no reason to let nobody in, $rounds times" "$bad"
hangs || die "no fetcher came"
check "a daemon told to end in the middle of a fetch ends" stop "$daemon"
let_go "after a daemon that was told to end"
check "and nothing of it is left" no_fetchers
finish
