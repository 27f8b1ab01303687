#!/usr/bin/env python3
"""Fails on functions over 100 lines and files over 800; prints the worst and the median."""
import re
import subprocess
import sys

MAX_FUNCTION, MAX_FILE = 100, 800
HEAD = re.compile(r"^[A-Za-z_].*\)\s*$|^[A-Za-z_].*\b(\w+)\(")


def functions(path, lines):
    """(name, first line, length) of each function: a `{` in column 0 up to its `}`."""
    start, name = None, "?"
    for n, line in enumerate(lines, 1):
        if line and not line[0].isspace() and line[0] not in "{}#/*":
            m = re.search(r"(\w+)\s*\(", line)
            name = m[1] if m else name
        if line == "{":
            start = n
        elif line == "}" and start:
            yield name, start, n - start - 1
            start = None


def main():
    bad, lengths = 0, []
    files = subprocess.check_output(["git", "ls-files", "*.c", "*.h"], text=True).split()
    for path in files:
        lines = open(path, errors="replace").read().split("\n")
        table = path in ("sentry/sys/flags.c",)
        if len(lines) > MAX_FILE and not table:
            print(f"{path}: {len(lines)} lines")
            bad += 1
        if path.startswith("tests/"):
            continue
        for name, line, length in functions(path, lines):
            lengths.append(length)
            if length > MAX_FUNCTION:
                print(f"{path}:{line}: {name} has {length} lines")
                bad += 1
    lengths.sort()
    if lengths:
        print(f"functions: {len(lengths)}, median {lengths[len(lengths) // 2]} lines, "
              f"longest {lengths[-1]}, over 60: {sum(l > 60 for l in lengths)}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
