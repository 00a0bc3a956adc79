"""The chat page's parts: events as they are read, answers that can do nothing but be read, a composition's trace."""

from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_assets.lineage.trace import Origin, Trace, TracedFile
from mlops_assets.playground import lineage_tree, markup
from mlops_assets.playground.conversations import events
from workloads.sdk.serving.http.application import event

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)
TAGS = {
    "div",
    "p",
    "ul",
    "ol",
    "li",
    "pre",
    "code",
    "span",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "blockquote",
    "br",
    "hr",
    "em",
    "strong",
}
NASTY = ["<img src=x onerror=alert(1)>", "![p](http://evil/x)", "[a](http://evil)", "<http://evil>", "[1]", "`", "```",
         "\n", "\n\n", "- ", "# ", "> ", "[a]: http://evil\n", "<script>", "&lt;b&gt;", "1. ", "    ", "__init__", "*",
         "]"]  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["token", "citations", "done", "error"]), JSON), max_size=6))
def test_events_are_read_as_the_endpoint_wrote_them(said: list[tuple[str, Any]]) -> None:
    stream = b"".join(event(name, data)["body"] for name, data in said)
    assert list(events(stream.splitlines(keepends=True))) == said


def test_an_event_that_was_cut_off_is_none() -> None:
    whole = event("token", "a\nb\u2028c")["body"]
    assert list(events([b": keep alive\n", b"\n", *whole.splitlines(keepends=True)])) == [("token", "a\nb\u2028c")]
    assert list(events(whole[:-1].splitlines(keepends=True))) == []


class Seen(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.text += data


def seen(html: str) -> Seen:
    parser = Seen()
    parser.feed(html)
    parser.close()
    return parser


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(NASTY) | st.text(max_size=8), max_size=12).map("".join), st.booleans())
def test_no_answer_draws_a_picture_or_leads_anywhere(text: str, marks: bool) -> None:
    found = seen(markup.said(text, marks))
    assert found.tags <= TAGS
    assert found.attributes <= {"class", "start"}


def test_an_answer_reads_as_it_was_said() -> None:
    text = "A `with` block calls __enter__ [1][2, 3].\n\n```python\nnames[0]\n```\n\n- **one** [a](http://b)"
    html = markup.said(text)
    assert "__enter__" in html
    assert html.count('class="mark"') == 3
    assert "names[0]" in seen(html).text
    assert "one [a](http://b)" in seen(html).text
    assert 'class="mark"' not in markup.said(text, marks=False)


def origin(thing: str, *files: TracedFile) -> dict[str, Any]:
    release = {"thing": thing, "version": "1.2.0", "action": "release", "actor": "dagster", "why": "its gate passed"}
    return {
        "release": release,
        "model": {"uri": f"models:/dev.{thing}/3", "digest": "d" * 64},
        "run": {"mlflow": "run-1", "url": "http://127.0.0.1/run", "dagster": "run-2"},
        "code": {"commit": "c" * 40, "dirty": False, "digest": "e" * 64},
        "data": {"tag": f"{thing}-v1.0.0", "tag_stands": True, "source": "manual", "digest": "f" * 64},
        "files": list(files),
        "artifacts": [],
        "gone": [f"MLflow has lost the run of <i>{thing}</i>"],
        "intact": all(file.intact for file in files),
    }


def test_the_trace_of_an_application_goes_through_its_parts_to_chunks_and_files() -> None:
    good = [TracedFile(f"data/corpus/{number}.md", None, "a" * 64, "a" * 64, True) for number in range(30)]
    bad = TracedFile("data/corpus/changed.md", None, "a" * 64, "b" * 64, False)
    parts = {"index": Origin(**origin("index/corpus", *good, bad)), "prompt": Origin(**origin("prompt/rag"))}
    found = Trace(
        prediction={"id": "1-2-3", "at": datetime(2026, 1, 2, tzinfo=UTC)},
        endpoint={"name": "rag", "plan": 7, "live": True},
        parts=parts,
        chunks=[{"id": "chunk-1", "path": "docs/<b>.md", "heading": "One > Two", "content": "text"}],
        **origin("rag") | {"intact": False},
    )
    html = lineage_tree.html(found, "http://127.0.0.1:3000")
    text = seen(html).text
    things = ("rag 1.2.0", "live; release by dagster", "index/corpus 1.2.0", "prompt/rag 1.2.0", "index/corpus-v1.0.0")
    for word in (*things, "docs/<b>.md", "One > Two", "changed.md", "and 11 more, as they were",
                 "MLflow has lost the run of <i>index/corpus</i>"):  # fmt: skip
        assert word in text
    assert "<b>.md" not in html
    assert (
        html.count('class="bad"') == 4
    )  # the changed file, which comes first: mark and digest; a mark for what is gone


def test_emphasis_is_drawn_and_names_stay_names() -> None:
    html = markup.said("**Go back.** Call `__init__`, __init__ or *args* in snake_case_names [1].")
    assert "<strong>Go back.</strong>" in html
    assert "<em>args</em>" in html
    assert "__init__ or" in html
    assert "snake_case_names" in html
    assert '<span class="mark">1</span>' in html
    assert "<table>" in markup.passage("| a | b |\n| --- | --- |\n| 1 | [0] |")
    assert "[0]" in markup.passage("| a | b |\n| --- | --- |\n| 1 | [0] |")
