"""A client under test, and what the server answers it."""

from typing import Any

from action_src.client import Client

from .fake_server import KEY
from .fakes import Clock

SERVER = "https://retestr.example.com"
RUNS = f"{SERVER}/api/runs"
RUN = f"{RUNS}/r1"
SNAPSHOTS = f"{RUN}/snapshots"


def a_client(clock: Clock | None = None, server: str = SERVER, said: list[str] | None = None) -> Client:
    clock = clock or Clock()
    return Client(
        server,
        KEY,
        clock=clock,
        sleep=clock.sleep,
        jitter=lambda: 1.0,
        say=(said if said is not None else []).append,
    )


def error_body(message: str = "No.", code: str = "no", details: Any = None) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "details": details}}
