# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds a network from its configuration and fills it tensor by tensor, the fine-tuned ones in the base's place.

So a network never lies in memory twice, neither as base and fine-tuned nor in full and in eight bits, and every tensor
is checked by its name and shape.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from ...errors import BadInput, MissingPart
from .eight_bit import EightBitLinear, may_be_eight_bit
from .frame import MAPS
from .low_rank import Change, changes, is_factor
from .memory import component
from .networks import widen, widened
from .parts import WHOLE, lacks_memory, part, unreadable

#: LIMO's finetuned network in the pipeline's folder: the tensors that differ from the base's, or low-rank changes.
LIMO = "limo.safetensors"
_REMEDY = "Fetch or train LIMO's weights for this very base model."


class Tuned:
    """LIMO's weights beside a base model, if they are there; with no ``file`` they are not looked at."""

    def __init__(self, folder: Path, file: str | None = LIMO) -> None:
        self.model = folder.name
        self._file: Any = None
        self.header: dict[str, str] = {}
        self.names: set[str] = set()
        self.changes: dict[str, Change] = {}
        if file is not None and (folder / file).is_file():
            try:
                self._file = safe_open(folder / file, "pt")
                self.header, names = self._file.metadata() or {}, set(self._file.keys())
                factors = {name: self._file.get_tensor(name) for name in names if is_factor(name)}
            except (OSError, SafetensorError) as error:
                raise self.odd(f"is damaged ({str(error)[:100]})") from error
            self.names = names - set(factors)
            try:
                self.changes = changes(factors)
            except BadInput as error:
                raise self.odd(f"does not fit: {error.text[:-1]}") from error

    @property
    def there(self) -> bool:
        """Whether there are any."""
        return self._file is not None

    def tensor(self, name: str) -> Tensor:
        """One of ``names``."""
        return self._file.get_tensor(name)  # type: ignore[no-any-return]

    def odd(self, what: str) -> MissingPart:
        """The error that the file is not for this model."""
        return MissingPart(f"{LIMO} of the model {self.model} {what}.", _REMEDY)

    def check(self, shapes: dict[str, torch.Size], entry: str) -> None:
        """Raise unless every tensor has a place of its shape, and the widened layer is among them."""
        if not self.there:
            return
        if f"{entry}.weight" not in self.names:
            raise self.odd(f"lacks the tensor '{entry}.weight' of the widened input")
        for name in sorted(self.names):
            if name not in shapes:
                raise self.odd(f"holds the tensor '{name}', for which this base model has no place")
            got = torch.Size(self._file.get_slice(name).get_shape())
            if got != shapes[name]:
                raise self.odd(f"has the tensor '{name}' with shape {tuple(got)}, expected {tuple(shapes[name])}")
        for name, change in sorted(self.changes.items()):
            expected = shapes.get(f"{name}.weight")
            if expected != (len(change.up), *change.down.shape[1:]):
                raise self.odd(f"changes the layer '{name}', of which this base model has none of that shape")


def load_network(
    kind: Any, folder: Path, name: str, dtype: torch.dtype, tuned: Tuned, channels: int, *, small: int | None = None,
    start: str = "zero",
) -> Any:  # fmt: skip
    """The widened network ``name`` of a folder, on the CPU in ``dtype``, with LIMO's weights where they are there.

    ``channels`` is what its input takes as a base model. With ``small``, matrices of so many numbers or more are kept
    in eight bits. Without LIMO's weights the input is widened by ``start``.
    """
    files = component(folder, name)
    if not files:
        # Lets diffusers say what is wrong with a folder that holds no safetensors.
        part(kind, folder, name, use_safetensors=True)
    network = empty_network(kind, folder, name)
    if network.config.in_channels != channels:
        # A network for another task (inpainting, say) takes more channels than the noisy latent's.
        raise MissingPart(
            f"The network of the model {folder.name} takes {network.config.in_channels} input channels, expected "
            f"{channels}.",
            "Use the base text-to-image model, with LIMO's own weights beside it.",
        )
    shapes, entry = {key: value.shape for key, value in network.state_dict().items()}, widened(network)
    tuned.check(wide_shapes(shapes, entry), entry)
    _fill(network, files, folder, name, dtype, tuned, shapes, small)
    layer = network.get_submodule(entry)
    if f"{entry}.weight" not in tuned.names:
        widen(layer, start)
    else:
        setattr(layer, "in_features" if isinstance(layer, nn.Linear) else "in_channels", layer.weight.shape[1])
    return network.requires_grad_(False).eval()


def empty_network(kind: Any, folder: Path, name: str) -> Any:
    """The network of a folder's configuration, its parameters without memory."""
    import accelerate

    try:
        with accelerate.init_empty_weights(include_buffers=False):
            return kind.from_config(kind.load_config(folder / name, local_files_only=True))
    except Exception as error:
        raise unreadable(folder, name, error) from error


def wide_shapes(shapes: dict[str, torch.Size], entry: str) -> dict[str, torch.Size]:
    """The shapes with those of the widened input layer."""
    old = shapes[f"{entry}.weight"]
    return {**shapes, f"{entry}.weight": torch.Size([old[0], (MAPS + 1) * old[1], *old[2:]])}


def _fill(
    network: Any, files: list[Path], folder: Path, name: str, dtype: torch.dtype, tuned: Tuned,
    shapes: dict[str, torch.Size], small: int | None,
) -> None:  # fmt: skip
    """Give every tensor its values."""
    exact = getattr(network, "_keep_in_fp32_modules", None) or ()
    halved = may_be_eight_bit(network, small) if small is not None else set()
    parameters = {key for key, _ in network.named_parameters()}
    with ExitStack() as stack:
        try:
            opened = [stack.enter_context(safe_open(path, "pt")) for path in files]
            place = {key: file for file in opened for key in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError) as error:
            raise unreadable(folder, name, error) from error
        for key, shape in shapes.items():
            layer, _, leaf = key.rpartition(".")
            if key in tuned.names:
                value = tuned.tensor(key)
            elif key not in place:
                raise MissingPart(f"The part '{name}' of the model {folder.name} lacks the tensor '{key}'.", WHOLE)
            else:
                value = _read(place[key], key, shape, folder, name)
            if leaf == "weight" and layer in tuned.changes:
                value = value.float() + tuned.changes[layer].delta()
            precise = dtype == torch.float32 or any(word in key.split(".") for word in exact)
            value = value.to(torch.float32 if precise else dtype)
            if leaf == "weight" and layer in halved:
                _replace(network, layer, EightBitLinear(value, None))
            elif key in parameters:
                module = network.get_submodule(layer)
                setattr(module, leaf, nn.Parameter(value, requires_grad=False))
            else:
                network.get_submodule(layer).register_buffer(leaf, value)


def _replace(network: Any, layer: str, module: EightBitLinear) -> None:
    """Put an eight-bit layer in a linear one's place; its bias, before or after, stays what it is."""
    where, _, leaf = layer.rpartition(".")
    parent = network.get_submodule(where)
    module.bias = parent.get_submodule(leaf).bias
    setattr(parent, leaf, module)


def _read(file: Any, key: str, shape: torch.Size, folder: Path, name: str) -> Tensor:
    try:
        value: Tensor = file.get_tensor(key)
    except (OSError, SafetensorError, RuntimeError) as error:
        if lacks_memory(error):
            raise
        raise unreadable(folder, name, error) from error
    if value.shape != shape:
        raise MissingPart(
            f"The part '{name}' of the model {folder.name} has the tensor '{key}' with shape {tuple(value.shape)}, "
            f"expected {tuple(shape)}.",
            WHOLE,
        )
    return value
