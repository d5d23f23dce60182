# Everything that CI does is a target here, and CI calls only these: green locally is green there.
# Needs python3 >= 3.11, Rust >= 1.88, a C linker, and for the tests' real clients and readers
# Go >= 1.25, Node >= 20, Java >= 17, Maven and Chromium.

PYTHON ?= python3
VENV ?= .venv
PYTEST_ARGS ?=
export CARGO_TARGET_DIR ?= $(CURDIR)/target

BIN := $(VENV)/bin
# Stamps lie inside of the environment: they go when it goes.
ENVIRONMENT := $(VENV)/.environment.stamp
NATIVE := $(VENV)/.native.stamp
TRAINED := $(VENV)/.trained.stamp
HOST := $(shell rustc -vV 2>/dev/null | sed -n 's/^host: //p')
PROFILE := $(CARGO_TARGET_DIR)/profile/merged.profdata
RUST_SOURCES := $(shell find rust -name target -prune -o \( -name '*.rs' -o -name '*.toml' -o -name '*.proto' \) -print)
# maturin and PyO3 must see this environment, whichever one the caller is in.
export VIRTUAL_ENV := $(abspath $(VENV))
export PYO3_PYTHON := $(abspath $(BIN))/python

.DEFAULT_GOAL := help
.PHONY: help dev demo run test check lint-python lint-rust test-rust fuzz fuzz-short fuzz-long \
	bench bench-server soak overload prove-kill prove-power prove-log prove-outage prove-bucket \
	prove-convert prove-catalog simulate stores catalogs hostile wheels lambda lambda-zips worker \
	test-wheel try-wheels release-check five-minutes components docs docs-site docs-serve docs-check format clean

help: ## Show this list.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(ENVIRONMENT): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "python 3.11 or newer is needed; set PYTHON to one" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --group build --group test --group check --group bench --group docs
	@touch $@

# A recipe that fails leaves no half-written page or stamp behind.
.DELETE_ON_ERROR:

$(NATIVE): $(ENVIRONMENT) Cargo.toml Cargo.lock $(RUST_SOURCES)
	$(BIN)/maturin develop --release --locked
	@touch $@

# What an instrumented extension met while it read requests of all sorts. (maturin's --pgo does
# this too, but zig, by which wheels are linked, cannot link what is instrumented.) Functions are
# found by names that depend on the folder, on --target and on --zig: all builds have them alike.
$(PROFILE): $(ENVIRONMENT) Cargo.toml Cargo.lock $(RUST_SOURCES) benchmarks/training.py
	rustup component add llvm-tools
	rm -rf $(@D)
	RUSTFLAGS='-Cprofile-generate=$(@D)' $(BIN)/maturin build --release --locked \
		--target $(HOST) --out $(@D)
	$(BIN)/python -m pip install --quiet --no-deps --target $(@D)/site $(@D)/*.whl
	PYTHONPATH=$(@D)/site $(BIN)/python -m benchmarks.training
	"$$(rustc --print sysroot)/lib/rustlib/$(HOST)/bin/llvm-profdata" merge -o $@ $(@D)/*.profraw

# The extension as it is in wheels.
$(TRAINED): $(NATIVE) $(PROFILE)
	RUSTFLAGS='-Cprofile-use=$(PROFILE)' $(BIN)/maturin develop --release --locked --target $(HOST)
	@touch $@

dev: $(NATIVE) ## Make the environment and build the extension into it (release build).

demo: dev ## Start the server, send it real telemetry of the SDK, show the rows in the files.
	$(BIN)/python -m demo

run: dev ## Start the server: OTLP/HTTP on 127.0.0.1:4318, files in ./data.
	$(BIN)/otlp2parquet

# What a file begins, it ends: files are tried beside each other, in no order.
TESTS_BESIDE ?= 2
BESIDE := -n $(TESTS_BESIDE) --dist loadfile --no-loadscope-reorder

test: check components ## All checks, then all tests, in TESTS_BESIDE processes.
	$(BIN)/python -m pytest $(BESIDE) $(PYTEST_ARGS)

check: lint-python lint-rust test-rust docs-site ## Format, lint, types and the Rust core's own tests.

lint-python: dev
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	MYPYPATH=python $(BIN)/python -m mypy.stubtest otlp2parquet._native --mypy-config-file pyproject.toml

lint-rust: $(ENVIRONMENT)
	cargo fmt --all --check
	cargo fmt --manifest-path rust/fuzz/Cargo.toml --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

test-rust: $(ENVIRONMENT)
	cargo test --locked -p otlp2parquet-core

# As cargo-fuzz builds them, without a sanitizer: the core has no unsafe code to look for, and
# this way a stable compiler will do. With --target, build scripts are built as usual.
FUZZ_SECS ?= 3600
FUZZ_TARGETS ?= protobuf json after_garbage inflate cost
FUZZ_FLAGS := --cfg fuzzing -Cdebug-assertions -Ccodegen-units=1 -Cpasses=sancov-module \
	$(addprefix -Cllvm-args=-sanitizer-coverage-,level=4 inline-8bit-counters pc-table trace-compares)
FUZZ_DIR := $(CARGO_TARGET_DIR)/fuzz

fuzz: $(ENVIRONMENT) ## Feed the core what nobody meant as OTLP, for FUZZ_SECS seconds in all.
	RUSTFLAGS='$(FUZZ_FLAGS)' CARGO_TARGET_DIR=$(FUZZ_DIR) cargo build --release --locked \
		--manifest-path rust/fuzz/Cargo.toml --target $(HOST) $(addprefix --bin ,$(FUZZ_TARGETS))
	$(BIN)/python -m tests.support.fuzz_seeds $(FUZZ_DIR)/seeds
	@set -eu; for target in $(FUZZ_TARGETS); do \
		mkdir -p "$(FUZZ_DIR)/corpus/$$target" "$(FUZZ_DIR)/crashes"; \
		echo "$$target: $$(($(FUZZ_SECS) / $(words $(FUZZ_TARGETS)))) s"; \
		log="$(FUZZ_DIR)/$$target.log"; \
		"$(FUZZ_DIR)/$(HOST)/release/$$target" "$(FUZZ_DIR)/corpus/$$target" \
			"$(FUZZ_DIR)/seeds/$$target" -dict="$(FUZZ_DIR)/seeds/words.dict" \
			-artifact_prefix="$(FUZZ_DIR)/crashes/$$target-" -max_len=16384 -timeout=10 \
			-rss_limit_mb=2048 -print_final_stats=1 -verbosity=0 \
			-max_total_time=$$(($(FUZZ_SECS) / $(words $(FUZZ_TARGETS)))) 2>"$$log" \
			|| { tail -50 "$$log" >&2; exit 1; }; \
		grep '^stat::' "$$log"; \
	done

fuzz-short: ## The same for a few seconds: what CI runs.
	$(MAKE) fuzz FUZZ_SECS=35

fuzz-long: dev ## A million random messages of each format against the oracles (an hour and more).
	$(BIN)/python -m tests.proofs.equivalence
	$(BIN)/python -m tests.proofs.page

format: $(ENVIRONMENT) ## Format Python and Rust.
	$(BIN)/ruff format
	$(BIN)/ruff check --fix
	cargo fmt --all

components: dev ## Build the real programs that the tests talk to (once, into a cache folder).
	$(BIN)/python -m tests.components

prove-kill: dev ## kill -9 under load, TESTS_KILLS times (1,000; about half an hour).
	$(BIN)/python -m pytest tests/proofs/test_kill.py --full -q -o faulthandler_timeout=0

prove-power: dev ## Power cuts, TESTS_CUTS of them (200; some minutes).
	$(BIN)/python -m pytest tests/proofs/test_power.py --full -q -o faulthandler_timeout=0

prove-outage: dev ## Storage down under load, TESTS_OUTAGE_SECS long (600), then flapping.
	$(BIN)/python -m pytest tests/proofs/test_outage.py --full -q -o faulthandler_timeout=0

prove-bucket: components ## The same over S3: kills between upload and note, a bucket that is away.
	$(BIN)/python -m pytest tests/proofs/test_bucket.py --full -q -o faulthandler_timeout=0

prove-convert: components ## 2 GB converted into a bucket, also through kill -9, memory beside a folder's.
	$(BIN)/python -m pytest tests/proofs/test_convert.py --full -q -o faulthandler_timeout=0

prove-catalog: components ## Storms, an outage and kills between a bucket and its tables (about an hour).
	$(BIN)/python -m tests.components catalogs
	$(BIN)/python -m pytest tests/proofs/test_catalog.py --full -q -o faulthandler_timeout=0

prove-log: dev ## Every byte of a segment cut and flipped, every call of the log failing.
	$(BIN)/python -m pytest tests/batches/log tests/batches/test_replay.py --full -q

SIM_LIVES ?= 100000

simulate: dev ## SIM_LIVES lives of the batch layer under a scripted clock, scheduler, disk and store.
	TESTS_LIVES=$(SIM_LIVES) $(BIN)/python -m pytest tests/simulation --full -q \
		-o faulthandler_timeout=0 -k hold

stores: components ## The promises of a store on every server and emulator, also slow ones.
	$(BIN)/python -m tests.components stores
	$(BIN)/python -m pytest tests/stores --stores -q

catalogs: components ## Commits to real and emulated catalogs, and docs/catalog_matrix.md (PostgreSQL is yours).
	$(BIN)/python -m tests.components catalogs
	$(BIN)/python -m pytest tests/catalogs --catalogs -q
	$(BIN)/python -m tests.catalogs.matrix

hostile: dev ## Try every hostile input, and write docs/hostile_{inputs,grpc}.md (some minutes; Linux).
	TESTS_HOSTILE=long $(BIN)/python -m pytest -q tests/hostile
	$(BIN)/python -m tests.hostile
	$(BIN)/python -m tests.hostile.grpc_page

bench: $(TRAINED) ## Measure, and write docs/benchmarks.md (some minutes on a quiet machine).
	$(BIN)/python -m pytest benchmarks -q --benchmark-disable
	$(BIN)/python -m benchmarks.report

# These need wrk, and two cores of which nobody else wants any.
bench-server: $(TRAINED) ## Measure the server beside others, and write docs/server_figures.md.
	$(BIN)/python -m benchmarks.server_figures
	$(BIN)/python -m benchmarks.server_report

SOAK_SECS ?= 600
RUSH_SECS ?= 120
OVERLOAD_SECS ?= 1200

soak: components ## Real clients, then full speed, then a stop under load: rows against answers.
	$(BIN)/python -m tests.proofs.soak --mixed-secs $(SOAK_SECS) --rush-secs $(RUSH_SECS)
	$(BIN)/python -m benchmarks.server_report

overload: dev ## More than a slow disk takes: memory, refusals, rows against answers, recovery.
	$(BIN)/python -m tests.proofs.overload --secs $(OVERLOAD_SECS)
	$(BIN)/python -m benchmarks.server_report

docs: dev ## Write the generated pages again, and the drawing of the layers in DESIGN.md.
	$(BIN)/python -m tests.support.layers
	$(BIN)/python -m tests.support.pypi_readme > python/README.md
	$(BIN)/python -m otlp2parquet.config.show > docs/settings.md
	$(BIN)/python -m otlp2parquet.config.example > deploy/config.toml
	$(BIN)/python -m benchmarks.sizing --page
	$(BIN)/python -m benchmarks.five_minutes --page
	$(BIN)/python -m otlp2parquet.cli.reference schema > docs/schema.md
	$(BIN)/python -m otlp2parquet.cli.reference cli > docs/cli.md
	$(BIN)/python -m tests.support.answer_matrix > docs/otlp_http.md
	$(BIN)/python -m tests.support.capture_forms > docs/captures.md

# Nothing of the site may come from elsewhere when somebody reads it.
docs-site: $(ENVIRONMENT) ## Build the documents as a site (target/site), strictly, and look for misspelt words.
	$(BIN)/codespell
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --site-dir $(CARGO_TARGET_DIR)/site
	! grep -rlE '<(script|link|img)[^>]*(src|href)="?https?://' $(CARGO_TARGET_DIR)/site --include='*.html'

docs-serve: $(ENVIRONMENT) ## Read the site on 127.0.0.1:8000 while its pages are written.
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve

docs-check: components docs-site ## The documents alone: site, words, every statement, command and program.
	$(BIN)/python -m pytest tests/docs tests/query/test_query_page.py tests/clients/test_readers.py -q

# Which platforms, and what of them can be made where, says tests/support/wheels.py.
WHEEL_TOOLS := 'ziglang==0.17.1' 'cargo-zigbuild==0.24.0' 'auditwheel>=6,<7' 'abi3audit>=0.0.26,<0.1' \
	'lief>=1,<2'

wheels: $(PROFILE) ## Make the sdist and the abi3 wheels for Linux, and audit them.
	rm -rf dist
	$(BIN)/python -m pip install --quiet $(WHEEL_TOOLS)
	$(BIN)/maturin sdist --out dist
	$(BIN)/python -m tests.support.wheels dist $(PROFILE)

# The artifact, not the checkout: no package sources, no cargo, no rustc, another folder.
test-wheel: ## All tests on the wheel in dist/, in a fresh environment outside of the checkout.
	@set -eu; folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; unset VIRTUAL_ENV; \
	$(PYTHON) -m venv "$$folder/venv"; \
	"$$folder/venv/bin/python" -m pip install --quiet --upgrade 'pip>=25.1'; \
	"$$folder/venv/bin/python" -m pip install --quiet --group test \
		dist/otlp2parquet-*-manylinux_2_28_$$(uname -m).whl; \
	cp -R Cargo.lock Cargo.toml LICENSE Makefile *.md pyproject.toml benchmarks demo deploy docs tests "$$folder"; \
	mkdir "$$folder/python"; cp python/README.md "$$folder/python"; \
	PATH=$$(echo "$$PATH" | tr ':' '\n' | while read -r entry; do \
		test -e "$$entry/cargo" || test -e "$$entry/rustc" || printf '%s:' "$$entry"; done); \
	if command -v cargo || command -v rustc; then echo "Rust is still on PATH" >&2; exit 1; fi; \
	cd "$$folder"; "$$folder/venv/bin/python" -m pytest $(BESIDE) $(PYTEST_ARGS)

# TRY names some of them: TRY=manylinux_2_28_aarch64. apt's packages are unpacked, not installed.
try-wheels: dev ## Install and run the wheels in dist/ of other platforms, where a Python of theirs can be had.
	$(BIN)/python -m pip install --quiet $(WHEEL_TOOLS)
	$(BIN)/python -m tests.support.try_wheels dist $(TRY)

# RELEASE=1 wants the version in the change log, with its day.
release-check: dev ## Look at the sources and at dist/ (made if empty); install the sdist (minutes).
	test -n "$(wildcard dist/otlp2parquet-*.whl)" || $(MAKE) wheels
	$(BIN)/python -m tests.support.release_check dist $(if $(RELEASE),--release)
	@set -eu; folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; unset VIRTUAL_ENV PYO3_PYTHON; \
	$(PYTHON) -m venv "$$folder/venv"; \
	"$$folder/venv/bin/python" -m pip install --quiet --upgrade 'pip>=25.1'; \
	"$$folder/venv/bin/python" -m pip install --quiet dist/otlp2parquet-*.tar.gz; \
	cd "$$folder"; venv/bin/otlp2parquet --version

# The package's own wheel for each processor, if `make wheels` could make it; all else by pip.
LAMBDA_ARCHS = $(if $(wildcard dist/otlp2parquet-*-manylinux_*x86_64.whl),--arch x86_64) \
	$(if $(wildcard dist/otlp2parquet-*-manylinux_*aarch64.whl),--arch arm64)

lambda: dev ## Make the zips for AWS Lambda, test them under AWS's runtime, write their figures.
	test -n "$(wildcard dist/otlp2parquet-*.whl)" || $(MAKE) wheels
	$(MAKE) lambda-zips

lambda-zips: dev
	$(BIN)/otlp2parquet deploy aws --package --force --wheels dist --output dist/lambda $(LAMBDA_ARCHS)
	$(BIN)/python -m pytest tests/deploy tests/platforms/aws_lambda --lambda dist/lambda -q
	$(BIN)/python -m benchmarks.lambda_figures dist/lambda

five-minutes: $(ENVIRONMENT) ## Walk a new user's first five minutes with a wheel, and write docs/five_minutes.md.
	test -n "$(wildcard dist/otlp2parquet-*.whl)" || $(MAKE) wheels
	$(BIN)/python -m benchmarks.five_minutes dist/otlp2parquet-*-manylinux_2_28_$$(uname -m).whl

worker: components ## Make the Worker for Cloudflare, test it, write its figures (docs/worker_figures.md).
	rm -rf dist/worker
	$(BIN)/otlp2parquet deploy cloudflare --output dist/worker
	$(BIN)/python -m pytest tests/deploy tests/platforms/cloudflare_worker --worker -q
	$(BIN)/python -m benchmarks.worker_commits
	$(BIN)/python -m benchmarks.worker_figures dist/worker

clean: ## Remove what was built here (never ./data, nor the cache of components).
	rm -rf $(VENV) dist build target .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
	find python tests benchmarks demo -name __pycache__ -type d -prune -exec rm -rf {} +
	rm -f python/otlp2parquet/_native*.so
