# The front door. `make help` lists what it can do.
SHELL := /bin/bash
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# CI=true machines and people share these; JOBS=1 for a machine with little memory.
JOBS ?= $(shell nproc)
RUN_DIR := build/run
CLUSTER_DIR := build/cluster
TOOLS_DIR := $(CURDIR)/build/tools
# A tofu that `make deps` fetched is used only where the machine has neither tofu nor terraform.
export PATH := $(PATH):$(TOOLS_DIR)

.PHONY: help deps build run cluster test test-fast test-faults bench fuzz simulate failover lint format install package clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

deps:  ## install what building, running and testing need (Debian packages; OpenTofu if there is no tofu)
	@tools/deps

build: deps  ## build build/release/bin/provisioner
	@tools/build release

run: build  ## serve the examples of examples/quickstart; everything is kept in build/run
	@tools/run-quickstart $(RUN_DIR)

cluster: build  ## the same by three daemons with three etcd members and a PostgreSQL, kept in build/cluster
	@tools/run-cluster $(CLUSTER_DIR)

test: deps  ## build, and run all tests (also under sanitizers)
	@tools/test

test-faults: deps  ## build, and run the tests with faults at length: three daemons (ROUNDS=50), all wrong designs
	@tools/test-faults

test-fast: deps  ## build, and run all tests of the release build only
	@tools/build release && ctest --test-dir build/release --output-on-failure -j $(JOBS)

bench: deps  ## measure, with a peer or the physical limit beside each figure
	@tools/bench

failover: deps  ## failovers of a real cluster, measured; writes docs/failover.md
	@tools/failover

fuzz: deps  ## fuzz every target for FUZZ_SECONDS (60) each
	@tools/fuzz

simulate: deps  ## simulate installations under faults for SIMULATE_MINUTES (10), fresh seeds each time
	@tools/simulate --minutes $(or $(SIMULATE_MINUTES),10)

lint: deps  ## clang-format and clang-tidy over everything
	@tools/lint

format:  ## reformat the sources
	@git ls-files '*.cpp' '*.hpp' | xargs -r clang-format-19 -i

install: build  ## install under PREFIX (/usr/local)
	@cmake --install build/release --prefix $(or $(PREFIX),/usr/local)

package: build  ## build the Debian package, build/release/provisioner_*.deb
	@cd build/release && cpack --config CPackConfig.cmake -B . >package.log || { cat package.log; exit 1; }
	@ls build/release/provisioner_*.deb

clean:  ## remove what was built (build/run and build/cluster, with their state, stay)
	@rm -rf build/release build/debug build/asan-ubsan build/tsan build/fuzz build/bench
