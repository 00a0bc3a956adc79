"""The answerer by a language model: any service that speaks OpenAI's protocol, reached by LangChain."""

import logging
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from workloads.rag.answers import Passage, Turn
from workloads.rag.settings import PromptSettings
from workloads.sdk.contract.applications import Failed

logger = logging.getLogger(__name__)

TIMEOUT = 60  # seconds between two pieces of an answer
MAX_CHARACTERS = 50_000  # of an answer; what is longer is cut off


class LanguageModel:
    """A language model of a service; `content` is that of the part in the composition, `key` the service's.

    `ask` raises `Failed` with status 502 where the service refuses or answers nonsense, 503 where it is away or busy.
    """

    def __init__(self, content: Mapping[str, Any], key: str | None):
        from langchain_openai import ChatOpenAI
        from openai import DefaultAsyncHttpxClient

        # Of its own: LangChain's default one is shared by a process, and dies with the event loop that used it first.
        self._http = DefaultAsyncHttpxClient(timeout=TIMEOUT)
        self.name, self.url = content["model"], content["url"]
        self._chat = ChatOpenAI(
            model=self.name,
            base_url=self.url,
            api_key=key or "none",  # services of one's own often ask for none
            temperature=content.get("temperature", 0.0),
            timeout=TIMEOUT,
            stream_chunk_timeout=TIMEOUT,
            http_async_client=self._http,
            max_retries=1,
            use_responses_api=False,
            stream_usage=False,  # not every service knows it
        )

    async def ask(self, prompt: str, repeat: int = 0) -> AsyncIterator[str]:
        """The answer to a prompt in pieces; `repeat` is the seed where it is not 0, for services that take one."""
        said = 0
        with self._plainly():
            async for piece in self._chat.astream(prompt, **({"seed": repeat} if repeat else {})):
                text = piece.text[: MAX_CHARACTERS - said].replace("\0", "")
                said += len(text)
                if text:
                    yield text
                if said >= MAX_CHARACTERS:
                    return
        if not said:
            raise Failed(
                502, "language_model_failed", f"the language model {self.name} answered with no text; ask again"
            )

    async def close(self) -> None:
        await self._http.aclose()

    @contextmanager
    def _plainly(self) -> Iterator[None]:
        """The client's errors as sentences; what the service wrote is not passed on, for it may quote the key."""
        from openai import APIConnectionError, APIStatusError, APITimeoutError, OpenAIError

        name = f"the language model {self.name}"
        try:
            yield
        except (APITimeoutError, TimeoutError):
            raise Failed(503, "language_model_slow", f"{name} did not answer within {TIMEOUT} s; ask again") from None
        except APIConnectionError:
            raise Failed(503, "language_model_away", f"{name} does not answer on {self.url}; ask again") from None
        except APIStatusError as error:
            code = error.status_code
            if code in (429, 503, 529):
                raise Failed(503, "language_model_busy", f"{name} is busy (HTTP {code}); ask again later") from None
            why = "refuses the key; correct MLOPS_LANGUAGE_MODEL_KEY" if code in (401, 403) else f"failed (HTTP {code})"
            raise Failed(502, "language_model_failed", f"{name} {why}") from None
        except (OpenAIError, ValueError, TypeError, KeyError, AttributeError, OSError) as error:
            logger.warning("%s broke the protocol: %s", name, type(error).__name__)
            broken = (
                f"{name} broke off, or answered what is not of OpenAI's protocol ({type(error).__name__}); ask again"
            )
            raise Failed(502, "language_model_failed", broken) from None


def fill(template: str, question: str, passages: Sequence[Passage], history: Sequence[Turn],
         settings: PromptSettings) -> str:  # fmt: skip
    """The prompt, with its placeholders filled. What is filled in is not looked at for placeholders."""
    context = "\n\n".join(
        f"[{number}] {passage.path} > {passage.heading}\n{passage.content}"
        for number, passage in enumerate(passages, 1)
    )
    said = "\n".join(f"User: {turn.question}\nAssistant: {turn.answer}" for turn in history)
    return template.format(
        question=question,
        context=context,
        history=said or "(none)",
        refusal=settings.refusal,
        sentences=settings.sentences,
    )


def is_refusal(text: str, settings: PromptSettings) -> bool:
    """Whether a model said what the prompt asks it to say where the passages do not answer."""
    return _plain(settings.refusal) in _plain(text)[: len(settings.refusal) + 40]


def _plain(text: str) -> str:
    return " ".join("".join(char if char.isalnum() else " " for char in text.casefold()).split())
