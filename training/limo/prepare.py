# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the painter's training shards: ``python -m limelight.training.limo.prepare crops|rooms|views --out DATA …``."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import torch

from .examples import SHARD, Example, crop_examples, probe_set_examples, sample_examples, write_shards

#: Scenes of Blender in a shard: six probes each, or fewer where a view is narrow.
VIEWS_A_SHARD = 40


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


def prepare_views(scenes: Path, out: Path) -> int:
    """Turn Blender's views (``limelight synthesize views``) into shards; the last, unfilled one waits for more scenes.

    Returns how many shards exist.
    """
    folders = sorted((path.parent for path in scenes.glob("scene_*/meta.json")), key=lambda scene: scene.name)
    for number in range(len(folders) // VIEWS_A_SHARD):
        prefix = f"views_{number:04d}"
        if not list(out.glob(f"{prefix}_*.safetensors")):
            batch = folders[number * VIEWS_A_SHARD : (number + 1) * VIEWS_A_SHARD]
            write_shards((e for scene in batch for e in probe_set_examples(scene)), out, prefix, 1)
    return len(list(out.glob("views_*.safetensors")))


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=("crops", "rooms", "views"))
    parser.add_argument(
        "--source",
        type=Path,
        required=True,
        help="folder of HDR panoramas, of ray-traced samples, or of Blender's views",
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--shards", type=int, default=32)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.kind == "crops":
        prepare_crops(arguments.source, arguments.out, arguments.seed, arguments.shards)
    elif arguments.kind == "rooms":
        prepare_rooms(arguments.source, arguments.out)
    else:
        prepare_views(arguments.source, arguments.out)


if __name__ == "__main__":
    main()
