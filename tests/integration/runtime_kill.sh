#!/bin/bash
# Whatever is killed with SIGKILL at whatever moment, `delete --force` leaves nothing behind.
. "$(dirname "$0")/runtime/lib.bash"

bundle "$work/b" 'sh("sleep 100 & while :; do sleep 0.05; done")'
timeout -k 5 400 python3 "$here/kill.py" "$GARRISON" "$state" "$work/b" "${ROUNDS:-8}" "${SEED:-$RANDOM}"
is "no mount is left" "$(grep -c "$work" /proc/self/mountinfo)" 0
is "no state is left" "$(ls "$state")" ""
