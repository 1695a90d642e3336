# SPDX-License-Identifier: GPL-3.0-or-later
"""What a splat file holds in numbers, and its conversion to another format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..errors import BadInput
from .files import formats


def described(path: Path) -> dict[str, Any]:
    """What ``splat info`` tells; along each axis ``bounds`` hold nine tenths of the Gaussians, without floaters."""
    loaded = formats.read(path)
    cloud, material = loaded.splats, loaded.splats.material
    low, high = np.quantile(cloud.means, [0.05, 0.95], axis=0)
    return {
        "file": str(path),
        "format": loaded.format.name,
        "count": len(cloud),
        "degree": cloud.degree,
        "axes": "z up" if cloud.z_up else "y up" if loaded.format.y_up else "y down by custom",
        "bounds": [low.tolist(), high.tolist()],
        "opacity": float(np.median(cloud.opacity)),
        "size": float(np.median(cloud.scales)),
        "material": None if material is None else {name: float(part.mean()) for name, part in vars(material).items()},
        "notes": loaded.notes,
    }


def made_plain(source: Path, out: Path) -> dict[str, Any]:
    """Write any splat file as the plain PLY that Blender reads, in its own axes; the data of a ``splats`` job."""
    loaded = formats.read(source)
    notes = loaded.notes + formats.write(loaded.splats, out)
    return {"out": str(out), "count": len(loaded.splats), "y_up": loaded.format.y_up, "notes": notes}


def converted(
    source: Path, out: Path, degree: int | None, least_opacity: float, axes: str, overwrite: bool
) -> dict[str, Any]:
    """Read ``source``, write ``out``; what ``splat convert`` tells."""
    if axes not in ("turn", "keep"):
        raise BadInput(f"The axes are '{axes}'.", "Use turn or keep.")
    formats.format_for(out)
    if out.exists() and (not overwrite or (source.exists() and out.samefile(source))):
        remedy = "Choose another name." if overwrite else "Choose another name, or add --overwrite."
        raise BadInput(f"The file {out} is there already.", remedy)
    loaded = formats.read(source)
    cloud = loaded.splats
    if degree is not None and degree < cloud.degree:
        cloud = cloud.with_degree(degree)
    if least_opacity > 0:
        cloud = cloud[cloud.opacity >= least_opacity]
        if not len(cloud):
            raise BadInput(f"No Gaussian has an opacity of {least_opacity} or more.", "Use a smaller --least-opacity.")
    notes = loaded.notes + formats.write(
        cloud, out, loaded.format if axes == "turn" else None, y_up=loaded.format.y_up
    )
    return {"out": str(out), "count": len(cloud), "bytes": out.stat().st_size, "notes": notes}
