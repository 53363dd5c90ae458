"""The ways by which a page can make a browser open a connection, as pages to be captured.

In each, `$secret` is an address that must not be reached (`$port` its port, `$host` its host as written), and
`$site` the origin of a site that answers `/redirect?to=…`.
"""

from collections.abc import Iterable
from string import Template

SCRIPTED = {
    "fetch": 'fetch("$secret", {mode: "no-cors"})',
    "cors fetch": 'fetch("$secret", {headers: {"X-Forwarded-For": "127.0.0.1"}})',
    "redirected fetch": 'fetch("$site/redirect?to=$secret", {mode: "no-cors"})',
    "xhr": 'const x = new XMLHttpRequest(); x.open("PUT", "$secret"); x.send("x")',
    "synchronous xhr": 'const x = new XMLHttpRequest(); x.open("GET", "$secret", false); x.send()',
    "beacon": 'navigator.sendBeacon("$secret", "x")',
    "websocket": 'new WebSocket("$secret".replace("http", "ws"))',
    "events": 'new EventSource("$secret")',
    "webtransport": 'new WebTransport("$secret".replace("http:", "https:"))',
    "worker": 'new Worker(URL.createObjectURL(new Blob([`fetch("$secret", {mode: "no-cors"})`])))',
    "shared worker": 'new SharedWorker(URL.createObjectURL(new Blob([`fetch("$secret", {mode: "no-cors"})`])))',
    "worker's import": 'new Worker(URL.createObjectURL(new Blob([`importScripts("$secret")`])))',
    "import": 'import("$secret")',
    "service worker": 'navigator.serviceWorker.register("/redirect?to=$secret")',
    "location": 'location = "$secret"',
    "redirected location": 'location = "$site/redirect?to=$secret"',
    "popup": 'open("$secret")',
    "popup sent on": 'const w = open("about:blank"); if (w) w.location = "$secret"',
    "font face": 'new FontFace("f", "url($secret)").load()',
    "image object": 'new Image().src = "$secret"',
    "audio": 'new Audio("$secret").play()',
    "blob frame": "const f = document.createElement('iframe');"
    "f.src = URL.createObjectURL(new Blob(['<img src=$secret>'], {type: 'text/html'})); document.body.append(f)",
    "turn over tcp": 'const c = new RTCPeerConnection({iceServers: [{urls: "turn:$host:$port?transport=tcp",'
    ' username: "u", credential: "c"}]}); c.createDataChannel("d"); c.createOffer().then((o) => c.setLocalDescription(o))',
    "stun over udp": 'const c = new RTCPeerConnection({iceServers: [{urls: "stun:$host:$port"}]});'
    'c.createDataChannel("d"); c.createOffer().then((o) => c.setLocalDescription(o))',
    "peer over udp": "const c = new RTCPeerConnection(); c.createDataChannel('d');"
    "c.createOffer().then((o) => c.setLocalDescription(o)).then(() => {"
    "const ice = 'a=ice-ufrag:abcd\\r\\na=ice-pwd:0123456789012345678901\\r\\na=setup:passive\\r\\n';"
    "c.setRemoteDescription({type: 'answer', sdp: c.localDescription.sdp.replace(/a=(ice-|setup|candidate).*\\r\\n/g, '')"
    "+ ice + 'a=candidate:1 1 udp 1 $host $port typ host\\r\\n'})})",
    "speculation": "const s = document.createElement('script'); s.type = 'speculationrules';"
    's.text = \'{"prefetch": [{"urls": ["$secret"], "eagerness": "immediate"}]}\'; document.head.append(s)',
}
MARKUP = {
    "iframe": '<iframe src="$secret"></iframe>',
    "object": '<object data="$secret"></object>',
    "embed": '<embed src="$secret">',
    "redirected iframe": '<iframe src="$site/redirect?to=$secret"></iframe>',
    "data frame": '<iframe src=\'data:text/html,<script>fetch("$secret", {mode: "no-cors"})</script>\'></iframe>',
    "written frame": "<iframe srcdoc='<img src=\"$secret\">'></iframe>",
    "sandboxed frame": '<iframe sandbox="allow-scripts" srcdoc="<script>fetch(`$secret`, {mode: `no-cors`})</script>"></iframe>',
    "script frame": '<iframe src=\'javascript:fetch("$secret", {mode: "no-cors"})\'></iframe>',
    "picture": '<img src="$secret">',
    "responsive picture": '<img srcset="$secret 1x">',
    "redirected picture": '<img src="$site/redirect?to=$secret">',
    "drawn picture": '<svg><image href="$secret"/></svg>',
    "film": '<video src="$secret" autoplay></video>',
    "poster": '<video poster="$secret"></video>',
    "script": '<script src="$secret"></script>',
    "module": '<script type="module" src="$secret"></script>',
    "stylesheet": '<link rel="stylesheet" href="$secret">',
    "style's import": '<style>@import "$secret";</style>',
    "background": '<p style="background: url($secret)">text</p>',
    "web font": '<style>@font-face {font-family: f; src: url("$secret")} p {font-family: f}</style><p>text</p>',
    "refresh": '<meta http-equiv="refresh" content="0; url=$secret">',
    "form": '<form action="$secret"></form><script>document.forms[0].submit()</script>',
    "form post": '<form method="post" action="$secret"><input name="a" value="b"></form>'
    "<script>document.forms[0].submit()</script>",
    "form into a frame": '<iframe name="f"></iframe><form id="g" target="f" method="post" action="$secret"></form>'
    "<script>g.submit()</script>",
    "link's ping": '<a id="a" href="#" ping="$secret">a</a><script>a.click()</script>',
    "preload": '<link rel="preload" as="image" href="$secret">',
    "module preload": '<link rel="modulepreload" href="$secret">',
    "preconnect": '<link rel="preconnect" href="$secret">',
    "prefetch": '<link rel="prefetch" href="$secret">',
    "prerender": '<link rel="prerender" href="$secret">',
    "dns prefetch": '<link rel="dns-prefetch" href="$secret">',
    "manifest": '<link rel="manifest" href="$secret"><link rel="icon" href="$secret">',
}
WAYS = MARKUP | {way: f"<script>{{{script}}}</script>" for way, script in SCRIPTED.items()}

UNSEEN = frozenset(
    {
        "dns prefetch",  # asks for no connection
        "manifest",  # nothing shows it
        "prerender",  # no longer exists
        "service worker",  # switched off
        "popup sent on",  # closed by then, mostly
        "webtransport", "stun over udp", "peer over udp",  # UDP is switched off, and nothing takes its place
        "speculation",  # a wish that a busy browser passes over
        "preconnect", "turn over tcp",  # connect, but name no path
    }
)  # fmt: skip
"""What does not ask for its path where all is permitted either, with the browser as we start it."""

LEAVING = frozenset({"refresh", "location", "redirected location", "form", "form post"})
"""What sends the browser away from the page, and so stands alone on one."""

OPENING = frozenset(
    {"popup", "popup sent on", "synchronous xhr", "shared worker", "worker", "worker's import"}
)
"""What holds the page up, or opens another one beside it."""

FRAMES = frozenset(way for way in WAYS if "frame" in way) | {"object", "embed"}

PAGES = {
    "frames": FRAMES,
    "opening": OPENING,
    "parts": WAYS.keys() - LEAVING - OPENING - FRAMES,
    **{way: frozenset({way}) for way in sorted(LEAVING)},
}
"""Every way, on as few pages as can be: a name for the page, and what it tries."""


def path(way: str) -> str:
    """What is asked of the secret by this way, to tell it from the others."""
    return f"/{way.replace(' ', '-').replace(chr(39), '')}"


def missing(asked: Iterable[str], tried: Iterable[str]) -> list[str]:
    """The ways that lead to the secret where they may, and are not in what it was asked."""
    paths = "\n".join(asked)
    return [way for way in tried if way not in UNSEEN and path(way) not in paths]


def page(ways: Iterable[str], secret: str, site: str) -> str:
    """The page that tries these ways to reach the address `secret` (with a port, without a path)."""
    host, _, port = secret.partition("://")[2].rpartition(":")
    parts = (
        Template(WAYS[way]).substitute(secret=secret + path(way), host=host, port=port, site=site)
        for way in sorted(ways)
    )
    return "<!DOCTYPE html><body>" + "\n".join(parts)
