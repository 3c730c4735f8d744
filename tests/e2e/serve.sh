#!/bin/bash
# The scripted issuer itself, tests/support/serve: each of its tricks, as curl sees them.
# shellcheck disable=SC2317,SC2119 # functions that wait_for and check call
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

begin gzip
serve=${top_builddir:-.}/tests/support/serve
[ -x "$serve" ] || die "no $serve: make check builds it"
serve=$(realpath "$serve")
site=$work/site
mkdir "$site"
printf '{"keys":[]}' >"$site/k"

start_serve() { # start_serve OPTION...: sets $serve_pid and $serve_port
	rm -f "$work/port"
	: >"$work/serve.log"
	"$serve" --dir "$site" --ca "$work/ca" --port-file "$work/port" "$@" </dev/null >>"$work/serve.log" \
	    2>>"$work/serve.err.log" &
	serve_pid=$!
	bg_pids+=("$serve_pid")
	wait_for 20 serve_is_up || die "serve neither starts nor gives up"
	[ -s "$work/port" ] || die "serve did not start"
	serve_port=$(cat "$work/port")
}

serve_is_up() {
	[ -s "$work/port" ] || gone "$serve_pid"
}

how() { # how [WORDS...]: from now on /k is answered so, each argument a line; as it should be without any
	if [ "$#" -eq 0 ]; then
		rm -f "$site/k.how"
		return
	fi
	printf '%s\n' "$@" >"$site/next.how"
	mv "$site/next.how" "$site/k.how"
}

get() { # get [CURL-OPTION...]: sets $status and $code, which is curl's; head and body are files in $work
	code=0
	: >"$work/head"
	: >"$work/body"
	status=$(curl -sS --cacert "$work/ca/ca.pem" --max-time 60 -D "$work/head" -o "$work/body" -w '%{http_code}' "$@" \
	    "https://localhost:$serve_port/${path:-k}" 2>"$work/curl.err") || code=$?
}

got() { # got SENTENCE "STATUS CODE" CURL-OPTION...
	local sentence=$1 wanted=$2

	shift 2
	get "$@"
	is "$sentence" "$status $code" "$wanted"
}

has_begun() { # has_begun BYTES: have head and more than so much of the body come?
	grep -q '^HTTP/1.1 200' "$work/head" && [ "$(size)" -gt "$1" ]
}

unfinished() { # unfinished SENTENCE BYTES: more than so much of the body comes, and there is no end
	: >"$work/head"
	: >"$work/body"
	curl -s -N --cacert "$work/ca/ca.pem" --max-time 60 -D "$work/head" -o "$work/body" "https://localhost:$serve_port/k" &
	asking=$!
	check "$1" wait_for 20 has_begun "$2"
	check "$1, and do not end" kill "$asking"
	wait "$asking" || :
}

size() {
	wc -c <"$work/body"
}

printed() { # printed LINE: so many of them
	grep -c -x -F -e "$1" "$work/serve.log" || :
}

# Without a script.

start_serve --max-age 600
got "a file is served" "200 0"
is "as it is" "$(cat "$work/body")" '{"keys":[]}'
is "with the lifetime of --max-age" "$(header Cache-Control)" max-age=600
etag=$(header ETag)
check "and with an ETag" grep -q -E '^"[0-9a-f]{32}"$' <<<"$etag"
got "who has it is told so" "304 0" -H "If-None-Match: $etag"
is "without a body or the length of one" "$(size) $(header Content-Length)" "0 "
is "and with the ETag once more" "$(header ETag)" "$etag"
got "also where it is one of several, and weak" "304 0" -H "if-none-match: \"a\", W/$etag"
got "another ETag is no reason to keep anything back" "200 0" -H 'If-None-Match: "a"'
printf '{"keys":[1]}' >"$site/k.next"
mv "$site/k.next" "$site/k"
got "other content has another ETag" "200 0" -H "If-None-Match: $etag"
path=none got "what is not there is not found" "404 0"
how 'status 200'
path=k.how got "a script is not served" "404 0"
how

# Each word.

etag=$(get; header ETag)
how 'status 500'
got "a status, whatever the client has" "500 0" -H "If-None-Match: $etag"
is "which is not to be kept" "$(header Cache-Control)$(header ETag)" ''
how 'status 200'
got "status 200 is 200 for everybody" "200 0" -H "If-None-Match: $etag"
how 'redirect https://localhost/other'
got "a redirect" "302 0"
is "says where" "$(header Location)" https://localhost/other
how 'redirect https://localhost/other' 'status 308'
got "a redirect with another status" "308 0"
how 'fill 2097152'
got "a body of more than 2 MiB" "200 0"
is "has every byte of it" "$(size)" "$((2097152 + 12))"
how 'max-age 5' 'no-etag'
got "another lifetime, and no ETag" "200 0" -H "If-None-Match: $etag"
is "are said so" "$(header Cache-Control) $(header ETag)" "max-age=5 "
how 'header Cache-Control: no-store, max-age="1"' 'header ETag: W/"mine"' 'header X-Odd: a: b' 'header content-type: text/html'
got "headers of the test's own" "200 0"
is "stand there once, instead of ours" \
    "$(header Cache-Control)|$(header ETag)|$(header X-Odd)|$(header Content-Type)" \
    'no-store, max-age="1"|W/"mine"|a: b|text/html'
got "an ETag of the test's own is known again" "304 0" -H 'If-None-Match: "mine"'
head -c 100000 /dev/zero | gzip -c >"$site/bomb"
printf 'header Content-Encoding: gzip\n' >"$site/bomb.how"
path=bomb got "a bomb" "200 0" --compressed
is "is larger than what came" "$(size)" 100000
how 'delay 700'
begun=$(date +%s%3N)
got "a late answer" "200 0"
check "is late" test "$(($(date +%s%3N) - begun))" -ge 700
how 'delay 6000'
got "for which not everybody waits" "000 28" --max-time 1
path=new.k
printf 'fill 3\n' >"$site/new.k.how"
got "a script without its file stands beside an empty one" "200 0"
is "of this length" "$(cat "$work/body")" xxx
path=k

# How the body comes: curl's own words for it are 18 for a part of it, 28 for no end, 56 or 35 for a reset.

how 'how chunked'
got "in pieces" "200 0"
is "which say that they are" "$(header Transfer-Encoding) $(cat "$work/body")" 'chunked {"keys":[1]}'
how 'how until-close'
got "without a length" "200 0"
is "which nobody says" "$(header Transfer-Encoding)$(header Content-Length)$(cat "$work/body")" '{"keys":[1]}'
how 'how cut'
got "cut short" "200 18"
how 'how cut-chunked'
got "without the last piece" "200 18"
how 'how drip' 'fill 100'
unfinished "bytes come one by one" 3
check "not all of them" test "$(size)" -lt 100
how 'how hang-in-body'
unfinished "header and body come" 0
how 'how hang'
: >"$work/serve.log"
: >"$work/head"
curl -s --cacert "$work/ca/ca.pem" --max-time 60 -D "$work/head" "https://localhost:$serve_port/k" &
asking=$!
check "a request is printed before it is answered" wait_for 20 lines_at_least 1 'ask GET /k' "$work/serve.log"
is "not after it" "$(printed 'GET /k 000')" 0
check "where nothing at all comes, there is no end" kill "$asking"
wait "$asking" || :
is "nor a beginning" "$(wc -c <"$work/head")" 0
check "but the end of the hung request is printed" wait_for 20 lines_at_least 1 'GET /k 000' "$work/serve.log"
how 'how slam'
get
is "a reset" "$status" 000
check "is one to curl" grep -q -i -e reset -e errno "$work/curl.err"
printf 'HTTP/1.0 203 Raw\r\n\r\nraw' >"$site/raw"
printf 'how raw\n' >"$site/raw.how"
path=raw got "an answer that is all the test's" "203 0"
is "body and all" "$(cat "$work/body")" raw

# A script that is wrong shows.

how 'status 200' 'statsu 404'
: >"$work/serve.err.log"
got "a word that there is not" "500 0"
check "is named, with file and line" grep -q -F "$site/k.how: line 2: not understood: statsu 404" "$work/serve.err.log"
for line in 'status 99' 'status x' 'how often' 'redirect' 'delay -1' 'fill 1e9' 'header' 'header none' 'max-age' 'no-etag 1' \
    'status' ' status 200' gzip; do
	how "$line"
	got "\"$line\" is wrong" "500 0"
done
how
rm -f "$site/k.how"
mkdir "$site/k.how"
got "a script that is none to read is wrong too" "500 0"
rmdir "$site/k.how"
got "all is well without it" "200 0"

# Restarts and certificates.

ca=$(cat "$work/ca/ca.pem")
code=0
stop "$serve_pid" || code=$?
is "SIGTERM ends it cleanly" "$code" 0
for cert in good other-host expired not-yet; do
	start_serve --port "$serve_port" --cert "$cert"
	if [ "$cert" = good ]; then
		got "after a restart on its port it is still trusted" "200 0"
	else
		got "the certificate of $cert is not trusted" "000 60"
		check "for that reason alone" grep -q -i -E \
		    "$(case $cert in other-host) echo 'subject|host name' ;; expired) echo expired ;; *) echo 'not yet valid' ;; esac)" \
		    "$work/curl.err"
	fi
	stop "$serve_pid" || :
done
start_serve --port "$serve_port" --tls-max 1.1 --cert-out "$work/copy.pem"
got "TLS 1.1 is too old" "000 35"
is "the authority is still the same" "$(cat "$work/ca/ca.pem")$(cat "$work/copy.pem")" "$ca$ca"
stop "$serve_pid" || :
code=0
"$serve" --dir "$site" --ca "$work/ca" --port-file "$work/port" --cert best 2>"$work/err" || code=$?
is "a certificate that there is not is refused" "$code" 64
finish
