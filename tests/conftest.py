"""What holds for all tests: those that need a program which is not installed are left out, and said so."""

import shutil
from typing import Final, NamedTuple

import pytest


class Need(NamedTuple):
    """Programs that tests with a marker, or a fixture, of one name need, and the Debian packages that have them."""

    programs: tuple[str, ...]
    packages: str
    what: str

    @property
    def is_met(self) -> bool:
        """Whether all programs are there."""
        return all(shutil.which(program) for program in self.programs)


NEEDS: Final = {
    "browser": Need(("chromium",), "chromium", "tests in a browser"),
    "spin": Need(("spin", "gcc"), "spin gcc", "tests against SPIN"),
    "beanstalkd": Need(("beanstalkd",), "beanstalkd", "tests against beanstalkd"),
}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs a program that is not there."""
    unmet = [name for name, need in NEEDS.items() if not need.is_met]
    left_out = [item for item in items if any(_needs(item, name) for name in unmet)]
    if left_out:
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)


def pytest_report_header() -> list[str]:
    """Say it first; with several processes, this is the place that everybody sees."""
    return [
        f"{' or '.join(need.programs)} is not installed: {need.what} are left out; to run them: "
        f"apt-get install {need.packages}"
        for need in NEEDS.values()
        if not need.is_met
    ]


def _needs(item: pytest.Item, name: str) -> bool:
    return item.get_closest_marker(name) is not None or name in getattr(item, "fixturenames", ())
