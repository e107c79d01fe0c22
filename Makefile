# What a person runs, and what CI runs: the same targets. `make` alone lists them.

VENV := .venv
BIN := $(VENV)/bin
# program=package[,package...]: what is installed by apt when the program is missing.
MONITORING := "prometheus=prometheus" "promtool=prometheus" \
	"prometheus-alertmanager|alertmanager=prometheus-alertmanager" "amtool=prometheus-alertmanager"
TESTING := $(MONITORING) "gcc=gcc,libc6-dev" "systemd-analyze=systemd" \
	"pgrep=procps" "shellcheck=shellcheck" "openssl=openssl" \
	"vmauth=victoria-metrics" "nginx=nginx-light" \
	"kubectl=kubernetes-client" \
	"slurmctld=slurmctld" "slurmd=slurmd" "sbatch=slurm-client" "munged=munge" \
	"slurmdbd=slurmdbd" "mariadbd=mariadb-server-core"
# Programs are looked up on PATH: `make test-current` puts newer ones in front. Debian's users have no sbin on theirs,
# where nginx and Slurm's daemons are.
export PATH := $(CURDIR)/$(BIN):$(PATH):/usr/sbin:/sbin

.DEFAULT_GOAL := help
.PHONY: help run test test-current lint check-types test-python fuzz docs dashboards kubernetes dist audit tools clean

help: ## list the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

run: $(VENV)/run.stamp ## start the whole stack here; Ctrl-C stops it (RUN_FOR=60: after 60 s; HISTORY=0: without a past)
	@scripts/install-packages.sh $(MONITORING)
	@exec python -m scripts.stack $(if $(RUN_FOR),--run-for=$(RUN_FOR)) $(if $(SOURCE),--source=$(SOURCE)) \
		$(if $(HISTORY),--history=$(HISTORY))

test: tools lint check-types test-python ## everything that CI checks

tools: $(VENV)/test.stamp ## install what the tests need
	@scripts/install-packages.sh $(TESTING)

lint: $(VENV)/test.stamp ## style of Python, shell and YAML; direction of imports; generated files up to date
	ruff check .
	ruff format --check .
	lint-imports
	shellcheck scripts/*.sh systemd/*.sh systemd/gputally systemd/slurm/*.sh systemd/tests/*.sh .ci/run
	yamllint --strict -c .ci/yamllint.yml .
	check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml
	python -m grafana.build --check
	python -m k8s.build --check

check-types: $(VENV)/test.stamp
	mypy

test-python: $(VENV)/test.stamp
	pytest -n auto

test-current: tools ## the tests again with the newest Prometheus, Alertmanager, VictoriaMetrics and Slurm that Debian has
	@scripts/current-tools.sh
	PATH="$(CURDIR)/.tools/current/usr/bin:$$PATH" pytest -n auto

fuzz: $(VENV)/fuzz.stamp ## feed every parser of ours for a minute each (FUZZ_FOR=600: seconds; FUZZ="bill jobs": only these)
	PYTHONPATH=exporter:. python -m tests.fuzz --seconds=$(or $(FUZZ_FOR),60) $(FUZZ)

docs: $(VENV)/test.stamp ## write docs/metrics.md and docs/reliability.md anew
	python -m gputally.catalogue docs/metrics.md
	python -m scripts.reliability

dashboards: $(VENV)/test.stamp ## write grafana/dashboards/ anew, and what Kubernetes reads of them
	python -m grafana.build
	python -m k8s.build

kubernetes: $(VENV)/test.stamp ## write what Kubernetes reads of rules and dashboards
	python -m k8s.build

dist: $(VENV)/test.stamp ## build sdist, wheel, SBOM and checksums into dist/ (TAG=v1.2.3: as a release of it)
	@scripts/dist.sh $(TAG)

audit: $(VENV)/test.stamp ## ask a database about weaknesses of what is installed along; needs the network
	@scripts/audit.sh

clean: ## remove what these targets made; data in .run/ too
	rm -rf $(VENV) .run .fuzz .tools build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# Stamps inside the environment: removed with it, renewed when the requirements change.
$(VENV)/run.stamp: pyproject.toml
	@scripts/make-venv.sh
	@touch $@

$(VENV)/test.stamp: pyproject.toml
	@scripts/make-venv.sh dev
	@touch $@ $(VENV)/run.stamp

$(VENV)/fuzz.stamp: pyproject.toml
	@scripts/make-venv.sh dev,fuzz
	@touch $@ $(VENV)/test.stamp $(VENV)/run.stamp
