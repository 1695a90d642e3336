# SPDX-License-Identifier: GPL-3.0-or-later
"""Released LIMO weights, which the user has, put beside the base model that they were trained on.

Their layout is mapped to diffusers' names, every tensor checked by name and shape, and their convention written into
the header, so that the painter asks them as they were trained (:mod:`.conventions`). Nothing is redistributed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ...errors import BadInput
from ...weights import write
from .conventions import CONVENTIONS, LIMO_IMAGE, LIMO_VIDEO, PAPER, Convention
from .load import family_of, shapes_of
from .stream import LIMO
from .torch_file import read_torch_file

#: What wrappers put before a network's names.
_PREFIX = re.compile(r"^(module\.|pipe\.dit\.|dit\.|transformer\.|model\.|_orig_mod\.|diffusion_model\.)+")
#: Wan's own names of layers, and diffusers'.
_WAN = (
    (r"^(time|text)_embedding\.0\.", r"condition_embedder.\1_embedder.linear_1."),
    (r"^(time|text)_embedding\.2\.", r"condition_embedder.\1_embedder.linear_2."),
    (r"^time_projection\.1\.", "condition_embedder.time_proj."),
    (r"^head\.modulation$", "scale_shift_table"),
    (r"^head\.head\.", "proj_out."),
    (r"\.modulation$", ".scale_shift_table"),
    (r"\.ffn\.0\.", ".ffn.net.0.proj."),
    (r"\.ffn\.2\.", ".ffn.net.2."),
    (r"\.norm3\.", ".norm2."),
    (r"\.self_attn\.", ".attn1."),
    (r"\.cross_attn\.", ".attn2."),
    (r"\.(attn[12])\.([qkv])\.", r".\1.to_\2."),
    (r"\.(attn[12])\.o\.", r".\1.to_out.0."),
)
#: The convention of released weights by the family of their base.
_RELEASED = {"flux": LIMO_IMAGE, "wan": LIMO_VIDEO}
#: Names that are told of many that do not fit.
_TOLD = 5


def adopt(source: Path, base: Path, convention: str | None = None) -> dict[str, Any]:
    """Write ``limo.safetensors`` beside the base's model_index.json; returns what was found.

    ``source``: a file of weights, safetensors or torch's, or a folder of an exported pipeline. ``convention``: by
    default that of the authors' release for this family. Raises :class:`BadInput` naming what does not fit.
    """
    family = family_of(base)
    if convention is not None and convention not in CONVENTIONS:
        raise BadInput(f"There is no convention '{convention}'.", f"Known: {', '.join(CONVENTIONS)}.")
    told = CONVENTIONS[convention] if convention else _RELEASED.get(family, PAPER)
    tensors = canonical(read_weights(source))
    shapes, entry = shapes_of(base)
    _check(source, base, tensors, shapes, entry)
    header = {"convention": told.name, "source": source.name}
    try:
        write(base / LIMO, tensors, header)
    except OSError as error:
        raise BadInput(
            f"{base / LIMO} cannot be written ({error.strerror}).", "Free the disk, or the folder."
        ) from error
    return {
        "weights": str(base / LIMO), "base": base.name, "convention": told.name, "tensors": len(tensors),
        "of": len(shapes), "differs": differences(told),
    }  # fmt: skip


def read_weights(source: Path) -> dict[str, Tensor]:
    """All tensors of a file or a folder, by the names they have there."""
    if source.is_dir():
        inside = source / "transformer" if (source / "transformer").is_dir() else source
        files = sorted(inside.glob("*.safetensors"))
    else:
        files = [source]
    if not files or not files[0].is_file():
        raise BadInput(
            f"There are no weights in {source}.", "Name a .safetensors or .pt file, or an exported pipeline."
        )
    found: dict[str, Tensor] = {}
    for file in files:
        if file.suffix == ".safetensors":
            try:
                found |= load_file(file)
            except (OSError, SafetensorError) as error:
                raise BadInput(f"{file.name} is damaged ({str(error)[:100]}).", "Fetch it again.") from error
        else:
            found |= read_torch_file(file)
    return found


def canonical(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors under diffusers' names, without the prefixes of wrappers."""
    bare = {_PREFIX.sub("", name): value for name, value in tensors.items()}
    if any(".self_attn." in name for name in bare):
        bare = {wan_name(name): value for name, value in bare.items()}
    return bare


def wan_name(name: str) -> str:
    """What diffusers calls a tensor of Wan's own code."""
    for pattern, new in _WAN:
        name = re.sub(pattern, new, name)
    return name


def differences(convention: Convention) -> list[str]:
    """What of a convention is not the paper's, in words."""
    words = {
        "toward": "the direction map points at the probe, not away from it",
        "mirrored": "the direction map has no reflection on the sphere",
        "forward": "directions have z into the picture",
        "normals_forward": "normals have z into the picture",
        "black": "the sphere is black in the photo's map",
        "chained": "a prompt names every darker exposure before its own",
        "evs": f"it was run at EV {', '.join(map(str, convention.evs))} only",
        "shift": f"noise times are shifted by {convention.shift}",
    }
    return [text for name, text in words.items() if getattr(convention, name) != getattr(PAPER, name)]


def _check(source: Path, base: Path, tensors: Mapping[str, Tensor], shapes: Mapping[str, Any], entry: str) -> None:
    """Raise with the names of what does not fit."""
    wrong = [
        f"{name} {tuple(value.shape)}, expected {tuple(shapes[name]) if name in shapes else 'none of that name'}"
        for name, value in sorted(tensors.items())
        if name not in shapes or value.shape != shapes[name]
    ]
    if f"{entry}.weight" not in tensors:
        wrong.insert(0, f"{entry}.weight of the widened input is missing")
    if wrong:
        more = f" and {len(wrong) - _TOLD} more" if len(wrong) > _TOLD else ""
        raise BadInput(
            f"{source.name} does not fit the model {base.name}: {'; '.join(wrong[:_TOLD])}{more}.",
            "Name the base model that these weights were trained on.",
        )
