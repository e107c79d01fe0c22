"""Decodes the kubelet's answer: protobuf by hand, since four messages of it need no generated code.

From k8s.io/kubelet/pkg/apis/podresources/v1/api.proto, which only ever adds fields:

    ListPodResourcesResponse  1 repeated PodResources
    PodResources              1 name, 2 namespace, 3 repeated ContainerResources
    ContainerResources        2 repeated ContainerDevices (init containers that go on included)
    ContainerDevices          1 resource_name, 2 repeated device_ids

Other fields (CPUs, memory, NUMA nodes, claims of Dynamic Resource Allocation) are passed over.
"""

from collections.abc import Iterator

from gputally.node.identity.pods import MOST_PODS, Held

MOST_DEVICES = 4096
_LONGEST_ID = 128
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # wire types; groups are of protobuf 1
_LONGEST_VARINT = 10
_VENDOR = "nvidia.com/"  # NVIDIA's plugin: gpu, mig-1g.10gb, ...; a plugin may be told other names
_SHARED = ".shared"  # what it calls a GPU of which there are several replicas, if it is told to rename them
_REPLICA = "::"  # GPU-5c2f...::2 is the third share of a time-sliced GPU, and no GPU


def decode(answer: bytes) -> tuple[Held, ...]:
    """Whole GPUs and MIG instances by pod. Raises ValueError for what is no such answer."""
    held: list[Held] = []
    devices = 0
    for number, pod in enumerate(_messages(memoryview(answer), 1)):
        if number >= MOST_PODS:
            raise ValueError("too many pods")
        one = _held(pod)
        devices += len(one.uuids) + len(one.minors)
        if devices > MOST_DEVICES:
            raise ValueError("too many devices")
        if one.uuids or one.minors:
            held.append(one)
    return tuple(held)


def _held(pod: memoryview) -> Held:
    name, namespace = _text(pod, 1), _text(pod, 2)
    ids = [device for container in _messages(pod, 3) for device in _devices(container)]
    return Held(
        namespace,
        name,
        uuids=tuple(dict.fromkeys(one for one in ids if one.startswith(("GPU-", "MIG-")))),
        minors=tuple(dict.fromkeys(n for one in ids if (n := _minor(one)) is not None)),
    )


def _devices(container: memoryview) -> Iterator[str]:
    """IDs of the devices of one container that are whole and NVIDIA's."""
    for devices in _messages(container, 2):
        resource = _text(devices, 1)
        if not resource.startswith(_VENDOR) or resource.endswith(_SHARED):
            continue
        for raw in _messages(devices, 2):
            device = str(raw, "utf-8")
            if _REPLICA not in device and len(device) <= _LONGEST_ID and device.isascii():
                yield device


def _minor(device: str) -> int | None:
    """7 of nvidia7, as Google's plugin calls /dev/nvidia7; nvidia7/gi1 and nvidia7/vgpu0 are parts of it."""
    digits = device.removeprefix("nvidia")
    return int(digits) if digits != device and digits.isdigit() and len(digits) <= 4 else None


def _text(message: memoryview, field: int) -> str:
    """The last value of a text field, as protobuf has it; "" where there is none."""
    text = ""
    for raw in _messages(message, field):
        text = str(raw, "utf-8")
    return text


def _messages(message: memoryview, field: int) -> Iterator[memoryview]:
    """Every value of one field of texts or messages."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        if key >> 3 == 0:
            raise ValueError("field 0")
        if kind == _BYTES:
            length, start = _varint(message, at)
            at = start + length
            if at > len(message):
                raise ValueError("cut off")
            if key >> 3 == field:
                yield message[start:at]
        elif key >> 3 == field:
            raise ValueError(f"field {field} is of another kind")
        else:
            at = _skipped(message, at, kind)


def _skipped(message: memoryview, at: int, kind: int) -> int:
    """Where a number ends."""
    if kind == _VARINT:
        return _varint(message, at)[1]
    at += {_FIXED64: 8, _FIXED32: 4}.get(kind, len(message) + 1)
    if at > len(message):
        raise ValueError("cut off, or of an unknown kind")
    return at


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, least first; and where it ends."""
    value = 0
    for shift in range(0, 7 * _LONGEST_VARINT, 7):
        if at >= len(message):
            raise ValueError("cut off")
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number without end")
