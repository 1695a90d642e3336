# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the shards: ``python -m limelight.training.direction.prepare --out DATA [--hdris FOLDER] [--scenes FOLDER]
[--views FOLDER]``."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from .examples import SHARD, Example, crop_examples, sample_examples, samples_of, view_examples, write_shard

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
    _write("scenes", files, sample_examples, out)


def prepare_views(views: Path, out: Path) -> None:
    """All of Blender's views in a folder, likewise."""
    folders = sorted((path.parent for path in views.glob("scene_*/meta.json")), key=lambda scene: scene.name)
    _write("views", folders, view_examples, out)


def _write(kind: str, sources: list[Path], read: Callable[..., Iterator[Example]], out: Path) -> None:
    for number, start in enumerate(range(0, len(sources), SHARD)):
        part = sources[start : start + SHARD]
        for prefix, validation in (("", False), (VALIDATION, True)):
            path = out / f"{prefix}{kind}_{number:04d}.safetensors"
            if samples_of(path) != len(part):
                write_shard(read(part, validation=validation), path, samples=len(part))


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
    parser.add_argument("--views", type=Path, help="folder of Blender's views ('synthesize views')")
    parser.add_argument("--shards", type=int, default=64)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.scenes is not None:
        prepare_scenes(arguments.scenes, arguments.out)
    if arguments.views is not None:
        prepare_views(arguments.views, arguments.out)
    if arguments.hdris is not None:
        prepare_crops(arguments.hdris, arguments.out, arguments.shards)


if __name__ == "__main__":
    main()
