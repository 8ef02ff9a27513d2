"""The examples in README.md and docs/ do what the pages say."""

from pathlib import Path

import pytest

from tests.docs.pages import Block, PageError, executable_blocks, page_tier, run_page
from tests.tiers import ROOT

PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))

GOOD = """
A sum:

```pycon
>>> two = 1 + 1
>>> two
2
```

<!-- run -->
```python
four = two + two
```

```pycon
>>> four
4
```

<!-- run -->
```console
$ python -c "print('one   thing and another')"
one thing ...
$ python \\
    -c "print(3)"
3
```

```python
raise SystemExit("not marked")
```
"""


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(
            page,
            id=str(page.relative_to(ROOT)),
            marks=getattr(pytest.mark, page_tier(page.read_text())),
        )
        for page in PAGES
        if page.is_file() and executable_blocks(page.read_text())
    ],
)
def test_page(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_page(page, tmp_path, ROOT)


@pytest.mark.unit
def test_which_blocks_run() -> None:
    blocks = executable_blocks(GOOD)
    assert [block.language for block in blocks] == ["pycon", "python", "pycon", "console"]
    assert blocks[1] == Block(
        "python", "four = two + two\n", GOOD.split("\n").index("four = two + two") + 1
    )


@pytest.mark.unit
def test_blocks_share_names(tmp_path: Path) -> None:
    page = tmp_path / "good.md"
    page.write_text(GOOD)
    run_page(page, tmp_path, ROOT)


@pytest.mark.unit
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("```pycon\n>>> 1 + 1\n3\n```\n", "Expected"),
        ("```pycon\n>>> missing\n```\n", "NameError"),
        ('<!-- run -->\n```console\n$ python -c "print(1)"\n2\n```\n', "printed:\n1"),
        ("<!-- run -->\n```console\n$ python -c \"raise SystemExit('no')\"\n```\n", "no"),
        ("<!-- run -->\n```console\n$ rm -r x\n```\n", "only `python`"),
        ("<!-- run -->\n```console\nout\n```\n", "starts with"),
        ("<!-- run -->\n```verilog\nmodule m;\n```\n", "cannot run"),
        ("```pycon\n>>> 1\n1\n", "no end"),
    ],
)
def test_wrong_page_is_told(text: str, message: str, tmp_path: Path) -> None:
    page = tmp_path / "wrong.md"
    page.write_text(text)
    with pytest.raises(PageError, match=message):
        run_page(page, tmp_path, ROOT)


@pytest.mark.unit
def test_tier_of_a_page() -> None:
    assert page_tier("# A page\n") == "flow"
    assert page_tier("# A page\n<!-- tier: verilator -->\n") == "verilator"
