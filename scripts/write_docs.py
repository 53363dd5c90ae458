"""Writes the tables of the documentation that the code knows best: `python scripts/write_docs.py`.

A table stands between `<!-- NAME -->` and `<!-- /NAME -->`; tests fail while it is not the code's.
"""

from __future__ import annotations

import re
from pathlib import Path

from server.access.scopes import SCOPES
from server.config import table

DOCS = Path(__file__).resolve().parent.parent / "docs"


def settings() -> str:
    """All settings."""
    rows = [f"| `{name}` | {f'`{default}`' if default else ''} | {help} |" for name, default, help in table()]
    return "\n".join(["| setting | default | |", "| --- | --- | --- |", *rows])


def scopes() -> str:
    """All scopes."""
    return "\n".join(
        ["| scope | allows |", "| --- | --- |", *(f"| `{s}` | {says} |" for s, says in SCOPES.items())]
    )


TABLES = {"settings": settings, "scopes": scopes}


def written(text: str) -> str:
    """A document with its tables as the code has them."""
    for name, make in TABLES.items():
        pattern = rf"(<!-- {name} -->\n).*?(\n<!-- /{name} -->)"
        made = make().replace("\\", "\\\\")
        text = re.sub(pattern, rf"\g<1>{made}\g<2>", text, flags=re.DOTALL)
    return text


if __name__ == "__main__":
    for file in DOCS.glob("*.md"):
        file.write_text(written(file.read_text()))
