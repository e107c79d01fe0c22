"""Every fault of the catalogue has its test, every test names faults that are there, and the page says so."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
import sys

import pytest
from scripts import reliability
from scripts.reliability import REPOSITORY, CatalogueError, Proof, catalogue, page, proofs


@pytest.fixture(scope="module")
def tests():
    return proofs()


def test_the_page_is_what_catalogue_and_tests_make_of_it():
    """Faults without a test, and tests of faults that nobody knows, are said by name."""
    found = subprocess.run(
        [sys.executable, "-m", "scripts.reliability", "--check"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (found.returncode, found.stderr) == (0, "")


def test_a_fault_without_a_test_is_found(tests):
    fewer = {fault: found for fault, found in tests.items() if fault not in ("agent-killed", "power-cut")}
    with pytest.raises(CatalogueError, match=r"^no test names agent-killed, power-cut$"):
        page(catalogue(), fewer)


def test_a_test_of_a_fault_that_nobody_knows_is_found(tests):
    more = tests | {"aliens": [Proof("exporter/tests/test_x.py", "test_aliens")]}
    with pytest.raises(CatalogueError, match=r"^tests name aliens, which faults\.yml does not have$"):
        page(catalogue(), more)


def test_a_page_that_is_out_of_date_is_found(tests, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(reliability, "REPOSITORY", tmp_path)
    monkeypatch.setattr(reliability, "PAGE", tmp_path / "docs" / "reliability.md")
    reliability.PAGE.parent.mkdir()
    shutil.copy(REPOSITORY / "docs" / "reliability.md", reliability.PAGE)
    monkeypatch.setattr(reliability, "proofs", lambda: tests)
    assert reliability.main(["--check"]) == 0
    reliability.PAGE.write_text(reliability.PAGE.read_text().replace("nothing", "something", 1))
    assert reliability.main(["--check"]) == 1
    assert capsys.readouterr().err == "docs/reliability.md is out of date: run `make docs`\n"
    assert reliability.main([]) == reliability.main(["--check"]) == 0
    assert reliability.main(["--chekc"]) == 2


ROW = "  - {id: a, fault: It breaks, done: a blow, expected: It holds, lost: nothing}"
GOOD = f"groups:\n- group: One\n  faults:\n{ROW}\nuntried: []\n"
TWICE = GOOD.replace(ROW, f"{ROW}\n- group: Two\n  faults:\n{ROW}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD.replace("lost: nothing", "lost: ''"), "a: expected text for each of done, expected"),
        (GOOD.replace(", lost: nothing", ""), "a: expected text for each of done, expected"),
        (GOOD.replace("It holds", "404"), "a: expected text for each of done, expected"),
        (TWICE, "a: stands twice"),
    ],
)
def test_a_row_that_says_too_little_is_refused(text, message):
    assert [row.id for row in catalogue(GOOD).faults] == ["a"]
    with pytest.raises(CatalogueError, match=f"^{message}"):
        catalogue(text)


PLAIN = "import pytest\n\n\n{}\ndef {}():\n    pass\n"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("test_a.py", PLAIN.format('@pytest.mark.fault("a", "b")', "test_it_holds"), ""),
        ("test_a.py", PLAIN.format('@pytest.mark.fault("a")', "helper"), "4: pytest does not collect this"),
        ("a.py", PLAIN.format('@pytest.mark.fault("a")', "test_it"), "4: pytest does not collect this"),
        ("test_a.py", PLAIN.format("@pytest.mark.fault()", "test_it"), "4: expected names of faults"),
        ("test_a.py", PLAIN.format("@pytest.mark.fault(A)", "test_it"), "4: expected names of faults"),
        ("test_a.py", 'pytestmark = pytest.mark.fault("a")\n', "1: a fault is named where no test begins"),
    ],
)
def test_a_marker_belongs_to_a_test(tmp_path, name, text, message):
    (tmp_path / "pyproject.toml").write_text('[tool.pytest.ini_options]\ntestpaths = ["here"]\n')
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / name).write_text(text)
    if message:
        with pytest.raises(CatalogueError) as caught:
            proofs(tmp_path)
        assert str(caught.value) == f"here/{name}:{message}"
    else:
        assert proofs(tmp_path) == {fault: [Proof("here/test_a.py", "test_it_holds")] for fault in "ab"}


def test_pytest_takes_the_markers_that_were_read(tests, request):
    """What is read from this file by the generator is what pytest collects with the marker."""
    chosen = request.session.items
    collected = {
        (item.path.relative_to(REPOSITORY).as_posix(), item.function.__name__, fault)
        for item in chosen
        for marker in item.iter_markers("fault")
        for fault in marker.args
    }
    read = {(proof.file, proof.name, fault) for fault, found in tests.items() for proof in found}
    assert collected <= read


def test_the_words_of_a_test_are_its_name():
    assert Proof("f", "test_it_holds").words == "it holds"
    assert {field.name for field in dataclasses.fields(Proof)} == {"file", "name"}
