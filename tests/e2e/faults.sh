#!/bin/bash
# What a machine can do to the daemon: a disk that is full, below its log, its cache and its replay store at once, and a clock
# that is set forth and back.  It goes on with what it may, never lets a proof in twice, and recovers by itself.
# shellcheck disable=SC2317,SC2119,SC2154 # functions that wait_for and check call; variables of keys.inc and replay.inc

# The disk is a small one of our own, in a mount namespace that ends with this script.
if [ "$(id -u)" -eq 0 ] && [ -z "${BG_FAULTS_INSIDE:-}" ] && unshare -m --propagation private mount -t tmpfs tmpfs /mnt 2>/dev/null; then
	exec env BG_FAULTS_INSIDE=yes unshare -m --propagation private bash "$0" "$@"
fi
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/keys.inc
. "$(dirname "$0")/keys.inc"
# shellcheck source=tests/e2e/replay.inc
. "$(dirname "$0")/replay.inc"

replay_begin
needs_store "lmdb:$work/stores/probe"
issuer_begin
shift_so=$(realpath "${top_builddir:-.}/tests/support/shift.so")
[ -e "$shift_so" ] || die "no $shift_so: make check builds it"
cp "$shift_so" "$work/bin/shift.so"
cp "$work/key.pem" "$work/old.pem"
for name in second third fourth; do
	"$BG_TOOL" mint key -o "$work/$name.pem"
done
publish old
start_issuer
discovery | put .well-known/openid-configuration
# The clock, as daemons and clients see it that are started by these words.

set_clock() { # set_clock SECONDS: so far ahead of the machine's it is from now on
	perl -e 'print pack("q", shift)' -- "$1" >"$work/next.ahead"
	dd if="$work/next.ahead" of="$work/ahead" conv=notrunc status=none
}

clocked=(env LD_PRELOAD="$work/bin/shift.so" BG_SHIFT="$work/ahead" ASAN_OPTIONS="${ASAN_OPTIONS:-}:verify_asan_link_order=0")

clocked_mint() { # clocked_mint NAME [OPTION...]: a token by the clock as it is set
	"${clocked[@]}" "$BG_TOOL" mint token -k "$work/$1.pem" --iss "$issuer" --aud "$audience" --sub "$1" --expires 144h "${@:2}"
}

# Tokens of two days ago, for four days more: they are good by any clock in here.
printf '\0\0\0\0\0\0\0\0' >"$work/ahead"
chmod 644 "$work/ahead"
set_clock -172800
for name in old second third fourth; do
	eval "${name}_token=\$(clocked_mint $name)"
done
clocked_mint old --dpop-key "$work/client.pem" >"$work/bound"
set_clock 0

configure() { # configure NAME [LINE...]: with these lines on top
	local name=$1

	shift
	{
		printf '%s\n' "$@" 'fetch_timeout = "20s"' "ca_file = \"$work/ca/ca.pem\"" 'public_url = "https://api.example"'
		printf 'issuer "%s" { audience = { "%s" } }\n' "$issuer" "$audience"
	} >"$work/$name.conf"
}

run_gate() { # run_gate NAME [COMMAND...]: by that command; sets $daemon and $name.  It may log elsewhere
	name=$1
	shift
	start "$work/$name.out.log" "$@" "$bg_fcgi" -F "$bg_fetch" -c "$work/$name.conf" -l "unix:$work/tmp/$name.sock"
	daemon=$started
}

judged() { # judged [TOKEN]: the status, by the daemon $name
	timeout 20 perl "$e2e/fcgi.pl" "unix:$work/tmp/$name.sock" REQUEST_METHOD=GET REQUEST_URI=/api/private REMOTE_ADDR=127.0.0.1 \
	    ${1:+"HTTP_AUTHORIZATION=Bearer $1"} 2>/dev/null | sed -n '1s/^Status: \([0-9]*\).*/\1/p' || :
}

is_judged() { # is_judged STATUS TOKEN
	[ "$(judged "$2")" = "$1" ]
}

outcome() { # outcome PROOF: the status
	use_proof "$name" "$1"
	printf '%s' "$status"
}

is_proven() { # is_proven STATUS: a new proof is answered so
	[ "$(outcome "$(mint_proof)")" = "$1" ]
}

figure() { # figure JQ-FILTER: of the daemon's own page
	perl "$e2e/fcgi.pl" "unix:$work/tmp/$name.sock" --responder BEARERGATE_PAGE=status REQUEST_METHOD=GET REQUEST_URI=/s \
	    SCRIPT_NAME=/s QUERY_STRING=json | sed '1,/^\r$/d' | jq -r "$1" 2>&1 || :
}

forged=${old_token%.*}.$(other_character "${old_token##*.}" 20)

judges() { # judges WHEN: what it does with tokens
	is "$1: a good token passes" "$(judged "$old_token")" 200
	is "$1: a forged one does not, nor does none" "$(judged "$forged") $(judged)" "401 401"
}

# A disk that is full.

fill() {
	dd if=/dev/zero of="$small/filler" bs=4096 status=none 2>/dev/null || :
	printf x 2>/dev/null >"$small/more" || :
	! [ -s "$small/more" ] || die "the disk is not full"
}

make_room() {
	rm "$small/filler"
}

takes_no_proof() { # spends another one, in $work/spent if it passed, in $work/refused if not
	local proof

	proof=$(mint_proof)
	case $(outcome "$proof") in
	200) printf '%s\n' "$proof" >>"$work/spent" ;;
	503) printf '%s\n' "$proof" >>"$work/refused"; return 0 ;;
	esac
	return 1
}

each_is() { # each_is FILE: the statuses of all proofs in it, used once more
	local proof

	while IFS= read -r proof; do
		printf '%s\n' "$(outcome "$proof")"
	done <"$1" | sort -u | xargs
}

in_log() { # in_log REGEX
	grep -q -E -e "$1" "$small/daemon.log"
}

in_cache() { # in_cache NAME: is that key in the record?
	grep -q -F -e "$(kid_of "$1")" "$small"/cache/*.keys 2>/dev/null
}

disk_full() {
	local worker pages

	mkdir "$small/cache" "$small/replay"
	chown www-data:www-data "$small" "$small/cache" "$small/replay"
	configure full "log = \"$small/daemon.log\"" "cache_dir = \"$small/cache\"" "replay = \"lmdb:$small/replay\"" \
	    'cache_ttl_min = "1s"' 'cache_ttl_max = "1s"' 'refresh_cooldown = "1s"' 'replay_max_proofs = 10000'
	run_gate full
	check "a daemon on a small disk serves" wait_for 20 is_judged 200 "$old_token"
	check "it keeps its keys there" wait_for 20 in_cache old
	check "and its proofs" takes_a_proof
	worker=$(worker_of "$daemon")

	fill
	judges "the disk is full"
	check "the disk is full: at some time a proof cannot be noted, which is 503" wait_for 60 takes_no_proof
	is "which has its reason" "$(figure '.refused.store_down >= 1')" true
	for _ in 1 2 3; do
		takes_no_proof || :
	done
	is "none of those that passed passes again" "$(each_is "$work/spent")" 400
	is "nor do those that did not" "$(each_is "$work/refused" | grep -c 200 || :)" 0
	publish old second
	check "a new key of the issuer's is good, though it cannot be kept" wait_for 20 is_judged 200 "$second_token"
	check "and the old one is" is_judged 200 "$old_token"
	check "while it is not on the disk" not in_cache second
	for _ in {1..200}; do
		judged "$forged" >/dev/null
	done

	make_room
	check "there is room again: a proof passes" wait_for 30 is_proven 200
	is "none of those that had passed does" "$(each_is "$work/spent")" 400
	judged >/dev/null
	check "the log says how many lines were lost" wait_for 30 in_log ' warning [0-9]+ lines of the log were lost'
	check "the new key is kept by and by" wait_for 20 in_cache second
	judges "there is room again"
	is "and no process has died" "$(worker_of "$daemon")" "$worker"

	# A start while it is full.
	stop "$daemon" || :
	fill
	run_gate full
	check "a start on a full disk either serves or says why" wait_for 20 has_started_or_said
	! gone "$daemon" || printf '#   it says: %s\n' "$(cat "$work/full.out.log")"
	if ! gone "$daemon"; then
		judges "after a start on a full disk"
		is "none of those proofs passes" "$(each_is "$work/spent" | grep -c 200 || :)" 0
	fi
	stop "$daemon" || :
	for pages in 0 1 2 4; do
		rm -rf "$small"/replay/* "$small"/cache/* "$small/filler"
		: >"$small/daemon.log"
		fill
		truncate -s "-$((pages * 4096))" "$small/filler"
		: >"$work/full.out.log"
		run_gate full
		check "a start with room for $pages pages and no store either serves or says why" wait_for 20 has_started_or_said
		! gone "$daemon" || check "by itself" ends_well
		is "no worker dies" "$(cat "$work/full.out.log" "$small/daemon.log" | grep -c 'was ended by signal' || :)" 0
		stop "$daemon" || :
		sed 's/^/#   it says: /' "$work/full.out.log"
	done
	make_room
	run_gate full
	check "with room all is as before" wait_for 20 is_judged 200 "$old_token"
	check "proofs too" wait_for 60 is_proven 200
	stop "$daemon" || :
}

has_started_or_said() {
	is_judged 200 "$old_token" || { gone "$daemon" && [ -s "$work/full.out.log" ]; }
}

ends_well() { # not by a signal
	local code=0

	stop "$daemon" || code=$?
	[ "$code" -lt 126 ]
}

not() {
	! "$@"
}

takes_a_proof() {
	! takes_no_proof && [ -s "$work/spent" ]
}

# A clock that is set.

proof_now() { # a client's, whose clock is set with ours
	"${clocked[@]}" "$BG_TOOL" mint proof -k "$work/client.pem" --method GET --url "$proven" --token-file "$work/bound"
}

is_proven_now() { # is_proven_now STATUS
	[ "$(outcome "$(proof_now)")" = "$1" ]
}

cpu() { # hundredths of a second that daemon and worker have used
	cat "/proc/$daemon/stat" "/proc/$worker/stat" | sed 's/.*) //' | awk '{ n += $12 + $13 } END { print n }'
}

asked_more() { # asked_more THAN
	[ "$(asked)" -gt "$1" ]
}

keeps_asking() { # keeps_asking WHEN: the issuer, as often as before, and rests in between
	local before used begun

	begun=$SECONDS
	before=$(asked)
	used=$(cpu)
	check "$1: keys are refreshed" wait_for 20 asked_more "$((before + 2))"
	check "$1: not in a loop" test "$(($(asked) - before))" -le "$((3 + 2 * (SECONDS - begun + 1)))"
	check "$1: nor is anything else" test "$(($(cpu) - used))" -le "$((50 * (SECONDS - begun + 1)))"
}

clock_set() {
	local worker now timed later first second

	now=$(date +%s)
	later=$(token ".nbf = $((now + 1800)) | .exp = $((now + 5400))")
	timed=$(rs256 "{\"alg\":\"RS256\",\"typ\":\"at+jwt\",\"kid\":\"$kid\"}" "$(payload ".exp = $((now + 1800))")")
	make_cache
	publish old
	configure clock "cache_dir = \"$cache\"" "replay = \"lmdb:$work/stores/clock\"" 'cache_ttl_min = "1s"' 'cache_ttl_max = "1s"' \
	    'refresh_cooldown = "1s"'
	run_gate clock "${clocked[@]}"
	check "a daemon whose clock will be set serves" wait_for 20 is_judged 200 "$timed"
	worker=$(worker_of "$daemon")
	is "a token of later is not good yet" "$(judged "$later")" 401
	check "a proof passes" wait_for 20 is_proven_now 200
	first=$(proof_now)
	is "another one passes" "$(outcome "$first")" 200

	set_clock 3600
	is "an hour ahead: one token has expired, and the other is good" "$(judged "$timed") $(judged "$later")" "401 200"
	is "the proof of an hour ago is refused" "$(outcome "$first")" 400
	second=$(proof_now)
	is "one of now passes" "$(outcome "$second")" 200
	is "once" "$(outcome "$second")" 400
	keeps_asking "an hour ahead"

	set_clock 0
	is "set back: they are as before" "$(judged "$timed") $(judged "$later")" "200 401"
	is "no proof passes a second time" "$(outcome "$first") $(outcome "$second" | sed 's/200/passed/')" "503 400"
	check "new ones do at once" wait_for 20 is_proven_now 200
	keeps_asking "set back"

	set_clock 3600
	is "and ahead again: nor does that of then" "$(outcome "$second")" 400

	set_clock -86400
	is "a day behind: nothing has begun" "$(judged "$later")" 401
	publish old second
	check "a day behind: a new key is found" wait_for 20 is_judged 200 "$second_token"
	keeps_asking "a day behind"
	is "a day behind: a proof of the future is none" "$(outcome "$(mint_proof)" | sed 's/200/passed/')" 400

	set_clock 86400
	publish old second third
	check "a day ahead: a new key is found" wait_for 20 is_judged 200 "$third_token"
	keeps_asking "a day ahead"
	is "no process has died" "$(worker_of "$daemon")" "$worker"
	stop "$daemon" || :

	# What it has kept is from the day after now.
	set_clock 0
	publish old second third fourth
	: >"$work/clock.out.log"
	run_gate clock "${clocked[@]}"
	check "a record of tomorrow does not keep the keys of today away" wait_for 20 is_judged 200 "$fourth_token"
	check "and is not believed" grep -q 'from the future' "$work/clock.out.log"
	check "but replaced" wait_for 20 is_of_today
	stop "$daemon" || :

	# Cooldown, which is an hour for strangers' kids.
	configure cool 'cache_dir = "none"' "replay = \"lmdb:$work/stores/cool\"" 'refresh_cooldown = "1h"' 'cache_ttl_min = "1h"' 'cache_ttl_max = "1h"'
	publish old
	run_gate cool "${clocked[@]}"
	check "a daemon that rests for an hour serves" wait_for 20 is_judged 200 "$old_token"
	judged "$second_token" >/dev/null
	now=$(asked)
	for ahead in 7200 -7200 0; do
		set_clock "$ahead"
		is "its rest is no shorter by a clock that is set ($ahead): an unknown key is not asked for" \
		    "$(judged "$third_token" | tr -d 0-9) $(judged "$old_token") $(asked)" " 200 $now"
	done
	stop "$daemon" || :
}

is_of_today() {
	local fetched

	fetched=$(sed -n 's/^fetched: //p' "$cache"/*.keys)
	[ "$((fetched / 1000))" -le "$(($(date +%s) + 10))" ]
}

small=$work/small
if [ -n "${BG_FAULTS_INSIDE:-}" ]; then
	mkdir "$small"
	mount -t tmpfs -o size=600k,mode=755 tmpfs "$small"
	trap 'status=$?; umount -l "$small" || :; end_work "$status"' EXIT
	disk_full
else
	printf 'ok - # skipped: only root has a small disk of its own\n'
fi
clock_set
finish
