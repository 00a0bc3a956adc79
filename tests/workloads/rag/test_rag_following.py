"""Which questions of a conversation are read with the one before: by what they say themselves."""

import pytest

from workloads.rag.following import follows

FOLLOWS = """
And how do I undo it?
Why?
How long does that take?
What about on a Mac?
Can they be deleted?
How do I change this?
Who decides that?
And with the command line?
Where is it stored?
Does it cost anything?
What else can it do?
Is that the default?
For how long?
How many of them are there?
And if it fails?
Can I do this for another workload too?
Which one is faster?
Can it be nested?
What happens after that?
Give me an example.
How is it different from the other?
What if I do not want that?
But how?
How do I turn it off?
Does the same hold for indexes?
May I leave it out?
Is it reversible?
"""
STANDS_ALONE = """
What is the capital of France?
How do I write a small function without a name?
What time is it in Tokyo?
Who won the world cup in 2014?
Is there a way to have two replicas?
How do I release a model that was refused?
What happens to a tag that somebody moved?
When I release a model and it is worse, how do I take it back?
Is it possible to use our own PostgreSQL server?
How long does it take to train Fashion-MNIST?
What does the with statement do?
How do I delete a folder with all that is in it?
Will it rain tomorrow?
Does this platform need Docker?
What makes one index better than another?
Do I need a GPU for this project?
How do I rename a branch in Git?
What do I do when a training fails at night?
"""


@pytest.mark.parametrize("question", FOLLOWS.strip().splitlines())
def test_it_points_to_something_or_names_nothing(question: str) -> None:
    assert follows(question)


@pytest.mark.parametrize("question", STANDS_ALONE.strip().splitlines())
def test_it_says_by_itself_what_it_is_about(question: str) -> None:
    assert not follows(question)
