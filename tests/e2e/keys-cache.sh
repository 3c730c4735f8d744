#!/bin/bash
# The directory of key sets: believed only where nobody else can write, and whatever was damaged is not used.
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
with_cache() { # with_cache DIRECTORY
	config "cache_dir = \"$1\"" 'cache_ttl_min = "1h"' 'cache_ttl_max = "1h"' 'stale_if_error = "1h"' \
	    'refresh_cooldown = "1s"'
}

# Who may write to it.

not_used() { # not_used SENTENCE DIRECTORY WORDS
	: >"$work/issuer.log"
	with_cache "$2"
	start_gate
	check "$1: the issuer's keys serve" wait_for 20 answers 200 "$good"
	check "$1: the log says why" wait_for 30 lines_at_least 1 "reason=bad_cache detail=\"$2: $3\"" "$work/daemon.log"
	is "$1: the issuer was asked" "$(asked)" 1
	check "$1: nothing was written" test -z "$(ls -A "$2")"
	stop "$daemon" || :
}

for mode in 777 775 1777; do
	make_cache "$work/open"
	chmod "$mode" "$work/open"
	not_used "a directory of mode $mode is not used" "$work/open" 'may be written to by its group or by others'
	rm -rf "$work/open"
done
if [ "$(id -u)" -eq 0 ]; then
	mkdir "$work/alien"
	chown nobody "$work/alien"
	not_used "a directory of somebody else is not used" "$work/alien" 'belongs to somebody else'
else
	echo "not tried: a directory of somebody else (needs root)"
fi

# What is in it.

with_cache "$cache"
start_gate
check "the keys are fetched" wait_for 20 answers 200 "$good"
check "and kept" wait_for 30 cached
record=$(compgen -G "$cache/*.keys")
cp -p "$record" "$work/record"
stop "$daemon" || :

damaged() { # damaged SENTENCE WORDS: what is in $record now is not used
	[ "$(id -u)" -ne 0 ] || chown -h "${owner:-www-data}" "$record"
	: >"$work/issuer.log"
	start_gate
	check "$1: the issuer's keys serve" wait_for 20 answers 200 "$good"
	check "$1: the log says why" wait_for 30 lines_at_least 1 "reason=bad_cache detail=\"${record##*/}: $2" "$work/daemon.log"
	is "$1: the issuer was asked" "$(asked)" 1
	stop "$daemon" || :
	rm -f "$record"
}

set_line() { # set_line NAME VALUE: the record with another line in its head
	sed "s|^$1: .*|$1: $2|" "$work/record" >"$record"
}

now=$(date +%s)
size=$(stat -c %s "$work/record")
perl -pe 'BEGIN { undef $/ } substr($_, -20, 1) ^= "\x01"' "$work/record" >"$record"
damaged "one bit is another" 'it was changed'
perl -pe 'BEGIN { undef $/ } substr($_, 3, 1) ^= "\x01"' "$work/record" >"$record"
damaged "one bit of its first line is another" 'it does not begin with'
head -c "$((size - 1))" "$work/record" >"$record"
damaged "its last byte is missing" 'it is not as long as it says'
head -c 100 "$work/record" >"$record"
damaged "most of it is missing" 'its head has no end'
: >"$record"
damaged "all of it is missing" 'it does not begin with'
head -c "$size" /dev/zero >"$record"
damaged "it is zeros" 'it does not begin with'
(cat "$work/record"; echo) >"$record"
damaged "it is longer" 'it is not as long as it says'
head -c 2097152 /dev/zero >"$record"
damaged "it is much longer" 'larger than any record'
set_line fetched never
damaged "its time is none" 'a time in it is none'
set_line issuer https://other.example/
damaged "it is of another issuer" 'it is of another issuer'
cp "$work/record" "$record"
chmod 666 "$record"
damaged "others may write to it" 'may be written to by its group or by others'
cp "$work/record" "$work/elsewhere"
ln -s "$work/elsewhere" "$record"
damaged "it is a link" ''
if [ "$(id -u)" -eq 0 ]; then
	cp "$work/record" "$record"
	owner=nobody damaged "it is somebody else's" 'belongs to somebody else'
fi

out_of_time() { # out_of_time SENTENCE WORDS
	[ "$(id -u)" -ne 0 ] || chown www-data "$record"
	: >"$work/issuer.log"
	start_gate
	check "$1: the issuer's keys serve" wait_for 20 answers 200 "$good"
	check "$1: the log says why" wait_for 30 lines_at_least 1 "$2" "$work/daemon.log"
	is "$1: the issuer was asked" "$(asked)" 1
	stop "$daemon" || :
}

set_line fetched "$(((now + 10000) * 1000))"
out_of_time "it is from the future" 'the set on disk is from the future'
set_line fetched "$(((now - 10000) * 1000))"
out_of_time "it is too old" 'the set on disk is too old'

# The file of another issuer, copied over.

issuer=${issuer}other
discovery ".jwks_uri = \"https://localhost:$issuer_port/jwks.json\"" | put other/.well-known/openid-configuration
with_cache "$cache"
others=$(mint old)
start_gate
check "another issuer has its own" wait_for 20 answers 200 "$others"
two_records() {
	[ "$(compgen -G "$cache/*.keys" | wc -l)" -eq 2 ]
}
check "in a file of its own" wait_for 30 two_records
stop "$daemon" || :
other=$(compgen -G "$cache/*.keys" | grep -v -x -F -e "$record")
issuer=https://localhost:$issuer_port/
cp "$other" "$record"
with_cache "$cache"
damaged "it was copied from another issuer" 'it is of another issuer'

# Two daemons.

start_gate
check "one daemon has fetched" wait_for 20 answers 200 "$good"
check "and kept" wait_for 30 test -e "$record"
: >"$work/issuer.log"
first=$daemon
start_daemon "$work/second.log" -c "$work/bearergate.conf" -l "unix:$work/tmp/second.sock"
is "another that starts has keys at once" "$(at=unix:$work/tmp/second.sock status_of "$good")" 200
is "and nobody was asked" "$(asked)" 0
publish old new
is "a new key makes one of them ask" "$(status_of "$(mint new)")" 200
check "and the other learns of it" wait_for 30 lines_at_least 1 'taken_from_disk=2' "$work/second.log"
is "so that the key is good there too" "$(at=unix:$work/tmp/second.sock status_of "$(mint new)")" 200
is "and nobody was asked again" "$(asked)" 1
stop "$first" || :
is "it goes on alone" "$(at=unix:$work/tmp/second.sock status_of "$good")" 200
finish
