# The stub: freestanding, linked to one flat image that image.S puts into the sentry.
STUB_DIR := sentry/platform/stub
STUB_B := $(B)/obj/$(STUB_DIR)
STUB_CFLAGS := -std=gnu17 -O2 -I. $(WARN) -ffreestanding -fpie -fno-plt -mgeneral-regs-only \
	-mcmodel=small -fno-stack-protector -fcf-protection=none -fno-jump-tables \
	-fno-asynchronous-unwind-tables -fno-builtin -fomit-frame-pointer -mno-red-zone -MMD -MP

$(STUB_B)/stub.o: $(STUB_DIR)/stub.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(STUB_CFLAGS) -c $< -o $@

$(STUB_B)/entry.o: $(STUB_DIR)/entry.S
	@mkdir -p $(@D)
	$(Q)$(CC) $(STUB_CFLAGS) -c $< -o $@

$(STUB_B)/stub.elf: $(STUB_B)/entry.o $(STUB_B)/stub.o $(STUB_DIR)/stub.ld
	$(Q)ld -nostdlib -static --no-dynamic-linker -T $(STUB_DIR)/stub.ld $(STUB_B)/entry.o $(STUB_B)/stub.o -o $@

$(STUB_B)/stub.bin: $(STUB_B)/stub.elf
	$(Q)objcopy -O binary -j .text $< $@

$(STUB_B)/image.o: $(STUB_DIR)/image.S $(STUB_B)/stub.bin
	$(Q)$(CC) -I$(STUB_B) -c $< -o $@

SENTRY_EXTRA_OBJ += $(STUB_B)/image.o
-include $(STUB_B)/stub.d

# tests/bench/pf_bench: times the platform alone.
PF_BENCH_SRC := $(wildcard sentry/platform/*.c sentry/platform/systrap/*.c sentry/platform/ptrace/*.c) \
	$(wildcard common/host*.c) common/log.c common/mem.c sentry/core/sleeper.c
$(B)/tests/bench/pf_bench: $(B)/obj/tests/bench/pf_bench.o $(call objects,$(PF_BENCH_SRC)) $(STUB_B)/image.o
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS_ALL) $^ $(LIBS_COMMON) -o $@

$(B)/tests/security/stub_attack: tests/security/stub_attack.c
	@mkdir -p $(@D)
	$(Q)gcc -std=gnu17 -D_GNU_SOURCE -static -O1 -Wall -Wno-unused-result $< -o $@
tests: $(B)/tests/security/stub_attack
