"""A saved book that is garbage: it is refused as a whole, and metering goes on."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gputally.model import Ledger
from gputally.node.attribution.book import Caps
from tests.node.attribution.bookrig import Rig, closed, opened, round_trip, used
from tests.node.attribution.garbage import NONSENSE, changed, meters_on, paths, without


class TestGarbage:
    """What `to_json` cannot have written is not gone on from, and nobody is hurt."""

    def restored(self, data: object) -> tuple[Rig, list[str]]:
        rig = Rig(Caps(jobs=2))
        return rig, rig.restore(data, clean=True, same_boot=True)

    @pytest.mark.parametrize("data", [[], {}, "", 0, 3.5, True, {"schema": 2}, {"schema": 1}, [[]], "x" * 99])
    def test_what_is_no_book_at_all_is_refused_in_one_line(self, data: object) -> None:
        rig, lines = self.restored(data)
        assert [line.startswith("jobs and teams begin at zero") for line in lines] == [True]
        assert rig.ledger == Ledger(policy="allocated")

    def test_nothing_saved_is_no_fault(self) -> None:
        assert self.restored(None)[1] == []

    def test_the_line_does_not_repeat_what_stands_in_the_file(self) -> None:
        data = opened(round_trip(used().book))
        data["jobs"][0][1] = "\x1b[31m" + "x" * 10**6
        (line,) = self.restored(closed(data))[1]
        assert len(line) < 200
        assert line.isprintable()

    def test_every_place_with_every_kind_of_nonsense(self) -> None:
        """Whatever stands wherever: no error, no negative counter, and metering goes on."""
        whole, refused = opened(round_trip(used().book)), 0
        places = list(paths(whole))
        assert len(places) > 100
        for path in places:
            for nonsense in NONSENSE:
                rig, lines = self.restored(closed(changed(whole, path, nonsense)))
                refused += "not usable" in lines[0]
                meters_on(rig)
        assert refused > len(places) * len(NONSENSE) / 2

    def test_a_missing_place_is_refused(self) -> None:
        whole = opened(round_trip(used().book))
        for path in paths(whole):
            rig, _ = self.restored(closed(without(whole, path)))
            meters_on(rig)

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
        )
    )
    @settings(max_examples=100, deadline=None)
    def test_any_json_under_any_key(self, value: object) -> None:
        whole = round_trip(used().book)
        for key in whole:
            meters_on(self.restored({**whole, key: value})[0])

    @pytest.mark.parametrize("row", ["", "[", "[" * 10**5, "null", "1e999", "NaN", '"x"', "[[]]"])
    def test_rows_that_are_no_rows_are_refused(self, row: str) -> None:
        whole = round_trip(used().book)
        for key, value in (("jobs", [row]), ("teams", [row]), ("other", row)):
            rig, lines = self.restored({**whole, key: value})
            assert "not usable" in lines[0]
            meters_on(rig)

    def test_a_job_or_a_team_that_is_there_twice_is_refused(self) -> None:
        whole = round_trip(used().book)
        for key in ("jobs", "teams"):
            twice = {**whole, key: [*whole[key], whole[key][0]]}
            assert "twice" in self.restored(twice)[1][0]

    def test_texts_pass_the_sanitiser_of_today(self) -> None:
        whole = opened(round_trip(used().book))
        whole["jobs"][0][0][0][4] = "a\nb\ud800" + "x" * 300
        rig, _ = self.restored(closed(whole))
        assert rig.job("1").job.job_name.isprintable()
        assert len(rig.job("1").job.job_name) == 128
