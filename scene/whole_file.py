# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are there whole or not at all, also where the disk runs full or Blender is killed."""

import os
from pathlib import Path


def write(path: Path, data: bytes) -> None:
    """Write a file, or leave what is there as it is; raises ``OSError``."""
    # Others may write the same file at the same time.
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
