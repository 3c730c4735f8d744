#!/bin/bash
# The parts of bearergate-cgi that decide: which is loaded for what, from where, and that one that cannot be trusted is not used.
# shellcheck disable=SC2317,SC2119 # functions that wait_for and check call
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

begin
use_wrapper "script = \"$work/bin/probe\""
lean=$work/bin/bearergate-alone.so whole=$work/bin/bearergate-alone-all.so conf=$work/bin/bearergate.conf
cat >"$work/bin/probe" <<'END_PROBE'
#!/bin/sh
printf 'Content-Type: text/plain\n\nran %s' "$CLAIM_SUB"
END_PROBE
chmod 755 "$work/bin/probe"

run() { # run VARIABLE...
	"${bg_unprivileged[@]}" env -i REQUEST_METHOD=GET REQUEST_URI=/x "$@" "$bg_cgi" </dev/null >"$work/out" 2>"$work/cgi.log" || :
}

runs() { # runs SENTENCE VARIABLE...
	local sentence=$1

	shift
	run "$@"
	verdict "$sentence" "$([ "$(tail -n 1 "$work/out")" = "ran alice" ] || cat "$work/out" "$work/cgi.log")"
}

refuses() { # refuses SENTENCE STATUS WORDS VARIABLE...: nothing runs, and the log has the words
	local sentence=$1 wanted=$2 words=$3

	shift 3
	run "$@"
	verdict "$sentence" "$(
		wrong status "$(sed -n '1s/^Status: \([0-9]*\) .*/\1/p' "$work/out")" "$wanted"
		grep -q -F -e "$words" "$work/cgi.log" || cat "$work/cgi.log"
	)"
}

# Every algorithm, by an OpenSSL that was started with less than usual; the other part has it as usual.
cp "$conf" "$work/before.conf"
for alg in RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA Ed25519; do
	"$BG_TOOL" mint key -f -a "$alg" -o "$work/alg.pem"
	"$BG_TOOL" mint jwks -a "$alg" "$work/alg.pem" -o "$work/alg.json"
	token=$("$BG_TOOL" mint token -a "$alg" -k "$work/alg.pem" --iss "$issuer" --aud "$audience" --sub alice)
	openssl pkey -in "$work/alg.pem" -pubout -out "$work/alg.pub" 2>/dev/null
	for keys in alg.json alg.pub; do
		cat >"$conf" <<-END_CONF
		issuer "$issuer" { audience = "$audience" jwks_file = "$work/$keys" algorithms = "$alg" }
		script = "$work/bin/probe"
		END_CONF
		runs "a token by $alg is good, with its key in $keys" HTTP_AUTHORIZATION="Bearer $token"
		refuses "and not with another signature" 401 reason=bad_signature \
		    HTTP_AUTHORIZATION="Bearer $(other_character "$token" $((${#token} - 20)))"
		printf 'policy "p" { claim "sub" { matches = "al.*" } }\nlocation "/" { policy = "p" }\n' >>"$conf"
		runs "also in the part that has regular expressions" HTTP_AUTHORIZATION="Bearer $token"
	done
done
cp "$work/before.conf" "$conf"
good=HTTP_AUTHORIZATION="Bearer $(token)"

# Which is loaded.
mv "$whole" "$work/whole.so"
runs "the lean part is enough for most" "$good"
printf 'policy "p" { claim "sub" { matches = "al.*" } }\nlocation "/x" { policy = "p" }\n' >>"$conf"
if [ "${BG_INSTALLED:-}" != yes ]; then
	refuses "and no regular expression is passed over in it" 500 bearergate-alone-all.so "$good"
fi
mv "$work/whole.so" "$whole"
runs "the other one has them" "$good"
sed -i 's/al\.\*/bo.*/' "$conf"
refuses "and keeps to them" 403 reason=claim_rule "$good"
sed -i 's/bo\.\*/bo(/' "$conf"
refuses "one that is none is found by it" 500 'missing closing parenthesis' "$good"
cp "$work/before.conf" "$conf"
printf 'issuer "https://two.example/" { audience = "a" algorithms = "XX256" }\n' >>"$conf"
refuses "so is an algorithm that is none" 500 'XX256 is not known' "$good"
cp "$work/before.conf" "$conf"
printf 'replay = "lmdb:%s"\n' "$work/tmp/replay" >>"$conf"
runs "a store of proofs is in the other one" "$good"
cp "$work/before.conf" "$conf"

# What one side allocates the other one frees, whoever allocates.
if grep -q -a -E "__[at]san_init" "$bg_cgi"; then
	verdict "there are sanitizers, which have an allocator of their own" ""
else
	allocator_so=$(realpath "${top_builddir:-.}/tests/support/allocator.so")
	[ -e "$allocator_so" ] || die "no $allocator_so: make check builds it"
	cp "$allocator_so" "$work/bin/allocator.so"
	runs "another allocator, loaded before all else, is everybody's" "$good" LD_PRELOAD="$work/bin/allocator.so"
	refuses "also for a refusal" 401 reason=bad_token HTTP_AUTHORIZATION="Bearer x" LD_PRELOAD="$work/bin/allocator.so"
fi

# Which is trusted.
cp "$lean" "$work/lean.so"
chmod 775 "$lean"
refuses "a part that others may write to is not loaded" 500 'nobody else may write to' "$good"
chmod 755 "$lean"
if [ "$(id -u)" -eq 0 ]; then
	chown 12345 "$lean"
	refuses "nor one that is somebody else's" 500 'nobody else may write to' "$good"
	chown 0 "$lean"
fi
chmod 755 "$lean"
printf '#!/bin/sh\nexit 1\n' >"$work/bin/bearergate-fetch"
chmod 775 "$work/bin/bearergate-fetch"
refuses "nor is a program to fetch with that others may write to" 500 'bearergate-fetch: must be a file' "$good"
rm "$work/bin/bearergate-fetch"
perl -0777 -pe 's/(\d+\.\d+\.\d+ )\d(\d+)\0/$1x$2\0/' "$work/lean.so" >"$lean"
if ! cmp -s "$work/lean.so" "$lean"; then
	refuses "nor one of another build" 500 'of another build' "$good"
else
	verdict "nor one of another build" "the build is not in the part"
fi
# Whoever may write to the directory can change what the name means at any moment, but not what was looked at.
if [ "$(id -u)" -eq 0 ]; then
	mv "$lean" "$work/other.so"
	chown 12345 "$work/other.so"
	perl -e 'my ($name, @to) = @ARGV; while (1) { for (@to) { symlink $_, "$name.new"; rename "$name.new", $name } }' \
	    "$lean" "$work/lean.so" "$work/other.so" &
	flipping=$!
	wait_for 20 test -L "$lean"
	: >"$work/flips"
	for _ in {1..100}; do
		run "$good"
		cat "$work/out" "$work/cgi.log" >>"$work/flips"
	done
	kill "$flipping"
	wait "$flipping" 2>/dev/null || :
	rm -f "$lean" "$lean.new"
	is "a part that takes another one's place while it is looked at is not loaded" "$(grep -c 'of another build' "$work/flips")" 0
fi
printf nonsense >"$lean"
refuses "nor what is none" 500 'reason=internal' "$good"
ln -sf /nowhere "$lean"
refuses "what cannot be looked at is no reason to take another" 500 'reason=internal' "$good"
rm "$lean"
if [ "${BG_INSTALLED:-}" != yes ] && [ ! -e /usr/local/libexec/bearergate/bearergate-alone.so ]; then
	refuses "without one nothing runs" 500 'No such file' "$good"
fi
cp "$work/lean.so" "$lean"
chmod 755 "$lean"
runs "and a good one is" "$good"
runs "and may be there" "$good" OPENSSL_CONF=/dev/null
finish
