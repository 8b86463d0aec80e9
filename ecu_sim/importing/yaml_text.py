"""Writes a `ProfileDocument` as YAML that people read and edit: keys in hex, a line for each entry, names and reasons beside it.

The same document gives the same text, and the text is what `profile_file` reads.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence

from ecu_sim.importing.document import CONTROL, SECTIONS, Entry, Finding, Hex, ProfileDocument, Value, clean

LINE_MAX = 130
"""Longer entries are written as a block."""
HEX_BYTES_A_LINE = 32
IN_ORDER = ("dtcs",)
"""Sections whose order is a fact: a unit reports its trouble codes in it."""
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./()-]*(?: [A-Za-z0-9_./()-]+)*")
_WORDS_OF_YAML = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "none"})
_NUMBER = re.compile(r"[0-9]+|[0-9]+E[0-9]+")
"""A key in hex that looks like a number of another base; nobody takes services for such."""


def yaml_text(document: ProfileDocument, source: str) -> str:
    """Return the file's text. `source`: what it was made from, for its first line."""
    lines = [f"# {clean(source, limit=300)}: {clean(document.summary(), limit=1000)}."]
    for key, value in document.head.items():
        comment = clean(document.comments.get(key, ""), limit=300)
        lines.append(_line(f"{key}: {_flow(value)}", comment))
    for section in SECTIONS:
        lines += _section(section, document.sections.get(section, {}))
    lines += _findings("Chosen, because the source does not say", document.chosen)
    lines += _findings("not_imported: what the source says and this profile does not", document.left_out)
    return "\n".join(lines) + "\n"


def _section(section: str, entries: Mapping[int, Entry]) -> list[str]:
    if not entries:
        return ["services: {}"] if section == "services" else []  # a profile always says what it offers
    lines, digits = [f"{section}:"], SECTIONS[section][0]
    for number in entries if section in IN_ORDER else sorted(entries):
        key = f"{number:0{digits}X}"
        quoted = _NUMBER.fullmatch(key) and section != "services"
        lines += _entry(f'"{key}"' if quoted else key, entries[number])
    return lines


def _entry(key: str, entry: Entry) -> list[str]:
    comment = clean(entry.comment, limit=300)
    if not entry.keys:
        return [_line(f"  {key}:", comment)]
    flow = f"  {key}: {_flow(entry.keys)}"
    if len(flow) <= LINE_MAX:
        return [_line(flow, comment)]
    lines = [_line(f"  {key}:", comment)]
    for name, value in entry.keys.items():
        lines += _block(name, value)
    return lines


def _block(name: str, value: Value) -> list[str]:
    if isinstance(value, bytes) and len(value) > HEX_BYTES_A_LINE:
        parts = [value[at : at + HEX_BYTES_A_LINE].hex(" ").upper() for at in range(0, len(value), HEX_BYTES_A_LINE)]
        return [f'    {name}: "{parts[0]}', *(f"      {part}" for part in parts[1:-1]), f'      {parts[-1]}"']
    return [f"    {name}: {_flow(value)}"]


def _line(text: str, comment: str) -> str:
    return f"{text}  # {comment}" if comment else text


def _flow(value: Value) -> str:
    if isinstance(value, Hex):
        return f"0x{value.value:0{value.digits}X}"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, bytes):
        return f'"{value.hex(" ").upper()}"'
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, str):
        return _text(value)
    return "[" + ", ".join(_flow(item) for item in value) + "]"


def _text(text: str) -> str:
    text = CONTROL.sub(" ", text)
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS_OF_YAML:
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _findings(title: str, findings: Sequence[Finding]) -> Iterable[str]:
    if not findings:
        return
    yield "#"
    yield f"# {title} ({len(findings)}):"
    for finding in findings:
        text = f"{clean(finding.kind)} {clean(finding.name)}: {clean(finding.why, limit=600)}"
        yield from textwrap.wrap(
            text,
            LINE_MAX,
            initial_indent="# - ",
            subsequent_indent="#   ",
            break_long_words=False,
            break_on_hyphens=False,
        )
