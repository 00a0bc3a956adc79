"""Answers questions from the corpus, by the released index, prompt and language model.

Every answer cites the chunks that it rests on; what nothing supports is refused.
"""

from collections.abc import AsyncIterator, Mapping
from functools import cache
from typing import Any, Self
from uuid import UUID

from workloads.rag import forms
from workloads.rag.answers import Answered, Passage, Turn
from workloads.rag.budget import TOKENIZER, Budget
from workloads.rag.chain import answering
from workloads.rag.database import PATIENCE, Database, check_table, clean_errors
from workloads.rag.extractive import Support
from workloads.rag.language_model import LanguageModel
from workloads.rag.looking import Looking
from workloads.rag.settings import PromptSettings, check_template
from workloads.rag.talking import Talking, no_session
from workloads.sdk.artifacts import BrokenArtifacts
from workloads.sdk.contract import Services
from workloads.sdk.contract import applications as generative
from workloads.sdk.contract.applications import EXTRACTIVE, Call, Composition, Reply, Route
from workloads.sdk.kits.retrieval.embedder import Embedder
from workloads.sdk.kits.retrieval.retriever import Retriever
from workloads.sdk.serving.log.conversations import Conversations

KEPT = (
    "passage",
    "answer",
    "refused",
    "citations",
    "answerer",
    "prompt_version",
    "corpus_version",
    "model",
)  # in a session


class App(Talking, Looking, generative.App):
    """Answers to questions from a corpus of documents, each with the chunks that it rests on."""

    routes = (
        Route("POST", "/query", "query", forms.Query, forms.Answer, streams=True),
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
        embedder, self.budget, self.support = shared()
        made_by = index.content["embedder"]
        if made_by["digest"] != embedder.digest or index.content["dimensions"] != embedder.dimensions:
            raise BrokenArtifacts(
                f"{index.thing} {index.version} was embedded by {made_by['name']} {made_by['digest'][:12]}, and "
                f"questions would be by {embedder.name} {embedder.digest[:12]}; embed the corpus again and release that"
            )
        url = services.secret("database")
        if url is None:
            raise RuntimeError("the application needs a database: start the platform with `mlops up`")
        self.table = (index.content["schema"], index.content["table"])
        check_table(url, *self.table)
        self.database = Database(url)
        schema = services.setting("schema") or ""
        self.conversations = Conversations(schema, services.setting("endpoint") or composition.application)
        chosen = self.settings
        self.retriever = Retriever(
            pool=self.database.pool, embedder=embedder, schema_name=self.table[0], table_name=self.table[1],
            top_k=chosen.top_k, fusion_k=chosen.fusion_k, vector_weight=chosen.vector_weight,
            text_weight=chosen.text_weight, timeout=PATIENCE,
        )  # fmt: skip
        extractive = model.content["provider"] == EXTRACTIVE
        self._model = None if extractive else LanguageModel(model.content, services.secret("language_model_key"))
        self.facts = {
            "answerer": self._model.name if self._model else EXTRACTIVE,
            "prompt_version": prompt.version,
            "corpus_version": index.content.get("corpus") or index.data,
            "model": model.content.get("model") or EXTRACTIVE,
        }
        template = prompt.content["template"]
        self.chain = answering(self.retriever, self.support, self.budget, template, chosen, self._model)

    @classmethod
    def load(cls, composition: Composition, services: Services) -> Self:
        return cls(composition, services)

    async def close(self) -> None:
        await self.database.close()
        if self._model:
            await self._model.close()

    def info(self) -> Mapping[str, Any]:
        index = self.composition.index
        return {
            **self.facts,
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
        turns = await self.turns(UUID(session), self.settings.history_turns) if session else []
        await self.database.open()
        with clean_errors():
            asked = {"question": question, "history": turns, "search": search, "repeat": repeat}
            found = await self.chain.ainvoke(asked)
        return Answered(
            text=found["answer"],
            refused=found["refused"],
            citations=found["citations"],
            passages=found["passages"],
            support=found["support"],
            facts={**self.facts, "notes": found["notes"]},
        )

    async def query(self, call: Call) -> Reply:
        """Ask a question.

        With `"stream": true` the answer comes as server-sent events, each with one line of JSON: `token` (a piece of
        text), `citations`, and `done` with the whole answer, which stands instead of the tokens; or `error`. What is
        quoted comes after a `passage`: where it stands, and all of it.
        """
        asked: forms.Query = call.body
        turns = await self.turns(asked.session_id, self.settings.history_turns) if asked.session_id else []
        await self.database.open()
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
        with clean_errors():
            async for piece in self.chain.astream(given):
                if "passages" in piece:
                    passages = piece["passages"]
                    retrieved = [passage.id for passage in passages]
                    body |= {"passage": None, "answer": "", "refused": False, "citations": [], "retrieved": retrieved}
                    body |= {"support": piece["support"], **self.facts, "notes": {}}
                    body["session_id"] = str(asked.session_id) if asked.session_id else None
                if "quoted" in piece:
                    number = piece["quoted"]
                    body["passage"] = {**cited(number, passages[number - 1]), "content": passages[number - 1].content}
                    yield "passage", body["passage"]
                if "token" in piece:
                    body["answer"] += piece["token"]
                    yield "token", piece["token"]
                if "answer" in piece:
                    body |= {name: piece[name] for name in ("answer", "refused", "notes")}
                    body["citations"] = [
                        cited(number, one)
                        for identity in piece["citations"]
                        for number, one in enumerate(passages, 1)
                        if one.id == identity
                    ]
                    yield "citations", body["citations"]
            if asked.session_id:
                reply = {name: body[name] for name in KEPT}
                async with self.database.connection() as connection:
                    if not await self.conversations.add(connection, asked.session_id, asked.question, reply, identity):
                        raise no_session(str(asked.session_id))


def cited(number: int, passage: Passage) -> dict[str, Any]:
    """Where a passage stands; `link` is relative to the endpoint."""
    places = {name: getattr(passage, name) for name in ("id", "path", "heading", "source")}
    return {"number": number, **places, "link": f"chunk/{passage.id}"}


@cache
def shared() -> tuple[Embedder, Budget, Support]:
    """What the applications of a process share, so that loading one beside another is quick."""
    embedder = Embedder.load()
    return embedder, Budget(), Support(embedder.encode)
