# The monitor: static and small, since every container and every exec has one.
$(LIBEXEC)/garrison-monitor: $(B)/obj/runtime/monitor/monitor.o $(B)/obj/common/bpf.o
	@mkdir -p $(@D)
	$(Q)$(CC) -static -no-pie -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--gc-sections $^ -o $@

$(B)/obj/runtime/monitor/monitor.o: CFLAGS_ALL := $(filter-out -fPIE -fsanitize% -fno-sanitize%,$(CFLAGS_ALL)) -fno-pie
-include $(B)/obj/runtime/monitor/monitor.d
