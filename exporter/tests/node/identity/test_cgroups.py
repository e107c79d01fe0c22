"""What a cgroup path proves, on a corpus of real layouts and of those who imitate them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gputally.node.identity.cgroups import folders, place
from gputally.node.identity.layouts import Place
from gputally.node.identity.proc import MOST_BYTES
from tests.node.identity.cgroupcases import CONTAINER, KINDS, POD, cases


def said(found: Place) -> str:
    words = [found.kind or "nowhere", found.id, "" if found.uid is None else f"uid={found.uid}"]
    words += ["owned" if found.owned else "", "lookalike" if found.lookalike else ""]
    return " ".join(word for word in words if word)


def test_the_corpus_is_large():
    assert len(cases()) >= 120
    assert sum("lookalike" in want for want, _ in cases()) >= 20


@pytest.mark.parametrize(("want", "text"), cases())
def test_a_layout_proves_this_and_nothing_else(want, text):
    assert said(place(text)) == want


@pytest.mark.parametrize(
    ("path", "units"),
    [
        ("/team.slice/team-nlp.slice/llm.service/w", ("llm.service", "team-nlp.slice", "team.slice")),
        ("/system.slice/_cpu.service", ("cpu.service", "system.slice")),
        ("/team.slice/docker-" + CONTAINER + ".scope", ("team.slice",)),
        ("/user.slice/user-7.slice/session-3.scope/x", ("session-3.scope", "user-7.slice", "user.slice")),
        (
            "/user.slice/user-7.slice/user@7.service/app.slice/SECRET.service",
            ("user@7.service", "user-7.slice", "user.slice"),
        ),
        ("/odd.slice/group", ("odd.slice",)),
    ],
)
def test_units_are_systemds_from_within_outwards_and_never_a_users_own(path, units):
    assert place(f"0::{path}".encode()).units == units


@pytest.mark.parametrize(
    ("line", "where"),
    [
        (
            "0::/system.slice/slurmstepd.scope/job_5/step_0/user",
            ("system.slice/slurmstepd.scope/job_5", "unified/system.slice/slurmstepd.scope/job_5"),
        ),
        ("4:cpu,cpuacct:/slurm/uid_7/job_5/step_0", ("cpu,cpuacct/slurm/uid_7/job_5",)),
        ("1:name=systemd:/system.slice/x.service/y", ("systemd/system.slice/x.service",)),
        (
            f"0::/docker/{CONTAINER}/kubepods/pod{POD}/x",
            (f"docker/{CONTAINER}/kubepods/pod{POD}", f"unified/docker/{CONTAINER}/kubepods/pod{POD}"),
        ),
        ("0::/../slurmstepd.scope/job_5/step_0", ()),
        ("0::/user.slice/user-7.slice/user@7.service/x", ()),
        ("0::/", ()),
    ],
)
def test_the_folder_is_that_of_the_job_and_not_of_what_is_below(line, where):
    assert folders(place(line.encode())) == where


def test_what_a_user_calls_a_cgroup_is_in_nothing_that_comes_out():
    for path in (
        "/user.slice/user-7.slice/user@7.service/SECRET_CANARY.slice/SECRET_CANARY.service",
        f"/user.slice/user-7.slice/user@7.service/SECRET_CANARY.slice/libpod-{CONTAINER}.scope",
        f"/docker/{CONTAINER}/SECRET_CANARY",
        "/system.slice/slurmstepd.scope/job_5/SECRET_CANARY",
        "/SECRET_CANARY",
    ):
        assert "SECRET" not in repr(place(f"0::{path}".encode()))


def test_a_file_without_end_is_read_to_the_bound_and_the_cut_line_proves_nothing():
    job = b"0::/system.slice/slurmstepd.scope/job_4711\n"
    filler = b"7:memory:/" + b"x" * 200 + b"\n"
    assert place(filler * 60 + job).id == "4711"
    assert place(filler * 1000 + job).kind == ""
    head = b"0::/system.slice/slurmstepd.scope/job_47"
    filler = b"7:memory:/" + b"x" * (MOST_BYTES - len(head) - 11) + b"\n"
    assert (filler + head + b"11")[:MOST_BYTES] == filler + head
    assert place((filler + head + b"11")[:MOST_BYTES]).id == ""
    assert place(b"0::/" + b"a/" * 40_000 + b"job_5") == Place()
    assert place(b"0::/" + b"a" * 256 + b"/slurm/uid_0/job_4") == Place()


pieces = st.sampled_from(
    [
        "system.slice", "user.slice", "user-7.slice", "user@7.service", "session-1.scope", "slurmstepd.scope",
        "job_5", "slurm", "uid_7", "kubepods", "kubepods.slice", "burstable", f"pod{POD}", "docker",
        CONTAINER,
        f"docker-{CONTAINER}.scope", f"libpod-{CONTAINER}.scope", "x.service", "init.scope", "..", "", "a b",
        "\x1b", "lsf", "job.5.6", "lxc", "kubelet", "containerd.service",
        f"kubepods-pod{POD.replace('-', '_')}.slice",
    ]
)  # fmt: skip


@pytest.mark.fault("claims-forged")
@given(st.lists(pieces, max_size=8))
def test_below_a_users_manager_nothing_is_a_scheduler_job_whatever_it_is_called(rest):
    found = place(("0::/user.slice/user-7.slice/user@7.service/" + "/".join(rest)).encode())
    assert found.kind in {"session", "docker", "podman", ""}
    assert found.kind in {"", "session"} or found.owned
    assert found.folder == ""


@given(st.binary(max_size=400))
def test_any_bytes_are_borne(text):
    found = place(b"0::/" + text + b"\n" + text)
    assert found.kind in KINDS
    assert len(found.id) <= 262


@given(st.lists(pieces, max_size=10), st.sampled_from(["0::/", "4:memory:/", "1:name=systemd:/", "0::/../"]))
def test_ids_are_short_and_printable_and_folders_stay_below_the_root(parts, head):
    found = place((head + "/".join(parts)).encode())
    assert found.kind in KINDS
    assert found.id.isprintable()
    assert ".." not in found.folder.split("/")
    assert not found.folder.startswith("/")
