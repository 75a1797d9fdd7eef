# `make help` lists the targets. Everything runs in .venv, which is made here from dev/requirements.txt.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

ifeq ($(OS),Windows_NT)
BIN := .venv/Scripts
PYTHON ?= python
else
BIN := .venv/bin
PYTHON ?= $(firstword $(shell command -v python3.11 python3) python3.11)
endif
CLUSTER := dev/cluster/cluster.sh
SHELL_SCRIPTS = dev/cluster/*.sh dev/workflows/*.sh dev/*.sh .ci/run
# What knows no operating system: the folders that do no input or output, as the contracts in pyproject.toml have it.
PORTABLE_TESTS = tests/unit/docs tests/unit/trainer tests/unit/sluice_operator/analysis tests/unit/sluice_operator/api \
  tests/unit/sluice_operator/counting tests/unit/sluice_operator/evalues tests/unit/sluice_operator/manifests \
  tests/unit/sluice_operator/records tests/unit/sluice_operator/report tests/unit/sluice_operator/rollout

.PHONY: help check check-portable coverage validate-data train validate-model deploy security scan-images release-files test promises steps simulate models site dashboards imports manifests demo faults canaries bench-server bench-peers cluster-up cluster-down cluster-status browser images lock clean

help: ## This list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

check: .venv/installed ## Lint, types and unit tests: about four minutes on two cores, on any system
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/shellcheck $(SHELL_SCRIPTS)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q --numprocesses auto tests/unit tests/simulation/test_quick.py

check-portable: .venv/installed ## What of the check knows no operating system: for macOS and Windows
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q --numprocesses auto $(PORTABLE_TESTS) tests/simulation/test_quick.py

coverage: .venv/installed ## Which lines the unit tests reach: a table, and coverage.xml for other programs
	$(BIN)/python -m pytest -q --numprocesses auto --cov --cov-report=term:skip-covered --cov-report=xml tests/unit

# The scripts of the workflows in .github/workflows, see docs/workflows.md. Their variables stay in the environment: make
# would put them into the commands as they are.
validate-data: .venv/installed ## A data set against its schema: DATA=file SCHEMA=file, or the iris data
	if [ -n "$${DATA:-}" ]; then $(BIN)/python -m sluice_trainer validate --data "$$DATA" --schema "$$SCHEMA"; \
	else $(BIN)/python -m sluice_trainer validate --sample; fi

train: .venv/installed ## Trains and registers a version at MLFLOW_TRACKING_URI; the last line is its URI. ALIAS=challenger
	$(BIN)/python -m sluice_trainer train $${ALIAS:+--alias "$$ALIAS"}

validate-model: .venv/installed ## Serves MODEL_URI (models:/iris@champion) and asks it for its hold-out
	$(BIN)/python -m dev.workflows.model_validation --model "$${MODEL_URI:-models:/iris@champion}" \
	  --min-accuracy "$${MIN_ACCURACY:-0.70}"

deploy: .venv/installed ## Applies MANIFEST, with MODEL_URI if that is set, waits for the verdict, and writes REPORT
	$(BIN)/python -m dev.workflows.deploy --timeout "$${TIMEOUT:-2h}" \
	  --manifest "$${MANIFEST:-manifests/examples/iris.yaml}" --report "$${REPORT:-report.md}" $${MODEL_URI:+--model "$$MODEL_URI"}

security: .venv/installed ## Known vulnerabilities of all pinned packages; needs the network. PIP_AUDIT_FLAGS for others to ask
	$(BIN)/pip-audit --disable-pip --progress-spinner off --requirement dev/requirements.txt \
	  --requirement dev/requirements-build.txt $${PIP_AUDIT_FLAGS:-}

scan-images: ## Known vulnerabilities of all that is in the images, or in ARCHIVES of them, by Trivy; needs the network
	dev/workflows/scan_images.sh $${ARCHIVES:-}

release-files: .venv/installed ## The files of the release TAG (v0.2.0), into dist/: chart, package, CRD, SBOMs, notes, sums
	$(BIN)/python -m dev.workflows.release "$$TAG" --output dist --helm "$${HELM:-helm}"

test: check ## All tests: the check, contract, and end to end (a cluster that did not run before is ended afterwards)
	$(MAKE) --jobs 2 --output-sync=target promises steps
	@echo "== programs and images of the cluster"
	$(CLUSTER) build
	$(CLUSTER) images
	$(MAKE) browser
	@echo "== contract tests: a real API server, a real MLflow, a real browser"
	$(BIN)/python -m pytest -v --numprocesses auto --dist loadfile tests/contract
	@echo "== end-to-end tests: the cluster"
	$(BIN)/python -m pytest -v tests/e2e

promises: .venv/installed
	$(BIN)/python -m pytest -v tests/simulation/test_promises.py

steps: .venv/installed ## 100,000 steps of everything that can happen to a rollout: about five minutes
	STATEFUL_STEPS=100000 $(BIN)/python -m pytest -v tests/unit/sluice_operator/controller/test_state_machine.py

simulate: .venv/installed ## All promises about verdicts by simulation, into docs/simulation.md: about half an hour
	$(BIN)/python -m tests.simulation

models: .venv/installed ## Which models are served, and what they answer in three dialects, into docs/models.md: about ten minutes
	$(BIN)/python -m dev.models

site: .venv/installed ## The documentation as static files that need nothing from elsewhere, into site/
	$(BIN)/python -m dev.site site

dashboards: .venv/installed ## Makes manifests/dashboards, for Grafana, out of dev/dashboards and the limits of the alerts
	$(BIN)/python -m dev.dashboards

imports: .venv/installed ## What imports what in operator and server: a table, and pictures in docs/imports-*.svg
	$(BIN)/python -m dev.imports sluice_operator --svg docs/imports-operator.svg
	$(BIN)/python -m dev.imports sluice_server --svg docs/imports-server.svg

manifests: .venv/installed ## The plain manifests and docs/chart-values.md, made from chart/; needs cluster.sh build
	$(BIN)/python -m dev.install_manifests

demo: .venv/installed ## One model promoted, a worse one rolled back, on the cluster; CHAOS=1 kills the operator meanwhile
	CHAOS=$(CHAOS) $(BIN)/python -m dev.demo

faults: .venv/installed ## All faults of the fault matrix, each in five phases of a rollout, on the cluster: about 40 minutes
	EVERY_FAULT=1 $(BIN)/python -m pytest -v -s tests/e2e/test_faults.py

canaries: .venv/installed ## Identical canaries must stay, bad ones must be found, on the cluster: about 35 minutes
	$(BIN)/python -m dev.bench.canaries

bench-server: .venv/installed ## The model server's share of a constant reply, beside mlflow models serve: about six minutes
	$(BIN)/python -m dev.bench.server

bench-peers: .venv/installed ## The same load on KServe, BentoML and MLServer, each in an environment of its own: about ten minutes
	$(BIN)/python -m dev.bench.server.peers

cluster-up: ## Starts the local cluster, or repairs it
	$(CLUSTER) up

cluster-down: ## Ends the local cluster and leaves nothing of it
	$(CLUSTER) down

cluster-status: ## What runs in the local cluster, and its addresses
	$(CLUSTER) status

browser: ## Installs the browser that the tests of the web page drive (Debian's Chromium), unless there is one
	dev/browser.sh

images: ## Makes the images whose inputs changed, and loads them into the cluster
	$(CLUSTER) images

UV_COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate
lock: .venv/installed ## Makes the lock files anew from pyproject.toml; pins that still fit stay (UPGRADE=--upgrade lifts them)
	$(UV_COMPILE) $(UPGRADE) --all-extras --group dev pyproject.toml --output-file dev/requirements.txt
	for component in operator server store trainer; do \
	  $(UV_COMPILE) --extra $$component --constraint dev/requirements.txt pyproject.toml --output-file $$component/requirements.txt; \
	done
	$(UV_COMPILE) --extra server --extra server-pyfunc --constraint dev/requirements.txt pyproject.toml \
	  --output-file server/requirements-pyfunc.txt
	sed -nE 's/^requires = \["(.*)"\]/\1/p' pyproject.toml | $(UV_COMPILE) - --output-file dev/requirements-build.txt

clean: ## Removes .venv and the caches of the tools (not the cluster's cache: see docs/cluster.md)
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/installed: dev/requirements.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "error: Python 3.11 or newer is needed; on Debian: apt-get install python3 python3-venv" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: $(PYTHON) is $$($(PYTHON) --version), 3.11 or newer is needed: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || { echo "error: $(PYTHON) cannot make virtual environments; on Debian: apt-get install python3-venv" >&2; exit 1; }
	[ -e $(BIN)/python ] || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes -r dev/requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@
