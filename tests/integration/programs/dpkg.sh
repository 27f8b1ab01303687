# root only
# dpkg -i, and apt-get install from a local repository
d=$(mktemp -d); cd "$d"; trap 'dpkg -P garrison-test garrison-dep >/dev/null 2>&1; rm -rf "$d" /etc/apt/sources.list.d/local.list' EXIT
mk() { mkdir -p "$1/DEBIAN" "$1/usr/share/$1"; echo data >"$1/usr/share/$1/file"
	printf 'Package: %s\nVersion: 1.0\nArchitecture: all\nMaintainer: t <t@t.invalid>\nDescription: test\n%s' "$1" "${2-}" >"$1/DEBIAN/control"
	dpkg-deb --root-owner-group -b "$1" >/dev/null; }
mk garrison-dep; mk garrison-test 'Depends: garrison-dep
'
dpkg -i garrison-dep.deb >/dev/null; [ -f /usr/share/garrison-dep/file ]; dpkg -P garrison-dep >/dev/null
mkdir repo; mv ./*.deb repo; chmod 755 "$d" repo; (cd repo; dpkg-scanpackages . 2>/dev/null >Packages)
echo "deb [trusted=yes] file:$d/repo ./" >/etc/apt/sources.list.d/local.list
apt-get update -qq -o Dir::Etc::sourcelist=/etc/apt/sources.list.d/local.list -o Dir::Etc::sourceparts=-
apt-get install -y -qq garrison-test >/dev/null
[ -f /usr/share/garrison-test/file ] && dpkg -s garrison-dep | grep -q 'ok installed'
