"""Strict YAML for files that people write: every value knows its file, line and key; nothing unknown passes in silence.

Safe loading only: no tags, no anchors across types, no duplicate keys. Errors are `ConfigError` with what to do.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml

from wire.errors import ConfigError
from wire.names import suggestion

T = TypeVar("T")
MAX_FILE_BYTES = 1_000_000
"""A megabyte: profiles and scenarios have a few kilobytes; more is a wrong file."""


class Node:
    """A value read from a file: `value` is a scalar, a list of nodes or a dict of nodes; `line` is 1-based."""

    __slots__ = ("key", "line", "path", "value")

    def __init__(self, value: Any, path: str, line: int, key: str) -> None:
        self.value = value
        self.path = path
        self.line = line
        self.key = key

    def error(self, problem: str) -> ConfigError:
        """Return the error that says `problem` of this place."""
        return ConfigError(problem, path=self.path, line=self.line, key=self.key)

    def plain(self) -> Any:
        """Return the value with the nodes taken off."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    # ---- mappings

    def mapping(self, allowed: Sequence[str] | None = None) -> dict[str, Node]:
        """Return the entries of a mapping with text keys; refuse keys that are not `allowed`, with a suggestion."""
        if not isinstance(self.value, dict):
            raise self.error(f"expected a mapping (key: value), got {_kind(self.value)}")
        if allowed is not None:
            for key, node in self.value.items():
                if key not in allowed:
                    raise node.error(f"unknown key {key!r}{suggestion(key, allowed)}")
        return self.value

    def get(self, key: str) -> Node | None:
        """Return the entry `key` of a mapping, or None."""
        return self.mapping().get(key)

    def require(self, key: str) -> Node:
        """Return the entry `key` of a mapping; raise when it is not there."""
        node = self.mapping().get(key)
        if node is None:
            raise self.error(f"missing key {key!r}")
        return node

    def items(self) -> list[Node]:
        """Return the items of a list."""
        if not isinstance(self.value, list):
            raise self.error(f"expected a list (- item), got {_kind(self.value)}")
        return self.value

    # ---- scalars

    def text(self) -> str:
        """Return a text that is not empty."""
        if not isinstance(self.value, str) or not self.value:
            raise self.error(f"expected text, got {_kind(self.value)}; put it in quotes if it is meant as text")
        return self.value

    def integer(self, low: int | None = None, high: int | None = None) -> int:
        """Return a whole number from `low` to `high`."""
        if isinstance(self.value, bool) or not isinstance(self.value, int):
            raise self.error(f"expected a whole number, got {_kind(self.value)}")
        if (low is not None and self.value < low) or (high is not None and self.value > high):
            raise self.error(f"expected a whole number from {low} to {high}, got {self.value}")
        return self.value

    def boolean(self) -> bool:
        """Return true or false."""
        if not isinstance(self.value, bool):
            raise self.error(f"expected true or false, got {_kind(self.value)}")
        return self.value

    def choice(self, choices: Sequence[str]) -> str:
        """Return one of `choices`."""
        text = self.text()
        if text not in choices:
            raise self.error(f"unknown value {text!r}{suggestion(text, choices)}")
        return text

    def hex_bytes(self, size: int | None = None) -> bytes:
        """Return bytes written as hex text, `size` of them where given."""
        if not isinstance(self.value, str):
            raise self.error(f'expected bytes in hex and in quotes, as in "F1 90", got {_kind(self.value)}')
        try:
            data = bytes.fromhex(self.value)
        except ValueError:
            raise self.error(f'expected bytes in hex, as in "F1 90", got {self.value!r}') from None
        if size is not None and len(data) != size:
            raise self.error(f"expected {size} bytes, got {len(data)}")
        return data

    def read(self, reader: Callable[[Any], T]) -> T:
        """Return `reader(plain value)`, with its `ValueError` placed at this file and line."""
        try:
            return reader(self.plain())
        except ValueError as error:
            raise self.error(str(error)) from None


def load(path: Path) -> Node:
    """Read a file. Raises `ConfigError` for what is not there, not text, not YAML, empty or too large."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", path=str(path)) from None
    if len(data) > MAX_FILE_BYTES:
        raise ConfigError(f"has {len(data)} bytes; such a file has at most {MAX_FILE_BYTES}", path=str(path))
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"is not UTF-8 text (byte {error.start})", path=str(path)) from None
    return loads(text, str(path))


def loads(text: str, path: str = "<text>") -> Node:
    """Read a text; `path` is for the errors."""
    try:
        root = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = str(error.problem) if isinstance(error, _Refused) else f"not YAML: {error.problem}"
        if error.problem == "mapping values are not allowed here":
            problem += (
                "; what has lines below it ends in a colon, as in '- identify:', and text with a colon stands in quotes"
            )
        raise ConfigError(problem, path=path, line=mark.line + 1 if mark else None) from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # the last two: of escapes such as "\\U00110000"
        raise ConfigError(f"not YAML: {' '.join(str(error).split())}", path=path) from None
    if root is None:
        raise ConfigError("is empty", path=path)
    return _node(root, path, "", depth=0, count=itertools.count(1))


MAX_DEPTH = 20
MAX_INTEGER_BITS = 64
"""No value of these files is larger, and Python refuses to print a number of thousands of digits in an error."""
MAX_NODES = 100_000
"""Values in one file, counting what aliases repeat: a short file of aliases can stand for more than memory holds."""


_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


class _Refused(yaml.MarkedYAMLError):
    """YAML that is sound but has no place in these files."""


class _Loader(yaml.SafeLoader):
    """Composes plain values only: tags (which could name Python objects), control characters (which would steer the terminal
    that shows them) and depth are refused before anything is built.
    """

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Compose one node; see the class."""
        event = self.peek_event()  # type: ignore[no-untyped-call]
        tag = getattr(event, "tag", None)
        if tag is not None:
            raise _Refused(problem=f"tags have no place here: {tag}", problem_mark=event.start_mark)
        if _UNPRINTABLE.search(getattr(event, "value", "")):
            raise _Refused(problem="control characters have no place here", problem_mark=event.start_mark)
        if self.depth > MAX_DEPTH:
            raise _Refused(problem=f"nested deeper than {MAX_DEPTH} levels", problem_mark=event.start_mark)
        self.depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1


def _node(node: yaml.Node, path: str, key: str, depth: int, count: Iterator[int]) -> Node:
    line = node.start_mark.line + 1
    if next(count) > MAX_NODES:
        raise ConfigError(f"holds more than {MAX_NODES} values", path=path, line=line, key=key)
    if depth > MAX_DEPTH:
        raise ConfigError(
            f"nested deeper than {MAX_DEPTH} levels (or an alias of itself)", path=path, line=line, key=key
        )
    if isinstance(node, yaml.MappingNode):
        entries: dict[str, Node] = {}
        for key_node, value_node in node.value:
            name = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if not isinstance(name, str):
                raise ConfigError("a key must be plain text", path=path, line=key_node.start_mark.line + 1, key=key)
            full = f"{key}.{name}" if key else name
            if name in entries:
                raise ConfigError("this key stands here twice", path=path, line=key_node.start_mark.line + 1, key=full)
            child = _node(value_node, path, full, depth + 1, count)
            child.line = key_node.start_mark.line + 1
            entries[name] = child
        return Node(entries, path, line, key)
    if isinstance(node, yaml.SequenceNode):
        items = [_node(item, path, f"{key}[{i}]", depth + 1, count) for i, item in enumerate(node.value)]
        return Node(items, path, line, key)
    try:
        value = yaml.SafeLoader("").construct_object(node)
    except (yaml.YAMLError, ValueError):
        raise ConfigError(
            f"not a plain value: {node.value!r:.80} ({node.tag.rpartition(':')[2]})", path=path, line=line, key=key
        ) from None
    if isinstance(value, int) and value.bit_length() > MAX_INTEGER_BITS:
        raise ConfigError("a number of more than 64 bits", path=path, line=line, key=key)
    return Node(value, path, line, key)


def walk(node: Node) -> Iterator[Node]:
    """Yield `node` and all nodes in it, in the file's order."""
    yield node
    if isinstance(node.value, dict):
        for child in node.value.values():
            yield from walk(child)
    elif isinstance(node.value, list):
        for child in node.value:
            yield from walk(child)


def _kind(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return repr(value)
