# Freshet: one command a purpose. `make` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
BIN := $(or $(CARGO_TARGET_DIR),target)/release

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## Check each program that building and testing need; as root, install what is missing
	@scripts/setup.sh all

.PHONY: build
build: ## Build all programs (release) into target/release
	@scripts/setup.sh build
	cargo build --release --locked --workspace

.PHONY: demo
demo: build ## Publish a build and let eight nodes fetch it from each other (DIR=/path takes a folder of yours)
	@$(BIN)/freshet-loadtest demo $(DIR)

.PHONY: demo-watch
demo-watch: build ## Pages to watch a film and a live stream, and to download; open them in two tabs (needs Node.js, ffmpeg)
	@cd browser-sdk && npm ci --no-audit --no-fund --silent && npm run --silent build
	@cd browser-sdk && FRESHET_BIN_DIR=$(abspath $(BIN)) exec node --import ./lab/typescript.mjs lab/demo.ts

.PHONY: test
test: ## Correctness and short forms of everything; prints the seconds of each stage
	@scripts/setup.sh all
	@scripts/test.sh

.PHONY: bench
bench: ## Every figure: line, wanted, reached, and a reference in the same run (root: network namespaces)
	@scripts/setup.sh all
	@scripts/bench.sh

.PHONY: soak
soak: ## Long forms: large builds, long fuzzing, many kills
	@scripts/setup.sh all
	@scripts/soak.sh

.PHONY: windows
windows: ## Build for Windows and try it under wine (Debian 12, root; sets itself up in target/windows)
	@scripts/windows.sh

.PHONY: fuzz
fuzz: ## Fuzz each parser of remote input for SECONDS (default 60); needs cargo-fuzz
	@scripts/fuzz.sh $(or $(SECONDS_EACH),60)

.PHONY: advisories
advisories: ## Check dependencies against the advisory database (needs the internet)
	cargo deny check advisories
