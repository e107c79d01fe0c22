"""NVLink: state, traffic and errors, all from the slow lane's batch of fields, by link or over all links."""

from collections.abc import Mapping

from gputally.model import NvLink
from gputally.node.sources.nvml import abi
from gputally.node.sources.nvml.device import Device
from gputally.node.sources.nvml.fields import GPU, Field, FieldBatch

_COUNT = "nvlinks"
_MOST_LINKS = 64
_MOST_COUNTED = (1 << 63) - 1

# Fields whose scope is a link, or all of them together; each with the next best one. Traffic is payload.
_STATE = 165  # NVML_FI_DEV_NVLINK_GET_STATE
_TRAFFIC = {
    "transmit": (138, 202),  # NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_TX, _COUNT_XMIT_BYTES (NVLink 5)
    "receive": (139, 204),  # NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_RX, _COUNT_RCV_BYTES
}
_ERRORS = {
    "crc": (163, 38),  # NVML_FI_DEV_NVLINK_ERROR_DL_CRC, _CRC_FLIT_ERROR_COUNT_TOTAL
    "replay": (161, 52),  # NVML_FI_DEV_NVLINK_ERROR_DL_REPLAY, _REPLAY_ERROR_COUNT_TOTAL
    "recovery": (162, 59),  # NVML_FI_DEV_NVLINK_ERROR_DL_RECOVERY, _RECOVERY_ERROR_COUNT_TOTAL
}
_UNITS = {138: 1024, 139: 1024}  # bytes per unit where a field does not count single ones


class NvLinks:
    """Adds its fields to the batch once the number of links is known; makes no call of its own."""

    def __init__(self, device: Device, fields: FieldBatch, *, each: bool) -> None:
        self._device = device
        self._fields = fields
        self._each = each
        self._links = 0
        self._seen_up = False
        fields.add({_COUNT: [(91, GPU)]})  # NVML_FI_DEV_NVLINK_LINK_COUNT

    def of(self, fields: Mapping[str, float]) -> tuple[NvLink, ...]:
        """What the batch brought, by link or as one entry for all. Empty on a card that was never linked.

        Boards have links that lead nowhere: unless one has been up, none of them counts as down.
        """
        links = int(self._device.keep(_COUNT, fields.get(_COUNT), 0, _MOST_LINKS) or 0)
        if links > self._links:
            self._links = links
            self._fields.add(self._wanted())
            fields = self._fields.read()
        states = {n: bool(fields[key]) for n in range(self._links) if (key := f"nvlink.{n}.up") in fields}
        self._seen_up = self._seen_up or any(states.values())
        if not self._seen_up:
            return ()
        if self._each:
            return tuple(self._link(str(n), states.get(n), fields) for n in range(self._links))
        return (self._link(None, all(states.values()) if states else None, fields),)

    def _wanted(self) -> dict[str, list[Field]]:
        """Every link's state; its other figures link by link, or summed by the driver."""
        wanted: dict[str, list[Field]] = {f"nvlink.{n}.up": [(_STATE, n)] for n in range(self._links)}
        if not self._each:
            for figure, ways in (_TRAFFIC | _ERRORS).items():
                wanted[f"nvlink.all.{figure}"] = [(field, abi.ALL_LINKS) for field in ways]
            return wanted
        for n in range(self._links):
            wanted |= {
                f"nvlink.{n}.{figure}": [(field, n) for field in ways] for figure, ways in _TRAFFIC.items()
            }
            wanted |= {f"nvlink.{n}.{error}": [(ways[0], n)] for error, ways in _ERRORS.items()}
        return wanted

    def _link(self, link: str | None, up: bool | None, fields: Mapping[str, float]) -> NvLink:
        name = f"nvlink.{'all' if link is None else link}"
        errors = {error: self._counted(f"{name}.{error}", fields) for error in _ERRORS}
        return NvLink(
            link=link,
            up=up,
            transmit_bytes=self._counted(f"{name}.transmit", fields),
            receive_bytes=self._counted(f"{name}.receive", fields),
            errors={error: number for error, number in errors.items() if number is not None},
        )

    def _counted(self, reading: str, fields: Mapping[str, float]) -> int | None:
        value = fields.get(reading)
        if value is None:
            return None
        kept = self._device.keep("nvlinks", int(value), 0, _MOST_COUNTED)
        return None if kept is None else kept * _UNITS.get(self._fields.field_of(reading) or 0, 1)
