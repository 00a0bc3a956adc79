"""Documents into chunks: nothing is lost, headings mean something, and an id changes only where its chunk does."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from workloads.sdk.kits.retrieval.chunking import chunks_of, cleaned

GUIDE = """# Guide

What it is.

## Release

How a model is released.

```python
# not a heading
    indented = True
```

    # an indented comment is none either

---

After the rule.

### By hand

`mlops release`.

## Rollback

Nothing is trained.
"""


def document(text: str, path: str = "guide.md", title: str = "The guide") -> dict[str, str]:
    return {"path": path, "source": "docs", "title": title, "text": text}


words = st.text("abcdefghij ÄÖß東 .,\n", min_size=0, max_size=300)
markdown = st.lists(
    st.one_of(words, st.sampled_from(["# A", "## B", "### C", "## B", "```", "~~~", "***", "    # d", "1. x"])),
    max_size=25,
).map("\n".join)


def test_a_chunk_stands_under_its_headings_and_code_stays_as_it_is() -> None:
    chunks = chunks_of(document(GUIDE), 600)
    assert [chunk.heading for chunk in chunks] == [
        "Guide",
        "Guide > Release",
        "Guide > Release > By hand",
        "Guide > Rollback",
    ]
    release = chunks[1].content
    assert "# not a heading\n    indented = True" in release
    assert "    # an indented comment is none either" in release
    assert "After the rule." in release
    assert chunks[2].text == "Guide > Release > By hand\n`mlops release`."
    assert [chunk.position for chunk in chunks] == [0, 1, 2, 3]


def test_what_is_asked_of_a_section_is_embedded_with_its_chunks_and_changes_no_id() -> None:
    asked = {"Guide > Rollback": ["yesterday's was better", "undo it"], "Guide > Gone": ["nothing"]}
    plain, told = chunks_of(document(GUIDE), 600), chunks_of(document(GUIDE), 600, asked)
    assert [chunk.id for chunk in told] == [chunk.id for chunk in plain]
    assert [chunk.asked for chunk in told] == [(), (), (), ("yesterday's was better", "undo it")]
    assert told[3].text == "Guide > Rollback\nNothing is trained.\nyesterday's was better\nundo it"
    assert [chunk.content for chunk in told] == [chunk.content for chunk in plain]


def test_a_text_that_is_no_markdown_has_its_title_as_heading() -> None:
    (chunk,) = chunks_of(document("# a comment\nand more", path="notes.txt"), 600)
    assert (chunk.heading, chunk.content) == ("The guide", "# a comment\nand more")


def test_a_fence_that_is_never_closed_loses_nothing() -> None:
    (chunk,) = chunks_of(document("# A\n```\ncode\n\nmore of it"), 600)
    assert "more of it" in chunk.content


def test_a_paragraph_put_in_before_changes_no_other_id() -> None:
    before = {chunk.id: chunk.content for chunk in chunks_of(document(GUIDE), 600)}
    after = {chunk.id for chunk in chunks_of(document(GUIDE.replace("# Guide\n", "# Guide\n\nNew!\n", 1)), 600)}
    assert {before[id] for id in before.keys() - after} == {"What it is."}


def test_place_and_content_make_the_id() -> None:
    (one,) = chunks_of(document("same"), 600)
    assert chunks_of(document("same"), 600)[0].id == one.id
    others = [
        chunks_of(document("same", path="other.md"), 600),
        chunks_of(document("same", title="Other"), 600),
        chunks_of(document("same."), 600),
    ]
    assert one.id not in {chunk.id for chunks in others for chunk in chunks}
    first, _, second = chunks_of(document("# A\nsame\n# B\nx\n# A\nsame"), 600)
    assert (first.content, first.heading) == (second.content, second.heading)
    assert first.id != second.id


@settings(max_examples=150, deadline=None)
@given(markdown, st.integers(20, 400))
def test_no_word_is_lost_and_no_chunk_is_too_long(text: str, size: int) -> None:
    chunks = chunks_of(document(text), size)
    assert len({chunk.id for chunk in chunks}) == len(chunks)
    assert all(0 < len(chunk.content) <= size for chunk in chunks)
    assert chunks == chunks_of(document(text), size)
    kept = "".join(re.sub(r"\s", "", f"{chunk.heading}{chunk.content}") for chunk in chunks)
    for line in cleaned(text).split("\n"):
        if not re.match(r"#{1,6} |```|~~~", line):
            for letter in filter(str.isalnum, line):
                assert letter in kept


@given(st.text(max_size=200))
def test_cleaning_twice_changes_nothing_more(text: str) -> None:
    once = cleaned(text)
    assert cleaned(once) == once
    assert "\x00" not in once
    once.encode()
