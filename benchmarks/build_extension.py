# SPDX-License-Identifier: GPL-3.0-or-later
"""Build and validate the extension by Blender's own tool: ``python build_extension.py SOURCE OUT`` in a bpy Python."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tomllib
from pathlib import Path

#: Blender's plain validator does not notice unknown keys.
_KNOWN = {"schema_version", "id", "version", "name", "tagline", "maintainer", "type", "license", "copyright",
          "blender_version_min", "blender_version_max", "website", "tags", "permissions", "platforms", "wheels",
          "build"}  # fmt: skip


def tool() -> Path:
    """Blender's ``blender_ext.py``, found without importing bpy."""
    spec = importlib.util.find_spec("bpy")
    assert spec is not None and spec.origin is not None
    return next(Path(spec.origin).parent.glob("*/scripts/addons_core/bl_pkg/cli/blender_ext.py"))


def main(source: Path, out: Path) -> int:
    """Build into ``out`` and validate folder and zip, plainly and strictly; 0 if all is well."""
    manifest = tomllib.loads((source / "blender_manifest.toml").read_text(encoding="utf-8"))
    unknown = set(manifest) - _KNOWN
    if unknown or manifest["license"] != ["SPDX:GPL-3.0-or-later"]:
        print(f"The manifest has unknown keys {sorted(unknown)} or another licence.", file=sys.stderr)
        return 1
    out.mkdir(exist_ok=True)
    for old in out.glob("limelight-*.zip"):
        old.unlink()
    zip_path = out / f"limelight-{manifest['version']}.zip"
    for arguments in (
        ["validate", str(source)],
        ["build", "--source-dir", str(source), "--output-dir", str(out)],
        ["validate", str(zip_path)],
    ):
        if subprocess.run([sys.executable, str(tool()), *arguments], check=False).returncode:
            return 1
    # The strict check, of tags too, needs Blender itself.
    strict = (
        "import sys, bpy; from bl_pkg import cli_extension; raise SystemExit(cli_extension(['validate', sys.argv[1]]))"
    )
    return subprocess.run([sys.executable, "-c", strict, str(zip_path)], check=False).returncode


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()))
