# One flat Makefile. `make` builds build/virtgate; `make help` says the rest.

VERSION := 0.1.0

PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
DESTDIR ?=
CXX ?= g++
SANITIZE_CXX ?= clang++-16
FUZZ_SECONDS ?= 60
SEEDS ?= 1000
MINUTES ?= 20
CLANG_FORMAT ?= clang-format-16
CLANG_TIDY ?= clang-tidy-16
PYTHON ?= /usr/bin/python3
PKG_CONFIG ?= pkg-config

ifeq ($(SANITIZE),1)
BUILD := build/sanitize
# The fuzz targets are of the same objects as the tests, so libFuzzer says whose compiler it is. vptr needs a pipe, and
# tests leave no descriptor for one.
CXX := $(SANITIZE_CXX)
MODE_FLAGS := -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize=vptr -fno-sanitize-recover=all \
              -fno-omit-frame-pointer
MODE_LDFLAGS := -fsanitize=address,undefined
TEST_FLAGS := $(subst -O1,-O0,$(MODE_FLAGS))
else ifeq ($(FAST_FUZZ),1)
BUILD := build/fast
CXX := $(SANITIZE_CXX)
MODE_FLAGS := -O2 -g -fsanitize=fuzzer-no-link -fno-sanitize-coverage=trace-cmp
TEST_FLAGS := $(MODE_FLAGS)
# Coverage of what reads the client's bytes is what leads somewhere.
$(BUILD)/obj/conf/%.o $(BUILD)/obj/tunnel/%.o: MODE_FLAGS := -O2 -g
else
BUILD := build
MODE_FLAGS := -O2 -g -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection -fcf-protection
MODE_LDFLAGS := -Wl,-z,relro,-z,now
TEST_FLAGS := -O0 -g
endif

# Distributions turn this on for the machines they know; a compiler of tomorrow must not break a build.
WERROR ?= 0
WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor -Woverloaded-virtual \
            -Wimplicit-fallthrough -Wformat=2 $(if $(filter 1,$(WERROR)),-Werror)

PACKAGES := libuv libssh2 gnutls libsystemd libsasl2 libseccomp expat spdlog fmt
PACKAGE_CFLAGS := $(subst -I,-isystem ,$(shell $(PKG_CONFIG) --cflags $(PACKAGES) 2>/dev/null))
LIBS := $(shell $(PKG_CONFIG) --libs $(PACKAGES) 2>/dev/null) -lpthread

CXXFLAGS_ALL = -std=c++20 -fPIE -I. -DVIRTGATE_VERSION='"$(VERSION)"' -D_GLIBCXX_ASSERTIONS -ftrivial-auto-var-init=zero \
                $(WARNINGS) $(MODE_FLAGS) $(PACKAGE_CFLAGS) $(CPPFLAGS) $(CXXFLAGS)
LDFLAGS_ALL := -pie $(MODE_LDFLAGS) $(LDFLAGS)

# A library a folder; each stands only on those to its right.
LIBRARIES := proxy conf tunnel policy base
sources = $(sort $(wildcard $(1)/*.cc) $(wildcard $(1)/*/*.cc))
objects = $(patsubst %.cc,$(BUILD)/obj/%.o,$(1))
archives := $(foreach l,$(LIBRARIES),$(BUILD)/lib$(l).a)
main_source := proxy/main.cc

UNIT_SOURCES := $(sort $(wildcard tests/unit/*.cc) $(wildcard tests/unit/*/*.cc))
LIVE_SOURCES := $(sort $(wildcard tests/live/*.cc))
BENCH_SOURCES := $(sort $(wildcard tests/bench/*.cc))
SIMULATE_SOURCES := $(sort $(wildcard tests/simulate/*.cc))
FUZZERS := $(sort $(basename $(notdir $(wildcard tests/fuzz/*.cc))))
ALL_SOURCES := $(foreach l,$(LIBRARIES),$(call sources,$(l))) $(UNIT_SOURCES) $(LIVE_SOURCES) $(BENCH_SOURCES) $(SIMULATE_SOURCES) $(wildcard tests/fuzz/*.cc)
ALL_HEADERS := $(sort $(wildcard $(foreach l,$(LIBRARIES) tests,$(l)/*.h $(l)/*/*.h)))

# V=1 prints whole command lines.
V ?= 0
ifneq ($(V),1)
quiet = @printf '  %-8s %s\n' '$(1)' '$@';
endif

.PHONY: all deps demo test test-qemu simulate soak bench lint format fuzz fuzz-client install uninstall srcdist deb test-package clean help \
        unit-tests fuzzers
.DELETE_ON_ERROR:

all: $(BUILD)/virtgate

help:
	@echo 'all       build $(BUILD)/virtgate'
	@echo 'deps      install the Debian packages that building and testing need'
	@echo 'demo      a private libvirtd and sshd on loopback, and virsh through the gate'
	@echo 'test      all tests; SANITIZE=1 for ASan and UBSan, built by $(SANITIZE_CXX)'
	@echo 'test-qemu  libvirt with its qemu driver and guests without KVM, as root'
	@echo 'simulate  a gate with simulated daemons, clients and faults, once for each of SEEDS ($(SEEDS)) seeds'
	@echo 'soak      users at work for MINUTES ($(MINUTES)), restarts of the daemon and reloads; every answer is looked at'
	@echo 'bench     figures beside direct connections, other tunnels and trouble of others'
	@echo 'lint      formatting, clang-tidy, shellcheck, directions of includes; LINT_SINCE=REVISION: of what changed'
	@echo 'format    format the sources'
	@echo 'fuzz      each fuzz target for FUZZ_SECONDS ($(FUZZ_SECONDS))'
	@echo 'fuzz-client  the whole client side of a gate, FUZZ_RUNS ($(FUZZ_RUNS)) times'
	@echo 'install   to DESTDIR and PREFIX ($(PREFIX)); uninstall takes it away again'
	@echo 'srcdist   the sources as $(BUILD)/virtgate-$(VERSION).tar.gz'
	@echo 'deb       a Debian package in $(BUILD)/deb; test-package tries it in a Debian of its own'

deps:
	@tests/deps

$(BUILD)/obj/%.o: %.cc
	@mkdir -p $(@D)
	$(call quiet,CXX)$(CXX) $(CXXFLAGS_ALL) -MMD -MP -c -o $@ $<

# Catch2 is what takes the time in tests: its header is compiled once, its own code neither optimised nor checked.
catch := $(BUILD)/pch/catch.h
catch_users := $(call objects,$(shell grep -l '"tests/unit/support/catch.h"' $(UNIT_SOURCES)))
$(catch).gch: tests/unit/support/catch.h $(wildcard base/*.h)
	@mkdir -p $(@D)
	@echo '#include "tests/unit/support/catch.h"' >$(catch)
	$(call quiet,CXX)$(CXX) $(CXXFLAGS_ALL) -x c++-header -o $@ $(catch)
$(catch_users): $(catch).gch
$(catch_users): CPPFLAGS += -include $(catch)
$(catch).gch $(BUILD)/obj/tests/unit/%.o: MODE_FLAGS := $(TEST_FLAGS)
$(BUILD)/obj/tests/unit/main.o: MODE_FLAGS := -O0

define archive_rule
$(BUILD)/lib$(1).a: $(call objects,$(filter-out $(main_source),$(call sources,$(1))))
	@rm -f $$@
	$$(call quiet,AR)$(AR) rcs $$@ $$^
endef
$(foreach l,$(LIBRARIES),$(eval $(call archive_rule,$(l))))

$(BUILD)/virtgate: $(call objects,$(main_source)) $(archives)
	$(call quiet,LINK)$(CXX) $(LDFLAGS_ALL) -o $@ $^ $(LIBS)

$(BUILD)/unit-tests: $(call objects,$(UNIT_SOURCES) $(filter-out %/main.cc,$(SIMULATE_SOURCES))) $(archives)
	$(call quiet,LINK)$(CXX) $(LDFLAGS_ALL) -o $@ $^ $(shell $(PKG_CONFIG) --libs catch2-with-main 2>/dev/null) $(LIBS)

$(BUILD)/confined: $(call objects,$(LIVE_SOURCES)) $(archives)
	$(call quiet,LINK)$(CXX) $(LDFLAGS_ALL) -o $@ $^ $(LIBS)

$(BUILD)/bench-load: $(call objects,$(BENCH_SOURCES)) $(archives)
	$(call quiet,LINK)$(CXX) $(LDFLAGS_ALL) -o $@ $^ $(LIBS)

$(BUILD)/simulate: $(call objects,$(SIMULATE_SOURCES) tests/unit/support/memory_stream.cc) $(archives)
	$(call quiet,LINK)$(CXX) $(LDFLAGS_ALL) -o $@ $^ $(LIBS)

unit-tests: $(BUILD)/unit-tests

# deps has to be through before the compiler looks for headers, so these build in a second make.
demo: deps
	@$(MAKE) --no-print-directory all
	@tests/demo $(BUILD)/virtgate

test: deps
	@$(MAKE) --no-print-directory all unit-tests $(BUILD)/confined
	@BUILD=$(BUILD) PYTHON=$(PYTHON) tests/run

test-qemu: deps
	@$(MAKE) --no-print-directory all
	@BUILD=$(BUILD) PYTHON=$(PYTHON) tests/qemu/run

simulate: deps
	@$(MAKE) --no-print-directory $(BUILD)/simulate
	@$(BUILD)/simulate --seeds $(SEEDS)

soak: deps
	@$(MAKE) --no-print-directory all
	@BUILD=$(BUILD) $(PYTHON) tests/soak/soak.py $(MINUTES)

bench: deps
	@$(MAKE) --no-print-directory all $(BUILD)/bench-load
	@BUILD=$(BUILD) $(PYTHON) tests/bench/bench.py

lint: deps
	@CLANG_FORMAT=$(CLANG_FORMAT) CLANG_TIDY=$(CLANG_TIDY) tests/lint/lint $(ALL_SOURCES) -- $(ALL_HEADERS) -- -std=c++20 -I. \
	  -DVIRTGATE_VERSION='"$(VERSION)"' $(PACKAGE_CFLAGS)

format:
	$(CLANG_FORMAT) -i $(ALL_SOURCES) $(ALL_HEADERS)

.PRECIOUS: $(BUILD)/obj/%.o
$(BUILD)/fuzz/%: $(BUILD)/obj/tests/fuzz/%.o $(archives)
	@mkdir -p $(@D)
	$(call quiet,LINK)$(CXX) $(LDFLAGS_ALL) -fsanitize=fuzzer -o $@ $^ $(LIBS)

fuzzers: $(addprefix $(BUILD)/fuzz/,$(FUZZERS))

fuzz: deps
	@$(MAKE) --no-print-directory SANITIZE=1 fuzzers
	@FUZZ_SECONDS=$(FUZZ_SECONDS) tests/fuzz/run $(FUZZERS)

# Ten million executions are for a build without sanitizers; what they have found is gone through once more with them.
FUZZ_RUNS ?= 10000000
fuzz-client: deps
	@$(MAKE) --no-print-directory SANITIZE=1 build/sanitize/fuzz/client
	@$(MAKE) --no-print-directory FAST_FUZZ=1 build/fast/fuzz/client
	@tests/fuzz/many $(FUZZ_RUNS)

# virt-ssh-helper is a link too where somebody wants it, but the name is libvirt's.
LINKS := virtgate-ssh virtgate-nc virtgate-bridge

# Where distributions differ.
ZSHDIR ?= $(PREFIX)/share/zsh/site-functions
APPARMORDIR ?= $(SYSCONFDIR)/apparmor.d

bindir := $(DESTDIR)$(PREFIX)/bin
mandir := $(DESTDIR)$(PREFIX)/share/man
docdir := $(DESTDIR)$(PREFIX)/share/doc/virtgate
unitdir := $(DESTDIR)$(PREFIX)/lib/systemd/system
UNITS := virtgate.service virtgate.socket virtgate@.socket
installed := $(addprefix $(bindir)/,virtgate $(LINKS)) $(addprefix $(unitdir)/,$(UNITS)) \
  $(DESTDIR)$(PREFIX)/lib/sysusers.d/virtgate.conf $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/virtgate.conf \
  $(addprefix $(mandir)/man1/,$(addsuffix .1,virtgate $(LINKS))) $(mandir)/man5/virtgate.toml.5 $(mandir)/man8/virtgate.8 \
  $(DESTDIR)$(PREFIX)/share/bash-completion/completions/virtgate $(DESTDIR)$(ZSHDIR)/_virtgate \
  $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/virtgate.fish $(DESTDIR)$(APPARMORDIR)/virtgate

# A configuration that is there is somebody's work, and stays.
install: all
	install -D -m 0755 $(BUILD)/virtgate $(bindir)/virtgate
	for link in $(LINKS); do ln -sf virtgate $(bindir)/$$link || exit 1; done
	install -d $(unitdir)
	for unit in $(UNITS); do \
	  sed 's#/usr/bin/virtgate#$(PREFIX)/bin/virtgate#' packaging/systemd/$$unit >$(unitdir)/$$unit && \
	  chmod 0644 $(unitdir)/$$unit || exit 1; done
	install -D -m 0644 packaging/systemd/virtgate.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/virtgate.conf
	install -D -m 0644 packaging/systemd/virtgate.tmpfiles $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/virtgate.conf
	install -D -m 0644 packaging/man/virtgate.1 $(mandir)/man1/virtgate.1
	for link in $(LINKS); do ln -sf virtgate.1 $(mandir)/man1/$$link.1 || exit 1; done
	install -D -m 0644 packaging/man/virtgate.toml.5 $(mandir)/man5/virtgate.toml.5
	install -D -m 0644 packaging/man/virtgate.8 $(mandir)/man8/virtgate.8
	install -D -m 0644 packaging/completions/virtgate.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/virtgate
	install -D -m 0644 packaging/completions/_virtgate $(DESTDIR)$(ZSHDIR)/_virtgate
	install -D -m 0644 packaging/completions/virtgate.fish $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/virtgate.fish
	install -D -m 0644 packaging/apparmor/virtgate $(DESTDIR)$(APPARMORDIR)/virtgate
	install -D -m 0644 packaging/virtgate.toml $(docdir)/examples/virtgate.toml
	install -D -m 0644 packaging/grafana/virtgate.json $(docdir)/examples/grafana.json
	install -D -m 0644 README.md $(docdir)/README.md
	test -e $(DESTDIR)$(SYSCONFDIR)/virtgate/virtgate.toml || \
	  install -D -m 0644 packaging/virtgate.toml $(DESTDIR)$(SYSCONFDIR)/virtgate/virtgate.toml

# The configuration and the keys stay.
uninstall:
	rm -f $(installed)
	rm -rf $(docdir)

# What builds anywhere, without git.
srcdist:
	packaging/sources $(VERSION) $(BUILD)/virtgate-$(VERSION).tar.gz

deb:
	packaging/deb $(VERSION) $(BUILD)/deb

test-package:
	@tests/package
	@tests/booted/run

clean:
	rm -rf build

-include $(shell find build -path $(BUILD)/deb -prune -o -type f -name '*.d' -print 2>/dev/null)
