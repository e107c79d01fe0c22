"""From a process to its job: schedulers, pods and containers, on a machine of our own making."""

import pytest

from gputally.config.teams import TeamRule
from gputally.node.identity.parts import Pod, RunRecord, SlurmRecord
from gputally.node.identity.protocol import Evidence
from tests.node.identity.machine import BOOT_ID, CONTAINER, POD, Pods, Runs, Slurm, at, seconds

SLURM = "/system.slice/slurmstepd.scope/job_4711"
SLUID = "sFNDM35NQ39R00"
RECORD = SlurmRecord(
    "4711",
    user="grace",
    account="nlp",
    job_name="bert",
    gpus=(0,),
    start_seconds=1_699_000_000.0,
    path="/run/gputally/slurm/4711-r0",
    comment_model="bert-large",
)
TEAMS = (
    TeamRule("nlp", slurm_accounts=("nlp*",), namespaces=("nlp-*",)),
    TeamRule("vision", users=("ada",), units=("team-vision.slice",)),
)


def job_in_slurm(machine, **more):
    machine.make_cgroup(SLURM)
    machine.add(
        90, b"slurmstepd", uid=0, cgroup="/system.slice/slurmstepd.scope/job_4711/step_0/slurm", start=400
    )
    machine.add(100, b"bash", parent=90, cgroup=f"{SLURM}/step_0/user/task_0", start=500)
    machine.add(101, parent=100, cgroup=f"{SLURM}/step_0/user/task_0", start=600, **more)


def test_a_slurm_job_without_a_record_is_what_its_cgroup_says(machine):
    job_in_slurm(machine)
    seen = machine.sighting(101, teams=TEAMS)
    assert (seen.job.job_id, seen.job.scheduler, seen.job.identity) == ("4711", "slurm", "cgroup")
    assert (seen.job.user, seen.job.team, seen.job.job_name) == ("ada", "vision", "")
    assert seen.start_seconds == seconds(400)
    assert seen.evidence == Evidence(cgroup=SLURM.strip("/"), boot_id=BOOT_ID)
    assert seen.scheduled


def test_the_prologs_record_says_more_and_outranks_the_owner_of_the_process(machine):
    job_in_slurm(machine, uid=0)
    seen = machine.sighting(101, teams=TEAMS, slurm=Slurm({"4711": RECORD}))
    assert (seen.job.job_id, seen.job.user, seen.job.team) == ("4711", "grace", "nlp")
    assert (seen.job.job_name, seen.job.model, seen.job.identity) == ("bert", "bert-large", "record")
    assert seen.start_seconds == RECORD.start_seconds
    assert seen.evidence == Evidence(RECORD.path, SLURM.strip("/"), None, BOOT_ID)


def test_a_requeued_job_is_another_by_its_record(machine):
    job_in_slurm(machine)
    again = SlurmRecord("4711", restarts=2, user="grace")
    assert machine.sighting(101, slurm=Slurm({"4711": again})).job.job_id == "4711-r2"


def test_a_requeued_job_is_another_by_its_cgroup_where_nobody_records_it(machine):
    binder = machine.binder()
    job_in_slurm(machine)
    assert binder.sightings([101], at(0))[101].job.job_id == "4711"
    machine.add(102, parent=100, cgroup=f"{SLURM}/step_1/user/task_0", start=650)
    assert binder.sightings([102], at(1))[102].job.job_id == "4711"
    machine.end(101)
    (machine.cgroup / SLURM.strip("/")).rename(machine.cgroup / "kept")  # so that its inode is not given away
    machine.make_cgroup(SLURM)
    machine.add(103, parent=90, cgroup=f"{SLURM}/step_0/user/task_0", start=700)
    second = binder.sightings([103], at(10))[103]
    assert second.job.job_id == "4711-r1"
    first = machine.sighting(103)
    assert first.job.job_id == "4711"


@pytest.mark.parametrize(
    ("slurm", "job_id"), [(Slurm({SLUID: RECORD}), "4711"), (Slurm(), SLUID), (None, SLUID)]
)
def test_a_sluid_leads_to_the_record_or_stands_for_itself(machine, slurm, job_id):
    machine.add(101, cgroup=f"/system.slice/n1_slurmstepd.scope/{SLUID}/step_0/user/task_0")
    assert machine.sighting(101, slurm=slurm).job.job_id == job_id


def test_cgroup_v1_names_the_user_even_of_a_process_of_roots(machine):
    machine.make_cgroup("memory/slurm/uid_1001/job_5")
    machine.add(
        101,
        uid=0,
        cgroup="9:memory:/slurm/uid_1001/job_5/step_0/task_0\n1:name=systemd:/system.slice/slurmd.service",
    )
    seen = machine.sighting(101)
    assert (seen.job.job_id, seen.job.user) == ("5", "grace")
    assert seen.evidence.cgroup == "memory/slurm/uid_1001/job_5"


def test_a_wrapped_command_inside_a_slurm_job_only_adds_names(machine):
    job_in_slurm(machine)
    wrapped = RunRecord("run-100", job_name="sweep", team="secret", model="llama", path="/run/x")
    runs = Runs({(100, 500, 1000): wrapped})
    seen = machine.sighting(101, runs=runs)
    assert (seen.job.job_id, seen.job.scheduler, seen.job.identity) == ("4711", "slurm", "cgroup")
    assert (seen.job.job_name, seen.job.model, seen.job.team) == ("sweep", "llama", "secret")
    named = machine.sighting(101, runs=runs, slurm=Slurm({"4711": RECORD}), teams=TEAMS)
    assert (named.job.job_name, named.job.model, named.job.team) == ("bert", "bert-large", "nlp")


PODS = Pods({POD: Pod(POD, "nlp-prod", "serve-0")})


@pytest.mark.parametrize(
    "path",
    [
        f"/kubepods/burstable/pod{POD}/{CONTAINER}",
        f"/kubepods.slice/kubepods-pod{POD.replace('-', '_')}.slice/cri-containerd-{CONTAINER}.scope",
    ],
)
def test_a_pod_is_named_by_the_kubelet_and_belongs_to_its_namespace(machine, path):
    machine.add(101, uid=0, cgroup=path)
    seen = machine.sighting(101, pods=PODS, teams=TEAMS)
    assert (seen.job.job_id, seen.job.scheduler, seen.job.identity) == (POD, "kubernetes", "record")
    assert (seen.job.job_name, seen.job.team, seen.job.user) == ("serve-0", "nlp", "")
    assert seen.scheduled
    unnamed = machine.sighting(101, teams=TEAMS)
    assert (unnamed.job.job_id, unnamed.job.identity, unnamed.job.team) == (POD, "cgroup", "unassigned")


@pytest.mark.parametrize(
    ("path", "scheduler"),
    [
        (f"/system.slice/docker-{CONTAINER}.scope", "docker"),
        (f"/machine.slice/libpod-{CONTAINER}.scope", "podman"),
    ],
)
def test_a_container_is_its_short_id_and_began_with_its_first_process(machine, path, scheduler):
    machine.make_cgroup(path)
    machine.add(80, b"containerd-shim", uid=0, cgroup="/system.slice/containerd.service", start=100)
    machine.add(90, b"sh", uid=0, parent=80, cgroup=f"{path}/init", start=200)
    machine.add(101, b"ollama", uid=0, parent=90, cgroup=f"{path}/init", start=300)
    seen = machine.sighting(101)
    assert (seen.job.job_id, seen.job.scheduler) == (f"{scheduler}-{CONTAINER[:12]}", scheduler)
    assert (seen.job.user, seen.job.job_name, seen.job.identity) == ("root", "ollama", "cgroup")
    assert (seen.start_seconds, seen.scheduled) == (seconds(200), False)
    assert seen.evidence.cgroup == path.strip("/")


def test_a_rootless_container_is_its_users_word_and_takes_nobody_elses_name(machine):
    root = f"/machine.slice/libpod-{CONTAINER}.scope"
    machine.add(101, uid=0, cgroup=root)
    for uid in (1000, 1001):
        manager = f"/user.slice/user-{uid}.slice/user@{uid}.service/user.slice"
        # Inside, uids are those that /etc/subuid has given to the user.
        machine.add(uid, uid=100_000 + uid, cgroup=f"{manager}/libpod-{CONTAINER}.scope/container")
    found = machine.binder().sightings([101, 1000, 1001], at(0))
    assert len({one.job.job_id for one in found.values()}) == 3
    assert (found[1000].job.user, found[1001].job.user) == ("ada", "grace")
    assert {found[uid].job.identity for uid in (1000, 1001)} == {"owner"}
    assert found[1000].evidence.leader == (1000, 5000)


def test_an_lxc_container_is_another_job_each_time_that_it_is_started(machine):
    machine.make_cgroup("/lxc.payload.web")
    machine.add(101, uid=100_000, cgroup="/lxc.payload.web/system.slice/x.service")
    first = machine.sighting(101).job
    assert (first.scheduler, first.job_name, first.user) == ("lxc", "web", "100000")
    assert machine.sighting(101).job == first
    (machine.cgroup / "lxc.payload.web").rename(machine.cgroup / "kept")
    machine.make_cgroup("/lxc.payload.web")
    assert machine.sighting(101).job.job_id != first.job_id


@pytest.mark.parametrize(
    ("path", "job_id", "scheduler"),
    [
        ("9:memory:/lsf/c1/job.7168.123.456", "7168", "lsf"),
        ("9:memory:/pbs_jobs.service/jobid/24047.opbs", "24047", "pbs"),
    ],
)
def test_other_batch_systems_give_their_number(machine, path, job_id, scheduler):
    machine.add(101, cgroup=path)
    seen = machine.sighting(101)
    assert (seen.job.job_id, seen.job.scheduler, seen.job.user) == (job_id, scheduler, "ada")
    assert seen.scheduled


def test_without_a_cgroup_file_system_the_first_process_is_the_evidence(machine):
    machine.add(90, uid=0, cgroup=f"/docker/{CONTAINER}", start=200)
    machine.add(101, uid=0, parent=90, cgroup=f"/docker/{CONTAINER}", start=300)
    assert machine.sighting(101).evidence == Evidence(leader=(90, 200), boot_id=BOOT_ID)


@pytest.mark.parametrize(
    "path",
    [
        "/user.slice/user-1000.slice/user@1000.service/slurmstepd.scope/job_4711/step_0",
        f"/user.slice/user-1000.slice/user@1000.service/kubepods/pod{POD}",
    ],
)
def test_a_lookalike_is_its_owners_own_command_and_counted_once(machine, path):
    machine.add(101, cgroup=path)
    binder = machine.binder(slurm=Slurm({"4711": RECORD}), pods=PODS)
    for second in range(5):
        seen = binder.sightings([101], at(second))[101]
    assert (seen.job.scheduler, seen.job.user, seen.scheduled) == ("process", "ada", False)
    assert binder.conflicts() == {"environment": 0, "team": 0, "lookalike": 1, "record": 0}
