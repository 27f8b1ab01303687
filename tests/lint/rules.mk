# `make lint`: layers, sizes, formatting, static analysis (.clang-tidy has the checks).
LINT_C = git ls-files 'common/*.c' 'sentry/*.c' 'gofer/*.c' 'netstack/*.c' 'runtime/*.c'

lint-layers:
	python3 tests/lint/layers.py
lint-sizes:
	python3 tests/lint/sizes.py
lint-format:
	git ls-files '*.c' '*.h' | xargs clang-format --dry-run -Werror
lint-cppcheck:
	$(LINT_C) | xargs cppcheck -q -j2 \
		--std=c11 --enable=warning,portability --inline-suppr --error-exitcode=1 -I. \
		--suppressions-list=tests/lint/cppcheck.txt -D__x86_64__ --max-configs=1
lint-tidy: $(patsubst %,$(B)/gen/seccomp_%.h,sentry sentry_ptrace gofer)
	$(LINT_C) | xargs -P2 -n8 clang-tidy --quiet --extra-arg=-I$(B)/gen 2>$(B)/tidy.log

lint: lint-layers lint-sizes lint-format lint-cppcheck lint-tidy

.PHONY: lint lint-layers lint-sizes lint-format lint-cppcheck lint-tidy
