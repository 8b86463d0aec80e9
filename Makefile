# The contributor's whole command list. Each target sets up what it needs by itself and is quick when nothing changed.
PY := .venv/bin/python
.DEFAULT_GOAL := help
.PHONY: help venv demo test check format docs benchmark judges lock

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 12

venv: ## make or refresh .venv
	@tools/venv

demo: venv ## watch the chain, from sign-up to re-lock, for both makes
	@$(PY) -m bench.cli demo

test: check ## check, then every test
	@$(PY) -m pytest -n $${PYTEST_WORKERS:-2}

check: venv ## style, types, import contracts
	@.venv/bin/ruff check --quiet . && .venv/bin/ruff format --check --quiet .
	@.venv/bin/mypy && .venv/bin/mypy sgw_bench_plugin.py && .venv/bin/mypy tools/with_vcan/*.py
	@.venv/bin/lint-imports --no-logo

format: venv ## mend style where a machine can
	@.venv/bin/ruff check --fix . ; .venv/bin/ruff format .

docs: venv ## renew the tables in docs/ that are made from the code
	@$(PY) tools/reference.py

benchmark: venv ## side by side with the peer, as ratios
	@$(PY) -m benchmarks

judges: venv ## only what foreign stacks and published vectors decide
	@$(PY) -m pytest -m judge

lock: venv ## renew requirements.lock from pyproject.toml
	@$(PY) tools/relock.py
