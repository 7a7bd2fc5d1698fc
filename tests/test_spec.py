"""The specification against hand-made histories, and against itself."""

from collections.abc import Callable

import pytest

from models.spec import Spec
from tests.driver import Driver, run_spec
from tests.rules_jobs import JOB_RULES
from tests.rules_time import TIME_RULES


@pytest.mark.parametrize("second", [1, 2, 1_000_000])
@pytest.mark.parametrize("history", [*JOB_RULES, *TIME_RULES], ids=lambda history: history.__name__)
def test_rule(history: Callable[[Driver], None], second: int) -> None:
    spec = Spec(units_per_second=second)
    history(Driver(lambda call: run_spec(spec, call), second=second))
