"""What is installed: a wheel with its data and nothing else, and a machine that needs no other package."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The names of the files in the wheel, built without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    [path] = folder.glob("*.whl")
    return zipfile.ZipFile(path).namelist()


def test_the_wheel_has_all_modules_and_data_of_the_rooms(wheel: list[str]) -> None:
    wanted = {
        path.relative_to(ROOT).as_posix()
        for room in ("jsm", "sim", "models")
        for path in (ROOT / room).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {"sim/data/NASA-iPSC-1993-3.1-cln.swf.gz", "sim/templates/report.html.j2", "jsm/py.typed"} <= wanted
    assert sorted(wanted - set(wheel)) == []


def test_the_wheel_has_nothing_else(wheel: list[str]) -> None:
    assert {name.split("/")[0].partition("-")[0] for name in wheel} == {"jsm", "sim", "models", "beanstalk_jsm"}


def test_the_machine_needs_no_other_package() -> None:
    program = (
        "import jsm, jsm.journal, jsm.trace, jsm.heaps, sys; sys.exit(any('site-packages' in p for p in sys.path))"
    )
    subprocess.run([sys.executable, "-S", "-c", program], cwd=ROOT, check=True)


def test_every_name_of_the_public_surface_is_there_in_order() -> None:
    import jsm

    assert [name for name in jsm.__all__ if not hasattr(jsm, name)] == []
    assert len(set(jsm.__all__)) == len(jsm.__all__)
