#!/bin/bash
# Terminals: run -t, exec -t, do -t and --console-socket, with job control and sizes.
. "$(dirname "$0")/runtime/lib.bash"

bundle "$work/t" 'c["process"].update(terminal=True, args=["/bin/bash", "--norc", "-i"])'
bundle "$work/s" 'sh("while :; do sleep 1; done")'
timeout -k 5 200 python3 "$here/terminal.py" "$GARRISON" "$state" "$work/t" "$ROOTFS" "$work/s"
is "the user's terminal tests left no state" "$(ls "$state")" ""
