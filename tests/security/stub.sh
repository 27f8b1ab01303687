#!/bin/bash
# What guest code gains by jumping into the stub (see docs/security.md): the list of reachable
# host calls is exactly the one that the filter is meant to pass, and attacks on the attacker's own
# process leave the sandbox well. Under ptrace every call is trapped, wherever it comes from.
set -u
bin=$GARRISON_BUILD/tests/security
run() {
	timeout -k 5 150 "$GARRISON" --platform="$1" do --mount "$bin:/security" -- \
		/security/stub_attack "${@:2}" 2>&1
}

# 335 and 336 (uretprobe, uprobe) are let through by the kernel itself, whatever a filter says;
# they do nothing outside of its own trampolines.
want="3 9 10 11 25 27 28 202"
out=$(run systrap numbers)
got=$(echo "$out" | sed -n 's/^reached //p' | grep -vx -e 335 -e 336 | sort -n | xargs)
if [ "$got" = "$want" ]; then
	echo "ok reachable calls are the expected ones"
else
	echo "not ok reachable calls are the expected ones: $got; $(echo "$out" | tail -3 | xargs)"
fi
echo "$out" | grep "the sandbox is well" || echo "not ok the sandbox is well after every number"
out=$(run systrap)
echo "$out" | grep -E '^(ok|not ok) '
echo "$out" | grep -q "the sandbox is well" || echo "not ok attacks: $(echo "$out" | tail -5 | xargs)"
