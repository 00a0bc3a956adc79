"""The conversations with one application that a page has seen; the endpoint keeps them.

The session's id stands in the page's address (`?endpoint=rag&session=...`): who opens that again goes on with it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import streamlit as st

from mlops_assets.playground.conversations import Conversations, Refused

SESSION = "session"  # in the address
THUMBS = ("down", "up")  # as Streamlit counts them


@dataclass
class Turn:
    """A question, and its answer as far as it has come.

    Attributes:
        passage: what is quoted, and where it stands; None: a language model answers, or nobody does.
        reply: what the endpoint says of the answer, once it is whole.
        error: why there is none, or no more of it.
    """

    question: str
    text: str = ""
    citations: list[dict[str, Any]] = field(default_factory=list)
    passage: Mapping[str, Any] | None = None
    reply: Mapping[str, Any] | None = None
    error: str | None = None

    @property
    def prediction(self) -> str | None:
        return self.reply.get("prediction_id") if self.reply else None


@dataclass
class Chat:
    """The conversations with one endpoint.

    Attributes:
        kept: what the endpoint keeps.
        live: the version that answers now.
        sessions: the turns that this page has seen, by session; "": one that has not begun.
    """

    endpoint: str
    kept: Conversations
    live: str
    sessions: dict[str, list[Turn]]

    @property
    def session(self) -> str:
        return st.query_params.get(SESSION, "")

    def turns(self) -> list[Turn]:
        """Those of the session in the address; the endpoint is asked for one that this page has not seen."""
        session = self.session
        if session and session not in self.sessions:
            history = self.kept.history(session)
            for kept in history:
                if thumbs := kept.get("thumbs"):
                    st.session_state[f"stored thumbs for {kept['prediction_id']}"] = THUMBS.index(thumbs)
            turns = [
                Turn(kept["question"], kept["answer"], kept["citations"], kept.get("passage"), kept) for kept in history
            ]
            self.sessions[session] = turns
        return self.sessions.setdefault(session, [])

    def conversations_of(self, turn: Turn) -> Conversations:
        """By the version that gave an answer, where another one is live now: it reads the index that it cited."""
        version = (turn.reply or {}).get("version")
        return self.kept if version in (None, self.live) else replace(self.kept, version=version)

    def begin(self) -> None:
        """Leave the session; the next question begins another."""
        self.sessions.pop("", None)
        st.query_params.pop(SESSION, None)

    def go_on(self, session: str) -> None:
        st.query_params[SESSION] = session

    def delete(self) -> None:
        """Have the endpoint forget the session in the address."""
        session = self.session
        try:
            self.kept.delete(session)
        except Refused as refused:
            if not refused.gone:
                raise
        self.sessions.pop(session, None)
        self.begin()
