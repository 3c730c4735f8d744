#!/bin/bash
# bearergate-cgi where it asks bearergate-fcgi, behind lighttpd and by itself: what the daemon says is what happens, and where it
# says nothing, or not all of it, or somebody else speaks in its place, no script runs.
# shellcheck disable=SC2317,SC2119 # functions that wait_for and check call
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/routes.inc
. "$(dirname "$0")/routes.inc"
# shellcheck source=tests/e2e/cgi.inc
. "$(dirname "$0")/cgi.inc"
# shellcheck source=tests/e2e/dpop.inc
. "$(dirname "$0")/dpop.inc"

begin lighttpd cc
use_wrapper
mkdir "$work/run"
[ "$(id -u)" -ne 0 ] || chown --reference="$work/tmp" "$work/run"
socket=unix:$work/run/bg.sock
wrapper_conf=$work/bin/bearergate.conf

asks() { # asks LINE...: the wrapper's configuration
	printf '%s\n' "daemon = \"$socket\"" "$@" >"$wrapper_conf"
}

# Behind lighttpd: all that the routes' tests know, decided and logged by the daemon.
replay_config "$work/daemon.conf" "replay_max_proofs = 1000"
sed -i "s|$work/replay|$work/tmp/replay|" "$work/daemon.conf"
start_daemon "$work/daemon.log" -c "$work/daemon.conf" -l "$socket"
fill "$bg_source/conf/examples/cgi/ask.conf" SOCKET="$socket" SCRIPTS="$work/bin" >"$wrapper_conf"
languages
cat >"$work/more.conf" <<END_MORE
alias.url += ( "/api/misspelt" => "$work/bin/show-claims", "/api/lang/" => "$work/bin/" )
\$HTTP["url"] =^ "/api/misspelt" { setenv.set-environment = ( "BEARERGATE_SCOPES" => "read:messages" ) }
END_MORE
bg_template=$bg_source/conf/examples/cgi/lighttpd.conf
start_server lighttpd '' "$work/more.conf"
all_routes null
headers_set_nothing
queries_choose_nothing
large_bodies_go_where_they_should
speaks sh /api/lang/sh.cgi
speaks perl /api/lang/perl.cgi
speaks c /api/lang/c.cgi
check "the wrapper has nothing to say of it" [ "$(grep -c decision= "$work/lighttpd.log")" -eq 0 ]
stop "$server" || :

# By itself, as a server starts it.
cat >"$work/bin/probe" <<'END_PROBE'
#!/bin/sh
PATH=/usr/bin:/bin
printf 'Content-Type: text/plain\n\nran\n'
env | grep -v '^PATH=\|^_=\|^OLDPWD=\|^PWD=' | sort
cat | cksum
END_PROBE
chmod 755 "$work/bin/probe"
asks "script = \"$work/bin/probe\"" 'daemon_timeout = "20s"'
vars=(REQUEST_METHOD=GET REQUEST_URI=/x HTTP_HOST=api.example SERVER_PROTOCOL=HTTP/1.1)
good=HTTP_AUTHORIZATION="Bearer $(token)"
body=

run() { # run VARIABLE...
	code=0
	printf %s "$body" >"$work/in"
	(cd / && exec "${bg_unprivileged[@]}" env -i "${vars[@]}" "$@" "$bg_cgi") <"$work/in" >"$work/out" 2>"$work/cgi.log" || code=$?
}

ran() { # did the script?
	grep -q -x ran "$work/out"
}

answers() { # answers SENTENCE STATUS VARIABLE...: a denial of the daemon's
	local sentence=$1 wanted=$2

	shift 2
	run "$@"
	verdict "$sentence" "$(
		wrong status "$(sed -n '1s/^Status: \([0-9]*\) .*/\1/p' "$work/out")" "$wanted"
		wrong 'lines in the log' "$(wc -l <"$work/cgi.log")" 0
		! ran || echo 'the script ran'
	)"
}

runs() { # runs SENTENCE VARIABLE...
	local sentence=$1

	shift
	run "$@"
	verdict "$sentence" "$(ran || cat "$work/out" "$work/cgi.log")"
}

unavailable() { # unavailable SENTENCE WORDS: with a good token nothing runs, 503, and one line that names the socket and says why
	local sentence=$1 words=$2

	run "$good"
	verdict "$sentence" "$(
		wrong status "$(sed -n '1s/^Status: \([0-9]*\) .*/\1/p' "$work/out")" 503
		wrong error "$(tail -n 1 "$work/out" | jq -r .detail.error)" temporarily_unavailable
		wrong 'lines in the log' "$(wc -l <"$work/cgi.log")" 1
		grep -q -F -e "reason=no_daemon status=503 path=\"/x\" detail=\"$socket: " "$work/cgi.log" || cat "$work/cgi.log"
		grep -q -e "$words" "$work/cgi.log" || printf 'it does not say "%s", but: %s\n' "$words" "$(cat "$work/cgi.log")"
		! ran || echo 'the script ran'
	)"
}

runs "a good token runs the script" "$good"
is "with the claims the daemon exports" "$(grep -c -x -e 'CLAIM_SUB=alice' -e 'REMOTE_USER=alice' -e 'AUTH_TYPE=Bearer' "$work/out")" 3
body='some body'
run "$good" CONTENT_LENGTH=9
is "the body is the script's" "$(tail -n 1 "$work/out")" "$(printf %s "$body" | cksum)"
body=
answers "no token is refused" 401
answers "a bad one is" 401 HTTP_AUTHORIZATION='Bearer x'
answers "so is one without the scope that the place demands" 403 "$good" BEARERGATE_SCOPE=read:messages
action=(SCRIPT_FILENAME="$bg_cgi" REDIRECT_STATUS=200 REDIRECT_URL=/x PATH_INFO=/x)
answers "also by way of a redirect (Action)" 403 "$good" "${action[@]}" REDIRECT_BEARERGATE_SCOPE=read:messages
answers "what another place allows does not open this one" 401 REDIRECT_BEARERGATE_AUTH=none REDIRECT_STATUS=404 REDIRECT_URL=/public
answers "a demand that is not known is nobody's to pass over" 500 "$good" BEARERGATE_SCOPES=read:messages
answers "nor does a page open anything" 500 "$good" BEARERGATE_PAGE=status
# What a file beside the script demands, the daemon is told.
narrow=$work/bin/probe.bearergate
scoped=HTTP_AUTHORIZATION="Bearer $(token '.scope = "read:messages"')"
printf 'scope = { "read:messages" }\n' >"$narrow"
answers "a file beside the script wants a scope" 403 "$good"
check "which the challenge names" grep -q 'scope="read:messages"' "$work/out"
answers "and a token, where the server wants none" 401 BEARERGATE_AUTH=none
runs "with the scope it runs" "$scoped"
answers "what the server wants is wanted as well" 403 "$scoped" BEARERGATE_SCOPE=write:messages
printf 'policy = { "nobody-knows" }\n' >"$narrow"
answers "a policy that the daemon has not is nobody's to meet" 500 "$scoped"
for demand in 'claim "sub" { equals = { "alice" } }' 'auth = "none"' ''; do
	printf '%s\n' "$demand" >"$narrow"
	run "$scoped"
	verdict "'$demand' is nothing that it could be told" "$(
		wrong answer "$(head -n 1 "$work/out" | tr -d '\r')" "Status: 500 Internal Server Error"
		grep -q 'script=refused status=500 detail=.*probe[.]bearergate' "$work/cgi.log" || cat "$work/cgi.log"
	)"
	answers "which nobody learns without a token" 401
done
rm "$narrow"
run "$good" REQUEST_URI=/%78 SCRIPT_NAME=/%78
is "a path that was decoded, and would be again, is refused (SR-70)" "$(head -n 1 "$work/out" | tr -d '\r')" "Status: 400 Bad Request"
runs "an optional place needs no token" BEARERGATE_AUTH=optional CLAIM_SUB=mallory CLAIM_X=mallory REMOTE_USER=mallory AUTH_TYPE=Basic
is "and all names are there and empty (SR-84)" "$(grep -c -E '^(REMOTE_USER|AUTH_TYPE|CLAIM_SUB|CLAIM_ORG_ID)=$' "$work/out")" 4
is "and nothing else" "$(grep -c -e mallory -e Basic "$work/out")" 0
run "$good" CLAIM_SUB=mallory CLAIM_EVIL=1 claim_evil=1 REDIRECT_CLAIM_EVIL=1 CLAIMS_JSON={} REMOTE_USER=mallory AUTH_TYPE=Basic \
    HTTP_PROXY=http://evil.example BEARERGATE_AUTH=required HTTP_DPOP= REDIRECT_REMOTE_USER=mallory
is "nothing of ours comes from outside (SR-80, SR-87)" \
    "$(grep -c -i -E 'evil|mallory|CLAIMS_JSON|HTTP_PROXY|Basic|BEARERGATE|HTTP_AUTHORIZATION|HTTP_DPOP' "$work/out")" 0
many=()
for ((i = 0; i < 10000; i++)); do many+=("V$i=$i"); done
runs "10,000 variables that nobody asks about do no harm" "$good" "${many[@]}"
run REQUEST_METHOD=HEAD
is "HEAD is answered without a body" "$(tail -n 1 "$work/out" | tr -d '\r')" ""
run SCRIPT_FILENAME=/cgi/nph-app
is "nph- with a status line" "$(head -n 1 "$work/out" | tr -d '\r')" "HTTP/1.1 401 Unauthorized"
body=$(head -c 30000 /dev/zero | tr '\0' a)
answers "a body is read before a refusal" 401 CONTENT_LENGTH=30000
body=
large=$(head -c 100000 /dev/zero | tr '\0' v)
answers "a token of 100,000 bytes gets the daemon's answer" 401 HTTP_AUTHORIZATION="Bearer $large"
run HTTP_AUTHORIZATION="Bearer $large" BEARERGATE_HOST="$large"
is "what is more than it reads is refused here" "$(head -n 1 "$work/out" | tr -d '\r')" "Status: 400 Bad Request"

# One proof, once, for all processes.
bound_tokens
printf %s "$bound" >"$work/bound"
proof=$(proof GET http://api.example/x)
by_dpop=(HTTP_AUTHORIZATION="DPoP $bound" REQUEST_SCHEME=http SERVER_PORT=80)
runs "a proof is good once" "${by_dpop[@]}" HTTP_DPOP="$proof" REMOTE_PORT=1
is "and told of" "$(grep -c -x AUTH_TYPE=DPoP "$work/out")" 1
answers "and not again" 400 "${by_dpop[@]}" HTTP_DPOP="$proof" REMOTE_PORT=2
runs "another one is" "${by_dpop[@]}" HTTP_DPOP="$(proof GET http://api.example/x)" REMOTE_PORT=3

# No library that decides is there.
if command -v ldd >/dev/null; then
	is "what asks does not even have OpenSSL" "$(ldd "$bg_cgi" | grep -c -e crypto -e ssl -e jansson -e hiredis -e lmdb)" 0
fi
rm -f "$work/bin"/bearergate-alone*.so
runs "nor needs the part that decides" "$good"

# Who answers, and who could.
listener=$(stat -c %u "/proc/$daemon")
cp "$wrapper_conf" "$work/ask.conf"
chmod 775 "$work/run"
unavailable "where a group could put a socket of its own, nobody is asked" "its group may write to $work/run, and could answer"
printf 'daemon_user = "%s"\n' "$listener" >>"$wrapper_conf"
if [ "$listener" -ne 0 ]; then
	runs "but where it is said who listens, and he does" "$good"
fi
chmod 755 "$work/run"
runs "as elsewhere" "$good"
cp "$work/ask.conf" "$wrapper_conf"
ln -s "$work/run" "$work/tmp/link"
chmod g+w "$work/tmp"
asks "script = \"$work/bin/probe\""
sed -i "s|unix:$work/run|unix:$work/tmp/link|" "$wrapper_conf"
socket=unix:$work/tmp/link/bg.sock
unavailable "nor behind a link that others could change" "write to $work/tmp,"
socket=unix:$work/run/bg.sock
rm "$work/tmp/link"
chmod g-w "$work/tmp"
cp "$work/ask.conf" "$wrapper_conf"
if [ "$listener" -ne 0 ]; then
	printf 'daemon_user = "%s"\n' $((listener + 1)) >>"$wrapper_conf"
	unavailable "and nobody but who shall listen is believed" "user $listener listens, and daemon_user is $((listener + 1))"
	cp "$work/ask.conf" "$wrapper_conf"
fi
if [ "$(id -u)" -eq 0 ]; then
	whose=$(stat -c %u "$work/run")
	chown 54321 "$work/run"
	unavailable "nor is one whose directory is another user's" "$work/run belongs to user 54321, who could answer"
	chown "$whose" "$work/run"
fi

# The daemon away.
worker=$(worker_of "$daemon")
is_stopped() { # with all its threads, which takes a moment
	! grep -h '^State:' "/proc/$worker/task"/*/status | grep -q -v 'T (stopped)'
}
kill -STOP "$worker"
wait_for 20 is_stopped || die "the daemon does not stop"
sed -i 's/^daemon_timeout = .*/daemon_timeout = "2s"/' "$wrapper_conf"
unavailable "a daemon that is stopped is waited for, and not for ever" 'no answer in time'
cp "$work/ask.conf" "$wrapper_conf"
kill -CONT "$worker"
runs "it goes on" "$good"
kill -KILL "$daemon"
wait_for 30 gone "$daemon"
wait_for 30 gone "$worker"
unavailable "a daemon that was killed is no permission" 'Connection refused'
rm -f "$work/run/bg.sock"
unavailable "nor is one whose socket is gone" 'No such file'
chmod 777 "$work/run"
unavailable "nor is one whose socket anybody could make" 'everybody may write to its directory'
chmod 755 "$work/run"

# Somebody else in its place.  Each connection is answered by the bytes that a piece of Perl makes.
cat >"$work/fake.pl" <<'END_FAKE'
use strict;
use warnings;
use Socket;
$SIG{PIPE} = 'IGNORE';
my ($path, $make) = @ARGV;
my $allow = "Status: 200 OK\r\nVariable-REMOTE_USER: bob\r\nVariable-AUTH_TYPE: Bearer\r\n";
sub rec { my ($type, $content, $id) = @_; return pack('CCnnCC', 1, $type, $id // 1, length($content), 0, 0) . $content; }
sub whole { return rec(6, $_[0]) . rec(6, '') . rec(3, "\0" x 8); }
my $bytes = eval $make;
die $@ if $@;
unlink $path;
socket(my $s, AF_UNIX, SOCK_STREAM, 0) or die "socket: $!\n";
bind($s, pack_sockaddr_un($path)) or die "bind: $!\n";
listen($s, 8) or die "listen: $!\n";
$| = 1;
print "listening\n";
while (accept(my $c, $s)) {
	sysread($c, my $request, 65536);
	syswrite($c, $bytes);
	close $c;
}
END_FAKE

fake() { # fake SENTENCE WORDS PERL
	: >"$work/fake.log"
	start "$work/fake.log" perl "$work/fake.pl" "$work/run/bg.sock" "$3"
	fake=$started
	wait_for 20 lines_at_least 1 listening "$work/fake.log" || die "the false daemon does not start"
	if [ "$2" = - ]; then
		runs "$1" "$good"
	else
		unavailable "$1 lets nobody in" "$2"
	fi
	stop "$fake" || :
}

# shellcheck disable=SC2016 # for Perl to expand
{
	fake "(that the false one could say yes" - 'whole("$allow\r\n")'
	fake "nothing at all" 'closed the connection' '""'
	fake "garbage" 'not FastCGI' '"HTTP/1.1 200 OK\r\n\r\n"'
	fake "an answer that is cut off" 'closed the connection before' 'substr(whole("$allow\r\n"), 0, -1)'
	fake "one without END_REQUEST" 'closed the connection before' 'rec(6, "$allow\r\n") . rec(6, "")'
	fake "an empty END_REQUEST" 'before its answer did' 'rec(3, "\0" x 8)'
	fake "an empty answer" 'begin with its status' 'rec(6, "") . rec(3, "\0" x 8)'
	fake "200 without Status" 'begin with its status' 'whole("Variable-AUTH_TYPE: Bearer\r\n\r\n")'
	fake "200 without variables" 'without AUTH_TYPE' 'whole("Status: 200 OK\r\n\r\n")'
	fake "PATH" 'not ours to set' 'whole("${allow}Variable-PATH: /tmp\r\n\r\n")'
	fake "LD_PRELOAD" 'not ours to set' 'whole("${allow}Variable-LD_PRELOAD: /tmp/x.so\r\n\r\n")'
	fake "HTTP_X" 'not ours to set' 'whole("${allow}Variable-HTTP_X: 1\r\n\r\n")'
	fake "a name that no export block has" 'export block' 'whole("${allow}Variable-ROLES: admin\r\n\r\n")'
	fake "the answer to another request" 'another request' 'rec(6, "$allow\r\n", 2) . rec(6, "", 2) . rec(3, "\0" x 8, 2)'
	fake "a word on standard error" 'standard error' 'rec(7, "x") . whole("$allow\r\n")'
	fake "a status of the application" "application's status" 'rec(6, "$allow\r\n") . rec(6, "") . rec(3, "\0\0\0\1\0\0\0\0")'
	fake "OVERLOADED" 'not completed' 'rec(6, "$allow\r\n") . rec(6, "") . rec(3, "\0\0\0\0\2\0\0\0")'
	fake "the answer for another role" 'another header than variables' 'whole("Status: 200 OK\r\nX-Auth-Type: Bearer\r\n\r\n")'
	fake "a body" 'with a body' 'whole("$allow\r\nhello")'
	fake "too much" 'too large' 'rec(6, "x" x 60000) . rec(6, "x" x 60000)'
	fake "201" "not bearergate-fcgi's" 'whole("Status: 201 Created\r\nVariable-AUTH_TYPE: Bearer\r\n\r\n")'
	printf '%s\n' 'export "/realm_access/roles" { as = "ROLES" }' >>"$wrapper_conf"
	fake "(and with the export block there" - 'whole("${allow}Variable-ROLES: admin\r\n\r\n")'
}

# What such a file may say.
"$BG_TOOL" check -c "$wrapper_conf" >"$work/checked.conf" 2>"$work/err"
is "check accepts the file" "$? $(cat "$work/err")" "0 "
check "and what it prints is one" "$BG_TOOL" check -c "$work/checked.conf" >/dev/null
code=0
"${bg_unprivileged[@]}" timeout -k 5 20 "$bg_fcgi" -t -c "$wrapper_conf" >"$work/out" 2>"$work/err" || code=$?
is "bearergate-fcgi refuses it" "$code $(grep -c 'that is for bearergate-cgi' "$work/err")" "78 1"
printf 'location "/api" { scope = "read" }\n' >>"$wrapper_conf"
run "$good"
is "a policy beside it, which nobody would keep to, lets nobody in" "$(head -n 1 "$work/out" | tr -d '\r')" "Status: 500 Internal Server Error"
check "and the log says so" grep -q 'location beside daemon' "$work/cgi.log"
finish
