"""The chat with an application: a conversation as its endpoint keeps it, and what each of its answers rests on.

The session's id stands in the page's address (`?endpoint=rag&session=...`): who opens that again goes on with it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Any

import streamlit as st

from mlops_assets.playground import lineage_tree, markup
from mlops_assets.playground.conversations import Conversations, Refused
from mlops_assets.playground.endpoints import NotAnswering
from resources.doors import Doors

SESSION = "session"  # in the address
EXTRACTIVE = "extractive"
WORDS = 46  # characters of a question that names its conversation
REDRAW = 0.05  # seconds between two drawings of an answer that comes
STYLE = """<style>
.stMainBlockContainer, .stBottom > div > div {max-width: 860px}
.stSidebar [data-testid="stSidebarHeader"] {height: 2.5rem; margin-bottom: 0}
</style>"""
THUMBS = ("down", "up")  # as Streamlit counts them


@dataclass
class Turn:
    """A question, and its answer as far as it has come.

    Attributes:
        reply: what the endpoint says of the answer, once it is whole.
        error: why there is none, or no more of it.
    """

    question: str
    text: str = ""
    citations: list[dict[str, Any]] = field(default_factory=list)
    reply: Mapping[str, Any] | None = None
    error: str | None = None

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> "Turn":
        """From a session's history."""
        return cls(kept["question"], kept["answer"], kept["citations"], kept)

    @property
    def prediction(self) -> str | None:
        return self.reply and self.reply.get("prediction_id")


@dataclass
class Chat:
    """The conversations with one endpoint.

    Attributes:
        kept: what the endpoint keeps.
        live: the version that answers now.
        sessions: the turns that this page has seen, by session; "": one that has not begun.
    """

    endpoint: str
    doors: Doors
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
            turns = [Turn.of(kept) for kept in self.kept.history(session)]
            for turn in turns:
                if turn.reply and (thumbs := turn.reply.get("thumbs")):
                    key = f"thumbs for {turn.prediction}"
                    st.session_state[key] = st.session_state[f"stored {key}"] = THUMBS.index(thumbs)
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


def show(endpoint: str, version: str | None, info: Mapping[str, Any], doors: Doors) -> None:
    """The conversation; what it is answered with, and the other conversations, at the side.

    Args:
        version: asked for by name; None: the live one.
        info: what the endpoint says of it.
    """
    st.html(markup.STYLE + STYLE)
    sessions = st.session_state.setdefault(f"conversations with {endpoint}", {})
    kept = Conversations(doors.serving.address(endpoint), version)
    chat = Chat(endpoint, doors, kept, info["version"], sessions)
    with st.sidebar:
        in_use(info)
        _sessions(chat)
    question = st.chat_input(f"Ask {endpoint}", key=f"question to {endpoint}", submit_mode="stop")
    try:
        turns = chat.turns()
    except Refused as refused:
        st.warning(f"{refused}" if refused.gone else f"the conversation cannot be read: {refused}")
        st.button("Begin another conversation", on_click=chat.begin)
        return
    if not turns and not question:
        st.caption("Ask something. Each answer names what it rests on; open it to read it where it stands.")
    if question and question.strip():
        turns.append(Turn(question.strip()))
    for number, turn in enumerate(turns):
        _turn(chat, turn, number, answer=bool(question) and turn is turns[-1])


# --- one turn ---


def _turn(chat: Chat, turn: Turn, number: int, answer: bool) -> None:
    with st.chat_message("user", avatar=":material/person:"):
        st.html(markup.asked(turn.question))
    with st.chat_message("assistant", avatar=":material/menu_book:"), st.container(gap="xsmall"):
        place = st.empty()
        if answer:
            _answer(chat, turn, place)
        refused = bool(turn.reply and turn.reply.get("refused"))
        if turn.text:
            place.html(markup.said(turn.text, bool(turn.citations), refused))
        if refused:
            st.caption("Refused: nothing that was found supports an answer.")
        if turn.error:
            st.error(turn.error)
        elif turn.reply is None:
            st.warning("This answer was interrupted; what had come of it stands above.")
        else:
            _below(chat, turn, number)


def _answer(chat: Chat, turn: Turn, place: Any) -> None:
    """Ask, and draw the answer as it comes."""
    drawn = 0.0
    place.caption("looking for what answers it ...")
    try:
        for name, data in chat.kept.ask(_session(chat), turn.question):
            if name == "token":
                turn.text += data
                if monotonic() - drawn > REDRAW:
                    place.html(markup.said(turn.text + " ▌"))
                    drawn = monotonic()
            elif name == "citations":
                turn.citations = data
            elif name == "done":
                turn.text, turn.citations, turn.reply = data["answer"], data["citations"], data
            elif name == "error":
                turn.error = data["message"]
    except (NotAnswering, Refused) as error:
        turn.error = str(error)
    if turn.error and not turn.text:
        place.empty()


def _session(chat: Chat) -> str:
    """The session that a question belongs to; the first question begins one."""
    if not chat.session:
        session = chat.kept.create()
        chat.sessions[session] = chat.sessions.pop("")
        st.query_params[SESSION] = session
    return chat.session


def _below(chat: Chat, turn: Turn, number: int) -> None:
    """What an answer rests on and was made with, its thumbs and its trace."""
    assert turn.reply is not None
    with st.container(gap=None):
        for at, cited in enumerate(turn.citations):
            label = f"{_plain(str(cited['number']))}. {_plain(_place(cited))}"
            if st.button(label, key=f"citation {number} {at}", type="tertiary", icon=":material/article:"):
                _open_chunk(chat, turn, cited)
    st.html(markup.facts(made_with(turn.reply)))
    if turn.prediction is None:
        return
    key = f"thumbs for {turn.prediction}"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.feedback("thumbs", key=key, on_change=_rate, args=(chat, turn.prediction, key))
        if st.button("where it came from", key=f"trace {number}", type="tertiary", icon=":material/account_tree:"):
            _open_trace(turn.prediction, chat.doors)
    if problem := st.session_state.get(f"problem with {key}"):
        st.warning(problem)


def _rate(chat: Chat, prediction: str, key: str) -> None:
    """Store somebody's thumbs; what cannot be stored is taken back on the page, and said."""
    stored, thumbs = f"stored {key}", st.session_state[key]
    problem = None
    if thumbs is not None:  # else a thumb was taken back: the endpoint keeps the last one
        try:
            chat.kept.rate(prediction, THUMBS[thumbs])  # type: ignore[arg-type]
            st.session_state[stored] = thumbs
        except (NotAnswering, Refused) as error:
            problem = f"not stored: {error}"
    st.session_state[key] = st.session_state.get(stored)
    st.session_state[f"problem with {key}"] = problem


@st.dialog("Passage", width="medium", position="right")
def _open_chunk(chat: Chat, turn: Turn, cited: Mapping[str, Any]) -> None:
    try:
        found = chat.conversations_of(turn).chunk(cited["id"])
    except (NotAnswering, Refused) as error:
        st.warning(str(error))
        return
    st.html(markup.facts({"": found["path"], "in": found["corpus"]}))
    st.html(markup.heading(found["heading"]))
    st.html(markup.chunk(found["content"]))
    st.html(markup.facts({"part": str(found["source"]), "chunk": found["id"]}))


@st.dialog("Trace", width="large", position="right")
def _open_trace(prediction: str, doors: Doors) -> None:
    lineage_tree.show(prediction, doors)


# --- at the side ---


def in_use(info: Mapping[str, Any]) -> None:
    """What questions are answered with now."""
    st.subheader("In use", anchor=False)
    st.html(markup.table({"application": f"{info['service']} {info['version']}", **_parts(info)}))


def made_with(reply: Mapping[str, Any]) -> dict[str, str]:
    """What an answer says that it was made with."""
    took = reply.get("processing_time_ms")
    return {
        "prompt": str(reply.get("prompt_version", "")),
        "corpus": str(reply.get("corpus_version", "")),
        "": answerer(reply["answerer"]) if reply.get("answerer") else "",
        "took": f"{took:.0f} ms" if took is not None else "",
    }


def answerer(name: str) -> str:
    return "the extractive answerer (no language model)" if name == EXTRACTIVE else f"the language model {name}"


def _parts(info: Mapping[str, Any]) -> dict[str, str]:
    parts = {role.replace("_", " "): f"{part['thing']} {part['version']}" for role, part in info["parts"].items()}
    return {**parts, "corpus": str(info.get("corpus_version", "")), "answerer": answerer(str(info.get("answerer", "")))}


def _sessions(chat: Chat) -> None:
    st.subheader("Conversations", anchor=False)
    st.button("New", icon=":material/add:", on_click=chat.begin, disabled=not chat.session, width="stretch")
    for session, turns in chat.sessions.items():
        if not session:
            continue
        title = _plain(turns[0].question if turns else "nothing said yet")
        chosen = session == chat.session
        label = title if len(title) <= WORDS else f"{title[:WORDS]} …"
        kind = "secondary" if chosen else "tertiary"
        st.button(label, key=f"go on {session}", type=kind, on_click=chat.go_on, args=(session,), width="stretch")
    wanted = st.text_input("continue another", key="continued", placeholder="id of a session").strip()
    if wanted and wanted != chat.session and st.button("Continue"):
        chat.go_on(wanted)
        st.rerun()
    if chat.session:
        st.caption("this session's id")
        st.code(chat.session, language=None, wrap_lines=True)
        with st.popover("Delete", icon=":material/delete:", width="stretch"):
            st.write("The endpoint forgets its turns. Answers stay in the prediction log until they are too old.")
            st.button("Delete this conversation", type="primary", on_click=_delete, args=(chat,))
    if problem := st.session_state.pop("not deleted", None):
        st.error(problem)


def _delete(chat: Chat) -> None:
    try:
        chat.delete()
    except (NotAnswering, Refused) as error:
        st.session_state["not deleted"] = f"not deleted: {error}"


def _place(cited: Mapping[str, Any]) -> str:
    return " › ".join(filter(None, (cited.get("path"), cited.get("heading"))))


def _plain(text: str) -> str:
    """A label that Streamlit draws as it is, and not as Markdown."""
    return "".join(f"\\{char}" if char in r"\`*_{}[]()#+-.!|~:$<>" else char for char in " ".join(text.split()))
