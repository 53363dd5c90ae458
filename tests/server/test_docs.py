"""docs/cli.md: what it shows can be typed."""

from __future__ import annotations

import re

import click

from scripts.write_docs import EXAMPLES, every_command
from server.cli import main


def test_every_command_has_an_example_with_options_that_it_knows() -> None:
    commands = dict(every_command(main))
    assert set(EXAMPLES) == set(commands)
    for name, example in EXAMPLES.items():
        known = {option for p in commands[name].params if isinstance(p, click.Option) for option in p.opts}
        needed = {p.opts[0] for p in commands[name].params if isinstance(p, click.Option) and p.required}
        used = set(re.findall(r"--[a-z-]+", example))
        assert f"retestr {name}" in example
        assert needed - {"--password"} <= used <= known, name  # that one comes from the environment
