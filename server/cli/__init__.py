"""The `retestr` command. Each command migrates the database first and works beside a running server."""

from server.cli import keeping, reviewing, running, setting_up
from server.cli.base import main

__all__ = ["main"]

for command in (
    running.serve,
    running.worker,
    running.browser,
    running.doctor,
    keeping.gc,
    keeping.backup,
    keeping.restore,
    setting_up.init,
    setting_up.project,
    setting_up.key,
    setting_up.secret,
    reviewing.approve,
    reviewing.reject,
    reviewing.suite,
):
    main.add_command(command)
