"""A page that does not change gives one picture, however much moves on it, and shows what a person sees."""

import asyncio
import base64
import io
import random
import sys
from collections.abc import Callable

import pytest
from PIL import Image as Pillow

from server.vision.capture import Session
from server.vision.page import STABILIZERS, Image, Page, Stabilizer
from server.vision.processes import processes
from tests.vision.runner import Runner
from tests.vision.site import PAGES, Site

pytestmark = pytest.mark.browser

HARD = sorted(page.name for page in PAGES.glob("*.html"))
# Long pages take long: through a window that shows more of them at once, or of which twenty are not much.
WINDOWS = {"tall.html": (100, 2000), "endless.html": (200, 150)}
GREEN, RED, BLUE, PURPLE, HEADER = (0, 170, 0), (204, 0, 0), (0, 0, 204), (170, 0, 170), (0, 0, 204)


def area(image: Image, colour: tuple[int, int, int]) -> int:
    """How many px have exactly this colour."""
    with Pillow.open(io.BytesIO(image.png)) as picture:
        counts = picture.convert("RGB").getcolors(picture.width * picture.height)
    return next((count for count, found in counts if found == colour), 0)


@pytest.mark.parametrize("name", HARD)
def test_a_hard_page_gives_one_hash(name: str, run: Runner, session: Session, site: Site) -> None:
    page = Page(f"{site.url}/{name}", *WINDOWS.get(name, (800, 600)))

    async def thrice() -> list[Image]:
        together = await asyncio.gather(session.capture(page), session.capture(page))
        return [*together, await session.capture(page)]

    images = run(thrice())

    assert len({image.sha256 for image in images}) == 1
    assert all(image.moved == () and image.http_status == 200 for image in images)


@pytest.mark.parametrize(
    ("name", "colour", "least"),
    [
        ("animation.html", GREEN, 20000),  # an animation that ends and stays
        ("animation.html", PURPLE, 20000),  # a transition
        ("lazy.html", GREEN, 60000),
        ("reveal.html", GREEN, 5 * 500 * 700),
        ("throttled.html", GREEN, 5 * 500 * 700),
        ("sticky.html", HEADER, 50000),  # large, as at the top of the page
        ("resize.html", GREEN, 200 * 2000),
        ("resize.html", BLUE, 300 * 2000),
        ("hover.html", GREEN, 300 * 300),
        ("hides.html", GREEN, 5 * 500 * 700),
        ("hides-by-observer.html", GREEN, 5 * 500 * 700),
    ],
)
def test_nothing_that_a_person_sees_is_missing(
    name: str, colour: tuple[int, int, int], least: int, capture: Callable[..., Image]
) -> None:
    assert area(capture(name), colour) >= least


def test_a_busy_page_is_waited_for_until_its_observers_know_what_is_seen(
    capture: Callable[..., Image], site: Site
) -> None:
    site.pages["observers"] = """<!doctype html><style>body { margin: 0 }
      div, b { display: block; height: 20px } b { background: #0a0; visibility: hidden }
      .shown b { visibility: visible }</style>
    <script>
      const realNow = () => performance.mark("now").startTime;
      const channel = new MessageChannel();
      // The browser draws before it tells, where one task after the other takes longer than 100 ms.
      channel.port1.onmessage = () => { for (const end = realNow() + 120; realNow() < end; ); };
      addEventListener("scroll", () => { for (let n = 0; n < 6; n++) channel.port2.postMessage(0) });
      const show = ([{ target, isIntersecting }]) => target.classList.toggle("shown", isIntersecting);
      for (let n = 0; n < 60; n++) {
        document.write("<div><b></b></div>");
        new IntersectionObserver(show).observe(document.querySelector("div:last-of-type"));
      }
    </script>"""

    assert area(capture("observers"), GREEN) == 60 * 20 * 800


def test_taking_a_picture_does_not_resize_the_window(capture: Callable[..., Image]) -> None:
    assert area(capture("resize.html"), RED) == 0


def test_a_lazy_picture_is_there_without_scrolling(capture: Callable[..., Image]) -> None:
    assert area(capture("lazy.html", element="img"), GREEN) == 300 * 200


def test_how_long_a_page_was_waited_for_does_not_show(capture: Callable[..., Image], site: Site) -> None:
    page = """<body><p id="clock"></p><script>
      setInterval(() => (clock.textContent = new Date().toISOString()), 10);
      const loaded = () => setTimeout(() => (clock.className = "loaded"), 20);
      setTimeout(() => fetch("/slow?ms=%d").then(loaded), 30);
    </script>"""
    site.pages["quick"], site.pages["slower"] = page % 0, page % 300

    quick, slower = (capture(name, wait_for=(".loaded",)) for name in ("quick", "slower"))

    assert quick.sha256 == slower.sha256


@pytest.mark.parametrize("how", ["(await fetch(url)).text()", "new Promise((done) => ask(url, done))"])
def test_how_long_an_answer_took_does_not_show(how: str, capture: Callable[..., Image], site: Site) -> None:
    page = """<body><p id="clock"></p><script>
      const ask = (url, done) => { const asked = new XMLHttpRequest();
        asked.onload = done; asked.open("GET", url); asked.send(); };
      setTimeout(async () => { const url = "/slow?ms=%d"; await HOW;
        setTimeout(() => (clock.textContent = performance.now()), 10); }, 30);
      setInterval(() => { for (let n = 0; n < 3e6; n++) Math.sqrt(n); }, 5); // time passes slowly
    </script>""".replace("HOW", how)
    site.pages["quick"], site.pages["slower"] = page % 0, page % 300

    assert capture("quick").sha256 == capture("slower").sha256


def test_how_slowly_a_page_runs_does_not_show(capture: Callable[..., Image], site: Site) -> None:
    page = """<body><p id="clock"></p><script>
      setInterval(() => (clock.textContent = new Date().toISOString()), 100);
      setTimeout(() => {
        const asked = new XMLHttpRequest(); asked.open("GET", "/slow?ms=%d", false); asked.send(); }, 1600);
    </script>"""
    site.pages["quick"], site.pages["slow_script"] = page % 0, page % 8500

    assert capture("quick").sha256 == capture("slow_script").sha256


def test_a_known_picture_is_accepted_at_first_sight(capture: Callable[..., Image]) -> None:
    first = capture("random.html")
    again = capture("random.html", frozenset({first.sha256}))

    assert (first.shots, again.shots) == (2, 1)
    assert again.sha256 == first.sha256


def test_a_page_that_never_settles_tells_where_it_moves(capture: Callable[..., Image], site: Site) -> None:
    # A worker has the real time, and draws on its canvas without asking the page.
    site.pages["restless"] = """<body style="margin:0"><canvas id=c width=100 height=50></canvas><script>
      const code = `onmessage = ({data}) => { const pen = data.getContext("2d"); let n = 0;
        setInterval(() => { pen.fillStyle = "hsl(" + (n += 37) + " 90% 50%)"; pen.fillRect(0, 0, 100, 50); }, 5) }`;
      const canvas = c.transferControlToOffscreen();
      new Worker(URL.createObjectURL(new Blob([code]))).postMessage(canvas, [canvas]);
    </script>"""
    image = capture("restless")

    assert image.shots == 4
    assert [(box.x, box.y, box.width, box.height) for box in image.moved] == [(0, 0, 100, 50)]


@pytest.mark.parametrize("begins", ["Worker('/worker', {type: 'module'})", "SharedWorker('/worker')"])
def test_a_worker_whose_end_nobody_tells_is_not_waited_for(
    begins: str, capture: Callable[..., Image], site: Site
) -> None:
    site.pages["begins"], site.pages["worker"] = f"<script>new {begins}</script>", ""

    assert capture("begins").seconds < 9  # what is taken for a stream is waited for, for 10 s


def test_what_a_page_stores_is_gone_on_the_next_visit(capture: Callable[..., Image], site: Site) -> None:
    site.pages["visits"] = """<body><script>
      const stores = [localStorage, sessionStorage];
      const remember = () => { name = "been"; for (const store of stores) store.visits = (+store.visits || 0) + 1 };
      remember();
      const before = document.cookie; document.cookie = "been=here";
      setTimeout(() => document.body.textContent =
        [stores.map(({visits}) => visits), before, history.length, document.referrer], 900);
      for (const type of ["pagehide", "unload", "beforeunload"]) addEventListener(type, remember);
      document.addEventListener("visibilitychange", remember);
    </script><iframe srcdoc="<script>onpagehide = () => sessionStorage.visits = 9</script>"></iframe>"""
    site.pages["named"] = """<body><script>
      setTimeout(() => document.body.textContent = name || sessionStorage.visits || "nobody", 900);
    </script>"""

    nobody, first = capture("named").sha256, capture("visits").sha256
    again = [capture(page).sha256 for page in ("visits?2", "named", "visits", "visits", "named?2")]
    assert again == [first, nobody, first, first, nobody]


def test_photos_drawn_smaller_give_one_hash_in_a_tab_used_again(
    capture: Callable[..., Image], site: Site
) -> None:
    """The browser scales from what it has in its memory: from another size of the photo where the first is gone."""
    noise, file = random.Random(7).randbytes(160 * 160 * 3), io.BytesIO()
    Pillow.frombytes("RGB", (160, 160), noise).save(file, "JPEG")
    photo = base64.b64encode(file.getvalue()).decode()
    sizes = (25, 40, 45, 50, 60, 75, 80, 90, 100, 128)
    site.pages["photos"] = "".join(
        f'<p style="height: 300px"><img width="{size}" height="{size}" src="data:image/jpeg;base64,{photo}">'
        for size in (*sizes, *reversed(sizes))
    )

    assert len({capture(f"photos?{number}").sha256 for number in range(8)}) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="processes are told by /proc")
def test_a_tab_is_used_again_until_it_has_grown(capture: Callable[..., Image]) -> None:
    tabs = set()
    for number in range(8):
        capture(f"sticky.html?{number}")
        tabs |= {process.pid for process in processes() if process.is_page}

    assert len(tabs) == 2


def test_only_the_part_of_an_address_after_the_hash_differs(
    capture: Callable[..., Image], site: Site
) -> None:
    site.pages["routes"] = """<body><script>document.body.textContent = location.hash</script>"""

    pictures = [capture("routes#one"), capture("routes#two"), capture("routes#one")]
    assert pictures[0].sha256 == pictures[2].sha256 != pictures[1].sha256


def test_scale_element_and_viewport(capture: Callable[..., Image]) -> None:
    sharp = capture("sticky.html", scale=2.0, full_page=False)
    element = capture("sticky.html", element="header")
    whole = capture("sticky.html")

    assert (sharp.width, sharp.height) == (1600, 1200)
    assert element.height == 80
    assert whole.height > 3000


def test_ignored_places_come_back_in_px_of_the_image(capture: Callable[..., Image]) -> None:
    from server.vision.page import Box

    image = capture(
        "steps.html", scale=2.0, ignore_selectors=("#box", ".absent"), ignore_boxes=(Box(790, 590, 50, 50),)
    )

    assert image.ignore == (Box(0, 80, 800, 400), Box(1580, 1180, 20, 20))


def test_a_slider_shows_one_slide(capture: Callable[..., Image]) -> None:
    image = capture("slider.html")

    assert sorted(area(image, colour) for colour in (GREEN, BLUE, RED)) == [0, 0, 200 * 300]


def test_a_film_shows_its_first_frame(capture: Callable[..., Image]) -> None:
    image = capture("film.html")

    with Pillow.open(io.BytesIO(image.png)) as picture:
        red, _, blue = picture.convert("RGB").getpixel((100, 100))
    assert red > 240
    assert blue < 15


@pytest.mark.parametrize("film", ["src=film.webm", "src=film.webm preload=none", "src=status?code=404"])
def test_what_shows_that_a_film_is_loading_is_gone(
    film: str, capture: Callable[..., Image], site: Site
) -> None:
    page = f"<body style='background:#00c'><video controls width=600 height=400 {film}></video>"
    site.pages["loading"] = page
    site.pages["loaded"] = page + "<script src='slow?ms=2500'></script>"

    loading, loaded = capture("loading"), capture("loaded")

    assert loading.shots == 2
    assert loading.sha256 == loaded.sha256


def test_a_page_taller_than_the_browser_draws_is_whole(capture: Callable[..., Image]) -> None:
    image = capture("tall.html", width=400, height=2000)

    assert (image.width, image.height, image.note) == (400, 20000, None)
    assert area(image, BLUE) == 400 * 80 - 50 * 50, "the sticky header is there once"
    assert area(image, RED) == 50 * 50, "and so is what is fixed"
    assert area(image, GREEN) == 300 * 40, "the late picture at its end is there"
    with Pillow.open(io.BytesIO(image.png)) as picture:
        stripes = picture.convert("L").crop((380, 80, 381, 19960)).tobytes()
    assert stripes == (b"\xff" * 90 + b"\xcc" * 10) * 198 + b"\xff" * 80, "no row lost or doubled at a seam"


def test_a_page_beyond_all_bounds_is_cut_and_says_so(capture: Callable[..., Image], site: Site) -> None:
    site.pages["beyond"] = "<body style='margin:0'><div style='height:70000px'>"
    image = capture("beyond", width=100, height=2000)

    assert image.height == 65535
    assert "cut to 100x65535 px" in (image.note or "")


def test_a_page_without_end_is_followed_for_twenty_windows(capture: Callable[..., Image]) -> None:
    image = capture("endless.html", width=200, height=150)

    assert 20 * 150 < image.height - 1260 < 30 * 150, "beyond the height that it had at first"
    assert "grows while it is scrolled" in (image.note or "")


BOX = "<!doctype html><style>body{margin:0} #box{width:100px;height:100px;background:#0a0} %s</style>"
SWITCHES: dict[Stabilizer, tuple[str, dict[str, str]]] = {
    # What is switched off -> a page that is green with it and not without, and how it is asked for.
    "time": (
        BOX % "#box{background:#c00}" + "<div id=box></div><script>"
        "if (Date.now() === Date.UTC(2026, 0, 15, 10, 30)) box.style.background = '#0a0'</script>",
        {},
    ),
    "animation": (
        BOX % "@keyframes go{0.1%,to{background:#c00}} #box{animation:go 1s linear -0.5s infinite}"
        + "<div id=box></div>",
        {},
    ),
    "scroll": (
        BOX % "" + "<div id=box hidden></div><div style='height:3000px'></div>"
        "<script>addEventListener('scroll', () => (box.hidden = false))</script>",
        {},
    ),
    "video": (
        BOX % "" + "<div id=box hidden></div><video src=film.webm autoplay muted loop></video>"
        "<script>document.querySelector('video').onpause = () => (box.hidden = false)</script>",
        {},
    ),
    "lazy": (
        "<div style='height:9000px'></div><img loading=lazy src=green.png width=30 height=20>",
        {"element": "img"},
    ),
    "caret": (
        BOX % "#box:focus{background:#c00}" + "<div id=box tabindex=0></div><script>box.focus()</script>",
        {},
    ),
    "hover": (BOX % "#box:hover{background:#c00}" + "<div id=box></div>", {}),
}


@pytest.mark.parametrize("step", SWITCHES)
def test_each_step_can_be_switched_off(step: Stabilizer, capture: Callable[..., Image], site: Site) -> None:
    site.pages["switched"], asked = SWITCHES[step]

    assert area(capture("switched", **asked), GREEN) > 0
    without = capture("switched?again", **asked, stabilize=STABILIZERS - {step})
    assert area(without, GREEN) == 0


MOUSE_EVENTS = [
    kind + what for kind in ("mouse", "pointer") for what in ("over", "enter", "move", "out", "leave")
]


@pytest.mark.parametrize("where", ["page", "frame"])
def test_a_page_is_told_of_no_mouse_until_a_step_has_one(
    where: str, capture: Callable[..., Image], site: Site
) -> None:
    from server.vision.page import Step

    site.pages["page"] = (
        BOX % "" + "<div id=box></div><script>"
        f"const told = ({{ type }}) => (box.style.background = type.endsWith('move') ? '#00c' : '#c00');"
        f"for (const type of {MOUSE_EVENTS}) box.addEventListener(type, told)</script>"
    )
    site.pages["frame"] = "<body style='margin:0'><iframe src=page style='margin:-20px;border:0'></iframe>"
    moved = capture("page?moved", steps=(Step("hover", "#box"),))

    assert area(capture(where), GREEN) > 6000
    assert area(moved, GREEN) == 0 < area(moved, BLUE)


def test_steps_are_taken_in_order(capture: Callable[..., Image]) -> None:
    from server.vision.page import Step

    steps = (
        Step("wait", "#go"),
        Step("fill", "#name", "#0a0"),
        Step("click", "#go"),
        Step("wait", "#box.done"),
    )
    clicked = capture("steps.html", steps=steps)

    assert area(clicked, GREEN) == 400 * 200
    assert capture("steps.html", steps=steps).sha256 == clicked.sha256
    assert area(capture("steps.html", steps=(Step("press", value="F2"),)), (0, 0, 255)) == 400 * 200
    assert area(capture("steps.html", steps=(Step("hover", "#menu"),)), (204, 0, 204)) > 7000
