# SPDX-License-Identifier: GPL-3.0-or-later
"""MediaPipe's two small networks that ship as they are, run by LiteRT."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import MissingPart
from ..weights import AGAIN

WEIGHTS = Path(__file__).parent / "weights"


class Network:
    """A tflite file; called with one float32 array, it answers with a float32 array of each output, by shape."""

    def __init__(self, path: Path) -> None:
        """Raises :class:`MissingPart` if LiteRT is not installed, or if the file is missing or damaged."""
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError as error:
            raise MissingPart(
                "Faces are found by MediaPipe's networks, and LiteRT, which runs them, is not installed.",
                "Set up the engine again, or install ai-edge-litert into its environment.",
            ) from error
        if not path.is_file():
            raise MissingPart(f"The network {path.name} is missing.", AGAIN)
        try:
            self._run: Any = Interpreter(str(path), num_threads=1)
            self._run.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise MissingPart(f"The network {path.name} is damaged ({error}).", AGAIN) from error

    def __call__(self, values: np.ndarray) -> list[np.ndarray]:
        """The outputs for one input of the network's own shape, the one with the most values first."""
        self._run.set_tensor(self._run.get_input_details()[0]["index"], np.ascontiguousarray(values, np.float32))
        self._run.invoke()
        outputs = [self._run.get_tensor(output["index"]) for output in self._run.get_output_details()]
        return sorted(outputs, key=lambda output: -output.size)


@cache
def network(name: str) -> Network:
    """The network of this name in the weights folder, opened once."""
    return Network(WEIGHTS / f"{name}.tflite")
