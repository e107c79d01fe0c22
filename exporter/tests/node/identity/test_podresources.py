"""The kubelet's answer: devices that are a whole GPU or MIG instance, and no other; garbage is an error."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gputally.node.identity.podresources import MOST_DEVICES, decode
from gputally.node.identity.pods import MOST_PODS, Held

from .kubelets import devices, field, pod, varint

# Every field of the API, written by Google's own protobuf package from a description of api.proto: pods with
# two GPUs, without any, with two MIG instances, with time-sliced shares, and on Google's device plugin.
ANSWER = base64.b64decode(
    "CsABCgd0cmFpbi0wEgNubHAaCQoHc2lkZWNhchqkAQoEbWFpbhIqCg5udmlkaWEuY29tL2dwdRIIR1BVLWFhYWESCEdQVS1i"
    "YmJiGgQKAggBEhIKCHJkbWEvaGNhEgZtbHg1XzAaBAABrAIiEgoGbWVtb3J5EICAgIAgGgIKACpCCgF4EgF5GgNubHAiNQoc"
    "ChprOHMuZ3B1Lm52aWRpYS5jb20vY2xhaW09MRIOZ3B1Lm52aWRpYS5jb20iBWdwdS0wChcKA3dlYhIHZGVmYXVsdBoHCgVu"
    "Z2lueApfCgNtaWcSBnZpc2lvbhonCgFhEiIKFm52aWRpYS5jb20vbWlnLTFnLjEwZ2ISCE1JRy0xMTExGicKAWISIgoWbnZp"
    "ZGlhLmNvbS9taWctMmcuMjBnYhIITUlHLTIyMjIKWgoGc2hhcmVkEgZ2aXNpb24aSAoBYRIdCg5udmlkaWEuY29tL2dwdRIL"
    "R1BVLWNjY2M6OjMSJAoVbnZpZGlhLmNvbS9ncHUuc2hhcmVkEgtHUFUtY2NjYzo6NApJCgNna2USBnZpc2lvbho6CgFhEjUK"
    "Dm52aWRpYS5jb20vZ3B1EgdudmlkaWE3Eg1udmlkaWEzL3ZncHUwEgtudmlkaWEyL2dpMQ=="
)
HELD = (
    Held("nlp", "train-0", ("GPU-aaaa", "GPU-bbbb")),
    Held("vision", "mig", ("MIG-1111", "MIG-2222")),
    Held("vision", "gke", (), (7,)),
)


def test_an_answer_with_every_field_of_the_api() -> None:
    assert decode(ANSWER) == HELD


@pytest.mark.parametrize(
    ("resource", "ids", "uuids", "minors"),
    [
        ("nvidia.com/gpu", ["GPU-a", "GPU-b"], ("GPU-a", "GPU-b"), ()),
        ("nvidia.com/gpu", ["GPU-a", "GPU-a"], ("GPU-a",), ()),
        ("nvidia.com/gpu", ["GPU-a::0", "GPU-a::1"], (), ()),
        ("nvidia.com/gpu.shared", ["GPU-a"], (), ()),
        ("nvidia.com/mig-3g.40gb", ["MIG-a", "MIG-GPU-b/1/0"], ("MIG-a", "MIG-GPU-b/1/0"), ()),
        ("nvidia.com/mig-3g.40gb", ["MIG-a::4"], (), ()),
        ("nvidia.com/mig-1g.10gb.shared", ["MIG-a::4"], (), ()),
        ("nvidia.com/gpu", ["nvidia0", "nvidia12"], (), (0, 12)),
        ("nvidia.com/gpu", ["nvidia", "nvidia0/vgpu1", "nvidia-0", "nvidia99999", "0", "gpu-a"], (), ()),
        ("nvidia.com/gpu", ["GPU-" + "a" * 200, "GPU-é", ""], (), ()),
        ("amd.com/gpu", ["GPU-a"], (), ()),
        ("example.nvidia.com/gpu", ["GPU-a"], (), ()),
        ("", ["GPU-a"], (), ()),
    ],
)
def test_only_whole_gpus_and_mig_instances_count(
    resource: str, ids: list[str], uuids: tuple[str, ...], minors: tuple[int, ...]
) -> None:
    answer = pod("ns", "p", devices(resource, *ids))
    assert decode(answer) == ((Held("ns", "p", uuids, minors),) if uuids or minors else ())


def test_devices_of_all_containers_are_the_pods() -> None:
    gpu = "nvidia.com/gpu"
    assert decode(pod("ns", "p", devices(gpu, "GPU-a"), devices(gpu), devices(gpu, "GPU-b", "GPU-a"))) == (
        Held("ns", "p", ("GPU-a", "GPU-b")),
    )


def test_fields_of_a_later_api_are_passed_over() -> None:
    later = varint(9 << 3) + varint(2**63) + varint(10 << 3 | 1) + b"12345678" + varint(11 << 3 | 5) + b"1234"
    later += field(12, "new") + field(2000, b"\xff\xff")
    container = later + devices("nvidia.com/gpu", "GPU-a") + later
    assert decode(later + pod("ns", "p", container) + later) == (Held("ns", "p", ("GPU-a",)),)


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x0a",
        b"\x0a\x05ab",
        b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"\x80" * 20,
        b"\x00\x01",
        b"\x0b",
        b"\x0c",
        b"\x0f",
        b"\x08\x01",
        b"\x11123",
        b"\x15123",
        field(1, field(1, b"\xff\xfe")),
        pod("ns", "p", devices("nvidia.com/gpu", "GPU-a"))[:-1],
    ],
)
def test_what_is_no_such_answer_is_an_error(garbage: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        decode(garbage)


@pytest.mark.fault("kubelet-fails")
@given(st.binary(max_size=300))
def test_any_bytes_give_an_answer_or_a_value_error(data: bytes) -> None:
    try:
        held = decode(data)
    except ValueError:
        return
    assert all(one.uuids or one.minors for one in held)


@given(st.integers(0, len(ANSWER) - 1), st.integers(0, 255))
def test_one_wrong_byte_gives_an_answer_or_a_value_error(at: int, byte: int) -> None:
    try:
        held = decode(ANSWER[:at] + bytes([byte]) + ANSWER[at + 1 :])
    except ValueError:
        return
    assert len(held) <= 6


@given(
    st.lists(
        st.tuples(
            st.text(max_size=20), st.text(max_size=20), st.lists(st.integers(0, 2**32).map("GPU-{}".format))
        ),
        max_size=20,
    )
)
def test_what_is_encoded_comes_out(rows: list[tuple[str, str, list[str]]]) -> None:
    answer = b"".join(pod(space, name, devices("nvidia.com/gpu", *ids)) for space, name, ids in rows)
    expected = [Held(space, name, tuple(dict.fromkeys(ids))) for space, name, ids in rows if ids]
    assert list(decode(answer)) == expected


def test_no_more_is_taken_in_than_a_node_can_have() -> None:
    with pytest.raises(ValueError, match="too many pods"):
        decode(pod("ns", "p") * (MOST_PODS + 1))
    ids = [f"GPU-{n}" for n in range(MOST_DEVICES + 1)]
    with pytest.raises(ValueError, match="too many devices"):
        decode(pod("ns", "p", devices("nvidia.com/gpu", *ids)))
