"""Who may use a service of an ODX layer: its state charts of sessions and of security, as sessions and a level of the profile."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ecu_sim.importing.document import Hex, ProfileDocument, Value

DEFAULT_SESSION = 0x01


class States:
    """Learns which session and which level a state is from the services that lead to it, and reads conditions by that."""

    def __init__(self, layer: Any, document: ProfileDocument) -> None:
        self._document = document
        self._chart: dict[str, str] = {}
        self._start: set[str] = set()
        self._sessions: dict[str, int] = {}
        self._levels: dict[str, int] = {}
        for chart in layer.state_charts:
            kind = next((kind for kind in ("SESSION", "SECURITY") if kind in chart.semantic.upper()), "")
            if not kind:
                document.leave_out(
                    "state chart", chart.short_name, f"its semantic {chart.semantic!r} is neither session nor security"
                )
            for state in chart.states:
                self._chart[state.short_name] = kind
            self._start.add(chart.start_state_snref)
            if kind == "SESSION":
                self._sessions[chart.start_state_snref] = DEFAULT_SESSION

    def learn_session(self, service: Any, session: int) -> None:
        """Note that `service` enters `session`."""
        for name in self._targets(service, "SESSION"):
            self._sessions[name] = session

    def learn_level(self, service: Any, level: int) -> None:
        """Note that `service` (a key that is right) opens `level`."""
        for name in self._targets(service, "SECURITY"):
            if name not in self._start:
                self._levels[name] = level

    def access(self, thing: Any, sessions: Iterable[int]) -> dict[str, Value]:
        """Return the keys of an access. `thing`: a service, or a row of a table. `sessions`: all that the ECU has."""
        states = [ref.state.short_name for ref in thing.pre_condition_state_refs if ref.value is None]
        for ref in thing.pre_condition_state_refs:
            if ref.value is not None:
                self._document.leave_out("condition", thing.short_name, f"depends on a parameter's value {ref.value!r}")
        access: dict[str, Value] = {}
        named = self._known(states, "SESSION", self._sessions, thing)
        if named and named != set(sessions):
            access["sessions"] = [Hex(session) for session in sorted(named)]
        locked = any(self._chart.get(state) == "SECURITY" and state in self._start for state in states)
        levels = self._known([state for state in states if state not in self._start], "SECURITY", self._levels, thing)
        if levels and not locked:
            access["security"] = Hex(min(levels))
            if len(levels) > 1:
                text = ", ".join(f"{level:02X}" for level in sorted(levels))
                self._document.leave_out(
                    "condition", thing.short_name, f"open at levels {text}; a profile names one, the lowest"
                )
        return access

    def _known(self, states: list[str], kind: str, numbers: dict[str, int], thing: Any) -> set[int]:
        mine = [state for state in states if self._chart.get(state) == kind]
        for state in mine:
            if state not in numbers:
                self._document.leave_out("condition", thing.short_name, f"no service leads to its state {state!r}")
        return {numbers[state] for state in mine if state in numbers}

    def _targets(self, service: Any, kind: str) -> list[str]:
        names = [ref.state_transition.target_snref for ref in service.state_transition_refs]
        return [name for name in names if self._chart.get(name) == kind]
