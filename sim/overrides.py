"""`--set` of single keys: `workers.count=8`, `producers.web.arrivals.rate_per_second=4.5`, `watch` lists and all.

The path names tables and keys with dots; an entry of a list is named by its place from 0 (`workers.0.count` or
`workers[0].count`) or, for producers and pools, by its name, and a list of one needs neither. The value is TOML;
a bare word is a text. What is set is checked as if it stood in the file.
"""

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sim.input_errors import ScenarioError

_DEFAULT_NAMES = {"producers": "jobs", "workers": "workers"}
_STARTS_LIKE_TOML = ("[", "{", '"', "'")

Location = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Override:
    """One `--set`, and where it was put."""

    text: str
    path: tuple[str, ...]
    value: Any

    @property
    def label(self) -> str:
        """What errors call the place that it comes from."""
        return f"--set {self.text}"


def parsed_override(text: str) -> Override:
    """`PATH=VALUE` taken apart. Raises `ScenarioError`."""
    path, equals, value = text.partition("=")
    keys = tuple(key for key in re.sub(r"\[(\d+)\]", r".\1", path.strip()).split("."))
    if not equals or not all(re.fullmatch(r"[A-Za-z0-9_-]+", key) for key in keys):
        raise ScenarioError(f"--set {text}", "", None, "this is not KEY=VALUE", "write it like workers.count=8")
    return Override(text, keys, _parsed_value(value.strip(), text))


def apply_overrides(raw: dict[str, Any], overrides: Iterable[str]) -> dict[Location, Override]:
    """Put each override into `raw`, the tables of a scenario file, the last one winning.

    Returns where each one went, so that an error there can name it. Raises `ScenarioError` for a path that leads
    nowhere; a key that doesn't exist is left to the check of the whole.
    """
    placed: dict[Location, Override] = {}
    for text in overrides:
        override = parsed_override(text)
        location = _put(raw, override)
        placed.pop(location, None)  # so that the order is that of the values that stand
        placed[location] = override
    return placed


def _parsed_value(text: str, override: str) -> Any:
    try:
        document = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError as error:
        if text.startswith(_STARTS_LIKE_TOML) or not text:
            problem = f"the value is no TOML ({error})"
            raise ScenarioError(f"--set {override}", "", None, problem, "write it as in a scenario file") from error
        return text
    return document["value"] if len(document) == 1 else text


def _put(raw: dict[str, Any], override: Override) -> Location:
    table: Any = raw
    location: Location = ()
    for depth, key in enumerate(override.path):
        if depth == 1 and override.path[0] in _DEFAULT_NAMES:
            table, location, consumed = _entry(table, location, key, override)
            if consumed and depth < len(override.path) - 1:
                continue
        last = depth == len(override.path) - 1
        if isinstance(table, list):
            place = _list_place(table, key, override)
            if last:
                table[place] = override.value
                return (*location, place)
            table, location = table[place], (*location, place)
        elif not isinstance(table, dict):
            shown = ".".join(override.path[:depth])
            problem = f"{shown} is no table, so there is no {key} in it"
            raise ScenarioError(override.label, "", None, problem, f"set {shown} as a whole")
        elif last:
            table[key] = override.value
            return (*location, key)
        else:
            table, location = table.setdefault(key, {}), (*location, key)
    raise AssertionError("a path has at least one key")


def _entry(entries: Any, location: Location, key: str, override: Override) -> tuple[Any, Location, bool]:
    """The producer or pool that `key` names, where it is, and whether the key was used up by naming it."""
    kind = override.path[0]
    if isinstance(entries, dict):
        return entries, location, key in (entries.get("name", _DEFAULT_NAMES[kind]), "0")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        return entries, location, False
    names = [str(entry.get("name", _DEFAULT_NAMES[kind])) for entry in entries]
    if key in names:
        return entries[names.index(key)], (*location, names.index(key)), True
    if key.isdecimal() and int(key) < len(entries):
        return entries[int(key)], (*location, int(key)), True
    if len(entries) == 1:
        return entries[0], (*location, 0), False
    rest = ".".join(override.path[2:] if len(override.path) > 2 else override.path[1:])
    ways = ", ".join(f"{kind}.{name}.{rest}" for name in names)
    problem = f"there are {len(entries)} {kind}, and none is called {key}"
    raise ScenarioError(override.label, "", None, problem, f"say which: {ways}")


def _list_place(entries: list[Any], key: str, override: Override) -> int:
    if key.isdecimal() and int(key) < len(entries):
        return int(key)
    problem = f"{key} is no place in a list of {len(entries)}"
    raise ScenarioError(override.label, "", None, problem, f"name the entry by its place, 0 to {len(entries) - 1}")
