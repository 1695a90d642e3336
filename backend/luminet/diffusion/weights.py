# SPDX-License-Identifier: GPL-3.0-or-later
"""LumiNet's own weights beside a base model: read part by part, held against the networks tensor by tensor.

``luminet.safetensors`` holds, by the first word of a tensor's name: ``intrinsics``, ``adaptor``, ``controlnet``,
``unet`` (the trained cross-attention) and, optional, ``bypass`` and ``empty_prompt`` (1, 77, context). Its header's
``intrinsics`` is the network's sizes as JSON, by default the paper's, and ``size`` the pixels a side, by default 512.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from ...errors import MissingPart
from .intrinsics import IntrinsicsConfig

FILE = "luminet.safetensors"
#: What must be in the file, and what may be.
PARTS, OPTIONAL = ("intrinsics", "adaptor", "controlnet", "unet"), ("bypass", "empty_prompt")
SIZE = 512
#: Ends of names of files that Python would unpickle.
_PICKLES = (".pth", ".pt", ".ckpt", ".bin", ".tar", ".pkl")
_REMEDY = "Fetch or train LumiNet's weights for this very base model, as one safetensors file."


class Weights:
    """The opened file. Parts are read when they are asked for, so that two never lie in memory at once."""

    def __init__(self, folder: Path) -> None:
        self.model, path = folder.name, folder / FILE
        if not path.is_file():
            _refuse_pickles(folder)
            raise MissingPart(f"The model {self.model} has no {FILE} beside its model_index.json.", _REMEDY)
        try:
            self._file = safe_open(path, "pt")
            header = self._file.metadata() or {}
            self.names = set(self._file.keys())
        except (OSError, SafetensorError) as error:
            raise MissingPart(f"{FILE} of the model {self.model} is damaged: {error}.", _REMEDY) from error
        try:
            self.intrinsics = IntrinsicsConfig.from_dict(json.loads(header.get("intrinsics", "{}")))
            self.size = int(header.get("size", SIZE))
        except (ValueError, TypeError, AttributeError) as error:
            raise MissingPart(f"The header of {FILE} of the model {self.model} is odd: {error}.", _REMEDY) from error
        for part in PARTS:
            if not self.has(part):
                raise self.odd(f"holds no tensor of its part '{part}', such as '{part}.….weight'")
        for name in sorted(self.names):
            if name.split(".")[0] not in PARTS + OPTIONAL:
                raise self.odd(f"holds the tensor '{name}', which belongs to no part of LumiNet")

    def has(self, part: str) -> bool:
        """Whether the file holds anything of a part."""
        return any(name.split(".")[0] == part for name in self.names)

    def part(self, part: str) -> dict[str, Tensor]:
        """A part's tensors by their names without the part's; "" for the part's one tensor."""
        found = {}
        for name in sorted(self.names):
            if name.split(".")[0] == part:
                tensor = self._file.get_tensor(name)
                if not tensor.is_floating_point():
                    raise self.odd(f"has the tensor '{name}' of type {tensor.dtype}, expected floats")
                found[name[len(part) + 1 :]] = tensor
        return found

    def fill(
        self, module: nn.Module, tensors: Mapping[str, Tensor], part: str, needed: Collection[str] | None = None
    ) -> None:
        """Put a part's tensors into a network; those ``needed``, by default all the network's, must be there.

        Weights that have no memory yet (torch's meta device) take the file's own, in the type of the network's.
        """
        own = module.state_dict()
        for name in own if needed is None else needed:
            if name not in tensors:
                raise self.odd(f"lacks the tensor '{part}.{name}'")
        for name, value in tensors.items():
            if name not in own:
                raise self.odd(f"holds the tensor '{part}.{name}', for which this base model has no place")
            if value.shape != own[name].shape:
                got, expected = tuple(value.shape), tuple(own[name].shape)
                raise self.odd(f"has the tensor '{part}.{name}' with shape {got}, expected {expected}")
        typed = {name: value.to(own[name].dtype) for name, value in tensors.items()}
        module.load_state_dict(typed, strict=False, assign=any(value.is_meta for value in own.values()))

    def odd(self, what: str) -> MissingPart:
        """The error that the file is not for this model."""
        return MissingPart(f"{FILE} of the model {self.model} {what}.", _REMEDY)


def _refuse_pickles(folder: Path) -> None:
    pickles = sorted(path.name for path in folder.glob("*") if path.name.endswith(_PICKLES))
    if pickles:
        raise MissingPart(
            f"{pickles[0]} of the model {folder.name} is a pickle, which can run any program when it is read; "
            f"it is not opened.",
            f"Convert it to {FILE} on a computer that may be lost, or get the weights as safetensors.",
        )
