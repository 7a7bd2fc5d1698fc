"""From pydantic's findings to one line: which file, which key, its value, what is wrong, what to do.

The published schema is walked along the location of a finding: it knows which parts of the location are keys and
which only name the kind of a table, which keys exist there, and what each is for (the remedy).
"""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from sim.input_errors import ScenarioError
from sim.overrides import Location, Override

_BOUNDS = {
    "greater_than_equal": ("ge", "at least"),
    "greater_than": ("gt", "above"),
    "less_than_equal": ("le", "at most"),
    "less_than": ("lt", "below"),
}
_KINDS_OF_VALUE = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "a text in quotes",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "finite_number": "a finite number",
    "string_too_short": "a text that is not empty",
    "string_too_long": "a shorter text",
    "string_pattern_mismatch": "1 to 64 letters, digits, - and _, with a letter or digit first",
    "too_short": "a list that is not empty",
}


def scenario_error(
    error: ValidationError,
    *,
    raw: Mapping[str, Any],
    schema: Mapping[str, Any],
    file: str,
    overrides: Mapping[Location, Override],
) -> ScenarioError:
    """The finding that explains most, as one error: a wrong key first, since it makes others, then file order."""
    places = [(_Place(schema, raw, finding["loc"]), finding) for finding in error.errors(include_url=False)]
    place, finding = min(places, key=lambda pair: pair[1]["type"] != "extra_forbidden")
    field, value, problem, remedy = _explained(place, finding)
    location = (*place.location, "kind") if field == f"{place.path}.kind" else place.location
    return ScenarioError(_source(file, location, overrides), field, value, problem, remedy)


def _source(file: str, location: Location, overrides: Mapping[Location, Override]) -> str:
    """Where the value at `location` comes from: the file, an override, or a table of the file with overrides in it."""
    inside: list[str] = []
    for place, override in reversed(list(overrides.items())):
        if place == location[: len(place)]:
            return override.label
        if location == place[: len(location)]:
            inside.insert(0, override.label)
    return " with ".join([file, *inside])


def toml_text(value: Any) -> str:
    """A value as it would stand in a scenario file."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml_text(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml_text(entry) for entry in value) + "]"
    return str(value)


class _Place:
    """Where a finding points: in the file's tables, and in the schema."""

    __slots__ = ("has_value", "location", "node", "parent", "path", "purpose", "value")

    def __init__(self, schema: Mapping[str, Any], raw: Any, found: tuple[str | int, ...]) -> None:
        self.path = ""
        self.location: Location = ()
        self.value: Any = raw
        self.has_value = True
        self.node: Mapping[str, Any] | None = schema
        self.parent: Mapping[str, Any] | None = None
        self.purpose = "another value"  # what the key is for, the first clause of its description
        for part in found:
            self._step(schema, part)

    def _step(self, schema: Mapping[str, Any], part: str | int) -> None:
        table = _expanded(schema, self.node)
        if isinstance(part, int):
            if isinstance(self.value, dict):
                self.node = _branch(schema, table, "object")  # one table stood for a list of one
                return
            self.path += f"[{part}]"
            self.node = _branch(schema, table, "array").get("items")
        elif part in (tags := _tags(schema, table)):
            self.node = tags[part]
            return
        else:
            self.path += f".{part}" if self.path else part
            self.parent = _branch(schema, table, "object")
            self.node = self.parent.get("properties", {}).get(part)
            if self.node is not None:
                self.purpose = self.node["description"].split(";")[0]
        self.location = (*self.location, part)
        try:
            self.value = self.value[part]
        except (KeyError, IndexError, TypeError):
            self.value, self.has_value = None, False


def _expanded(schema: Mapping[str, Any], node: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The node with its reference followed, and without the alternative of being absent."""
    found = node or {}
    if "$ref" in found:
        found = schema["$defs"][found["$ref"].rsplit("/", 1)[1]]
    given = [branch for branch in found.get("anyOf", ()) if branch.get("type") != "null"]
    return _expanded(schema, given[0]) if len(given) == 1 else found


def _branch(schema: Mapping[str, Any], node: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    """The alternative of the node that is of the JSON type `kind`, or the node itself."""
    for alternative in (*node.get("anyOf", ()), *node.get("oneOf", ())):
        expanded = _expanded(schema, alternative)
        if expanded.get("type") == kind:
            return expanded
    return node


def _tags(schema: Mapping[str, Any], node: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The names of the node's alternatives as they occur in locations; they are no keys of the file."""
    if "discriminator" in node:
        return {tag: {"$ref": reference} for tag, reference in node["discriminator"]["mapping"].items()}
    if "oneOf" in node:  # a plain value or a mapping
        is_table = [_expanded(schema, branch).get("type") == "object" for branch in node["oneOf"]]
        return {"mapping" if table else "plain": branch for table, branch in zip(is_table, node["oneOf"], strict=True)}
    return {}


def _explained(place: _Place, finding: Mapping[str, Any]) -> tuple[str, str | None, str, str]:
    """(field, value, problem, remedy) of one finding."""
    kind = finding["type"]
    context = finding.get("ctx", {})
    value = toml_text(place.value) if place.has_value else None
    if kind == "extra_forbidden":
        return place.path, value, "there is no such key", _known_keys(place)
    if kind == "missing":
        return place.path, None, "is missing", f"give {place.purpose}"
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        return _kind_explained(place, finding)
    if kind == "literal_error":
        expected = str(context["expected"])
        return place.path, value, f"must be one of {expected}", _nearest(place.value, expected)
    if kind == "value_error":
        problem, _, remedy = str(context["error"]).partition("; ")
        shown = None if isinstance(place.value, dict) else value
        return place.path, shown, problem, remedy or f"give {place.purpose}"
    if kind in _BOUNDS:
        bound, words = _BOUNDS[kind]
        return place.path, value, f"must be {words} {context[bound]:.10g}", f"give {place.purpose}"
    problem = f"must be {_KINDS_OF_VALUE[kind]}" if kind in _KINDS_OF_VALUE else finding["msg"]
    return place.path, value, problem, f"give {place.purpose}"


def _kind_explained(place: _Place, finding: Mapping[str, Any]) -> tuple[str, str | None, str, str]:
    """A table whose `kind` is missing or not one of those that exist."""
    if not isinstance(place.value, dict):
        return place.path, toml_text(place.value), 'must be a table such as {kind = "…", …}', f"give {place.purpose}"
    field = f"{place.path}.kind"
    if "kind" not in place.value:
        return field, None, "is missing", f"give the kind of {place.purpose}"
    expected = str(finding["ctx"]["expected_tags"])
    given = place.value["kind"]
    return field, toml_text(given), f"must be one of {expected}", _nearest(given, expected)


def _nearest(given: Any, expected: str) -> str:
    """The remedy for a text that is not among those that `expected` names in quotes."""
    near = get_close_matches(str(given), re.findall(r"'([^']*)'", expected), n=1)
    return f"did you mean '{near[0]}'?" if near else "give one of them"


def _known_keys(place: _Place) -> str:
    known = list((place.parent or {}).get("properties", {}))
    near = get_close_matches(place.path.rsplit(".", 1)[-1], known, n=1)
    keys = f"the keys here are {', '.join(known)}"
    return f"did you mean {near[0]}? {keys}" if near else keys
