"""Peers from the npm registry, fetched once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def fetch(folder: Path, versions: dict[str, str], *options: str) -> None:
    """Installs packages at these versions into a folder, unless they are there; raises CalledProcessError."""
    folder.mkdir(parents=True, exist_ok=True)

    def version(package: str) -> str | None:
        about = folder / "node_modules" / package / "package.json"
        return json.loads(about.read_text())["version"] if about.exists() else None

    if any(version(package) != pinned for package, pinned in versions.items()):
        (folder / "package.json").write_text('{"private": true}')
        packages = [f"{package}@{pinned}" for package, pinned in versions.items()]
        command = ["npm", "install", "--save-exact", "--no-audit", "--no-fund", "--loglevel=error"]
        subprocess.run([*command, *options, *packages], cwd=folder, check=True, stdout=sys.stderr)
