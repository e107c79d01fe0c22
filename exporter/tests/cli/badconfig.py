"""Configuration files that must be refused, each with the words that say where and why.

A message is what stands behind the file's name.
"""

_INTERVAL = "node.sample_interval: expected a duration from 250ms to 1m, such as 1m30s, found"
_ADDRESS = "expected HOST:PORT, :PORT or [IPv6]:PORT"
_NO_BRACKETS = f"{_ADDRESS}; an IPv6 address stands in brackets"

BAD: dict[str, tuple[str | bytes, str]] = {
    # what is no YAML of ours
    "empty": ("", ":1:1: expected a mapping, found an empty file; write {} to set nothing"),
    "comment only": (
        "# later\n",
        ":2:1: expected a mapping, found an empty file; write {} to set nothing",
    ),
    "word": ("node\n", ':1:1: expected a mapping, found "node"'),
    "list": ("- node\n", ":1:1: expected a mapping, found a list"),
    "null": ("~\n", ":1:1: expected a mapping, found nothing"),
    "latin-1": (b"log:\n  level: caf\xe9\n", ":2:13: expected UTF-8, found byte 0xe9"),
    "UTF-16": ("log: {}\n".encode("utf-16"), ":1:1: expected UTF-8, found byte 0xff"),
    "NUL": (b"log:\n  level: a\0b\n", ":2:11: expected text, found character U+0000"),
    "escape sequence": ("log: {level: \x1b[31minfo}\n", ":1:14: expected text, found character U+001B"),
    "tab": ("node:\n\tsource: nvml\n", ":2:1: expected spaces, found a tab"),
    "two documents": ("log: {}\n---\nlog: {}\n", ":2:1: expected one document, found a second one"),
    "anchor": (
        "node: &n {source: nvml}\n",
        ":1:7 node: anchors and aliases are not supported: write the value out",
    ),
    "alias": (
        "node:\n  source: *s\n",
        ":2:11 node.source: anchors and aliases are not supported: write the value out",
    ),
    "merge": (
        "node:\n  <<: {source: nvml}\n",
        ':2:3 node: expected a string as key, found "<<": put it in quotes',
    ),
    "code": (
        "node: !!python/object/apply:os.system [id]\n",
        ":1:7 node: tags (!) are not supported: put the text in quotes",
    ),
    "text as tag": (
        "log:\n  level: !!str info\n",
        ":2:10 log.level: tags (!) are not supported: put the text in quotes",
    ),
    "open bracket": ("web: [1\n", ":2:1: not YAML: did not find expected ',' or ']'"),
    "open quote": ("log:\n  level: 'info\n", ":3:1: not YAML: found unexpected end of stream"),
    "two colons": ("log: level: info\n", ":1:11: not YAML: mapping values are not allowed in this context"),
    "500 brackets": ("node: " + "[" * 500, ":1:39: expected at most 32 levels of nesting"),
    "number as key": ("1: {}\n", ':1:1: expected a string as key, found "1": put it in quotes'),
    "boolean as key": ("on: {}\n", ':1:1: expected a string as key, found "on": put it in quotes'),
    "300 KiB": (b"# " + b"x" * 300_000, ": too large: expected at most 256 KiB"),
    "10 MB": (b"log: {}\n" * 1_250_000, ": too large: expected at most 256 KiB"),
    # keys
    "unknown section": ("nodes: {}\n", ":1:1 nodes: unknown key, did you mean node?"),
    "unknown section of another kind": (
        "gpus: {}\n",
        (
            ":1:1 gpus: unknown key, "
            "expected one of node, teams, site, tariff, carbon, owned_gpus, alerts, market, rentals, plans, "
            "chargeback, reservations, ledger, bills, budgets, "
            "web, log"
        ),
    ),
    "unknown key": (
        "node:\n  sample_intervall: 1s\n",
        ":2:3 node.sample_intervall: unknown key, did you mean sample_interval?",
    ),
    "flag as key": (
        "node:\n  sample.interval: 1s\n",
        ':2:3 node."sample.interval": unknown key, did you mean sample_interval?',
    ),
    "key of another section": (
        "log:\n  source: nvml\n",
        ":2:3 log.source: unknown key, expected one of level, format",
    ),
    "unknown key at depth three": (
        "node:\n  collectors:\n    nvlink: true\n",
        ":3:5 node.collectors.nvlink: unknown key, did you mean nvlink_links?",
    ),
    "unknown empty key": (
        'web:\n  "": x\n',
        (
            ':2:3 web."": unknown key, expected one of '
            "listen_addresses, site_listen_addresses, telemetry_path, config_file"
        ),
    ),
    "duplicate section": ("log: {}\nweb: {}\nlog: {}\n", ":3:1 log: duplicate key, first at line 1"),
    "duplicate key": (
        "log:\n  level: info\n  level: debug\n",
        ":3:3 log.level: duplicate key, first at line 2",
    ),
    "duplicate at depth three": (
        "node:\n  simulated:\n    gpus: 1\n    seed: 2\n    gpus: 3\n",
        ":5:5 node.simulated.gpus: duplicate key, first at line 3",
    ),
    "first mistake of several": (
        "nod: {}\nwebb: {}\n",
        ":1:1 nod: unknown key, did you mean node?",
    ),
    # sections of the wrong kind
    "section without value": ("node:\n", ":1:6 node: expected a mapping, found nothing"),
    "section as word": ("web: off\n", ':1:6 web: expected a mapping, found "off"'),
    "section as list": ("log:\n- level\n", ":2:1 log: expected a mapping, found a list"),
    "collectors as list": (
        "node:\n  collectors: [processes, host]\n",
        ":2:15 node.collectors: expected a mapping, found a list",
    ),
    "simulated as number": ("node: {simulated: 4}\n", ':1:19 node.simulated: expected a mapping, found "4"'),
    # node.source
    "source unknown": (
        "node: {source: nvm}\n",
        ':1:16 node.source: expected one of auto, nvml, nvidia-smi, nvtop, simulated, found "nvm"',
    ),
    "source in capitals": (
        "node: {source: NVML}\n",
        ':1:16 node.source: expected one of auto, nvml, nvidia-smi, nvtop, simulated, found "NVML"',
    ),
    "source without value": (
        "node:\n  source:\n",
        ":2:10 node.source: expected one of auto, nvml, nvidia-smi, nvtop, simulated, found nothing",
    ),
    "source as list": (
        "node: {source: [nvml]}\n",
        ":1:16 node.source: expected one of auto, nvml, nvidia-smi, nvtop, simulated, found a list",
    ),
    # node.sample_interval
    **{
        f"interval {text}": (
            f"node:\n  sample_interval: {text}\n",
            f':2:20 {_INTERVAL} "{text}"',
        )
        for text in (
            "0",
            "-1s",
            "1ns",
            "249ms",
            "61s",
            "1",
            "1.5s",
            "1e3",
            "10y",
            "1s1m",
            "1 s",
            ".inf",
            "1:30",
        )
    },
    "interval quoted number": (
        "node:\n  sample_interval: '1'\n",
        f':2:20 {_INTERVAL} the quoted string "1"',
    ),
    "interval null": (
        "node:\n  sample_interval: null\n",
        f":2:20 {_INTERVAL} nothing",
    ),
    "interval as mapping": (
        "node:\n  sample_interval: {seconds: 1}\n",
        f":2:20 {_INTERVAL} a mapping",
    ),
    # node.state_dir
    "state folder null": (
        "node:\n  state_dir: ~\n",
        ":2:14 node.state_dir: expected a string, found nothing",
    ),
    "state folder empty": (
        'node:\n  state_dir: ""\n',
        ':2:14 node.state_dir: expected a string, found the quoted string ""',
    ),
    "state folder as list": (
        "node:\n  state_dir: [a]\n",
        ":2:14 node.state_dir: expected a string, found a list",
    ),
    # booleans
    **{
        f"boolean {text}": (
            f"node:\n  collectors:\n    {key}: {text}\n",
            f':3:{7 + len(key)} node.collectors.{key}: expected true or false, found "{text}"',
        )
        for key, text in (
            ("processes", "yes"),
            ("host", "no"),
            ("gpm", "on"),
            ("nvlink_links", "1"),
            ("host", "True"),
        )
    },
    "boolean in quotes": (
        "node: {collectors: {gpm: 'true'}}\n",
        ':1:26 node.collectors.gpm: expected true or false, found the quoted string "true"',
    ),
    # whole numbers
    **{
        f"gpus {text}": (
            f"node:\n  simulated:\n    gpus: {text}\n",
            f':3:11 node.simulated.gpus: expected a whole number from 0 to 64, found "{text}"',
        )
        for text in ("-1", "65", "010", "1_0", "0x10", "4.0", "1e1", ".nan", "four", "1" + "0" * 30)
    },
    "gpus in quotes": (
        "node: {simulated: {gpus: '4'}}\n",
        ':1:26 node.simulated.gpus: expected a whole number from 0 to 64, found the quoted string "4"',
    ),
    "seed negative": (
        "node: {simulated: {seed: -1}}\n",
        ':1:26 node.simulated.seed: expected a whole number from 0 to 2147483648, found "-1"',
    ),
    # jobs and teams
    "jobs kept too shortly": (
        "node: {jobs: {keep: 4m}}\n",
        ':1:21 node.jobs.keep: expected a duration from 5m to 1d, such as 1m30s, found "4m"',
    ),
    "team twice": (
        "teams:\n- name: nlp\n- name: nlp\n",
        ":3:9 teams[1].name: team nlp is there twice",
    ),
    "team with a name of ours": (
        "teams: [{name: unassigned}]\n",
        ":1:16 teams[0].name: 'unassigned' cannot be the name of a team",
    ),
    "team without a name": ("teams: [{users: [ada]}]\n", ":1:9 teams[0]: missing key name"),
    "key of a team": (
        "teams: [{name: nlp, accounts: [a]}]\n",
        ":1:21 teams[0].accounts: unknown key, did you mean slurm_accounts?",
    ),
    "user as number of another type": (
        "teams: [{name: nlp, users: [{a: b}]}]\n",
        ":1:29 teams[0].users[0]: expected a name or a pattern, found a mapping",
    ),
    # web
    "addresses as word": (
        "web:\n  listen_addresses: 127.0.0.1:9836\n",
        ':2:21 web.listen_addresses: expected a list, found "127.0.0.1:9836"',
    ),
    "address null": (
        "web:\n  listen_addresses: [~]\n",
        ":2:22 web.listen_addresses[0]: expected an address, found nothing",
    ),
    "address without port": (
        "web:\n  listen_addresses:\n  - 127.0.0.1:0\n  - 127.0.0.1\n",
        f":4:5 web.listen_addresses[1]: 127.0.0.1: {_ADDRESS}",
    ),
    "address without brackets": (
        "web:\n  listen_addresses: ['::1:9836']\n",
        f":2:22 web.listen_addresses[0]: ::1:9836: {_NO_BRACKETS}",
    ),
    "port 65536": (
        "web:\n  listen_addresses: ['127.0.0.1:65536']\n",
        ":2:22 web.listen_addresses[0]: 127.0.0.1:65536: expected a port from 0 to 65535, found 65536",
    ),
    "port negative": (
        "web:\n  listen_addresses: ['127.0.0.1:-1']\n",
        f":2:22 web.listen_addresses[0]: 127.0.0.1:-1: {_ADDRESS}",
    ),
    "address as URL": (
        "web:\n  listen_addresses: ['http://127.0.0.1:9836']\n",
        f":2:22 web.listen_addresses[0]: http://127.0.0.1:9836: only TCP is supported, {_ADDRESS}",
    ),
    "path without slash": (
        "web:\n  telemetry_path: metrics\n",
        ":2:19 web.telemetry_path: 'metrics': expected a plain path such as /metrics",
    ),
    "path of the landing page": (
        "web:\n  telemetry_path: /\n",
        ":2:19 web.telemetry_path: /: this path is taken by the landing page",
    ),
    "path of a health check": (
        "web:\n  telemetry_path: /-/ready\n",
        ":2:19 web.telemetry_path: /-/ready: this path is taken by the health checks",
    ),
    "path with query": (
        "web:\n  telemetry_path: /metrics?a=b\n",
        ":2:19 web.telemetry_path: '/metrics?a=b': expected a plain path such as /metrics",
    ),
    "path as number": (
        "web:\n  telemetry_path: [1]\n",
        ":2:19 web.telemetry_path: expected a path, found a list",
    ),
    "web file empty": (
        "web:\n  config_file: ''\n",
        ':2:16 web.config_file: expected a string, found the quoted string ""',
    ),
    # log
    "level unknown": (
        "log:\n  level: warn\n",
        ':2:10 log.level: expected one of debug, info, warning, error, found "warn"',
    ),
    "level as number": (
        "log: {level: 10}\n",
        ':1:14 log.level: expected one of debug, info, warning, error, found "10"',
    ),
    "format unknown": (
        "log:\n  format: xml\n",
        ':2:11 log.format: expected one of logfmt, json, found "xml"',
    ),
    "long value": (
        "log:\n  format: " + "x" * 1000 + "\n",
        ':2:11 log.format: expected one of logfmt, json, found "' + "x" * 40 + '..."',
    ),
    "emoji": (
        "log:\n  format: 💶\n",
        ':2:11 log.format: expected one of logfmt, json, found "💶"',
    ),
    "right to left": (
        'log:\n  format: "\\u202Ejson"\n',
        ':2:11 log.format: expected one of logfmt, json, found the quoted string "?json"',
    ),
}


def as_bytes(text: str | bytes) -> bytes:
    """The bytes of a bad file."""
    return text if isinstance(text, bytes) else text.encode()
