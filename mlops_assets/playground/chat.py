"""The chat with an application: a conversation, and what each of its answers rests on."""

from collections.abc import Mapping
from contextlib import closing
from time import monotonic
from typing import Any

import streamlit as st

from mlops_assets.playground import chat_side, lineage_tree, markup
from mlops_assets.playground.chat_sessions import SESSION, THUMBS, Chat, Turn
from mlops_assets.playground.conversations import Conversations, Refused
from mlops_assets.playground.endpoints import NotAnswering, resources

REDRAW = 0.05  # seconds between two drawings of an answer that comes
STYLE = """<style>
.stMainBlockContainer, .stBottom > div > div {max-width: 860px}
.stSidebar [data-testid="stSidebarHeader"] {height: 2.5rem; margin-bottom: 0}
</style>"""


def show(endpoint: str, version: str | None, info: Mapping[str, Any]) -> None:
    """The conversation; what it is answered with, and the other conversations, at the side.

    Args:
        version: asked for by name; None: the live one.
        info: what the endpoint says of it.
    """
    st.html(markup.STYLE + STYLE)
    sessions = st.session_state.setdefault(f"conversations with {endpoint}", {})
    kept = Conversations(resources().serving.address(endpoint), version)
    chat = Chat(endpoint, kept, info["version"], sessions)
    turns, problem = [], None
    try:
        turns = chat.turns()
    except Refused as refused:
        problem = f"{refused}" if refused.gone else f"the conversation cannot be read: {refused}"
    with st.sidebar:
        chat_side.in_use(info)
        chat_side.conversations(chat)
    if problem:
        st.warning(chat_side.label(problem))
        st.button("Begin another conversation", on_click=chat.begin)
        return
    asked = st.chat_input(f"Ask {endpoint}", key=f"question to {endpoint}", submit_mode="stop")
    question, session = (asked or "").strip(), chat.session
    if not turns and not question:
        st.caption("Ask something. Each answer names what it rests on; open it to read it where it stands.")
    if question:
        turns.append(Turn(question))
    for number, turn in enumerate(turns):
        _turn(chat, turn, number, answer=bool(question) and turn is turns[-1])
    if chat.session != session:  # the question began it
        st.rerun()  # the side, drawn before, shows it


# --- one turn ---


def _turn(chat: Chat, turn: Turn, number: int, answer: bool) -> None:
    with st.chat_message("user", avatar=":material/person:"):
        st.html(markup.plain(turn.question, "asked"))
    with st.chat_message("assistant", avatar=":material/menu_book:"), st.container(gap="xsmall"):
        above, place = st.empty(), st.empty()
        if answer:
            _answer(chat, turn, above, place)
        if turn.passage:
            with above.container(border=True):
                _place(chat, turn, turn.passage, f"passage {number}")
                st.html(markup.passage(turn.passage["content"]))
        refused = bool(turn.reply and turn.reply.get("refused"))
        if turn.text:
            place.html(markup.said(turn.text, bool(turn.citations), refused))
        if refused:
            st.caption("Refused: nothing that was found supports an answer.")
        for note in noted(turn.reply or {}):
            st.caption(note)
        if turn.error:
            st.error(chat_side.label(turn.error))
        elif turn.reply is None:
            st.warning("This answer was interrupted.")
        else:
            _below(chat, turn, number)


def _answer(chat: Chat, turn: Turn, above: Any, place: Any) -> None:
    """Ask, and draw the answer as it comes."""
    drawn = 0.0
    place.caption("looking for what answers it ...")
    try:
        with closing(chat.kept.ask(_session(chat), turn.question)) as events:  # also where somebody stops this
            for name, data in events:
                if name == "passage":
                    turn.passage = data
                    above.html(markup.heading(data["heading"]) + markup.passage(data["content"]))
                elif name == "token":
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
        for at, cited in enumerate(turn.citations if turn.passage is None else []):
            _place(chat, turn, cited, f"citation {number} {at}")
    st.html(markup.facts(made_with(turn.reply)))
    if turn.prediction is None:
        return
    key = f"thumbs for {turn.prediction}"
    if f"stored {key}" in st.session_state:  # a thumb that was not drawn for a while is forgotten
        st.session_state.setdefault(key, st.session_state[f"stored {key}"])
    with st.container(horizontal=True, vertical_alignment="center"):
        st.feedback("thumbs", key=key, on_change=_rate, args=(chat, turn.prediction, key))
        if st.button("where it came from", key=f"trace {number}", type="tertiary", icon=":material/account_tree:"):
            _open_trace(turn.prediction)
    if problem := st.session_state.get(f"problem with {key}"):
        st.warning(chat_side.label(problem))


def _place(chat: Chat, turn: Turn, cited: Mapping[str, Any], key: str) -> None:
    """Number, file and headings of a passage, which opens where it is pressed."""
    place = " › ".join(filter(None, (cited.get("path"), cited.get("heading"))))
    label = f"{chat_side.label(str(cited['number']))}. {chat_side.label(place)}"
    if st.button(label, key=key, type="tertiary", icon=":material/article:"):
        _open_chunk(chat, turn, cited)


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
        st.warning(chat_side.label(str(error)))
        return
    st.html(markup.facts({"": found["path"], "in": found["corpus"]}))
    st.html(markup.heading(found["heading"]))
    st.html(markup.plain(found["content"], "chunk"))
    st.html(markup.facts({"part": str(found["source"]), "chunk": found["id"]}))


@st.dialog("Trace", width="large", position="right")
def _open_trace(prediction: str) -> None:
    lineage_tree.show(prediction)


def made_with(reply: Mapping[str, Any]) -> dict[str, str]:
    """What an answer says that it was made with."""
    took = reply.get("processing_time_ms")
    return {
        "prompt": str(reply.get("prompt_version", "")),
        "corpus": str(reply.get("corpus_version", "")),
        "": chat_side.answerer(reply["answerer"]) if reply.get("answerer") else "",
        "took": f"{took:.0f} ms" if took is not None else "",
    }


def noted(reply: Mapping[str, Any]) -> list[str]:
    """What was wrong with a language model's answer."""
    notes, found = reply.get("notes") or {}, []
    if "uncited" in notes:
        found.append("The language model named no passage, so that its answer was dropped.")
    if unknown := notes.get("unknown_citations"):
        found.append(f"The language model named passages that it was not given: {', '.join(map(str, unknown))}.")
    return found
