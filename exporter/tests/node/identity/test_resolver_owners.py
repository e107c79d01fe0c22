"""From a process to its job without a scheduler: wrapped commands, services, plain commands."""

import pytest

from gputally.config.teams import TeamRule
from gputally.model import Instant
from gputally.node.identity.owners import OwnerNames
from gputally.node.identity.parts import RunRecord
from gputally.node.identity.protocol import Evidence
from tests.node.identity.machine import BOOT_ID, Runs, at, seconds

INVOCATION = "1a2b3c4d5e6f70811a2b3c4d5e6f7081"
SERVICE = "/system.slice/ollama.service"
SESSION = "/user.slice/user-1000.slice/session-3.scope"
WRAPPED = RunRecord(
    "run-90", "sweep", model="llama", start_seconds=1_700_000_004.5, path="/run/gputally/runs/90"
)


def service(machine, *, uid=1001, folder=True):
    if folder:
        machine.make_cgroup(SERVICE, 101, 102)
    machine.add(101, b"ollama", uid=uid, cgroup=SERVICE, start=300)
    machine.add(102, b"runner", uid=uid, parent=101, cgroup=f"{SERVICE}/sub", start=400)


def test_a_service_is_one_job_for_each_run_of_it(machine):
    service(machine)
    machine.start_unit("ollama.service", INVOCATION)
    seen = machine.sighting(102)
    assert (seen.job.job_id, seen.job.scheduler) == ("ollama.service-1a2b3c4d", "systemd")
    assert (seen.job.user, seen.job.job_name, seen.job.identity) == ("grace", "ollama", "unit")
    assert seen.start_seconds == seconds(300)
    assert seen.evidence == Evidence("", SERVICE.strip("/"), (101, 300), BOOT_ID)
    assert not seen.scheduled
    machine.start_unit("ollama.service", INVOCATION[::-1])
    assert machine.sighting(102).job.job_id == "ollama.service-1807f6e5"


@pytest.mark.parametrize("folder", [True, False])
@pytest.mark.parametrize("target", [None, "nonsense", "../../etc/passwd", "A" * 32])
def test_where_systemd_does_not_tell_the_run_its_first_process_does(machine, target, folder):
    service(machine, folder=folder)
    if target is not None:
        machine.start_unit("ollama.service", target)
    first = machine.sighting(102).job.job_id
    unit, _, run = first.rpartition("-")
    assert (unit, len(run), int(run, 16) > 0) == ("ollama.service", 8, True)
    assert machine.sighting(101).job.job_id == first
    machine.add(101, b"ollama", uid=1001, cgroup=SERVICE, start=9000)
    machine.add(102, b"runner", uid=1001, parent=101, cgroup=SERVICE, start=9001)
    assert machine.sighting(102).job.job_id != first


def test_what_a_service_runs_for_another_user_is_that_users_command(machine):
    hub = "/system.slice/jupyterhub.service"
    machine.make_cgroup(hub, 101, 102)
    machine.add(101, b"jupyterhub", uid=0, cgroup=hub, start=300)
    machine.add(102, b"jupyterhub-sing", parent=101, cgroup=hub, start=400)
    machine.add(103, b"python3", parent=102, cgroup=hub, start=500, session=103)
    found = machine.binder().sightings([101, 103], at(0))
    assert (found[101].job.scheduler, found[101].job.user) == ("systemd", "root")
    assert (found[103].job.scheduler, found[103].job.user) == ("process", "ada")
    assert (found[103].evidence.leader, found[103].job.identity) == ((103, 500), "owner")


@pytest.mark.parametrize("unit", ["cron.service", "sshd@7-10.0.0.1:22.service", "slurmd.service"])
def test_services_that_start_what_others_order_are_not_the_job(machine, unit):
    machine.make_cgroup(f"/system.slice/{unit}", 101)
    machine.add(101, b"cron", uid=0, cgroup=f"/system.slice/{unit}", start=300)
    machine.add(102, b"backup", uid=0, parent=101, cgroup=f"/system.slice/{unit}", start=400)
    seen = machine.sighting(102)
    assert (seen.job.scheduler, seen.job.user, seen.evidence.leader) == ("process", "root", (102, 400))


def wrapped(machine, cgroup):
    machine.add(90, b"gputally", cgroup=cgroup, start=450)
    machine.add(101, b"torchrun", parent=90, cgroup=cgroup, start=500)
    machine.add(102, b"python", parent=101, cgroup=cgroup, start=600, session=102, group=102)


@pytest.mark.parametrize(
    "cgroup", [SESSION, "/", SERVICE, "/user.slice/user-1000.slice/user@1000.service/x.scope"]
)
def test_a_wrapped_command_is_the_job_of_all_that_it_starts(machine, cgroup):
    wrapped(machine, cgroup)
    runs = Runs({(90, 450, 1000): WRAPPED})
    found = machine.binder(runs=runs).sightings([101, 102], at(0))
    assert found[101] is found[102]
    seen = found[102]
    assert (seen.job.job_id, seen.job.scheduler, seen.job.identity) == ("run-90", "run", "record")
    assert (seen.job.user, seen.job.job_name, seen.job.model) == ("ada", "sweep", "llama")
    assert seen.start_seconds == 1_700_000_004.5
    assert seen.evidence == Evidence("/run/gputally/runs/90", "", (90, 450), BOOT_ID)


def test_a_record_counts_only_for_the_process_and_the_owner_that_it_is_about(machine):
    wrapped(machine, SESSION)
    for key in ((90, 451, 1000), (90, 450, 1001), (91, 450, 1000)):
        assert machine.sighting(102, runs=Runs({key: WRAPPED})).job.scheduler == "process"


def test_the_innermost_wrapper_wins_and_pays_for_what_sudo_starts_below_it(machine):
    wrapped(machine, SESSION)
    machine.add(103, b"sudo", uid=0, parent=102, start=700)
    machine.add(104, b"python", uid=0, parent=103, start=800)
    inner = RunRecord("run-101", path="/run/gputally/runs/101")
    runs = Runs({(90, 450, 1000): WRAPPED, (101, 500, 1000): inner})
    seen = machine.sighting(104, runs=runs)
    assert (seen.job.job_id, seen.job.user) == ("run-101", "ada")


def shell(machine, **more):
    machine.add(80, b"sshd", uid=0, cgroup=SESSION, start=100)
    machine.add(81, b"bash", parent=80, cgroup=SESSION, start=200, session=81, terminal=34816)
    machine.add(90, b"torchrun", parent=81, cgroup=SESSION, start=300, session=81, terminal=34816)
    for pid in (101, 102):
        machine.add(pid, b"python", parent=90, cgroup=SESSION, start=400, session=pid, group=pid, **more)


def test_a_plain_command_with_all_its_workers_is_one_job_of_its_owner(machine):
    shell(machine)
    found = machine.binder().sightings([101, 102], at(0))
    assert found[101] is found[102]
    seen = found[101]
    assert (seen.job.job_id, seen.job.scheduler) == ("u1000-90-300-9f86", "process")
    assert (seen.job.user, seen.job.job_name, seen.job.identity) == ("ada", "torchrun", "owner")
    assert (seen.start_seconds, seen.scheduled) == (seconds(300), False)
    assert seen.evidence == Evidence(leader=(90, 300), boot_id=BOOT_ID)


def test_the_same_command_has_the_same_id_for_an_agent_that_has_been_restarted(machine):
    """Neither the wall clock nor a directory service that is not up yet has a say in it."""
    shell(machine)
    later = Instant(at(60).boot_ns, at(7260).wall_ns)
    again = machine.binder(owners=OwnerNames({}.__getitem__)).sightings([101], later)[101]
    assert again.job.user == "1000"
    assert again.job.job_id == machine.sighting(101).job.job_id


ENVIRON = (
    b"GPUTALLY_JOB=night\0GPUTALLY_MODEL=llama\0GPUTALLY_TEAM=vision\0SLURM_JOB_ID=9\0USER=mallory\0"
    b"SLURM_JOB_ACCOUNT=gold\0"
)


def test_the_environment_is_not_looked_at_unless_asked_for(machine):
    shell(machine, environ=ENVIRON)
    assert machine.sighting(101).job.model == ""


def test_the_environment_adds_names_and_nothing_else(machine):
    shell(machine, environ=ENVIRON)
    bare, seen = machine.sighting(101), machine.sighting(101, environment=True)
    assert (seen.job.job_name, seen.job.model, seen.job.team) == ("night", "llama", "vision")
    assert (seen.job.job_id, seen.job.user, seen.job.identity) == (bare.job.job_id, "ada", "owner")
    assert (seen.start_seconds, seen.evidence) == (bare.start_seconds, bare.evidence)


def test_a_process_that_poses_as_another_slurm_job_stays_in_its_own_and_is_counted(machine):
    machine.add(101, cgroup="/system.slice/slurmstepd.scope/job_4711/step_0", environ=ENVIRON)
    machine.add(102, cgroup="/system.slice/slurmstepd.scope/job_4711/step_0", environ=b"SLURM_JOB_ID=4711\0")
    machine.add(103, cgroup="/system.slice/slurmstepd.scope/job_4711/step_0")
    binder = machine.binder(environment=True)
    for second in range(3):
        found = binder.sightings([101, 102, 103], at(second))
        assert {seen.job.job_id for seen in found.values()} == {"4711"}
    assert binder.conflicts()["environment"] == 1


RULES = (TeamRule("nlp", units=("team-nlp.slice", "nlp-*.service")), TeamRule("vision", users=("a*",)))


@pytest.mark.parametrize(
    ("claim", "uid", "team", "refused"),
    [
        (b"", 1000, "vision", 0),
        (b"vision", 1000, "vision", 0),
        (b"vision", 1001, "unassigned", 1),  # grace is not in it
        (b"nlp", 1000, "vision", 1),
        (b"robotics", 1001, "robotics", 0),  # nobody has declared it, and no rule is about grace
        (b"robotics", 1000, "vision", 1),
        (b"other", 1001, "unassigned", 1),
        (b"unassigned", 1000, "vision", 0),
    ],
)
def test_a_claim_to_a_team_is_granted_to_those_it_lists(machine, claim, uid, team, refused):
    machine.add(101, uid=uid, environ=b"GPUTALLY_TEAM=" + claim + b"\0")
    binder = machine.binder(environment=True, teams=RULES)
    for second in (0, 6, 12):
        assert binder.sightings([101], at(second))[101].job.team == team
    assert binder.conflicts()["team"] == refused


def test_units_and_slices_decide_before_users(machine):
    machine.add(101, cgroup="/team.slice/team-nlp.slice/llm.service")
    machine.add(102, cgroup="/system.slice/nlp-serve.service")
    # What ada calls her own unit is not systemd's word.
    machine.add(103, cgroup="/user.slice/user-1000.slice/user@1000.service/team-nlp.slice/nlp-x.service")
    found = machine.binder(teams=RULES).sightings([101, 102, 103], at(0))
    assert [found[pid].job.team for pid in (101, 102, 103)] == ["nlp", "nlp", "vision"]
