# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the painter's training shards: ``python -m limelight.training.limo.prepare crops|rooms --out DATA …``."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import torch

from .examples import SHARD, Example, crop_examples, sample_examples, write_shards


def room_examples(samples: list[Path]) -> Iterator[Example]:
    """All probes of the given ray-traced sample files, in order."""
    for path in samples:
        yield from sample_examples(path)


def prepare_crops(hdris: Path, out: Path, seed: int, shards: int) -> None:
    """``shards`` shards of perspective crops; each has its own seed, so that a broken run resumes at the next one."""
    for number in range(shards):
        prefix = f"crops_{seed:02d}_{number:04d}"
        if not list(out.glob(f"{prefix}_*.safetensors")):
            write_shards(crop_examples(hdris, seed * 100_000 + number), out, prefix, 1)


def prepare_rooms(samples: Path, out: Path) -> int:
    """Turn ray-traced samples into shards, 64 files (four probes each) a shard; returns how many shards exist."""
    files = sorted(samples.glob("sample_*.npz"))
    per_shard = SHARD // 4
    for start in range(0, len(files) - per_shard + 1, per_shard):
        prefix = f"rooms_{start // per_shard:04d}"
        if not list(out.glob(f"{prefix}_*.safetensors")):
            write_shards(room_examples(files[start : start + per_shard]), out, prefix, 1)
    return len(list(out.glob("rooms_*.safetensors")))


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=("crops", "rooms"))
    parser.add_argument("--source", type=Path, required=True, help="folder of HDR panoramas, or of ray-traced samples")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--shards", type=int, default=32)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.kind == "crops":
        prepare_crops(arguments.source, arguments.out, arguments.seed, arguments.shards)
    else:
        prepare_rooms(arguments.source, arguments.out)


if __name__ == "__main__":
    main()
