"""Beside a conversation: what questions are answered with now, and the other conversations."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from mlops_assets.playground import markup
from mlops_assets.playground.chat_sessions import Chat
from mlops_assets.playground.conversations import Refused
from mlops_assets.playground.endpoints import NotAnswering

EXTRACTIVE = "extractive"
WORDS = 46  # characters of a question that names its conversation


def in_use(info: Mapping[str, Any]) -> None:
    """What questions are answered with now."""
    parts = {role.replace("_", " "): f"{part['thing']} {part['version']}" for role, part in info["parts"].items()}
    named = {"application": f"{info['service']} {info['version']}", **parts}
    named |= {"corpus": str(info.get("corpus_version", "")), "answerer": answerer(str(info.get("answerer", "")))}
    st.subheader("In use", anchor=False)
    st.html(markup.table(named))


def conversations(chat: Chat) -> None:
    """Those that this page has seen, another by its id, and the end of one."""
    st.subheader("Conversations", anchor=False)
    st.button("New", icon=":material/add:", on_click=chat.begin, disabled=not chat.session, width="stretch")
    for session, turns in chat.sessions.items():
        if not session:
            continue
        title = turns[0].question if turns else "nothing said yet"
        title = label(title if len(title) <= WORDS else f"{title[:WORDS]} …")
        kind = "secondary" if session == chat.session else "tertiary"
        st.button(title, key=f"go on {session}", type=kind, on_click=chat.go_on, args=(session,), width="stretch")
    wanted = st.text_input("continue another", key="continued", placeholder="id of a session").strip()
    if wanted and wanted != chat.session and st.button("Continue"):
        chat.go_on(wanted)
        st.rerun()
    if chat.session in chat.sessions and chat.session:
        st.caption("this session's id")
        st.code(chat.session, language=None, wrap_lines=True)
        with st.popover("Delete", icon=":material/delete:", width="stretch"):
            st.write("The endpoint forgets its turns. Answers stay in the prediction log until they are too old.")
            st.button("Delete this conversation", type="primary", on_click=_delete, args=(chat,))
    if problem := st.session_state.pop("not deleted", None):
        st.error(label(problem))


def _delete(chat: Chat) -> None:
    try:
        chat.delete()
    except (NotAnswering, Refused) as error:
        st.session_state["not deleted"] = f"not deleted: {error}"


def answerer(name: str) -> str:
    return "the extractive answerer (no language model)" if name == EXTRACTIVE else f"the language model {name}"


def label(text: str) -> str:
    """A text that Streamlit draws as it is, and not as Markdown: it may be anybody's."""
    return "".join(f"\\{char}" if char in r"\`*_{}[]()#+-.!|~:$<>" else char for char in " ".join(text.split()))
