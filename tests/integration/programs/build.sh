# gcc builds lua and zlib from Debian source with make -j2, and they pass their tests
d=$(mktemp -d); cd "$d"; trap 'rm -rf "$d"' EXIT
mkdir lua; tar xf /usr/src/lua5.4_*.orig.tar.gz -C lua --strip-components=1; cp -r /usr/src/zlib-* zlib
make -s -j2 -C lua/src linux >/dev/null
[ "$(lua/src/lua -e 'print(1 + 2, ("x"):rep(3))')" = "3	xxx" ]
lua/src/lua -e 'local t = {} for i = 1, 100000 do t[i] = i * 2 end assert(#t == 100000); collectgarbage()
	local f = io.popen("echo sub"); assert(f:read("l") == "sub"); f:close(); assert(os.execute("exit 3") == nil)'
cd zlib; ./configure >/dev/null; make -s -j2 >/dev/null 2>&1; make -s test 2>&1 | grep -c 'test OK' | grep -qx '[1-9].*'
