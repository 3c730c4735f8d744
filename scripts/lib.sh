# shellcheck shell=bash disable=SC2034
# Shared by scripts/demo, scripts/check and the end-to-end tests: packages, building, ports, processes, servers.
# To be sourced by bash with set -euo pipefail.

bg_source=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin	# where servers are, for users without them in their PATH
umask 022

# Proxies of the environment are not for loopback, and some end-to-end tests speak to "localhost".
export no_proxy='*'
unset AUTH0_DOMAIN AUTH0_AUDIENCE BEARERGATE_CA_FILE BEARERGATE_CONFIG

die() { # die SENTENCE...
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# Waiting: always for a condition, always bounded.

wait_for() { # wait_for SECONDS COMMAND...: until the command succeeds; false when it never did
	local left=$(($1 * 20))

	shift
	until "$@"; do
		[ "$((left--))" -gt 0 ] || return 1
		sleep 0.05
	done
}

gone() { # gone PID
	! kill -0 "$1" 2>/dev/null
}

lines_at_least() { # lines_at_least N WORDS FILE: has the file N lines with these words?
	local found

	found=$(grep -c -F -e "$2" "$3" 2>/dev/null) || :
	[ "${found:-0}" -ge "$1" ]
}

# A working directory and the processes started for it: both are gone when the script ends, however it ends.

bg_pids=()
bg_unprivileged=()

make_work() { # make_work NAME: sets $work; as root, also who runs servers and daemons
	local base=${TMPDIR:-/tmp}

	if [ "$(id -u)" -eq 0 ]; then
		bg_unprivileged=(setpriv --reuid=www-data --regid=www-data --clear-groups --)
		"${bg_unprivileged[@]}" true || die "cannot become www-data to run servers"
		# TMPDIR may be below a home that nobody else may enter.
		"${bg_unprivileged[@]}" test -x "$base" || base=/tmp
	fi
	work=$(mktemp -d "$base/$1.XXXXXX")
	mkdir "$work/www" "$work/tmp" "$work/bin"
	if [ "$(id -u)" -eq 0 ]; then
		chmod 755 "$work"
		chown -R www-data:www-data "$work"
	fi
	trap 'end_work $?' EXIT
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM
}

end_work() { # end_work STATUS: what the EXIT trap does
	local i

	trap '' HUP INT TERM
	for ((i = ${#bg_pids[@]} - 1; i >= 0; i--)); do
		stop "${bg_pids[i]}" || :
	done
	if [ "$1" -ne 0 ] && [ "$1" -ne 77 ] && declare -F on_failure >/dev/null; then
		on_failure
	fi
	rm -rf "$work"
	exit "$1"
}

show_logs() { # show_logs LINES: the ends of all that are in $work
	local log

	for log in "$work"/*.log "$work"/tmp/*.error; do
		[ -s "$log" ] || continue
		printf '==> %s <==\n' "${log##*/}"
		tail -n "$1" "$log"
	done
}

start() { # start LOG COMMAND...: in the background, without privileges; sets $started
	local log=$1

	shift
	"${bg_unprivileged[@]}" "$@" </dev/null >>"$log" 2>&1 &
	started=$!
	bg_pids+=("$started")
}

stop() { # stop PID: TERM, later KILL; returns the exit status of the process
	local pid=$1 i

	for i in "${!bg_pids[@]}"; do
		[ "${bg_pids[i]}" != "$pid" ] || unset "bg_pids[i]"
	done
	bg_pids=("${bg_pids[@]}")
	kill -TERM "$pid" 2>/dev/null || :
	wait_for 30 gone "$pid" || kill -KILL "$pid" 2>/dev/null || :
	wait "$pid" 2>/dev/null
}

free_port() { # a port nobody listens on just now, below those that the kernel gives to outgoing connections
	local port

	while :; do
		port=$((20000 + SRANDOM % 12000))
		if ! (: <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
			printf '%s\n' "$port"
			return
		fi
	done
}

# Daemon and servers.

use_programs() { # use_programs FCGI FETCH: the daemon to start, where the one who runs it can reach it
	bg_fcgi=$work/bin/bearergate-fcgi
	bg_fetch=$work/bin/bearergate-fetch
	cp "$1" "$bg_fcgi"
	cp "$2" "$bg_fetch"
	cp "$bg_source/conf/examples/cgi/show-claims" "$work/bin/show-claims"
	cp "$bg_source/conf/examples/nginx/show-claims.pl" "$work/bin/show-claims.pl"
	cp "$bg_source/conf/examples/nginx/bearergate_params" "$work/bearergate_params"
	mkdir "$work/files"
	cp "$bg_source"/conf/examples/apache-fcgid/*.asis "$bg_source"/conf/examples/*/*.lua "$work/files"
	chmod 755 "$work"/bin/*
}

start_daemon() { # start_daemon LOG OPTION...: sets $daemon, and $daemon_port when it listens on TCP
	local log=$1 option listeners=0

	shift
	for option; do
		[ "$option" != -l ] || listeners=$((listeners + 1))
	done
	: >"$log"
	start "$log" "$bg_fcgi" -F "$bg_fetch" "$@"
	daemon=$started
	if ! wait_for 20 daemon_is_up "$listeners" "$log"; then
		cat "$log" >&2
		die "the daemon did not start"
	fi
	daemon_port=$(sed -n 's/.*listening on 127\.0\.0\.1:\([0-9]*\).*/\1/p' "$log" | head -n 1)
}

daemon_is_up() { # daemon_is_up LISTENERS LOG
	gone "$daemon" || lines_at_least "$1" 'listening on' "$2"
}

bg_edit=()	# further edits, options of sed, of tests that want an example without one of its lines

fill() { # fill TEMPLATE NAME=VALUE...: the template with each @NAME@ replaced, on standard output
	local template=$1 pair
	local edit=("${bg_edit[@]}")

	shift
	for pair; do
		edit+=(-e "s|@${pair%%=*}@|${pair#*=}|g")
	done
	sed "${edit[@]}" "$template"
}

start_backend() { # the program that stands behind nginx; sets $backend, HOST:PORT
	: >"$work/backend.log"
	start "$work/backend.log" perl "$work/bin/show-claims.pl" 127.0.0.1:0
	wait_for 20 lines_at_least 1 'listening on' "$work/backend.log" || die "the program behind nginx does not start"
	backend=$(sed -n 's/^listening on //p' "$work/backend.log")
}

# start_server lighttpd|apache|nginx|caddy AUTHORIZER [MORE]: a web server with the example configuration and, where given, the
# template MORE after it (for nginx, at the end of its server block; for Caddy, at the beginning of its route); sets $server, $port, $tls_port and $server_log.  nginx
# wants the program at $backend, and mtls.conf its keys in $work/tls.  A port that somebody took first is no reason to fail.
# $bg_template, where it is set, is another example of that server.  A server that starts the daemon itself does so with
# bearergate.conf in $work.
start_server() {
	local kind=$1 authorizer=$2 more=${3:-} config=$work/$1.conf try template values

	server_log=$work/$kind.log
	case $kind in
	lighttpd) template=$bg_source/conf/examples/lighttpd/lighttpd.conf ;;
	apache)   template=$bg_source/conf/examples/apache/httpd.conf ;;
	nginx)    template=$bg_source/conf/examples/nginx/nginx.conf ;;
	caddy)    template=$bg_source/conf/examples/caddy/Caddyfile ;;
	*)        die "no such server: $kind" ;;
	esac
	template=${bg_template:-$template}
	for try in 1 2 3 4 5 6 7 8 9 10; do
		port=$(free_port)
		tls_port=$(free_port)
		backend=${backend:-}
		values=(PORT="$port" SOCKET="$authorizer" AUTHORIZER="$authorizer"
		    DOCROOT="$work/www" TMPDIR="$work/tmp" SCRIPT="$work/bin/show-claims"
		    SCRIPTS="$work/bin" WRAPPER="${bg_cgi:-}"
		    ERRORLOG="$work/tmp/$kind.error" PIDFILE="$work/tmp/$kind.pid"
		    BACKEND="${backend:-}" BACKENDPORT="${backend##*:}" PROGRAM="${program:-}" PARAMS="$work/bearergate_params"
		    DAEMON="$bg_fcgi" ARGUMENTS="-F $bg_fetch -c $work/bearergate.conf" FILES="$work/files" ENVIRONMENT=""
		    MODULES="${APACHE_MODULES:-/usr/lib/apache2/modules}"
		    TLSPORT="$tls_port" TLSCERT="$work/tls/server.pem" TLSKEY="$work/tls/server.key" CLIENTCA="$work/tls/ca.pem")
		fill "$template" "${values[@]}" >"$config"
		if [ -n "$more" ] && [ "$kind" = nginx ]; then
			sed -i -e '$d' "$config"
			sed -i -e '$d' "$config"
			{ fill "$more" "${values[@]}" && printf '  }\n}\n'; } >>"$config"
		elif [ -n "$more" ] && [ "$kind" = caddy ]; then
			fill "$more" "${values[@]}" >"$work/more.filled"
			sed -i -e "/^http:/,\$ { /^\troute {\$/r $work/more.filled" -e '}' "$config"
		elif [ -n "$more" ]; then
			fill "$more" "${values[@]}" >>"$config"
		fi
		: >"$server_log"
		rm -f "$work/tmp/$kind.error"
		case $kind in
		lighttpd) start "$server_log" lighttpd -D -f "$config" ;;
		apache)   start "$server_log" apache2 -D FOREGROUND -f "$config" ;;
		nginx)    start "$server_log" nginx -e "$work/tmp/nginx.error" -c "$config" -g 'daemon off;' ;;
		caddy)    start "$server_log" env HOME="$work/tmp" XDG_DATA_HOME="$work/tmp" XDG_CONFIG_HOME="$work/tmp" \
			    caddy run --adapter caddyfile --config "$config" ;;
		esac
		server=$started
		wait_for 20 server_is_up "$kind" || die "$kind neither starts nor gives up"
		if ! gone "$server"; then
			server_log=$work/tmp/$kind.error
			return
		fi
		stop "$server" || :
		cat "$work/tmp/$kind.error" >>"$server_log" 2>/dev/null || :
		grep -q -i 'address already in use' "$server_log" || break
	done
	cat "$server_log" >&2
	die "$kind did not start (attempt $try)"
}

server_is_up() { # server_is_up KIND: it says so itself, so that we never take a stranger on the same port for it
	case $1 in
	lighttpd) gone "$server" || lines_at_least 1 'server started' "$work/tmp/lighttpd.error" ;;
	apache)   gone "$server" || lines_at_least 1 'resuming normal operations' "$work/tmp/apache.error" ;;
	nginx)    gone "$server" || lines_at_least 1 'start worker process ' "$work/tmp/nginx.error" ;;
	caddy)    gone "$server" || lines_at_least 1 'serving initial configuration' "$work/tmp/caddy.error" ;;
	esac
}

# Packages.  A row: the Debian package, and how to see that what it brings is there, from wherever it came.

bg_build_packages='
gcc                   command gcc
libc6-dev             header stdio.h
make                  command make
autoconf              command autoreconf
automake              command automake
pkg-config            command pkg-config
libfcgi-dev           header fcgiapp.h
libssl-dev            pkg libcrypto
libcurl4-openssl-dev  pkg libcurl
libjansson-dev        pkg jansson
libpcre2-dev          pkg libpcre2-8
libconfuse-dev        pkg libconfuse
libseccomp-dev        pkg libseccomp
liblmdb-dev           pkg lmdb
libhiredis-dev        pkg hiredis
'
bg_lighttpd_packages='
lighttpd              command lighttpd
'
bg_apache_packages='
apache2-bin           command apache2
'
bg_fcgid_packages='
libapache2-mod-fcgid  file /usr/lib/apache2/modules/mod_fcgid.so
'
bg_caddy_packages='
caddy                 command caddy
'
bg_nginx_packages='
nginx-light           command nginx
perl-base             command perl
'
bg_tls_packages='
lighttpd-mod-openssl  file /usr/lib/lighttpd/mod_openssl.so
'
bg_magnet_packages='
lighttpd-modules-lua  file /usr/lib/lighttpd/mod_magnet.so
'
bg_demo_packages='
curl                  command curl
'

has() { # has HOW WHAT
	case $1 in
	command) command -v "$2" >/dev/null ;;
	file)    [ -e "$2" ] ;;
	header)  printf '#include <%s>\n' "$2" | gcc -E - >/dev/null 2>&1 ;;
	pkg)     pkg-config --exists "$2" 2>/dev/null ;;
	node)    [ "$(node -p 'process.versions.node.split(".")[0]' 2>/dev/null || echo 0)" -ge "$2" ] ;;
	esac
}

missing_packages() { # missing_packages ROWS: the packages to install, on one line
	local package how what missing=()

	while read -r package how what; do
		[ -z "$package" ] || has "$how" "$what" || missing+=("$package")
	done <<<"$1"
	printf '%s\n' "${missing[*]}"
}

install_packages() { # install_packages ROWS: says what it installs, installs it, and sees that it is there
	local missing log=$bg_source/build/packages.log begun=$SECONDS
	local -a list as_root=()

	missing=$(missing_packages "$1")
	[ -n "$missing" ] || return 0
	read -ra list <<<"$missing"
	printf 'Missing packages: %s\n' "$missing"
	command -v apt-get >/dev/null || die "no apt-get here: please install what these packages bring, then try again"
	if [ "$(id -u)" -ne 0 ]; then
		if ! command -v sudo >/dev/null || ! sudo -v; then
			die "neither root nor sudo: please have somebody run" \
			    "\"apt-get install --no-install-recommends $missing\", then try again"
		fi
		as_root=(sudo)
	fi
	printf 'Installing them with apt-get, without starting any service ... '
	mkdir -p "$bg_source/build"
	if ! "${as_root[@]}" bash "$bg_source/scripts/install-packages" "${list[@]}" >"$log" 2>&1; then
		printf 'failed:\n'
		tail -n 30 "$log"
		die "the packages could not be installed; all that apt-get said is in build/packages.log"
	fi
	printf 'done in %d s.\n' $((SECONDS - begun))
	sed -n '/^bearergate: /s///p' "$log"
	missing=$(missing_packages "$1")
	[ -z "$missing" ] || die "installed, but not found: $missing"
}

npm_packages() { # npm_packages FROM TO: those of a lock file, fetched again only when that changes
	local from=$1 to=$2

	if cmp -s "$from/package-lock.json" "$to/package-lock.json" && [ -e "$to/installed" ]; then
		printf 'There already.\n'
		return 0
	fi
	rm -rf "$to" &&
	    mkdir -p "$to" &&
	    cp "$from/package.json" "$from/package-lock.json" "$to" &&
	    (cd "$to" && npm ci --ignore-scripts --no-audit --no-fund --no-update-notifier) &&
	    touch "$to/installed"
}

# Building: out of the source tree, in a directory of its own.

bootstrap() { # bootstrap LOG: makes configure where it is missing or older than what it is made from
	[ ! -e "$bg_source/config.status" ] ||
	    die "this tree was configured in place; please run \"make distclean\" first"
	if [ ! -x "$bg_source/configure" ] || [ ! -e "$bg_source/Makefile.in" ] ||
	    [ -n "$(find "$bg_source/configure.ac" "$bg_source/Makefile.am" "$bg_source/m4" \
	    -newer "$bg_source/configure" -type f)" ]; then
		(cd "$bg_source" && ./bootstrap) >>"$1" 2>&1
	fi
}
