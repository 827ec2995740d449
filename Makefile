# `make demo` and `make test` do all the set-up on a Debian 12 with python3.11 and make; `make help` lists the rest.

# Debian's own interpreter where it is there, whatever else comes first in PATH: it is what is tested, and the fastest.
PYTHON := $(or $(wildcard /usr/bin/python3.11),python3.11)
VENV := .venv
LOCKED := $(VENV)/.locked$(subst /,-,$(PYTHON))
UV := .uv/bin/uv
UV_VERSION := 0.13.9
RUN := $(VENV)/bin/
export UV_PYTHON_DOWNLOADS := never
export UV_PROJECT_ENVIRONMENT := $(VENV)

.PHONY: help demo test setup check unit coverage fuzz bench bench-costs clean packages-demo packages-test packages-bench
.DEFAULT_GOAL := help
.NOTPARALLEL:

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: setup ## a throw-away province, five messages through the real gateway, then it stays up for your mail client
	@$(RUN)gateway demo

test: packages-test setup check ## style, types, layers, and every test with real peers
	$(RUN)pytest -n 2 --dist loadfile -q

setup: packages-demo $(LOCKED) ## the Python environment from the lock file
	@$(RUN)python -m compileall -q gateway $(VENV)/lib  # the gateway's user cannot: each command would do it anew

check: setup ## style, types and layers only
	$(RUN)ruff check .
	$(RUN)ruff format --check .
	$(RUN)mypy
	$(RUN)lint-imports

unit: setup ## the tests that need no peers
	$(RUN)pytest -q tests/unit tests/property tests/policies tests/architecture

coverage: packages-test setup ## the same tests, and which lines and branches they reach
	$(RUN)pytest -n 2 --dist loadfile --cov --cov-report=term:skip-covered -q

fuzz: packages-test setup ## an hour of fuzzing, and property tests with a hundred times the examples, new ones each time
	GATEWAY_FUZZ_SECONDS=3000 GATEWAY_FUZZ_SEED=0 GATEWAY_EXAMPLES=100 $(RUN)pytest -q tests/fuzz tests/property
	GATEWAY_EXAMPLES=100 $(RUN)pytest -q -m hypothesis tests/unit

bench: packages-bench setup ## what mail costs, beside others, into docs/benchmarks.md (QUICK=1: minutes; ROWS="...": prints some rows)
	PYTHONPATH=tests $(RUN)python -m bench $(if $(ROWS),$(ROWS),--write docs/benchmarks.md) $(if $(QUICK),--quick) $(if $(NOTE),--note "$(NOTE)")

bench-costs: packages-test setup ## measure anew what tests/bench/test_cost.py holds a message against
	PYTHONPATH=tests $(RUN)python -m bench.costs

clean: ## remove the environment and what tools left behind
	rm -rf $(VENV) .uv .coverage* .hypothesis .pytest_cache .mypy_cache .ruff_cache .import_linter_cache dist

packages-demo packages-test packages-bench: packages-%:
	@PYTHON=$(PYTHON) .ci/packages $*

$(LOCKED): uv.lock pyproject.toml $(UV)
	@test -e $@ || rm -rf $(VENV)  # of another interpreter, or never finished
	$(UV) sync --frozen --quiet --python $(PYTHON)
	@touch $@

$(UV):
	@$(PYTHON) -m venv .uv
	@.uv/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
