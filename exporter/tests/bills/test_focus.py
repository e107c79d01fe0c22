"""What a row of a FOCUS bill adds to which day, GPU and team."""

from __future__ import annotations

import json

import pytest

from gputally.config.bills import Instance
from tests.bills.making import BILLED, focus, instance, tags

NEW_NAMES = {"ServiceProviderName": "Amazon Web Services", "HostProviderName": "AWS"}
VERSIONS = {
    "1.0": (
        {"drop": ["SkuPriceDetails"], "columns": ["x_UsageType"]},
        {"x_UsageType": "EUC1-BoxUsage:p5.48xlarge"},
    ),
    "1.1 or 1.2": ({}, {}),
    "1.3": ({"columns": list(NEW_NAMES)}, NEW_NAMES),
    "1.4": ({"drop": ["ProviderName"], "columns": list(NEW_NAMES)}, NEW_NAMES),
}
VISION = ("2026-11-03", "h100-sxm5-80gb", "vision", "USD")


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_is_read(books, version):
    how, row = VERSIONS[version]
    (one,) = books.take(focus(row, **how))
    assert (one.kind, one.form) == ("focus", f"FOCUS {version}")
    assert books.charges() == {VISION: "1.25 8"}
    assert [(bill.provider, bill.account) for bill in one.bills] == [("aws", "111122223333")]


def test_columns_may_be_written_as_athena_writes_them(books):
    header, _, rows = focus({}).partition("\n")
    snake = (
        "".join(f"_{c.lower()}" if c.isupper() else c for c in header).replace(",_", ",").removeprefix("_")
    )
    assert "charge_period_start" in snake
    books.take(f"{snake}\n{rows}")
    assert books.charges() == {VISION: "1.25 8"}


def test_hours_of_a_day_are_summed_up_exactly(books):
    books.take(
        focus(
            *(
                {"EffectiveCost": "0.1", "ChargePeriodStart": f"2026-11-03T{hour:02}:00:00Z"}
                for hour in range(24)
            )
        )
    )
    assert books.charges() == {VISION: "2.4 192"}


def test_the_other_cost_is_the_invoice(books):
    (one,) = books.take(focus({}), basis="billed")
    assert books.charges() == {VISION: "1.5 8"}
    assert books.take(focus({}), basis="effective")[0].notes == [
        "aws 111122223333 2026-11 was by billed cost before, and is by effective cost now"
    ]
    assert books.charges() == {VISION: "1.25 8"}
    assert one.notes == []


@pytest.mark.parametrize(
    ("written", "amount"),
    [
        ("1e-9", "0.000000001"),
        ("1.2345678901234567e-05", "0.000012345678901235"),
        ("-3", "-3"),
        ("+.5", "0.5"),
        ("0.000000000000000001", "0.000000000000000001"),
        ("-0.000000000000000001", "-0.000000000000000001"),
        ("9000000000", "9000000000"),
        ("7.", "7"),
    ],
)
def test_amounts_are_taken_exactly_as_they_are_written(books, written, amount):
    books.take(focus({"EffectiveCost": written}))
    assert books.charges() == {VISION: f"{amount} 8"}


GPUS = {
    "aws": (instance("p4d.24xlarge"), "a100-sxm4-40gb", "8"),
    "capitals": (instance("P4D.24xlarge"), "a100-sxm4-40gb", "8"),
    "azure": (instance("Standard_ND96isr_H100_v5"), "h100-sxm5-80gb", "8"),
    "google": (instance("a2-ultragpu-4g"), "a100-sxm4-80gb", "4"),
    "oracle": (instance("BM.GPU.H200.8"), "h200-sxm5-141gb", "8"),
    "sagemaker": (instance("ml.g5.xlarge"), "a10g-24gb", "1"),
    "azure's meter": (
        {"SkuPriceDetails": "", "SkuMeter": "NC24ads A100 v4 Spot"},
        "a100-pcie-80gb",
        "1",
    ),
    "of one's own": (instance("my.box"), "a40-48gb", "4"),
    "count of the row": (
        {"SkuPriceDetails": json.dumps({"InstanceType": "p5.48xlarge", "GpuCount": 2})},
        "h100-sxm5-80gb",
        "2",
    ),
    "the provider's column": (
        {"SkuPriceDetails": "", "x_UsageType": "BoxUsage:g6e.12xlarge"},
        "l40s-48gb",
        "4",
    ),
    "azure's details": (
        {"SkuPriceDetails": "", "x_SkuDetails": json.dumps({"ServiceType": "Standard_NC24ads_A100_v4"})},
        "a100-pcie-80gb",
        "1",
    ),
    "aws' words": (
        {"SkuPriceDetails": "", "ChargeDescription": "$55.04 per On Demand Linux p5.48xlarge Instance Hour"},
        "h100-sxm5-80gb",
        "8",
    ),
    "google's words": (
        {"SkuPriceDetails": "", "ChargeDescription": "Nvidia L4 GPU running in Frankfurt"},
        "l4-24gb",
        "1",
    ),
    "a card that is named": (
        {"SkuPriceDetails": json.dumps({"x_GpuType": "NVIDIA L40S", "GpuCount": "2"})},
        "l40s-48gb",
        "2",
    ),
    "a machine that sounds like one": (instance("p9.96xlarge"), "p9.96xlarge", "-"),
    "a machine with GPUs without a name": ({"SkuPriceDetails": json.dumps({"GpuCount": 2})}, "unknown", "2"),
    "details that are no JSON": (
        {"SkuPriceDetails": "{", "ChargeDescription": "g5.xlarge"},
        "a10g-24gb",
        "1",
    ),
}


@pytest.mark.parametrize("name", GPUS)
def test_the_machine_says_which_gpu_it_is(books, name):
    row, gpu, hours = GPUS[name]
    books.take(focus(row, columns=["x_UsageType", "x_SkuDetails", "SkuMeter"]))
    assert books.charges() == {("2026-11-03", gpu, "vision", "USD"): f"1.25 {hours}"}


def test_machines_that_are_not_known_are_named(books):
    (one,) = books.take(focus(instance("p9.96xlarge"), instance("p9.96xlarge"), instance("g9.metal")))
    assert one.notes == [
        (
            "machines whose GPUs are not known: p9.96xlarge (2 rows), g9.metal (1 rows): "
            "add them to bills.instances"
        )
    ]


def test_a_machine_of_ones_own_comes_first(books):
    books.take(focus({}), instances={"p5.48xlarge": Instance("h100-nvl-94gb", 2)})
    assert books.charges() == {("2026-11-03", "h100-nvl-94gb", "vision", "USD"): "1.25 2"}


OTHERS = [
    instance("m5.large") | {"EffectiveCost": "10"},
    {"SkuPriceDetails": "", "ChargeDescription": "S3 storage", "EffectiveCost": "0.5"},
]


def test_rows_of_no_gpu_are_left_out_and_told(books):
    (one,) = books.take(focus({}, *OTHERS))
    assert (one.tally.rows, one.tally.taken, dict(one.tally.left_out)) == (3, 1, {"of no GPU": 2})
    assert {key: str(cost) for key, cost in one.tally.costs_of("of no GPU").items()} == {"USD": "10.5"}
    assert books.charges() == {VISION: "1.25 8"}


def test_rows_of_no_gpu_are_taken_when_they_are_asked_for(books):
    books.take(focus({}, *OTHERS), others=True)
    assert books.charges() == {VISION: "1.25 8", ("2026-11-03", "other", "vision", "USD"): "10.5 0"}


CATEGORIES = [
    {"EffectiveCost": "4"},
    {"ChargeCategory": "Credit", "EffectiveCost": "-1"},
    {"ChargeCategory": "Tax", "EffectiveCost": "0.5"},
    {"ChargeCategory": "Purchase", "EffectiveCost": "0", "BilledCost": "100"},
    {"ChargeCategory": "Adjustment", "EffectiveCost": "-0.25"},
]


@pytest.mark.parametrize(
    ("categories", "amount"),
    [
        ({"usage"}, "4"),
        ({"usage", "credit"}, "3"),
        ({"usage", "credit", "tax"}, "3.5"),
        ({"usage", "credit", "tax", "purchase", "adjustment"}, "3.25"),
        ({"credit"}, "-1"),
    ],
)
def test_categories_are_taken_when_they_are_asked_for(books, categories, amount):
    (one,) = books.take(focus(*CATEGORIES), categories=categories)
    assert books.charges() == {VISION: f"{amount} {8 if 'usage' in categories else 0}"}
    assert one.tally.left_out.keys() == {"usage", "credit", "tax", "purchase", "adjustment"} - categories


def test_a_purchase_counts_by_the_invoice(books):
    books.take(focus(*CATEGORIES), categories={"purchase"}, basis="billed")
    assert books.charges() == {VISION: "100 0"}


def test_a_correction_stays_in_its_own_period_and_takes_off(books):
    books.take(
        focus(
            {"EffectiveCost": "10", "ConsumedQuantity": "4"},
            {
                "EffectiveCost": "-2.5",
                "ConsumedQuantity": "-1",
                "ChargeClass": "Correction",
                "ChargePeriodStart": "2026-10-15T00:00:00Z",
            },
        )
    )
    assert books.charges() == {
        VISION: "10 32",
        ("2026-10-15", "h100-sxm5-80gb", "vision", "USD"): "-2.5 -8",
    }


def test_what_was_reserved_and_not_used_costs_and_has_no_hours(books):
    books.take(focus({"CommitmentDiscountStatus": "Used"}, {"CommitmentDiscountStatus": "Unused"}))
    assert books.charges() == {VISION: "2.5 8"}


QUANTITIES = {
    "minutes": ({"ConsumedQuantity": "30", "ConsumedUnit": "Minutes"}, "4"),
    "seconds": ({"ConsumedQuantity": "1800", "ConsumedUnit": "seconds"}, "4"),
    "of GPUs": ({"ConsumedQuantity": "3", "ConsumedUnit": "GPU-Hours"}, "3"),
    "of machines": ({"ConsumedQuantity": "3", "ConsumedUnit": "Instance-Hours"}, "24"),
    "of 100 hours": ({"ConsumedQuantity": "", "PricingQuantity": "0.03", "PricingUnit": "100 Hours"}, "24"),
    "pricing": ({"ConsumedQuantity": "", "PricingQuantity": "2"}, "16"),
    "of no time": ({"ConsumedUnit": "Units", "PricingUnit": "Units"}, "-"),
    "none": ({"ConsumedQuantity": "", "PricingQuantity": ""}, "-"),
    "none, and free": ({"ConsumedQuantity": "", "PricingQuantity": "", "EffectiveCost": "0"}, "0"),
}


@pytest.mark.parametrize("name", QUANTITIES)
def test_gpu_hours_follow_from_quantity_and_unit(books, name):
    row, hours = QUANTITIES[name]
    books.take(focus(row))
    assert [amount.split()[1] for amount in books.charges().values()] == [hours]


def test_one_row_without_hours_leaves_the_day_without(books):
    books.take(focus({}, QUANTITIES["none"][0]))
    assert books.charges() == {VISION: "2.5 -"}


TEAMS = {
    "tag": (tags(team="NLP"), "nlp"),
    "tag in capitals": (tags(Team="nlp"), "nlp"),
    "tag of a user": ({"Tags": json.dumps({"user:team": "nlp"})}, "nlp"),
    "account": ({"Tags": "", "SubAccountId": "999"}, "Ops"),
    "name of the account": ({"Tags": "{}", "SubAccountName": "Research"}, "research"),
    "tag before account": (tags(team="nlp") | {"SubAccountId": "999"}, "nlp"),
    "empty tag": (tags(team=" ") | {"SubAccountId": "999"}, "Ops"),
    "tag that is no text": ({"Tags": json.dumps({"team": 5})}, "unassigned"),
    "as the site spells it": (tags(team="VISION"), "Vision"),
    "nothing": ({"Tags": ""}, "unassigned"),
    "null": ({"Tags": "null"}, "unassigned"),
}


@pytest.mark.parametrize("name", TEAMS)
def test_the_team_is_of_the_tag_else_of_the_account(books, name):
    row, team = TEAMS[name]
    books.take(focus(row), sub_accounts={"999": "Ops", "research": "research"}, teams=["Vision"])
    assert [key[2] for key in books.charges()] == [team]


def test_another_tag_may_name_the_team(books):
    books.take(focus(tags(team="x", group="y")), team_tag="group")
    assert [key[2] for key in books.charges()] == ["y"]


def test_days_are_of_utc_so_a_day_of_25_hours_is_counted_once(books):
    """Clocks in Berlin go back on 2026-10-25: its hours are 25, of two days of UTC."""
    hours = [f"2026-10-25T{hour:02}:00:00+0{1 + (hour < 3)}:00" for hour in range(24)]
    hours.insert(3, "2026-10-25T02:00:00+01:00")
    assert len(hours) == 25
    books.take(focus(*({"ChargePeriodStart": hour, "EffectiveCost": "1"} for hour in hours)))
    assert books.charges() == {
        ("2026-10-24", "h100-sxm5-80gb", "vision", "USD"): "2 16",
        ("2026-10-25", "h100-sxm5-80gb", "vision", "USD"): "23 184",
    }


def test_a_day_of_25_hours_in_one_row_is_of_the_day_in_which_it_begins(books):
    row = {"ChargePeriodStart": "2026-10-24T22:00:00Z", "ConsumedQuantity": "25"}
    books.take(focus(row | {"ChargePeriodEnd": "2026-10-25T23:00:00Z"}))
    assert books.charges() == {("2026-10-24", "h100-sxm5-80gb", "vision", "USD"): "1.25 200"}


@pytest.mark.parametrize(
    "written",
    ["2026-11-03T00:00:00Z", "2026-11-03T00:00:00.000Z", "2026-11-03T00:00Z", "2026-11-03 00:00:00 UTC",
     "2026-11-03 00:00:00", "2026-11-03", "2026-11-03T01:30:00+01:00"],
)  # fmt: skip
def test_instants_may_be_written_in_several_ways(books, written):
    books.take(focus({"ChargePeriodStart": written}))
    assert [key[0] for key in books.charges()] == ["2026-11-03"]


def test_currencies_stand_apart(books):
    (one,) = books.take(focus({}, {"BillingCurrency": "EUR"}, {"BillingCurrency": "EUR"}))
    assert {key[3]: amount for key, amount in books.charges().items()} == {"USD": "1.25 8", "EUR": "2.5 16"}
    assert {currency: str(cost.normalize()) for currency, cost in one.posted[0].after.items()} == {
        "EUR": "2.5",
        "USD": "1.25",
    }


@pytest.mark.fault("bill-rows")
@pytest.mark.parametrize(
    ("column", "written", "reason"),
    [
        ("EffectiveCost", "abc", 'EffectiveCost: expected a number, found "abc"'),
        ("EffectiveCost", "", 'EffectiveCost: expected a number, found ""'),
        ("EffectiveCost", "NaN", 'EffectiveCost: expected a number, found "NaN"'),
        ("EffectiveCost", "1,5", 'EffectiveCost: expected a number, found "1,5"'),
        ("EffectiveCost", "1_0", 'EffectiveCost: expected a number, found "1_0"'),
        ("EffectiveCost", "9000000001", 'EffectiveCost: more than 9,000,000,000: "9000000001"'),
        ("EffectiveCost", "1e999", 'EffectiveCost: more than 9,000,000,000: "1e999"'),
        ("BillingCurrency", "usd", 'BillingCurrency: expected a currency by its three capital letters, found "usd"'),  # noqa: E501
        ("BillingCurrency", "", 'BillingCurrency: expected a currency by its three capital letters, found ""'),  # noqa: E501
        ("ChargeCategory", "Usages", "ChargeCategory: expected one of usage, purchase, tax, credit, adjustment, found 'usages'"),  # noqa: E501
        ("ChargePeriodStart", "03.11.2026", 'ChargePeriodStart: expected an instant such as 2026-11-29T00:00:00Z, found "03.11.2026"'),  # noqa: E501
        ("ChargePeriodStart", "1026-11-03", 'ChargePeriodStart: expected an instant such as 2026-11-29T00:00:00Z, found "1026-11-03"'),  # noqa: E501
        ("BillingPeriodStart", "", 'BillingPeriodStart: expected an instant such as 2026-11-29T00:00:00Z, found ""'),  # noqa: E501
        ("BillingAccountId", " ", "BillingAccountId: is empty"),
        ("ProviderName", "", "ServiceProviderName or ProviderName: is empty"),
        ("Tags", "team=vision", "Tags: expected a JSON object"),
        ("Tags", "[1]", "Tags: expected a JSON object"),
        ("Tags", json.dumps({"team": "a\tb\x07"}), 'team: expected at most 128 printable characters, found "a b?"'),  # noqa: E501
        ("Tags", json.dumps({"team": "x" * 129}), f'team: expected at most 128 printable characters, found "{"x" * 40}..."'),  # noqa: E501
        ("ConsumedQuantity", "one", 'ConsumedQuantity: expected a number, found "one"'),
        ("ConsumedQuantity", "1e10", "ConsumedQuantity: more than 1,000,000,000"),
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_taken_is_named_with_its_line(books, column, written, reason):
    (one,) = books.take(focus({}, {column: written}), partial=True)
    assert [(row.line, row.reason) for row in one.tally.shown] == [(3, reason)]
    assert (one.tally.rows, one.tally.taken, one.tally.rejections) == (2, 1, 1)
    assert books.charges() == {VISION: "1.25 8"}


def test_a_row_that_nobody_asked_for_may_have_what_it_likes(books):
    (one,) = books.take(
        focus({}, instance("m5.large") | {"EffectiveCost": "none", "Tags": "?", "BillingCurrency": ""})
    )
    assert (one.tally.taken, one.tally.rejections) == (1, 0)


def test_the_line_of_a_row_is_where_it_begins(books):
    (one,) = books.take(focus({"ChargeDescription": "two\nlines"}, {"EffectiveCost": "x"}), partial=True)
    assert [row.line for row in one.tally.shown] == [4]


def test_of_many_rejected_rows_a_few_are_shown_and_all_counted(books):
    (one,) = books.take(focus({}, *({"EffectiveCost": "x"} for _ in range(100))), partial=True)
    assert (len(one.tally.shown), one.tally.rejections) == (20, 100)


def test_the_example_has_what_every_bill_has():
    assert {"EffectiveCost", "BilledCost", "ChargePeriodStart"} <= BILLED.keys()
