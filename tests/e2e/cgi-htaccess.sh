#!/bin/bash
# bearergate-cgi for somebody who has no more than a directory and its .htaccess, behind Apache's mod_cgi: Action for all files
# with an ending, a #! line, what the directory demands, and the ways by which Apache comes to a file under another name.
# shellcheck disable=SC2154 # variables of the scripts that are sourced
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/cgi.inc
. "$(dirname "$0")/cgi.inc"

begin apache2
use_wrapper "script_root = \"$work/www\""
mkdir -p "$work/www/app/dir"
cat >"$work/www/app/x.cgi" <<'END'
#!/bin/sh
printf 'Content-Type: text/plain\n\n%s %s %s %s' "$SCRIPT_NAME" "$PATH_INFO" "$CLAIM_SUB" "$*"
END
for name in dir/index.cgi error.cgi; do cp "$work/www/app/x.cgi" "$work/www/app/$name"; done
{ printf '#!%s /bin/sh\n' "$bg_cgi" && sed 1d "$work/www/app/x.cgi"; } >"$work/www/app/line.own"
# One that says nothing, until it is told to end.
cat >"$work/www/app/silent.cgi" <<END
#!/bin/sh
trap 'echo TERM >>"$work/tmp/ended"; exit 0' TERM
echo \$\$ >"$work/tmp/silent.pid"
read -r _ <"$work/tmp/never"
END
mkfifo -m 644 "$work/tmp/never"
exec 8<>"$work/tmp/never"
printf 'scope = { "write:messages" }\n' >"$work/www/app/error.cgi.bearergate"
# shellcheck disable=SC2016 # for the script to expand
# A program that has the server go on to wherever its query says.
printf '#!/bin/sh\nprintf "Location: %%s\\n\\n" "$QUERY_STRING"\n' >"$work/www/go.own"
mkdir "$work/www/bare"
teller "$work/www/app/tell.cgi"
cp "$work/www/app/tell.cgi" "$work/www/bare/"
chmod -R u=rwX,go=rX "$work/www"
chmod 755 "$work"/www/{app,app/dir,bare}/*.cgi "$work"/www/{,app/}*.own

# All that such a user writes, and what others have in theirs.
{
	fill "$bg_source/conf/examples/cgi/htaccess" URL=/bearergate-cgi WRAPPER="$bg_cgi"
	cat <<'END'
DirectoryIndex index.cgi
ErrorDocument  404 /app/error.cgi
RewriteEngine  On
RewriteRule    ^pretty/(.*)$ x.cgi/$1 [L]
END
} >"$work/www/app/.htaccess"
cat >"$work/www/.htaccess" <<'END'
AddHandler    cgi-script .own
Options       +ExecCGI
RewriteEngine On
RewriteRule   ^from-outside/(.*)$ app/x.cgi/$1 [L]
RewriteRule   ^round/(.*)$ bearergate-cgi/round/$1 [L,PT]
END

modules=${APACHE_MODULES:-/usr/lib/apache2/modules}
{
	for name in env mime dir rewrite; do printf 'LoadModule %s_module %s/mod_%s.so\n' "$name" "$modules" "$name"; done
	cat <<END
TypesConfig /dev/null
<Directory "$work/www">
  Require all granted
  AllowOverride AuthConfig FileInfo Indexes Limit Options=ExecCGI
</Directory>
ScriptAlias "/bare/" "$work/www/bare/"
<Location "/bearergate-cgi/app/silent.cgi">
  CGIScriptTimeout 5s
</Location>
END
} >"$work/more.conf"
# As shared hosts have it: processes without threads, which run programs themselves.  In the foreground this kind of Apache ends by a
# SIGTERM to its whole process group, which would be that of make, with the servers of other tests; so it gets one of its own.
bg_unprivileged=(setsid "${bg_unprivileged[@]}")
bg_edit=(-e 's/mpm_event/mpm_prefork/g' -e 's/cgid/cgi/g' -e '/^ScriptSock/d' -e '/^Action/d' -e '/^\(Script\)\?Alias *"\/api/d')
start_wrapped apache action.conf "$work/more.conf"

plain=$(token)
reader=$(token '.scope = "read:messages"')
runs() { # runs SENTENCE PATH ANSWER: for who has the scope, and for nobody else
	denied "$1, but not without a token" 401 - no_token "$2"
	bearer "$plain"
	denied "nor with one that has not the scope" 403 insufficient_scope no_scope "$2" "${auth[@]}"
	bearer "$reader"
	request "$2" "${auth[@]}"
	is "$1" "$status $(cat "$work/body")" "200 $3"
}
runs "a script runs behind an .htaccess" '/app/x.cgi/info?a+b' '/app/x.cgi /info alice a b'
runs "one that names the wrapper in its first line does" '/app/line.own/info?a+b' '/app/line.own /info alice a b'
runs "the index of a directory does" /app/dir/ '/app/dir/index.cgi  alice '
runs "a script under a rewritten path does" /app/pretty/info '/app/x.cgi /info alice '
runs "also from outside of its directory" /from-outside/info '/app/x.cgi /info alice '
runs "another program may have sent the request on" '/go.own?/app/x.cgi/info' '/app/x.cgi /info alice '
request /app/none "${auth[@]}"
is "a script that answers errors has its own demand beside that" "$status $(json .detail.error) $(header WWW-Authenticate | grep -o 'scope="[^"]*"')" \
    '403 insufficient_scope scope="read:messages write:messages"'

# What a server has started is what it signals, and nothing below that (interop section 4.4): the script, in the wrapper's place.
request /app/silent.cgi "${auth[@]}"
is "a script that says nothing is given up" "$status" 504
check "and is told so itself" wait_for 20 grep -q TERM "$work/tmp/ended"
check "and gone" wait_for 20 gone "$(cat "$work/tmp/silent.pid")"

good=$reader
leaving_is_told /app/tell.cgi /bare/tell.cgi stream upload silent
heads_are_alike /app/x.cgi

bearer "$reader"
for path in /bearergate-cgi/app/x.cgi /round/app/x.cgi '/go.own?/bearergate-cgi/app/x.cgi'; do
	request "$path" "${auth[@]}"
	is "the wrapper's own URL leads nowhere: $path" "$status $(json .detail.error)" "500 internal_server_error"
done
echo '# a secret' >"$work/www/app/bearergate.conf"
for name in error.cgi.bearergate bearergate.conf; do
	request "/app/$name" "${auth[@]}"
	is "$name is handed out to nobody" "$status" 403
done
head -c 300000 /dev/urandom >"$work/upload"
denied "POST is refused, its body read" 401 - no_token /app/x.cgi --data-binary "@$work/upload"
chunked_bodies_do_not_spoil_a_refusal /app/x.cgi
finish
