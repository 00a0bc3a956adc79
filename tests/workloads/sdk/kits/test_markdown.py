"""Markdown is read as a parser reads it: headings of both kinds, code however it is fenced, and no noise."""

import pytest

from workloads.sdk.kits.retrieval.chunking import chunks_of
from workloads.sdk.kits.retrieval.markdown import divided, title_of

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk" * 40


def read(text: str, size: int = 600) -> list[tuple[str, str]]:
    """Heading and content of each chunk."""
    found = chunks_of({"path": "a.md", "source": "docs", "title": "A file", "text": text}, size)
    return [(chunk.heading, chunk.content) for chunk in found]


@pytest.mark.parametrize(
    "metadata",
    [
        '---\ntitle: "The guide"\ntags:\n  - one\n---\n',
        "---\n# a comment\ntitle: The guide\n...\n",
        '+++\ntitle = "The guide"\ndraft = true\n+++\n',
    ],
)
def test_metadata_at_the_beginning_is_no_text(metadata: str) -> None:
    text = f"{metadata}\nFirst words.\n\n## Later\n\nLast words.\n"
    assert read(text) == [("A file", "First words."), ("Later", "Last words.")]
    assert title_of(text) == "The guide"


def test_a_rule_at_the_beginning_is_no_metadata() -> None:
    assert read("---\n\nNo metadata.\n\n---\n\nMore.") == [("A file", "No metadata.\n\nMore.")]
    assert read("---\nNote: a text.\n\nIt goes on\n\n---\n\nMore.")[0][1].startswith("Note: a text.")


def test_underlined_headings_are_headings() -> None:
    text = "The guide\n=========\n\nWhat it is.\n\nIts *first* part\n---\n\nHow it goes.\n\n### Deeper\n\nEnd.\n"
    assert read(text) == [
        ("The guide", "What it is."),
        ("The guide > Its *first* part", "How it goes."),
        ("The guide > Its *first* part > Deeper", "End."),
    ]
    assert title_of(text) == "The guide"


@pytest.mark.parametrize(
    "picture",
    [
        f"![a wheel](data:image/png;base64,{PNG})",
        f'![a wheel](<data:image/svg+xml;charset=utf-8;base64,{PNG}> "title")',
        f'<img alt="a wheel" src="data:image/png;base64,{PNG}">',
        f"![a wheel][w]\n\n[w]: data:image/png;base64,{PNG}",
    ],
)
def test_a_picture_in_the_text_is_no_text(picture: str) -> None:
    (chunk,) = read(f"# A\n\nBefore.\n\n{picture}\n\nAfter.")
    assert PNG[:20] not in chunk[1]
    assert chunk[1].startswith("Before.")
    assert chunk[1].endswith("After.")


def test_a_picture_that_lies_elsewhere_stays() -> None:
    assert read("![a wheel](wheel.png) turns.") == [("A file", "![a wheel](wheel.png) turns.")]


@pytest.mark.parametrize("fence", ["````", "~~~", "`````md"])
def test_a_fence_in_a_fence_is_code(fence: str) -> None:
    code = f"{fence}\n# no heading\n\n```python\n# none either\n```\n\nNo heading\n===\n{fence.rstrip('md')}"
    assert read(f"# A\n\n{code}\n\n## B\n\nText.") == [("A", code), ("A > B", "Text.")]


def test_code_in_a_list_and_an_indented_comment_are_no_headings() -> None:
    text = "# A\n\n- an item\n\n  ```sh\n  # no heading\n  ```\n\n      # none either\n\n- another"
    assert [heading for heading, _ in read(text)] == ["A"]


def test_comments_and_rules_are_no_text() -> None:
    assert read("# A\n\n<!-- a note\n\nof the author -->\n\nText.\n\n* * *\n") == [("A", "Text.")]


def test_what_is_divided_can_be_read_alone() -> None:
    rows = [f"| name{number} | value{number} |" for number in range(20)]
    table = "\n".join(["| what | is |", "| --- | --- |", *rows])
    parts = divided(table, 120)
    assert len(parts) > 3
    assert all(part.startswith("| what | is |\n| --- | --- |\n| name") and len(part) <= 120 for part in parts)
    code = "\n".join(["```python", *(f"line_{number} = {number}" for number in range(20)), "```"])
    parts = divided(code, 120)
    assert len(parts) > 2
    assert all(part.startswith("```python\nline_") and part.endswith("\n```") for part in parts)
    items = "\n".join(f"- item {number}\n  goes on" for number in range(20))
    assert all(part.startswith("- item") and part.endswith("goes on") for part in divided(items, 100))


def test_no_chunk_begins_or_ends_within_a_sentence() -> None:
    sentences = [
        f"Sentence number {number}, e.g. this one, says something about {number} things." for number in range(40)
    ]
    for _, content in read("# A\n\n" + " ".join(sentences), 300):
        assert content.startswith("Sentence number")
        assert content.endswith("things.")


def test_what_a_colon_announces_stays_with_it_and_bold_words_begin_something_else() -> None:
    text = "# A\n\nBefore.\n\n**Go back.** Do this:\n\n    mlops rollback\n\n**Go on.** Nothing."
    assert read(text) == [
        ("A", "Before."),
        ("A", "**Go back.** Do this:\n\n    mlops rollback"),
        ("A", "**Go on.** Nothing."),
    ]
