# redis over a unix socket with its benchmark; postgres: initdb, pgbench over a unix socket
d=$(mktemp -d); cd "$d"; trap 'rm -rf "$d"' EXIT
redis-server --port 0 --unixsocket "$d/s" --save '' --daemonize no >redis.log & p=$!
for i in $(seq 50); do [ -S "$d/s" ] && break; sleep 0.1; done
[ "$(redis-cli -s "$d/s" set k v)" = OK ]; [ "$(redis-cli -s "$d/s" get k)" = v ]
redis-benchmark -s "$d/s" -n 5000 -c 10 -q -t get,set >/dev/null
redis-cli -s "$d/s" shutdown nosave || true; wait $p || true
pg=$(echo /usr/lib/postgresql/*/bin)
as() { if [ "$(id -u)" = 0 ]; then chown -R postgres "$d"; chmod 755 "$d"; runuser -u postgres -- "$@"; else "$@"; fi; }
as "$pg/initdb" -D "$d/db" -U postgres >/dev/null
as "$pg/pg_ctl" -D "$d/db" -o "-k $d -c listen_addresses=" -w -t 60 -l "$d/pg.log" start >/dev/null || { cat "$d/pg.log"; exit 1; }
as "$pg/pgbench" -h "$d" -U postgres -i -q postgres >/dev/null 2>&1
as "$pg/pgbench" -h "$d" -U postgres -c 2 -t 50 postgres | grep -q 'processed: 100/100'
as "$pg/pg_ctl" -D "$d/db" -m fast -w stop >/dev/null
