# The contributor's whole command list. Each target sets up what it needs by itself and is quick when nothing changed.
PY := .venv/bin/python
.DEFAULT_GOAL := help
.PHONY: help venv demo test test-vcan check format docs benchmark benchmark-portal benchmark-vcan soak judges crash lock audit attack

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 12

venv: ## make or refresh .venv
	@tools/venv

demo: venv ## watch the chain, from sign-up to re-lock, for both makes
	@$(PY) -m bench.cli demo

test: check ## check, then every test
	@$(PY) -m pytest -n $${PYTEST_WORKERS:-2}

# Under with-vcan a test that lacks what it needs fails, and pytest fails where it finds none. Which files to read for the
# kernel's ISO-TP is found out here: in qemu it would take a minute.
test-vcan: venv ## tests on real vcan interfaces, and against the kernel's ISO-TP; in a guest kernel where this one has none
	@tools/debian-packages can-utils iproute2 tshark
	@tools/with-vcan -- $(PY) -m pytest -m vcan
	@tools/with-vcan --isotp -- $(PY) -m pytest -m kernel_isotp \
		$$($(PY) -m pytest -q --collect-only -m kernel_isotp | sed -n 's/::.*//p' | sort -u)

check: venv ## style, types, import contracts, bandit
	@.venv/bin/ruff check --quiet . && .venv/bin/ruff format --check --quiet .
	@.venv/bin/mypy && .venv/bin/mypy sgw_bench_plugin.py && .venv/bin/mypy tools/with_vcan/*.py
	@.venv/bin/lint-imports --no-logo
	@.venv/bin/bandit -q -c pyproject.toml -r $$(sed -n 's/^root_packages = //p' pyproject.toml | tr -d '[],"') sgw_bench_plugin.py

audit: venv ## ask whether a vulnerability is known of what requirements.lock pins
	@$(PY) tools/audit.py

# Everybody, all phases. ATTACK_EXAMPLES says how many requests for each operation and phase.
attack: venv ## schemathesis on the portal for some minutes
	@ATTACK_EXAMPLES=$${ATTACK_EXAMPLES:-100} $(PY) -m pytest tests/portal_sim/test_schemathesis.py -n $${PYTEST_WORKERS:-2}

format: venv ## mend style where a machine can
	@.venv/bin/ruff check --fix . ; .venv/bin/ruff format .

docs: venv ## renew the tables in docs/ that are made from the code
	@$(PY) tools/reference.py

benchmark: venv ## side by side with the peer, as ratios
	@$(PY) -m benchmarks

benchmark-portal: venv ## the portal as a service beside what bounds it: SQLite and PostgreSQL, latency, memory
	@tools/debian-packages postgresql
	@$(PY) -m benchmarks.portal

benchmark-vcan: venv ## the served car beside plain CAN sockets on vcan, as ratios
	@tools/with-vcan -- $(PY) -m benchmarks.carriers

# Nightly: an hour on vcan. SOAK_S says how many seconds instead.
soak: venv ## serve a car for an hour under load: memory, lateness and traces stay bounded
	@WITH_VCAN_TIMEOUT=$$(($${SOAK_S:-3600} + 600)) tools/with-vcan -- $(PY) -m benchmarks.soak $${SOAK_S:-3600}

judges: venv ## only what foreign stacks and published vectors decide, and a table of what they said
	@$(PY) -m pytest -m judge -n $${PYTEST_WORKERS:-2}

# CRASH_POINTS and CRASH_SEED say otherwise; a failure prints the seed that it happened with.
crash: venv ## kill the portal at a thousand random points on SQLite and some on PostgreSQL: nothing is ever half done
	@export PYTHONPATH=tests/support; walk="$(PY) tests/support/crash_walk.py --seed $${CRASH_SEED:-1}"; \
	$$walk --points $${CRASH_POINTS:-1000} && $$walk --points 200 --database postgresql && $$walk --points 20 --server

lock: venv ## renew requirements.lock from pyproject.toml
	@$(PY) tools/relock.py
