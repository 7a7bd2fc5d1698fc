"""Scenario files: finding, reading, overriding, checking. The keys are in `sim.scenario_models`.

`python -m sim.scenario` writes the published JSON Schema, `sim/scenarios/scenario.schema.json`.
"""

import json
import tomllib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sim.input_errors import ScenarioError
from sim.overrides import apply_overrides
from sim.scenario_checks import check_scenario
from sim.scenario_errors import scenario_error
from sim.scenario_models import Scenario

DEFAULT_SCENARIO = "steady"
"""The bundled scenario that is run when none is named."""

SCENARIO_FOLDER = Path(__file__).parent / "scenarios"
SCHEMA_FILE = SCENARIO_FOLDER / "scenario.schema.json"


def bundled_scenarios() -> dict[str, Path]:
    """The scenarios that are installed with the simulator, by name, in the order of the alphabet."""
    return {path.stem: path for path in sorted(SCENARIO_FOLDER.glob("*.toml"))}


def load_scenario(source: str | Path = DEFAULT_SCENARIO, overrides: Iterable[str] = ()) -> Scenario:
    """The scenario in a TOML file, in a `scenario.json` of an earlier run, or bundled under the given name.

    `overrides` are texts such as `workers.count=8`, later ones win. Raises `InputError`: everything about the
    scenario that can be known before a run is checked here.
    """
    path = _path_of(source)
    file = path.name
    raw = _read(path, str(source))
    placed = apply_overrides(raw, overrides)
    try:
        scenario = Scenario.model_validate(raw, context={"read_values": _ValuesReader(path.parent)})
    except ValidationError as error:
        raise scenario_error(error, raw=raw, schema=scenario_schema(), file=file, overrides=placed) from None
    scenario._directory = path.parent
    check_scenario(scenario, " with ".join([file, *dict.fromkeys(override.label for override in placed.values())]))
    return scenario


@cache
def scenario_schema() -> Mapping[str, Any]:
    """The JSON Schema (draft 2020-12) of a scenario file, made from the models."""
    schema = Scenario.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def schema_text() -> str:
    """The published form of the schema."""
    return json.dumps(scenario_schema(), indent=2, ensure_ascii=False) + "\n"


class _ValuesReader:
    """Reads the values of an empirical distribution from a file beside the scenario."""

    __slots__ = ("_directory",)

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def __call__(self, file: str) -> list[float]:
        """One value a line; blank lines and lines that start with # don't count. Raises `ValueError`."""
        try:
            lines = (self._directory / file).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
            raise ValueError(f"{file} can't be read ({reason}); give a text file with one value a line") from error
        values: list[float] = []
        for number, line in enumerate(lines, start=1):
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            try:
                values.append(float(line))
            except ValueError:
                message = f"line {number} of {file} is {line.strip()!r}, no number; write one value in seconds a line"
                raise ValueError(message) from None
        return values


def _path_of(source: str | Path) -> Path:
    """The file that is meant. A file that exists comes before a bundled name."""
    path = Path(source)
    if path.is_file():
        return path
    bundled = bundled_scenarios()
    if str(source) in bundled:
        return bundled[str(source)]
    if path.exists():
        raise ScenarioError(str(source), "", None, "this is not a file", "give a scenario file")
    near = get_close_matches(path.stem, bundled, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    remedy = f"{hint}give a path, or one of the bundled scenarios: {', '.join(bundled)}"
    raise ScenarioError(str(source), "", None, "there is no such scenario", remedy)


def _read(path: Path, source: str) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ScenarioError(source, "", None, f"can't be read ({error.strerror})", "give a readable file") from error
    except UnicodeDecodeError as error:
        problem = f"byte {error.start} is no UTF-8"
        raise ScenarioError(source, "", None, problem, "save the file as UTF-8 text") from error
    try:
        raw = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError(source, "", None, f"this is no TOML: {error}", "mend it there") from error
    except json.JSONDecodeError as error:
        raise ScenarioError(source, "", None, f"this is no JSON: {error}", "mend it there") from error
    if not isinstance(raw, dict):
        raise ScenarioError(source, "", None, "this is no table of settings", "give a scenario file")
    return raw


if __name__ == "__main__":
    SCHEMA_FILE.write_text(schema_text(), encoding="utf-8")
