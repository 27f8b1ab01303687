# root only
# tar, xz, zstd of a tree of 50,000 files; checksums equal before and after
d=$(mktemp -d); cd "$d"; trap 'rm -rf "$d"' EXIT
python3 - <<'X'
import os
os.mkdir("tree")
for i in range(500):
    os.mkdir(f"tree/{i}")
    for j in range(100):
        with open(f"tree/{i}/{j}", "w") as f:
            f.write(f"{i} {j}\n" * (j % 7))
X
sum() { (cd "$1" && find . -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum); }
before=$(sum tree)
tar cf - tree | zstd -q -1 >t.zst
mkdir out; zstd -qdc t.zst | tar xf - -C out
[ "$(sum out/tree)" = "$before" ]
[ "$(find out -type f | wc -l)" = 50000 ]
tar cJf t.xz tree/1; mkdir out2; tar xJf t.xz -C out2; cmp tree/1/99 out2/tree/1/99
