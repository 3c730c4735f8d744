#!/bin/sh
# Run every fuzz target over its seed corpus (tests/fuzz/corpus/<target>).  With --enable-fuzzing the targets are libFuzzer
# programs and -runs=0 makes them do the same.
set -eu
: "${srcdir:=.}" "${BG_FUZZERS:?names of the fuzz targets}" "${BG_FUZZING:=no}"
for target in $BG_FUZZERS; do
	corpus=$srcdir/tests/fuzz/corpus/${target##*/fuzz_}
	case $BG_FUZZING in
	yes) "./$target" -runs=0 "$corpus" ;;
	*) "./$target" "$corpus" ;;
	esac
done
