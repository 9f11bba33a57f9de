# What a person or a machine does with this project. `make` lists it.
#
# Needs python3 (3.11 to 3.13) and nothing else: the targets make their own virtual
# environment, and use it whatever environment is active.

PYTHON ?= python3
VENV ?= .venv
PIP_ARGS ?=
PYTEST_ARGS ?=
# The name of this machine in docs/performance.
MACHINE ?= mine

PY := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed
DEMO_RUN := runs/demo
DEMO_MODEL := exported/demo

# An active environment must not leak in.
unexport PYTHONHOME PYTHONPATH VIRTUAL_ENV

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install constraints demo clean-demo app format lint type test test-all \
	test-faults test-browser test-gpu docs doc-links benchmark check clean

help:  ## List the targets.
	@sed -n 's/^\([a-z0-9][a-z0-9_ -]*\):[^#=]*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) \
		| awk -F '\t' '{printf "  make %-18s %s\n", $$1, $$2}'

install: $(INSTALLED)  ## Make the environment and install the package, once.

$(INSTALLED): setup.cfg setup.py constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(None if (3, 11) <= sys.version_info[:2] <= (3, 13) \
		else "error: PYTHON=$(PYTHON): expected Python 3.11 to 3.13, found " + sys.version.split()[0])'
	@echo "Installing into $(VENV): some minutes, about 4 GB."
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip --disable-pip-version-check install --quiet --use-pep517 \
		--constraint constraints.txt $(PIP_ARGS) --editable '.[dev]'
	@touch $@

constraints:  ## Re-make constraints.txt from the newest versions that setup.cfg allows.
	rm -rf build/constraints
	$(PYTHON) -m venv build/constraints
	build/constraints/bin/python -m pip install --quiet --use-pep517 $(PIP_ARGS) '.[dev,docs,hub]'
	sed -n '/^#/p' constraints.txt > build/constraints.txt
	build/constraints/bin/python -m pip freeze --exclude ram-tf >> build/constraints.txt
	mv build/constraints.txt constraints.txt
	rm -rf build/constraints

demo: $(INSTALLED)  ## Train, evaluate, export, reload and draw a RAM on real digits.
	@! test -e $(DEMO_RUN)/results.json || \
		echo "$(DEMO_RUN) is finished and used again; make clean-demo starts afresh."
	$(PY) -m ram_tf.train --flagfile=experiments/demo.cfg --run_dir=$(DEMO_RUN)
	rm -rf $(DEMO_MODEL)
	$(PY) -m ram_tf.export --run_dir=$(DEMO_RUN) --export_dir=$(DEMO_MODEL)
	$(PY) -m ram_tf.predict --model=$(DEMO_MODEL) $(DEMO_RUN)/examples.npz
	$(PY) -m ram_tf.figures --run_dir=$(DEMO_RUN) --out=$(DEMO_RUN)/demo.png
	$(PY) -m ram_tf.evaluate --run_dir=$(DEMO_RUN) --split=test
	@echo "run:    $(DEMO_RUN) (results.json, curve.csv, logs for TensorBoard)"
	@echo "model:  $(DEMO_MODEL) (SavedModel)"
	@echo "figure: $(DEMO_RUN)/demo.png"

clean-demo:  ## Remove what make demo made.
	rm -rf $(DEMO_RUN) $(DEMO_MODEL)

app: $(INSTALLED)  ## Draw a digit in the browser and watch where a model looks.
	$(PY) -m ram_tf.app --browser

format: $(INSTALLED)  ## Format the code and mend what ruff can mend.
	$(PY) -m ruff check --fix-only --quiet .
	$(PY) -m ruff format .

lint: $(INSTALLED)  ## Check style and formatting.
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

type: $(INSTALLED)  ## Check types.
	$(PY) -m mypy

test: $(INSTALLED)  ## Run the fast tests: about 12 minutes on 2 cores.
	$(PY) -m pytest $(PYTEST_ARGS)

test-all: $(INSTALLED)  ## Run every test, also those that take minutes each.
	$(PY) -m pytest -m "" $(PYTEST_ARGS)

test-faults: $(INSTALLED)  ## Kill real runs, fill disks, break files.
	$(PY) -m pytest -m faults $(PYTEST_ARGS)

test-browser: $(INSTALLED)  ## Test the report and the app in headless Chromium.
	$(PY) -m pytest -m browser $(PYTEST_ARGS)

test-gpu: $(INSTALLED)  ## Run the tests that need a GPU.
	$(PY) -m pytest -m gpu -n 0 $(PYTEST_ARGS)

docs: $(INSTALLED)  ## Build the site of the documentation in build/site.
	@$(PY) -c 'import mkdocs, mkdocstrings_handlers.python' 2>/dev/null || \
		$(PY) -m pip --disable-pip-version-check install --quiet --use-pep517 \
		--constraint constraints.txt $(PIP_ARGS) --editable '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict \
		--config-file=docs/site/mkdocs.yml
	@echo "site: build/site/index.html"

doc-links: $(INSTALLED)  ## Set the line numbers of links from the documents to code.
	$(PY) docs/site/hooks.py

benchmark: $(INSTALLED)  ## Measure speed on this machine, idle, and write docs/performance.md.
	$(PY) -m ram_tf.benchmark --suite=all --json > docs/performance/$(MACHINE).jsonl.tmp
	mv docs/performance/$(MACHINE).jsonl.tmp docs/performance/$(MACHINE).jsonl
	$(PY) -m ram_tf.benchmarks.page

check: lint type test  ## What a change must pass.

clean:  ## Remove caches and builds; runs, exports and the environment stay.
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path "./$(VENV)/*" -prune -exec rm -rf {} +

# The paper's tables: make table1 ... table5, text, mnih, best, policy, ablation, tables.
-include $(wildcard experiments/*.mk)
