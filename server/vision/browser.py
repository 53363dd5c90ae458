"""Which browser there is, how to get one, and the flags it is started with.

Starting it and driving it is `capture.py`'s. No Playwright here.
"""

import contextlib
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

# The headless shell first: it starts five times as fast as the full browser and needs less memory.
NAMES = (
    "chromium-headless-shell",
    "headless_shell",
    "chrome-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome-stable",
    "google-chrome",
)
APPLICATIONS = (
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
# Where Playwright's downloads keep their executables, inside one folder per build.
PLAYWRIGHT_EXECUTABLES = (
    "chromium_headless_shell-*/*/chrome-headless-shell",
    "chromium_headless_shell-*/*/headless_shell",
    "chromium-*/*/chrome",
    "chromium-*/*/*.app/Contents/MacOS/*",
)

FONT_FOLDERS = tuple(
    map(
        Path,
        (
            "/usr/share/fonts", "/usr/local/share/fonts", "~/.local/share/fonts", "~/.fonts",
            "/System/Library/Fonts", "/Library/Fonts", "~/Library/Fonts",
        ),
    )
)  # fmt: skip
FONT_SUFFIXES = {".ttf", ".otf", ".ttc", ".otc", ".woff", ".woff2", ".pfb", ".pcf", ".gz", ".dfont"}

RENDERING_FLAGS = (
    # Glyphs: no hinting and no subpixel colour, both of which depend on the machine.
    "--font-render-hinting=none",
    "--disable-lcd-text",
    # Colours: always sRGB, whatever the screen says.
    "--force-color-profile=srgb",
    "--hide-scrollbars",
    # Pictures are decoded before a frame is drawn, not after it.
    "--disable-checker-imaging",
    # Animations run on the page's own thread and are not fast-forwarded behind our back.
    "--disable-image-animation-resync",
    "--disable-threaded-animation",
    # Every tile is drawn whole, by the same arithmetic on every processor.
    "--disable-partial-raster",
    "--disable-skia-runtime-opts",
    # One switch holds all of Blink's settings and the last one wins: Playwright's own four (a mouse
    # that can hover), then ours: animated images stand still on their first frame, and what lies outside the
    # window is painted, too. Else a picture larger than the window needs `captureBeyondViewport`, for which the
    # browser lays the page out anew in a window of 1x1 px, and with other fonts.
    "--blink-settings=primaryHoverType=2,availableHoverTypes=2,primaryPointerType=4,"
    "availablePointerTypes=4,imageAnimationPolicy=2,mainFrameClipsContent=false",
)
NETWORK_FLAGS = (
    # The browser's own traffic goes to a dead port; each context brings the guard as its proxy.
    "--proxy-server=socks5://127.0.0.1:9",
    # Without this, loopback addresses bypass every proxy.
    "--proxy-bypass-list=<-loopback>",
    # UDP knows no proxy: WebRTC and QUIC would go around the guard.
    "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--disable-quic",
)
FEATURES = (
    # This switch, too, is there once: what Playwright enables, to be repeated here.
    "CDPScreenshotNewSurface",
    "SkipListAccountsWithoutGaiaCookies",
    # The network in the browser's process, not in one of its own, spares 10 MB. On Linux that has no sandbox either.
    *(("NetworkServiceInProcess2",) if sys.platform == "linux" else ()),
)
FLAGS = (*RENDERING_FLAGS, *NETWORK_FLAGS, "--enable-features=" + ",".join(FEATURES))
SANDBOX_HINT = (
    "where a container or the kernel forbids Chromium's sandbox, see docs/self-hosting.md, Chromium's sandbox, "
    "or set RETESTR_CAPTURE_SANDBOX=preferred"
)


def find_browser(explicit: str | None = None) -> Path | None:
    """Find the browser to capture with: the one named, else the first this machine has, else None.

    `explicit` is a path or a command's name; when it is given and does not exist, nothing else is tried.
    """
    if explicit:
        found = shutil.which(explicit)
        return Path(found) if found else None
    for name in (*NAMES, *APPLICATIONS):
        if found := shutil.which(name):
            return Path(found)
    folder = _playwright_folder()
    downloads = [path for pattern in PLAYWRIGHT_EXECUTABLES for path in sorted(folder.glob(pattern))[::-1]]
    return next((path for path in downloads if os.access(path, os.X_OK)), None)


def install_hint() -> str:
    """Say which command installs a browser on this machine."""
    if shutil.which("apt-get") and _is_debian():
        return "apt-get install chromium-headless-shell"
    return "playwright install --only-shell chromium"


def driver_environment() -> dict[str, str]:
    """What Playwright's driver is started with, a Node.js process through which every picture passes.

    By default it lets 16 MiB of young objects pile up before it looks which of them are rubbish, and keeps 60 MiB more
    than it needs; and it compiles its own code anew each time, where a cache spares it a fourth of its start.
    """
    environment = {"NODE_OPTIONS": "--max-semi-space-size=1"}
    with contextlib.suppress(RuntimeError):  # a user without a home
        environment["NODE_COMPILE_CACHE"] = str(_caches() / "retestr" / "driver")
    return environment


def version(path: Path) -> str:
    """Ask a browser for its version, such as "Chromium 156.0.8078.79".

    Raises OSError or subprocess.SubprocessError when it does not start within 15 s.
    """
    answer = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=15, check=True)
    return answer.stdout.strip()


def family(path: Path) -> str:
    """Tell the headless shell from the full browser: their pictures of one page differ."""
    return "chromium-headless-shell" if "shell" in path.resolve().name else "chromium"


def platform_name() -> str:
    """Name the operating system and processor, such as "linux-x86_64"."""
    return f"{platform.system()}-{platform.machine()}".lower()


def flags_hash() -> str:
    """Hash the flags that shape the picture: twelve hexadecimal digits."""
    return hashlib.sha256("\n".join(RENDERING_FLAGS).encode()).hexdigest()[:12]


@functools.cache
def fonts_hash() -> str:
    """Hash names and sizes of the installed font files: twelve hexadecimal digits."""
    found = sorted(
        f"{file.name} {file.stat().st_size}"
        for folder in FONT_FOLDERS
        for file in folder.expanduser().rglob("*")
        if file.suffix.lower() in FONT_SUFFIXES and file.is_file()
    )
    return hashlib.sha256("\n".join(found).encode()).hexdigest()[:12]


def needs_no_sandbox() -> bool:
    """Whether this process is root, for whom Chromium's sandbox refuses to start."""
    return hasattr(os, "geteuid") and os.geteuid() == 0


def _is_debian() -> bool:
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return False
    # Ubuntu's Chromium is a snap, and it has no headless shell.
    return release.get("ID") == "debian" or (
        "debian" in release.get("ID_LIKE", "") and release.get("ID") != "ubuntu"
    )


def _playwright_folder() -> Path:
    if chosen := os.environ.get("PLAYWRIGHT_BROWSERS_PATH"):
        return Path(chosen)
    return _caches() / "ms-playwright"


def _caches() -> Path:
    """The user's folder for what can be made again; raises RuntimeError for one without a home."""
    if sys.platform == "darwin":
        return Path.home() / "Library/Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
