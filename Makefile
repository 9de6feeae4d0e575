# make test: everything, on a fresh Debian-like machine too. It installs what it needs (interop/install.sh).

GOFUMPT     = go run mvdan.cc/gofumpt@v0.12.0
STATICCHECK = go run -exec "env 'GOFLAGS=$(RACEFLAGS)'" honnef.co/go/tools/cmd/staticcheck@v0.8.2
RACEFLAGS   = $(strip $(shell go env GOFLAGS) -race)

# The race detector keeps its own memory in huge pages, which takes a third of the CPU time off the tests, and waits for
# races at the end of each process for 50 ms instead of a second: no goroutine is left then, the tests look for that.
GORACE = no_huge_pages_for_shadow=0 atexit_sleep_ms=50

# Everything is compiled once, with the race detector: GOFLAGS holds for the programs that tests build, too, and all of
# go vet runs with the tests. Most tests wait most of the time, so more of them run than there are cores.
GOTEST = GOFLAGS='$(RACEFLAGS)' GORACE='$(GORACE)' go test -vet=all -shuffle=on -timeout 12m -p 4 -parallel 4

# Modules of their own, so that what they need never reaches importers. Programs import some of them, whose tests need
# no server of others; interop and bench are nothing but tests.
SUBMODULES = $(patsubst %/go.mod,%,$(wildcard */go.mod))
IMPORTED   = $(filter fleet sdkotel,$(SUBMODULES))
MODULES    = . $(SUBMODULES)

MAKEFLAGS += --no-print-directory

# So that every program of Debian is found: it keeps servers in /usr/sbin, which is not in everybody's PATH.
export PATH := $(PATH):/usr/sbin:/sbin

# Every other operating system that the library runs on, and words of 32 bits. interop and bench start servers of a
# Debian-like system and stay there. One of them is built, because types do not show what a compiler or a linker refuses:
# the one that is farthest from Linux on 64 bits.
SYSTEMS = windows/386 darwin/arm64 linux/arm
BUILT   = windows/386

.PHONY: test quick check deps go-version fmt vet staticcheck build cross test-unit test-modules fuzz interop soak bench clean

# One part after the other: each keeps two cores busy by itself, but to install, which waits for the network and the
# disk. Beside it goes what needs nothing that it installs, not even a C compiler; what that prints comes after. The
# tests of interop mostly wait, so those of the other modules run beside them.
# go vet runs with the tests, and what they compile needs no build.
test: go-version
	@echo "== gofumpt and the other systems, beside what is installed"
	@beside=$$(mktemp) || exit 1; trap 'rm -f "$$beside"' EXIT; \
	CGO_ENABLED=0 $(MAKE) -j1 fmt cross >"$$beside" 2>&1 & job=$$!; trap 'kill $$job; exit 130' INT TERM HUP; \
	$(MAKE) deps || { kill $$job; wait $$job; exit 1; }; \
	wait $$job; status=$$?; cat "$$beside"; exit $$status
	@$(MAKE) -j1 staticcheck test-unit
	@$(MAKE) -j2 test-modules interop
	@echo "== all passed"

# The inner loop, for the main module: only the tests of what has changed, without the race detector.
quick:
	@go vet ./...
	@go test -p 3 -parallel 8 ./...

check: go-version fmt vet staticcheck build cross

deps:
	@echo "== what the tests need"
	@interop/install.sh

# The pinned tools and the other modules need a newer Go than the library. Go fetches that by itself, unless told not to.
TOOLS_GO = 1.26
go-version:
	@have=$$(go env GOVERSION | sed 's/^go//; s/[^0-9.].*//'); \
	[ "$$(go env GOTOOLCHAIN)" != local ] || printf '%s\n' $(TOOLS_GO) "$$have" | sort -V -C || { \
		echo "gofumpt, staticcheck and the other modules need Go $(TOOLS_GO), this is $$have and GOTOOLCHAIN=local keeps it." >&2; \
		echo "Run with GOTOOLCHAIN=auto, or only the tests of the library: make test-unit" >&2; exit 1; }

fmt:
	@echo "== gofumpt"
	@out=$$($(GOFUMPT) -l .) || exit 1; \
	[ -z "$$out" ] || { echo "not formatted (gofumpt -w mends it):" >&2; echo "$$out" >&2; exit 1; }

vet:
	@for m in $(MODULES); do echo "== go vet: $$m"; (cd $$m && go vet ./...) || exit 1; done

# With -race, like everything below, so that it uses what is compiled for the tests. GOGC: a fifth of
# its time was collecting garbage.
staticcheck: export GOGC = 400
staticcheck:
	@for m in $(MODULES); do echo "== staticcheck: $$m"; (cd $$m && $(STATICCHECK) ./...) || exit 1; done

build:
	@for m in $(MODULES); do echo "== go build: $$m"; (cd $$m && go build -race -o /dev/null ./...) || exit 1; done

# The standard library is most of a build, and differs on each system: types need a small part of that time, and show
# what does not compile. go vet sees with the tests what Linux compiles, so it is for packages with other files.
cross:
	@echo "== types for $(SYSTEMS)"
	@go run ./internal/testing/systems $(SYSTEMS)
	@echo "== build for $(BUILT)"
	@other=$$(GOOS=linux go list -f '{{if .IgnoredGoFiles}}{{.ImportPath}}{{end}}' ./...) && \
	export GOOS=$(patsubst %/,%,$(dir $(BUILT))) GOARCH=$(notdir $(BUILT)) && \
	go list -export ./... >/dev/null && go build -o /dev/null ./examples/devserver && go vet $$other

test-unit:
	@echo "== go test: ."
	@$(GOTEST) ./...
	@echo "== the tests against real servers, browsers and faulty networks are in interop: make interop"

test-modules:
	@for m in $(IMPORTED); do echo "== go test: $$m"; (cd $$m && $(GOTEST) ./...) || exit 1; done

# Every fuzz target, as many at a time as there are cores. `make fuzz T=10m` for longer, `make fuzz FUZZ=FuzzOpen` for one, several in quotes.
T ?= 10s
fuzz:
	@echo "== fuzzing, $(T) a target"
	@go run ./internal/testing/fuzz/run -t $(T) $(FUZZ)

# The client used hard and for long: under all faults at random, on a network that flaps, killed again and again
# while messages come, and as a crowd that loses its server. `make soak T=1h` for longer, `make soak SEED=7` for the same plan again.
soak: T = 5m
soak:
	@cd interop && go run -race ./soak -t $(T) $(if $(SEED),-seed $(SEED))
	@cd interop && $(GOTEST) ./faults -run TestFlapping -flap 1m
	@cd interop && $(GOTEST) ./messages -run TestCrash/ejabberd -kills 200
	@cd interop && $(GOTEST) ./messages -run 'TestCrash/Prosody|TestFlapping' -kills 50
	@cd interop && $(GOTEST) ./storm -sessions 1000 -away 10s
	@cd fleet && go test -timeout 60m ./examples/fleetbot -run 'TestFleet|TestNATS|TestSteadyState' -long -runs 20 -v

# The client against its peers and the limit, as ratios (docs/performance.md). `make bench BENCH="-run requests -rounds 9"` for a part of it.
bench:
	@cd bench && go run . $(BENCH)

# The packages that take longest begin first, so that the others run beside them.
LONGEST = faults jssdk

# Here a server that is not installed is a failure, not a reason to skip.
interop:
	@running=; for m in $(filter-out $(IMPORTED),$(SUBMODULES)); do echo "== go test: $$m"; \
	(cd $$m && MIRRORFLY_INTEROP=required $(GOTEST) $$(for p in $(LONGEST); do [ ! -d $$p ] || echo ./$$p; done) ./...) & \
	running="$$running $$!"; done; \
	failed=0; for p in $$running; do wait $$p || failed=1; done; exit $$failed

clean:
	@rm -rf bin
	@find . -name '*.test' -type f -not -path './.git/*' -delete
	@go clean -testcache
