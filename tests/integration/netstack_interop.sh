#!/bin/bash
# netstack talks to the Linux stack over a veth pair in namespaces of its own.
build=${GARRISON_BUILD:-build}
if ! unshare -Urn true 2>/dev/null; then
	echo "skip netstack_interop: no user and network namespaces"
	exit 0
fi
timeout -k 5 120 unshare -Urn python3 tests/netstack/interop.py "$build/tests/netstack/host_stack"
