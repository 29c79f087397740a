# What people type. Each target installs what it needs from the system's package manager first; see tools/install-deps.sh.
# The builds themselves are CMake presets: see CMakePresets.json.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.PHONY: help demo test test-in check asan tsan clang fuzz simulation chaos bench bench-storage headers \
        install package test-packages clean simulate simulation-table simulation-scale chaos-manager chaos-program soak
.NOTPARALLEL:

PREFIX ?= /usr/local
DESTDIR ?=
FUZZ_SECONDS ?= 20
SIMULATION_ARGS ?=
SIMULATION_SECONDS ?= 600
CHAOS_ENGINES ?= files postgres
CHAOS_SECONDS ?= 60
CHAOS_SEED ?= 1
SEEDS ?= 200
FIRST_SEED ?= 1
ROWS ?= 100 x
KILLS ?= 1000
EVERY_STEP ?= 1
ROUNDS ?= 200
EVERY_FAULT ?= 1
COMMANDS ?=
SEED ?= 1
SECONDS ?= 600
SOAK_ARGS ?= files
BENCH_ARGS ?=
HEADER_SECONDS ?= 1.5
DISTRIBUTION ?= trixie
TARGETS ?= test demo
PACKAGE_DISTRIBUTIONS ?= bookworm trixie

help:
	@echo 'make demo     build the program, and get a certificate from the embedded test CA'
	@echo 'make test     build and run every test'
	@echo 'make test-in  TARGETS ($(TARGETS)) on another distribution, DISTRIBUTION ($(DISTRIBUTION)); as root'
	@echo 'make check    formatting, layers, and other things a machine can see'
	@echo 'make asan     the tests under AddressSanitizer and UndefinedBehaviorSanitizer'
	@echo 'make tsan     whatever has threads under ThreadSanitizer'
	@echo 'make clang    the tests, built with clang'
	@echo 'make fuzz     each fuzz target for FUZZ_SECONDS ($(FUZZ_SECONDS))'
	@echo 'make simulation  50 clients for a day of virtual time against a CA that fails in every way; at most SIMULATION_SECONDS'
	@echo 'make chaos    processes that share a storage (CHAOS_ENGINES: $(CHAOS_ENGINES)), killed and stopped for CHAOS_SECONDS ($(CHAOS_SECONDS))'
	@echo 'make simulate  SEEDS ($(SEEDS)) runs of managers in worlds where something goes wrong, from FIRST_SEED ($(FIRST_SEED)) on'
	@echo 'make simulation-table  the large runs of docs/simulation.md whose line contains ROWS ($(ROWS)); ROWS=all takes hours'
	@echo 'make simulation-scale  what many certificates cost, in memory and on PostgreSQL, as docs/simulation-scale.svg'
	@echo 'make chaos-manager  a manager killed KILLS ($(KILLS)) times, and at every EVERY_STEP-th ($(EVERY_STEP); 0: none) step that changes or sends something'
	@echo 'make chaos-program  the same for the program; ROUNDS ($(ROUNDS)) of twenty commands at once; a storage that fails from each EVERY_FAULT-th ($(EVERY_FAULT); 0: none) call on; COMMANDS: only these (first issue force renew rollover revoke delete rename import)'
	@echo 'make soak     a manager with 300 short-lived certificates and bad CAs for SECONDS ($(SECONDS)); SOAK_ARGS ($(SOAK_ARGS)): files or memory'
	@echo 'make bench    culmen and its peers against Pebble, and the microbenchmarks; see bench/README.md'
	@echo 'make bench-storage  what each function of each storage engine costs'
	@echo 'make headers  what each public header costs to compile; over HEADER_SECONDS ($(HEADER_SECONDS)) is an error'
	@echo 'make install  into PREFIX ($(PREFIX)), below DESTDIR if set'
	@echo 'make package  Debian packages, in build/package/packages'
	@echo 'make test-packages  install and purge them on minimal systems, PACKAGE_DISTRIBUTIONS ($(PACKAGE_DISTRIBUTIONS)); as root'
	@echo 'make clean    remove build/'

demo:
	@echo 'Builds the culmen program (about a minute on two cores) and gets a certificate from its embedded test CA.'
	@tools/install-deps.sh build demo
	@tools/build.sh demo culmen_program
	@examples/demo.sh build/demo/culmen

test:
	@tools/install-deps.sh build test
	@tools/run-tests.sh

test-in:
	@tools/test-in.sh $(DISTRIBUTION) $(TARGETS)

check:
	@tools/install-deps.sh build check
	@tools/check.sh

asan:
	@tools/install-deps.sh build test
	@tools/run-tests.sh --preset asan

tsan:
	@tools/install-deps.sh build test
	@tools/run-tests.sh --preset tsan

clang:
	@tools/install-deps.sh build test fuzz
	@tools/run-tests.sh --preset clang

fuzz:
	@tools/install-deps.sh build fuzz
	@tools/run-fuzzers.sh $(FUZZ_SECONDS)

simulation:
	@tools/install-deps.sh build test
	@tools/build.sh dev culmen_simulation
	@timeout $(SIMULATION_SECONDS) build/dev/tests/simulation/culmen_simulation $(SIMULATION_ARGS)

chaos-manager:
	@tools/install-deps.sh build test
	@tools/build.sh dev culmen_manager_kills
	@build/dev/tests/chaos/culmen_manager_kills $(KILLS) $(EVERY_STEP)

chaos-program:
	@tools/install-deps.sh build test
	@tools/build.sh dev culmen_program_chaos
	@build/dev/tests/chaos/culmen_program_chaos $(KILLS) $(EVERY_STEP) $(ROUNDS) $(EVERY_FAULT) $(SEED) 0 $(COMMANDS)

soak:
	@tools/install-deps.sh build test
	@tools/build.sh dev culmen_manager_soak
	@build/dev/tests/chaos/culmen_manager_soak $(SECONDS) $(SOAK_ARGS)

chaos:
	@tools/install-deps.sh build test
	@tools/get-servers.sh
	@tools/build.sh dev culmen_chaos
	@for engine in $(CHAOS_ENGINES); do build/dev/tests/chaos/culmen_chaos $$engine $(CHAOS_SECONDS) $(CHAOS_SEED); done

simulate:
	@tools/install-deps.sh build test
	@tools/build.sh simulation culmen_manager_simulation
	@build/simulation/tests/simulation/culmen_manager_simulation --quiet 1 --first-seed $(FIRST_SEED) --seeds $(SEEDS)

simulation-table:
	@tools/install-deps.sh build test
	@tools/build.sh simulation culmen_manager_simulation
	@build/simulation/tests/simulation/culmen_manager_simulation --table '$(ROWS)'

simulation-scale:
	@tools/install-deps.sh build test
	@tools/get-servers.sh
	@tools/build.sh simulation culmen_manager_scale
	@python3 tests/simulation/plot_scale.py build/simulation/tests/simulation/culmen_manager_scale docs/simulation-scale.svg

bench:
	@tools/install-deps.sh build bench
	@tools/build.sh bench
	@python3 bench/run.py $(BENCH_ARGS)

bench-storage:
	@tools/install-deps.sh build bench
	@tools/get-servers.sh
	@tools/build.sh bench bench_storage
	@build/bench/bench/storage/bench_storage

headers:
	@tools/install-deps.sh build
	@python3 tools/measure_headers.py --limit $(HEADER_SECONDS)

install:
	@tools/install-deps.sh build
	@tools/build.sh release
	@DESTDIR='$(DESTDIR)' cmake --install build/release --prefix '$(PREFIX)'

package:
	@tools/install-deps.sh build package
	@tools/package.sh

test-packages: package
	@tools/install-deps.sh userland
	@tools/test-packages.sh $(PACKAGE_DISTRIBUTIONS)

clean:
	rm -rf build
