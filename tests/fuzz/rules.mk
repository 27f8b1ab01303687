# `make fuzz`: every harness for longer than the replay in `make test`.
FUZZ_ROUNDS ?= 20000

fuzz:
	for f in tests/fuzz/*/run.sh; do FUZZ_ROUNDS=$(FUZZ_ROUNDS) bash $$f || exit 1; done

.PHONY: fuzz
