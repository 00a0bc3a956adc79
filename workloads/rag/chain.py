"""The way from a question to an answer as a LangChain `Runnable`, for the application and for notebooks.

    from workloads.rag.chain import answering
    chain = answering(retriever, support, budget, template, settings)    # no language model: it answers extractively
    found = await chain.ainvoke({"question": "How is a model released?"})
    print(found["answer"], found["citations"])
    async for piece in chain.astream({"question": "..."}):
        print(piece.get("token", ""), end="")

`workloads.rag.app.App.load(composition, services).chain` is the one that an application answers by.

What goes in: `question`, and where wanted `history` (list of `Turn`), `filters` (of the retriever), `search` (what to
look for instead of the question) and `repeat` (a number; a language model's seed). What comes out, in pieces that add
up: `passages` (the mark [1] names the first), `support`, `quoted` (the number of the passage that is quoted), `token`
(pieces of text as they come), and at last `answer` (the whole text, which stands instead of the tokens), `refused`,
`citations` (ids) and `notes` (what was wrong with a language model's answer).
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import Runnable, RunnableGenerator, RunnableLambda
from langchain_core.runnables.utils import AddableDict

from workloads.rag.answers import Passage
from workloads.rag.budget import Budget
from workloads.rag.citing import cited, marked, sources, without_marks
from workloads.rag.extractive import Quote, Support, best, chosen, said
from workloads.rag.following import about, follows, unsaid
from workloads.rag.language_model import LanguageModel, fill, is_refusal
from workloads.rag.settings import PromptSettings, check_template

SCORES = ("score", "similarity", "vector_rank", "text_rank", "text_score", "unknown")


def answering(
    retriever: BaseRetriever,
    support: Support,
    budget: Budget,
    template: str,
    settings: PromptSettings,
    model: LanguageModel | None = None,
) -> Runnable[Mapping[str, Any], Any]:
    """The chain; without a `model` it answers extractively.

    Raises:
        workloads.rag.settings.BrokenPrompt: the template cannot be filled.
    """
    check_template(template)

    async def look_up(text: str, question: str, asked: Mapping[str, Any]) -> tuple[list[Passage], list[Quote]]:
        filters = {"filters": asked["filters"]} if asked.get("filters") else {}
        documents = await retriever.ainvoke(text, **filters)
        passages = budget.passages([passage_of(document) for document in documents], settings.context_tokens)
        return passages, await asyncio.to_thread(support.quotes, question, passages)

    async def find(asked: Mapping[str, Any]) -> dict[str, Any]:
        """What was asked, with the passages and their sentences."""
        question, history = asked["question"], asked.get("history") or []
        history = budget.history(history, settings.history_turns, settings.history_tokens)
        passages, quotes = await look_up(asked.get("search") or question, question, asked)
        if history and follows(question):
            # What was answered before is not said again: it stands there already.
            longer = f"{history[-1].question}\n{question}"
            found, every = await look_up(longer, longer, asked)
            more = [quote for quote in unsaid(every, history) if about(question, found[quote.passage])]
            if best(more) >= max(settings.refuse_below, best(quotes)):
                passages, quotes = found, more
        return {**asked, "history": history, "passages": passages, "quotes": quotes}

    async def answer(found: AsyncIterator[Mapping[str, Any]]) -> AsyncIterator[AddableDict]:
        async for one in found:
            passages, quotes = one["passages"], one["quotes"]
            yield AddableDict(passages=passages, support=best(quotes))
            if best(quotes) < settings.refuse_below or not passages:
                pieces = refusing(settings)
            elif model is None:
                pieces = quoting(quotes, passages, settings)
            else:
                prompt = fill(template, one["question"], passages, one["history"], settings)
                pieces = saying(model.ask(prompt, one.get("repeat", 0)), passages, settings)
            async for piece in pieces:
                yield AddableDict(piece)

    return (RunnableLambda(find) | RunnableGenerator(answer)).with_config(run_name="rag")


def passage_of(document: Any) -> Passage:
    known = document.metadata
    places = {name: str(known.get(name) or "") for name in ("path", "heading", "source")}
    scores = {name: known[name] for name in SCORES if name in known}
    asked = (known.get("asked") or "").splitlines()
    return Passage(str(document.id), content=document.page_content, scores=scores, asked=asked, **places)


async def refusing(settings: PromptSettings, **notes: Any) -> AsyncIterator[dict[str, Any]]:
    yield {"token": settings.refusal}
    yield {"answer": settings.refusal, "refused": True, "citations": [], "notes": notes}


async def quoting(
    quotes: list[Quote], passages: list[Passage], settings: PromptSettings
) -> AsyncIterator[dict[str, Any]]:
    """An extractive answer, statement by statement."""
    quotes = chosen(quotes, settings)
    number = quotes[0].passage + 1
    yield {"quoted": number}
    text = ""
    for piece in [
        *said(quotes),
        marked(number, settings, prose=quotes[-1].said.prose),
        sources([number], passages, settings),
    ]:
        if piece:
            text += piece
            yield {"token": piece}
    yield {"answer": text, "refused": False, "citations": [passages[number - 1].id], "notes": {}}


async def saying(
    pieces: AsyncIterator[str], passages: list[Passage], settings: PromptSettings
) -> AsyncIterator[dict[str, Any]]:
    """A language model's answer as it comes; one that rests on no passage is a refusal in the end."""
    heard = ""

    async def hearing() -> AsyncIterator[str]:
        nonlocal heard
        async for piece in pieces:
            heard += piece
            yield piece

    said = ""
    async for token in without_marks(hearing()) if settings.citation == "sources" else hearing():
        said += token
        yield {"token": token}
    numbers, unknown = cited(heard, len(passages))
    notes: dict[str, Any] = {"unknown_citations": unknown} if unknown else {}
    if is_refusal(heard, settings) or not numbers:
        notes |= {} if is_refusal(heard, settings) else {"uncited": heard}
        yield {"answer": settings.refusal, "refused": True, "citations": [], "notes": notes}
        return
    if end := sources(numbers, passages, settings):
        said += end
        yield {"token": end}
    ids = [passages[number - 1].id for number in numbers]
    yield {"answer": said, "refused": False, "citations": ids, "notes": notes}
