#!/bin/bash
# Files for the system around the daemon: logrotate(8), systemd-sysusers(8), systemd-tmpfiles(8), and what bash(1) completes.
# shellcheck disable=SC2154 # variables of lib.sh
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

begin
files=$bg_source/conf/examples/system

# Completion.

complete_words() { # complete_words WORD...: what the last one may become
	COMP_WORDS=("$@")
	COMP_CWORD=$(($# - 1))
	COMPREPLY=()
	case $1 in
	*bearergate-fcgi) _bearergate_fcgi ;;
	*) _bearergate ;;
	esac
	printf '%s\n' "${COMPREPLY[@]}" | LC_ALL=C sort -u | tr '\n' ' '
}

# shellcheck source=tool/completions/bearergate
. "$bg_source/tool/completions/bearergate"
# shellcheck source=tool/completions/bearergate-fcgi
. "$bg_source/tool/completions/bearergate-fcgi"
is "verbs are completed" "$(complete_words "$BG_TOOL" k)" "keys "
is "and their kinds" "$(complete_words "$BG_TOOL" init systemd)" "systemd systemd-socket "
is "of the others too" "$(complete_words "$BG_TOOL" mint p)" "proof "
is "and their options" "$(complete_words "$BG_TOOL" init systemd --au)" "--audience --auth0 "
is "the daemon's as well" "$(complete_words "$bg_fcgi" --no)" "--no-sandbox "
is "nothing comes of nothing" "$(complete_words "$BG_TOOL" nonsense --au)" " "

# logrotate.

rotates() {
	"${bg_unprivileged[@]}" logrotate -f -s "$work/tmp/state" "$work/rotate.conf" 2>&1
}

if command -v logrotate >/dev/null; then
	mkdir "$work/logs"
	[ "${#bg_unprivileged[@]}" -eq 0 ] || chown www-data:www-data "$work/logs"
	chmod 750 "$work/logs"
	printf 'log = "%s"\n' "$work/logs/daemon.log" >"$work/gate.conf"
	claims_config "$work/claims.conf"
	cat "$work/claims.conf" >>"$work/gate.conf"
	start "$work/daemon.err" "$bg_fcgi" -F "$bg_fetch" -c "$work/gate.conf" -l "unix:$work/tmp/gate.sock"
	daemon=$started
	check "a daemon logs to a file" wait_for 20 grep -q 'listening on' "$work/logs/daemon.log"
	sed -e "s|/var/log/bearergate|$work/logs|" -e "s/pkill -USR1 -x bearergate-fcgi/kill -USR1 $daemon/" \
	    -e "/^\tsu /d" "$files/logrotate.conf" >"$work/rotate.conf"
	chmod 644 "$work/rotate.conf"
	is "both words are in the file that is shipped" "$(grep -c -e "^$work/logs/\*.log {" -e "kill -USR1 $daemon" "$work/rotate.conf")" 2
	is "logrotate takes it" "$(rotates)" ""
	check "and has the log opened anew" wait_for 20 grep -q 'the log was opened anew' "$work/logs/daemon.log"
	check "the one from before is kept" grep -q 'listening on' "$work/logs/daemon.log.1"
	kill -USR2 "$daemon"
	check "the worker writes to the new one" wait_for 20 grep -q 'state: worker  ' "$work/logs/daemon.log"
	is "it is for whom it was" "$(stat -c %a "$work/logs/daemon.log")" 640
	stop "$daemon" || :
else
	printf 'ok - # skipped, for want of logrotate: the log is rotated\n'
fi

# Users and directories, in a system of their own.

if [ "$(id -u)" -eq 0 ] && command -v systemd-sysusers >/dev/null && command -v systemd-tmpfiles >/dev/null; then
	mkdir -p "$work/root/etc" "$work/root/run" "$work/root/var/cache" "$work/root/var/lib" "$work/root/var/log"
	check "systemd-sysusers takes the file" systemd-sysusers --root="$work/root" "$files/sysusers.conf" 2>"$work/sysusers.err"
	check "there is a user who cannot log in" grep -q '^bearergate:x:[0-9]*:[0-9]*:.*:/nonexistent:/usr/sbin/nologin$' "$work/root/etc/passwd"
	check "with a group" grep -q '^bearergate:' "$work/root/etc/group"
	check "systemd-tmpfiles takes the file" systemd-tmpfiles --create --root="$work/root" "$files/tmpfiles.conf" 2>"$work/tmpfiles.err"
	ids=$(sed -n 's/^bearergate:x:\([0-9]*\):\([0-9]*\):.*/\1:\2/p' "$work/root/etc/passwd")
	for want in run:755 var/cache:755 var/lib:700 var/log:750; do
		is "/${want%:*}/bearergate is that user's" "$(stat -c %u:%g:%a "$work/root/${want%:*}/bearergate" 2>&1)" "$ids:${want#*:}"
	done
else
	printf 'ok - # skipped, for want of root, systemd-sysusers or systemd-tmpfiles: users and directories\n'
fi
finish
