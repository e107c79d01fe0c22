"""`gputally check` on the fake driver: exit status, table, JSON, and nothing left behind."""

import json
import os
import re
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from gputally.catalogue import BY_NAME, DEVICES
from gputally.cli.check import tariff_now
from gputally.cli.options import combine
from gputally.cli.probe import state_folder
from tests.cli.command import assert_refused, gputally

PER_GPU = [family.name for family in DEVICES if family.labels[:1] == ("gpu",)]
HIDDEN_IN_TABLE = {
    f.name for f in DEVICES if f.name.endswith("_info") or f.section == BY_NAME["gpu_up"].section
}
NO_PROGRAMS = {"PATH": "/nonexistent"}


@pytest.fixture
def check(fake_nvml, tmp_path):
    """Run `gputally check` on two cards, in an empty folder, with no other source on PATH."""
    fake_nvml.add_gpu("h100", name="A card")
    fake_nvml.add_gpu("p100", name="Another card")
    folder = tmp_path / "empty"
    folder.mkdir()

    def run(*flags, **env):
        answer = gputally("check", *flags, folder=folder, env={**fake_nvml.env, **NO_PROGRAMS, **env})
        assert answer.err == ""
        assert list(folder.iterdir()) == []
        return answer

    return run


def no_driver(fake):
    """The environment without the fake driver."""
    return {"LD_LIBRARY_PATH": os.environ.get("LD_LIBRARY_PATH", ""), "FAKE_NVML_CONTROL": str(fake.path)}


def rows(table: str) -> list[list[tuple[str, str]]]:
    """(family, what stands behind it) of each GPU of a table."""
    gpus = re.split(r"^  GPU .*$", table, flags=re.MULTILINE)[1:]
    return [re.findall(r"^      (\w+) +(.+)$", gpu, re.MULTILINE) for gpu in gpus]


def test_the_table_says_what_each_card_measures_and_why_the_rest_is_absent(check):
    answer = check()
    assert answer.status == 0
    assert re.findall(r"^  GPU (.*)$", answer.out, re.MULTILINE) == [
        "0  A card  GPU-00000000-0000-4000-8000-000000000000",
        "1  Another card  GPU-00000000-0000-4000-8000-000000000001",
    ]
    gpus = rows(answer.out)
    for shown in gpus:
        assert [name for name, _ in shown] == [name for name in PER_GPU if name not in HIDDEN_IN_TABLE]
        for name, text in shown:
            unit = {"bytes": "[A-Z]iB", "hertz": "MHz"}.get(BY_NAME[name].unit, BY_NAME[name].unit)
            number = r"[0-9,.]+" + ("%" if unit == "ratio" else f" {unit}" if unit else "")
            assert re.fullmatch(rf"{number}|-  \S.*", text), (name, text)
    full, p100 = map(dict, gpus)
    assert full["gpu_power_watts"] == "100 watts"
    assert full["gpu_memory_total_bytes"] == "80.00 GiB"
    assert full["gpu_power_average_watts"] == "100 watts"
    assert p100["gpu_power_average_watts"] == "-  not supported"
    assert full["gpu_memory_temperature_celsius"] == "45 celsius"
    assert p100["gpu_memory_temperature_celsius"] == "-  not supported"
    assert full["gpu_mig_compute_slices"] == "-  not partitioned"


def test_the_head_of_the_table_says_how_it_is_set_up(check, tmp_path):
    (tmp_path / "c.yml").write_text("log: {level: error}\n")
    (tmp_path / "web.yml").write_text(f"basic_auth_users: {{a: {'$2b$10$' + 'x' * 53}}}\n")
    flags = [f"--config.file={tmp_path / 'c.yml'}", f"--web.config.file={tmp_path / 'web.yml'}"]
    flags += ["--web.listen-address=127.0.0.1:1", "--web.listen-address=[::1]:2", f"--state.dir={tmp_path}"]
    head = re.sub(" +", " ", check(*flags).out.partition("\n  GPU")[0])
    assert head.splitlines()[1:] == [
        "",
        f" configuration {tmp_path / 'c.yml'}",
        " web 127.0.0.1:1, [::1]:2: passwords",
        f" state {tmp_path}: writable",
        " tariff 0.12 USD per kWh now (the default: none is configured), UTC, PUE 1, 475 g CO2 per kWh",
        "",
        " SOURCE STATE WHAT IT SAYS",
        " nvml used 2 GPUs, driver 580.1, CUDA 13.0",
        " nvidia-smi absent nvidia-smi is not on PATH",
        " nvtop absent nvtop is not on PATH",
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("market: {}", "gputally site asks nobody"),
        ("market: {providers: {akash: {}, vast: {}}}", "gputally site asks vast, akash"),
        (
            (
                "rentals: [{name: a, provider: b, card: l40s-48gb, gpus: 1, usd_per_gpu_hour: 1}]\n"
                "plans: [{name: a, gpus: 1, card: l40s-48gb, hours: 1}]"
            ),
            "rentals: 1; plans: 1",
        ),
    ],
)
def test_what_the_file_says_of_the_market_is_a_line(check, tmp_path, text, line):
    (tmp_path / "c.yml").write_text(text)
    answer = check(f"--config.file={tmp_path / 'c.yml'}")
    assert answer.status == 0
    assert re.search(r"^  market +(.*)$", answer.out, re.MULTILINE)[1] == line


BOOKED = "{id: a, team: nlp, host: h, gpus: [0], start: 2026-11-20T09:00:00Z, end: 2026-11-20T10:00:00Z}"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("log: {}", {}),
        ("ledger: {file: l.sqlite}", {"ledger": "FOLDER/l.sqlite: not there yet: an import makes it"}),
        ("ledger: {file: no/l.sqlite}", {"ledger": "FOLDER/no/l.sqlite: its folder is not there"}),
        ("ledger: {file: c.yml}", {"ledger": "FOLDER/c.yml: can be read"}),
        ("ledger: {file: empty}", {"ledger": "FOLDER/empty: cannot be read: Is a directory"}),
        ("reservations: {file: r.yml}", {"reservations": "FOLDER/r.yml: 1 booking"}),
        (
            "reservations: {file: c.yml}",
            {"reservations": "FOLDER/c.yml:1:15 reservations: expected a list, found a mapping"},
        ),
        (
            f"budgets: [{', '.join(f'{{team: t{n}, amount: 4000.5, currency: EUR}}' for n in range(5))}]",
            {"budgets": ", ".join([*(f"t{n} 4000.5 EUR a month" for n in range(3)), "2 more"])},
        ),
    ],
)
def test_what_the_file_says_of_accounts_is_a_line_each(check, tmp_path, text, lines):
    (tmp_path / "c.yml").write_text(text)
    (tmp_path / "r.yml").write_text(f"reservations: [{BOOKED}]")
    answer = check(f"--config.file={tmp_path / 'c.yml'}")
    assert answer.status == 0
    shown = dict(re.findall(r"^  (reservations|ledger|budgets) +(.*)$", answer.out, re.MULTILINE))
    assert shown == {name: line.replace("FOLDER", str(tmp_path)) for name, line in lines.items()}


def test_json_has_the_same_in_fixed_places(check):
    answer = check("--format=json")
    assert answer.status == 0
    found = json.loads(answer.out)
    assert list(found) == ["version", "configuration", "web", "state", "tariff", "sources", "gpus"]
    assert found["tariff"] == {
        "source": "default",
        "band": "default",
        "price_per_kwh": 0.12,
        "currency": "USD",
        "timezone": "UTC",
        "pue": 1.0,
        "grams_per_kwh": 475.0,
    }
    assert [(s["source"], s["works"], s["used"], s["reason"]) for s in found["sources"]] == [
        ("nvml", True, True, ""),
        ("nvidia-smi", False, False, "not_found"),
        ("nvtop", False, False, "not_found"),
    ]
    assert [(gpu["index"], gpu["name"], gpu["up"]) for gpu in found["gpus"]] == [
        ("0", "A card", True),
        ("1", "Another card", True),
    ]
    for gpu in found["gpus"]:
        assert list(gpu) == ["index", "uuid", "name", "up", "measured", "absent"]
        assert sorted([*gpu["measured"], *gpu["absent"]]) == sorted(PER_GPU)
        assert {type(value) for value in gpu["measured"].values()} == {float}
        assert all(why.isprintable() and why for why in gpu["absent"].values())


BANDS = """
site: {timezone: Europe/Berlin, pue: 1.25}
carbon: {grams_per_kwh: 380}
tariff:
  currency: EUR
  bands:
    - {name: day, hours: ["06:00-22:00"], price_per_kwh: 0.3}
    - {name: night, price_per_kwh: -0.015}
"""


def test_which_tariff_holds_is_told_to_people_and_programs(check, tmp_path):
    (tmp_path / "c.yml").write_text(BANDS)
    answer = check(f"--config.file={tmp_path / 'c.yml'}")
    prices = {"day": "0.3", "night": "-0.015"}
    found = re.search(r"^  tariff +(\S+) EUR per kWh now \(band (\w+)\), (.+)$", answer.out, re.MULTILINE)
    assert prices[found[2]] == found[1]
    assert found[3] == "Europe/Berlin, PUE 1.25, 380 g CO2 per kWh"
    tariff = json.loads(check(f"--config.file={tmp_path / 'c.yml'}", "--format=json").out)["tariff"]
    assert (tariff["source"], tariff["currency"], tariff["pue"]) == ("configured", "EUR", 1.25)


def test_a_price_is_told_with_all_of_its_digits(check, tmp_path):
    (tmp_path / "c.yml").write_text("tariff: {currency: EUR, price_per_kwh: 1.234567891}")
    assert " 1.234567891 EUR per kWh now" in check(f"--config.file={tmp_path / 'c.yml'}").out


def test_the_tariff_that_holds_is_that_of_the_instant(tmp_path):
    (tmp_path / "c.yml").write_text(BANDS)
    tariff = combine(tmp_path / "c.yml", {}).site.tariff
    evening = datetime(2026, 7, 1, 20, 0, tzinfo=UTC)  # 22:00 in Berlin
    before, after = (tariff_now(tariff, int(evening.timestamp()) * 10**9 - early_ns) for early_ns in (1, 0))
    assert (before["band"], before["price_per_kwh"]) == ("day", 0.3)
    assert (after["band"], after["price_per_kwh"]) == ("night", -0.015)


def test_without_a_driver_the_status_is_1_and_says_how_to_see_a_simulation(fake_nvml, check):
    answer = check(**no_driver(fake_nvml))
    assert answer.status == 1
    assert "nvml           absent  libnvidia-ml.so.1 was not found" in answer.out
    assert answer.out.endswith("--source=simulated shows what it would look like.\n")
    found = json.loads(check("--format=json", **no_driver(fake_nvml)).out)
    assert found["gpus"] == []
    assert [source["works"] for source in found["sources"]] == [False] * 3


def test_a_driver_without_gpus_is_status_1(fake_nvml, check):
    fake_nvml.order([])
    answer = check()
    assert answer.status == 1
    assert re.search(r"nvml +absent +no GPU found", answer.out)


def test_a_source_that_was_not_asked_for_is_not_used_although_it_works(check):
    answer = check("--source=nvidia-smi")
    assert answer.status == 1
    states = re.findall(r"^  (\S+) +(used|works|absent) ", answer.out, re.MULTILINE)
    assert states == [("nvidia-smi", "absent"), ("nvml", "works"), ("nvtop", "absent")]


def test_the_simulation_is_tried_only_if_asked_for(check):
    assert "simulated" not in check().out
    answer = check("--source=simulated", "--simulated.gpus=3")
    assert answer.status == 0
    assert re.findall(r"^  (\S+) +(?:used|works|absent) ", answer.out, re.MULTILINE) == ["simulated"]
    assert len(rows(answer.out)) == 3


def test_a_driver_or_one_card_that_hangs_is_given_up_in_time(fake_nvml, check):
    fake_nvml.fault("nvmlDeviceGetUtilizationRates", gpu=1, hang=True)
    with ThreadPoolExecutor(2) as pool:
        began = time.monotonic()
        one = pool.submit(check)
        fake_nvml.wait_for_hang("nvmlDeviceGetUtilizationRates", gpu=1)
        fake_nvml.fault("nvmlInitWithFlags", hang=True)
        none = pool.submit(check, "--format=json")
        one, none = one.result(), none.result()
    assert time.monotonic() - began < 20
    assert one.status == 0  # the other card can be measured
    assert len(rows(one.out)[0]) > 40
    assert re.search(r"GPU 1 .*\n    down: timeout\n", one.out), one.out[-500:]
    assert none.status == 1
    nvml = json.loads(none.out)["sources"][0]
    assert (nvml["works"], nvml["reason"], nvml["message"]) == (False, "timeout", "does not answer")


@pytest.mark.parametrize(
    ("folder", "words"),
    [
        ("new", "can be made"),
        ("a/b/c", "can be made"),
        ("there", "writable"),
        ("file/x", "cannot be written: Not a directory"),
        ("x" * 300, "cannot be written: File name too long"),
        ("loop/x", "cannot be written: Too many levels of symbolic links"),
    ],
)
def test_the_state_folder_is_tried_and_left_as_it_was(folder, words, tmp_path):
    (tmp_path / "there").mkdir(parents=True)
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    before = sorted(path.name for path in tmp_path.rglob("*"))
    good, sentence = state_folder(tmp_path / folder)
    assert sentence == f"{tmp_path / folder}: {words}"
    assert good == ("cannot" not in words)
    assert sorted(path.name for path in tmp_path.rglob("*")) == before


def test_a_state_folder_that_cannot_be_written_is_status_1(check, tmp_path):
    (tmp_path / "file").touch()
    answer = check(f"--state.dir={tmp_path / 'file' / 'x'}")
    assert answer.status == 1
    assert f"  state          {tmp_path / 'file' / 'x'}: cannot be written: Not a directory\n" in answer.out
    assert re.search(r"nvml +used", answer.out)


def test_a_wrong_configuration_is_status_2_and_probes_nothing(fake_nvml, tmp_path):
    (tmp_path / "c.yml").write_text("node: {sample_interval: 1}\n")
    before = {entry.name for entry in tmp_path.iterdir()}
    calls = fake_nvml.calls()
    answer = gputally("check", "--config.file=c.yml", folder=tmp_path, env=fake_nvml.env)
    assert "c.yml:1:25 node.sample_interval: expected a duration" in assert_refused(answer, tmp_path, before)
    assert fake_nvml.calls() == calls
