"""Files that people write: every mistake is one error with file, line, key and what to do; nothing unknown passes in silence."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.errors import ConfigError
from wire.strict_yaml import MAX_DEPTH, MAX_FILE_BYTES, load, loads, walk


def refused(text: str) -> ConfigError:
    with pytest.raises(ConfigError) as error:
        loads(text, "car.yaml")
    assert error.value.path == "car.yaml"
    return error.value


def test_values_know_their_file_line_and_key() -> None:
    root = loads("title: Golf\necus:\n  - name: cluster\n    address: 0x17\n", "car.yaml")
    address = root.require("ecus").items()[0].require("address")
    assert (address.value, address.path, address.line, address.key) == (0x17, "car.yaml", 4, "ecus[0].address")
    assert root.plain() == {"title": "Golf", "ecus": [{"name": "cluster", "address": 0x17}]}
    assert [node.key for node in walk(root)] == ["", "title", "ecus", "ecus[0]", "ecus[0].name", "ecus[0].address"]


def test_an_unknown_key_is_named_with_its_line_and_a_suggestion() -> None:
    root = loads("title: Golf\nadress: 23\n", "car.yaml")
    with pytest.raises(ConfigError, match=r"car\.yaml:2: adress: unknown key 'adress'; did you mean 'address'\?"):
        root.mapping(("title", "address"))


def test_an_unknown_key_that_resembles_nothing_gets_the_list() -> None:
    with pytest.raises(ConfigError, match="there are: title, address"):
        loads("zzz: 1").mapping(("title", "address"))


@pytest.mark.parametrize(
    ("text", "line", "key", "says"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "a", "twice"),
        ("car:\n  a: 1\n  a: 1\n", 3, "car.a", "twice"),
        ('"a": 1\na: 2\n', 2, "a", "twice"),
        ("? [1, 2]\n: 3\n", 1, "", "plain text"),
        ("? {a: 1}\n: 3\n", 1, "", "plain text"),
        ("b: 1\na: !!python/object/apply:os.system [ls]\n", 2, "", "tags have no place here"),
        ("a: !!python/name:os.system\n", 1, "", "tags have no place here"),
        ("a: !secret x\n", 1, "", "!secret"),
        ("a: !!int 1\n", 1, "", "tags have no place here"),
        ("a: 2026-02-30\n", 1, "a", "not a plain value"),
        (f"a: {'9' * 5000}\n", 1, "a", "not a plain value"),
        ('a:\n  b: "\\x1b[2J"\n', 2, "", "control characters"),
        ("a:\n  b: [1\n", 3, "", "not YAML"),
        ("a: 1\n b: 2\n", 2, "", "not YAML"),
        ("a: *nobody\n", 1, "", "undefined alias"),
        ("a: 1\n---\nb: 2\n", 2, "", "not YAML"),
        ("a:\n\tb: 2\n", 2, "", "not YAML"),
    ],
)
def test_a_file_that_is_wrong_says_where(text: str, line: int, key: str, says: str) -> None:
    error = refused(text)
    assert says in str(error)
    assert error.line == line
    assert error.key == key


@pytest.mark.parametrize("text", ["", "   \n", "# only a comment\n", "---\n..."])
def test_an_empty_file_says_so(text: str) -> None:
    if text.startswith("---"):
        assert loads(text).value is None  # an explicit nothing: whoever wants a mapping refuses it
        with pytest.raises(ConfigError, match="expected a mapping"):
            loads(text).mapping()
    else:
        assert "is empty" in str(refused(text))


@pytest.mark.parametrize("text", ["a: \0", "\0", "a: b\x07", "a: \ud800", "\ufeff\0", r'a: "\UFFFFFFFF"'])
def test_what_no_yaml_may_contain_is_refused(text: str) -> None:
    assert "not YAML" in str(refused(text))


def test_nesting_has_a_limit() -> None:
    deep = "[" * MAX_DEPTH + "1" + "]" * MAX_DEPTH
    assert loads(deep).items()
    assert "nested deeper" in str(refused(f"[{deep}]"))
    assert refused("[" * 5000 + "]" * 5000)
    assert refused("".join(" " * level + "a:\n" for level in range(2000)))
    assert refused("a: " + "{a: " * 3000 + "1" + "}" * 3000)


def test_an_alias_of_itself_is_refused() -> None:
    assert "alias of itself" in str(refused("a: &a [*a]\n"))
    assert "alias of itself" in str(refused("a: &a {b: *a}\n"))


def test_an_alias_bomb_is_refused_before_it_grows() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    assert "more than 100000 values" in str(refused("\n".join(lines)))


def test_merge_keys_are_keys_like_others() -> None:
    root = loads("base: &b {x: 1}\ncar:\n  <<: *b\n")
    with pytest.raises(ConfigError, match="unknown key '<<'"):
        root.require("car").mapping(("x",))


# ---- files


def test_a_file_is_read_and_named(tmp_path: Path) -> None:
    file = tmp_path / "car.yaml"
    file.write_text("title: Großer Wagen\n", encoding="utf-8")
    assert load(file).require("title").text() == "Großer Wagen"
    assert load(file).path == str(file)


def test_files_that_cannot_be_read_say_why(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: cannot be read: No such file"):
        load(tmp_path / "nowhere.yaml")
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load(tmp_path)
    latin = tmp_path / "latin.yaml"
    latin.write_bytes("title: Gro\xdfer Wagen".encode("latin-1"))
    with pytest.raises(ConfigError, match="not UTF-8 text"):
        load(latin)
    huge = tmp_path / "huge.yaml"
    huge.write_bytes(b"#" * (MAX_FILE_BYTES + 1))
    with pytest.raises(ConfigError, match="at most 1000000"):
        load(huge)


# ---- values

READERS = {
    "text": lambda node: node.text(),
    "integer": lambda node: node.integer(0, 10),
    "boolean": lambda node: node.boolean(),
    "choice": lambda node: node.choice(("sfd", "certificate")),
    "hex": lambda node: node.hex_bytes(2),
    "mapping": lambda node: node.mapping(),
    "items": lambda node: node.items(),
}


@pytest.mark.parametrize(
    ("reader", "text", "value"),
    [
        ("text", "Golf", "Golf"),
        ("text", '"12"', "12"),
        ("integer", "0x0A", 10),
        ("integer", "0", 0),
        ("boolean", "true", True),
        ("choice", "sfd", "sfd"),
        ("hex", '"F1 90"', b"\xf1\x90"),
        ("hex", "f190", b"\xf1\x90"),
    ],
)
def test_values_are_read(reader: str, text: str, value: object) -> None:
    assert READERS[reader](loads(f"key: {text}").require("key")) == value


@pytest.mark.parametrize(
    ("reader", "text", "says"),
    [
        ("text", "12", "in quotes"),
        ("text", "on", "got True"),
        ("text", "", "got nothing"),
        ("text", '""', "expected text"),
        ("text", "[a]", "got a list"),
        ("text", "2026-01-01", "in quotes"),
        ("integer", "11", "from 0 to 10, got 11"),
        ("integer", "-1", "from 0 to 10"),
        ("integer", "1.0", "whole number"),
        ("integer", "true", "whole number"),
        ("integer", '"1"', "whole number"),
        ("boolean", "1", "true or false"),
        ("boolean", '"true"', "true or false"),
        ("choice", "sdf", "did you mean 'sfd'"),
        ("choice", "zzz", "there are: sfd, certificate"),
        ("hex", "1234", "in quotes"),
        ("hex", '"F1 9"', "in hex"),
        ("hex", '"F1 90 00"', "expected 2 bytes, got 3"),
        ("hex", "xx", "in hex"),
        ("mapping", "[1]", "expected a mapping"),
        ("items", "{a: 1}", "expected a list"),
    ],
)
def test_a_wrong_value_says_what_would_be_right(reader: str, text: str, says: str) -> None:
    node = loads(f"first: 1\nkey: {text}", "car.yaml").require("key")
    with pytest.raises(ConfigError, match=says) as error:
        READERS[reader](node)
    assert (error.value.path, error.value.line, error.value.key) == ("car.yaml", 2, "key")


def test_a_missing_key_is_named() -> None:
    root = loads("car:\n  a: 1\n", "car.yaml")
    assert root.require("car").get("b") is None
    with pytest.raises(ConfigError, match=r"car\.yaml:1: car: missing key 'b'"):
        root.require("car").require("b")


def test_a_readers_value_error_gets_its_place() -> None:
    def reader(value: object) -> None:
        raise ValueError(f"not {value!r}")

    with pytest.raises(ConfigError, match="<text>:1: a: not 1"):
        loads("a: 1").require("a").read(reader)


@given(st.one_of(st.text(max_size=200), st.text("[]{}:-,&*!|>'\"%@`#? \n\ta1~<.", max_size=60)))
def test_arbitrary_text_is_read_or_refused_by_name(text: str) -> None:
    with contextlib.suppress(ConfigError):
        for node in walk(loads(text)):
            for read in READERS.values():
                with contextlib.suppress(ConfigError):
                    read(node)


@given(st.binary(max_size=100))
def test_arbitrary_bytes_are_read_or_refused_by_name(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    file = tmp_path_factory.mktemp("bytes") / "x.yaml"
    file.write_bytes(data)
    with contextlib.suppress(ConfigError):
        load(file)
