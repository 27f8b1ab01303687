#!/bin/bash
# Replays the corpus with sanitizers. `run.sh fuzz SECONDS` lets libFuzzer (clang) look for
# more, from the corpus and the seeds; `run.sh minimize` writes what it found into the corpus.
set -euo pipefail
here=tests/fuzz/ns_frames
found=${GARRISON_FUZZ_DIR:-/tmp/garrison-fuzz}/ns_frames
flags="-std=gnu17 -D_GNU_SOURCE -I. -g -O1 -pthread -fno-sanitize-recover=all"
sources="$here/fuzz_ns_frames.c netstack/*.c common/mem.c common/log.c common/rbtree.c common/host.c"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
case "${1:-replay}" in
fuzz | minimize)
	mkdir -p "$found"
	python3 $here/seeds.py "$dir/seeds"
	clang $flags -fsanitize=fuzzer,address,undefined -o "$dir/fuzz" $sources -lunwind
	if [ "$1" = fuzz ]; then
		nice -n 10 "$dir/fuzz" -max_total_time="${2:-600}" -max_len=8192 -timeout=20 \
			-print_final_stats=1 -artifact_prefix="$found-" "$found" $here/corpus "$dir/seeds"
	else
		mkdir "$dir/new"
		nice -n 10 "$dir/fuzz" -merge=1 "$dir/new" "$dir/seeds" $here/corpus "$found"
		rm -f $here/corpus/*
		cp "$dir"/new/* $here/corpus/
	fi
	exit
	;;
esac
gcc $flags -fsanitize=address,undefined -o "$dir/replay" $here/replay.c $sources -lunwind
python3 $here/seeds.py "$dir/seeds"
for set in "$here/corpus" "$dir/seeds"; do
	if timeout 300 "$dir/replay" "$set"/* >"$dir/log" 2>&1; then
		echo "ok ${set##*/}"
	else
		echo "not ok ${set##*/}"
		tail -n 30 "$dir/log"
	fi
done
