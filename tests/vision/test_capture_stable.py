"""A page that does not change gives one picture, however much moves on it, and shows what a person sees."""

import asyncio
import io
from collections.abc import Callable

import pytest
from PIL import Image as Pillow
from vision_runner import Runner
from vision_site import PAGES, Site

from server.vision.capture import Session
from server.vision.page import Image, Page

pytestmark = pytest.mark.browser

HARD = sorted(page.name for page in PAGES.glob("*.html"))
GREEN, RED, BLUE, PURPLE, HEADER = (0, 170, 0), (204, 0, 0), (0, 0, 204), (170, 0, 170), (0, 0, 204)


def area(image: Image, colour: tuple[int, int, int]) -> int:
    """How many px have exactly this colour."""
    with Pillow.open(io.BytesIO(image.png)) as picture:
        counts = picture.convert("RGB").getcolors(picture.width * picture.height)
    return next((count for count, found in counts if found == colour), 0)


@pytest.mark.parametrize("name", HARD)
def test_a_hard_page_gives_one_hash(name: str, run: Runner, session: Session, site: Site) -> None:
    page = Page(f"{site.url}/{name}", 800, 600)

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
    ],
)
def test_nothing_that_a_person_sees_is_missing(
    name: str, colour: tuple[int, int, int], least: int, capture: Callable[..., Image]
) -> None:
    assert area(capture(name), colour) >= least


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


def test_what_a_page_stores_is_gone_on_the_next_visit(capture: Callable[..., Image], site: Site) -> None:
    site.pages["visits"] = """<body><script>
      for (const store of [localStorage, sessionStorage]) store.visits = (+store.visits || 0) + 1;
      const before = document.cookie; document.cookie = "been=here";
      document.body.textContent = [localStorage.visits, sessionStorage.visits, before, name];
      name = "been";
    </script>"""

    assert len({capture("visits").sha256 for _ in range(3)}) == 1


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


def test_a_page_too_tall_for_the_browser_is_cut_and_says_so(
    capture: Callable[..., Image], site: Site
) -> None:
    site.pages["tall"] = "<body style='margin:0'><div style='height:20000px'>"
    image = capture("tall", width=200, height=1000)

    assert image.height == 16384
    assert "16384" in (image.note or "")


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
