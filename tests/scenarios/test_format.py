"""Scenario files are read strictly: a mistake is one error with file, line, key and what would be right; nothing is executed."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from scenarios.kinds import ANSWER, BYTES, DURATION, SIGNED_DURATION, Kind
from scenarios.library import LIBRARY
from scenarios.model import Scenario, load_scenario
from scenarios.schema import scenario_schema
from scenarios.stage import OutcomeKind
from scenarios.verbs import VERBS
from wire.errors import ConfigError

LIBRARY_FILES = sorted(LIBRARY.glob("*.yaml"))
SCHEMA = Draft202012Validator(scenario_schema())


@dataclasses.dataclass(frozen=True, kw_only=True)
class Malformed:
    """A file that is wrong: where the error must stand, words that it must hold, whether a JSON Schema can see it."""

    text: str
    line: int | None
    key: str
    says: tuple[str, ...]
    schema_sees: bool = True


def _file(steps: str) -> str:
    return f"title: A title\nvehicle: vag-golf\nsteps:\n{steps}"


def _step(step: str) -> str:
    return _file(f"  - login\n  - {step}\n")


MALFORMED = {
    "unknown-key": Malformed(
        text=_step("login").replace("title:", "titel: x\ntitle:"), line=1, key="titel", says=("'title'",)
    ),
    "missing-title": Malformed(text="vehicle: vag-golf\nsteps: [login]\n", line=1, key="", says=("'title'",)),
    "missing-vehicle": Malformed(text="title: A\nsteps: [login]\n", line=1, key="", says=("'vehicle'",)),
    "missing-steps": Malformed(text="title: A\nvehicle: vag-golf\n", line=1, key="", says=("'steps'",)),
    "no-steps": Malformed(text="title: A\nvehicle: v\nsteps: []\n", line=3, key="steps", says=("at least one step",)),
    "title-not-text": Malformed(text="title: 7\nvehicle: v\nsteps: [login]", line=1, key="title", says=("text",)),
    "reach-unlocked-what": Malformed(
        text="title: A\nvehicle: v\nsteps:\n  - reach: unlocked\n", line=4, key="steps[0].reach", says=("needs ecu",)
    ),
    "late-by-nothing": Malformed(
        text="title: A\nvehicle: v\nsteps:\n  - fault: delay\n", line=4, key="steps[0].fault", says=("needs delay",)
    ),
    "nothing-changes": Malformed(
        text="title: A\nvehicle: v\nsteps:\n  - transport: gateway\n",
        line=4,
        key="steps[0].transport",
        says=("at least one of", "stmin"),
    ),
    "steps-not-a-list": Malformed(text="title: A\nvehicle: v\nsteps: login\n", line=3, key="steps", says=("list",)),
    "a-list-of-files": Malformed(text="- title: A\n", line=1, key="", says=("mapping",)),
    "unknown-verb": Malformed(
        text=_step("unlok: cluster"), line=5, key="steps[1].unlok", says=("'unlok'", "did you mean 'unlock'?")
    ),
    "unknown-bare-verb": Malformed(text=_step("identfy"), line=5, key="steps[1]", says=("did you mean 'identify'?",)),
    "two-verbs": Malformed(
        text=_step("{login: , logout: }"), line=5, key="steps[1]", says=("exactly one verb", "login, logout")
    ),
    "no-verb": Malformed(text=_step("{expect: positive}"), line=5, key="steps[1]", says=("exactly one verb", "none")),
    "empty-step": Malformed(text=_step(""), line=5, key="steps[1]", says=("nothing",)),
    "unknown-argument": Malformed(
        text=_step("vehicle: {bonet: open}"), line=5, key="steps[1].vehicle.bonet", says=("did you mean 'bonnet'?",)
    ),
    "missing-argument": Malformed(
        text=_step("unlock"), line=5, key="steps[1]", says=("unlock needs ecu", "control unit's name")
    ),
    "argument-for-a-verb-without": Malformed(
        text=_step("logout: now"), line=5, key="steps[1].logout", says=("logout takes no argument",)
    ),
    "wrong-type": Malformed(
        text=_step("vehicle: {ignition: maybe}"), line=5, key="steps[1].vehicle.ignition", says=("true or false",)
    ),
    "number-out-of-range": Malformed(
        text=_step("vehicle: {supply-mv: 90000}"),
        line=5,
        key="steps[1].vehicle.supply-mv",
        says=("0 to 32000", "90000"),
    ),
    "unknown-word": Malformed(
        text=_step("vehicle: {bonnet: opne}"), line=5, key="steps[1].vehicle.bonnet", says=("did you mean 'open'?",)
    ),
    "duration-without-unit": Malformed(
        text=_step("wait: 5"), line=5, key="steps[1].wait", says=("duration with its unit", "90 min")
    ),
    "duration-of-unknown-unit": Malformed(
        text=_step("wait: 5 weeks"), line=5, key="steps[1].wait", says=("'5 weeks'", "min")
    ),
    "duration-backwards": Malformed(text=_step("wait: -5 s"), line=5, key="steps[1].wait", says=("run backwards",)),
    "duration-too-long": Malformed(
        text=_step("wait: 800 h"), line=5, key="steps[1].wait", says=("30 days",), schema_sees=False
    ),
    "bytes-read-as-number": Malformed(
        text=_step("request: {ecu: cluster, bytes: 1003}"),
        line=5,
        key="steps[1].request.bytes",
        says=("quotes", "1003"),
    ),
    "bytes-not-hex": Malformed(
        text=_step('request: {ecu: cluster, bytes: "22 F1 9"}'),
        line=5,
        key="steps[1].request.bytes",
        says=("'22 F1 9'",),
    ),
    "unknown-nrc": Malformed(
        text=_step("{login: , expect: {nrc: securityAccesDenied}}"),
        line=5,
        key="steps[1].expect.nrc",
        says=("did you mean 'securityAccessDenied'?",),
    ),
    "nrc-out-of-range": Malformed(
        text=_step("{login: , expect: {nrc: 0x133}}"), line=5, key="steps[1].expect.nrc", says=("NRC",)
    ),
    "unknown-expectation": Malformed(
        text=_step("{login: , expect: {lockd: true}}"),
        line=5,
        key="steps[1].expect.lockd",
        says=("did you mean 'locked'?",),
    ),
    "unknown-expected-word": Malformed(
        text=_step("{login: , expect: silense}"), line=5, key="steps[1].expect", says=("did you mean 'silence'?",)
    ),
    "expects-nothing": Malformed(
        text=_step("{login: , expect: {}}"), line=5, key="steps[1].expect", says=("expects nothing", "nrc")
    ),
    "expects-what-is-not": Malformed(
        text=_step("{login: , expect: {positive: false}}"),
        line=5,
        key="steps[1].expect.positive",
        says=("what is not expected",),
    ),
    "result-0-does-not-exist": Malformed(
        text=_step("{login: , expect: {result: 0}}"), line=5, key="steps[1].expect.result", says=("1, -1, -2",)
    ),
    "note-not-text": Malformed(text=_step("{login: , note: [x]}"), line=5, key="steps[1].note", says=("text",)),
    "refusal-and-silence": Malformed(
        text=_step("{login: , expect: {nrc: 0x33, silence: true}}"),
        line=5,
        key="steps[1].expect",
        says=("contradicts itself", "silence and negative"),
        schema_sees=False,
    ),
    "refusal-with-result-1": Malformed(
        text=_step("{login: , expect: {nrc: 0x33, result: 1}}"),
        line=5,
        key="steps[1].expect.result",
        says=("contradicts itself",),
        schema_sees=False,
    ),
    "positive-with-result-of-a-failure": Malformed(
        text=_step("{login: , expect: {positive: true, result: -3}}"),
        line=5,
        key="steps[1].expect.result",
        says=("contradicts itself",),
        schema_sees=False,
    ),
    "silence-with-an-answer": Malformed(
        text=_step('{login: , expect: {silence: true, answer: "50 03 .."}}'),
        line=5,
        key="steps[1].expect.answer",
        says=("contradicts itself",),
        schema_sees=False,
    ),
}


def _written(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def _error(tmp_path: Path, text: str | bytes) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load_scenario(_written(tmp_path, text))
    return caught.value


def test_a_scenario_is_read_with_its_arguments_and_expectations(tmp_path: Path) -> None:
    text = _file(
        '  - write-coding: {ecu: cluster, data: "01 02"}\n    expect: {nrc: 0x33, within: 50 ms}\n    note: locked\n'
    )
    scenario = load_scenario(_written(tmp_path, text))
    assert (scenario.name, scenario.title, scenario.vehicle) == ("mine", "A title", "vag-golf")
    (step,) = scenario.steps
    assert (step.verb, step.args, step.line, step.note) == (
        "write-coding",
        {"ecu": "cluster", "data": b"\x01\x02"},
        4,
        "locked",
    )
    assert step.expect.kind is OutcomeKind.NEGATIVE
    assert step.expect.values == {"nrc": 0x33, "within": 50_000_000}


def test_a_step_without_expectation_expects_a_positive_answer(tmp_path: Path) -> None:
    (step,) = load_scenario(_written(tmp_path, _file("  - identify\n"))).steps
    assert (step.expect.kind, step.expect.values) == (OutcomeKind.POSITIVE, {})


@pytest.mark.parametrize("wrong", MALFORMED.values(), ids=MALFORMED)
def test_a_mistake_is_told_with_file_line_key_and_what_would_be_right(wrong: Malformed, tmp_path: Path) -> None:
    error = _error(tmp_path, wrong.text)
    assert error.path == str(tmp_path / "mine.yaml")
    assert (error.line, error.key) == (wrong.line, wrong.key)
    assert all(words in error.problem for words in wrong.says), error.problem
    assert str(error).startswith(f"{error.path}:{wrong.line}: ")
    assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        (_step("login\ntitle: Another"), 6, "twice"),
        ("", None, "is empty"),
        ("# only a comment\n", None, "is empty"),
        (_step("login").encode() + b"\n# caf\xe9\n", None, "not UTF-8"),
        (_step("login") + "\t- logout\n", 6, "not YAML"),
        (_step("login: {person: [}"), 5, "not YAML"),
        ("a\0b", None, "not YAML"),
        (_step("wait: " + "[" * 3000), 5, "nested deeper"),
        (_step("login: &a [*a]"), 5, "nested deeper"),
        (_step("note: 2001-99-99"), 5, "not a plain value"),
        ('title: "\\e[31mred"\n', 1, "control characters"),
        ('title: "\\ud800"\n', 1, "control characters"),
        ('title: "\\UFFFFFFFF"\n', None, "not YAML"),
        ("? [a, b]\n: c\n", 1, "plain text"),
        ("x" * 1_000_001, None, "at most 1000000"),
    ],
    ids=lambda value: None if isinstance(value, int | None) else repr(value[:25]),
)
def test_what_is_no_plain_yaml_is_refused(text: str | bytes, line: int | None, says: str, tmp_path: Path) -> None:
    error = _error(tmp_path, text)
    assert says in error.problem
    assert error.line == line
    assert len(str(error)) < 400


@pytest.mark.parametrize(
    "value",
    [
        '!!python/object/apply:pathlib.Path.touch [!!python/object/apply:pathlib.Path ["PWNED"]]',
        "!!python/object:pathlib.Path {x: 1}",
        "!!python/name:os.system",
        "!!python/module:os",
        "!!set {cluster}",
        "!!bool maybe",
        "!mine cluster",
    ],
)
def test_a_yaml_tag_is_refused_and_never_executed(value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    error = _error(tmp_path, _step(f"unlock: {value}"))
    assert "tags have no place here" in error.problem
    assert error.line == 5
    assert not (tmp_path / "PWNED").exists()


def test_a_short_file_of_aliases_cannot_fill_the_memory(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 9)]
    assert "more than 100000 values" in _error(tmp_path, "\n".join(lines)).problem


def test_a_file_that_is_not_there_and_a_folder_are_told_apart_from_a_wrong_file(tmp_path: Path) -> None:
    for path in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(ConfigError, match="cannot be read") as caught:
            load_scenario(path)
        assert caught.value.path == str(path)


# ---- whatever stands in a file, the error is the documented one


def _loads_or_refuses(path: Path) -> None:
    with contextlib.suppress(ConfigError):
        assert isinstance(load_scenario(path), Scenario)


WORDS = [
    *VERBS,
    "expect",
    "title",
    "steps",
    "nrc",
    "ecu",
    "!!bool x",
    "&a",
    "*a",
    "<<",
    "=",
    "~",
    "1:2",
    "-",
    "{",
    "]",
    "\n",
    ": ",
]


@given(st.data())
def test_a_mutated_library_file_is_read_or_refused_with_the_documented_error(data: st.DataObject) -> None:
    text = data.draw(st.sampled_from(LIBRARY_FILES)).read_text()
    for _ in range(data.draw(st.integers(1, 4))):
        begin = data.draw(st.integers(0, len(text)))
        end = min(len(text), begin + data.draw(st.integers(0, 20)))
        text = text[:begin] + data.draw(st.sampled_from(WORDS) | st.text(max_size=3)) + text[end:]
    path = MUTANTS / "mutant.yaml"
    path.write_bytes(text.encode("utf-8", "replace"))
    _loads_or_refuses(path)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_with_the_documented_error(content: bytes) -> None:
    path = MUTANTS / "bytes.yaml"
    path.write_bytes(content)
    _loads_or_refuses(path)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.sampled_from([*VERBS, "90 min"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*VERBS, "expect", "nrc", "ecu", "bytes", "note"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(st.lists(PLAIN, min_size=1, max_size=3))
def test_any_values_as_steps_are_read_or_refused_with_the_documented_error(steps: list[object]) -> None:
    path = MUTANTS / "values.yaml"
    path.write_text(yaml.safe_dump({"title": "A", "vehicle": "vag-golf", "steps": steps}, allow_unicode=True))
    _loads_or_refuses(path)


@pytest.fixture(scope="module", autouse=True)
def _mutants(tmp_path_factory: pytest.TempPathFactory) -> None:
    global MUTANTS  # noqa: PLW0603 - hypothesis wants no fixture of a single test
    MUTANTS = tmp_path_factory.mktemp("mutants")


# ---- the JSON Schema, for editors


def test_the_schema_is_itself_valid() -> None:
    Draft202012Validator.check_schema(scenario_schema())


@pytest.mark.parametrize("path", LIBRARY_FILES, ids=lambda path: path.stem)
def test_the_schema_accepts_every_library_file(path: Path) -> None:
    assert not [error.message for error in SCHEMA.iter_errors(yaml.safe_load(path.read_text()))]


@pytest.mark.parametrize(
    "wrong", [w for w in MALFORMED.values() if w.schema_sees], ids=[k for k, w in MALFORMED.items() if w.schema_sees]
)
def test_the_schema_refuses_what_the_loader_refuses(wrong: Malformed) -> None:
    assert not SCHEMA.is_valid(yaml.safe_load(wrong.text))


ACCEPTED = {
    "a verb without parameters, with none": "logout: {}",
    "a verb without parameters, with nothing": "logout:",
    "a verb that needs no parameter, with none": "login: {}",
    "bytes without spaces": 'functional: "3E80"',
    "bytes with many spaces": 'functional: " 3E   80 "',
    "bytes in lines": 'functional: "3E\\n80"',
    "a duration of parts": "wait: 1 h 30 min",
    "a duration without spaces": "wait: 1h30min",
    "a whole number with a point": "{security-access: {ecu: cluster, level: 3.0}, expect: {nrc: 51.0}}",
    "a result with a point": "{unlock: cluster, expect: {result: -6.0}}",
    "any answer bytes": '{identify: , expect: {answer: "62 f190 ?? 3? .. "}}',
}
REFUSED = {
    "a number that is not whole": "security-access: {ecu: cluster, level: 3.5}",
    "an endless number": "security-access: {ecu: cluster, level: .inf}",
    "a truth for a number": "security-access: {ecu: cluster, level: true}",
    "half a byte": 'functional: "3E 8"',
    "no byte": 'functional: " "',
    "a parameter too many": "logout: {person: technician}",
    "an answer of half a byte": '{identify: , expect: {answer: "62 F"}}',
    "an answer with something after the rest": '{identify: , expect: {answer: "62 .. 00"}}',
    "an answer of no bytes": '{identify: , expect: {answer: ".."}}',
    "a duration of two signs": "wait: 1 h -30 min",
    "an empty note": '{identify: , note: ""}',
}


@pytest.mark.parametrize("step", ACCEPTED.values(), ids=ACCEPTED)
def test_the_schema_accepts_what_the_loader_accepts(step: str, tmp_path: Path) -> None:
    text = _step(step)
    assert len(load_scenario(_written(tmp_path, text)).steps) == 2
    assert not [error.message for error in SCHEMA.iter_errors(yaml.safe_load(text))]


@pytest.mark.parametrize("step", REFUSED.values(), ids=REFUSED)
def test_the_loader_and_the_schema_refuse_alike(step: str, tmp_path: Path) -> None:
    _error(tmp_path, _step(step))
    assert not SCHEMA.is_valid(yaml.safe_load(_step(step)))


def test_a_whole_number_with_a_point_is_read_as_the_whole_number(tmp_path: Path) -> None:
    step = load_scenario(_written(tmp_path, _step(ACCEPTED["a whole number with a point"]))).steps[1]
    assert (repr(step.args["level"]), repr(step.expect.values["nrc"])) == ("3", "51")


KINDS_OF_TEXT = {"bytes": BYTES, "answer": ANSWER, "duration": DURATION, "signed duration": SIGNED_DURATION}
PIECES = ["0", "7", "aF", "?", "??", "..", ".", " ", "\n", "\t", "+", "-", "h", "min", "ms", "s", "g"]


@pytest.mark.parametrize("kind", KINDS_OF_TEXT.values(), ids=KINDS_OF_TEXT)
@given(pieces=st.lists(st.sampled_from(PIECES), max_size=8))
def test_any_text_is_refused_by_both_or_by_none(kind: Kind, pieces: list[str]) -> None:
    text = "".join(pieces)
    try:
        kind.read(text)
    except ValueError as error:
        if "30 days" in str(error):  # a schema cannot add
            return
        accepted = False
    else:
        accepted = True
    assert Draft202012Validator(kind.schema).is_valid(text) is accepted


# ---- the table of verbs


@pytest.mark.parametrize("verb", VERBS.values(), ids=lambda verb: verb.name)
def test_every_verb_and_parameter_is_described(verb: object) -> None:
    assert verb.doc  # type: ignore[attr-defined]
    assert all(param.doc for param in verb.params)  # type: ignore[attr-defined]
