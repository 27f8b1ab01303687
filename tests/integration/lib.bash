# Shared by the integration tests: a Debian root and a way to run things in it.
# Each test prints `ok NAME`, `not ok NAME` or `skip NAME: why`.

GARRISON=${GARRISON:-build/bin/garrison}
ROOTFS=${GARRISON_ROOTFS:-/var/tmp/garrison-rootfs}
PLATFORMS=${GARRISON_PLATFORMS:-systrap ptrace}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d /tmp/garrison-it.XXXXXX)
trap 'cleanup' EXIT
serial=0

cleanup() {
	rm -rf --one-file-system "$work"
}

need_rootfs() {
	"$here/../rootfs/make.sh" "$ROOTFS" >&2 || { echo "skip all: no root file system"; exit 0; }
}

# bundle DIR USER ARGS...: writes DIR/config.json that runs ARGS in ROOTFS.
bundle() {
	python3 "$here/bundle.py" "$ROOTFS" "$@"
}

# in_root PLATFORM USER SECONDS ARGS...: runs ARGS in the root, output and exit code passed on.
in_root() {
	local platform=$1 user=$2 seconds=$3 dir
	shift 3
	serial=$((serial + 1))
	dir=$work/b$serial
	mkdir -p "$dir"
	bundle "$dir" "$user" "$@"
	timeout -k 5 "$seconds" "$GARRISON" --root "$work/state" --platform="$platform" \
		${GARRISON_FLAGS-} run --bundle "$dir" "it-$$-$serial"
	local code=$?
	"$GARRISON" --root "$work/state" delete --force "it-$$-$serial" 2>/dev/null
	return $code
}

# check NAME COMMAND...: ok if the command succeeds, at the first or second try (said in the
# name's line); else its output's end goes to stderr.
check() {
	local name=$1 code
	shift
	"$@" >"$work/out" 2>&1 && { echo "ok $name"; return; }
	code=$?
	echo "first try of $name: exit $code: $(tail -n 2 "$work/out" | tr '\n' ' ')" >&2
	"$@" >"$work/out" 2>&1 && { echo "ok $name (second try)"; return; }
	echo "not ok $name (exit $?)"
	tail -n "${LINES_SHOWN:-15}" "$work/out" | sed 's/^/  | /' >&2
}
