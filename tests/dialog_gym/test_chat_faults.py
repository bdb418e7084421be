"""How long to wait for a server, and when to give up."""

import time
from email.utils import formatdate
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialog_gym.chat_faults import (
    LONGEST_WAIT,
    ChatOutage,
    Fault,
    Pace,
    fault_of,
    one_line,
    pause,
    retry_after,
)

api = pytest.importorskip("openai", reason="an optional dependency is missing")


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": " 0.5 "}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after": formatdate(1_000_030, usegmt=True)}, 30.0),
        ({"retry-after": formatdate(999_000, usegmt=True)}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-3"}, None),
        ({}, None),
    ],
)
def test_retry_after(headers, seconds):
    assert retry_after(headers, now=1_000_000.0) == seconds


@given(
    attempt=st.integers(0, 50), first=st.floats(0.01, 5), key=st.integers(0, 2**64), asked=st.floats(0, 50)
)
def test_pauses_double_up_to_a_limit_and_keep_to_what_is_asked(attempt, first, key, asked):
    full = min(LONGEST_WAIT, first * 2.0**attempt)
    found = pause(attempt, first, key)
    assert full / 2 <= found <= full
    assert found == pause(attempt, first, key)
    assert pause(attempt, first, key, asked) == max(asked, found)


def test_pauses_of_different_requests_differ():
    assert len({pause(2, 1.0, key) for key in range(50)}) == 50


@given(st.lists(st.floats(0, 30), min_size=1, max_size=40), st.floats(1, 600))
def test_no_minute_has_more_requests_than_allowed(gaps, rate):
    pace, now, sent = Pace(rate), 0.0, []
    for gap in gaps:
        now += gap
        sent.append(now + pace.wait(now))
    assert sent == sorted(sent)
    for first, second in pairwise(sent):
        assert second - first >= 60.0 / rate - 1e-6


def test_without_a_limit_nobody_waits_unless_the_server_rests():
    pace = Pace(None)
    assert [pace.wait(5.0) for _ in range(3)] == [0.0, 0.0, 0.0]
    pace.rest(9.0)
    assert pace.wait(5.0) == 4.0 and pace.wait(10.0) == 0.0


def status(code, message="no", error_code=None, **headers):
    import httpx2

    request = httpx2.Request("POST", "http://host/v1")
    response = httpx2.Response(code, headers=headers, request=request)
    return api.APIStatusError(message, response=response, body={"message": message, "code": error_code})


def fault(error):
    return fault_of(error, api, "tiny", "MY_KEY", lambda text: text.replace("secret", "***"))


@pytest.mark.parametrize(
    ("code", "passes", "outage"),
    [
        *((code, False, False) for code in (400, 401, 403, 404, 422)),
        *((code, True, True) for code in (408, 409, 429, 500, 503, 529)),
    ],
)
def test_what_passes_and_what_does_not(code, passes, outage):
    found = fault(status(code))
    assert (found.passes, found.outage) == (passes, outage)
    assert isinstance(found.error("http://host/v1", 1), ChatOutage) == outage


def test_an_empty_account_is_an_outage_that_nobody_waits_for():
    found = fault(status(429, "pay\nup, secret", "insufficient_quota"))
    assert found == Fault("wants to be paid: pay up, *** (429)", False)


def test_a_server_that_asks_for_too_much_patience_is_down():
    found = fault(status(503, **{"Retry-After": "3600"}))
    assert not found.passes and found.line.endswith("and asks to wait 3600 seconds")
    assert fault(status(503, **{"Retry-After": "30"})) == Fault("is busy or down: no (503)", True, 30.0)


def test_a_defect_is_no_fault():
    with pytest.raises(KeyError):
        fault(KeyError("x"))


@given(st.text(max_size=2000))
def test_lines_are_lines(text):
    found = one_line(Exception(text))
    assert found and "\n" not in found and len(found) <= 303


def test_dates_are_relative_to_now():
    assert retry_after({"retry-after": formatdate(time.time() - 60, usegmt=True)}, time.time()) == 0.0
