"""The test-suites of clients that other people wrote: where they are, what they need, how to read what they print.

Each is run as it is. What it was written for and Debian has no more (a loader of classes that composer would write,
the names of an old minitest) is put beside it, never into it.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

Outcome = tuple[int, list[str]]
"""How many tests passed, and the names of those that did not."""


class Suite(NamedTuple):
    """A client's test-suite. Commands are lines for a shell in the suite's folder."""

    name: str
    language: str
    source: str  # what `git clone` takes, or the package of a registry
    commit: str  # a commit or tag; empty: as it comes
    run: str  # with $BEANSTALKD, the program, when the suite starts it itself
    read: Callable[[str], Outcome]
    prepare: tuple[str, ...] = ()
    files: Mapping[str, str] = {}  # what to put beside the suite
    options: str = ""  # of the server on port 11300
    starts_server: bool = False
    needs_path: bool = False  # a second server, on the Unix socket $UNIX_PATH
    note: str = ""  # why what fails, fails


def read_pytest(text: str) -> Outcome:
    """What pytest prints."""
    return _number(r"(\d+) passed", text), re.findall(r"^(?:FAILED|ERROR) \S*?::(\S+)", text, re.MULTILINE)


def read_unittest(text: str) -> Outcome:
    """What Python's unittest prints."""
    failed = re.findall(r"^(?:FAIL|ERROR): (\S+)", text, re.MULTILINE)
    return _number(r"Ran (\d+) tests", text) - len(failed), failed


def read_minitest(text: str) -> Outcome:
    """What Ruby's minitest prints."""
    failed = re.findall(r"^ +\d+\) (?:Failure|Error):\n(.+?)(?: \[.*|:)$", text, re.MULTILINE)
    return _number(r"(\d+) runs,", text) - len(failed), failed


def read_phpunit(text: str) -> Outcome:
    """What PHPUnit prints."""
    failed = re.findall(r"^\d+\) (\S+::\S+)", text, re.MULTILINE)
    return _number(r"(?:OK \(|Tests: )(\d+)", text) - len(failed), failed


def read_prove(text: str) -> Outcome:
    """What `prove -v` prints; a file that ends early is a failure too."""
    failed = re.findall(r"^not ok \d+ -? ?(.*)", text, re.MULTILINE) + re.findall(r"Parse errors: (.*)", text)
    return len(re.findall(r"^ok \d+", text, re.MULTILINE)), failed


def read_mocha(text: str) -> Outcome:
    """What mocha prints."""
    return _number(r"(\d+) passing", text), re.findall(r"^ {2}\d+\) (.+?):?$", text, re.MULTILINE)


def read_vitest(text: str) -> Outcome:
    """What vitest prints."""
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    return _number(r"Tests .*?(\d+) passed", plain), re.findall(r"^ FAIL  (.+)$", plain, re.MULTILINE)


def read_go(text: str) -> Outcome:
    """What `go test -v` prints."""
    return len(re.findall(r"^--- PASS", text, re.MULTILINE)), re.findall(r"^--- FAIL: (\S+)", text, re.MULTILINE)


def read_junit(text: str) -> Outcome:
    """What JUnit 4 prints."""
    failed = re.findall(r"^\d+\) (\S+\(\S+\))", text, re.MULTILINE)
    return _number(r"(?:OK \(|Tests run: )(\d+)", text) - len(failed), failed


def read_marks(text: str) -> Outcome:
    """Lines that begin with [PASS] or [FAIL]."""
    return text.count("[PASS]"), re.findall(r"\[FAIL\] (.*)", text)


def _number(pattern: str, text: str) -> int:
    found = re.search(pattern, text)
    return int(found[1]) if found else 0


_PHP_LOADER: Final = """<?php
foreach (['Psr/Log', 'Symfony/Component/Console'] as $package) {
    if (is_file($path = "/usr/share/php/$package/autoload.php")) { require_once $path; }
}
spl_autoload_register(function (string $class): void {
    foreach (ROOTS as [$prefix, $folder]) {
        $path = getcwd() . "/$folder/" . str_replace('\\\\', '/', substr($class, strlen($prefix))) . '.php';
        if (str_starts_with($class, $prefix) && is_file($path)) { require $path; return; }
    }
});
"""

_RUBY_NAMES: Final = """module Coveralls; def self.wear!; end; end
require "minitest"
require "minitest/spec"
MiniTest = Minitest unless defined?(MiniTest)
class Minitest::Unit; TestCase = Minitest::Test; end
"""


def _php_loader(*roots: tuple[str, str]) -> str:
    listed = ", ".join(f"['{prefix}\\\\', '{folder}']" for prefix, folder in roots)
    return _PHP_LOADER.replace("ROOTS", f"[{listed}]")


_JARS: Final = "/usr/share/java/junit4.jar:/usr/share/java/hamcrest-all.jar:/usr/share/java/log4j-1.2.jar"
_VENV: Final = "python3 -m venv .v && .v/bin/pip install -q"

SUITES: Final = (
    Suite(
        "greenstalk",
        "Python",
        "https://github.com/justinmayhew/greenstalk",
        "0306d94",
        "BEANSTALKD_PATH=$BEANSTALKD PYTHONPATH=src .v/bin/python -m pytest -q tests",
        read_pytest,
        prepare=(f"{_VENV} pytest",),
        starts_server=True,
    ),
    Suite(
        "pystalk",
        "Python",
        "https://github.com/EasyPost/pystalk",
        "9b018be",
        "BEANSTALKD_PATH=$BEANSTALKD .v/bin/python -m pytest -q tests",
        read_pytest,
        prepare=(f"{_VENV} pytest pytest-mock pyyaml attrs",),
        starts_server=True,
    ),
    Suite(
        "pystalkd",
        "Python",
        "pystalkd 1.3.0, the source package",
        "",
        ".v/bin/python test.py",
        read_unittest,
        prepare=(f"{_VENV} pyyaml",),
        note="the client loses a white byte at the beginning of a random body",
    ),
    Suite(
        "beaneater",
        "Ruby",
        "https://github.com/beanstalkd/beaneater",
        "38df192",
        """ruby -W0 -I.shims -Ilib -Itest -e 'Dir["./test/*_test.rb"].sort.each { |file| require file }'""",
        read_minitest,
        files={".shims/coveralls.rb": _RUBY_NAMES},
    ),
    Suite(
        "pheanstalk",
        "PHP",
        "https://github.com/pheanstalk/pheanstalk",
        "v5.0.11",
        "SERVER_HOST=127.0.0.1 UNIX_SERVER_HOST=unix://$UNIX_PATH "
        "phpunit --no-configuration --bootstrap tests/bootstrap.php tests",
        read_phpunit,
        files={"vendor/autoload.php": _php_loader(("Pheanstalk\\\\Tests", "tests"), ("Pheanstalk", "src"))},
        needs_path=True,
    ),
    Suite(
        "phlib/beanstalk",
        "PHP",
        "https://github.com/phlib/beanstalk",
        "3.2.0",
        "BSTALK_ENABLED=1 BSTALK1_HOST=127.0.0.1 BSTALK1_PORT=11300 "
        "phpunit --no-configuration --bootstrap vendor/autoload.php tests/IntegrationTest.php",
        read_phpunit,
        files={"vendor/autoload.php": _php_loader(("Phlib\\\\Beanstalk", "src"), ("Phlib\\\\Beanstalk", "tests"))},
    ),
    Suite(
        "Beanstalk::Client",
        "Perl",
        "https://github.com/gbarr/perl-beanstalk-client",
        "0a9a1f7",
        "prove -v -Ilib t",
        read_prove,
    ),
    Suite(
        "libbeanstalk",
        "C, C++",
        "https://github.com/deepfryed/beanstalk-client",
        "d012ba8",
        "test/run-all",
        read_marks,
        prepare=("make test/test1 test/test2",),
        note="wants a connection to example.org to time out",
    ),
    Suite(
        "gobeanstalk",
        "Go",
        "https://github.com/iwanbk/gobeanstalk",
        "dbbb239",
        "GO111MODULE=off go test -count=1 -v .",
        read_go,
    ),
    Suite(
        "jbeanstalkc",
        "Java",
        "https://github.com/francofabio/jbeanstalkc",
        "5aa8256",
        f"java -cp {_JARS}:.classes:src/test/resources org.junit.runner.JUnitCore "
        "$(cd src/test/java; find . -name '*Test.java' ! -name 'Base*' | sed 's,^./,,; s,.java$,,; s,/,.,g')",
        read_junit,
        prepare=(f"mkdir .classes && javac -nowarn -d .classes -cp {_JARS} $(find src -name '*.java')",),
        note="beanstalkd puts names in statistics into quotes since 1.13, as ours does; this client keeps the quotes",
    ),
    Suite(
        "jackd",
        "TypeScript",
        "https://github.com/getjackd/jackd",
        "98fbc15",
        "npx vitest run",
        read_vitest,
        prepare=("npm install --no-audit --no-fund --no-save --ignore-scripts vitest@3.0.2 yaml@2.7.0",),
        note="beanstalkd 1.12 leaves the system's version, which begins with #, without quotes",
    ),
    Suite(
        "fivebeans",
        "JavaScript",
        "https://github.com/ceejbot/fivebeans",
        "1849d02",
        "npx mocha -t 8000 -R dot test/",
        read_mocha,
        prepare=("npm install --no-audit --no-fund --ignore-scripts mocha@3 must@0.13",),
        note="the error's number has another sign in newer versions of Node.js",
    ),
    Suite(
        "node-beanstalkd-client",
        "JavaScript",
        "https://github.com/burstable/node-beanstalkd-client",
        "71c8579",
        "BEANSTALKD_PORT_11300_TCP_ADDR=127.0.0.1 BEANSTALKD_PORT_11300_TCP_PORT=11300 NODE_ENV=test NODE_PATH=src "
        "npx mocha --require scripts/mocha-bootload --check-leaks -R dot test/integration/client.test.js",
        read_mocha,
        prepare=("npm install --no-audit --no-fund --no-save --ignore-scripts",),
        options="-z 5000000",
        note="the client loses bytes of a large body that arrives in certain pieces",
    ),
)

PACKAGES: Final = (
    "beanstalkd default-jdk-headless g++ golang-go junit4 libclass-accessor-perl liblog4j1.2-java libyaml-syck-perl "
    "make nodejs npm phpunit php-cli php-mbstring php-psr-log ruby ruby-minitest ruby-mocha"
)
"""Debian's packages that they need."""
