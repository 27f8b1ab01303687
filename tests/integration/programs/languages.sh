# perl, sqlite3, node (workers, child_process, fs.watch), openjdk (threads, GC), Go
d=$(mktemp -d); cd "$d"; trap 'rm -rf "$d"' EXIT
[ "$(perl -e 'print join ",", map { $_ * 2 } 1..3; open my $f, "-|", "echo sub"; print <$f>')" = "2,4,6sub" ]
[ "$(sqlite3 x.db 'create table t(a); insert into t values(1),(2); select sum(a) from t')" = 3 ]
cat >n.js <<'X'
const { Worker } = require('worker_threads'), { execFileSync } = require('child_process'), fs = require('fs');
if (execFileSync('echo', ['hi']).toString() !== 'hi\n') process.exit(1);
let left = 4;
const done = () => { if (--left === 0) process.exit(0); };
for (let i = 0; i < 3; i++)
  new Worker('require("worker_threads").parentPort.postMessage(6 * 7)', { eval: true }).on('message', m => {
    if (m !== 42) process.exit(2); done(); });
const w = fs.watch('.', () => { w.close(); done(); });
setTimeout(() => fs.writeFileSync('watched', 'x'), 100);
setTimeout(() => process.exit(3), 20000);
X
node n.js
cat >T.java <<'X'
import java.util.concurrent.atomic.*;
public class T {
  public static void main(String[] a) throws Exception {
    AtomicLong sum = new AtomicLong();
    Thread[] ts = new Thread[200];
    for (int i = 0; i < 200; i++) { int n = i; ts[i] = new Thread(() -> {
      for (int j = 0; j < 200; j++) { byte[] b = new byte[10000]; sum.addAndGet(b.length > 0 ? n : 0); } }); ts[i].start(); }
    for (Thread t : ts) t.join();
    System.gc();
    Process p = new ProcessBuilder("echo", "sub").start();
    System.out.println(sum.get() + " " + new String(p.getInputStream().readAllBytes()).trim());
  }
}
X
[ "$(java -Xmx256m T.java)" = "3980000 sub" ]
