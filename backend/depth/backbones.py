# SPDX-License-Identifier: GPL-3.0-or-later
"""Larger depth models on request: MoGe-2 and Depth Anything, from a folder that the user filled. Nothing downloads."""

from __future__ import annotations

import importlib
import json
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import BadInput, MissingPart
from ..models import models_folder
from ..optics.exposure import srgb_oetf
from .answer import Depth, DepthModel
from .embedded import SCALE_WARNING, EmbeddedDepth

#: How to get the packages and weights that have a licence fit for any use.
_MOGE_PACKAGE = "pip install git+https://github.com/microsoft/MoGe.git"
_WEIGHTS = {
    "moge-2": "hf download Ruicheng/moge-2-vitl-normal --local-dir {0}",
    "depth-anything-v2-small": "hf download depth-anything/Depth-Anything-V2-Small-hf --local-dir {0}",
}


def find_backbone(name: str, device: str = "cpu") -> DepthModel:
    """The backbone in a folder, named by its path or by its name in the models folder."""
    for folder in (models_folder() / name, Path(name).expanduser()):
        if name and (folder / "model.pt").is_file():
            return MoGe(folder / "model.pt", device)
        if name and (folder / "config.json").is_file():
            return Transformers(folder, device)
    if name in _WEIGHTS:
        raise MissingPart(
            f"The weights of {name} are not here.", f"Get them: {_WEIGHTS[name].format(models_folder() / name)}"
        )
    raise BadInput(
        f"There is no depth model '{name}'.",
        f"Use embedded, guess, {', '.join(_WEIGHTS)}, or a folder with model.pt (MoGe) or config.json (transformers).",
    )


class MoGe:
    """MoGe-2 (MIT): metric depth and field of view."""

    def __init__(self, weights: Path, device: str = "cpu") -> None:
        try:
            package = importlib.import_module("moge.model.v2")
        except ImportError as error:
            raise MissingPart("The package moge is missing.", f"Install it: {_MOGE_PACKAGE}") from error
        try:
            # MoGe itself loads the file with weights_only, so nothing in it is run.
            self.network = package.MoGeModel.from_pretrained(str(weights)).to(device).eval()
        except Exception as error:  # foreign code raises errors of many kinds
            raise MissingPart(
                f"The weights {weights} cannot be loaded ({type(error).__name__}).",
                f"Get them again: {_WEIGHTS['moge-2'].format(weights.parent)}",
            ) from error
        self.device = device

    def estimate(self, radiance: Tensor, fov_x_deg: float | None) -> Depth:
        """See :class:`.answer.DepthModel`."""
        picture = srgb_oetf(radiance.clamp(0, 1)).movedim(-1, 0).to(self.device)
        with torch.inference_mode():
            found = self.network.infer(picture, fov_x=fov_x_deg)
        depth, mask = found["depth"].float().cpu(), found["mask"].cpu().bool()
        # Normalised by the picture's width.
        focal = float(found["intrinsics"][0, 0])
        fov = fov_x_deg if fov_x_deg is not None else math.degrees(2 * math.atan(0.5 / focal))
        mask = mask & torch.isfinite(depth) & (depth > 0)
        return Depth(torch.where(mask, depth, torch.inf), fov, 0.0, (~mask).float(), False, "moge", [])


class Transformers:
    """A depth model of the package transformers, as Depth Anything V2 Small (Apache-2.0).

    A relative one tells inverse depth up to scale and shift; both, sky and field of view come from the embedded model.
    """

    def __init__(self, folder: Path, device: str = "cpu") -> None:
        try:
            import transformers

            load: dict[str, Any] = {"local_files_only": True}
            self.network = transformers.AutoModelForDepthEstimation.from_pretrained(
                folder, use_safetensors=True, **load
            )
            self.processor = transformers.AutoImageProcessor.from_pretrained(folder, **load)
        except ImportError as error:
            raise MissingPart("The package transformers is missing.", "Set the engine up again.") from error
        except (OSError, ValueError, KeyError) as error:
            raise MissingPart(
                f"{folder} holds no depth model that transformers can load ({type(error).__name__}).",
                f"Get one: {_WEIGHTS['depth-anything-v2-small'].format(folder)}",
            ) from error
        self.network.eval().to(device)
        settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        self.metric = settings.get("depth_estimation_type") == "metric"
        self.device, self.name = device, folder.name

    def estimate(self, radiance: Tensor, fov_x_deg: float | None) -> Depth:
        """See :class:`.answer.DepthModel`."""
        base = EmbeddedDepth(self.device).estimate(radiance, fov_x_deg)
        picture = (srgb_oetf(radiance.clamp(0, 1)) * 255).round().to(torch.uint8).numpy()
        with torch.inference_mode():
            inputs = self.processor(images=picture, return_tensors="pt").to(self.device)
            said = self.network(**inputs).predicted_depth.float().cpu()
        found = F.interpolate(said[:, None], radiance.shape[:2], mode="bilinear", align_corners=False)[0, 0]
        depth = found.clamp(min=1e-3) if self.metric else from_inverse(found, base.depth)
        depth = torch.where(torch.isinf(base.depth), torch.inf, depth)
        notes = [note for note in base.warnings if note != SCALE_WARNING or not self.metric]
        return Depth(depth, base.fov_x_deg, base.fov_spread, base.sky, not self.metric, self.name, notes, base.up)


def from_inverse(found: Tensor, reference: Tensor) -> Tensor:
    """Depth (H, W) out of inverse depth up to scale and shift, both of which make it fit ``reference`` best.

    The fit is weighed by the reference's depth: an error counts as a share of the depth, near as far.
    """
    solid = torch.isfinite(reference)
    if not bool(solid.any()):
        return torch.full_like(found, torch.inf)
    weight = reference[solid]
    columns = torch.stack([found[solid], torch.ones_like(weight)], -1) * weight[:, None]
    scale, shift = torch.linalg.lstsq(columns.double(), torch.ones_like(weight)[:, None].double()).solution[:, 0]
    if float(scale) <= 0:
        # The two contradict each other; nearer stays nearer, around the reference's typical depth.
        typical = 1 / weight.median()
        return 1 / (typical * (found / found[solid].median().clamp(min=1e-6)).clamp(min=0.05))
    farthest = 2 * float(weight.max())
    return 1 / (found * float(scale) + float(shift)).clamp(min=1 / farthest)
