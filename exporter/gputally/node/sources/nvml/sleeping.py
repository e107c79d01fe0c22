"""Whether a laptop's GPU is asleep; asking the driver anything would wake it. Looks in sysfs only."""

from pathlib import Path


class RuntimePower:
    """The kernel's runtime power management of one PCI device; costs nothing where it is switched off."""

    def __init__(self, sys_root: Path) -> None:
        self._devices = sys_root / "bus" / "pci" / "devices"
        self._status: Path | None = None

    def locate(self, pci_bus_id: str | None) -> None:
        """Find the device by the driver's spelling of its address; watch it if the kernel may suspend it."""
        self._status = None
        address = sysfs_address(pci_bus_id or "")
        if address is None:
            return
        power = self._devices / address / "power"
        try:
            automatic = (power / "control").read_text().strip() == "auto"
        except OSError:
            return
        if automatic:
            self._status = power / "runtime_status"

    def suspended(self) -> bool:
        """Whether it is suspended now; one small file a tick, on machines that suspend GPUs."""
        if self._status is None:
            return False
        try:
            return self._status.read_text().strip() == "suspended"
        except OSError:
            return False


def sysfs_address(pci_bus_id: str) -> str | None:
    """0000:3b:00.0 for the driver's 00000000:3B:00.0; None for what is no address."""
    domain, _, rest = pci_bus_id.partition(":")
    try:
        return f"{int(domain, 16):04x}:{rest.lower()}" if rest else None
    except ValueError:
        return None
