# git: init, commit, branch, merge, clone, gc, fsck
d=$(mktemp -d); cd "$d"; trap 'rm -rf "$d"' EXIT
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@a.invalid GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@a.invalid
git init -q r; cd r
for i in 1 2 3 4 5; do seq $i 1000 >f$i; git add .; git commit -qm "c$i"; done
git checkout -qb side HEAD~2; echo x >side; git add .; git commit -qm side
git checkout -q master 2>/dev/null || git checkout -q main; git merge -q -m merge side
git gc -q; git fsck --strict
cd ..; git clone -q r c; git -C c log --oneline | wc -l | grep -qx 7
git -C c status --porcelain | wc -l | grep -qx 0
git -C c repack -adq; git -C c fsck
