"""Counters of teams: complete, capped and never gone."""

import random

from gputally.model import OTHER
from gputally.node.attribution.book import Caps
from tests.node.attribution.bookrig import Rig, share, sighting


def booked(rig: Rig, **texts: str) -> None:
    """A new job uses one joule and is gone."""
    job_id = f"job-{rig.now.boot_ns}"
    rig.tick(sighting(job_id, **texts), shares={"GPU-a": [share(job_id, 1000)]})


class TestCaps:
    """What is new beyond a cap is counted in `other`, and nothing is lost by it."""

    def test_a_user_has_so_many_models_and_then_other(self) -> None:
        rig = Rig(Caps(models_per_user=2))
        for model in ("", "a", "b", "c", "d", "a", "", "other"):
            booked(rig, model=model)
        assert rig.teams() == {
            ("nlp", "ada", ""): 2.0,
            ("nlp", "ada", "a"): 2.0,
            ("nlp", "ada", "b"): 1.0,
            ("nlp", "ada", OTHER): 3.0,
        }

    def test_models_of_one_user_are_not_counted_for_another(self) -> None:
        rig = Rig(Caps(models_per_user=1))
        booked(rig, model="a")
        booked(rig, model="b", user="grace")
        booked(rig, model="b", team="vision")
        assert len(rig.teams()) == 3
        assert ("nlp", "ada", OTHER) not in rig.teams()

    def test_label_sets_are_capped_and_the_teams_name_is_kept_while_there_is_room(self) -> None:
        rig = Rig(Caps(teams=16))
        for n in range(40):
            booked(rig, user=f"user-{n}", team="nlp")
        assert len(rig.teams()) == 14
        assert rig.teams()["nlp", OTHER, OTHER] == 40 - 13
        booked(rig, team="vision")
        booked(rig, team="audio")
        booked(rig, team="vision", user="grace")
        booked(rig, team="nlp", user="user-3")
        assert rig.teams()["vision", OTHER, OTHER] == 2.0
        assert rig.teams()[OTHER, OTHER, OTHER] == 1.0
        assert rig.teams()["nlp", "user-3", ""] == 2.0
        assert len(rig.teams()) == 16

    def test_there_are_never_more_than_the_cap(self) -> None:
        rig, dice = Rig(Caps(teams=10, models_per_user=2, jobs=5000, folded=0)), random.Random(1)  # noqa: S311 - no secret
        for n in range(300):
            texts = {key: dice.choice("abcd") for key in ("team", "user", "model")}
            booked(rig, **texts)
            assert len(rig.teams()) <= 10
            assert sum(rig.teams().values()) == n + 1

    def test_caps_hold_over_restarts_and_a_power_cut(self) -> None:
        rig = Rig(Caps(teams=4, models_per_user=2))
        for n, model in enumerate(("a", "b", "c")):
            booked(rig, model=model)
            rig.restart(clean=n != 1, same_boot=n != 1)
        assert rig.teams() == {("nlp", "ada", "a"): 0.0, ("nlp", "ada", "b"): 0.0, ("nlp", "ada", OTHER): 1.0}

    def test_the_caps_that_are_shipped(self) -> None:
        assert Caps() == Caps(jobs=500, folded=1000, teams=512, models_per_user=20)


def test_a_new_team_is_announced_with_zero_and_then_shows_all_that_it_has() -> None:
    """increase() does not see what a series begins with."""
    rig = Rig(announce_seconds=60)
    shown = []
    for _ in range(70):
        rig.tick(sighting("a"), shares={"GPU-a": [share("a", 1000)]})
        shown.append(rig.teams()["nlp", "ada", ""])
    assert shown[:60] == [0.0] * 60
    assert shown[60:] == [float(n) for n in range(61, 71)]
    rig.restart()
    assert rig.teams()["nlp", "ada", ""] == 70.0


def test_teams_that_users_make_up_leave_room_for_those_of_the_configuration() -> None:
    rig = Rig(Caps(teams=16))
    for n in range(30):
        booked(rig, team=f"made-up-{n}")
    booked(rig, team="nlp", user="grace")
    booked(rig, team="unassigned", user="linus")
    assert rig.teams()["nlp", "grace", ""] == 1.0
    assert rig.teams()["unassigned", "linus", ""] == 1.0
    assert rig.teams()[OTHER, OTHER, OTHER] == 30 - 4


def test_users_without_a_name_leave_room_for_those_who_have_one() -> None:
    rig = Rig(Caps(teams=16))
    for uid in range(100_000, 100_030):
        booked(rig, user=str(uid))
    booked(rig, user="grace")
    assert rig.teams()["nlp", "grace", ""] == 1.0
    assert rig.teams()["nlp", OTHER, ""] == 30 - 4
