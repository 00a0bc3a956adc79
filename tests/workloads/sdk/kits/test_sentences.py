"""What can be quoted of a passage: whole sentences, items, rows and pieces of code, and nothing cut."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workloads.sdk.kits.retrieval.sentences import split, statements

TEXT = """# A heading that is no sentence

A first sentence, e.g. this one. It goes
on: "Here is a second!" And a third?

- an item of a list
  that goes on
- another item of it. With two sentences

| name | what it is |
|---|---|
| wine | a forest on 178 rows |

```sh
print("fenced code stands alone")
```

>>> code = "is kept"
>>> together
"""


def test_statements_of_prose_lists_tables_and_code() -> None:
    found = statements(TEXT)
    assert [(one.text, one.block, one.prose) for one in found] == [
        ("A first sentence, e.g. this one.", 1, True),
        ('It goes on: "Here is a second!"', 1, True),
        ("And a third?", 1, True),
        ("an item of a list that goes on", 2, False),
        ("another item of it.", 2, False),
        ("With two sentences", 2, False),
        ("name: wine; what it is: a forest on 178 rows", 3, False),
        ('print("fenced code stands alone")', 4, False),
        ('>>> code = "is kept" >>> together', 5, False),
    ]
    assert found[5].shown == "- another item of it. With two sentences", "an item is shown as a whole"
    assert found[7].shown == '```\nprint("fenced code stands alone")\n```'


def test_a_long_sentence_is_not_cut() -> None:
    long = "This sentence " + "goes on and " * 200 + "ends."
    assert [one.text for one in statements(long)] == [long]


@pytest.mark.parametrize("text", ["模型被替换了。旧版本仍在回答。", "これは文です。もう一つの文です。"])
def test_scripts_without_blanks_have_sentences(text: str) -> None:
    assert len(statements(text)) == 2


@settings(deadline=None)
@given(st.text(max_size=500))
def test_splitting_loses_nothing(text: str) -> None:
    assert "".join("".join(split(text)).split()) == "".join(text.split())
