# `make bench`: the comparison with native, crun and runsc (see run.py).
$(B)/tests/bench/micro: tests/bench/micro.c
	@mkdir -p $(@D)
	$(Q)gcc -std=gnu17 -D_GNU_SOURCE -O2 -Wall -static -pthread $< -o $@

bench: all $(B)/tests/bench/micro rootfs
	@mkdir -p docs
	python3 tests/bench/run.py --root $(ROOTFS) --build $(B) --out docs/benchmarks.md

.PHONY: bench
