"""What holds for all tests: those that need a browser are left out, and said so, where there is none."""

import shutil

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is marked `browser`, or uses a fixture of that name, on a machine without Chromium."""
    if shutil.which("chromium") is not None:
        return
    in_browser = [item for item in items if item.get_closest_marker("browser") or "browser" in _fixtures(item)]
    if in_browser:
        items[:] = [item for item in items if item not in in_browser]
        config.hook.pytest_deselected(items=in_browser)


def pytest_report_header() -> str | None:
    """Say it first; with several processes, this is the place that everybody sees."""
    if shutil.which("chromium") is None:
        return "chromium is not installed: tests in a browser are left out; to run them: apt-get install chromium"
    return None


def _fixtures(item: pytest.Item) -> tuple[str, ...]:
    return tuple(getattr(item, "fixturenames", ()))
