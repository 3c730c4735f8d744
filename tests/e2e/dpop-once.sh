#!/bin/bash
# A web server may ask several times for one request of a client: for sub-requests, internal redirects, an index file.  A
# proof gets that request through, and no other: with a name for the request (mod_unique_id, BEARERGATE_REQUEST_ID) and
# without one.
# shellcheck disable=SC2317,SC2119,SC2154 # functions that wait_for and check call; what lib.sh sets
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/dpop.inc
. "$(dirname "$0")/dpop.inc"

decisions() { # since the mark: the daemon's answers in their order, as "allow allow proof_spent"
	tail -n "+$((marked + 1))" "$work/daemon.log" | sed -n 's/.* decision=\([a-z]*\) reason=\([a-z_]*\) .*/\1 \2/p' |
	    sed -e 's/^allow .*/allow/' -e 's/^deny //' | paste -sd' '
}

# once KIND: rows of standard input: sentence | path | what the answer holds | the daemon's decisions for the first request
once() {
	local sentence path holds first url

	while IFS='|' read -r sentence path holds first; do
		holds=${holds//DOCROOT/$work/www}
		url=http://127.0.0.1:$port$path
		dpop "$(proof GET "$url")"
		log_mark
		request "$path" "${auth[@]}"
		is "$1: $sentence gets through" "$status $(grep -c -F -e "$holds" "$work/body")" "200 1"
		is "asked about so often" "$(decisions)" "$first"
		denied "$1: $sentence, the proof again" 400 invalid_dpop_proof proof_spent "$path" "${auth[@]}"
		dpop "$(proof GET "$url")"
		is "$1: $sentence, on the same connection" "$(twice_on_one_connection "$url")" "200 1 400 0 "
		is "the first is the one that got through" "$(grep -c -F -e "$holds" "$work/first") $(json .detail.error_description)" \
		    "1 the DPoP proof was used before"
	done
}

# refused KIND: rows of standard input, as above: the request does not get through at all
refused() {
	local sentence path holds first

	while IFS='|' read -r sentence path holds first; do
		dpop "$(proof GET "http://127.0.0.1:$port$path")"
		log_mark
		request "$path" "${auth[@]}"
		is "$1: $sentence is refused" "$status $(json .detail.error_description)" "400 the DPoP proof was used before"
		is "asked about so often" "$(decisions)" "$first"
	done
}

lacks() { # lacks WORD FILE
	! grep -q -F -e "$1" "$2"
}

new_daemon() { # new_daemon LISTEN
	[ -z "${daemon:-}" ] || stop "$daemon" || :
	start_daemon "$work/daemon.log" -c "$work/bearergate.conf" -l "$1"
}

files() { # the document root: programs say which they are, files what they are called
	local dir file

	for dir in index program action action-to variants fallback rewritten rewritten-to missing both; do
		mkdir -p "$work/www/api/$dir"
	done
	cat >"$work/bin/say" <<'END'
#!/bin/sh
printf 'Content-Type: text/plain\n\nprogram %s%s is %s\n' "$SCRIPT_NAME" "$PATH_INFO" "${PATH_TRANSLATED:-nowhere}"
END
	chmod 755 "$work/bin/say"
	for file in index/program.cgi action-to/program.cgi fallback/program.cgi program/program.cgi; do
		cp "$work/bin/say" "$work/www/api/$file"
	done
	for file in plain.txt program/file.txt action/file.acted variants/page.txt variants/page.html rewritten-to/file.txt index/index.html both/file.txt; do
		printf 'file %s\n' "$file" >"$work/www/api/$file"
	done
}

start_apache() {
	new_daemon 127.0.0.1:0
	cat >"$work/more.conf" <<END
LoadModule dir_module         ${APACHE_MODULES:-/usr/lib/apache2/modules}/mod_dir.so
LoadModule mime_module        ${APACHE_MODULES:-/usr/lib/apache2/modules}/mod_mime.so
LoadModule actions_module     ${APACHE_MODULES:-/usr/lib/apache2/modules}/mod_actions.so
LoadModule negotiation_module ${APACHE_MODULES:-/usr/lib/apache2/modules}/mod_negotiation.so
LoadModule rewrite_module     ${APACHE_MODULES:-/usr/lib/apache2/modules}/mod_rewrite.so
TypesConfig /dev/null
AddType text/plain .txt
AddType text/html .html
ScriptAlias "/api/say" "$work/bin/say"
<Directory "$work/www/api">
  Options +ExecCGI +MultiViews
  AddHandler cgi-script .cgi
  DirectoryIndex program.cgi
</Directory>
<Directory "$work/www/api/action">
  AddHandler acted .acted
  Action acted /api/action-to/program.cgi
</Directory>
# A redirect within one set of directives is not asked about again; this makes it another set.
<Location "/api/action-to">
  SetEnvIf Request_URI ".*" OTHER=1
</Location>
<Directory "$work/www/api/fallback">
  FallbackResource /api/fallback/program.cgi
</Directory>
<Location "/api/fallback/program.cgi">
  SetEnvIf Request_URI ".*" OTHER=1
</Location>
<Directory "$work/www/api/rewritten">
  RewriteEngine On
  RewriteRule ^(.*)$ /api/rewritten-to/\$1 [L]
</Directory>
<Location "/api/rewritten-to">
  SetEnvIf Request_URI ".*" OTHER=1
</Location>
# Guarded itself, it has status 200: mod_authnz_fcgi takes the status of the daemon's answer for that of the request.
<Directory "$work/www/api/missing">
  ErrorDocument 404 /api/action-to/program.cgi
</Directory>
AuthnzFcgiDefineProvider authn asks-who  fcgi://127.0.0.1:$daemon_port/
AuthnzFcgiDefineProvider authz asks-what fcgi://127.0.0.1:$daemon_port/
<Location "/api/both">
  AuthnzFcgiCheckAuthnProvider asks-who Authoritative On RequireBasicAuth Off \\
      UserExpr "%{reqenv:REMOTE_USER}" DefaultUser "%none"
  Require asks-what
</Location>
<Location "/api/index/program.cgi">
  SetEnvIf Request_URI ".*" OTHER=1
</Location>
END
	start_server apache "127.0.0.1:$daemon_port" "$work/more.conf"
}

start_lighttpd() {
	mkdir "$work/www/files"
	cp "$work/bin/say" "$work/www/files/program.cgi"
	printf 'file index.html\n' >"$work/www/files/index.html"
	cat >"$work/more.conf" <<END
\$HTTP["url"] =^ "/files" {
  fastcgi.server           = ( "/files" => (( "mode" => "authorizer", "socket" => "$work/tmp/bg.sock", "check-local" => "disable" )) )
  cgi.assign               = ( ".cgi" => "" )
  index-file.names         = ( "index.html" )
  server.error-handler-404 = "/files/program.cgi"
}
END
	new_daemon "unix:$work/tmp/bg.sock"
	start_server lighttpd "$work/tmp/bg.sock" "$work/more.conf"
}

start_nginx() {
	start_backend
	cat >"$work/more.conf" <<END
    location /try/ {
      auth_request /_bearergate;
      try_files \$uri @program;
    }
    location @program {
      auth_request /_bearergate;
      rewrite      ^ /api/private break;
      proxy_pass   http://$backend;
    }
END
	new_daemon "unix:$work/tmp/bg.sock"
	start_server nginx "$work/tmp/bg.sock" "$work/more.conf"
}

begin apache2 lighttpd nginx
[ -e "${APACHE_MODULES:-/usr/lib/apache2/modules}/mod_authnz_fcgi.so" ] || skip "Apache has no mod_authnz_fcgi"
bound_tokens
files
replay_config "$work/bearergate.conf"

start_apache
once "Apache with mod_unique_id" <<'END'
a file|/api/plain.txt|file plain.txt|allow
the program of a directory|/api/index/|program /api/index/program.cgi|allow allow
a program with a path that leads to a guarded file|/api/say/api/program/file.txt|program /api/say/api/program/file.txt is DOCROOT/api/program/file.txt|allow allow allow
an Action|/api/action/file.acted|program /api/action-to/program.cgi/api/action/file.acted is DOCROOT/api/action/file.acted|allow allow allow allow
an Action with a path behind|/api/action/file.acted/more|program /api/action-to/program.cgi/api/action/file.acted/more is DOCROOT/api/action/file.acted/more|allow allow allow allow
MultiViews|/api/variants/page|file variants/page|allow allow allow
FallbackResource|/api/fallback/nothing|program /api/fallback/program.cgi|allow allow
a rewrite rule of a directory|/api/rewritten/file.txt|file rewritten-to/file.txt|allow allow
an ErrorDocument|/api/missing/file|program /api/action-to/program.cgi|allow allow
two providers|/api/both/file.txt|file both/file.txt|allow allow
END
stop "$server" || :

# Apache asks twice for some sub-requests, in the same words; what they would have brought does not matter.
bg_edit=(-e '/unique_id/d')
start_apache
check "Apache has no mod_unique_id now" lacks unique_id "$work/apache.conf"
once "Apache without mod_unique_id" <<'END'
a file|/api/plain.txt|file plain.txt|allow
the program of a directory|/api/index/|program /api/index/program.cgi|allow allow
a program with a path that leads to a guarded file|/api/say/api/program/file.txt|program /api/say/api/program/file.txt is DOCROOT/api/program/file.txt|allow allow proof_spent
an Action|/api/action/file.acted|program /api/action-to/program.cgi/api/action/file.acted is DOCROOT/api/action/file.acted|allow allow allow proof_spent
an Action with a path behind|/api/action/file.acted/more|program /api/action-to/program.cgi/api/action/file.acted/more is DOCROOT/api/action/file.acted/more|allow allow allow proof_spent
MultiViews|/api/variants/page|file variants/page|allow allow allow
FallbackResource|/api/fallback/nothing|program /api/fallback/program.cgi|allow allow
a rewrite rule of a directory|/api/rewritten/file.txt|file rewritten-to/file.txt|allow allow
an ErrorDocument|/api/missing/file|program /api/action-to/program.cgi|allow allow
two providers|/api/both/file.txt|file both/file.txt|allow allow
END
stop "$server" || :
bg_edit=()

start_lighttpd
once lighttpd <<'END'
a program|/files/program.cgi/more|program /files/program.cgi/more|allow
the index of a directory|/files/|file index.html|allow
an error handler|/files/nothing|program /files/program.cgi|allow
END
stop "$server" || :

start_nginx
once nginx <<'END'
a program|/api/private|"route": "/api/private"|allow
the index of a directory|/files/|file index.html|allow allow
try_files with a named location|/try/nothing|"route": "/api/private"|allow allow
END
stop "$server" || :

# All its calls look alike then: the second is refused, since it could be another request.
sed -i -e '/BEARERGATE_REQUEST_ID/d' "$work/bearergate_params"
start_nginx
once "nginx without a request id" <<'END'
a program|/api/private|"route": "/api/private"|allow
END
refused "nginx without a request id" <<'END'
the index of a directory|/files/|file index.html|allow proof_spent
try_files with a named location|/try/nothing|"route": "/api/private"|allow proof_spent
END
finish
