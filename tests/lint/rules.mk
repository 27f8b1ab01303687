# `make lint`: layers, sizes, formatting, static analysis.

lint-layers:
	python3 tests/lint/layers.py
lint-sizes:
	python3 tests/lint/sizes.py
lint-format:
	git ls-files '*.c' '*.h' | xargs clang-format --dry-run -Werror
lint-cppcheck:
	git ls-files 'common/*.c' 'sentry/*.c' 'gofer/*.c' 'runtime/*.c' | xargs cppcheck -q -j2 \
		--std=c11 --enable=warning,portability --inline-suppr --error-exitcode=1 -I. \
		--suppressions-list=tests/lint/cppcheck.txt -D__x86_64__ --max-configs=1

lint: lint-layers lint-sizes lint-format lint-cppcheck

.PHONY: lint lint-layers lint-sizes lint-format lint-cppcheck
