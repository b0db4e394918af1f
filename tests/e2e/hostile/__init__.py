"""Hostile input as rows: each says what is sent, over which transport, and the documented answer. test_hostile.py sends them
all to one live daemon. A row that is answered otherwise, not at all, or late is a failure."""
from typing import Any, NamedTuple


class Row(NamedTuple):
    name: str
    send: Any  # http-raw: bytes; http: Ask; readings and mqtt: Payload; file: File
    expect: str
    # http-raw: "400 bad-request" (an answer, then the connection's end), "200" (one answer), "closed" (an end without an answer)
    # http:     "422 invalid-field /name" (status, problem's slug, JSON pointer where one is due)
    # readings: "422 missing-field /unit", or of 200 the first quarantined item's reason, or "accepted"
    # mqtt:     the reason of the newest row in the quarantine, "accepted", or "nothing"
    # file:     "5 words of the message": exit code and a part of what is printed


class Ask(NamedTuple):
    method: str
    target: str
    body: Any = None  # bytes, text, or what becomes JSON
    headers: dict = {}
    key: str = "all"  # whose: all (an operator with every role of its organisation), admin, or none


class Payload(NamedTuple):
    data: bytes
    media: str = "application/json"
    topic: str = "carbond/v1/acme/plant-1/readings"
    query: str = "?unit=plant-1"


class File(NamedTuple):
    arguments: tuple  # of carbonctl; "@" stands for the file
    data: Any  # bytes; None: no such file
