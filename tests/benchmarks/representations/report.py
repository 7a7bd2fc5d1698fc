"""The measurements as tables that a person reads."""

from typing import Any

Lines = list[str]


def as_markdown(report: dict[str, Any]) -> str:
    """The report of `bench_representations.measure` as Markdown; every ratio is to A, and above 1 is better than A."""
    names = list(report["prototypes"])
    lines = [
        "# Inner representations, measured",
        "",
        f"Made by `{report['command']}` at commit {report['commit']}, {report['python']}, {report['machine']};",
        f"{report['method']}.",
        "In brackets the ratio to A: above 1 is better. What follows from it stands in",
        "[decision 0001](decisions/0001-inner-representation.md).",
        "",
        *_table(
            ["", "lines in all", "prototype"],
            [[name, str(about["lines"]), about["what"]] for name, about in report["prototypes"].items()],
        ),
        *_throughput(report["throughput"], names),
        *_exploring(report["exploring"], names),
        *_memory(report["memory"], names),
        *_operations(report["operations"], report["primitives"]),
    ]
    return "\n".join(lines) + "\n"


def _throughput(rows: list[dict[str, Any]], names: Lines) -> Lines:
    return [
        "",
        "## Cycles a second",
        "",
        "Steady: put, reserve, tick, next_tick_at, delete; the ttr of 60 s is never reached. Firing: one put and two",
        "reserves, with delays and ttrs of 1 and 2 s that end. The unit is a microsecond, so that nearly all dues are",
        "distinct, or a whole second, which a thousand dues share.",
        "",
        *_table(
            ["load", "resident", *names],
            [
                [row["load"], f"{row['resident']:,}", *_with_ratios(row["cycles_per_second"], more_is_better=True)]
                for row in rows
            ],
        ),
    ]


def _exploring(world: dict[str, Any], names: Lines) -> Lines:
    return [
        "",
        "## Exploring",
        "",
        "Snapshot, operation, restore and key of every state of a closed world: two clients, two tubes and",
        f"at most {world['jobs']} jobs make {world['states']:,} states and {world['operations']:,} operations, for",
        "every prototype the same.",
        "",
        *_table(["", *names], [["states/s", *_with_ratios(world["states_per_second"], more_is_better=True)]]),
    ]


def _memory(rows: list[dict[str, Any]], names: Lines) -> Lines:
    return [
        "",
        "## Bytes a job",
        "",
        f"{rows[0]['jobs']:,} jobs, bodies empty and shared, priorities random; each delayed job has a due of its own.",
        "",
        *_table(
            ["state", "meter", *names],
            [[row["state"], row["meter"], *_with_ratios(row["bytes_per_job"], more_is_better=False)] for row in rows],
        ),
    ]


def _operations(rows: list[dict[str, Any]], primitives: list[dict[str, Any]]) -> Lines:
    return [
        "",
        "## Single operations, nanoseconds",
        "",
        "Each in a batch of its own, the empty loop subtracted; 2,000 jobs are reserved at a time (above it is 10).",
        "",
        *_table(
            ["", "resident", *rows[0]["nanoseconds"]],
            [[row["prototype"], f"{row['resident']:,}", *_nanoseconds(row)] for row in rows],
        ),
        "",
        "What no representation avoids:",
        "",
        *_table(
            ["resident", *primitives[0]["nanoseconds"]],
            [[f"{row['resident']:,}", *_nanoseconds(row)] for row in primitives],
        ),
    ]


def _nanoseconds(row: dict[str, Any]) -> Lines:
    return [f"{value:,.0f}" for value in row["nanoseconds"].values()]


def _with_ratios(values: dict[str, float], *, more_is_better: bool) -> Lines:
    base = values["A"]
    return [f"{value:,.0f} ({value / base if more_is_better else base / value:.2f})" for value in values.values()]


def _table(head: Lines, rows: list[Lines]) -> Lines:
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]
