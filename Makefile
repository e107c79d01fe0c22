# What a person runs, and what CI runs: the same targets. `make` alone lists them.

VENV := .venv
BIN := $(VENV)/bin
# program=package[,package...]: what is installed by apt when the program is missing.
MONITORING := "prometheus=prometheus" "promtool=prometheus" \
	"prometheus-alertmanager|alertmanager=prometheus-alertmanager" "amtool=prometheus-alertmanager"
TESTING := $(MONITORING) "gcc=gcc,libc6-dev" "systemd-analyze=systemd" \
	"pgrep=procps" "shellcheck=shellcheck" \
	"slurmctld=slurmctld" "slurmd=slurmd" "sbatch=slurm-client" "munged=munge"
# Programs are looked up on PATH: `make test-current` puts newer ones in front.
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help run test test-current lint check-types test-python docs dashboards tools clean

help: ## list the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

run: $(VENV)/run.stamp ## start the whole stack here; Ctrl-C stops it (RUN_FOR=60: by itself after 60 s)
	@scripts/install-packages.sh $(MONITORING)
	@exec python -m scripts.stack $(if $(RUN_FOR),--run-for=$(RUN_FOR)) $(if $(SOURCE),--source=$(SOURCE))

test: tools lint check-types test-python ## everything that CI checks

tools: $(VENV)/test.stamp ## install what the tests need
	@scripts/install-packages.sh $(TESTING)

lint: $(VENV)/test.stamp ## style of Python, shell and YAML; direction of imports; generated files up to date
	ruff check .
	ruff format --check .
	lint-imports
	shellcheck scripts/*.sh systemd/*.sh systemd/gputally systemd/slurm/*.sh .ci/run
	yamllint --strict -c .ci/yamllint.yml .
	python -m grafana.build --check

check-types: $(VENV)/test.stamp
	mypy

test-python: $(VENV)/test.stamp
	pytest

test-current: tools ## the tests again with the newest Prometheus, Alertmanager and Slurm that Debian has
	@scripts/current-tools.sh
	PATH="$(CURDIR)/.tools/current/usr/bin:$$PATH" pytest

docs: $(VENV)/test.stamp ## write docs/metrics.md anew
	python -m gputally.catalogue docs/metrics.md

dashboards: $(VENV)/test.stamp ## write grafana/dashboards/ anew
	python -m grafana.build

clean: ## remove what these targets made; data in .run/ too
	rm -rf $(VENV) .run .tools .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# Stamps inside the environment: removed with it, renewed when the requirements change.
$(VENV)/run.stamp: pyproject.toml
	@scripts/make-venv.sh
	@touch $@

$(VENV)/test.stamp: pyproject.toml
	@scripts/make-venv.sh dev
	@touch $@ $(VENV)/run.stamp
