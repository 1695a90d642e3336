# SPDX-License-Identifier: GPL-3.0-or-later
""".spz (Niantic), versions 1 to 4: bytes for everything but positions, compressed with gzip, from version 4 with zstd.

After a header come positions (24-bit fixed point; half floats in version 1), opacities, colours, scales (logarithms),
rotations (three bytes; from version 3 the three smaller parts in 32 bits) and harmonics (a byte each, RGB innermost).
Version 4 has each of these as its own zstd stream behind a table of sizes. Source: nianticlabs/spz (MIT).
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from ..cloud import HIGHEST_DEGREE, Splats
from .checks import Notes, Source, check_count, check_expansion, cut_short, damaged

Array = np.ndarray[Any, Any]

MAGIC = b"NGSP"
#: Colours are stored wider than 0..1, as this share of the coefficient around one half.
_COLOUR = 0.15
_HALF_ROOT = np.float32(np.sqrt(0.5))
#: Bits behind the point, where the cloud leaves room for them: a millionth of a unit.
_FINEST = 20


@dataclass(frozen=True)
class _Header:
    version: int
    count: int
    degree: int
    fraction: int

    @property
    def sizes(self) -> list[int]:
        """Bytes of the six parts."""
        rotation = 3 if self.version < 3 else 4
        rest = ((self.degree + 1) ** 2 - 1) * 3
        return [self.count * each for each in (6 if self.version == 1 else 9, 1, 3, 3, rotation, rest)]


def read(source: Source, notes: Notes) -> Splats:
    """A cloud from an .spz file of any version."""
    if source.data[:4].tobytes() == MAGIC:
        header = _header(source.part(0, 32).tobytes(), source.name)
        return _decoded(header, _streams(source, header))
    unpack = zlib.decompressobj(wbits=31)
    try:
        start = unpack.decompress(source.data[: 1 << 16].tobytes(), 16)
        header = _header(start, source.name)
        size = sum(header.sizes)
        check_expansion(size, len(source.data), source.name)
        rest = unpack.unconsumed_tail + source.data[1 << 16 :].tobytes()
        body = np.frombuffer(unpack.decompress(rest, size) if size else b"", np.uint8)
    except zlib.error as error:
        raise damaged(source.name, "is no intact gzip data") from error
    if len(body) < size:
        raise cut_short(source.name)
    return _decoded(header, np.split(body, np.cumsum(header.sizes)[:-1]))


def _header(start: bytes, name: str) -> _Header:
    if len(start) < 16 or start[:4] != MAGIC:
        raise damaged(name, "holds no .spz data")
    version, count = struct.unpack_from("<II", start, 4)
    if not 1 <= version <= 4:
        raise damaged(name, f"is .spz of version {version}; versions 1 to 4 are known")
    degree, fraction = start[12], start[13]
    if degree > HIGHEST_DEGREE or fraction > 30:
        raise damaged(name, "has an .spz header with values out of range")
    return _Header(version, check_count(count, name), degree, fraction)


def _streams(source: Source, header: _Header) -> list[Array]:
    """The six parts of version 4."""
    import imagecodecs

    count, table = source.data[15], int(source.part(16, 4).view("<u4")[0])
    sizes = source.array("<u8", 2 * int(count), table).reshape(-1, 2).tolist()
    expected = [size for size in header.sizes if size]
    if header.version != 4 or [size for _, size in sizes] != expected:
        raise damaged(source.name, "has .spz streams that do not fit its Gaussians")
    check_expansion(sum(expected), len(source.data), source.name)
    offset, parts = table + 16 * int(count), []
    for packed, size in sizes:
        stream = source.part(offset, packed).tobytes()
        try:
            part = np.frombuffer(imagecodecs.zstd_decode(stream, out=bytearray(size)), np.uint8)
        except imagecodecs.ZstdError as error:
            raise damaged(source.name, "is no intact zstd data") from error
        if len(part) != size:
            raise cut_short(source.name)
        parts.append(part)
        offset += packed
    return parts if len(parts) == 6 else [*parts, np.empty(0, np.uint8)]


def _decoded(header: _Header, parts: list[Array]) -> Splats:
    position, opacity, colour, scale, rotation, rest = parts
    if header.version == 1:
        means = position.view("<f2").astype(np.float32)
    else:
        triples = position.reshape(-1, 3).astype(np.int32)
        fixed = (triples[:, 0] | triples[:, 1] << 8 | triples[:, 2] << 16) << 8 >> 8
        means = fixed.astype(np.float32) / np.float32(1 << header.fraction)
    constant = (colour.astype(np.float32) / 255 - 0.5) / np.float32(_COLOUR)
    sh = np.empty((header.count, (header.degree + 1) ** 2, 3), np.float32)
    sh[:, 0] = constant.reshape(-1, 3)
    sh[:, 1:] = (rest.astype(np.float32).reshape(header.count, -1, 3) - 128) / 128
    return Splats(
        means=means.reshape(-1, 3),
        quats=_first_three(rotation) if header.version < 3 else _smallest_three(rotation),
        scales=np.exp(scale.astype(np.float32).reshape(-1, 3) / 16 - 10),
        opacity=opacity.astype(np.float32) / 255,
        sh=sh,
    )


def _first_three(rotation: Array) -> Array:
    xyz = rotation.reshape(-1, 3).astype(np.float32) / 127.5 - 1
    w = np.sqrt(np.maximum(0, 1 - np.sum(xyz**2, axis=1, keepdims=True)))
    return np.concatenate([w, xyz], axis=1)


def _smallest_three(rotation: Array) -> Array:
    """Two bits name the largest of x y z w; the others follow from the last, each ten bits: sign and size up to √½."""
    word = rotation.view("<u4").copy()
    largest = word >> 30
    xyzw = np.zeros((len(word), 4), np.float32)
    for place in (3, 2, 1, 0):
        other = largest != place
        size = (word & 511).astype(np.float32) * (_HALF_ROOT / 511)
        xyzw[:, place] = np.where(other, np.where(word & 512, -size, size), 0)
        word = np.where(other, word >> 10, word)
    left = np.sqrt(np.maximum(0, 1 - np.sum(xyzw**2, axis=1)))
    np.put_along_axis(xyzw, largest[:, None].astype(np.intp), left[:, None], axis=1)
    return np.roll(xyzw, 1, axis=1)


def write(splats: Splats, file: BinaryIO, notes: Notes) -> None:
    """Write version 3, which most programs read; version 4 for harmonics of degree 4, which 3 has not."""
    if splats.material is not None:
        notes.add("An .spz file holds no material; write PLY or GLB to keep it.")
    version = 4 if splats.degree > 3 else 3
    farthest = float(np.abs(splats.means).max())
    # A 24-bit number with its sign: bits behind the point are what the largest coordinate leaves.
    fraction = max(0, min(_FINEST, 23 - int(np.ceil(np.log2(max(farthest, 1e-6) + 1e-6)))))
    parts = _encoded(splats, fraction, notes)
    start = MAGIC + struct.pack("<IIBBBB", version, len(splats), splats.degree, fraction, 0, 0)
    if version == 3:
        pack = zlib.compressobj(6, wbits=31)
        for part in (start, *parts):
            file.write(pack.compress(part))
        file.write(pack.flush())
        return
    import imagecodecs

    packed = [imagecodecs.zstd_encode(part, level=9) for part in parts if part]
    file.write(start[:15] + struct.pack("<BI12x", len(packed), 32))
    for stream, part in zip(packed, (part for part in parts if part), strict=True):
        file.write(struct.pack("<QQ", len(stream), len(part)))
    file.writelines(packed)


def _encoded(splats: Splats, fraction: int, notes: Notes) -> list[bytes]:
    fixed = np.round(splats.means.astype(np.float64) * (1 << fraction))
    step, size = 0.5**fraction, float(np.median(splats.scales))
    if np.abs(fixed).max() >= 1 << 23 or step > size:
        notes.add(
            f"As coordinates reach {np.abs(splats.means).max():.2g}, .spz holds places to {step:g} units at best, and "
            f"Gaussians measure {size:.2g}: move the cloud to the origin, or delete what is far from it, first."
        )
    fixed = np.clip(fixed, -(1 << 23), (1 << 23) - 1).astype("<i4")
    positions = np.ascontiguousarray(fixed).view(np.uint8).reshape(-1, 4)[:, :3]
    rows = [
        splats.opacity * 255,
        splats.sh[:, 0] * (_COLOUR * 255) + 127.5,
        (np.log(splats.scales) + 10) * 16,
        splats.sh[:, 1:] * 128 + 128,
    ]
    # Rounding alone reaches half a step beyond.
    beyond = [float(np.mean((row < -0.5) | (row > 255.5))) if row.size else 0.0 for row in rows]
    if max(beyond) > 0:
        notes.add(f"Up to {max(beyond):.2%} of the values of a kind lie beyond what .spz holds and were clipped.")
    opacity, colour, scale, rest = (np.clip(np.round(row), 0, 255).astype(np.uint8).tobytes() for row in rows)
    return [positions.tobytes(), opacity, colour, scale, _packed_rotation(splats.quats).tobytes(), rest]


def _packed_rotation(quats: Array) -> Array:
    xyzw = np.roll(quats, -1, axis=1)
    largest = np.argmax(np.abs(xyzw), axis=1)
    xyzw = xyzw * np.where(np.take_along_axis(xyzw, largest[:, None], 1) < 0, -1, 1)
    word = np.zeros(len(xyzw), "<u4")
    for place in range(4):
        size = np.clip(np.round(np.abs(xyzw[:, place]) / _HALF_ROOT * 511), 0, 511).astype("<u4")
        longer = (word << 10) | np.where(xyzw[:, place] < 0, 512, 0).astype("<u4") | size
        word = np.where(largest == place, word, longer).astype("<u4")
    return word | (largest.astype("<u4") << 30)
