"""Writes the parts of the documentation that the code knows best: `python scripts/write_docs.py`.

A part stands between `<!-- NAME -->` and `<!-- /NAME -->`; tests fail while it is not the code's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click

from scripts.api_reference import routes
from server.access.audit import ACTIONS
from server.access.scopes import SCOPES
from server.cli import main
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


def audit_actions() -> str:
    """All actions of the audit log."""
    return "\n".join(
        ["| action | |", "| --- | --- |", *(f"| `{a}` | {says} |" for a, says in ACTIONS.items())]
    )


EXAMPLES = {
    "serve": "retestr serve --host 0.0.0.0 --port 8000",
    "worker": "retestr worker --concurrency 4",
    "browser": "retestr browser",
    "doctor": "retestr doctor",
    "gc": "retestr gc --dry-run",
    "backup": "retestr backup /backups/retestr-$(date +%F).tar",
    "restore": "RETESTR_DATA=/var/lib/retestr-new retestr restore /backups/retestr-2026-11-24.tar",
    "init": "RETESTR_ADMIN_PASSWORD='…' retestr init --organization Acme --email ada@example.com",
    "project create": "retestr project create --organization Acme --name Shop --suite retestr.yml",
    "key create": "retestr key create --organization Acme --name 'GitHub Actions CI' --scope run:read --scope run:write",
    "key list": "retestr key list --organization Acme",
    "key revoke": "retestr key revoke 0c9v2k7q1m5t8d3b6f4h1j2n",
    "key rotate": "retestr key rotate 0c9v2k7q1m5t8d3b6f4h1j2n --overlap-hours 48",
    "secret set": "retestr secret set --organization Acme --project shop --name PASSWORD --origin https://staging.example.com < password.txt",
    "secret list": "retestr secret list --organization Acme --project shop",
    "secret delete": "retestr secret delete --organization Acme --project shop --name PASSWORD",
    "approve": "retestr approve 0c9v2k7q1m5t8d3b6f4h1j2n --test 'Shop*'",
    "reject": "retestr reject 0c9v2k7q1m5t8d3b6f4h1j2n --reason 'The button must stay red.'",
    "suite schema": "retestr suite schema > retestr.schema.json",
    "suite check": "retestr suite check retestr.yml",
}


def commands() -> str:
    """All commands of `retestr` as their help tells them, each with an example."""
    return "\n\n".join(_command(name, command) for name, command in every_command(main))


def every_command(group: click.Group, before: str = "") -> Iterator[tuple[str, click.Command]]:
    """Each command with its full name, such as `key create`, in the order of the code."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from every_command(command, f"{before}{name} ")
        else:
            yield before + name, command


def _command(name: str, command: click.Command) -> str:
    context = click.Context(command, info_name=f"retestr {name}")
    lines = [
        f"### `{' '.join(command.get_usage(context).split()[1:]).replace(' [OPTIONS]', '')}`",
        "",
        command.help or "",
    ]
    options = [_option(parameter) for parameter in command.params if isinstance(parameter, click.Option)]
    if options:
        lines += ["", "| option | |", "| --- | --- |", *options]
    return "\n".join([*lines, "", f"    {EXAMPLES[name]}"])


def _option(option: click.Option) -> str:
    names = " / ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    choices = option.type.choices if isinstance(option.type, click.Choice) else ()
    facts = [
        (option.help or "").rstrip("."),
        f"One of {', '.join(f'`{choice}`' for choice in choices)}" if choices else "",
        f"Default `{option.default}`" if option.show_default else "",
        f"Also from `{option.envvar}`" if option.envvar else "",
        "Needed" if option.required else "",
        "May be given several times" if option.multiple else "",
    ]
    return f"| {names} | {' '.join(f'{fact}.' for fact in facts if fact)} |"


def check_all() -> str:
    """The parts of `make check-all`, and the command of each."""
    script = (DOCS.parent / "scripts/check-all").read_text().replace("\\\n", "")
    parts = re.findall(r'^part "(.+?)"\s+(.+)$', script, re.MULTILINE)
    rows = [f"| {what} | `{' '.join(command.replace('$bin/', '').split())}` |" for what, command in parts]
    return "\n".join(["| part | command |", "| --- | --- |", *rows])


TABLES = {
    "check-all": check_all,
    "settings": settings,
    "scopes": scopes,
    "commands": commands,
    "audit-actions": audit_actions,
    "routes": routes,
}


def written(text: str) -> str:
    """A document with these parts as the code has them."""
    for name, make in TABLES.items():
        pattern = rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)"
        made = make().replace("\\", "\\\\")
        text = re.sub(pattern, rf"\g<1>{made}\n\g<2>", text, flags=re.DOTALL)
    return text


if __name__ == "__main__":
    for file in DOCS.glob("*.md"):
        file.write_text(written(file.read_text()))
