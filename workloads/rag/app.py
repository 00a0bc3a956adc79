"""Answers questions from the corpus, by the released index, prompt and language model.

Every answer cites the chunks that it rests on; what nothing supports is refused.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from functools import cache
from typing import Any, Self
from uuid import UUID

from psycopg import sql

from workloads import generative
from workloads.artifacts import BrokenArtifacts
from workloads.contract import Services
from workloads.generative import EXTRACTIVE, Call, Composition, Failed, Reply, Route
from workloads.kits.embedding import Embedder
from workloads.kits.retrieval import Retriever
from workloads.rag import forms
from workloads.rag.answers import Answered, Passage, Turn
from workloads.rag.budget import TOKENIZER, Budget
from workloads.rag.chain import answering, passage_of
from workloads.rag.database import PATIENCE, Database, check_table, plainly
from workloads.rag.extractive import Support
from workloads.rag.language_model import LanguageModel
from workloads.rag.settings import PromptSettings, check_template
from workloads.serving.conversations import Conversations

JUST_NOW = 30.0  # seconds for which an answer may not have reached the log
TRIES = 12  # to find it there
KEPT = ("answer", "refused", "citations", "answerer", "prompt_version", "corpus_version", "model")  # in a session
SHOWN = 20  # sentences that debugging shows


class App(generative.App):
    """Answers to questions from a corpus of documents, each with the chunks that it rests on."""

    routes = (
        Route("POST", "/query", "query", forms.Query, forms.Answer),
        Route("POST", "/session/create", "create", answer=forms.Session),
        Route("GET", "/session/{id}/history", "history", answer=forms.History),
        Route("DELETE", "/session/{id}", "remove", answer=forms.Removed),
        Route("POST", "/feedback", "feedback", forms.Feedback, forms.Stored),
        Route("GET", "/chunk/{id}", "chunk", answer=forms.ChunkText),
        Route("POST", "/debug/retrieval", "retrieval", forms.Lookup, forms.Retrieved, admin=True),
    )

    def __init__(self, composition: Composition, services: Services):
        index, prompt, model = composition.index, composition.prompt, composition.language_model
        self.composition = composition
        self.settings = PromptSettings.model_validate(prompt.content["settings"])
        check_template(prompt.content["template"])
        embedder = encoder()
        made_by = index.content["embedder"]
        if made_by["digest"] != embedder.digest or index.content["dimensions"] != embedder.dimensions:
            raise BrokenArtifacts(
                f"{index.thing} {index.version} was embedded by {made_by['name']} {made_by['digest'][:12]}, and "
                f"questions would be by {embedder.name} {embedder.digest[:12]}; embed the corpus again and release that"
            )
        url = services.secret("database")
        if url is None:
            raise RuntimeError("the application needs a database: start the platform with `mlops up`")
        self._table = (index.content["schema"], index.content["table"])
        check_table(url, *self._table)
        self._database = Database(url)
        schema = services.setting("schema") or ""
        self._conversations = Conversations(schema, services.setting("endpoint") or composition.application)
        self._budget, self._support = Budget(), Support(embedder.encode)
        chosen = self.settings
        self._retriever = Retriever(
            pool=self._database.pool, embedder=embedder, schema_name=self._table[0], table_name=self._table[1],
            top_k=chosen.top_k, fusion_k=chosen.fusion_k, vector_weight=chosen.vector_weight,
            text_weight=chosen.text_weight, timeout=PATIENCE,
        )  # fmt: skip
        extractive = model.content["provider"] == EXTRACTIVE
        self._model = None if extractive else LanguageModel(model.content, services.secret("language_model_key"))
        template = prompt.content["template"]
        self.chain = answering(self._retriever, self._support, self._budget, template, chosen, self._model)

    @classmethod
    def load(cls, composition: Composition, services: Services) -> Self:
        return cls(composition, services)

    async def close(self) -> None:
        await self._database.close()
        if self._model:
            await self._model.close()

    def info(self) -> Mapping[str, Any]:
        index = self.composition.index
        return {
            **self._facts(),
            "prompt_settings": self.settings.model_dump(),
            "index": {name: index.content.get(name) for name in ("table", "chunks", "type", "dimensions", "embedder")},
            "language_model": {} if self._model is None else {"name": self._model.name, "url": self._model.url},
            "tokenizer": TOKENIZER,
        }

    # --- answers ---

    async def answer(
        self, question: str, session: str | None = None, repeat: int = 0, search: str | None = None
    ) -> Answered:
        """An answer that nobody keeps, for evaluations.

        Args:
            session: id of one whose turns the question belongs to.
            repeat: seed of a language model, where it is not 0.
            search: look for this instead of the question.

        Raises:
            Failed: there is none, and why.
            InvalidInput: the question cannot be asked.
        """
        turns = await self._turns(UUID(session)) if session else []
        await self._database.open()
        with plainly():
            asked = {"question": question, "history": turns, "search": search, "repeat": repeat}
            found = await self.chain.ainvoke(asked)
        return Answered(
            text=found["answer"],
            refused=found["refused"],
            citations=found["citations"],
            passages=found["passages"],
            support=found["support"],
            facts={**self._facts(), "notes": found["notes"]},
        )

    async def query(self, call: Call) -> Reply:
        """Ask a question.

        With `"stream": true` the answer comes as server-sent events, each with one line of JSON: `token` (a piece of
        text), `citations`, and `done` with the whole answer, which stands instead of the tokens; or `error`.
        """
        asked: forms.Query = call.body
        turns = await self._turns(asked.session_id) if asked.session_id else []
        await self._database.open()
        body: dict[str, Any] = {}
        events = self._events(asked, turns, call.id, body)
        if asked.stream:
            return Reply(body, stream=events, logged=True)
        async for _ in events:
            pass
        return Reply(body, logged=True)

    async def _events(
        self, asked: forms.Query, turns: list[Turn], identity: UUID, body: dict[str, Any]
    ) -> AsyncIterator[tuple[str, Any]]:
        """The events of an answer, whose `body` is filled on the way."""
        passages: list[Passage] = []
        given = {"question": asked.question, "history": turns, "filters": asked.filters or None}
        with plainly():
            async for piece in self.chain.astream(given):
                if "passages" in piece:
                    passages = piece["passages"]
                    retrieved = [passage.id for passage in passages]
                    body |= {"answer": "", "refused": False, "citations": [], "retrieved": retrieved}
                    body |= {"support": piece["support"], **self._facts(), "notes": {}}
                    body["session_id"] = str(asked.session_id) if asked.session_id else None
                if "token" in piece:
                    body["answer"] += piece["token"]
                    yield "token", piece["token"]
                if "answer" in piece:
                    body |= {name: piece[name] for name in ("answer", "refused", "notes")}
                    body["citations"] = [
                        {"number": number, "id": one.id, "path": one.path, "heading": one.heading, "source": one.source}
                        for cited in piece["citations"]
                        for number, one in enumerate(passages, 1)
                        if one.id == cited
                    ]
                    yield "citations", body["citations"]
            if asked.session_id:
                reply = {name: body[name] for name in KEPT}
                async with self._database.connection() as connection:
                    if not await self._conversations.add(connection, asked.session_id, asked.question, reply, identity):
                        raise _no_session(str(asked.session_id))

    def _facts(self) -> dict[str, str]:
        """What an answer was made with."""
        parts = self.composition
        return {
            "answerer": self._model.name if self._model else EXTRACTIVE,
            "prompt_version": parts.prompt.version,
            "corpus_version": parts.index.content.get("corpus") or parts.index.data,
            "model": parts.language_model.content.get("model") or EXTRACTIVE,
        }

    # --- sessions ---

    async def create(self, call: Call) -> Reply:
        """Begin a session.

        Questions asked in it are understood together with those before; nobody's use of it for a while ends it.
        """
        async with self._database.connection() as connection:
            return Reply({"session_id": str(await self._conversations.create(connection))})

    async def history(self, call: Call) -> Reply:
        """A session's turns.

        The last ones, oldest first.
        """
        session = _uuid(call.path["id"])
        async with self._database.connection() as connection:
            turns = await self._conversations.turns(connection, session)
        if turns is None:
            raise _no_session(call.path["id"])
        shown = [
            {
                "question": turn.question,
                **turn.reply,
                "prediction_id": str(turn.prediction_id),
                "at": turn.at.isoformat(),
                "thumbs": turn.thumbs,
            }
            for turn in turns
        ]
        return Reply({"session_id": str(session), "turns": shown})

    async def remove(self, call: Call) -> Reply:
        """End a session, and forget its turns."""
        session = _uuid(call.path["id"])
        async with self._database.connection() as connection:
            if not await self._conversations.remove(connection, session):
                raise _no_session(call.path["id"])
        return Reply({"removed": str(session)})

    async def _turns(self, session: UUID) -> list[Turn]:
        async with self._database.connection() as connection:
            turns = await self._conversations.turns(connection, session, self.settings.history_turns)
        if turns is None:
            raise _no_session(str(session))
        return [Turn(turn.question, turn.reply["answer"]) for turn in turns]

    # --- the rest ---

    async def feedback(self, call: Call) -> Reply:
        """Say what you think of an answer.

        The last thumbs of each answer are kept, by its prediction id.
        """
        given: forms.Feedback = call.body
        for _ in range(TRIES if _just_made(given.prediction_id) else 1):
            async with self._database.connection() as connection:
                if await self._conversations.rate(connection, given.prediction_id, given.thumbs, given.comment):
                    return Reply({"prediction_id": str(given.prediction_id), "thumbs": given.thumbs})
            await asyncio.sleep(0.25)  # the log is written as often
        raise Failed(404, "unknown_prediction", f"the log holds no answer {given.prediction_id} of this endpoint")

    async def chunk(self, call: Call) -> Reply:
        """A chunk of the corpus, by its id."""
        identity = _uuid(call.path["id"], "chunk")
        names = ("id", "content", "path", "heading", "source", "position", "document")
        text = sql.SQL("SELECT langchain_id::text, {} FROM {} WHERE langchain_id = %s").format(
            sql.SQL(", ").join(map(sql.Identifier, names[1:])), sql.Identifier(*self._table)
        )
        async with self._database.connection() as connection:
            row = await (await connection.execute(text, [identity])).fetchone()
        if row is None:
            corpus = self._facts()["corpus_version"]
            raise Failed(404, "unknown_chunk", f"corpus {corpus} has no chunk {identity}; an older version may have it")
        return Reply(dict(zip(names, row, strict=True)) | {"corpus": self._facts()["corpus_version"]})

    async def retrieval(self, call: Call) -> Reply:
        """What a question finds.

        Asks for the admin key. Every passage that the searches found with its scores and ranks, which of them fit into
        the budget, and the sentences that support an answer best.
        """
        asked: forms.Lookup = call.body
        await self._database.open()
        with plainly():
            found = await self._retriever.afind(asked.question, asked.filters or None)
        passages = [passage_of(document) for document in found.documents]
        fitting = self._budget.passages(passages[: self.settings.top_k], self.settings.context_tokens)
        quotes = await asyncio.to_thread(self._support.quotes, asked.question, fitting)
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
                "context_tokens": sum(self._budget.count(one.content) for one in fitting),
                "tokenizer": TOKENIZER,
                "found": shown,
                "sentences": [
                    {"text": one.text, "support": one.support, "id": fitting[one.passage].id} for one in quotes[:SHOWN]
                ],
            }
        )


@cache
def encoder() -> Embedder:
    """The embedder of this process: applications that are loaded beside each other share it."""
    return Embedder.load()


def _uuid(text: str, what: str = "session") -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise Failed(404, f"unknown_{what}", f"there is no {what} {text[:100]!r}") from None


def _no_session(name: str) -> Failed:
    return Failed(404, "unknown_session", f"there is no session {name}: create one, for it may have been removed")


def _just_made(identity: UUID) -> bool:
    """Whether a prediction of this id may not have reached the log yet: its first 48 bits are its time."""
    return identity.version == 7 and abs(time.time() - (identity.int >> 80) / 1000) < JUST_NOW
