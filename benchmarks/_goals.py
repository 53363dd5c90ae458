"""How a benchmark tells whether it keeps to a goal: `scripts/write_benchmarks.py` looks for these lines."""

from __future__ import annotations


def told(met: bool, figure: str) -> str:
    """A line that says what was found and wanted, and whether that is reached."""
    return f"- {'met' if met else 'MISSED'}: {figure}"
