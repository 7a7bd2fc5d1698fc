"""Corpora for tests: as small as can be, and one with everything that a step can do."""

import json
from pathlib import Path
from typing import Any


def step(send: str = "", reply: str = "", **fields: Any) -> dict[str, Any]:
    """A step on connection 1: a send, unless `op` says otherwise."""
    replies = fields.pop("n_replies", 1 if reply else 0)
    return {"conn": 1, "op": "send", "wait": 0, "send": send, "reply": reply, "n_replies": replies, **fields}


def conversation(*steps: dict[str, Any], name: str = "talk", **fields: Any) -> dict[str, Any]:
    """A conversation of these steps."""
    return {"name": name, "steps": list(steps), **fields}


def bad_input(send: str, expect_doc: str, observed: str | None = None, **fields: Any) -> dict[str, Any]:
    """An input that is answered as protocol.txt asks for, and in step, unless told otherwise."""
    return {
        "name": "input",
        "send": send,
        "expect_doc": expect_doc,
        "observed": expect_doc if observed is None else observed,
        "probe_after": "list-tube-used\r\n",
        "probe_observed": "USING default\r\n",
        "in_sync": True,
        **fields,
    }


def write_corpus(folder: Path, *entries: dict[str, Any], name: str = "corpus.json") -> Path:
    """Write conversations and inputs as one file."""
    document = {
        "conversations": [each for each in entries if "steps" in each],
        "cases": [each for each in entries if "steps" not in each],
    }
    path = folder / name
    path.write_text(json.dumps(document), "utf-8")
    return path
