"""The report: what it says, and how it behaves in a real browser."""

import dataclasses
import itertools
import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from sim.plots import PLOTS, draw_plots
from sim.report import (
    flat_rows,
    format_count,
    format_duration,
    format_field,
    format_percent,
    format_rate,
    format_value,
    write_report,
)
from sim.result_folder import ResultFolderError
from tests.browser import Browser, BrowserError
from tests.result_folders import EMPTY, SHORT, WEEKS, Made, write_result_folder

THIN = "\u202f"
PHONE, DESKTOP = 390, 1200
BAD = dataclasses.replace(SHORT, checks_hold=False, interrupted=True, buckets=30)
LONG = "averyveryverylongnamewithoutanyplacetobreakitintwoparts" * 2
WIDE = dataclasses.replace(SHORT, buckets=30, classes=(LONG, f"{LONG}2"), pools=((LONG, 2), ("b", 2)))
RUNS = {"short": SHORT, "weeks": WEEKS, "empty": EMPTY, "bad": BAD, "wide": WIDE}


def draw_nothing(figure: Figure, _: object) -> None:
    """Stands in for the models' drawing of the state diagram."""
    figure.text(0.5, 0.5, "states")


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("reports")
    for name, made in RUNS.items():
        write_result_folder(root / name, made)
    # Drawing takes most of this file's time, and a page does not care whose figures it shows.
    draw_plots(root / "weeks", draw_state_diagram=draw_nothing)
    for name in ("short", "wide"):
        shutil.copytree(root / "weeks" / "plots", root / name / "plots")
        (root / name / "plots" / "typical_week.svg").unlink()
    return {name: write_report(root / name) for name in RUNS}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as running:
        yield running


class Page(HTMLParser):
    """The parts of a page that its tests look at."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self._silent = 0
        self.feed(text)
        self.text = re.sub(r"\s+", " ", " ".join(self.words))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {key: value or "" for key, value in attributes}))
        self._silent += tag == "style"

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag == "style"

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]


def page_of(path: Path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


# ------------------------------------------------------------------ in a browser


@pytest.mark.parametrize(
    ("run", "width"), [*((run, PHONE) for run in sorted(RUNS)), ("short", DESKTOP), ("wide", DESKTOP)]
)
def test_the_report_opens_without_error_or_request_and_never_scrolls_sideways(
    reports: dict[str, Path], browser: Browser, run: str, width: int
) -> None:
    visit = browser.visit(reports[run], width=width)
    assert visit.problems() == []
    assert visit.scroll_width <= width
    assert "Terms and units" in visit.text


def planted(reports: dict[str, Path], tmp_path: Path, old: str, new: str) -> Path:
    """The report with a fault planted, and without the policy that would stop it."""
    text = reports["short"].read_text(encoding="utf-8")
    text, policies = re.subn(r"<meta http-equiv=.Content-Security-Policy.[^>]*>", "", text)
    assert policies == 1
    assert old in text
    page = tmp_path / "planted.html"
    page.write_text(text.replace(old, new, 1), encoding="utf-8")
    return page


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        ('<img alt="x" src="http://images.example/x.png">', "request: http://images.example/x.png"),
        ("<script src='https://scripts.example/x.js'></script>", "request: https://scripts.example/x.js"),
        ('<style>@font-face { font-family: f; src: url("http://fonts.example/f"); } h1 { font-family: f }</style>',
         "request: http://fonts.example/f"),
        ("<script>fetch('http://data.example/').catch(() => 0)</script>", "request: http://data.example/"),
        ("<script>console.error('went wrong')</script>", "console: went wrong"),
        ("<script>throw new Error('thrown')</script>", "console: Error: thrown"),
        ('<table><tr><td style="min-width: 700px">wide</td></tr></table>', "scrolls sideways"),
        ('<img alt="broken" src="data:image/svg+xml;base64,AAAA">', "image does not show: broken"),
    ],
)  # fmt: skip
def test_the_browser_sees_each_planted_fault(
    reports: dict[str, Path], browser: Browser, tmp_path: Path, fault: str, found: str
) -> None:
    page = planted(reports, tmp_path, "<main>", f"<main>{fault}")
    assert any(problem.startswith(found) for problem in browser.visit(page, width=PHONE).problems())


def test_a_page_that_is_not_made_for_phones_is_found(
    reports: dict[str, Path], browser: Browser, tmp_path: Path
) -> None:
    meta = '<meta name="viewport" content="width=device-width, initial-scale=1">'
    page = planted(reports, tmp_path, meta, "")
    assert any("scrolls sideways" in problem for problem in browser.visit(page, width=PHONE).problems())


def test_the_policy_of_the_report_stops_images_scripts_and_requests(
    reports: dict[str, Path], browser: Browser, tmp_path: Path
) -> None:
    faults = '<img alt="x" src="http://images.example/x.png"><script>fetch("http://data.example/")</script>'
    page = tmp_path / "page.html"
    page.write_text(reports["short"].read_text(encoding="utf-8").replace("<main>", f"<main>{faults}"), encoding="utf-8")
    visit = browser.visit(page, width=PHONE)
    assert sum("Content Security Policy" in line for line in visit.console) == 2
    assert not any("data.example" in url for url in visit.requests)


def test_without_chromium_the_tests_say_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BrowserError, match="apt-get install chromium"):
        Browser()


# ------------------------------------------------------------------ what it says


def test_equal_results_give_an_equal_report_of_moderate_size(reports: dict[str, Path]) -> None:
    for run, path in reports.items():
        before = path.read_bytes()
        assert write_report(path.parent).read_bytes() == before, run
        assert len(before) < 1_500_000


def test_the_page_is_well_formed_for_assistive_technology(reports: dict[str, Path]) -> None:
    for path in reports.values():
        page = page_of(path)
        assert page.all("html")[0]["lang"] == "en"
        levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
        ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
        assert len(ids) == len(set(ids))
        links = [attributes["href"] for attributes in page.all("a")]
        assert all(link.startswith("#") and link[1:] in ids for link in links)
        assert all(len(image["alt"]) > 20 for image in page.all("img"))
        assert all(
            attributes["aria-labelledby"] in ids for _, attributes in page.tags if "aria-labelledby" in attributes
        )
        assert all(region["tabindex"] == "0" for _, region in page.tags if region.get("class") == "scroll")
        assert not page.all("script")


def test_every_figure_is_inside_with_its_caption(reports: dict[str, Path]) -> None:
    page = page_of(reports["weeks"])
    assert len(page.all("img")) == len(PLOTS)
    assert all(image["src"].startswith("data:image/svg+xml;base64,") for image in page.all("img"))
    for plot in PLOTS:
        assert plot.caption in page.text
        assert plot.caption.count(". ") == 0  # one sentence
    assert len(page_of(reports["short"]).all("img")) == len(PLOTS) - 1


def test_a_folder_without_figures_gives_a_report_without_them(tmp_path: Path) -> None:
    page = page_of(write_report(write_result_folder(tmp_path / "run", Made(buckets=3))))
    assert page.all("img") == []
    assert "#figures" not in [link["href"] for link in page.all("a")]


def test_the_numbers_are_there(reports: dict[str, Path]) -> None:
    text = page_of(reports["short"]).text
    assert "demo <work & play>" in text  # escaped in the file, whole on the page
    assert "demo <work" not in reports["short"].read_text(encoding="utf-8")
    for words in (
        "Throughput 20.2", "Utilisation 77.3", "Wait p50", "Wait p90", "Wait p99", "Wait p99.9", "Total p99",
        "Jobs put 82,868", "Jobs left 16 16 ready", "Timeouts 281", "Releases 794", "Buries 25",
        "Transitions checked 252,039 all legal", "jsm simulate demo --seed 7 --out out/demo", "versions: simpy 4.1.2",
        "wall 2.31 s", "reserved ttr-expired ready 281", "The log's submit times are start times",
        "All 2 self-checks hold", "The first 5 min are warm-up",
    ):  # fmt: skip
        assert words in text
    assert "FAILS" not in text
    assert "Interrupted" not in text
    assert text.count("✓ holds") == 2


def test_every_edge_is_in_the_table(reports: dict[str, Path]) -> None:
    page = page_of(reports["short"])
    assert sum(row.get("class") == "none" for row in page.all("tr")) == 13
    assert "buried reserve-job reserved 0" in page.text


def test_classes_have_rows(reports: dict[str, Path]) -> None:
    text = page_of(reports["short"]).text
    for name in ("all", "interactive", "batch"):
        assert f"wait {name} " in text
        assert f"total {name} " in text


def test_a_failed_check_and_an_interruption_are_said_first_and_in_words(reports: dict[str, Path]) -> None:
    text = page_of(reports["bad"]).text
    assert text.index("Interrupted.") < text.index("1 of 2 self-checks fails") < text.index("Throughput")
    assert "✗ FAILS" in text
    assert "31.25 against 32.5" in text
    assert "self-checks hold" not in text


def test_the_lines_of_a_log_are_accounted_for(reports: dict[str, Path]) -> None:
    text = page_of(reports["weeks"]).text
    assert "Producer ipsc" in text
    assert "lines read 18,242 used 18,239 left out none" in text
    assert "rejected: the run time is negative 3 (first in line 1,234)" in text
    assert "Producer" not in page_of(reports["short"]).text


def test_numbers_that_do_not_exist_are_dashes(reports: dict[str, Path]) -> None:
    text = page_of(reports["empty"]).text
    assert "Wait p50 – " in text
    assert "Total p99 – " in text
    assert "wait all 0 – – – – – – " in text


def test_a_missing_key_inside_the_summary_names_itself(tmp_path: Path) -> None:
    folder = write_result_folder(tmp_path / "run", Made(buckets=3))
    file = folder / "summary.json"
    file.write_text(file.read_text(encoding="utf-8").replace('"timeouts"', '"timeouds"'), encoding="utf-8")
    with pytest.raises(ResultFolderError, match=r"summary\.json: timeouts: the key is missing"):
        write_report(folder)


# ------------------------------------------------------------------ numbers as text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (0, "0 s"),
        (1e-6, "1 µs"),
        (0.00123456, "1.23 ms"),
        (0.9994, "999 ms"),
        (0.99996, "1,000 ms"),
        (1.0, "1 s"),
        (75.04, "75.0 s"),
        (119.9, "120 s"),
        (120.0, "2 min"),
        (7200.0, "2 h"),
        (62_643.0, "17.4 h"),
        (172_800.0, "2 d"),
        (7_948_800.0, "92 d"),
        (123_456_789.0, "1,429 d"),
    ],
)
def test_a_duration_is_read_in_its_own_unit(seconds: float | None, text: str) -> None:
    assert format_duration(seconds).replace(THIN, " ") == text


@pytest.mark.parametrize(
    ("per_second", "text"),
    [(None, "–"), (0.0, "0 / s"), (4.0, "4 / s"), (19.96, "20.0 / s"), (0.5, "30 / min"), (0.0022945, "8.26 / h"),
     (1e-5, "0.864 / d"), (123_456.7, "123,457 / s")],
)  # fmt: skip
def test_a_rate_is_read_in_a_unit_in_which_it_is_at_least_1(per_second: float | None, text: str) -> None:
    assert format_rate(per_second).replace(THIN, " ") == text


def test_other_values_as_text() -> None:
    assert format_count(None) == "–"
    assert format_count(1_234_567) == "1,234,567"
    assert format_percent(None) == "–"
    assert format_percent(0.77349) == f"77.3{THIN}%"
    assert format_value(True) == "yes"
    assert format_value(31.25) == "31.25"
    assert format_value(20_549_444_000_000) == "20,549,444,000,000"
    assert format_value(0.1 + 0.2) == "0.3"
    assert format_field("wall_seconds", 75) == f"75{THIN}s"
    assert format_field("utilisation", None) == "–"
    assert format_field("utilisation", 0.5) == f"50.0{THIN}%"


def test_nested_values_become_rows() -> None:
    nested = {"a_seconds": 2, "b": {"c": [1, 2], "d": {}}, "e": [{"f": "x"}, {"f": "y"}], "g": []}
    assert list(flat_rows(nested)) == [
        ("a", f"2{THIN}s"), ("b: c", "1, 2"), ("b: d", "none"), ("e 1: f", "x"), ("e 2: f", "y"), ("g", "none"),
    ]  # fmt: skip
