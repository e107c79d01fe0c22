"""A real Slurm that keeps accounts: the cluster of tests/slurm with MariaDB and slurmdbd, in one folder.

What stands in `recorded` was written by it. Programs are found on PATH; nothing is installed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

from tests.slurm.cluster import PATIENCE_S, NotReady, Slurm, missing
from tests.slurm.configuration import free_ports

PROGRAMS = ("mariadbd", "slurmdbd", "sacct", "sacctmgr")
_DATABASE = "create database mysql;\nuse mysql;\n"
_TABLES = ("mysql_system_tables.sql", "mysql_system_tables_data.sql")
_SLURMDBD_CONF = """\
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={port}
SlurmUser=root
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={database_port}
StorageUser=root
StoragePass=none
StorageLoc=slurm_acct
PidFile={folder}/slurmdbd.pid
PluginDir={plugins}
"""
_ACCOUNTING = """\
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={port}
AccountingStoragePass={folder}/munge.socket
AccountingStoreFlags=job_comment
AccountingStorageTRES=gres/gpu,gres/gpu:h100
"""


def lacking() -> list[str]:
    """Programs that are not there; one has to be root, too."""
    found = [*missing(), *(program for program in PROGRAMS if shutil.which(program) is None)]
    return found if os.geteuid() == 0 else [*found, "root"]


class Accounted(Slurm):
    """As the other cluster, with accounts: its GPUs are of type h100, comments are kept."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "linuxproc")
        self._database_port, self._accounts_port = free_ports()

    def _starts(self) -> bool:
        self._configure()
        self._start_database()
        self._daemon("slurmdbd", "slurmdbd", "-D")
        self._until(lambda: "lab" in self._added("cluster", "lab"), "slurmdbd")
        for what in (("account", "vision"), ("user", "root", "account=vision")):
            self._added(*what)
        return super()._starts()

    def _added(self, *what: str) -> str:
        self._run("sacctmgr", "-i", "add", *what, check=False)
        return self._run("sacctmgr", "-n", "-P", "list", "cluster", "format=cluster", check=False)

    def _configure(self) -> None:
        etc = self.folder / "etc"
        conf = (etc / "slurm.conf").read_text().replace("Gres=gpu:", "Gres=gpu:h100:")
        accounting = _ACCOUNTING.format(port=self._accounts_port, folder=self.folder)
        conf = conf.replace("AccountingStorageType=accounting_storage/none\n", accounting)
        (etc / "slurm.conf").write_text(conf)
        gres = (etc / "gres.conf").read_text().replace("Name=gpu ", "Name=gpu Type=h100 ")
        (etc / "gres.conf").write_text(gres)
        prefix = Path(shutil.which("slurmdbd") or "").resolve().parents[1]
        plugins = [Path("/usr/lib"), prefix / "lib"]
        found = [str(path) for top in dict.fromkeys(plugins) for path in top.glob("*/slurm-wlm")]
        text = _SLURMDBD_CONF.format(
            folder=self.folder,
            port=self._accounts_port,
            database_port=self._database_port,
            plugins=":".join(dict.fromkeys(found)),
        )
        (etc / "slurmdbd.conf").write_text(text)
        (etc / "slurmdbd.conf").chmod(0o600)

    def _start_database(self) -> None:
        data = self.folder / "database"
        data.mkdir()
        share = Path(shutil.which("mariadbd") or "").resolve().parents[1] / "share" / "mysql"
        flags = ("mariadbd", "--no-defaults", f"--datadir={data}", f"--tmpdir={self.folder}", "--user=root")
        flags += (f"--lc-messages-dir={share}", "--skip-grant-tables")
        tables = _DATABASE + "".join((share / name).read_text() for name in _TABLES)
        made = subprocess.run(
            [*flags, "--bootstrap"],
            input=tables,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_S,
        )
        if made.returncode:
            raise NotReady(made.stderr[-2000:])
        socket = self.folder / "database.socket"
        own = (f"--port={self._database_port}", "--bind-address=127.0.0.1", f"--socket={socket}")
        self._daemon("mariadbd", *flags, *own, f"--pid-file={self.folder}/mariadbd.pid")
        self._until(socket.exists, "mariadbd")

    def sacct(self, *flags: str, **environment: str) -> str:
        """What sacct writes of the last day."""
        done = subprocess.run(
            ["sacct", "-S", "now-1days", *flags],
            env=self._environment | environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=PATIENCE_S,
        )
        return done.stdout

    def wait_for_accounts(self, job: str, state: str) -> None:
        """Until the accounts have a job in this state; they are written a moment later."""
        deadline = time.monotonic() + PATIENCE_S
        while f"{job}|{state}" not in self.sacct("-n", "-P", "-X", "-D", "--format=JobIDRaw,State"):
            assert time.monotonic() < deadline, self.sacct("-P", "-X", "-D")
            time.sleep(0.2)
