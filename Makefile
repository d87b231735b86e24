# make setup   .venv with Terrafine and all that its tests need (needs Python 3.11 or later)
# make demo    super-resolve the shipped DEM, draw demo/out/demo.png, print the table against the truth
# make picture make demo, and keep its picture as docs/img/demo.png
# make region  a town from its outline to statistics and a picture of the map, from scenes on a STAC API of this machine
# make test    lint, types and tests; what .ci/run calls
# make test-long  the reliability tests that take minutes: a run killed at hundreds of moments
# make docs    the documentation site in build/site; DOCS_EXECUTE=true runs the notebooks too
# make wheel   build the wheel and look into it: weights, recipes, size
# make qgis    zip the QGIS plugin
# make format  let ruff rewrite the sources

SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SOURCES := .
WORKERS ?= 2

.PHONY: setup demo picture region test test-long lint types pytest docs wheel qgis format clean

setup: $(STAMP)

# The stamp is written last: an installation that was cut off is done again.
$(STAMP): pyproject.toml constraints.txt src/terrafine/version.py
	@set -e; \
	if ! $(BIN)/python -c 'import pip' 2>/dev/null; then \
	  python="$$(bash tools/find_python.sh)"; \
	  echo "setup: $$python -> $(VENV)"; \
	  rm -rf $(VENV); \
	  "$$python" -m venv $(VENV); \
	fi
	$(BIN)/python -m pip install --quiet --no-input --disable-pip-version-check -c constraints.txt -e '.[all,dev]'
	@touch $@

demo: setup
	$(BIN)/python demo/run.py

picture: demo
	cp demo/out/demo.png docs/img/demo.png

region: setup
	$(BIN)/python -m demo.region

test: lint types pytest

lint: setup
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)

types: setup
	$(BIN)/mypy --strict

# One thread for each worker: two workers that both ask for every core are slower than one.
pytest: setup
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 NUMBA_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile

test-long: setup
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 NUMBA_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(WORKERS) -m long

docs: setup
	$(BIN)/python -m pip install --quiet --no-input --disable-pip-version-check \
	  -c constraints.txt -c constraints-docs.txt -e '.[all,dev,docs]'
	NO_MKDOCS_2_WARNING=1 TERRAFINE_DEMO=$(CURDIR)/demo/data $(BIN)/python -m mkdocs build --strict

wheel: setup
	$(BIN)/python tools/check_wheel.py

qgis:
	python3 tools/package_qgis.py

format: setup
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

clean:
	rm -rf $(VENV) build demo/out .mypy_cache .ruff_cache .pytest_cache .hypothesis
