"""The pictures of `compare.py`: generated pages in three sizes, captured before and after a change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks import pages as site

SIZES = {
    "1280x800": (800, 1),
    "1280x4000": (4000, 1),
    "2560x6000": (3000, 2),
}  # CSS px high, image px for each
WIDTH = 1280
MEGAPIXELS = 100.0

Kind = Literal["local", "band", "other"]


WORDS = site.TEXT.split()


def docs(height: int) -> str:
    """Text, a heading now and then."""
    parts = []
    for n in range(height // 60):
        words = " ".join(WORDS[(n * 7 + k) % len(WORDS)] for k in range(40))
        title = f"<h2>Chapter {n // 6}</h2>" if n % 6 == 0 else ""
        parts.append(f"<section id=p{n}>{title}<p>{n}. {words}</p></section>")
    return f"<header>Documentation</header><main>{''.join(parts)}</main>"


def dash(height: int) -> str:
    """Cards with shadows, charts, a table."""
    cards = "".join(
        f"<div class=card id=c{n}><b>{n * 7919 % 10000}</b><p>{WORDS[n % len(WORDS)]}</p><svg viewBox='0 0 200 60'>"
        + "".join(f"<rect x={k * 10} y={k * n * 7 % 50} width=7 height=60 fill=#4e73df />" for k in range(20))
        + "</svg></div>"
        for n in range(height // 400 * 4)
    )
    rows = "".join(
        f"<tr id=r{n}><td>{n}<td>{n * 7919 % 10000}<td>{' '.join(WORDS[: n % 15])}</tr>"
        for n in range(height // 50)
    )
    return f"<header>Dashboard</header><main><div class=cards>{cards}</div><table>{rows}</table></main>"


def photo(height: int) -> str:
    """Pictures with much detail, a line of text under each."""
    figures = "".join(
        f"<figure id=f{n}><img src=/generated/photo.png style='object-position:{n * 13 % 100}% {n * 29 % 100}%'>"
        f"<p>Picture {n}: {' '.join(WORDS[n % 9 : n % 9 + 6])}</p></figure>"
        for n in range(height // 350 * 3 + 3)
    )
    return f"<header>Pictures</header><main class=figures>{figures}</main>"


STYLE = """
* { box-sizing: border-box } html, body { margin: 0; height: %dpx; overflow: hidden; font: 15px/1.5 sans-serif }
header { background: #2d3748; color: white; padding: 16px 32px; font-size: 24px } main { padding: 8px 32px }
.cards { display: grid; grid-template-columns: repeat(4, 1fr); gap: 20px }
.card { padding: 16px; border-radius: 10px; box-shadow: 0 4px 18px #0003; background: linear-gradient(#fff, #eef) }
.card b { font-size: 28px } table { width: 100%%; border-collapse: collapse } td { border: 1px solid #ccd; padding: 6px }
.figures { display: grid; grid-template-columns: repeat(3, 1fr); gap: 16px } figure { margin: 0 }
img { width: 100%%; height: 280px; object-fit: none }
"""
BANNER = (
    "<div style='height:40px;background:#fde047;text-align:center;line-height:40px'>Sale: all must go</div>"
)

# What is done to a page: its kind, and a replacement (pattern, replacement) or a style that is added.
CHANGES: dict[str, tuple[Callable[[int], str], Kind, str | tuple[str, str]]] = {
    "docs text": (docs, "local", ("<p>5. ", "<p>5. Now ")),
    "docs colour": (docs, "local", "#p4 { background: #fde68a }"),
    "dash text": (dash, "local", ("<b>7919</b>", "<b>7917</b>")),
    "photo text": (photo, "local", ("Picture 1:", "Image 1:")),
    "docs banner": (docs, "band", ("<header>", BANNER + "<header>")),
    "docs removed": (docs, "band", "#p1 { display: none }"),
    "dash banner": (dash, "band", ("<header>", BANNER + "<header>")),
    "docs smoothing": (docs, "other", "p { transform: translateX(.4px) }"),
    "docs theme": (docs, "other", "main { background: #bfdbfe }"),
    "dash numbers": (dash, "other", "td:nth-child(2) { color: #b91c1c }"),
    "photo other": (photo, "other", "#f1 img { filter: hue-rotate(90deg) }"),
    "docs same": (docs, "other", ""),
}


@dataclass(frozen=True)
class Pair:
    """Two PNG files of one size, in px as `1280x800`."""

    name: str
    kind: Kind
    size: str
    before: Path
    after: Path


def changed(html: str, change: str | tuple[str, str]) -> str:
    """A page with a change in it."""
    if isinstance(change, str):
        return f"{html}<style>{change}</style>"
    assert change[0] in html, change
    return html.replace(*change, 1)


def pictures(folder: Path, sizes: list[str], only: list[str]) -> list[Pair]:
    """Capture every page in every size, before and after its change."""
    from server.vision import png

    pages, pairs = dict[str, bytes](), list[Pair]()
    for size in sizes:
        for name in only:
            make, kind, change = CHANGES[name]
            height = SIZES[size][0]
            html = f"<!doctype html><title>{name}</title><style>{STYLE % height}</style>{make(height)}"
            before, after = (f"{size} {when}".replace(" ", "-") for when in (make.__name__, name))
            pages[f"compare/{before}.html"] = html.encode()
            pages[f"compare/{after}.html"] = changed(html, change).encode()
            pairs.append(Pair(name, kind, size, folder / f"{before}.png", folder / f"{after}.png"))
    with site.serving(changed=pages) as base:
        asyncio.run(_capture(base, list(pages), folder))
    for pair in pairs:
        if pair.name.endswith("same"):
            pair.after.write_bytes(png.stitch([pair.before.read_bytes()], MEGAPIXELS))
    return pairs


async def _capture(base: str, paths: list[str], folder: Path) -> None:
    from server.vision import browser as browsers
    from server.vision.addresses import AddressPolicy
    from server.vision.capture import Browser
    from server.vision.page import Page

    executable = browsers.find_browser()
    assert executable, "no browser here"
    asking = Browser(executable, policy=AddressPolicy(allow=(base.removeprefix("http://"),)), pages_at_once=2)
    async with asking as browser, browser.session() as session:

        async def shoot(path: str) -> None:
            size = Path(path).stem.partition("-")[0]
            height, scale = SIZES[size]
            image = await session.capture(Page(f"{base}/{path}", WIDTH, min(height, 800), scale))
            assert f"{image.width}x{image.height}" == size, (path, image.width, image.height)
            (folder / f"{Path(path).stem}.png").write_bytes(image.png)

        await asyncio.gather(*map(shoot, paths))
