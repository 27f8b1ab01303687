# bash: pipelines, here-documents, traps, job control, arithmetic, subshells
set +o pipefail
d=$(mktemp -d); cd "$d"
[ "$(printf '%s\n' c a b | sort | tr -d '\n')" = abc ]
[ "$(cat <<X | wc -l
one
two
X
)" = 2 ]
[ "$(echo $((6 * 7)))" = 42 ]
(trap 'echo got >t; exit 0' TERM; kill -TERM $BASHPID; sleep 5; exit 1)
grep -q got t
sleep 100 & p=$!
kill -0 $p; kill $p; ! wait $p
[ "$(seq 1 10000 | awk '{s += $1} END {print s}')" = 50005000 ]
yes | head -n 100000 | wc -l | grep -qx 100000
diff <(seq 5) <(printf '%s\n' 1 2 3 4 5)
coproc cat; echo hello >&"${COPROC[1]}"; read -r line <&"${COPROC[0]}"; [ "$line" = hello ]
kill "$COPROC_PID"; wait "$COPROC_PID" || true
for i in 1 2 3 4 5 6 7 8; do (sleep 0.0$i; echo $i >>jobs) & done; wait
[ "$(wc -l <jobs)" = 8 ]
find /usr -xdev -maxdepth 2 >/dev/null
timeout 0.2 sleep 10 || [ $? = 124 ]
rm -rf "$d"
