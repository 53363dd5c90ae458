"""Text, links and tables in GitHub's Markdown, with everything foreign escaped.

https://github.github.com/gfm/
"""

import re
from collections.abc import Iterable, Sequence
from urllib.parse import quote

from action_src.log import one_line, shortened

MAX_TEXT_CHARACTERS = 300
MAX_ADDRESS_CHARACTERS = 2000


def text(value: str, max_characters: int = MAX_TEXT_CHARACTERS) -> str:
    """Foreign text as it reads: one line, no markup, no link, no mention."""
    value = shortened(one_line(value), max_characters)
    value = value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    value = re.sub(r"([\\`*_{}\[\]#|~$])", r"\\\1", value)
    value = re.sub(r"^([-+]|\d+[.)])(?=\s|$)", r"&#8203;\1", value)  # would begin a list
    value = value.replace("://", "&#58;//").replace("@", "&#64;")
    return re.sub(r"\b(www)\.", r"\1&#46;", value, flags=re.IGNORECASE)


def code(value: str, max_characters: int = 120) -> str:
    """A foreign word in code type; nothing for nothing."""
    value = shortened(one_line(value), max_characters)
    if re.fullmatch(r"[\w./:+=,…-]+( [\w./:+=,…-]+)*", value):
        return f"`{value}`"
    return f"<code>{text(value, max_characters)}</code>" if value else ""


def link(label: str, address: str) -> str:
    """A link with an escaped label; the label alone where the address is none for a browser."""
    if not re.match(r"https?://[^/]", address) or len(address) > MAX_ADDRESS_CHARACTERS:
        return text(label)
    return f"[{text(label)}]({quote(address, safe=':/?#[]@!$&*+,;=%~')})"


def picture(address: str, width: int) -> str:
    """A picture of this width (CSS pixels), by https alone; nothing where the address is another."""
    if not re.match(r"https://[^/]", address) or len(address) > MAX_ADDRESS_CHARACTERS:
        return ""
    source = quote(address, safe=":/?#[]@!$&*+,;=%~").replace("&", "&amp;")
    return f'<img src="{source}" width="{width}" alt="">'


def row(cells: Iterable[str]) -> str:
    """One row of a table."""
    return "| " + " | ".join(cells) + " |"


def head(titles: Sequence[str]) -> list[str]:
    """The first two lines of a table."""
    return [row(titles), row("---" for _ in titles)]
