"""What other people's test runners print is read right: how many passed, and which did not."""

from collections.abc import Callable

import pytest

from reports.tools.client_suites import (
    SUITES,
    Outcome,
    read_go,
    read_junit,
    read_marks,
    read_minitest,
    read_mocha,
    read_phpunit,
    read_prove,
    read_pytest,
    read_unittest,
    read_vitest,
)

PRINTED = [
    (read_pytest, "....\n44 passed in 11.03s\n", (44, [])),
    (
        read_pytest,
        "FAILED tests/test_a.py::test_b - OSError: [Errno 2]\nERROR tests/test_a.py::test_c\n2 failed, 30 passed",
        (30, ["test_b", "test_c"]),
    ),
    (read_unittest, "..\nRan 10 tests in 0.060s\n\nOK\n", (10, [])),
    (read_unittest, "FAIL: test_big (__main__.T.test_big)\n---\nRan 10 tests in 0.1s\nFAILED", (9, ["test_big"])),
    (read_minitest, "14.8 runs/s, 24 assertions/s.\n\n110 runs, 183 assertions, 0 failures, 0 errors", (110, [])),
    (
        read_minitest,
        "  1) Failure:\nA::b#test_0001_c [/x/y.rb:1]:\n--- expected\n\n  2) Error:\nA::b#test_0002_d:\nNoMethodError\n"
        "4 runs, 3 assertions, 1 failures, 1 errors",
        (2, ["A::b#test_0001_c", "A::b#test_0002_d"]),
    ),
    (read_phpunit, "OK (1057 tests, 2706 assertions)", (1057, [])),
    (read_phpunit, "1) A\\BTest::testC\nError: x\n\nTests: 9, Assertions: 3, Errors: 1.", (8, ["A\\BTest::testC"])),
    (read_prove, "ok 1 - use A\nok 2\nt/a.t .. ok\nResult: PASS", (2, [])),
    (
        read_prove,
        "ok 1 - a\nnot ok 2 - b\n  Parse errors: Bad plan.  You planned 6 tests but ran 5.\nResult: FAIL",
        (1, ["b", "Bad plan.  You planned 6 tests but ran 5."]),
    ),
    (
        read_mocha,
        "  53 passing (15s)\n  1 failing\n\n  1) Worker starting emits:\n     Uncaught",
        (53, ["Worker starting emits"]),
    ),
    (
        read_vitest,
        "\x1b[31m FAIL \x1b[39m src/a.ts > a > b\n Test Files  1 failed (1)\n      Tests  1 failed | 23 passed (24)\n",
        (23, ["src/a.ts > a > b"]),
    ),
    (read_go, "=== RUN   TestA\n--- PASS: TestA (0.00s)\n--- FAIL: TestB (0.00s)\nFAIL\n", (1, ["TestB"])),
    (read_junit, "..\nTime: 2.4\n\nOK (50 tests)\n", (50, [])),
    (read_junit, "1) a(b.CTest)\njava.lang.Error\n\nFAILURES!!!\nTests run: 3,  Failures: 1", (2, ["a(b.CTest)"])),
    (read_marks, "[PASS] A\n[FAIL] B\n  [x.cc:3] why\n[PASS] C\n", (2, ["B"])),
]


@pytest.mark.parametrize(("read", "text", "outcome"), PRINTED)
def test_what_a_runner_prints(read: Callable[[str], Outcome], text: str, outcome: Outcome) -> None:
    assert read(text) == outcome


@pytest.mark.parametrize("read", list(dict.fromkeys(suite.read for suite in SUITES)), ids=lambda read: read.__name__)
def test_no_test_is_no_pass(read: Callable[[str], Outcome]) -> None:
    assert read("sh: 1: npx: not found\n") == (0, [])
