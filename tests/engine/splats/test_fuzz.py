# SPDX-License-Identifier: GPL-3.0-or-later
"""Ten thousand damaged splat files of all formats: a cloud as promised or one sentence, within memory and time."""

from __future__ import annotations

import resource
import struct
import time
import zlib
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from limelight.backend.errors import BadInput
from limelight.backend.splats.files import formats
from limelight.tests.engine.splats import other_files
from limelight.tests.engine.splats.other_files import cloud, decoded, encoded, gzipped

#: Damaged files a format: fifteen kinds make more than ten thousand.
EACH = 700
#: Numbers that headers lie with.
LIES = [0, 1, 2**31 - 1, 2**31, 2**32 - 1, 1_000_000_000, 255, 256, 65535, 0x7FC00000, 0x7F800000]


def raw_spz(version: int) -> bytes:
    """.spz before its compression, so that damage reaches the reader behind it."""
    if version == 3:
        return zlib.decompress(encoded(cloud(9, 2), "a.spz"), wbits=31)
    return other_files.old_spz(cloud(9, 1), version, packed=False)


#: Places a mesh; half of it stretches.
NODE = {"translation": [1, 2, 3], "scale": [1, 2, 1]}
#: Name of the file, intact bytes, and what is done to damaged ones.
KINDS: dict[str, tuple[str, bytes, Callable[[bytes], bytes]]] = {
    "text PLY": ("a.ply", other_files.ply(cloud(4, 1)), bytes),
    "PLY": ("a.ply", other_files.ply(cloud(4, 1), "binary_little_endian"), bytes),
    "big-endian PLY": ("a.ply", other_files.ply(cloud(4, 0), "binary_big_endian"), bytes),
    "PLY with material": ("a.ply", encoded(cloud(4, 1, material=True), "a.ply"), bytes),
    "compressed PLY": ("a.ply", encoded(cloud(300, 1), "a.compressed.ply"), bytes),
    "splat": ("a.splat", encoded(cloud(9, 0), "a.splat"), bytes),
    "spz 1": ("a.spz", raw_spz(1), gzipped),
    "spz 2": ("a.spz", raw_spz(2), gzipped),
    "spz 3": ("a.spz", raw_spz(3), gzipped),
    "spz 3, outside": ("a.spz", encoded(cloud(9, 2), "a.spz"), bytes),
    "spz 4": ("a.spz", encoded(cloud(9, 4), "a.spz"), bytes),
    "ksplat 0": ("a.ksplat", other_files.ksplat(cloud(9, 1), 0), bytes),
    "ksplat 2": ("a.ksplat", other_files.ksplat(cloud(19, 2), 2), bytes),
    "glb": ("a.glb", encoded(cloud(5, 1, material=True), "a.glb"), bytes),
    "gltf": ("a.gltf", other_files.gltf(cloud(5, 1), NODE, "lin_rec709_display"), bytes),
}


def damaged(data: bytes, random: np.random.Generator) -> bytes:
    """One to three things that go wrong with files, or that somebody does to them."""
    changed = bytearray(data)
    for _ in range(random.integers(1, 4)):
        if not changed:
            break
        # Headers are where it hurts: every other change falls into the first bytes.
        place = int(random.integers(len(changed) if random.random() < 0.5 else min(len(changed), 600)))
        kind = random.integers(8)
        if kind == 0:
            changed[place] ^= 1 << int(random.integers(8))
        elif kind == 1:
            changed[place] = int(random.integers(256))
        elif kind == 2:
            del changed[place:]
        elif kind == 3:
            del changed[place : place + int(random.integers(1, 40))]
        elif kind == 4:
            changed[place:place] = random.bytes(int(random.integers(1, 40)))
        elif kind == 5:
            changed[place : place + 4] = struct.pack("<I", LIES[random.integers(len(LIES))])
        elif kind == 6:
            source = int(random.integers(len(changed)))
            changed[place : place + 16] = changed[source : source + 16]
        else:
            lie_in_text(changed, random)
    return bytes(changed)


def lie_in_text(changed: bytearray, random: np.random.Generator) -> None:
    """Replace one of the text's numbers by another."""
    digits = [place for place in range(min(len(changed), 3000)) if 48 <= changed[place] < 58]
    if digits:
        place = digits[random.integers(len(digits))]
        texts = [b"-1", b"0", b"1e999", b"99999999999999999999", b"1000000000", b"nan", b"null", b"[]", b'"x"']
        changed[place : place + 1] = texts[random.integers(len(texts))]


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files_are_a_cloud_or_a_sentence(kind: str) -> None:
    name, intact, finish = KINDS[kind]
    assert len(decoded(finish(intact), name).splats)
    random = np.random.default_rng(list(KINDS).index(kind))
    most, refused, slowest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, 0, 0.0
    for _ in range(EACH):
        data = finish(damaged(intact, random))
        start = time.perf_counter()
        try:
            splats = decoded(data, name).splats
        except BadInput as error:
            refused += 1
            assert error.text.endswith(".") and len(error.text) < 300 and error.remedy, error.text
        else:
            assert len(splats) and all(np.isfinite(part).all() for part in (splats.means, splats.scales, splats.sh))
            assert (splats.scales > 0).all() and splats.opacity.min() >= 0 and splats.opacity.max() <= 1
            np.testing.assert_allclose(np.linalg.norm(splats.quats, axis=1), 1, atol=1e-4)
        slowest = max(slowest, time.perf_counter() - start)
    # Kibibytes; the largest intact file has twenty of them.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - most < 300_000
    assert slowest < 2 and refused > EACH / 20


def bomb() -> bytes:
    """.spz that unpacks to a gigabyte of zeros from a megabyte."""
    count = 50_000_000
    pack = zlib.compressobj(9, wbits=31)
    data = pack.compress(struct.pack("<4sIIBBBB", b"NGSP", 3, count, 0, 12, 0, 0))
    block = bytes(1 << 20)
    return data + b"".join(pack.compress(block) for _ in range(64)) + pack.flush()


HOSTILE: dict[str, Callable[[], tuple[str, bytes]]] = {
    "no file content": lambda: ("a.ply", b""),
    "a billion in a PLY": lambda: ("a.ply", encoded(cloud(4, 0), "a.ply").replace(b"vertex 4", b"vertex 1000000000")),
    "a billion in a text PLY": lambda: ("a.ply", other_files.ply(cloud(4)).replace(b"vertex 4", b"vertex 1000000000")),
    "zero in a PLY": lambda: ("a.ply", encoded(cloud(4, 0), "a.ply").replace(b"vertex 4", b"vertex 0")),
    "a negative count": lambda: ("a.ply", encoded(cloud(4, 0), "a.ply").replace(b"vertex 4", b"vertex -4")),
    "a billion in an spz": lambda: ("a.spz", gzipped(struct.pack("<4sIIBBBB", b"NGSP", 2, 10**9, 3, 12, 0, 0))),
    "a bomb": lambda: ("a.spz", bomb()),
    "an unknown version": lambda: ("a.spz", gzipped(struct.pack("<4sIIBBBB", b"NGSP", 9, 1, 0, 12, 0, 0))),
    "a point cloud": lambda: ("a.ply", other_files.ply(cloud(4), left_out=("rot_0", "scale_0", "opacity"))),
    "a mesh": lambda: (
        "a.ply",
        b"ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nelement face 0\n"
        b"property list uchar int i\nend_header\n0\n",
    ),
    "lists before the points": lambda: (
        "a.ply",
        other_files.ply(cloud(4), "binary_little_endian", before="element face 1\nproperty list uchar int i"),
    ),
    "a header without end": lambda: ("a.ply", b"ply\n" + b"comment x\n" * 10000),
    "odd length": lambda: ("a.splat", bytes(33)),
    "zeros": lambda: ("a.ksplat", bytes(9000)),
    "a picture": lambda: ("a.png", b"\x89PNG" + bytes(100)),
    "a glTF without splats": lambda: ("a.gltf", b'{"asset": {"version": "2.0"}}'),
    "a glTF that reads elsewhere": lambda: (
        "a.gltf",
        other_files.gltf(cloud(4)).replace(b"data:application/octet-stream;base64,", b"../../etc/passwd?"),
    ),
    "nodes in a circle": lambda: ("a.gltf", other_files.gltf(cloud(4), {"children": [1]})),
    "deep brackets": lambda: ("a.gltf", b'{"a":' + b"[" * 100_000),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_a_sentence(name: str) -> None:
    file, data = HOSTILE[name]()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(BadInput) as caught:
        decoded(data, file)
    assert caught.value.text.endswith(".") and len(caught.value.text) < 300 and caught.value.remedy
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000


def test_a_buffer_beside_a_gltf_is_read_from_its_folder_alone(tmp_path: Path) -> None:
    whole = other_files.gltf(cloud(4))
    start = whole.index(b"data:application")
    end = whole.index(b'"', start)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "data.bin").write_bytes(b64decode(whole[start:end].partition(b",")[2]))
    (tmp_path / "in" / "a.gltf").write_bytes(whole[:start] + b"data.bin" + whole[end:])
    assert len(formats.read(tmp_path / "in" / "a.gltf").splats) == 4
    (tmp_path / "in" / "a.gltf").write_bytes(whole[:start] + b"../data.bin" + whole[end:])
    (tmp_path / "data.bin").write_bytes(b"secret")
    with pytest.raises(BadInput, match="may not be read"):
        formats.read(tmp_path / "in" / "a.gltf")
