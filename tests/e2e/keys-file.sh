#!/bin/bash
# A file of keys is looked at when it changes, however it does, and what is broken replaces nothing.
# shellcheck disable=SC2317,SC2119,SC2154 # functions that wait_for and check call; variables of keys.inc
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/keys.inc
. "$(dirname "$0")/keys.inc"

keys_begin
mkdir "$work/keys"
file=$work/keys/keys.json
for name in old new; do
	"$BG_TOOL" mint jwks "$work/$name.pem" -o "$work/$name.json"
	openssl pkey -in "$work/$name.pem" -pubout -out "$work/$name.pub"
	openssl req -x509 -key "$work/$name.pem" -subj "/CN=$name" -days 2 -out "$work/$name.crt" 2>/dev/null
done
cp "$work/old.json" "$file"
cat >"$work/bearergate.conf" <<END
issuer "$issuer" {
  audience  = { "$audience" }
  jwks_file = "$file"
}
END
old=$(mint old)
new=$(mint new)

# in_use SENTENCE GOOD BAD: within 4 s, where polling would take 5, the one token is good and the other is not.  Each look asks
# the daemon, so what holds that up is not counted.
in_use() {
	local good=$2 bad=$3

	check "$1" wait_for 4 answers 200 "${!good}"
	check "$1, and the other key is not" wait_for 4 answers 401 "${!bad}"
}

replace() { # replace FROM
	cp "$work/$1" "$work/keys/next"
	mv "$work/keys/next" "$file"
}

start_gate
in_use "the file is read" old new
printf '%s' "$old" >"$work/old.token"
replace new.json
in_use "another in its place is taken up" new old
cat "$work/old.json" >"$file"
in_use "so is what is written over it" old new
replace new.json
replace old.json
replace new.json
in_use "and the last of many" new old

# Broken, gone, and back.

complaints() {
	grep -c -E 'reason=(bad_jwks|fetch_failed)' "$work/daemon.log" || :
}

complains() { # complains N: has it, while it answers, said more than so often that something is wrong?
	answers 200 "$new" && [ "$(complaints)" -gt "$1" ]
}

for broken in '{"keys":' '{"keys":[]}' '' '[]' 'hello'; do
	before=$(complaints)
	printf '%s' "$broken" >"$work/keys/next"
	mv "$work/keys/next" "$file"
	check "\"$broken\" is said to be broken" wait_for 4 complains "$before"
	is "\"$broken\": the keys there were still serve" "$(status_of "$new")" 200
done
before=$(complaints)
rm "$file"
check "a file that goes is missed" wait_for 4 complains "$before"
is "its keys still serve" "$(status_of "$new")" 200
cp "$work/old.json" "$file"
in_use "one that comes back is read" old new

# Links: to a file, and as Kubernetes and others mount a volume, with a folder swapped behind.

mkdir "$work/elsewhere"
cp "$work/new.json" "$work/elsewhere/a.json"
ln -s "$work/elsewhere/a.json" "$work/keys/link"
mv "$work/keys/link" "$file"
in_use "a link in its place is followed" new old
cp "$work/old.json" "$work/elsewhere/next"
mv "$work/elsewhere/next" "$work/elsewhere/a.json"
in_use "a change where it leads is seen" old new
cp "$work/new.json" "$work/elsewhere/b.json"
ln -s "$work/elsewhere/b.json" "$work/keys/link"
mv "$work/keys/link" "$file"
in_use "and a link to another file" new old
mkdir "$work/keys/..1" "$work/keys/..2"
cp "$work/old.json" "$work/keys/..1/keys.json"
cp "$work/new.json" "$work/keys/..2/keys.json"
ln -s ..1 "$work/keys/..data"
ln -s ..data/keys.json "$work/keys/link"
mv "$work/keys/link" "$file"
in_use "a link through a folder that is one is followed" old new
ln -s ..2 "$work/keys/next"
mv -T "$work/keys/next" "$work/keys/..data"
in_use "and a swap of the folder is seen" new old

# PEM: the key has no name, so it is for tokens of any.

rm "$file"
replace old.pub
in_use "a public key in PEM is a key" old new
is "for tokens of any kid" "$(status_of "$(mint old --kid another)")" 200
replace new.crt
in_use "a certificate in PEM is one too" new old
is "for tokens of any kid, too" "$(status_of "$(mint new --kid another)")" 200
cat "$work/old.pub" "$work/new.crt" >"$work/both"
replace both
check "so are several" wait_for 4 answers 200 "$old"
is "each of them" "$(status_of "$new")" 200
stop "$daemon" || :

# A private key: whoever reads only signatures must not have it.

for private in old.pem both; do
	cp "$work/old.pem" "$work/private"
	[ "$private" = old.pem ] || cat "$work/new.pub" "$work/old.pem" >"$work/private"
	chmod 644 "$work/private"
	replace private
	chmod 644 "$file"
	start_gate
	is "with a private key in it ($private) nobody is let in" "$(status_of "$old")" 503
	check "the log says why ($private)" wait_for 30 logged 'a private key; whoever only checks signatures must not have it'
	is "the key is not in the log ($private)" "$(grep -c -F -f <(sed '/-----/d' "$work/old.pem") "$work/daemon.log" || :)" 0
	replace old.pub
	check "until it is the public one ($private)" wait_for 4 answers 200 "$old"
	stop "$daemon" || :
done
finish
