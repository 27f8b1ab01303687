# The monitor: static and small, since every container and every exec has one.
# Static programs have no sanitizers, so it has objects of its own.
MONITOR_OBJ := $(B)/obj/monitor/runtime/monitor/monitor.o $(B)/obj/monitor/common/bpf.o
MONITOR_CFLAGS := $(filter-out -fPIE -fsanitize% -fno-sanitize%,$(CFLAGS_ALL)) -fno-pie

$(B)/obj/monitor/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(MONITOR_CFLAGS) -c $< -o $@

$(LIBEXEC)/garrison-monitor: $(MONITOR_OBJ)
	@mkdir -p $(@D)
	$(Q)$(CC) -static $(if $(IS_CLANG),,-no-pie) -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--gc-sections $^ -o $@

-include $(MONITOR_OBJ:.o=.d)
