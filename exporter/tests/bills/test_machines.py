"""The table of machines: its cards are known, its names can be found, and nothing else sounds like a GPU."""

from __future__ import annotations

import pytest

from gputally.site.ledger import machines
from gputally.site.market import cards

TABLE = machines.load()


def test_every_card_is_one_of_the_catalogue():
    assert {one.gpu for one in TABLE.instances.values()} <= cards.load().cards.keys()
    assert len(TABLE.instances) > 120


def test_every_machine_of_the_table_sounds_like_one():
    assert [name for name in TABLE.instances if not TABLE.sounds_like(name)] == []
    assert [name for name in (*TABLE.instances, *TABLE.providers) if name != name.lower()] == []


@pytest.mark.parametrize(
    "name",
    ["p6-b400.48xlarge", "g7e.12xlarge", "g6f.large", "standard_nv6ads_a10_v5", "a3-highgpu-8g-nolssd", "bm.gpu.mi355x.8"],  # noqa: E501
)  # fmt: skip
def test_what_is_new_or_a_part_of_a_gpu_sounds_like_one(name):
    assert TABLE.sounds_like(name)
    assert name not in TABLE.instances


@pytest.mark.parametrize(
    "name",
    ["m5.large", "c6g.xlarge", "r7gd.metal", "t4g.micro", "x2gd.large", "inf2.xlarge", "trn1.32xlarge", "i4g.large",  # noqa: E501
     "standard_d8s_v5", "standard_np10s", "n2-standard-8", "c3-highcpu-4", "vm.standard.e4.flex", "", "gp3", "p", "s3"],  # noqa: E501
)  # fmt: skip
def test_what_has_no_gpu_does_not(name):
    assert not TABLE.sounds_like(name)


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("$98.32 per On Demand Linux p5.48xlarge Instance Hour", "p5.48xlarge"),
        ("p9.1xlarge and (g5.xlarge)", "g5.xlarge"),
        ("USE1-BoxUsage:p4d.24xlarge", "p4d.24xlarge"),
        ("$0.08 per GB-month of General Purpose (gp3) provisioned storage", None),
        ("A2 Instance Core running in Americas", None),
        ("", None),
    ],
)
def test_a_machine_is_found_in_words(words, name):
    assert TABLE.named(words) == name


def test_providers_are_called_as_prices_call_them():
    names = ("AWS", " Amazon  Web Services ", "Microsoft", "Google Cloud", "Oracle", "My Cloud")
    assert [TABLE.provider(name) for name in names] == ["aws", "aws", "azure", "gcp", "oci", "my cloud"]
