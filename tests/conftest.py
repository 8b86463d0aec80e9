"""Profiles for property tests: the same examples on every machine, no deadline on a shared one. And pytester, for the plugin.

Tests marked `vcan` or `kernel_isotp` use what belongs to the whole machine: see `kernel_can`.
"""

import signal
from collections.abc import Generator

import kernel_can
import pytest
from hypothesis import HealthCheck, settings

if (
    signal.getsignal(signal.SIGINT) is signal.SIG_IGN
):  # a shell's background job; programs that tests start would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("ci", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ci")

pytest_plugins = ["pytester", "judge_table", "portal_stores"]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    with kernel_can.alone(item):
        return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    kernel_can.require_for(item)
