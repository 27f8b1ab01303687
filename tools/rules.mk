# Generated sources, installing, the demonstration, and documents made by programs.

# The seccomp allow-list of each process, from the #host: tags beside the wrappers.
$(B)/gen/seccomp_%.h: tools/seccomp-list $(COMMON_SRC)
	@mkdir -p $(@D)
	$(Q)tools/seccomp-list $* $(COMMON_SRC) > $@.tmp && mv $@.tmp $@

$(B)/obj/common/confine_seccomp.o: $(B)/gen/seccomp_sentry.h $(B)/gen/seccomp_sentry_ptrace.h $(B)/gen/seccomp_gofer.h


PREFIX ?= /usr/local

demo: all
	tools/demo.sh $(BIN)

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/libexec/garrison
	install -m 755 $(BIN) $(DESTDIR)$(PREFIX)/bin/
	install -m 755 $(filter $(LIBEXEC)/%,$(PROGRAMS)) $(DESTDIR)$(PREFIX)/libexec/garrison/

docs: all
	$(LIBEXEC)/garrison-sentry --print-syscalls > docs/compatibility.md

.PHONY: demo install docs
