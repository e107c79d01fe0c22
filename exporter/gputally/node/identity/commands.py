"""Which command a plain process belongs to: what a person at a terminal takes for one job. Pure.

Nobody keeps a record of such jobs, so this is a convention:

- A job is one command as it was started: whatever a command starts is part of it, a launcher's workers in
  sessions of their own as well as a script's programs, one after the other.
- Commands are started from shells at a terminal, and by what logs in, opens windows or runs notebooks and
  timers for people (ORIGINS). The job is the topmost ancestor below these that belongs to the same user.
- A pipeline is one job, that of its first program. A script without a terminal, as cron and ssh run them, is
  one job.
- Its name is that of the first program below shells and wrappers, on the way down to the process on the GPU;
  that of a script which `#!` starts is its own.
- What has outlived its command, `nohup` or not, keeps the job that it had when it was first seen.
"""

from collections.abc import Callable, Iterable

from gputally.node.identity.proc import Process

SHELLS = frozenset(b"ash bash csh dash elvish fish ksh ksh93 mksh nu pwsh sh tcsh xonsh zsh".split())
WRAPPERS = frozenset(b"chrt conda env gputally ionice nice nohup numactl setsid sudo time timeout uv".split())
ORIGINS = frozenset({
    b"systemd", b"init", b"sshd", b"sshd-session", b"login", b"su", b"cron", b"crond", b"CRON", b"atd",
    b"tmux", b"tmux: server", b"screen", b"SCREEN", b"zellij", b"mosh-server", b"dtach", b"abduco",
    b"gnome-shell", b"gnome-terminal-", b"gnome-session-b", b"ptyxis-agent", b"plasmashell", b"konsole",
    b"kitty", b"alacritty", b"wezterm-gui", b"ghostty", b"xterm", b"foot", b"xfce4-terminal",
    b"code", b"code-server", b"node", b"jupyter-lab", b"jupyter-noteboo", b"jupyter-server",
    b"jupyterhub-sing", b"supervisord", b"slurmstepd", b"containerd-shim", b"conmon",
    b"tini", b"dumb-init", b"s6-svscan",
})  # fmt: skip


def command_of(
    process: Process, line: Iterable[Process], read: Callable[[int], Process | None]
) -> tuple[Process, bytes]:
    """The process that a job is named after, and the job's name.

    `line`: parent, grandparent and so on; `read` tells of another process, None if there is none.
    """
    chain = [process]
    for ancestor in line:
        if _starts_commands(ancestor, chain[-1]):
            break
        chain.append(ancestor)
    top = chain[-1]
    named = next(
        (one.comm for one in reversed(chain) if one.comm not in SHELLS and one.comm not in WRAPPERS), top.comm
    )
    return _first_of_pipeline(top, read), named


def _starts_commands(ancestor: Process, child: Process) -> bool:
    """Whether a process is one from which commands are started, and `child` thus a command."""
    if ancestor.uid != child.uid or ancestor.comm in ORIGINS:
        return True
    # A shell with a terminal gives each command a process group of its own; one that runs a script does not.
    return bool(ancestor.comm in SHELLS and ancestor.terminal and ancestor.group != child.group)


def _first_of_pipeline(top: Process, read: Callable[[int], Process | None]) -> Process:
    if top.group in (top.pid, 0):
        return top
    first = read(top.group)
    if first is None or (first.uid, first.parent, first.session) != (top.uid, top.parent, top.session):
        return top
    return first
