# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the shards: ``python -m limelight.training.direction.prepare --out DATA [--hdris FOLDER] [--scenes FOLDER]``."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from .examples import SHARD, crop_examples, sample_examples, samples_of, write_shard

#: Names of shards that validate.
VALIDATION = "validation_"


def prepare_crops(hdris: Path, out: Path, shards: int) -> None:
    """``shards`` of perspective crops to train on and a fiftieth, at least one, to validate; existing ones are kept."""
    for prefix, validation, count in (("", False, shards), (VALIDATION, True, max(1, shards // 50))):
        for number in range(count):
            path = out / f"{prefix}crops_{number:04d}.safetensors"
            if not path.exists():
                write_shard(crop_examples(hdris, number, validation=validation), path)


def prepare_scenes(samples: Path, out: Path) -> None:
    """All ray-traced samples of a folder, each shard from sixteen times sixteen of them; existing shards are kept.

    The last part may have grown by samples that were made since: then its shards are made anew.
    """
    files = sorted(samples.glob("sample_*.npz"), key=lambda path: int(path.stem.split("_")[-1]))
    for number, start in enumerate(range(0, len(files), SHARD)):
        part = files[start : start + SHARD]
        for prefix, validation in (("", False), (VALIDATION, True)):
            path = out / f"{prefix}scenes_{number:04d}.safetensors"
            if samples_of(path) != len(part):
                write_shard(sample_examples(part, validation=validation), path, samples=len(part))


def by_kind(data: Path, *, validation: bool) -> dict[str, list[Path]]:
    """The shards of one side, ``crops`` and ``scenes`` apart."""
    found: dict[str, list[Path]] = {}
    for path in sorted(data.glob("*.safetensors")):
        if path.name.startswith(VALIDATION) == validation:
            found.setdefault(path.stem.removeprefix(VALIDATION).split("_")[0], []).append(path)
    return found


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--hdris", type=Path, help="folder of HDR panoramas")
    parser.add_argument("--scenes", type=Path, help="folder of ray-traced samples")
    parser.add_argument("--shards", type=int, default=64)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.scenes is not None:
        prepare_scenes(arguments.scenes, arguments.out)
    if arguments.hdris is not None:
        prepare_crops(arguments.hdris, arguments.out, arguments.shards)


if __name__ == "__main__":
    main()
