"""The pages that captures are measured on: generated ones (and the tests' hard pages), and demo pages out of npm packages.

Packages are fetched once with `npm pack` at the versions named here, into a cache folder outside the
repository, and served on loopback. What their pages ask of other hosts is answered by the same server:
with a file of another package where `ELSEWHERE` names one, else with 404. Nothing here captures.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import mimetypes
import re
import struct
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal

from PIL import Image

CACHE = Path.home() / ".cache" / "retestr-bench"
HARD = Path(__file__).resolve().parent.parent / "tests" / "vision" / "pages"
Half = Literal["generated", "tuned on", "held out"]

PACKAGES: dict[str, tuple[str, ...]] = {
    "admin-lte@2.4.18": (
        "index.html", "index2.html", "pages/widgets.html", "pages/calendar.html", "pages/charts/chartjs.html",
        "pages/charts/flot.html", "pages/charts/inline.html", "pages/charts/morris.html",
        "pages/UI/timeline.html", "pages/tables/data.html",
    ),
    "aos@2.3.4": ("demo/simple.html", "demo/async.html"),
    "flexslider@2.7.2": (
        "demo/index.html", "demo/basic-carousel.html", "demo/thumbnail-slider.html",
    ),
    "gentelella@1.4.0": (
        "production/index.html", "production/index2.html", "production/chartjs.html",
        "production/echarts.html", "production/morisjs.html", "production/widgets.html",
        "production/other_charts.html", "production/map.html", "production/profile.html",
    ),
    "jqvmap@1.5.1": ("examples/world.html", "examples/europe.html", "examples/pins.html"),
    "lightbox2@2.11.3": ("examples/index.html",),
    "mediaelement@4.2.16": ("demo/index.html",),
    "nvd3@1.8.6": (
        "examples/lineChart.html", "examples/donutChart.html", "examples/forceDirected.html",
        "examples/scatterChart.html", "examples/monitoringChart.html",
    ),
    "owl.carousel@2.3.4": (
        "docs/demos/basic.html", "docs/demos/autoplay.html", "docs/demos/lazyLoad.html",
        "docs/demos/animate.html",
    ),
    "particles.js@2.0.0": ("demo/index.html",),
    "reveal.js@4.6.1": ("demo.html", "index.html"),
    "startbootstrap-agency@7.0.12": ("dist/index.html",),
    "startbootstrap-coming-soon@6.0.7": ("dist/index.html",),
    "startbootstrap-creative@7.0.7": ("dist/index.html",),
    "startbootstrap-sb-admin-2@4.1.4": (
        "index.html", "charts.html", "tables.html", "utilities-animation.html",
    ),
    "uikit@3.16.26": (
        "tests/animation.html", "tests/scrollspy.html", "tests/slider.html", "tests/slideshow.html",
        "tests/parallax.html", "tests/sticky.html", "tests/grid-parallax.html", "tests/countdown.html",
        "tests/image.html", "tests/video.html", "tests/progress.html",
    ),
    "wowjs@1.1.3": ("demo.html",),
}  # fmt: skip

# What pages load from other hosts: a pattern of its address -> the package and file that answer.
ELSEWHERE = {
    r"jquery(-|/|\.min).*\.js": ("jquery@1.12.4", "dist/jquery.min.js"),
    r"d3/.*d3\.min\.js": ("d3@3.5.17", "d3.min.js"),
    r"bootstrap@5.*bundle.*\.js": ("bootstrap@5.2.3", "dist/js/bootstrap.bundle.min.js"),
}
OTHER_HOST = re.compile(
    r"""((?:\bsrc|<link[^>]*\bhref)\s*=\s*["']|@import\s+(?:url\()?["']?)(?:https?:)?//"""
)


@dataclass(frozen=True, slots=True)
class Measured:
    """One page: `path` is its path on the server."""

    name: str
    path: str
    half: Half


def measured_pages() -> list[Measured]:
    """Every page that is measured, the generated ones first."""
    pages = [Measured(f"generated {name}", f"generated/{name}", "generated") for name in generated()]
    for package, paths in PACKAGES.items():
        name = package.rpartition("@")[0]
        pages += [Measured(f"{name} {path}", f"{package}/{path}", half_of(name)) for path in paths]
    return pages


def half_of(package: str) -> Half:
    """Whether the engine may be tuned on a package: decided by its name alone."""
    return "tuned on" if hashlib.sha256(package.encode()).digest()[0] % 2 == 0 else "held out"


def fetch(cache: Path = CACHE) -> None:
    """Fetch and unpack what is not in the cache yet; raises CalledProcessError where npm fails."""
    cache.mkdir(parents=True, exist_ok=True)
    for package in sorted({*PACKAGES, *(package for package, _ in ELSEWHERE.values())}):
        folder = cache / package
        if folder.is_dir():
            continue
        packed = subprocess.run(
            ["npm", "pack", "--silent", package], cwd=cache, capture_output=True, text=True, check=True
        ).stdout.split()[-1]
        partial = cache / f"{package}.partial"
        with tarfile.open(cache / packed) as archive:
            archive.extractall(partial, filter="data")
        (cache / packed).unlink()
        next(path for path in partial.iterdir() if path.is_dir()).rename(folder)
        partial.rmdir()


# --- generated pages ------------------------------------------------------------------------------------

TEXT = (
    "The quick brown fox jumps over the lazy dog while five boxing wizards watch from a respectful distance. "
)
PLAIN = {
    "article": "<h1>An article</h1>" + f"<p>{TEXT * 4}</p>" * 12,
    "table": "<table border=1>"
    + "".join(f"<tr><td>{row}<td>{row * 7919 % 1000}<td>{TEXT[: row % 60]}</tr>" for row in range(80))
    + "</table>",
    "form": "<form>"
    + "".join(
        f"<p><label>{kind} <input type={kind}></label>"
        for kind in ("text", "date", "color", "range", "file", "checkbox", "radio", "number", "time")
    )
    + "<select><option>One<option>Two</select><textarea>Text</textarea><button>Send</button><meter value=.6>",
    "cards": "<style>.c{display:inline-block;width:300px;margin:12px;padding:16px;border-radius:12px;"
    "box-shadow:0 4px 18px #0003}</style>"
    + "".join(f"<div class=c><h3>Card {n}</h3><p>{TEXT}</p></div>" for n in range(24)),
    "gradients": "".join(
        f"<div style='height:120px;background:conic-gradient(from {n * 30}deg,#e33,#3e3,#33e,#e33)'></div>"
        for n in range(8)
    ),
    "filters": "".join(
        f"<img src=photo.png width=300 height=225 style='filter:{effect}'>"
        for effect in (
            "blur(3px)",
            "sepia(1)",
            "contrast(1.6)",
            "hue-rotate(90deg)",
            "drop-shadow(8px 8px 6px)",
        )
    ),
    "photos": "".join(
        f"<img src=photo.png style='width:{width}px'>" for width in (97, 203, 331, 457, 613, 761)
    ),
    "cover": "<div style='height:900px;background:url(photo.png) center/cover'></div>" + TEXT * 9,
    "transforms": "".join(
        f"<p style='width:400px;transform:rotate({n * 7}deg) scale({1 + n / 20})'>{TEXT}</p>"
        for n in range(9)
    ),
    "scripts": "<p>Привет мир</p><p dir=rtl>שלום עולם</p><p>你好，世界</p><p>🙂🎉✅</p><p>ﬁ Æ ß ñ</p>" * 6,
    "columns": f"<div style='columns:3'>{TEXT * 40}</div>",
    "chart": "<svg viewBox='0 0 900 400' width=900>"
    + "".join(f"<rect x={n * 30} y={n * 53 % 300} width=20 height={400 - n * 53 % 300} />" for n in range(30))
    + "</svg>",
    "webgl": """<canvas id=c width=600 height=400></canvas><script>
      const gl = c.getContext("webgl"); let angle = 0;
      const draw = () => { angle += 0.05; if (gl) { gl.clearColor(Math.abs(Math.sin(angle)), 0.4, 0.6, 1); gl.clear(16384); }
        requestAnimationFrame(draw); }; draw();</script>""",
    "particles": """<canvas id=c width=900 height=600></canvas><script>
      const pen = c.getContext("2d"), dots = Array.from({length: 200}, () => [Math.random() * 900, Math.random() * 600]);
      const draw = () => { pen.clearRect(0, 0, 900, 600);
        for (const dot of dots) { dot[0] = (dot[0] + Math.random() * 3) % 900; pen.fillRect(...dot, 4, 4); }
        requestAnimationFrame(draw); }; draw();</script>""",
    "count-up": """<p style="margin-top:1500px">Visitors: <b id=n>0</b></p><script>
      new IntersectionObserver(([entry], watch) => { if (!entry.isIntersecting) return; watch.disconnect();
        const began = performance.now(), step = (now) => { n.textContent = Math.min(1234, Math.round((now - began)));
          if (now - began < 1234) requestAnimationFrame(step); }; requestAnimationFrame(step); }).observe(n);</script>""",
    "typing": f"""<p id=p></p><script>const text = `{TEXT}`; let n = 0;
      setInterval(() => p.textContent = text.slice(0, ++n), 5);</script>""",
}


def generated() -> dict[str, str]:
    """The generated pages' HTML, and that of the tests' hard pages, by file name."""
    plain = {f"{name}.html": f"<!doctype html><title>{name}</title>{html}" for name, html in PLAIN.items()}
    return plain | {path.name: path.read_text() for path in sorted(HARD.glob("*.html"))}


def photo(width: int = 1600, height: int = 1200) -> bytes:
    """A PNG picture with much detail, the same each time."""
    picture = Image.effect_mandelbrot((width, height), (-2.2, -1.5, 1.0, 1.5), 60)
    file = io.BytesIO()
    Image.merge("RGB", (picture, picture.rotate(90), picture.rotate(180))).save(file, "PNG")
    return file.getvalue()


def film(width: int = 320, height: int = 180, frames: int = 50) -> bytes:
    """A silent WebM film of 25 frames a second, VP8, key frames only: red first, then turning blue.

    Matroska's elements are RFC 9559's; a lossy WebP's "VP8 " chunk is one VP8 key frame (RFC 9649).
    """

    def element(name: str, body: bytes) -> bytes:
        return bytes.fromhex(name) + (len(body) | 1 << 56).to_bytes(8, "big") + body

    def number(name: str, value: int) -> bytes:
        return element(name, value.to_bytes(4, "big"))

    head = number("4286", 1) + number("42F7", 1) + number("42F2", 4) + number("42F3", 8)
    head += element("4282", b"webm") + number("4287", 2) + number("4285", 2)
    video = element("E0", number("B0", width) + number("BA", height))
    track = number("D7", 1) + number("73C5", 1) + number("83", 1) + element("86", b"V_VP8") + video
    blocks = b""
    for frame in range(frames):
        share = frame * 255 // frames
        file = io.BytesIO()
        Image.new("RGB", (width, height), (255 - share, 0, share)).save(file, "WEBP", quality=80)
        webp = file.getvalue()
        start = webp.index(b"VP8 ") + 8
        size = int.from_bytes(webp[start - 4 : start], "little")
        blocks += element(
            "A3", b"\x81" + (frame * 40).to_bytes(2, "big") + b"\x80" + webp[start : start + size]
        )
    # 0x4489 is a float of 4 bytes; the time base is 1 ms.
    info = number("2AD7B1", 1_000_000) + element("4489", struct.pack(">f", frames * 40.0))
    info += element("4D80", b"retestr") + element("5741", b"retestr")
    segment = element("1549A966", info) + element("1654AE6B", element("AE", track))
    return element("1A45DFA3", head) + element(
        "18538067", segment + element("1F43B675", number("E7", 0) + blocks)
    )


# --- serving ------------------------------------------------------------------------------------------


@contextlib.contextmanager
def serving(cache: Path = CACHE, changed: dict[str, bytes] | None = None) -> Iterator[str]:
    """Serve all pages on a free loopback port; yields the server's address.

    `changed` holds bytes to answer with instead, by path; it may be filled while serving.
    """
    made = {f"generated/{name}": html.encode() for name, html in generated().items()}
    made["generated/photo.png"], made["generated/film.webm"] = photo(), film()

    class Answer(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self.path.partition("?")[0].lstrip("/")
            body = (changed or {}).get(path) or made.get(path) or _file(cache, path)
            part = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")) if body else None
            if body and part:  # films are asked for in parts
                start, end = int(part[1]), min(int(part[2] or len(body)), len(body) - 1)
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{end}/{len(body)}")
                body = body[start : end + 1]
            else:
                self.send_response(200 if body is not None else 404)
            self.send_header("Content-Type", mimetypes.guess_type(path)[0] or "application/octet-stream")
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            with contextlib.suppress(ConnectionError):
                self.wfile.write(body or b"")

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _file(cache: Path, path: str) -> bytes | None:
    if path.startswith("elsewhere/"):
        found = [place for pattern, place in ELSEWHERE.items() if re.search(pattern, path)]
        return (cache / found[0][0] / found[0][1]).read_bytes() if found else None
    file = HARD / path.removeprefix("generated/") if path.startswith("generated/") else cache / path
    if not file.is_file():
        return None
    body = file.read_bytes()
    if file.suffix in (".html", ".css"):
        text = body.decode("utf-8", "surrogateescape")
        body = OTHER_HOST.sub(r"\1/elsewhere/", text).encode("utf-8", "surrogateescape")
    return body
