"""Field values of the fake driver: the batch, its return codes, forced ones, NVLink by scope."""

from __future__ import annotations

from typing import Any

import pynvml
import pytest

from tests.fakenvml import FakeNvml, Link, Rate

UINT_MAX = 0xFFFFFFFF
# what the `device` fixture's GPU answers: the type's number, then the value by field
FIELDS: dict[int, dict[int, int]] = {
    pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG_LONG: {
        **dict(zip((3, 4, 5, 6), (1, 7, 2, 9), strict=True)),
        **dict(zip((74, 76, 269, 270, 271), (1_000, 0, 2_000, 3_000, 4_000), strict=True)),
        197: 12_345,
    },
    pynvml.NVML_VALUE_TYPE_UNSIGNED_INT: {
        **dict(zip((29, 30, 31), (0, 1, 1), strict=True)),
        **dict(zip((82, 91, 94), (45, 0, 5), strict=True)),
        **dict(zip((142, 143, 144, 145), (1, 2, 1, 0), strict=True)),
        **dict(zip((187, 188, 189, 190), (200_000, 700_000, 700_000, 490_000), strict=True)),
        **dict(zip((192, 230), (700_000, 2), strict=True)),
    },
    pynvml.NVML_VALUE_TYPE_SIGNED_INT: {194: -2},
}
MEMBERS = {1: "uiVal", 3: "ullVal", 5: "siVal"}


def test_a_batch_of_fields_has_a_return_code_each(device: Any, nvml: FakeNvml) -> None:
    """One call; the types are the driver's; what is not there says so without spoiling the rest."""
    expected = [
        (field, kind, number) for kind, numbers in FIELDS.items() for field, number in numbers.items()
    ]
    values = pynvml.nvmlDeviceGetFieldValues(device, [*(field for field, _, _ in expected), 138, 300, 9999])
    answered = values[: len(expected)]
    read = [(v.fieldId, v.valueType, getattr(v.value, MEMBERS[v.valueType])) for v in answered]
    assert read == expected
    assert [value.nvmlReturn for value in values] == [0] * len(expected) + [3, 3, 2]
    assert nvml.calls("nvmlDeviceGetFieldValues", gpu=0) == 1
    with pytest.raises(pynvml.NVMLError_InvalidArgument):
        pynvml.nvmlDeviceGetFieldValues(device, [])


def test_any_field_can_be_forced(device: Any, nvml: FakeNvml) -> None:
    """A number of any type, or a code of its own; cleared, it is itself again."""
    gpu = nvml.gpu(0)
    gpu.set_field(82, code=4)
    gpu.set_field(300, 2.5, kind="double")
    gpu.set_field(186, 3_690_000_000_000_000)
    temperature, smoothing, power = pynvml.nvmlDeviceGetFieldValues(device, [82, 300, 186])
    assert temperature.nvmlReturn == pynvml.NVML_ERROR_NO_PERMISSION
    assert (smoothing.valueType, smoothing.value.dVal) == (pynvml.NVML_VALUE_TYPE_DOUBLE, 2.5)
    assert power.value.ullVal == 3_690_000_000_000_000
    gpu.clear_field(82)
    assert pynvml.nvmlDeviceGetFieldValues(device, [82])[0].value.uiVal == 45


def test_nvlinks_by_number_and_in_sum(device: Any, nvml: FakeNvml) -> None:
    """Scope UINT_MAX adds the active links; an inactive or missing one has its own code."""
    nvml.gpu(0).set_links(
        [
            Link(transmit_kib=100, receive_kib=10, errors=(1, 2, 3, 4, 5)),
            Link(transmit_kib=50, receive_kib=5, errors=(1, 0, 0, 0, 0)),
            Link(active=False, transmit_kib=999),
        ],
    )
    asked = [
        (138, 0),
        (139, 1),
        (138, UINT_MAX),
        (202, UINT_MAX),
        (204, 0),
        (161, UINT_MAX),
        (163, 0),
        (38, 0),
    ]
    values = pynvml.nvmlDeviceGetFieldValues(device, [*asked, (138, 2), (138, 7), 91])
    assert [value.value.ullVal for value in values[:8]] == [100, 5, 150, 150 * 1024, 10 * 1024, 2, 3, 3]
    assert [value.nvmlReturn for value in values[8:10]] == [3, 2]
    assert values[10].value.uiVal == 3
    assert [pynvml.nvmlDeviceGetNvLinkState(device, link) for link in range(3)] == [1, 1, 0]
    assert [pynvml.nvmlDeviceGetNvLinkErrorCounter(device, 0, kind) for kind in range(5)] == [1, 2, 3, 4, 5]
    assert pynvml.nvmlDeviceGetNvLinkRemotePciInfo(device, 0).busId == "00000000:D0:00.0"
    with pytest.raises(pynvml.NVMLError_NotSupported):
        pynvml.nvmlDeviceGetNvLinkState(pynvml.nvmlDeviceGetHandleByIndex(1), 0)


def test_counters_can_grow_by_themselves(fake_nvml: FakeNvml) -> None:
    """A Rate counts on from its base while the clock moves."""
    fake_nvml.raw.clock_mode, fake_nvml.raw.virtual_ns = 1, 10**12
    gpu = fake_nvml.add_gpu(pcie_transmit_bytes=Rate(1000, 50.0))
    gpu.set_links([Link(transmit_kib=Rate(7, 1.0))])
    fake_nvml.load_in_process()
    pynvml.nvmlInit()
    fake_nvml.advance(10)
    values = pynvml.nvmlDeviceGetFieldValues(pynvml.nvmlDeviceGetHandleByIndex(0), [197, (138, 0)])
    assert [value.value.ullVal for value in values] == [1500, 17]
