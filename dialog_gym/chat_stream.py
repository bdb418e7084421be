"""Answers that a served model sends piece by piece."""

import asyncio
from typing import Any

from dialog_gym.chat_reply import UnusableAnswer


async def whole(stream: Any, patience: float) -> Any:
    """The chat completion that the pieces of a stream make.

    Args:
        stream: As the client library gives it; closed at the end.
        patience: Seconds to wait for each piece.

    Raises:
        TimeoutError: a piece did not come in time.
        UnusableAnswer: the pieces do not fit, or stop before the answer is at its end.
    """
    from openai.lib.streaming.chat import ChatCompletionStreamState

    state: Any = ChatCompletionStreamState()
    found: Any = None
    async with stream:
        pieces = aiter(stream)
        while True:
            async with asyncio.timeout(patience):
                piece = await anext(pieces, None)
            if piece is None:
                break
            try:
                state.handle_chunk(piece)
                found = state.current_completion_snapshot
            except Exception as error:  # the library's, in as many ways as a piece can be wrong
                raise UnusableAnswer(f"a piece that does not fit: {error!r}"[:200]) from None
    if found is None:
        raise UnusableAnswer("no piece: does the server stream?")
    if not any(getattr(choice, "finish_reason", None) for choice in found.choices):
        raise UnusableAnswer("the stream ended in the middle")
    return found
