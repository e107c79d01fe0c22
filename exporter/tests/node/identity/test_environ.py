"""What an environment may say, and that nothing else of it comes out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gputally.node.identity.environ import NO_CLAIMS, Claims, contradicts, read_claims
from gputally.node.identity.proc import MOST_BYTES

CANARY = b"SECRET_CANARY-do-not-show-me"


def block(**names):
    return b"".join(b"%s=%s\0" % (name.encode(), value.encode()) for name, value in names.items())


@pytest.mark.parametrize(
    ("names", "claims"),
    [
        ({}, NO_CLAIMS),
        ({"GPUTALLY_JOB": "night", "WANDB_NAME": "run"}, Claims(job_name="night")),
        ({"WANDB_NAME": "run", "WANDB_PROJECT": "llama"}, Claims(job_name="run", model="llama")),
        ({"WANDB_PROJECT": "llama", "WANDB_RUN_ID": "a1"}, Claims(job_name="llama/a1", model="llama")),
        ({"WANDB_RUN_ID": "a1"}, Claims(job_name="a1")),
        ({"TORCHELASTIC_RUN_ID": "exp7"}, Claims(job_name="exp7")),
        ({"TORCHELASTIC_RUN_ID": "none"}, NO_CLAIMS),
        ({"GPUTALLY_MODEL": "m", "WANDB_PROJECT": "p"}, Claims(job_name="p", model="m")),
        ({"GPUTALLY_TEAM": "t"}, Claims(team="t")),
        ({"GPUTALLY_JOB": "a\nb\x1b[31m\u202e"}, Claims(job_name="a_b_[31m_")),
        ({"SLURM_JOB_ID": "5", "SLURM_JOBID": "5"}, Claims(slurm_jobs=("5",))),
        (
            {"SLURM_JOB_ID": "5", "SLURM_JOBID": "6", "SLURM_JOB_SLUID": "s"},
            Claims(slurm_jobs=("5", "6"), sluid="s"),
        ),
        ({"gputally_job": "x", "XGPUTALLY_JOB": "x", "GPUTALLY_JOBS": "x", "GPUTALLY_JOB": ""}, NO_CLAIMS),
    ],
)
def test_a_few_exact_names_are_read(names, claims):
    assert read_claims(block(**names)) == claims


def test_of_other_variables_nothing_is_kept():
    assert read_claims(block(HOME="x", AWS_PROFILE="y")) is NO_CLAIMS


def test_the_first_of_two_counts_as_for_getenv():
    assert read_claims(b"GPUTALLY_JOB=a\0GPUTALLY_JOB=b\0").job_name == "a"


def test_values_are_short():
    claims = read_claims(b"GPUTALLY_JOB=%s\0GPUTALLY_TEAM=%s\0" % (b"x" * 9999, b"y" * 9999))
    assert (len(claims.job_name), len(claims.team)) == (128, 64)


def test_of_a_block_that_was_cut_the_last_entry_is_nothing():
    filler = b"A=" + b"x" * (MOST_BYTES - 20) + b"\0"
    full = (filler + b"SLURM_JOB_ID=4711\0")[:MOST_BYTES]
    assert full.endswith(b"SLURM_JOB_ID=4711"[: MOST_BYTES - len(filler)])
    assert read_claims(full) == NO_CLAIMS


@pytest.mark.parametrize(
    ("claims", "number", "sluid", "lies"),
    [
        (NO_CLAIMS, "5", "", False),
        (Claims(slurm_jobs=("5",)), "5", "", False),
        (Claims(slurm_jobs=("6",)), "5", "", True),
        (Claims(slurm_jobs=("5", "6")), "5", "", True),
        (Claims(slurm_jobs=("x",)), "5", "", True),
        (Claims(slurm_jobs=("6",)), "", "sA", False),  # nobody has said which number that is
        (Claims(slurm_jobs=("6",), sluid="sB"), "", "sA", True),
        (Claims(sluid="sA"), "", "sA", False),
    ],
)
def test_another_job_than_the_cgroups_is_a_lie(claims, number, sluid, lies):
    assert contradicts(claims, number, sluid) is lies


secrets = st.binary(max_size=40).map(lambda noise: b"K" + noise.replace(b"\0", b"") + CANARY)


@given(st.lists(secrets), st.binary(max_size=30))
def test_no_other_variable_comes_out_in_any_form(entries, end):
    text = b"\0".join([*entries, b"GPUTALLY_JOB=fine", *entries, end])
    assert "CANARY" not in repr(read_claims(text))


@given(st.binary())
def test_any_bytes_are_borne(text):
    assert isinstance(read_claims(text), Claims)
