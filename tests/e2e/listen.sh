#!/bin/bash
# Sockets of the daemon: whose they are, who may connect, and those that systemd hands over.
# shellcheck disable=SC2317,SC2119,SC2154 # functions that wait_for and check call; what lib.sh sets
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

begin
claims_config "$work/plain.conf"
socket=$work/tmp/bg.sock
good=$("$BG_TOOL" mint token -k "$work/key.pem" --iss "$issuer" --aud "$audience" --sub bob --expires 1h)

config() { # config LINE...: the configuration, with more lines
	cat "$work/plain.conf" >"$work/bearergate.conf"
	printf '%s\n' "$@" >>"$work/bearergate.conf"
}

ask() { # ask ADDRESS [COMMAND...]: the first line of the answer to a good request, asked by way of a command
	local address=$1

	shift
	"$@" perl "$e2e/fcgi.pl" "$address" REQUEST_METHOD=GET REQUEST_URI=/api/private REMOTE_ADDR=127.0.0.1 \
	    "HTTP_AUTHORIZATION=Bearer $good" 2>&1 | sed -n '1s/\r$//p'
}

own() { # own SENTENCE OWNER MODE LINE...: a daemon with these lines makes such a socket
	local sentence=$1 owner=$2 mode=$3

	shift 3
	config "$@"
	start_daemon "$work/daemon.log" -c "$work/bearergate.conf" -l "unix:$socket"
	is "$sentence" "$(stat -c '%u:%g %a' "$socket")" "$owner $mode"
	is "$sentence, and it is served" "$(ask "unix:$socket" "${asker[@]}")" "Status: 200 OK"
	stop "$daemon" || :
	check "$sentence, and goes with its daemon" test ! -e "$socket"
}

does_not_start() { # does_not_start SENTENCE CODE WORDS OPTION...: as whoever we are
	local sentence=$1 code=0 wanted=$2 words=$3

	shift 3
	"${bg_unprivileged[@]}" timeout -k 5 20 "$bg_fcgi" -F "$bg_fetch" "$@" </dev/null >"$work/out" 2>&1 || code=$?
	is "$sentence" "$code" "$wanted"
	check "$sentence, and is told why" grep -q -F -e "$words" "$work/out"
}

strangers() { # lines about those who were refused
	grep -c 'refused a connection: listen_allowed_clients does not name ' "$work/daemon.log" || :
}

reloaded() { # reloaded N: reloads there have been
	lines_at_least "$1" 'was read anew' "$work/daemon.log"
}

# Whose a socket is.

plain=("${bg_unprivileged[@]}")
asker=("${plain[@]}")
uid=$("${bg_unprivileged[@]}" id -u)
gid=$("${bg_unprivileged[@]}" id -g)
own "a socket file is its maker's" "$uid:$gid" 660
own "a mode is as it was said" "$uid:$gid" 600 'listen_mode = "0600"'
own "owner and group may be said by number" "$uid:$gid" 660 "listen_owner = $uid" "listen_group = $gid"
own "with a list of users everybody may find it (SR-89)" "$uid:$gid" 666 'listen_mode = 666' \
    "listen_allowed_clients = { \"user:$uid\" }"
if [ "$(id -u)" -eq 0 ]; then
	bg_unprivileged=() asker=()
	own "root gives it to whom it is told" "65534:$gid" 640 'listen_owner = 65534' "listen_group = $gid" 'listen_mode = 640'
	bg_unprivileged=("${plain[@]}")
	config 'listen_owner = 0'
	does_not_start "others cannot give it away" 73 listen_owner -c "$work/bearergate.conf" -l "unix:$socket"
	check "and leave nothing behind" test ! -e "$socket"
fi

# Who may connect.  SR-89.

config "listen_allowed_clients = { \"user:$uid\", \"10.255.0.0/16\" }" 'listen_mode = 666'
start_daemon "$work/daemon.log" -c "$work/bearergate.conf" -l "unix:$socket" -l 127.0.0.1:0
is "a user in the list may ask" "$(ask "unix:$socket" "${bg_unprivileged[@]}")" "Status: 200 OK"
is "an address that is not in it may not" "$(ask "127.0.0.1:$daemon_port")" ""
check "which is told" wait_for 30 lines_at_least 1 'does not name 127.0.0.1' "$work/daemon.log"
for _ in {1..40}; do
	ask "127.0.0.1:$daemon_port" >/dev/null || :
done
check "but not each time" [ "$(strangers)" -lt 40 ]
if [ "$(id -u)" -eq 0 ]; then
	is "a user who is not in it may not, though the mode lets him" "$(ask "unix:$socket")" ""
fi
config "listen_allowed_clients = { \"user:$(id -u)\", \"127.0.0.0/8\" }"
kill -HUP "$daemon"
check "a reload changes the list" wait_for 30 reloaded 1
is "whoever is in it now may ask" "$(ask "127.0.0.1:$daemon_port")" "Status: 200 OK"
is "on the socket file too" "$(ask "unix:$socket")" "Status: 200 OK"
config 'listen_allowed_clients = { "user:3999999999" }'
kill -HUP "$daemon"
check "a list that nobody could use an address by is not put in force" wait_for 30 lines_at_least 1 \
    'listen_allowed_clients has no address' "$work/daemon.log"
is "and the one from before counts" "$(ask "127.0.0.1:$daemon_port")" "Status: 200 OK"
stop "$daemon" || :

config 'listen_allowed_clients = { "127.0.0.2" }'
start_daemon "$work/daemon.log" -c "$work/bearergate.conf" -l 0.0.0.0:0
port=$(sed -n 's/.*listening on 0\.0\.0\.0:\([0-9]*\).*/\1/p' "$work/daemon.log")
check "with addresses in the list, one that others can reach is served" test -n "$port"
is "but not to whoever is not in the list" "$(ask "127.0.0.1:$port")" ""
config
kill -HUP "$daemon"
check "to take the list away does not open it" wait_for 30 lines_at_least 1 '0.0.0.0:0: not a loopback address' "$work/daemon.log"
is "nor let anybody in" "$(ask "127.0.0.1:$port")" ""
stop "$daemon" || :
# A socket keeps its mode through a reload, so the list that made it safe must stay.
config "listen_allowed_clients = { \"user:$uid\" }" 'listen_mode = 666'
start_daemon "$work/daemon.log" -c "$work/bearergate.conf" -l "unix:$socket"
config
kill -HUP "$daemon"
check "nor does it open a socket file that everybody may write to (SR-89)" wait_for 30 lines_at_least 1 \
    'nothing but listen_allowed_clients keeps every user' "$work/daemon.log"
is "whoever may ask still may" "$(ask "unix:$socket" "${plain[@]}")" "Status: 200 OK"
if [ "$(id -u)" -eq 0 ]; then
	is "and nobody else" "$(ask "unix:$socket")" ""
fi
stop "$daemon" || :
config 'listen_allowed_clients = { "user:0" }'
does_not_start "users alone do not open TCP" 64 'not a loopback address' -c "$work/bearergate.conf" -l 0.0.0.0:0


# Sockets that systemd hands over.

# hand_over SENTENCE PID DESCRIPTORS OPTION...: a parent that does as systemd does, and then is the daemon.  PID: of LISTEN_PID.
hand_over() {
	local pid=$1 descriptors=$2

	shift 2
	: >"$work/daemon.log"
	rm -f "$socket" "$work/tmp/second.sock"
	# shellcheck disable=SC2016
	start "$work/daemon.log" perl -e '
		use Socket; use POSIX ();
		my ($pid, $n) = (shift, shift);
		$^F = 99;
		POSIX::close($_) for 3 .. 20;
		umask(0007);
		for my $path (shift, shift) {
			socket(my $s, AF_UNIX, SOCK_STREAM, 0) or die; bind($s, pack_sockaddr_un($path)) or die; listen($s, 16) or die;
			push(@kept, $s);
		}
		POSIX::dup2(fileno($kept[0]), 50); POSIX::dup2(fileno($kept[1]), 51);
		POSIX::dup2(50, 3); POSIX::dup2(51, 4); POSIX::close($_) for 5 .. 51;
		$ENV{LISTEN_PID} = $pid eq "own" ? $$ : $pid; $ENV{LISTEN_FDS} = $n; $ENV{LISTEN_FDNAMES} = "web:admin";
		exec @ARGV or die;' "$pid" "$descriptors" "$socket" "$work/tmp/second.sock" "$bg_fcgi" -F "$bg_fetch" "$@"
	daemon=$started
}

serves() { # serves ADDRESS
	[ "$(ask "$1")" = "Status: 200 OK" ]
}

config
hand_over own 2 -c "$work/bearergate.conf"
check "sockets that are handed over are served" wait_for 20 serves "unix:$socket"
is "all of them" "$(ask "unix:$work/tmp/second.sock")" "Status: 200 OK"
check "and told by name" lines_at_least 1 "listening on unix:$work/tmp/second.sock (from the service manager: admin)" "$work/daemon.log"
is "once each" "$(grep -c 'listening on' "$work/daemon.log")" 2
config "listen = { \"unix:$work/tmp/third.sock\" }"
kill -HUP "$daemon"
served="\"unix:$socket (from the service manager: web)\", \"unix:$work/tmp/second.sock (from the service manager: admin)\""
check "other addresses are for the next start, and it tells what is served until then" wait_for 30 \
    lines_at_least 1 "until then it is $served" "$work/daemon.log"
config
stop "$daemon" || :
check "they stay when it ends" test -S "$socket" -a -S "$work/tmp/second.sock"

hand_over own 2 -c "$work/bearergate.conf" -l "unix:$socket"
check "an address that is one of them is no contradiction" wait_for 20 serves "unix:$work/tmp/second.sock"
stop "$daemon" || :
hand_over own 2 -c "$work/bearergate.conf" -l "unix:$work/tmp/third.sock"
check "one that is not is an error" wait_for 20 gone "$daemon"
check "which is told" lines_at_least 1 "unix:$work/tmp/third.sock: not among the sockets" "$work/daemon.log"
hand_over 1 2 -c "$work/bearergate.conf" -l "unix:$work/tmp/third.sock"
check "what is meant for another process does not count" wait_for 20 serves "unix:$work/tmp/third.sock"
is "and is not served" "$(grep -c 'listening on' "$work/daemon.log")" 1
stop "$daemon" || :
hand_over own 5 -c "$work/bearergate.conf"
check "more sockets than there are is an error" wait_for 20 gone "$daemon"
check "which is told too" lines_at_least 1 'LISTEN_FDS: descriptor 5' "$work/daemon.log"

# What it runs gets neither the sockets nor the variables.
cat >"$work/bin/spy" <<END
#!/bin/sh
env >"$work/tmp/spy.env"
ls /proc/self/fd | xargs >"$work/tmp/spy.fds"
exit 1
END
chmod 755 "$work/bin/spy"
cat >"$work/bearergate.conf" <<END
issuer "$issuer" { audience = { "$audience" } }
cache_dir = none
END
hand_over own 2 -c "$work/bearergate.conf" -F "$work/bin/spy"
check "a program that it runs" wait_for 20 test -s "$work/tmp/spy.fds"
is "is told of no socket" "$(grep -c '^LISTEN_' "$work/tmp/spy.env" || :)" 0
stop "$daemon" || :

if command -v systemd-socket-activate >/dev/null; then
	config
	port=$(free_port)
	rm -f "$socket"
	: >"$work/daemon.log"
	(
		umask 0007
		start "$work/daemon.log" systemd-socket-activate -l "$socket" -l "127.0.0.1:$port" --fdname=web:admin \
		    "$(realpath "$bg_fcgi")" -F "$bg_fetch" -c "$work/bearergate.conf" -l "unix:$socket"
		printf '%s\n' "$started" >"$work/pid"
	)
	daemon=$(cat "$work/pid")
	bg_pids+=("$daemon")
	check "systemd listens" wait_for 20 test -S "$socket"
	check "the first who asks starts the daemon, and is answered" wait_for 20 serves "unix:$socket"
	is "on all sockets" "$(ask "127.0.0.1:$port")" "Status: 200 OK"
	check "it is the very process" grep -q "listening on 127.0.0.1:$port (from the service manager: admin)" "$work/daemon.log"
	stop "$daemon" || :
fi

finish
