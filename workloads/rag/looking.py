"""What the application shows of its corpus: a chunk by its id, and how a question finds its passages."""

import asyncio
from collections.abc import Mapping

from psycopg import sql

from workloads.rag import forms
from workloads.rag.budget import TOKENIZER, Budget
from workloads.rag.chain import passage_of
from workloads.rag.database import Database, clean_errors
from workloads.rag.extractive import Support
from workloads.rag.settings import PromptSettings
from workloads.rag.talking import uuid_of
from workloads.sdk.contract.applications import Call, Failed, Reply
from workloads.sdk.kits.retrieval.retriever import Retriever

SHOWN = 20  # sentences that debugging shows


class Looking:
    """The routes of chunks and retrieval."""

    database: Database
    settings: PromptSettings
    retriever: Retriever
    budget: Budget
    support: Support
    table: tuple[str, str]
    facts: Mapping[str, str]

    async def chunk(self, call: Call) -> Reply:
        """A chunk of the corpus, by its id."""
        identity = uuid_of(call.path["id"], "chunk")
        names = ("id", "content", "path", "heading", "source", "position", "document")
        text = sql.SQL("SELECT langchain_id::text, {} FROM {} WHERE langchain_id = %s").format(
            sql.SQL(", ").join(map(sql.Identifier, names[1:])), sql.Identifier(*self.table)
        )
        async with self.database.connection() as connection:
            row = await (await connection.execute(text, [identity])).fetchone()
        if row is None:
            corpus = self.facts["corpus_version"]
            raise Failed(404, "unknown_chunk", f"corpus {corpus} has no chunk {identity}; an older version may have it")
        return Reply(dict(zip(names, row, strict=True)) | {"corpus": self.facts["corpus_version"]})

    async def retrieval(self, call: Call) -> Reply:
        """What a question finds.

        Asks for the admin key. Every passage that the searches found with its scores and ranks, which of them fit into
        the budget, and the sentences that support an answer best.
        """
        asked: forms.Lookup = call.body
        await self.database.open()
        with clean_errors():
            found = await self.retriever.afind(asked.question, asked.filters or None)
        passages = [passage_of(document) for document in found.documents]
        fitting = self.budget.passages(passages[: self.settings.top_k], self.settings.context_tokens)
        quotes = await asyncio.to_thread(self.support.quotes, asked.question, fitting)
        shown = [
            {"id": one.id, "path": one.path, "heading": one.heading, "source": one.source, "scores": dict(one.scores),
             "used": number < len(fitting), "content": one.content}
            for number, one in enumerate(passages)
        ]  # fmt: skip
        return Reply(
            {
                "question": asked.question,
                "terms": list(found.terms),
                "embed_ms": round(found.embed_ms, 3),
                "search_ms": round(found.search_ms, 3),
                "context_tokens": sum(self.budget.count(one.content) for one in fitting),
                "tokenizer": TOKENIZER,
                "found": shown,
                "sentences": [
                    {"text": one.said.text, "support": one.support, "id": fitting[one.passage].id}
                    for one in quotes[:SHOWN]
                ],
            }
        )
