# Garrison. `make deps` installs what a build needs on Debian 12, `make` builds
# build/bin/garrison and build/libexec/garrison/*, which run in place.
#   make CC=clang   make SAN=address,undefined   make V=1

CC ?= gcc
ifeq ($(origin CC),default)
CC := gcc
endif
SAN ?=
B ?= build$(if $(SAN),-$(subst $(comma),-,$(SAN)))
comma := ,
PKG_CONFIG ?= pkg-config
Q := $(if $(V),,@)

WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla \
	-Wno-unused-parameter -Wno-missing-field-initializers
IS_CLANG := $(findstring clang,$(CC))
CLANG_INIT_ZERO := -enable-trivial-auto-var-init-zero-knowing-it-will-be-removed-from-clang
HARDEN := -fstack-protector-strong -fstack-clash-protection -fcf-protection \
	-ftrivial-auto-var-init=zero $(if $(IS_CLANG),$(CLANG_INIT_ZERO)) -fPIE $(if $(SAN),,-D_FORTIFY_SOURCE=2)
OPT ?= -O2 -g
CFLAGS_ALL := -std=gnu17 -D_GNU_SOURCE -I. -I$(B)/gen $(OPT) $(WARN) $(HARDEN) -pthread \
	-fno-omit-frame-pointer -MMD -MP $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all) $(CFLAGS)
LDFLAGS_ALL := -pie -Wl,-z,relro,-z,now,-z,noexecstack -pthread $(if $(SAN),-fsanitize=$(SAN)) $(LDFLAGS)

LIBS_COMMON := -lunwind
SENTRY_LIBS := -ljansson
GOFER_LIBS :=
RUNTIME_LIBS := -ljansson -lseccomp

sources = $(sort $(shell find $(1) -name '*.c' $(foreach x,$(2),-not -path '$(x)')))
objects = $(patsubst %.c,$(B)/obj/%.o,$(1))

COMMON_SRC := $(call sources,common)
SENTRY_SRC := $(call sources,sentry,sentry/platform/stub/*)
GOFER_SRC := $(call sources,gofer)
NETSTACK_SRC := $(call sources,netstack)
RUNTIME_SRC := $(call sources,runtime,runtime/monitor/*)

BIN := $(B)/bin/garrison
LIBEXEC := $(B)/libexec/garrison
NETSTACK_LIB := $(B)/lib/libnetstack.a
PROGRAMS := $(BIN) $(LIBEXEC)/garrison-sentry $(LIBEXEC)/garrison-gofer \
	$(LIBEXEC)/garrison-monitor

all: $(PROGRAMS) $(NETSTACK_LIB)

$(B)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) -c $< -o $@

# Each area may add rules of its own (the stub, generated tables, tests).
-include sentry/platform/rules.mk runtime/rules.mk gofer/rules.mk tests/rules.mk tests/lint/rules.mk \
	tests/bench/rules.mk tests/fuzz/rules.mk tools/rules.mk

SENTRY_OBJ := $(call objects,$(SENTRY_SRC) $(COMMON_SRC)) $(SENTRY_EXTRA_OBJ)
GOFER_OBJ := $(call objects,$(GOFER_SRC) $(COMMON_SRC))
RUNTIME_OBJ := $(call objects,$(RUNTIME_SRC) $(COMMON_SRC))
NETSTACK_OBJ := $(call objects,$(NETSTACK_SRC))

# A static library: who links with it gets the parts that it uses.
$(NETSTACK_LIB): $(NETSTACK_OBJ)
	@mkdir -p $(@D)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(LIBEXEC)/garrison-sentry: $(SENTRY_OBJ)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS_ALL) $^ $(SENTRY_LIBS) $(LIBS_COMMON) -o $@

$(LIBEXEC)/garrison-gofer: $(GOFER_OBJ)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS_ALL) $^ $(GOFER_LIBS) $(LIBS_COMMON) -o $@

$(BIN): $(RUNTIME_OBJ)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS_ALL) $^ $(RUNTIME_LIBS) $(LIBS_COMMON) -o $@

-include $(patsubst %.o,%.d,$(sort $(SENTRY_OBJ) $(GOFER_OBJ) $(RUNTIME_OBJ) $(NETSTACK_OBJ)))

DEPS := gcc clang clang-format clang-tidy cppcheck make pkg-config git libseccomp-dev \
	libunwind-dev libnl-3-dev libnl-route-3-dev libssl-dev check libjansson-dev \
	libnghttp2-dev libclang-rt-14-dev mmdebstrap crun strace python3 iproute2 \
	containerd docker.io podman runc conmon

deps:
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(DEPS)

clean:
	rm -rf build build-*

format:
	git ls-files '*.c' '*.h' | xargs clang-format -i

.PHONY: all deps clean format
.DEFAULT_GOAL := all
