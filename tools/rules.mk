# The seccomp allow-list of each process, from the #host: tags beside the wrappers.
$(B)/gen/seccomp_%.h: tools/seccomp-list $(COMMON_SRC)
	@mkdir -p $(@D)
	$(Q)tools/seccomp-list $* $(COMMON_SRC) > $@.tmp && mv $@.tmp $@

$(B)/obj/common/confine_seccomp.o: $(B)/gen/seccomp_sentry.h $(B)/gen/seccomp_gofer.h
