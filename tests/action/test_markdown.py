"""Markdown: foreign text stays text."""

import pytest

from action_src import markdown as md


@pytest.mark.parametrize(
    ("foreign", "shown"),
    [
        ("Home", "Home"),
        ("a | b", r"a \| b"),
        ("<img src=x onerror=alert(1)>", "&lt;img src=x onerror=alert(1)&gt;"),
        ("[x](https://evil)", r"\[x\](https&#58;//evil)"),
        ("`code` *b* _i_ ~s~ #1", r"\`code\` \*b\* \_i\_ \~s\~ \#1"),
        ("a\nb\r\n\n# c", r"a b \# c"),
        ("@ada &amp; $x$", r"&#64;ada &amp;amp; \$x\$"),
        ("www.evil.example", "www&#46;evil.example"),
        ("- item", "&#8203;- item"),
        ("1. item", "&#8203;1. item"),
        ("4 px down. 1.5", "4 px down. 1.5"),
        ("back\\slash", r"back\\slash"),
    ],
)
def test_foreign_text_is_shown_as_it_reads(foreign: str, shown: str) -> None:
    assert md.text(foreign) == shown


def test_foreign_text_is_cut() -> None:
    assert len(md.text("x" * 1000)) == md.MAX_TEXT_CHARACTERS


def test_code_cannot_be_left() -> None:
    assert md.code("feature/cart-1.2") == "`feature/cart-1.2`"
    assert md.code("a`b|<c>\nd") == r"<code>a\`b\|&lt;c&gt; d</code>"
    assert md.code("") == ""


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://a.example/x?y=1#z", "[x](https://a.example/x?y=1#z)"),
        ("https://a.example/(x)|y <z>\n`", "[x](https://a.example/%28x%29%7Cy%20%3Cz%3E%0A%60)"),
        ("javascript:alert(1)", "x"),
        ("", "x"),
        ("https://a.example/" + "x" * 3000, "x"),
    ],
)
def test_a_link_leads_only_where_a_browser_may_go(address: str, shown: str) -> None:
    assert md.link("x", address) == shown
