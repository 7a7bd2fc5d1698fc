"""Counterexamples worth reading: one artefact in four renderings.

| form | is |
| --- | --- |
| `steps` | numbered steps in words, with what changed, then what is wrong: for logs |
| `pytest` | a runnable test against the public API, which fails as long as the fault is there |
| `mermaid` | a sequence diagram: for issues and reviews |
| `jsonl` | a trace: for `jsm verify` and other programs |
"""

import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from jsm.errors import BadValueError
from jsm.machine import Machine
from models.finding import Counterexample
from models.rendering_mermaid import mermaid
from models.rendering_pytest import as_test, target_of_maker, test_name
from models.rendering_steps import steps
from models.rendering_trace import trace
from models.retelling import retell

FORMS: Final = ("steps", "pytest", "mermaid", "jsonl")
"""The forms of `render`."""


def render(
    counterexample: Counterexample,
    form: str,
    *,
    make_machine: Callable[..., Machine] = Machine,
    target: str | None = None,
) -> str:
    """The counterexample in one of `FORMS`, its calls made anew on what `make_machine` makes.

    `target` says from where the test imports `make_machine`, as `module:name`; left out, it is the place where it was
    defined. Raises `BadValueError` for another form or a bad target. O(calls) calls, each with a look at the state.
    """
    match form:
        case "steps":
            return steps(counterexample, retell(counterexample, make_machine))
        case "pytest":
            return as_test(counterexample, make_machine, target or target_of_maker(make_machine))
        case "mermaid":
            return mermaid(counterexample, retell(counterexample, make_machine))
        case "jsonl":
            return trace(counterexample, make_machine)
        case _:
            raise BadValueError("form", form, f"one of {', '.join(FORMS)}")


def file_names(counterexample: Counterexample) -> Mapping[str, str]:
    """The name of the file of each form; the test's is after the finding, so that tests of several may be collected."""
    return {
        "steps": "steps.txt",
        "pytest": f"{test_name(counterexample)}.py",
        "mermaid": "sequence.mmd",
        "jsonl": "trace.jsonl",
    }


def write_counterexample(
    folder: str | os.PathLike[str],
    counterexample: Counterexample,
    *,
    make_machine: Callable[..., Machine] = Machine,
    target: str | None = None,
) -> list[Path]:
    """Write all four renderings into a folder, made if need be, and return their paths in the order of `FORMS`.

    All texts are made before the first is written, and each file is replaced at once: none is ever half-written.
    Raises `OSError` when the folder can't be written.
    """
    place = Path(folder)
    names = file_names(counterexample)
    texts = {names[form]: render(counterexample, form, make_machine=make_machine, target=target) for form in FORMS}
    place.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".counterexample-", dir=place) as temporary:
        for name, text in texts.items():
            (Path(temporary) / name).write_text(text, encoding="utf-8")
        for name in texts:
            (Path(temporary) / name).replace(place / name)
    return [place / name for name in texts]
