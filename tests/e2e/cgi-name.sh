#!/bin/bash
# bearergate-cgi: what a script finds as its own name.  Old scripts look there for what lies beside them, so that it has to be as
# if the server had started them; but only where nobody else can have another script started under that name (issue 6, SR-88).
# shellcheck disable=SC2317,SC2119,SC2016 # functions that check calls; what scripts expand
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/routes.inc
. "$(dirname "$0")/routes.inc"
# shellcheck source=tests/e2e/cgi.inc
. "$(dirname "$0")/cgi.inc"

# What whoever runs this test left open would be taken for ours.
for fd in "/proc/$$/fd"/*; do
	fd=${fd##*/}
	[ "$fd" -le 2 ] || [ "$fd" -eq 255 ] || exec {fd}>&-
done

# /tmp is not good enough: anybody may make directories there.
nobody_else_may_write() { # nobody_else_may_write DIRECTORY: to it and to what is above
	local dir

	dir=$(realpath -e "$1" 2>/dev/null) && [ -w "$dir" ] || return
	"${setpriv[@]}" test -x "$dir" || return
	while [ -z "$(find "$dir" -maxdepth 0 \( -perm /022 -o ! -user root ! -user "$(id -u)" \))" ]; do
		[ "$dir" != / ] || return 0
		dir=$(dirname "$dir")
	done
	return 1
}
setpriv=()
[ "$(id -u)" -ne 0 ] || setpriv=(setpriv --reuid=www-data --regid=www-data --clear-groups --)
for base in "${TMPDIR:-/tmp}" "$PWD" "$HOME" /srv /var/lib /run none; do
	! nobody_else_may_write "$base" || break
done
[ "$base" != none ] || skip "no directory to which nobody else may write, up to the root"
TMPDIR=$(realpath "$base")
export TMPDIR

begin cc python3 lighttpd
use_wrapper "script_root = \"$work/at/bin\"" 'log_level = "debug"'
mkdir -p "$work/at/bin"
bin=$work/at/bin
owner() { # owner FILE...: as the wrapper wants it
	[ "$(id -u)" -ne 0 ] || chown -R -h www-data:www-data "$@"
}

# A program, also an interpreter: all its words, its own name for the kernel, and descriptors beyond the standard ones.
cat >"$work/show.c" <<'END'
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	char exe[4096] = "", comm[64] = "";
	FILE *f = fopen("/proc/self/comm", "r");
	printf("Content-Type: text/plain\n\n");
	for (int i = 0; i < argc; i++)
		printf("word %s\n", argv[i]);
	if (f != NULL && fgets(comm, sizeof(comm), f) != NULL && fclose(f) == 0)
		printf("comm %s", comm);
	if (readlink("/proc/self/exe", exe, sizeof(exe) - 1) > 0)
		printf("exe %s\n", exe);
	for (int fd = 3; fd < 256; fd++)
		if (fcntl(fd, F_GETFD) != -1)
			printf("fd %d\n", fd);
	return 0;
}
END
cc -o "$bin/c.cgi" "$work/show.c"
cp "$bin/c.cgi" "$work/bin/show"
cp "$bin/c.cgi" "$bin/blind.cgi"
cat >"$bin/sh.cgi" <<'END'
#!/bin/sh
printf 'Content-Type: text/plain\n\nsh %s\n' "$0"
"$(dirname "$0")/helper"
END
printf '#!/bin/sh\necho helped by "$0"\n' >"$bin/helper"
cat >"$bin/perl.cgi" <<'END'
#!/usr/bin/perl
use FindBin;
use lib $FindBin::Bin;
use Beside;
print "Content-Type: text/plain\n\nperl $0 ", Beside::told(), "\n";
require "$FindBin::Bin/more.pl";
END
printf 'package Beside;\nsub told { "beside" }\n1;\n' >"$bin/Beside.pm"
printf 'print "more\\n";\n1;\n' >"$bin/more.pl"
cat >"$bin/python.cgi" <<'END'
#!/usr/bin/python3
import os, sys
sys.dont_write_bytecode = True
import beside
print('Content-Type: text/plain\n\npython %s %s %s' % (sys.argv[0], os.path.dirname(os.path.abspath(__file__)), beside.told))
END
printf 'told = "beside"\n' >"$bin/beside.py"
printf '#!%s one two\n' "$work/bin/show" >"$bin/line.cgi"
printf '#!%s %s one two\n' "$bg_cgi" "$work/bin/show" >"$bin/wrapped.cgi"
printf '#!%s %s\nprintf "Content-Type: text/plain\\n\\nsh %%s " "$0"; "$(dirname "$0")/helper"' "$bg_cgi" /bin/sh >"$bin/wrapped-sh.cgi"
chmod 755 "$bin"/*.cgi "$bin/helper"
chmod 711 "$bin/blind.cgi"	# executable, and not to be read where it is root's
owner "$work/at"
[ "$(id -u)" -ne 0 ] || chown root "$bin/blind.cgi"

good=$(token)
run() { # run PATH [WORD...]: the wrapper as lighttpd's cgi.assign starts it; $work/out and the log
	local path=$1

	shift
	(cd / && exec "${bg_unprivileged[@]}" env -i REQUEST_METHOD=GET REQUEST_URI=/x SERVER_PROTOCOL=HTTP/1.1 HTTP_HOST=api.example \
	    PATH=/usr/bin:/bin HTTP_AUTHORIZATION="Bearer $good" SCRIPT_FILENAME="$path" "$bg_cgi" "$path" "$@") \
	    </dev/null >"$work/out" 2>"$work/cgi.log" || :
}
same() { # same PATH [WORD...]: what the script says under the wrapper and by itself, started by its path
	(cd "$(dirname "$1")" && exec "${bg_unprivileged[@]}" env -i PATH=/usr/bin:/bin "$@") </dev/null >"$work/bare"
	grep -q 'Content-Type' "$work/bare" || die "$1 does not run by itself"
	run "$@"
	verdict "${1##*/} finds itself as if the server had started it (issue 6)" "$(diff "$work/bare" "$work/out" 2>&1 | head -n 20)"
}
nameless() { # nameless SENTENCE WHY: a script is executed by its descriptor, and the log has why
	local number

	run "$bin/line.cgi" a
	number=$(sed -n 's,^word /dev/fd/\([0-9]*\)$,\1,p' "$work/out")
	verdict "$1 (SR-88)" "$(
		wrong words "$(grep ^word "$work/out" | tr '\n' ' ')" "word $work/bin/show word one two word /dev/fd/$number word a "
		wrong descriptors "$(grep ^fd "$work/out")" "fd $number"
		grep -q -F -e "script=by-descriptor detail=" "$work/cgi.log" && grep -q -F -e "$2" "$work/cgi.log" || cat "$work/cgi.log"
	)"
}

for script in c blind sh perl python line; do
	same "$bin/$script.cgi" a -b
done
run "$bin/wrapped.cgi" a
is "behind the rest of a line that names the wrapper, the script is named" "$(grep -v '^comm\|^exe' "$work/out" | tail -n +3)" \
    "$(printf 'word %s\n' "$work/bin/show" 'one two' "$bin/wrapped.cgi" a)"
run "$bin/wrapped-sh.cgi"
is "and finds what lies beside it" "$(tail -n +3 "$work/out")" "sh $bin/wrapped-sh.cgi helped by $bin/helper"
# Its line cannot be seen, and may name the wrapper, which would have it start itself again and again.
cp "$bin/line.cgi" "$bin/unread.cgi"
owner "$bin/unread.cgi"
chmod 311 "$bin/unread.cgi"
run "$bin/unread.cgi"
is "a script that cannot be read is refused as before" "$(head -n 1 "$work/out" | tr -d '\r')" "Status: 500 Internal Server Error"
check "and the log says why" grep -q 'script=refused status=500 detail=.*cannot be read, which all but a compiled program' "$work/cgi.log"
run "$bin//./sh.cgi"
is "a path is given as it was walked" "$(sed -n 3p "$work/out")" "sh $bin/sh.cgi"

# A link on the way to script_root, as current -> releases/42: the path that the server knows.
cp "$work/bin/bearergate.conf" "$work/before.conf"
ln -s at "$work/current"
sed -i "s,^script_root.*,script_root = \"$work/current/bin\"," "$work/bin/bearergate.conf"
same "$work/current/bin/sh.cgi"
mkdir "$work/loose"
owner "$work/loose"
chmod 775 "$work/loose"
rm "$work/current"
ln -s loose/on "$work/current"
ln -s ../at "$work/loose/on"
bin=$work/current/bin nameless "but not where the link goes by a directory that a group may write to" "$work/loose may be written to"
cp "$work/before.conf" "$work/bin/bearergate.conf"

# Where somebody else might exchange it.
chmod g+w "$work/at/bin"
run "$bin/sh.cgi"
is "a script in a directory that a group may write to is refused as before" "$(head -n 1 "$work/out" | tr -d '\r')" \
    "Status: 500 Internal Server Error"
chmod g-w "$work/at/bin"
chmod g+w "$work/at"
nameless "one below a directory that a group may write to has no name" "$work/at may be written to by its group or by others"
chmod 1777 "$work/at"
nameless "nor one below a directory like /tmp" "$work/at may be written to by its group or by others"
chmod 755 "$work/at"
if [ "$(id -u)" -eq 0 ]; then
	chown 12345 "$work/at"
	nameless "nor one below somebody else's directory" "$work/at belongs to user 12345"
	printf 'script_owner = 12345\n' >>"$work/bin/bearergate.conf"
	same "$bin/sh.cgi"
	cp "$work/before.conf" "$work/bin/bearergate.conf"
	owner "$work/at"
	chown root "$work/at/bin/blind.cgi"

	# Whoever may write there exchanges directories as fast as can be, one of which is all theirs.
	mkdir "$work/evil"
	printf '#!%s EVIL\n' "$work/bin/show" >"$work/evil/line.cgi"
	chmod 755 "$work/evil/line.cgi"
	chown -R 12345 "$work/evil"
	chmod 775 "$work/at"
	mv "$work/evil" "$work/at/evil"
	perl -e 'my ($at) = @ARGV; while (1) { rename "$at/bin", "$at/away"; rename "$at/evil", "$at/bin";
		rename "$at/bin", "$at/evil"; rename "$at/away", "$at/bin" }' "$work/at" &
	racer=$!
	bg_pids+=("$racer")
	: >"$work/outs"
	for ((i = 0; i < 200; i++)); do
		run "$bin/line.cgi"
		cat "$work/out" >>"$work/outs"
	done
	kill "$racer"
	wait "$racer" 2>/dev/null || :
	verdict "a script of theirs is never run in place of the one that was looked at (SR-88)" "$(grep EVIL "$work/outs" | head -n 3)"
	check "and that one was" grep -q '^word one two' "$work/outs"
	# It was stopped somewhere.
	if [ ! -e "$bin/c.cgi" ]; then
		[ ! -e "$bin" ] || mv -T "$bin" "$work/theirs"
		mv -T "$work/at/away" "$bin"
	fi
	chmod 755 "$work/at"
fi

# Behind a server.
cat >"$work/more.conf" <<END
alias.url += ( "/api/lang/" => "$bin/" )
END
start_wrapped lighttpd lighttpd.conf "$work/more.conf"
bearer "$good"
request /api/lang/sh.cgi "${auth[@]}"
is "behind lighttpd, sh finds what lies beside the script" "$status $(tr '\n' ' ' <"$work/body")" \
    "200 sh $bin/sh.cgi helped by $bin/helper "
request /api/lang/perl.cgi "${auth[@]}"
is "so does Perl's FindBin" "$status $(tr '\n' ' ' <"$work/body")" "200 perl $bin/perl.cgi beside more "
request /api/lang/python.cgi "${auth[@]}"
is "so does Python" "$status $(tr '\n' ' ' <"$work/body")" "200 python $bin/python.cgi $bin beside "
request /api/lang/c.cgi "${auth[@]}"
is "a compiled program has its path in argv[0]" "$status $(head -n 1 "$work/body")" "200 word $bin/c.cgi"
request /api/lang/sh.cgi
is "and nobody gets there without a token" "$status" 401
finish
