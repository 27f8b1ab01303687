# Installing, the demonstration, and the documents that are made by programs.

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
