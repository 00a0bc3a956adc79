"""What the application keeps of its conversations: sessions with their turns, and thumbs."""

import asyncio
import time
from uuid import UUID

from workloads.rag import forms
from workloads.rag.answers import Turn
from workloads.rag.database import Database
from workloads.sdk.contract.applications import Call, Failed, Reply
from workloads.sdk.serving.log.conversations import Conversations

JUST_NOW = 30.0  # seconds for which an answer may not have reached the log
TRIES = 12  # to find it there


class Talking:
    """The routes of sessions and feedback."""

    database: Database
    conversations: Conversations

    async def create(self, call: Call) -> Reply:
        """Begin a session.

        Questions asked in it are understood together with those before. What nobody uses for long is forgotten.
        """
        async with self.database.connection() as connection:
            return Reply({"session_id": str(await self.conversations.create(connection))})

    async def history(self, call: Call) -> Reply:
        """A session's turns.

        The last ones, oldest first.
        """
        session = uuid_of(call.path["id"])
        async with self.database.connection() as connection:
            turns = await self.conversations.turns(connection, session)
        if turns is None:
            raise no_session(call.path["id"])
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
        session = uuid_of(call.path["id"])
        async with self.database.connection() as connection:
            if not await self.conversations.remove(connection, session):
                raise no_session(call.path["id"])
        return Reply({"removed": str(session)})

    async def turns(self, session: UUID, count: int) -> list[Turn]:
        """The last turns of a session, oldest first."""
        async with self.database.connection() as connection:
            turns = await self.conversations.turns(connection, session, count)
        if turns is None:
            raise no_session(str(session))
        return [Turn(turn.question, turn.reply["answer"]) for turn in turns]

    async def feedback(self, call: Call) -> Reply:
        """Say what you think of an answer.

        The last thumbs of each answer are kept, by its prediction id.
        """
        given: forms.Feedback = call.body
        for _ in range(TRIES if _just_made(given.prediction_id) else 1):
            async with self.database.connection() as connection:
                if await self.conversations.rate(connection, given.prediction_id, given.thumbs, given.comment):
                    return Reply({"prediction_id": str(given.prediction_id), "thumbs": given.thumbs})
            await asyncio.sleep(0.25)  # the log is written as often
        raise Failed(404, "unknown_prediction", f"the log holds no answer {given.prediction_id} of this endpoint")


def uuid_of(text: str, what: str = "session") -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise Failed(404, f"unknown_{what}", f"there is no {what} {text[:100]!r}") from None


def no_session(name: str) -> Failed:
    return Failed(404, "unknown_session", f"there is no session {name}: create one, for it may have been removed")


def _just_made(identity: UUID) -> bool:
    """Whether a prediction of this id may not have reached the log yet: its first 48 bits are its time."""
    return identity.version == 7 and abs(time.time() - (identity.int >> 80) / 1000) < JUST_NOW
