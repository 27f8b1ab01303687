#!/bin/bash
# Root of a user namespace of one's own has nothing over what lies outside of it.
. "$(dirname "$0")/../integration/runtime/lib.bash"
gcc -std=gnu17 -D_GNU_SOURCE -O1 -static -o "$work/escape" "$(dirname "$0")/ns_escape.c"
chmod 755 "$work" "$work/escape"
for platform in ${GARRISON_PLATFORMS:-systrap ptrace}; do
	out=$(timeout -k 5 60 "$GARRISON" --platform="$platform" do --mount "$work:/x:ro" -- /x/escape 2>&1)
	is "nothing to be had from inside a user namespace [$platform]" "$out" "status 0"
done
