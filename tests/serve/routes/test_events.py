import http.client
import json
import threading
from contextlib import contextmanager
from itertools import islice

import pytest

from mapsearch.controller.run import run_study
from mapsearch.store.store import Store


@pytest.fixture
def eventful(spec, url):
    run_study(spec(), url, inline=True)
    with Store.open(url) as store, store.control("tiny") as study:
        for text in ("one", "two\nlines", "three"):
            study.add_event("note", text)
    return url


@contextmanager
def stream(service, **headers):
    """The events of a stream, as (id, kind, data), as they come."""
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=30)
    sent = {"Authorization": f"Bearer {service.read}", **headers}
    connection.request("GET", "/api/v1/studies/tiny/events/stream", headers=sent)
    answer = connection.getresponse()
    assert answer.getheader("content-type", "").startswith("text/event-stream")
    yield events_of(answer)
    answer.close()
    connection.close()


def events_of(answer):
    fields = {}
    for line in iter(answer.readline, b""):
        name, _, text = line.decode().rstrip("\n").partition(": ")
        if name:
            fields[name] = text
        elif fields:
            yield fields.get("id"), fields["event"], json.loads(fields["data"])
            fields = {}


def test_a_cursor_beyond_every_event_waits_for_the_next(start, eventful):
    service = start("--storage", eventful)
    with stream(service, **{"Last-Event-ID": "9" * 20}) as events:
        assert next(events)[1] == "study"


def test_a_reader_who_reconnects_misses_nothing(start, eventful):
    service = start("--storage", eventful)
    everything = service.call("GET", "/studies/tiny/events?limit=1000").json
    assert [event["message"] for event in everything[-3:]] == ["one", "two\nlines", "three"]
    with stream(service) as first:
        assert next(first) == (str(everything[0]["id"]), "event", everything[0])
    with stream(service, **{"Last-Event-ID": str(everything[-2]["id"])}) as later:
        assert next(later)[2] == everything[-1]
        identity, kind, study = next(later)
        assert (identity, kind, study["name"], study["state"]) == (None, "study", "tiny", "complete")
        with Store.open(eventful) as store, store.control("tiny") as handle:
            handle.add_event("note", "four")
        assert next(event for _, kind, event in later if kind == "event")["message"] == "four"


def test_an_unknown_study_is_an_error_and_no_stream(service):
    assert service.call("GET", "/studies/none/events/stream").status == 404


def test_a_reader_who_comes_and_goes_while_a_study_writes_misses_nothing(start, eventful):
    service, texts = start("--storage", eventful), [f"event {number}" for number in range(60)]
    known = str(service.call("GET", "/studies/tiny/events?limit=1000").json[-1]["id"])

    def write():
        with Store.open(eventful) as store, store.control("tiny") as handle:
            for text in texts:
                handle.add_event("note", text)

    writer, read = threading.Thread(target=write), []
    writer.start()
    while len(read) < len(texts):
        with stream(service, **{"Last-Event-ID": known}) as events:
            n_wanted = min(7, len(texts) - len(read))
            page = list(islice((event for event in events if event[1] == "event"), n_wanted))
        known = page[-1][0]
        read += [event["message"] for _, _, event in page]
    writer.join()
    assert read == texts
