"""Makes result folders as `jsm simulate` writes them, out of simple deterministic arithmetic instead of a simulation.

Good enough to be looked at: arrivals with a rhythm, queues that follow from them, latencies with a tail.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from jsm.states import LIVE_STATES
from jsm.transitions import transitions

HOUR = 3600.0
DAY = 24 * HOUR


@dataclass(frozen=True, slots=True)
class Made:
    """What to make: a run of `buckets` buckets of `width` seconds."""

    width: float = 16.0
    buckets: int = 256
    per_second: float = 20.0
    service_seconds: float = 0.6
    pools: tuple[tuple[str, int], ...] = (("fast", 10), ("slow", 6))
    classes: tuple[str, ...] = ()
    rhythm: bool = False  # days and weeks in the arrivals
    deletes: bool = True
    reserves: bool = True
    warmup_seconds: float = 0.0
    tail: float = 1.0  # the spread of latencies
    interrupted: bool = False
    checks_hold: bool = True
    starts_at: str | None = None
    trace: bool = False


def write_result_folder(folder: Path, made: Made) -> Path:
    """Writes summary.json, run.json and metrics/*.parquet; the same `made` gives the same bytes."""
    (folder / "metrics").mkdir(parents=True)
    random = np.random.default_rng(7)
    timeline = _timeline(made, random)
    latency = _latency(made, timeline)
    workers = _workers(made, random)
    edges = _edges(made, timeline)
    for name, frame in (("timeline", timeline), ("latency", latency), ("workers", workers), ("edges", edges)):
        frame.write_parquet(folder / "metrics" / f"{name}.parquet")
    summary = _summary(made, timeline, latency, workers, edges)
    (folder / "summary.json").write_text(json.dumps(summary, indent=1), encoding="utf-8")
    (folder / "run.json").write_text(json.dumps(_RUN, indent=1), encoding="utf-8")
    return folder


_RUN = {
    "command": "jsm simulate demo --seed 7 --out out/demo",
    "wall_seconds": 2.31,
    "simulated_seconds_per_second": 1773.2,
    "versions": {"jsm": "0.1.0", "python": "3.11.2", "simpy": "4.1.2", "numpy": "2.4.6"},
}


def _timeline(made: Made, random: np.random.Generator) -> pl.DataFrame:
    start = np.arange(made.buckets) * made.width
    middle = start + made.width / 2
    rate = np.full(made.buckets, made.per_second)
    if made.rhythm:
        weekday = ((middle // DAY).astype(np.int64) + 4) % 7
        rate *= np.where(weekday >= 5, 0.35, 1.0) * (1 + 0.8 * np.sin((middle % DAY / DAY - 0.3) * 2 * np.pi))
    else:
        rate *= 1 + 0.25 * np.sin(middle / (start[-1] + made.width) * 7)
    puts = random.poisson(rate * made.width)
    workers = sum(count for _, count in made.pools)
    can = workers / made.service_seconds * made.width
    deletes, ready = np.zeros(made.buckets, np.int64), np.zeros(made.buckets)
    backlog = 0.0
    for i in range(made.buckets):
        done = min(backlog + puts[i] * 0.96, can * random.uniform(0.9, 1.0)) if made.deletes else 0
        deletes[i] = int(done)
        backlog += puts[i] - int(done)
        ready[i] = backlog
    busy = np.minimum(workers, deletes * made.service_seconds / made.width)
    reserves = (deletes * 1.03).astype(np.int64) if made.reserves else np.zeros_like(deletes)
    p50 = ready / np.maximum(deletes / made.width, 1e-9) + 0.002
    waited, finished = reserves > 0, deletes > 0
    columns: dict[str, Any] = {
        "start_seconds": start,
        "width_seconds": np.full(made.buckets, made.width),
        "puts": puts,
        "reserves": reserves,
        "deletes": deletes,
        "timeouts": deletes // 200,
        "releases": deletes // 90,
        "buries": deletes // 400,
        "kicks": deletes // 900,
        "ready_mean": ready,
        "delayed_mean": 0.15 * ready + 2 if made.deletes else 0 * ready,
        "reserved_mean": busy,
        "buried_mean": np.cumsum(deletes // 400).astype(float),
        "busy_mean": busy,
        "workers": np.full(made.buckets, workers),
        "wait_count": reserves,
        "total_count": deletes,
    }
    for name, spread in (("mean", 1.3), ("p50", 1.0), ("p90", 2.5), ("p99", 5.0)):
        wait = p50 * spread**made.tail * random.uniform(0.95, 1.05, made.buckets)
        columns[f"wait_{name}"] = np.where(waited, wait, np.nan)
        columns[f"total_{name}"] = np.where(finished, wait + made.service_seconds * spread, np.nan)
    return pl.DataFrame(columns).with_columns(pl.col("^(wait|total)_(mean|p50|p90|p99)$").fill_nan(None))


def _latency(made: Made, timeline: pl.DataFrame) -> pl.DataFrame:
    rows: list[tuple[str, str, float, float, int]] = []
    names = ("", *made.classes)
    for measure in ("wait", "total"):
        everything = int(timeline[f"{measure}_count"].sum())
        for index, name in enumerate(names):
            count = everything if name == "" else everything // (2**index)
            if count == 0:
                continue
            nines = np.linspace(0, min(5.0, np.log10(count)), 120)
            base = float(timeline[f"{measure}_p50"].median() or 0) * (0.5 + 0.4 * index)  # type: ignore[arg-type]
            seconds = np.maximum(0, base * (nines**1.5) ** made.tail - (0 if measure == "total" else base * 0.2))
            rows += [
                (measure, name, float(100 - 100 * 10.0**-nine), float(second), count)
                for nine, second in zip(nines, seconds, strict=True)
            ]
            rows.append((measure, name, 100.0, float(seconds[-1]), count))
    schema = ["measure", "class", "percentile", "seconds", "count"]
    types = dict(zip(schema, (pl.String, pl.String, pl.Float64, pl.Float64, pl.Int64), strict=True))
    return pl.DataFrame(rows, schema=types, orient="row")


def _workers(made: Made, random: np.random.Generator) -> pl.DataFrame:
    present = made.width * made.buckets
    rows = []
    for pool, count in made.pools:
        for worker in range(count):
            share = float(random.uniform(0.6, 0.95)) if made.deletes else 0.0
            rows.append((pool, worker, share * present, present, share, int(900 * share), 3, 0, 1))
    names = ("pool", "worker", "busy_seconds", "present_seconds", "utilisation", "jobs_done", "failures", "crashes")
    return pl.DataFrame(rows, schema=[*names, "late"], orient="row")


def _edges(made: Made, timeline: pl.DataFrame) -> pl.DataFrame:
    puts, deletes = int(timeline["puts"].sum()), int(timeline["deletes"].sum())
    known = {
        ("new", "put"): puts,
        ("ready", "reserve"): int(timeline["reserves"].sum()),
        ("reserved", "delete"): deletes,
        ("reserved", "release"): int(timeline["releases"].sum()),
        ("reserved", "bury"): int(timeline["buries"].sum()),
        ("reserved", "ttr-expired"): int(timeline["timeouts"].sum()),
        ("buried", "kick"): int(timeline["kicks"].sum()),
    }
    rows = [(str(t.source), str(t.trigger), str(t.target), known.get((t.source, t.trigger), 0)) for t in transitions()]
    return pl.DataFrame(rows, schema=["source", "trigger", "target", "count"], orient="row")


def _spread(latency: pl.DataFrame, measure: str, name: str) -> dict[str, Any]:
    rows = latency.filter((pl.col("measure") == measure) & (pl.col("class") == name))
    keys = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "p999": 99.9, "max": 100.0}
    if not rows.height:
        return {"count": 0, "mean": None, **dict.fromkeys(keys)}
    at, seconds = rows["percentile"].to_numpy(), rows["seconds"].to_numpy()
    values = {key: float(np.interp(percentile, at, seconds)) for key, percentile in keys.items()}
    return {"count": int(rows["count"][0]), "mean": values["p50"] * 1.4, **values}


def _summary(
    made: Made, timeline: pl.DataFrame, latency: pl.DataFrame, workers: pl.DataFrame, edges: pl.DataFrame
) -> dict[str, Any]:
    seconds = made.width * made.buckets
    puts, deletes = int(timeline["puts"].sum()), int(timeline["deletes"].sum())
    summary: dict[str, Any] = {
        "format": 1,
        "scenario": "demo <work & play>",
        "description": "Sixteen workers in two pools take jobs from one tube; one job in ninety is released.",
        "seed": 7,
        "interrupted": made.interrupted,
        "simulated_seconds": seconds,
        "warmup_seconds": made.warmup_seconds,
        "jobs": {
            "put": puts,
            "deleted": deletes,
            "left": {"ready": puts - deletes, "delayed": 0, "reserved": 0, "buried": 0},
        },
        "throughput_per_second": deletes / seconds,
        "utilisation": float(workers["utilisation"].mean() or 0) if workers.height else None,  # type: ignore[arg-type]
        "littles_law": {
            str(state): {"mean_jobs": 2.58515375, "visits_per_second": 0.0022945, "mean_visit_seconds": 1126.68}
            for state in LIVE_STATES
        },
        "workers": {
            pool: {"count": count, "utilisation": 0.77, "busy_seconds": 13950.5, "jobs_done": 1234, "crashes": 0}
            for pool, count in made.pools
        },
        "counts": {name: int(timeline[name].sum()) for name in ("reserves", "timeouts", "releases", "buries", "kicks")},
        "transitions": {
            "checked": int(edges["count"].sum()),
            "illegal": 0,
            "edges": {f"{s}>{t} by {trigger}": count for s, trigger, t, count in edges.iter_rows()},
            "edge_pairs_seen": 31,
        },
        "checks": [
            {"name": "puts", "holds": True, "left": puts, "right": puts, "text": "puts = deletes + jobs left"},
            {
                "name": "littles_law_ready",
                "holds": made.checks_hold,
                "left": 31.25,
                "right": 31.25 if made.checks_hold else 32.5,
                "text": "Little's law for ready: mean number = rate of arrivals × mean time in the state",
            },
        ],
        "notes": ["The log's submit times are start times: waits here are those of this simulation, not of 1993."],
    }
    for measure in ("wait", "total"):
        summary[f"{measure}_seconds"] = {
            **_spread(latency, measure, ""),
            "by_class": {name: _spread(latency, measure, name) for name in made.classes},
        }
    if made.starts_at is not None:
        summary["starts_at"] = made.starts_at
    if made.trace:
        summary["input"] = {
            "ipsc": {
                "file": "NASA-iPSC-1993-3.1-cln.swf.gz",
                "lines_read": 18_242,
                "used": 18_239,
                "left_out": {},
                "rejected": [{"reason": "the run time is negative", "count": 3, "first_line": 1_234}],
                "out_of_order": 0,
            }
        }
    return summary


SHORT = Made(classes=("interactive", "batch"), warmup_seconds=300.0)
WEEKS = Made(
    width=16384.0,
    buckets=485,
    per_second=0.0025,
    service_seconds=1300.0,
    pools=(("ipsc", 4),),
    rhythm=True,
    tail=1.6,
    trace=True,
    starts_at="1993-10-01T00:00:03-08:00",
)
EMPTY = Made(buckets=1, width=1.0, deletes=False, reserves=False, per_second=3.0)
MANY = Made(buckets=400, width=0.03125, per_second=4000.0, service_seconds=0.05, pools=(("all", 220),))
