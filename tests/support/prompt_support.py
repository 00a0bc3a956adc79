"""What the tests of prompts share: questions about the small corpus of `rag_support`, as a version of the data."""

import json
from pathlib import Path

from workloads.rag import data
from workloads.rag.data_parameters import QuestionsData

ASKED = [  # topic of Python's documentation, question, words of a right answer
    ("lambda", "What does the lambda expression yield?", ["yields a function object"]),
    ("lambda", "Can a function that is created by a lambda expression contain statements?", ["cannot contain"]),
    ("assert", "What does an assert statement do?", ["debugging assertions"]),
    ("pass", "What happens when pass is executed?", ["nothing happens"]),
    ("global", "For what does a global statement hold?", ["entire current code block"]),
    ("del", "How is deletion defined?", ["recursively defined"]),
    ("raise", "What does raise do without an expression?", ["re-raises"]),
    ("raise", "What must the first expression of raise be a subclass or an instance of?", ["BaseException"]),
    ("global", "May a name of a global statement be a formal parameter?", ["must not be defined as formal parameters"]),
    ("assert", "Are assignments to __debug__ legal?", ["Assignments to __debug__ are illegal"]),
    ("del", "What does deletion of a name remove?", ["removes the binding"]),
    ("with", "Which methods does a with statement wrap the execution of a block with?", ["context manager"]),
]
UNKNOWN = [
    "Which Slack channel do the alerts go to?",
    "What does an hour of a cluster of graphics cards cost?",
    "Who won the football world cup of 1974?",
    "How tall is the Eiffel Tower?",
]


def write_questions(folder: Path) -> Path:
    """A file `questions.parquet`, as the pipeline makes it."""
    lines = [
        {"question": question, "expected_answer": " ".join(words), "key_concepts": words, "category": "known",
         "answerable": True, "gold": [{"path": f"{topic}.md", "heading": topic}]}
        for topic, question, words in ASKED
    ]  # fmt: skip
    lines += [{"question": question, "category": "unknown", "answerable": False} for question in UNKNOWN]
    raw, out = folder / "raw", folder / "out"
    raw.mkdir(parents=True)
    file = folder / "lines.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    parameters = QuestionsData(questions=file)
    data.fetch(parameters, raw)
    data.process(parameters, raw, out)
    return out / f"{data.SPLIT}.parquet"
