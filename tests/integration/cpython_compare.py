#!/usr/bin/env python3
"""cpython_compare.py NAME PLATFORM REFERENCE.xml GOT.xml EXCEPTIONS: one result line per module
for the cases that pass, and one for each case that passes in the reference only."""
import sys
import xml.etree.ElementTree as ET


def passed(path):
    try:
        root = ET.parse(path).getroot()
    except (OSError, ET.ParseError):
        return None
    return {c.get("name") for c in root.iter("testcase")
            if c.get("result") == "completed" and c.find("failure") is None and c.find("error") is None
            and c.find("skipped") is None}


def exceptions(path):
    lines = (line.split("#")[0].split() for line in open(path))
    return {line[0] for line in lines if line}


def main():
    name, platform, reference, got, known = sys.argv[1:]
    want, have, known = passed(reference), passed(got), exceptions(known)
    if not want:
        print(f"skip cpython {name} on {platform}: no reference result")
        return 0
    if have is None:
        print(f"not ok cpython {name} on {platform}: it wrote no report")
        return 1
    missing = sorted(want - have)
    for case in missing:
        kind = "skip" if case in known else "not ok"
        print(f"{kind} cpython {name} on {platform}: {case} passes under crun")
    if not missing or len(want & have) > 0:
        print(f"ok cpython {name} on {platform}: {len(want & have)} of {len(want)} cases")
    return 0


sys.exit(main())
