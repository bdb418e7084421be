"""Replies on disk."""

import json
import subprocess
import sys

import pytest

from dialog_gym.chat_cache import ChatCache, request_key
from dialog_gym.chat_reply import ChatReply
from dialog_gym.core import DialogGymError


@pytest.fixture
def cache(tmp_path):
    found = ChatCache(tmp_path / "folder" / "replies.sqlite")
    yield found
    found.close()


def test_what_was_put_is_there_again(cache):
    assert cache.get("a") is None and not cache.path.exists()
    reply = ChatReply(text="caf\u00e9", thought="x", input_tokens=3, cost=0.1)
    assert cache.put("a", reply) == reply
    cache.close()
    assert ChatCache(cache.path).get("a") == reply == cache.get("a")


def test_the_first_reply_stays(cache):
    first = cache.put("a", ChatReply(text="first"))
    assert cache.put("a", ChatReply(text="second")) == first == cache.get("a")


def test_everything_that_is_sent_is_in_the_key():
    sent = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "seed": 1, "temperature": 0.0}
    key = request_key("http://a/v1", sent)
    assert key == request_key("http://a/v1", json.loads(json.dumps(dict(reversed(sent.items())))))
    others = [{**sent, name: value} for name, value in (("model", "n"), ("seed", 2), ("temperature", 0.1))]
    others.append({**sent, "messages": [{"role": "user", "content": "hi "}]})
    others.append({**sent, "tools": []})
    keys = {request_key("http://a/v1", other) for other in others} | {key, request_key("http://b/v1", sent)}
    assert len(keys) == 7


@pytest.mark.parametrize("content", [b"not a database at all, but long enough to be read as one" * 40, b"x"])
def test_another_file_is_not_touched(cache, content):
    cache.path.parent.mkdir()
    cache.path.write_bytes(content)
    with pytest.raises(DialogGymError, match=r"cannot be used as a cache of replies .*: delete it or name"):
        cache.get("a")
    assert cache.path.read_bytes() == content


def test_a_later_format_is_refused(cache):
    cache.put("a", ChatReply(text="x"))
    cache._connection.execute("PRAGMA user_version = 2")
    cache.close()
    with pytest.raises(DialogGymError, match="it has format 2"):
        cache.get("a")


def test_a_folder_is_no_cache(tmp_path):
    with pytest.raises(DialogGymError, match="cannot be used as a cache"):
        ChatCache(tmp_path).put("a", ChatReply(text="x"))


def test_removed_with_all_that_belongs_to_it(cache):
    cache.put("a", ChatReply(text="x"))
    cache.remove()
    assert not list(cache.path.parent.iterdir())
    assert cache.get("a") is None


FILL = """
import sys
from pathlib import Path
from dialog_gym.chat_cache import ChatCache
from dialog_gym.chat_reply import ChatReply

cache, begin = ChatCache(Path(sys.argv[1])), int(sys.argv[2])
for i in range(begin, begin + 40):
    cache.put(str(i), ChatReply(text=str(i)))
"""


def test_processes_share_a_file(cache):
    others = [subprocess.Popen([sys.executable, "-c", FILL, str(cache.path), str(20 * i)]) for i in range(2)]
    assert [other.wait() for other in others] == [0, 0]
    assert [cache.get(str(i)).text for i in range(60)] == [str(i) for i in range(60)]
