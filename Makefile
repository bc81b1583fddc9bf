# Everything a contributor runs. `make test` in a fresh clone needs Python 3.11 or later, git and make.
#
#   make test [PYTHON=python3.12] [VENV=.venv] [ARGS="-k journal"]    install what is needed, run the tests
#   make chat [MODEL=provider:name] [ARGS="--agents desk.py:agent"]    talk to an agent; without a key, on the embedded model
#   make check        the whole gate: format, lint, types, layers, tests, coverage
#   make test-base    the tests with no extra installed
#   make proof        the long proofs, with printed seeds
#   make bench        the benchmarks
#   make system       Debian packages that some tests need
#   make format       rewrite the code as the gate wants it
#   make clean        delete the environments and what tools left behind

PYTHON ?=
VENV   ?= .venv
JOBS   ?= 2
ARGS   ?=
MODEL  ?=

RUN     = $(VENV)/bin/python -m
AIMOCK  = @copilotkit/aimock@1.43.0
SYSTEM  = chromium chromium-driver prometheus
EXACT   = src/surefoot/core/*,src/surefoot/engine/*,src/surefoot/journal/*,src/surefoot/approvals/*,src/surefoot/recovery/*

.DELETE_ON_ERROR:
.PHONY: test chat check gate lint types layers cover test-base proof bench system format clean venv aimock phoenix weights

test: venv aimock weights
	$(RUN) pytest -n $(JOBS) $(ARGS)

# Only what the conversation needs is installed, in an environment of its own.
chat:
	@.ci/chat "$(MODEL)" "$(PYTHON)" $(ARGS)

check: gate weights
	@rm -f .coverage .coverage.*
	$(RUN) pytest -n $(JOBS) --cov --cov-report= $(ARGS)
	@$(MAKE) --no-print-directory cover

# The part of the gate that runs no test.
gate: venv lint types layers

lint: venv
	$(RUN) ruff format --check
	$(RUN) ruff check

types: venv
	$(RUN) mypy
	@test ! -d tests/typing || $(RUN) pyright --pythonpath $(VENV)/bin/python

layers: venv
	$(VENV)/bin/lint-imports

cover:
	@status=0; \
	echo "core, engine, journal, approvals, recovery: every branch"; \
	$(RUN) coverage report --include="$(EXACT)" --fail-under=100 || status=1; \
	echo "everything else: 95 %"; \
	$(RUN) coverage report --omit="$(EXACT)" --fail-under=95 || status=1; \
	exit $$status

test-base:
	@.ci/venv .venv-base test "$(PYTHON)"
	SUREFOOT_REQUIRE= .venv-base/bin/python -m pytest -n $(JOBS) $(ARGS)

proof: venv
	$(RUN) pytest tests/crash --proof --timeout=0 -rA $(ARGS)

bench: venv
	$(RUN) bench $(ARGS)

format: venv
	$(RUN) ruff check --fix
	$(RUN) ruff format

venv:
	@.ci/venv "$(VENV)" all,dev "$(PYTHON)"

# A server that answers model protocols from fixtures, for the adapters' tests. Without it they are not run.
aimock: venv
	@test -e "$(VENV)/aimock/node_modules/@copilotkit" || \
	PATH="$(abspath $(VENV))/bin:$$PATH" npm install --silent --no-audit --no-fund --ignore-scripts \
		--prefix "$(VENV)/aimock" --cache "$(VENV)/aimock/cache" $(AIMOCK) >"$(VENV)/aimock.log" 2>&1 || \
	echo "aimock could not be installed ($(VENV)/aimock.log says why); the tests that need it are not run"

# A receiver of traces that nobody here wrote, in an environment of its own: it is large. `make test` uses it where it is.
phoenix: venv
	@test -x "$(VENV)/phoenix/bin/phoenix" || \
	{ $(RUN) venv "$(VENV)/phoenix" && "$(VENV)/phoenix/bin/python" -m pip install -q arize-phoenix; }

# The embedded model's weights, in this user's data folder. Without them the tests that talk to it are not run.
weights: venv
	@$(RUN) surefoot models path >/dev/null 2>&1 || $(RUN) surefoot models install >/dev/null || \
	echo "the embedded model could not be installed; the tests that need it are not run"

system:
	@.ci/system $(SYSTEM)

clean:
	rm -rf .venv .venv-* .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis htmlcov build dist
	rm -f .coverage .coverage.*
	find src tests docs -name __pycache__ -type d -prune -exec rm -rf {} +
