"""A test that needs the kernel's CAN is skipped where that is missing, and fails where it was promised."""

from __future__ import annotations

import socket

import kernel_can
import pytest

PROMISES = ("WITH_VCAN_IFACES", "WITH_VCAN_ISOTP")


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine with every interface, every program, and no ISO-TP, that was promised nothing."""
    for promise in PROMISES:
        monkeypatch.delenv(promise, raising=False)
    interfaces = list(enumerate(("lo", *kernel_can.INTERFACES), start=1))
    monkeypatch.setattr(socket, "if_nameindex", lambda: interfaces)
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    return monkeypatch


def test_where_all_is_there_the_test_runs(elsewhere: pytest.MonkeyPatch) -> None:
    kernel_can.require_vcan()
    kernel_can.require_command("candump", "can-utils")


@pytest.mark.parametrize("missing", kernel_can.INTERFACES)
def test_a_missing_interface_is_named_with_what_to_do(elsewhere: pytest.MonkeyPatch, missing: str) -> None:
    there = [(1, name) for name in kernel_can.INTERFACES if name != missing]
    elsewhere.setattr(socket, "if_nameindex", lambda: there)
    with pytest.raises(pytest.skip.Exception, match=f"no interface {missing} .*tools/with-vcan"):
        kernel_can.require_vcan()


def test_a_promised_interface_that_is_missing_fails_the_test(elsewhere: pytest.MonkeyPatch) -> None:
    elsewhere.setattr(socket, "if_nameindex", list)
    elsewhere.setenv("WITH_VCAN_IFACES", "vcan0 vcan1")
    with pytest.raises(pytest.fail.Exception, match="WITH_VCAN_IFACES says that this test can run"):
        kernel_can.require_vcan()


def test_a_missing_program_skips_and_under_with_vcan_fails(elsewhere: pytest.MonkeyPatch) -> None:
    elsewhere.setattr("shutil.which", lambda _: None)
    with pytest.raises(pytest.skip.Exception, match="apt-get install can-utils"):
        kernel_can.require_command("candump", "can-utils")
    elsewhere.setenv("WITH_VCAN_IFACES", "vcan0")
    with pytest.raises(pytest.fail.Exception, match="apt-get install can-utils"):
        kernel_can.require_command("candump", "can-utils")


def test_sockets_for_isotp_that_are_missing_skip_in_a_kernel_that_promised_interfaces_alone(
    elsewhere: pytest.MonkeyPatch,
) -> None:
    def refused(*_: object) -> None:
        raise OSError(93, "Protocol not supported")

    elsewhere.setattr(socket, "socket", refused)
    elsewhere.setenv("WITH_VCAN_IFACES", "vcan0")
    with pytest.raises(pytest.skip.Exception, match=r"Protocol not supported.*--isotp"):
        kernel_can.require_kernel_isotp()
    elsewhere.setenv("WITH_VCAN_ISOTP", "1")
    with pytest.raises(pytest.fail.Exception, match="WITH_VCAN_ISOTP"):
        kernel_can.require_kernel_isotp()


def test_the_marks_ask_before_the_test_runs(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nmarkers =\n  vcan: x\n  kernel_isotp: x\n")
    pytester.makeconftest(
        """
        import pytest, socket, kernel_can
        socket.if_nameindex = list
        @pytest.hookimpl(tryfirst=True)
        def pytest_runtest_setup(item):
            kernel_can.require_for(item)
        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_protocol(item):
            with kernel_can.alone(item):
                return (yield)
        """
    )
    pytester.makepyfile(
        """
        import pytest
        @pytest.mark.vcan
        def test_vcan(): raise AssertionError
        def test_plain(): pass
        """
    )
    with pytest.MonkeyPatch.context() as patch:
        for promise in PROMISES:
            patch.delenv(promise, raising=False)
        pytester.runpytest().assert_outcomes(skipped=1, passed=1)
        patch.setenv("WITH_VCAN_IFACES", "vcan0")
        pytester.runpytest().assert_outcomes(errors=1, passed=1)
