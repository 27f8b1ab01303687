#!/bin/bash
# The restrictions of fs.protected_*: Debian's values at first, each value enforced, and only
# a privileged user may change them.
. "$(dirname "$0")/../integration/runtime/lib.bash"
out=$(timeout -k 5 60 "$GARRISON" do -e SET_PROTECTED=1 --mount "$GARRISON_BUILD/tests/guest:/t:ro" -- \
	/t/fs_protected 2>&1)
is "the values at first" "$(echo "$out" | sed -n 's/^protected_\([a-z]*\) is /\1 /p' | xargs)" \
	"symlinks 1 hardlinks 1 fifos 1 regular 2"
is "every case is as set" "$(echo "$out" | grep -c ' by .*as set$')" 124
is "no case is otherwise" "$(echo "$out" | grep ' by ' | grep -v 'as set$')" ""
is "values that are out of range" "$(echo "$out" | grep -E '^[3x]:|= 2: EINVAL' | xargs)" \
	"symlinks = 2: EINVAL, is 1 hardlinks = 2: EINVAL, is 1 3: EINVAL x: EINVAL"
like "nobody else may change them" "$(timeout -k 5 60 "$GARRISON" do -u 1000 -- \
	sh -c 'echo 0 >/proc/sys/fs/protected_symlinks' 2>&1)" "Permission denied"
