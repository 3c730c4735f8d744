#!/bin/bash
# bearergate-fcgi by itself: what it refuses to start with, where it listens, how it ends, and what a peer on its
# socket can do to others.
# shellcheck disable=SC2317,SC2119 # functions that wait_for and check call
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

begin
claims_config "$work/bearergate.conf"
good=$("$BG_TOOL" mint token -k "$work/key.pem" --iss "$issuer" --aud "$audience" --sub bob --expires 1h)

# Starting.

run_daemon() { # run_daemon OPTION...: to its end; sets $code, output in $work/out and $work/err
	code=0
	"${bg_unprivileged[@]}" timeout -k 5 20 "$bg_fcgi" -F "$bg_fetch" "$@" </dev/null \
	    >"$work/out" 2>"$work/err" || code=$?
}

refuses() { # refuses SENTENCE CODE WORDS OPTION...: does not start, with this exit code and one line that has the words
	local sentence=$1 wanted=$2 words=$3 said

	shift 3
	run_daemon "$@"
	said=$(
		wrong "exit code" "$code" "$wanted"
		wrong "number of lines" "$(grep -vc ": remark: DPoP proofs " "$work/err")" 1
		wrong "standard output" "$(cat "$work/out")" ''
		grep -q -F -e "$words" "$work/err" || printf 'it does not say "%s", but: %s\n' "$words" "$(cat "$work/err")"
	)
	verdict "$sentence" "$said"
}

refuses_config() { # refuses_config SENTENCE WORDS: the configuration on standard input is refused by daemon and tool
	cat >"$work/bad.conf"
	refuses "$1" 78 "$2" -c "$work/bad.conf" -l 127.0.0.1:0
	refuses "$1, by -t" 78 "$2" -c "$work/bad.conf" -t
	code=0
	"$BG_TOOL" check -c "$work/bad.conf" >"$work/out" 2>&1 || code=$?
	is "$1, by \"bearergate check\"" "$code $(grep -c -F -e "$2" "$work/out")" "78 1"
}

refusals() {
	local conf=$work/bearergate.conf plain=("${bg_unprivileged[@]}")

	refuses "an unknown option is refused" 64 Z -c "$conf" -Z
	refuses "an unknown long option is refused" 64 no-such-option -c "$conf" --no-such-option
	refuses "an argument that is no option is refused" 64 surplus -c "$conf" -l 127.0.0.1:0 surplus
	refuses "an option without its value is refused" 64 l -c "$conf" -l
	refuses "nowhere to listen is refused" 64 -l -c "$conf"
	refuses "a number of threads that is none is refused" 64 12x -c "$conf" -l 127.0.0.1:0 -n 12x
	refuses "an address that is none is refused" 64 nonsense -c "$conf" -l nonsense
	refuses "a port beyond 65535 is refused" 64 65536 -c "$conf" -l 127.0.0.1:65536
	refuses "an address that others can reach is refused (SR-89)" 64 0.0.0.0 -c "$conf" -l 0.0.0.0:0
	refuses "a file that is not there is refused" 66 "$work/none.conf" -c "$work/none.conf" -l 127.0.0.1:0
	mkdir "$work/directory.conf"
	refuses "a directory is no configuration" 66 "$work/directory.conf" -c "$work/directory.conf" -l 127.0.0.1:0
	: >"$work/secret.conf"
	chmod 000 "$work/secret.conf"
	refuses "a file we may not read is refused" 66 "$work/secret.conf" -c "$work/secret.conf" -l 127.0.0.1:0
	refuses "an env file that is not there is refused" 66 "$work/none.env" --env-file "$work/none.env" -l 127.0.0.1:0
	refuses "no issuer at all is refused" 78 AUTH0_DOMAIN -l 127.0.0.1:0

	refuses_config "an unknown key is refused, with file, line and a guess" "$work/bad.conf:2:" <<-END
		issuer "$issuer" {
		  audence = { "$audience" }
		}
	END
	check "the guess is right" grep -q -F -e 'audience' "$work/out"
	refuses_config "an issuer without an audience is refused (SR-40)" audience <<-END
		issuer "$issuer" {
		  jwks_file = "$work/jwks.json"
		}
	END
	refuses_config "an http issuer is refused" https <<-END
		issuer "http://issuer.example/" {
		  audience = { "$audience" }
		}
	END
	refuses_config "an empty domain is refused" domain <<-END
		domain = ""
		audience = { "$audience" }
	END
	refuses_config "a duration without a unit is refused (SR-54)" unit <<-END
		domain = "issuer.example"
		audience = { "$audience" }
		leeway = "30"
	END
	refuses_config "an export with the name of a client's header is refused (SR-81)" HTTP_X_USER <<-END
		domain = "issuer.example"
		audience = { "$audience" }
		export "sub" { as = "HTTP_X_USER" }
	END
	refuses_config "HS256 is refused (SR-2)" HS256 <<-END
		issuer "$issuer" {
		  audience = { "$audience" }
		  algorithms = { "HS256" }
		}
	END

	AUTH0_DOMAIN='' AUTH0_AUDIENCE=$audience \
	    refuses "an empty AUTH0_DOMAIN is refused" 78 AUTH0_DOMAIN -l 127.0.0.1:0
	AUTH0_DOMAIN=issuer.example \
	    refuses "AUTH0_DOMAIN without AUTH0_AUDIENCE is refused (SR-40)" 78 AUTH0_AUDIENCE -l 127.0.0.1:0
	AUTH0_DOMAIN=http://issuer.example AUTH0_AUDIENCE=$audience \
	    refuses "an AUTH0_DOMAIN with http is refused" 78 AUTH0_DOMAIN -l 127.0.0.1:0
	printf 'AUTH0_DOMAIN=\nAUTH0_AUDIENCE=%s\n' "$audience" >"$work/bad.env"
	refuses "an empty domain in an env file is refused, with file and line" 78 "$work/bad.env:1" \
	    --env-file "$work/bad.env" -l 127.0.0.1:0

	# shellcheck disable=SC2016
	if [ "$(id -u)" -eq 0 ] && unshare -m true 2>/dev/null; then
		bg_unprivileged=(unshare -m sh -c 'mount --bind "$0" /dev && exec "$@"' "$work/www")
		refuses "a root without /dev/null is none to serve in" 72 "/dev/null: No such file or directory" -c "$conf" -t
		bg_unprivileged=("${plain[@]}")
	else
		echo "not tried: a root without /dev/null, since there is no mount namespace to be had here"
	fi

	run_daemon -c "$conf" -t
	versions=$("$bg_fcgi" --version)
	is "--version tells five things" "$(sed -E -e 's/^(bearergate-fcgi|OpenSSL|jansson) [0-9].*/\1/; s/^(replay stores|sandbox): [a-z].*/\1/' \
	    <<<"$versions" | tr '\n' ' ')" "bearergate-fcgi OpenSSL jansson replay stores sandbox "
	is "and fails where nobody takes it" "$("$bg_fcgi" --version >/dev/full && echo 0 || echo $?)" 74
	is "-t finds a good configuration good, and ends" "$code" 0
	printf 'AUTH0_DOMAIN=issuer.example\nAUTH0_AUDIENCE="%s"\n' "$audience" >"$work/good.env"
	run_daemon --env-file "$work/good.env" -t
	is "an env file is enough" "$code" 0
}

# Answers.

ask() { # ask ADDRESS [TOKEN]: the first line of the answer to one request
	perl "$e2e/fcgi.pl" "$1" REQUEST_METHOD=GET REQUEST_URI=/api/private REMOTE_ADDR=127.0.0.1 \
	    ${2:+"HTTP_AUTHORIZATION=Bearer $2"} 2>&1 | sed -n '1s/\r$//p'
}

listening() {
	start_daemon "$work/daemon.log" -c "$work/bearergate.conf" -l "unix:$work/tmp/bg.sock" -l 127.0.0.1:0
	is "it answers on a unix socket" "$(ask "unix:$work/tmp/bg.sock" "$good")" "Status: 200 OK"
	is "and on TCP at the same time" "$(ask "127.0.0.1:$daemon_port" "$good")" "Status: 200 OK"
	is "a refusal has a status too" "$(ask "127.0.0.1:$daemon_port")" "Status: 401 Unauthorized"
	is "others may not use the socket (SR-89)" "$(stat -c %a "$work/tmp/bg.sock")" 660

	refuses "an address in use is refused" 69 "127.0.0.1:$daemon_port" -c "$work/bearergate.conf" -l "127.0.0.1:$daemon_port"
	refuses "a socket in use is refused" 69 "$work/tmp/bg.sock" -c "$work/bearergate.conf" -l "unix:$work/tmp/bg.sock"
	is "and the first daemon still has it" "$(ask "unix:$work/tmp/bg.sock" "$good")" "Status: 200 OK"
	printf 'precious\n' >"$work/tmp/file"
	refuses "a file that is no socket is refused" 73 "$work/tmp/file" -c "$work/bearergate.conf" -l "unix:$work/tmp/file"
	is "and stays as it was" "$(cat "$work/tmp/file")" precious

	code=0
	stop "$daemon" || code=$?
	is "SIGTERM ends it cleanly" "$code" 0
	check "and takes the socket away" test ! -e "$work/tmp/bg.sock"

	start_daemon "$work/daemon.log" -c "$work/bearergate.conf" -l "unix:$work/tmp/bg.sock"
	kill_daemon "$daemon"
	check "a daemon that was killed leaves its socket" test -S "$work/tmp/bg.sock"
	start_daemon "$work/daemon.log" -c "$work/bearergate.conf" -l "unix:$work/tmp/bg.sock"
	is "the next one takes its place" "$(ask "unix:$work/tmp/bg.sock" "$good")" "Status: 200 OK"
	stop "$daemon" || :
}

descriptor_0() {
	: >"$work/daemon.log"
	# As a web server does it: a listening socket on descriptor 0, and the program's own standard error.
	# shellcheck disable=SC2016
	start "$work/daemon.log" perl -e '
		use Socket; use POSIX ();
		socket(my $s, AF_UNIX, SOCK_STREAM, 0) or die; bind($s, pack_sockaddr_un(shift)) or die; listen($s, 16) or die;
		POSIX::dup2(fileno($s), 0); exec @ARGV or die;' \
	    "$work/tmp/zero.sock" "$bg_fcgi" -F "$bg_fetch" -c "$work/bearergate.conf"
	daemon=$started
	check "the daemon takes the socket on descriptor 0" wait_for 20 zero_answers
	code=0
	stop "$daemon" || code=$?
	is "SIGTERM ends it there too" "$code" 0
	check "the socket is its parent's to remove" test -S "$work/tmp/zero.sock"
}

zero_answers() {
	[ "$(ask "unix:$work/tmp/zero.sock" "$good")" = "Status: 200 OK" ]
}

# A umask that takes more than it should.

start_masked() { # start_masked UMASK: sets $daemon
	: >"$work/daemon.log"
	# shellcheck disable=SC2016
	start "$work/daemon.log" bash -c 'umask "$1" && shift && exec "$@"' - "$1" "$bg_fcgi" -F "$bg_fetch" \
	    -c "$work/umask.conf" -l "unix:$work/tmp/umask.sock"
	daemon=$started
}

masked_answers() {
	[ "$(ask "unix:$work/tmp/umask.sock" "$good")" = "Status: 200 OK" ]
}

umasks() {
	local mask turn

	for mask in 0117 0777; do
		mkdir "$work/tmp/masked"
		[ "${#bg_unprivileged[@]}" -eq 0 ] || chown www-data:www-data "$work/tmp/masked"
		cp "$work/bearergate.conf" "$work/umask.conf"
		start_masked "$mask"
		check "umask $mask: the daemon starts with a private replay store" wait_for 20 masked_answers
		stop "$daemon" || :
		printf 'replay = "lmdb:%s"\nlog = "%s"\n' "$work/tmp/masked/replay" "$work/tmp/masked/log" >>"$work/umask.conf"
		for turn in first second; do
			start_masked "$mask"
			check "umask $mask: and with files of its own, the $turn time" wait_for 20 masked_answers
			stop "$daemon" || :
		done
		is "umask $mask: with a store for it alone" "$(stat -c %a "$work/tmp/masked/replay")" 700
		rm -r "$work/tmp/masked"
	done
}

# Peers.  SR-21, SR-22; FastCGI 1.0 section 3.3 for the bytes.

bad_peers() {
	local name hex i address pid

	start_daemon "$work/daemon.log" -c "$work/bearergate.conf" -l 127.0.0.1:0 -n 2
	pid=$daemon address=127.0.0.1:$daemon_port
	while IFS='|' read -r name hex; do
		[ -n "$name" ] || continue
		is "$name gets no answer" "$(perl "$e2e/fcgi.pl" "$address" --hex "$hex" 2>&1)" ""
		is "and the next peer gets his" "$(ask "$address" "$good")" "Status: 200 OK"
	done <<'END'
an HTTP request|474554202f20485454502f312e310d0a0d0a
version 2|020100010008000000020000000000000104000100000000
a role that does not exist|010100010008000000090000000000000104000100000000
a Responder's request with a body|0101000100080000000100000000000001040001000000000105000100010000780105000100000000
the role of a Filter|0101000100080000000300000000000001040001000000000105000100000000
a second BEGIN while one is open|010100010008000000020000000000000101000200080000000200000000000001040001000000000104000200000000
a record of another request|010100010008000000020000000000000104000200040000010141420104000100000000
a request with id 0|010100000008000000020000000000000104000100000000
GET_VALUES with one name|01090000001000000e00464347495f4d41585f434f4e4e53
GET_VALUES with two names|01090000001f00000e00464347495f4d41585f434f4e4e530d00464347495f4d41585f52455153
GET_VALUES with three names|01090000003000000e00464347495f4d41585f434f4e4e530d00464347495f4d41585f524551530f00464347495f4d5058535f434f4e4e53
an unknown management record|0163000000000000
GET_VALUES with five names|01090000004f00000e00464347495f4d41585f434f4e4e530d00464347495f4d41585f524551530f00464347495f4d5058535f434f4e4e530e00464347495f4d41585f434f4e4e530d00464347495f4d41585f52455153
a name of 2 GiB|010100010008000000020000000000000104000100050000ffffffff00
a name of almost 2 GiB and no value|010100010008000000020000000000000104000100050000ffffff0000
a name and a value that overflow when added|010100010008000000020000000000000104000100080000fffffffe80000005
a name that is longer than its record, then the end|0101000100080000000200000000000001040001000300000500610104000100000000
an abort in the middle|010100010008000000020000000000000104000100040000010141420102000100000000
END
	# Five silent peers, each with half a request, against two threads.
	mkfifo "$work/hold"
	exec 7<>"$work/hold"
	for i in 1 2 3 4 5; do
		: >"$work/held.$i"
		perl "$e2e/fcgi.pl" "$address" --hex 0101000100080000000200000000000001040001 --hold \
		    <&7 >"$work/held.$i" 7>&- &
		bg_pids+=("$!")
		check "silent peer $i is connected" wait_for 30 lines_at_least 1 held "$work/held.$i"
	done
	is "silent peers hold nobody up" "$(ask "$address" "$good")" "Status: 200 OK"
	is "a daemon that met all of them is still the same" "$(gone "$pid" || echo alive)" alive
	code=0
	stop "$daemon" || code=$?
	is "silent peers do not keep it from ending" "$code" 0
	exec 7>&-
}

refusals
listening
descriptor_0
umasks
bad_peers
finish
