#!/bin/bash
# Options user and group: a daemon that root starts gives up what root may, and can do afterwards all that it has to.
# shellcheck disable=SC2317,SC2119,SC2154 # functions that wait_for and check call; what lib.sh sets
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

begin
socket=$work/tmp/bg.sock
good=$("$BG_TOOL" mint token -k "$work/key.pem" --iss "$issuer" --aud "$audience" --sub bob --expires 1h)

config() { # config LINE...: the configuration, with more lines
	claims_config "$work/bearergate.conf"
	printf '%s\n' "$@" >>"$work/bearergate.conf"
}

ask() {
	perl "$e2e/fcgi.pl" "unix:$socket" REQUEST_METHOD=GET REQUEST_URI=/api/private REMOTE_ADDR=127.0.0.1 \
	    "HTTP_AUTHORIZATION=Bearer $good" 2>&1 | sed -n '1s/\r$//p'
}

does_not_start() { # does_not_start SENTENCE CODE WORDS OPTION...
	local sentence=$1 code=0 wanted=$2 words=$3

	shift 3
	"${bg_unprivileged[@]}" timeout -k 5 20 "$bg_fcgi" -F "$bg_fetch" -c "$work/bearergate.conf" "$@" </dev/null >"$work/out" 2>&1 || code=$?
	is "$sentence" "$code" "$wanted"
	check "$sentence, and is told why" grep -q -E -e "$words" "$work/out"
}

of_process() { # of_process NAME: what the system says of the daemon
	sed -n "s/^$1:[[:space:]]*//p" "/proc/$daemon/status" | tr '\t' ' ' | sed 's/ *$//'
}

reloaded() { # reloaded N: reloads there have been
	lines_at_least "$1" 'was read anew' "$work/daemon.log"
}

# Of those who are not root.

if [ "$(id -u)" -ne 0 ]; then
	bg_unprivileged=()
else
	chown -R www-data:www-data "$work"
fi
config 'user = "root"'
does_not_start "nobody is told to become root" 78 'bearergate.conf:.*is root' -l "unix:$socket"
config 'user = 3999999999' 'group = 3999999998'
does_not_start "who is no root cannot become somebody else" 77 'only root can become another user' -l "unix:$socket"
does_not_start "but can test such a configuration" 0 'configuration OK' -t
config "user = $("${bg_unprivileged[@]}" id -u)"
start_daemon "$work/daemon.log" -c "$work/bearergate.conf" -l "unix:$socket"
is "who is named already serves" "$(ask)" "Status: 200 OK"
stop "$daemon" || :
if [ "$(id -u)" -ne 0 ]; then
	printf 'ok - # the rest is skipped: only root can become somebody else\n'
	finish
fi

# Of root.

bg_unprivileged=()
uid=$(id -u www-data)
gid=$(id -g www-data)
mkdir "$work/log" "$work/cache" "$work/replay"
chown www-data:www-data "$work/cache" "$work/replay"
config
start_daemon "$work/daemon.log" -c "$work/bearergate.conf" -l "unix:$socket"
check "root without a user is warned of" grep -q 'warning this is root, and no user says whom to become' "$work/daemon.log"
is "and served" "$(ask)" "Status: 200 OK"
stop "$daemon" || :

config 'user = "www-data"' "log = \"$work/log/daemon.log\"" "cache_dir = \"$work/cache\"" "replay = \"lmdb:$work/replay\"" \
    'listen_allowed_clients = { "user:0", "user:www-data" }'
start "$work/start.log" "$bg_fcgi" -F "$bg_fetch" -c "$work/bearergate.conf" -l "unix:$socket"
daemon=$started
answers() {
	[ "$(ask)" = "Status: 200 OK" ]
}
check "root becomes the user and serves" wait_for 20 answers
is "it is that user in every way" "$(of_process Uid)" "$uid $uid $uid $uid"
is "and that user's group" "$(of_process Gid)" "$gid $gid $gid $gid"
is "with that user's groups" "$(of_process Groups | tr ' ' '\n' | sort -n | xargs)" "$(id -G www-data | tr ' ' '\n' | sort -n | xargs)"
is "and no capability" "$(of_process CapPrm) $(of_process CapEff) $(of_process CapInh)" "0000000000000000 0000000000000000 0000000000000000"
is "each thread is" "$(sed -n 's/^Uid:[[:space:]]*//p' "/proc/$daemon"/task/*/status | sort -u | tr '\t' ' ')" "$uid $uid $uid $uid"
is "the socket is the user's, though root has made it" "$(stat -c '%u:%g %a' "$socket")" "$uid:$gid 660"
is "so is the log" "$(stat -c '%u:%g %a' "$work/log/daemon.log")" "$uid:$gid 640"
cp "$work/log/daemon.log" "$work/daemon.log"
kill -HUP "$daemon"
in_log() { # in_log WORDS
	grep -q -F -e "$1" "$work/log/daemon.log"
}
check "a reload reads all as that user" wait_for 30 in_log 'was read anew'
mv "$work/log/daemon.log" "$work/log/daemon.log.1"
install -o www-data -g www-data -m 640 /dev/null "$work/log/daemon.log"		# as logrotate does
kill -USR1 "$daemon"
check "and it opens the log anew" wait_for 30 in_log 'the log was opened anew'
sed -i 's/"www-data"/"daemon"/' "$work/bearergate.conf"
kill -HUP "$daemon"
check "another user is for the next start" wait_for 30 in_log 'user and group: what they say now takes effect at the next start'
is "and it is who it was" "$(of_process Uid)" "$uid $uid $uid $uid"
stop "$daemon" || :

# What the user could not read or write later.
lines=("log = \"$work/log/daemon.log\"" "cache_dir = \"$work/cache\"" "replay = \"lmdb:$work/replay\"" 'user = "www-data"')
config "${lines[@]}"
chmod 600 "$work/bearergate.conf"
does_not_start "a configuration that the user cannot read" 66 "bearergate.conf: .*Permission denied" -l "unix:$socket"
check "and whom it is about" grep -q "what user $uid has to say" "$work/out"
chmod 644 "$work/bearergate.conf"
chown root "$work/jwks.json"
chmod 600 "$work/jwks.json"
does_not_start "keys that the user cannot read" 78 'jwks.json.*Permission denied' -l "unix:$socket"
chmod 644 "$work/jwks.json"
chown root "$work/log/daemon.log"
does_not_start "a log that the user cannot open anew" 77 'log .*user "www-data" cannot use it' -l "unix:$socket"
chown www-data "$work/log/daemon.log"
mkdir -m 755 "$work/theirs" "$work/roots"
chown www-data "$work/theirs"
ln -s "$work/roots/file" "$work/theirs/daemon.log"
config 'user = "www-data"' "log = \"$work/theirs/daemon.log\"" "cache_dir = \"none\"" "replay = \"lmdb:$work/replay\""
does_not_start "a link that the user has put where the log goes" 77 'log .*user "www-data" cannot use it' -l "unix:$socket"
check "and root has not followed it" test ! -e "$work/roots/file"
config "${lines[@]}"
chown root "$work/cache"
does_not_start "a cache that the user cannot write" 77 'cache_dir .*user "www-data" cannot use it' -l "unix:$socket"
chown www-data "$work/cache"
chown -R root "$work/replay"
does_not_start "a store that the user cannot write" 71 'replay store .*Permission denied' -l "unix:$socket"
chown -R www-data "$work/replay"
finish
