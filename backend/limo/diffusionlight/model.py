# SPDX-License-Identifier: GPL-3.0-or-later
"""DiffusionLight's networks out of a folder: SDXL with ``controlnet`` and ``diffusionlight.safetensors`` beside it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from ...errors import BadInput, MissingPart
from ...weights import Stamp, stamp
from ..backbone.codecs import Codec
from ..backbone.load import load_codec
from ..backbone.low_rank import Change, changes
from ..backbone.parts import memory_explained, network_dtype, part, quiet, scheduler_of
from ..backbone.prompts import CACHE, PromptCache, Text
from ..backbone.texts import encode

#: The exposure LoRA; the turbo LoRA beside it, where there is one, paints what many rounds would have agreed on.
EXPOSURE, TURBO = "diffusionlight.safetensors", "diffusionlight_turbo.safetensors"
BRIGHT = "a perfect mirrored reflective chrome ball sphere"
DARK = "a perfect black dark mirrored reflective chrome ball sphere"
NEGATIVE = "matte, diffuse, flat, dull"
#: The exposure at which the dark prompt alone speaks.
DARKEST = -5.0
_REMEDY = "It must hold SDXL in diffusers' layout, a depth ControlNet as 'controlnet', and DiffusionLight's LoRA."
_loaded: dict[tuple[Path, str, Stamp], DiffusionLight] = {}


class Worn:
    """Low-rank changes that linear layers wear one set at a time; the layers themselves stay as they are."""

    def __init__(self, network: nn.Module, sets: dict[str, dict[str, Change]], scale: float) -> None:
        self.name = next(iter(sets))
        layers = dict(network.named_modules())
        for name, each in sets.items():
            for layer, change in each.items():
                module = layers.get(layer)
                fits = isinstance(module, nn.Linear) and module.weight.shape == (len(change.up), change.down.shape[-1])
                if not fits:
                    raise BadInput(
                        f"The LoRA changes the layer '{layer}', of which this SDXL has none like it.", _REMEDY
                    )
                assert isinstance(module, nn.Linear)
                factors = (change.down.to(module.weight), (scale * change.scale * change.up).to(module.weight))
                module.register_forward_hook(partial(self._add, name, factors))

    def _add(
        self, name: str, factors: tuple[Tensor, Tensor], module: Any, inputs: Any, output: Tensor
    ) -> Tensor | None:
        if name != self.name:
            return None
        return output + F.linear(F.linear(inputs[0], factors[0]), factors[1])


@dataclass(frozen=True, eq=False)
class DiffusionLight:
    """Everything that paints a ball."""

    name: str
    unet: Any
    controlnet: Any
    codec: Codec
    scheduler: Any
    worn: Worn
    turbo: bool
    text: Text
    device: str

    def told(self, ev: float) -> Text:
        """The negative prompt's and the exposure's embedding, as two rows: bright and dark mixed (methods.md §2.1)."""
        t = ev / DARKEST
        assert self.text.pooled is not None
        rows = [torch.stack([x[2], torch.lerp(x[0], x[1], t)]) for x in (self.text.tokens, self.text.pooled)]
        return Text(rows[0], rows[1]).at(slice(None), self.unet.dtype, self.device)


def is_diffusionlight(folder: Path) -> bool:
    """Whether a backbone's folder is one of DiffusionLight's."""
    return (folder / EXPOSURE).is_file()


def load_diffusionlight(folder: Path, device: str, scale: float = 0.75) -> DiffusionLight:
    """The networks of a folder, kept until its files change or :func:`unload`; ``scale`` is the LoRA's."""
    key = (folder, device, stamp(folder, CACHE))
    if key not in _loaded:
        unload()
        with memory_explained(folder.name, device):
            _loaded[key] = _load(folder, device, scale)
    return _loaded[key]


def unload() -> None:
    """Free the networks' memory."""
    _loaded.clear()


def _load(folder: Path, device: str, scale: float) -> DiffusionLight:
    import diffusers

    quiet()
    dtype = network_dtype(device)
    cache = PromptCache(folder, lambda prompts: encode("sdxl", folder, prompts, dtype, device))
    text = cache.get([BRIGHT, DARK, NEGATIVE])
    options: dict[str, Any] = {"torch_dtype": dtype, "use_safetensors": True}
    unet = part(diffusers.UNet2DConditionModel, folder, "unet", **options).to(device).eval()
    controlnet = part(diffusers.ControlNetModel, folder, "controlnet", **options).to(device).eval()
    sets = {file: _changes(folder, file) for file in (TURBO, EXPOSURE) if (folder / file).is_file()}
    worn = Worn(unet, sets, scale)
    codec = load_codec("sdxl", folder, torch.float32, device)
    turbo = TURBO in sets
    return DiffusionLight(folder.name, unet, controlnet, codec, scheduler_of(folder), worn, turbo, text, device)


def _changes(folder: Path, file: str) -> dict[str, Change]:
    try:
        found = changes(load_file(folder / file))
    except (OSError, SafetensorError, BadInput) as error:
        raise MissingPart(f"{file} of the model {folder.name} cannot be read ({str(error)[:100]}).", _REMEDY) from error
    if not found:
        raise MissingPart(f"{file} of the model {folder.name} holds no low-rank changes.", _REMEDY)
    return found
