# a program built by Debian's Go: goroutines, nil-dereference recovery, os/exec
d=$(mktemp -d); cd "$d"; trap 'rm -rf "$d"' EXIT
export GOCACHE=$d/cache GOPATH=$d/go GOFLAGS=-mod=mod GO111MODULE=off HOME=$d
cat >m.go <<'X'
package main

import (
	"fmt"
	"os/exec"
	"sync"
)

func nilDeref() (r string) {
	defer func() {
		if e := recover(); e != nil {
			r = "recovered"
		}
	}()
	var p *int
	*p = 1
	return "no"
}

func main() {
	var wg sync.WaitGroup
	var mu sync.Mutex
	n := 0
	for i := 0; i < 1000; i++ {
		wg.Add(1)
		go func() { defer wg.Done(); mu.Lock(); n++; mu.Unlock() }()
	}
	wg.Wait()
	out, err := exec.Command("echo", "sub").Output()
	fmt.Print(n, " ", nilDeref(), " ", string(out))
	if err != nil {
		panic(err)
	}
}
X
go build -o m m.go
[ "$(./m)" = "1000 recovered sub" ]
