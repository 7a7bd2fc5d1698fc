"""Arrival settings: what their chains make of time, and what is refused."""

from typing import Any

import pytest
from pydantic import ValidationError

from sim.arrival_models import MarkovModulatedArrivals, OnOffArrivals, ProfileArrivals


def _states(*rows: tuple[float, float, list[int] | None]) -> dict[str, Any]:
    states = [
        {"rate_per_second": rate, "mean_seconds": seconds, **({} if following is None else {"next": following})}
        for rate, seconds, following in rows
    ]
    return {"kind": "markov-modulated", "states": states}


def test_shares_of_time_balance_what_enters_and_leaves_each_state() -> None:
    made = MarkovModulatedArrivals.model_validate(
        _states((1, 2, [0, 5, 1, 2]), (2, 1, [1, 0, 1, 0]), (3, 4, [0, 0, 0, 1]), (4, 0.5, None))
    )
    assert sum(made.shares) == pytest.approx(1)
    rates = [share / state.mean_seconds for share, state in zip(made.shares, made.states, strict=True)]
    for state, rate in enumerate(rates):
        entering = sum(other * made.moves[place][state] for place, other in enumerate(rates))
        assert entering == pytest.approx(rate)
    assert made.mean_rate() == pytest.approx(sum(a * b for a, b in zip(made.shares, (1, 2, 3, 4), strict=True)))


def test_states_follow_each_other_in_their_order_when_nothing_is_said() -> None:
    made = MarkovModulatedArrivals.model_validate(_states((1, 2, None), (2, 3, None), (3, 5, None)))
    assert [list(row) for row in made.moves] == [[0, 1, 0], [0, 0, 1], [1, 0, 0]]
    assert made.shares == pytest.approx((0.2, 0.3, 0.5))


def test_on_off_is_two_states() -> None:
    made = OnOffArrivals(kind="on-off", rate_per_second=8.0, mean_on_seconds=1.0, mean_off_seconds=3.0).modulated()
    assert made.shares == pytest.approx((0.25, 0.75))
    assert made.mean_rate() == pytest.approx(2.0)


def test_a_profile_knows_its_week() -> None:
    made = ProfileArrivals(
        kind="profile",
        rate_per_second=2.0,
        day=(0.5, 1.5),
        week=(1, 1, 1, 1, 1, 0, 2),
        starts_on="wednesday",
        starts_at_seconds=60.0,
    )
    assert list(made.factors) == [0.5, 1.5] * 5 + [0, 0] + [1.0, 3.0]
    assert (made.peak(), made.mean_rate()) == (3.0, 2.0)
    assert made.starts_after_seconds() == 2 * 86_400 + 60


@pytest.mark.parametrize(
    ("states", "message"),
    [
        (_states((1, 1, [0, 1, 1]), (1, 1, None)), r"states\[0\].next has 3 weights for 2 states; give one each"),
        (_states((1, 1, [1, 1]), (1, 1, None)), r"states\[0\] follows itself; give it a 0"),
        (_states((1, 1, [0, 0]), (1, 1, None)), r"states\[0\].next has no weight above 0"),
        (
            _states((1, 1, [0, 1, 0]), (1, 1, [1, 0, 0]), (1, 1, [1, 0, 0])),
            r"states\[2\] never follows states\[0\]; connect",
        ),
        (_states((0, 1, None), (0, 1, None)), "no state has arrivals; give one"),
        (_states((1, 0, None)), "greater than 0"),
        (_states(), "at least 1 item"),
    ],
)
def test_chains_that_are_none_are_refused(states: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        MarkovModulatedArrivals.model_validate(states)
