#!/usr/bin/env python3
"""Checks the includes of the tree against tests/lint/layers.txt."""
import re
import subprocess
import sys

RULES = {}
for line in open("tests/lint/layers.txt"):
    line = line.split("#")[0].strip()
    if line:
        place, allowed = line.split(":")
        RULES[place.strip()] = allowed.split()


def room(path):
    """The longest folder or file of the rules that holds path."""
    return max((r for r in RULES if path == r or path.startswith(r + "/")), key=len, default=None)


def allowed(source, target):
    here, there = room(source), room(target)
    if here is None or there is None:
        return False
    permitted = RULES[here]
    return here == there or "*" in permitted or there in permitted or any(
        target == p or target.startswith(p + "/") for p in permitted)


def main():
    bad = 0
    files = subprocess.check_output(["git", "ls-files", "*.c", "*.h"], text=True).split()
    for path in files:
        for n, line in enumerate(open(path, errors="replace"), 1):
            m = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
            if not m or m[1].startswith("gen/") or "/" not in m[1]:
                continue
            if not allowed(path, m[1]):
                print(f"{path}:{n}: {room(path)} may not include {m[1]}")
                bad += 1
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
