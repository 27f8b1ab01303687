#!/bin/bash
# A name that is exchanged behind the gofer's back must not lead it to another file.
. "$(dirname "$0")/../integration/runtime/lib.bash"
gcc -std=gnu17 -D_GNU_SOURCE -O1 -static -o "$work/race" "$(dirname "$0")/gofer_race.c"
mkdir -p "$work/shared/rootdir" "$work/shared/d" "$work/bin"
cp /bin/true "$work/shared/rootdir/prog"
cp "$work/race" "$work/bin/"
chmod 755 "$work" "$work/bin" "$work/bin/race" "$work/shared" "$work/shared/rootdir/prog"
chown 1000:1000 "$work/shared/d"
out=$(timeout -k 5 40 "$GARRISON" do -u 1000 --mount "$work/shared:/x1" --mount "$work/shared:/x2" \
	--mount "$work/bin:/x:ro" -- /x/race 2>&1)
is "the race was run" "$out" "created many"
is "root's file is as it was" "$(stat -c '%a %u %g' "$work/shared/rootdir/prog")" "755 0 0"
