# patchmgr: `make run` serves it with a demo fleet, `make test` checks everything.

PORT ?= 8080
HOST ?= 127.0.0.1
BENCH_HOSTS ?= 1000 10000 $(if $(BENCH_LARGE),100000)
BENCH_DATABASES ?= sqlite,postgresql
PEERS ?= var/peers
PEER_HOSTS ?= 5
SOAK_SECONDS ?= 60
SOAK_HOSTS ?= 2000
SOAK_LIMIT ?= 900
SOAK_EXAMPLES ?= 200
SOAK_KILLS ?= 12
MODULES ?=

VENV := .venv
BIN := $(VENV)/bin
COMPILE := --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --quiet
UV ?= $(firstword $(wildcard $(BIN)/uv) uv)

.PHONY: help run test check bench bench-pages bench-growth bench-peers bench-reports bench-versions mutation soak screenshots lock clean
.DEFAULT_GOAL := help

help: ## say what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' Makefile

run: $(VENV)/.run ## install, load the demo on the first start, serve (PORT=8080, HOST=127.0.0.1)
	@PORT=$(PORT) HOST=$(HOST) sh .ci/serve

test: $(VENV)/.test ## check, then every test, in parallel
	@sh .ci/chromium
	@sh .ci/rpm
	@$(MAKE) --no-print-directory check
	$(BIN)/python -m pytest -n 2

check: $(VENV)/.test ## style, types, import contracts, migrations equal to models
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@sh .ci/migrations

bench: $(VENV)/.test ## measure everything that has a budget, into bench.json too (BENCH_LARGE=1: 100,000 hosts too)
	@over=0; rm -f bench.json; \
	$(BIN)/python tests/bench/run.py $(BENCH_HOSTS) --databases $(BENCH_DATABASES) --json bench.json || over=1; \
	$(BIN)/python tests/bench/sweep.py --databases $(BENCH_DATABASES) --json bench.json || over=1; \
	$(BIN)/python tests/bench/reports.py 10 --json bench.json || over=1; \
	$(BIN)/python tests/bench/rollouts.py --json bench.json || over=1; \
	$(BIN)/python tests/bench/viewers.py --json bench.json || over=1; \
	$(BIN)/python tests/bench/start.py --json bench.json || over=1; \
	exit $$over

bench-pages: $(VENV)/.test ## ask for every page and API listing at 10,000 hosts, with every filter and order: CPU, statements, whole reads
	$(BIN)/python tests/bench/sweep.py --databases $(BENCH_DATABASES)

bench-growth: $(VENV)/.test ## draw how the cost grows into docs/growth.svg
	$(BIN)/python tests/bench/growth.py docs/growth.svg

bench-peers: $(VENV)/.test ## give a few hosts to patchman and debsecan too; CPU of a host beside ours, and whether the answers agree
	$(BIN)/python tests/bench/peers.py $(PEERS) --hosts $(PEER_HOSTS) --json bench-peers.json

bench-reports: $(VENV)/.test ## measure host reports a second through the served console
	$(BIN)/python tests/bench/reports.py 10

bench-versions: $(VENV)/.test ## measure the keys of the version schemes beside the usual libraries
	$(BIN)/python -m pip --disable-pip-version-check install --quiet --no-build-isolation -e '.[bench]'
	$(BIN)/python tests/bench/versions.py

mutation: $(VENV)/.test ## change the matcher place by place, each time a test must fail (MODULES="rpm matching")
	$(BIN)/python -m pip --disable-pip-version-check install --quiet --no-build-isolation -e '.[mutation]'
	$(BIN)/python tests/bench/mutation.py $(MODULES)

soak: $(VENV)/.test ## load a served demo (SOAK_SECONDS=60); then a rollout while the service is killed (SOAK_HOSTS=2000); then the stored engine dying at random statements (SOAK_EXAMPLES=200); then each command killed anywhere (SOAK_KILLS=12)
	$(BIN)/python tests/bench/soak.py $(SOAK_SECONDS)
	$(BIN)/python tests/bench/rollout_soak.py $(SOAK_HOSTS) $(SOAK_LIMIT)
	ROLLOUT_EXAMPLES=$(SOAK_EXAMPLES) $(BIN)/python -m pytest -q tests/services/test_rollout_machine.py
	$(BIN)/python tests/bench/crashes.py $(SOAK_KILLS)

screenshots: $(VENV)/.test ## every page in light, dark and 390 px, into screenshots/
	@sh .ci/chromium
	$(BIN)/python tests/bench/screenshots.py screenshots

lock: ## renew the locked requirements
	printf 'hatchling>=1.27\n' | $(UV) pip compile $(COMPILE) pyproject.toml - -o requirements.txt
	$(UV) pip compile $(COMPILE) --extra test -c requirements.txt pyproject.toml -o requirements-test.txt

clean: ## remove the environment and caches; data in var/ stays
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis build dist screenshots
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.run: requirements.txt pyproject.toml .ci/environment
	@sh .ci/environment $(VENV) requirements.txt
	@touch $@

$(VENV)/.test: requirements-test.txt pyproject.toml .ci/environment
	@sh .ci/environment $(VENV) requirements-test.txt
	@touch $@
