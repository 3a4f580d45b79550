# tklbam: one static binary. "make quickstart" and "make test" do all their own
# set-up on a Debian machine with Go.

VERSION  ?= $(shell git describe --tags --always 2>/dev/null || echo 2.0-dev)
PREFIX   ?= /usr
REPORT   ?= bench.md
COMMANDS := init passphrase escrow backup restore restore-rollback status copy internal
ETC       = $(DESTDIR)/etc
CONFDIR   = $(ETC)/tklbam
LDFLAGS  := -s -w -X tklbam/pkg/cli.Version=$(VERSION)
BUILD    := go build -trimpath -ldflags '$(LDFLAGS)'

export CGO_ENABLED = 0

.PHONY: all install test bench check quickstart release peers clean

all:
	$(BUILD) -o tklbam .

release: # both architectures, into dist/
	GOARCH=amd64 $(BUILD) -o dist/tklbam-linux-amd64 .
	GOARCH=arm64 $(BUILD) -o dist/tklbam-linux-arm64 .

install: all
	install -D tklbam $(DESTDIR)$(PREFIX)/bin/tklbam
	for c in $(COMMANDS); do ln -sf tklbam $(DESTDIR)$(PREFIX)/bin/tklbam-$$c; done
	install -d -m 755 $(CONFDIR)/hooks.d
	for f in conf overrides hooks/example; do \
		to=$(CONFDIR)/$$(echo $$f | sed s/^hooks/hooks.d/); \
		test -e $$to || install -m 644 contrib/$$f $$to; \
	done
	test -e $(ETC)/cron.daily/tklbam-backup || install -D -m 644 contrib/cron $(ETC)/cron.daily/tklbam-backup
	install -D -m 644 contrib/logrotate $(ETC)/logrotate.d/tklbam
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/lib/systemd/system contrib/systemd/*

peers:
	contrib/peers

check:
	contrib/check

test: peers check
	contrib/test

bench: peers all
	go run ./contrib/bench -tklbam ./tklbam -markdown $(REPORT)
	contrib/bench-servers $(REPORT)

quickstart: all
	contrib/quickstart ./tklbam

clean:
	rm -rf tklbam dist
