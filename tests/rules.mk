# Tests. Unit tests say in a comment line `/* link: GLOB... */` which sources they
# are linked with: only their module and the layers under it, so that the linker
# checks the layering. Guest tests are static programs, one a file.

UNIT_TESTS := $(sort $(wildcard tests/unit/*/test_*.c))
GUEST_TESTS := $(sort $(wildcard tests/guest/*.c))
UNIT_BIN := $(patsubst %.c,$(B)/%,$(UNIT_TESTS))
GUEST_BIN := $(patsubst %.c,$(B)/%,$(GUEST_TESTS))

unit_link = $(wildcard $(shell sed -n 's|^/\* link: \(.*\) \*/$$|\1|p' $(1)))

define UNIT_RULE
$(B)/$(basename $(1)): $(B)/obj/$(basename $(1)).o $(call objects,$(filter %.c,$(call unit_link,$(1)))) \
		$(if $(findstring sentry/platform,$(call unit_link,$(1))),$(SENTRY_EXTRA_OBJ))
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(LDFLAGS_ALL) $$^ -lcheck -lm -lsubunit -lrt $$(LIBS_COMMON) -ljansson -lseccomp -o $$@
-include $(B)/obj/$(basename $(1)).d
endef
$(foreach t,$(UNIT_TESTS),$(eval $(call UNIT_RULE,$(t))))

# Guest programs are ordinary programs: no sanitizers, no hardening flags of ours.
$(B)/tests/guest/%: tests/guest/%.c
	@mkdir -p $(@D)
	$(Q)gcc -std=gnu17 -D_GNU_SOURCE -static -O1 -g -Wall -Wno-unused-result -pthread -I. $< -o $@ -lm -lrt

# A netstack on an interface of the host, for tests against the Linux stack.
HOST_STACK := $(B)/tests/netstack/host_stack

$(HOST_STACK): $(B)/obj/tests/netstack/host_stack.o $(NETSTACK_LIB) $(call objects,$(COMMON_SRC))
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS_ALL) $^ $(LIBS_COMMON) -o $@
-include $(B)/obj/tests/netstack/host_stack.d

tests: $(UNIT_BIN) $(GUEST_BIN) $(HOST_STACK)

# The Debian root that tests and benchmarks run programs in; made once.
ROOTFS ?= $(or $(GARRISON_ROOTFS),/var/tmp/garrison-rootfs)
export GARRISON_ROOTFS := $(ROOTFS)

$(ROOTFS):
	tests/rootfs/make.sh $(ROOTFS)

rootfs: $(ROOTFS)

# TESTS=unit|guest|integration|fuzz|security or a part of a test's name narrows it.
test: all tests rootfs
	python3 tests/run.py --build $(B) $(if $(TESTS),--only '$(TESTS)')

check: lint test

.PHONY: tests test check rootfs
