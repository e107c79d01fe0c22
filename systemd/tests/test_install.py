"""`install.sh` in a folder of its own, and what it would do to a machine; on-a-machine.sh has the rest."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from gputally.cli.options import combine
from gputally.config.settings import NodeSettings, SiteSettings

SYSTEMD = Path(__file__).parents[1]
INSTALLER = SYSTEMD / "install.sh"
NODE_UNIT = "etc/systemd/system/gputally-node.service"
NODE_ENV = "etc/gputally/gputally-node.env"
SITE_FILE = "etc/gputally/gputally.yml"
RECORD = "opt/gputally/installed"
LEDGER_FOLDER = "/var/lib/gputally-site"
COMMON_FILES = {SITE_FILE, RECORD, "etc/sysusers.d/gputally.conf", "usr/local/bin/gputally"}
NODE_FILES = COMMON_FILES | {
    NODE_ENV,
    NODE_UNIT,
    "etc/systemd/system/run-gputally-runs.mount",
    "etc/tmpfiles.d/gputally.conf",
}
SITE_FILES = COMMON_FILES | {
    "etc/gputally/gputally-site.env",
    "etc/systemd/system/gputally-site.service",
}
SLURM_FILES = {
    "etc/gputally/slurm.env",
    "etc/slurm/epilog.d/50-gputally",
    "etc/slurm/prolog.d/50-gputally",
}


def run(*arguments: str, root: Path | None, installer: Path = INSTALLER) -> subprocess.CompletedProcess[str]:
    """In a folder; without one, on this machine, which only a dry run may do here."""
    assert root is not None or {"--dry-run", "--help"} & set(arguments)
    environment = os.environ | {"DESTDIR": str(root or "")}
    return subprocess.run(
        [installer, *arguments], env=environment, check=False, capture_output=True, text=True
    )


def install(root: Path, *arguments: str, installer: Path = INSTALLER) -> list[str]:
    """What it said, line by line."""
    done = run(*arguments, root=root, installer=installer)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def files(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


@pytest.fixture
def newer(tmp_path: Path) -> Path:
    """A later version's folder, with other defaults and another unit."""
    folder = tmp_path / "later" / "systemd"
    shutil.copytree(SYSTEMD, folder, ignore=shutil.ignore_patterns("tests"))
    for name in ("gputally-node.env", "gputally-node.service", "gputally.yml"):
        with (folder / name).open("a") as file:
            file.write("# of a later version\n")
    return folder / "install.sh"


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ((), NODE_FILES),
        (("node",), NODE_FILES),
        (("site",), SITE_FILES),
        (("node", "site"), NODE_FILES | SITE_FILES),
        (("node", "--slurm"), NODE_FILES | SLURM_FILES),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_it_puts_in_place_what_is_asked_for_and_nothing_the_second_time(
    tmp_path: Path, arguments: tuple[str, ...], wanted: set[str]
) -> None:
    install(tmp_path, *arguments)
    assert files(tmp_path) == wanted
    before = {name: (tmp_path / name).stat().st_mtime_ns for name in wanted}
    assert install(tmp_path, *arguments)[0] == "nothing to change"
    assert {name: (tmp_path / name).stat().st_mtime_ns for name in files(tmp_path)} == before


def test_what_it_puts_in_place_is_what_is_here_and_can_be_run_or_read_by_all(tmp_path: Path) -> None:
    install(tmp_path, "node", "site", "--slurm")
    for name in NODE_FILES | SITE_FILES | SLURM_FILES:
        runs = name.startswith(("usr/", "etc/slurm/"))
        assert (tmp_path / name).stat().st_mode & 0o777 == (0o755 if runs else 0o644), name
    for name in ("gputally-node.service", "gputally-site.service", "run-gputally-runs.mount"):
        assert (tmp_path / "etc/systemd/system" / name).read_text() == (SYSTEMD / name).read_text()
    record = (SYSTEMD / "slurm" / "gputally-record.sh").read_text()
    assert {(tmp_path / f"etc/slurm/{one}.d/50-gputally").read_text() for one in ("prolog", "epilog")} == {
        record
    }


def test_units_find_what_was_put_in_place(tmp_path: Path) -> None:
    install(tmp_path, "node", "site")
    for name in ("node", "site"):
        unit = (tmp_path / f"etc/systemd/system/gputally-{name}.service").read_text()
        (settings,) = re.findall(r"^EnvironmentFile=-/(.+)$", unit, re.MULTILINE)
        (site_file,) = re.findall(
            r"^GPUTALLY_CONFIG_FILE=/(.+)$", (tmp_path / settings).read_text(), re.MULTILINE
        )
        assert site_file == SITE_FILE
        assert (tmp_path / site_file).exists()
    assert (tmp_path / "etc/tmpfiles.d/gputally.conf").read_text().count(
        str(NodeSettings().jobs_slurm_dir)
    ) == 1


def test_a_changed_setting_is_kept_and_a_new_default_stands_beside_it_once(
    tmp_path: Path, newer: Path
) -> None:
    root = tmp_path / "root"
    install(root)
    (root / NODE_ENV).write_text("GPUTALLY_LOG_LEVEL=debug\n")
    (root / NODE_ENV).chmod(0o600)
    assert install(root) == [f"keep /{NODE_ENV}, which was changed here", "nothing to change"]
    assert files(root) == NODE_FILES
    said = install(root, installer=newer)
    assert f"keep /{NODE_ENV}, which was changed here; write /{NODE_ENV}.new" in said
    assert (root / NODE_ENV).read_text() == "GPUTALLY_LOG_LEVEL=debug\n"
    assert (root / NODE_ENV).stat().st_mode & 0o777 == 0o600
    assert (root / f"{NODE_ENV}.new").read_text() == (newer.parent / "gputally-node.env").read_text()
    (root / f"{NODE_ENV}.new").unlink()  # read, and done with
    assert install(root, installer=newer)[-1] == "nothing to change"
    assert files(root) == NODE_FILES


def test_a_setting_that_nobody_has_changed_follows_the_new_version_with_its_mode(
    tmp_path: Path, newer: Path
) -> None:
    root = tmp_path / "root"
    install(root)
    (root / SITE_FILE).chmod(0o640)
    assert f"write /{SITE_FILE}" in install(root, installer=newer)
    assert (root / SITE_FILE).read_text().endswith("# of a later version\n")
    assert (root / SITE_FILE).stat().st_mode & 0o777 == 0o640
    assert files(root) == NODE_FILES


def test_a_setting_of_which_nothing_is_recorded_counts_as_changed(tmp_path: Path) -> None:
    (tmp_path / "etc/gputally").mkdir(parents=True)
    (tmp_path / SITE_FILE).write_text("site: {name: lab}\n")
    assert f"keep /{SITE_FILE}, which was changed here; write /{SITE_FILE}.new" in install(tmp_path)
    assert (tmp_path / SITE_FILE).read_text() == "site: {name: lab}\n"


def test_a_unit_follows_the_new_version_and_one_that_was_changed_by_hand_is_kept_aside(
    tmp_path: Path, newer: Path
) -> None:
    root = tmp_path / "root"
    install(root)
    said = install(root, installer=newer)
    assert f"write /{NODE_UNIT}" in said
    assert not any("keep" in line for line in said)
    assert files(root) == NODE_FILES
    (root / NODE_UNIT).write_text("[Service]\nMemoryMax=1G\n")
    assert f"keep /{NODE_UNIT}, which was changed here, as /{NODE_UNIT}.old" in install(root)
    assert (root / NODE_UNIT).read_text() == (SYSTEMD / "gputally-node.service").read_text()
    assert (root / f"{NODE_UNIT}.old").read_text() == "[Service]\nMemoryMax=1G\n"


def test_slurms_scripts_stay_up_to_date_once_they_were_asked_for(tmp_path: Path) -> None:
    install(tmp_path, "node", "--slurm")
    prolog = tmp_path / "etc/slurm/prolog.d/50-gputally"
    prolog.write_text("# of an older version\n")
    assert "write /etc/slurm/prolog.d/50-gputally" in install(tmp_path)
    assert files(tmp_path) == NODE_FILES | SLURM_FILES  # nothing beside it, which slurmd would run too


def test_it_says_what_slurm_has_to_be_told_until_it_was(tmp_path: Path) -> None:
    lines = ["Prolog=/etc/slurm/prolog.d/*", "Epilog=/etc/slurm/epilog.d/*", "PrologFlags=Contain"]
    assert [line.strip() for line in install(tmp_path, "--slurm")[-3:]] == lines
    (tmp_path / "etc/slurm/slurm.conf").write_text("\n".join(lines))
    assert install(tmp_path, "--slurm") == ["nothing to change"]


def test_uninstalled_settings_stay_and_an_installation_goes_on_with_them(tmp_path: Path) -> None:
    install(tmp_path, "node", "site", "--slurm")
    (tmp_path / NODE_ENV).write_text("GPUTALLY_LOG_LEVEL=debug\n")
    counters = tmp_path / "var/lib/gputally/counters.json"
    counters.parent.mkdir(parents=True)
    counters.write_text("{}")
    install(tmp_path, "--uninstall")
    kept = {name for name in NODE_FILES | SITE_FILES | SLURM_FILES if name.startswith("etc/gputally/")}
    assert files(tmp_path) == kept | {"var/lib/gputally/counters.json"}
    assert install(tmp_path, "--uninstall") == ["nothing to change"]
    install(tmp_path)
    assert (tmp_path / NODE_ENV).read_text() == "GPUTALLY_LOG_LEVEL=debug\n"


def test_purged_nothing_of_ours_is_left(tmp_path: Path) -> None:
    install(tmp_path, "node", "site", "--slurm")
    (tmp_path / "var/lib/gputally").mkdir(parents=True)
    (tmp_path / "var/lib/gputally/counters.json").write_text("{}")
    (tmp_path / "etc/gputally/web.yml").write_text("{}")
    install(tmp_path, "--uninstall", "--purge")
    assert files(tmp_path) == {"etc/gputally/web.yml"}  # which is not ours


@pytest.mark.parametrize(("gone", "left"), [("node", SITE_FILES), ("site", NODE_FILES)])
def test_one_agent_goes_and_the_other_stays(tmp_path: Path, gone: str, left: set[str]) -> None:
    install(tmp_path, "node", "site")
    install(tmp_path, "--uninstall", "--purge", gone)
    assert files(tmp_path) == left
    assert install(tmp_path, *({"node", "site"} - {gone})) == ["nothing to change"]


@pytest.mark.parametrize(
    "arguments",
    [("node", "site", "--slurm"), ("--uninstall",), ("--uninstall", "--purge")],
    ids=" ".join,
)
def test_a_dry_run_says_exactly_what_would_be_done_and_does_nothing(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    if "--uninstall" in arguments:
        install(tmp_path, "node", "site", "--slurm")
    before = {name: (tmp_path / name).read_bytes() for name in files(tmp_path)}
    dry = install(tmp_path, "--dry-run", *arguments)
    assert {name: (tmp_path / name).read_bytes() for name in files(tmp_path)} == before
    real = install(tmp_path, *arguments)
    assert [line.removeprefix("would ") for line in dry] == real
    assert sum(line.startswith("would ") for line in dry) >= 8


def test_on_a_machine_things_come_in_an_order_in_which_each_finds_what_it_needs(tmp_path: Path) -> None:
    """As a dry run tells it, which needs neither root nor systemd, of a machine that has nothing of ours."""
    bare = shutil.copytree(SYSTEMD, tmp_path / "systemd", ignore=shutil.ignore_patterns("tests"))
    text = re.sub(
        r"^(units|settings|home|accounts)=/", rf"\1={tmp_path}/", INSTALLER.read_text(), flags=re.MULTILINE
    )
    (bare / "install.sh").write_text(text)
    (tmp_path / "pyproject.toml").touch()
    said = run("--dry-run", "node", "site", root=None, installer=bare / "install.sh")
    assert (said.returncode, said.stderr) == (0, "")
    words = [line.removeprefix("would ").replace(f"{tmp_path}/", "/") for line in said.stdout.splitlines()]
    order = [
        f"install {tmp_path} into /opt/gputally/venv",
        f"write /{NODE_UNIT}",
        "make the group gputally",
        f"make {LEDGER_FOLDER}",
        "tell systemd of its units",
        "start run-gputally-runs.mount",
        "enable gputally-node.service",
        "start gputally-node.service",
        "start gputally-site.service",
    ]
    assert [word for word in words if word in order] == order


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("node", "all"), "all: expected node or site"),
        (("--force",), "--force: unknown option; see --help"),
        (("--from=",), "--from=: unknown option; see --help"),
        (("--purge",), "--purge goes with --uninstall"),
        (("site", "--slurm"), "--slurm is for machines with GPUs: install.sh node --slurm"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_written(
    tmp_path: Path, arguments: tuple[str, ...], complaint: str
) -> None:
    done = run(*arguments, root=tmp_path)
    assert (done.returncode, done.stderr) == (1, f"install.sh: {complaint}\n")
    assert files(tmp_path) == set()


def test_help_names_every_option() -> None:
    said = run("--help", root=None).stdout
    options = set(re.findall(r"^    (--[a-z-]+)", INSTALLER.read_text(), re.MULTILINE))
    assert options >= {"--slurm", "--from", "--dry-run", "--uninstall", "--purge"}
    assert all(option in said for option in options)


def test_the_file_to_begin_with_is_good_as_it_is_and_with_all_of_its_examples(tmp_path: Path) -> None:
    text = (SYSTEMD / "gputally.yml").read_text()
    assert combine(SYSTEMD / "gputally.yml", {}).site.tariff.source == "default"
    examples = re.sub(r"^# (\w+:|  )", r"\1", text, flags=re.MULTILINE)
    (tmp_path / "all.yml").write_text(examples)
    made = combine(tmp_path / "all.yml", {})
    assert set(yaml.safe_load(examples)) == {
        "site",
        "tariff",
        "carbon",
        "teams",
        "market",
        "log",
        "ledger",
        "budgets",
    }
    assert made.site.tariff.currency == "EUR"
    site = combine(tmp_path / "all.yml", {}, SiteSettings)
    assert site.ledger_file == Path(LEDGER_FOLDER) / "ledger.sqlite"
    assert [budget.team for budget in site.budgets] == ["nlp"]
