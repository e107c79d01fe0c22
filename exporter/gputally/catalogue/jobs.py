"""Families of jobs and teams: whose energy and time it was. Their sums with what is unattributed are exact."""

# fmt: off
from functools import partial

from gputally.catalogue.family import DEVICE_LABELS, Family

D = DEVICE_LABELS
TEAM = ("team", "user", "model")

_g = partial(Family, type="gauge", section="Jobs")
_c = partial(Family, type="counter", section="Jobs")
JOB = (
    _g("gpu_job_info", unit="", labels=("job_id", "user", "team", "job_name", "model", "scheduler", "identity"), help="Always 1; names of a job, to be joined to its series by instance and job_id.", source="scheduler records, cgroups, units, gputally run, owners"),
    _g("gpu_job_state", unit="", labels=("job_id", "state"), help="Always 1; running, completed, failed, cancelled, timeout, or ended where nobody said how.", source="scheduler records, gputally run, processes"),
    _g("gpu_job_start_time_seconds", unit="seconds", labels=("job_id",), help="When the job began, as Unix time.", source="scheduler records, /proc/PID/stat"),
    _g("gpu_job_end_time_seconds", unit="seconds", labels=("job_id",), help="When the job ended, as Unix time. Absent while it runs.", source="scheduler records, gputally run, processes"),
    _g("gpu_job_exit_code", unit="", labels=("job_id",), help="Exit status of the job, 128 + n for a signal n. Absent where nobody said.", source="scheduler records, gputally run"),
    _c("gpu_job_energy_joules_total", unit="joules", labels=(*D, "job_id", "component"), help="Energy of a job by GPU: active, and its part of the idle baseline. Kept for 5 minutes after its end.", source="gpu_energy_joules_total, split at every tick"),
    _c("gpu_job_gpu_seconds_total", unit="seconds", labels=("job_id",), help="GPU time that a job held; of a shared GPU its part.", source="the sampler's clock, split at every tick"),
    _c("gpu_job_busy_seconds_total", unit="seconds", labels=("job_id",), help="GPU time in which a job's kernels ran; divided by its GPU seconds, its mean utilisation.", source="gpu_busy_seconds_total, split at every tick"),
    _c("gpu_job_cost_total", unit="", labels=("job_id", "currency"), help="Cost of a job's energy, PUE included, at the prices of the moments in which it was used.", source="gpu_energy_cost_total, split at every tick"),
    _c("gpu_job_energy_by_tariff_joules_total", unit="joules", labels=("job_id", "tariff"), help="Energy of a job by band of the tariff.", source="gpu_energy_by_tariff_joules_total, split at every tick"),
    _c("gpu_job_emissions_grams_total", unit="grams", labels=("job_id",), help="Carbon dioxide of a job's energy, PUE included.", source="gpu_emissions_grams_total, split at every tick"),
    _c("gpu_job_unused_energy_joules_total", unit="joules", labels=("job_id",), help="Of a job's energy, what went by while it held a GPU and none of its kernels ran.", source="the split: all energy of a tick without busy time, else the baseline's part of the time that was not busy"),
    _c("gpu_job_unused_cost_total", unit="", labels=("job_id", "currency"), help="Cost of a job's unused energy.", source="gpu_job_unused_energy_joules_total, the tariff"),
)

_g = partial(Family, type="gauge", section="Teams, and what is nobody's")
_c = partial(Family, type="counter", section="Teams, and what is nobody's")
TEAMS = (
    _c("gpu_team_energy_joules_total", unit="joules", labels=TEAM, help="Energy of all jobs of a team's user with one model; never vanishes.", source="the jobs' energy"),
    _c("gpu_team_gpu_seconds_total", unit="seconds", labels=TEAM, help="GPU time of all jobs of a team's user with one model; never vanishes.", source="the jobs' GPU time"),
    _c("gpu_team_busy_seconds_total", unit="seconds", labels=TEAM, help="Busy time of all jobs of a team's user with one model; never vanishes.", source="the jobs' busy time"),
    _c("gpu_team_cost_total", unit="", labels=(*TEAM, "currency"), help="Cost of the energy of all jobs of a team's user with one model; never vanishes.", source="the jobs' cost"),
    _c("gpu_team_energy_by_tariff_joules_total", unit="joules", labels=(*TEAM, "tariff"), help="Energy of all jobs of a team's user with one model by band of the tariff, from which a month is priced anew.", source="the jobs' energy by band"),
    _c("gpu_team_emissions_grams_total", unit="grams", labels=TEAM, help="Carbon dioxide of all jobs of a team's user with one model.", source="the jobs' emissions"),
    _c("gpu_team_unused_energy_joules_total", unit="joules", labels=TEAM, help="Energy that went by while jobs held GPUs and none of their kernels ran.", source="the jobs' unused energy"),
    _c("gpu_team_unused_cost_total", unit="", labels=(*TEAM, "currency"), help="Cost of the unused energy.", source="the jobs' unused cost"),
    _c("gpu_unattributed_energy_joules_total", unit="joules", labels=(*D, "reason"), help="Energy of a GPU that is no job's: idle, no_process, no_activity, unresolved, no_process_data, unused_slices, exporter_down, gap.", source="what the split leaves"),
    _c("gpu_unattributed_cost_total", unit="", labels=(*D, "reason", "currency"), help="Cost of the energy that is no job's; with the jobs' cost it is the GPU's, exactly.", source="what the split leaves, the tariff"),
    _c("gpu_unattributed_gpu_seconds_total", unit="seconds", labels=D, help="Time of a GPU that no job held.", source="what the split leaves"),
    _c("gpu_unattributed_busy_seconds_total", unit="seconds", labels=D, help="Busy time of a GPU that is no job's.", source="what the split leaves"),
    _g("gpu_idle_power_watts", unit="watts", labels=D, help="Baseline of the GPU: the second-lowest 60 s mean seen without a process, or as configured. Absent until known.", source="gpu_energy_joules_total while no process is there"),
    _g("gpu_attribution_info", unit="", labels=(*D, "method", "policy"), help="Always 1; how the latest tick was split (sole, sm_share, equal, allocation, mig_activity, mig_slices, none), and the idle policy.", source="the split"),
)

JOBS: tuple[Family, ...] = (*JOB, *TEAMS)
