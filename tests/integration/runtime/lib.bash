# For the tests of the runtime commands: a state directory of their own, bundles over a
# small Debian root whose writes stay in memory, and one line of result per check.

GARRISON=$(realpath "${GARRISON:-build/bin/garrison}")
ROOTFS=${GARRISON_ROOTFS:-/var/tmp/garrison-rootfs}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d /tmp/garrison-rt.XXXXXX)
state=$work/state

[ -x "$ROOTFS/bin/sh" ] || { echo "skip all: no root file system at $ROOTFS"; exit 0; }

# g ARGS...: garrison with our state directory; nothing takes longer than 20 s.
g() {
	timeout -k 5 20 "$GARRISON" --root "$state" --overlay memory ${GARRISON_FLAGS-} "$@"
}

cleanup() {
	local id
	for id in $(ls "$state" 2>/dev/null); do
		g delete --force "$id" >/dev/null 2>&1
	done
	rm -rf --one-file-system "$work"
}
trap cleanup EXIT

# bundle DIR [EDIT]: a default bundle; EDIT is Python code on the configuration `c`.
bundle() {
	mkdir -p "$1"
	python3 "$here/bundle.py" "$ROOTFS" "$1" "${2-}"
}

ok() { echo "ok $1"; }
not_ok() { echo "not ok $1${2:+ ($2)}"; }

# is NAME GOT WANT
is() {
	if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1" "got '$2', want '$3'"; fi
}

# like NAME GOT REGEX
like() {
	if printf '%s' "$2" | grep -qE -- "$3"; then ok "$1"; else not_ok "$1" "got '$2', want /$3/"; fi
}

# try N COMMAND...: until it succeeds, N tenths of a second at most.
try() {
	local n=$1
	shift
	while [ "$n" -gt 0 ]; do
		"$@" >/dev/null 2>&1 && return 0
		sleep 0.1
		n=$((n - 1))
	done
	return 1
}

field() { # field FILE EXPRESSION: a value of a JSON file
	python3 -c 'import json,sys; print(eval("o" + sys.argv[2], {"o": json.load(open(sys.argv[1]))}))' "$1" "$2"
}

status_is() { [ "$(g state "$1" 2>/dev/null | python3 -c 'import json,sys; print(json.load(sys.stdin)["status"])')" = "$2" ]; }
