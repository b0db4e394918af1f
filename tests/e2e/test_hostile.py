"""Hostile input (integrity.md P12; facts.md on smuggling): more than 500 payloads, requests and files, each with its documented
answer, sent to one live daemon and to carbonctl. Afterwards the daemon lives, is ready, has grown by no more than a bound, has
changed nothing of what it stores, has logged no secret, and serves the next good request. Rows: tests/e2e/hostile."""
import concurrent.futures
import contextlib
import http.client
import itertools
import json
import os
import pathlib
import re
import select
import socket
import struct
import subprocess
import time

import pytest

from harness import CARBONCTL, Broker, Daemon, scratch, wait_until
from hostile import admin, bodies, fields, files, headers, heads, payloads
from story import uuid7

ANSWER_SECONDS = int(os.environ.get("HOSTILE_SECONDS", 20))
SETTINGS = {"http.key_rate": 1000000, "http.key_burst": 1000000, "http.peer_rate": 1000000, "http.peer_burst": 1000000,  # the rows come fast
            "http.header_deadline_ms": 1500, "http.body_deadline_ms": 3000}
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"


def resident_mib(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", text)[1]) // 1024


NAMES = itertools.count()


class Publisher:
    """MQTT 3.1.1, QoS 1, by hand: what a client library would not let out."""

    def __init__(self, port):
        self.port, self.number, self.name = port, 0, f"hostile-{next(NAMES)}".encode()
        self.connect()

    def connect(self):
        self.socket = socket.create_connection(("127.0.0.1", self.port), ANSWER_SECONDS)
        self.send(0x10, b"\0\4MQTT\4\2\0\0" + struct.pack(">H", len(self.name)) + self.name)
        assert self.receive(4)[3] == 0

    def send(self, kind, body):
        size, length = len(body), b""
        while True:
            size, digit = divmod(size, 128)
            length += bytes([digit | (0x80 if size else 0)])
            if not size:
                break
        self.socket.sendall(bytes([kind]) + length + body)

    def receive(self, size):
        data = b""
        while len(data) < size:
            more = self.socket.recv(size - len(data))
            assert more, "the broker has hung up"
            data += more
        return data

    def publish(self, topic, payload, retain=False):
        self.number += 1
        topic = topic.encode()
        self.send(0x33 if retain else 0x32, struct.pack(">H", len(topic)) + topic + struct.pack(">H", self.number) + payload)
        assert self.receive(4) == b"\x40\2" + struct.pack(">H", self.number)


class Stand:
    """The daemon with a small plant, and every way in."""

    def __init__(self, folder):
        self.folder = folder
        self.broker = Broker(folder / "broker")
        self.daemon = Daemon(folder / "carbond", self.broker, SETTINGS).init().start()
        self.keys = {"admin": self.daemon.key, "none": None}
        org = self.daemon.first["organisation_id"]
        for name, roles in (("all", ["org-admin", "operator", "verifier", "issuer", "trader", "buyer", "service"]), ("device", ["device"]), ("compliance", ["compliance", "auditor"])):
            self.keys[name] = self.must("POST", "/v1/keys", {"org_id": org, "label": name, "roles": roles}, "admin", 201)["key"]
        unit = {**bodies.UNIT, "slug": "plant-1", "code": "P1", "state": "planned"}
        unit_id = self.must("POST", "/v1/units", unit, "all", 201)["id"]
        other = self.must("POST", "/v1/organisations", {"slug": "globex", "name": "Globex", "country": "DE"}, "admin", 201)["id"]
        point = self.must("POST", "/v1/metering-points", {"unit_id": unit_id, "code": "M1", "name": "Gas", "role": "captured", "claimable": True}, "all", 201)["id"]
        sensor = {"metering_point_id": point, "tag": "FT-101", "quantity": "mass_flow", "unit": "kg/h", "sampling_period_us": 1000000, "range_low": 0, "range_high": 5000, "primary": True}
        sensor_id = self.must("POST", "/v1/sensors", sensor, "all", 201)["id"]
        self.must("POST", "/v1/sensors", {**sensor, "tag": "OLD-1", "primary": False, "state": "retired"}, "all", 201)
        project = {"unit_id": unit_id, "name": "Capture", "methodology": "DAC1", "methodology_version": 1, "kind": "removal", "storage": "basalt", "atmospheric_ppm": 1000000, "biogenic_ppm": 0, "fossil_ppm": 0,
                   "recycled_ppm": 0, "durability_class": "geological", "risk_score": 5, "factor_set": "ember", "factor_set_version": 1, "electricity_factor": "grid-is", "crediting_from": "2026-01-01T00:00:00Z",
                   "crediting_to": "2031-01-01T00:00:00Z", "schedules": []}
        project_id = self.must("POST", "/v1/projects", project, "all", 201)["id"]
        period_id = self.must("POST", "/v1/periods", {"project_id": project_id, "from": "2026-03-01T00:00:00Z", "to": "2026-03-02T00:00:00Z"}, "all", 201)["id"]
        for verb in ("hold", "release"):  # two batches of the journal
            self.must("POST", f"/v1/accounts/{other}/{verb}", {"reason": "a test"}, "compliance", 200)
        self.places = {"UNIT": unit_id, "POINT": point, "SENSOR": sensor_id, "ORG": org, "PROJECT": project_id, "PERIOD": period_id, "NOUNIT": uuid7(), "CURSOR": ""}
        self.publisher = Publisher(self.broker.port)
        self.quarantined, self.taken = set(), 0

    def must(self, method, path, body, key, status):
        got, answer, _ = self.daemon.request(method, path, body, {"Idempotency-Key": uuid7()}, key=self.keys[key])
        assert got == status, (path, got, answer)
        return answer

    def stop(self):
        with contextlib.suppress(OSError):
            self.publisher.socket.close()
        self.daemon.stop()
        self.broker.stop()

    def stored(self):
        """What must not change, as everybody who may sees it."""
        seen = {}
        for path in ("organisations", "keys", "units", "metering-points", "sensors", "calibrations", "overlays", "projects", "periods", "verifiers", "batches", "holdings", "transfers", "retirements", "methodologies", "factor-sets", "receipts", "accounts"):
            seen[path] = self.daemon.get(f"/v1/{path}?limit=1000", key=self.keys["admin" if path in ("organisations", "accounts") else "all"])
        for key in seen["keys"]["items"]:
            key.pop("last_used_at", None)
        seen["journal"] = self.daemon.get("/v1/journal/batches", key=self.keys["compliance"])
        seen["audit"] = self.daemon.get(f"/v1/audit/records?limit=1000&org_id={self.places['ORG']}", key=self.keys["admin"])["items"]
        return seen


# --- one row, by transport: what came of it, in the words of the row's expectation ---

def told(status, headers, body):
    """An answer as "status slug pointer"; a refusal must be a whole problem document (RFC 9457)."""
    if status < 400:
        return str(status)
    if "problem+json" not in headers.get("Content-Type", ""):
        return f"{status}"
    problem = json.loads(body)
    assert problem["status"] == status and problem["title"] and problem["detail"] and problem["instance"], problem
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", problem["detail"] + problem.get("pointer", "")), problem
    slug = problem["type"].rsplit("/", 1)[1]
    if status == 422 and problem.get("pointer"):  # which field, and what it may be
        assert problem["pointer"].rsplit("/", 1)[1] in problem["detail"] and len(problem["detail"]) > len(problem["pointer"]) + 5, problem
    return f"{status} {slug} {problem.get('pointer', '')}".strip() if problem.get("pointer") else f"{status} {slug}"


def read_answer(stream):
    """(status, headers, body) of one answer; None where the connection ends without one."""
    answer = http.client.HTTPResponse(stream)
    try:
        answer.begin()
    except (http.client.BadStatusLine, ConnectionError):
        return None
    return answer.status, dict(answer.headers), answer.read()


def ask_raw(stand, row):
    data = row.send.replace(b"KEY", stand.keys["all"].encode()).replace(b"1000000000000000", b"%d" % int(time.time() * 1e6))
    with socket.create_connection(("127.0.0.1", stand.daemon.port), ANSWER_SECONDS) as stream:
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        ends = row.expect.startswith(("closed", "400"))
        with contextlib.suppress(ConnectionError):
            stream.sendall(data + (SMUGGLED if row.expect.startswith("400") else b""))
            if row.expect.startswith("closed"):
                stream.shutdown(socket.SHUT_WR)
        answer = read_answer(stream)
        if answer is None:
            return "closed"
        if ends:  # nothing may follow
            rest = b""
            with contextlib.suppress(ConnectionError):
                while more := stream.recv(65536):
                    rest += more
            assert b"HTTP/1.1" not in rest, (row.name, rest[:200])
        return told(*answer)


def connection_of(stand, kept):
    if kept.get("http") is None:
        kept["http"] = http.client.HTTPConnection("127.0.0.1", stand.daemon.port, timeout=ANSWER_SECONDS)
    return kept["http"]


def ask_http(stand, row, kept):
    ask = row.send
    target, given, body = ask.target, dict(ask.headers), ask.body
    for name, value in stand.places.items():
        target = re.sub(rf"(?<=[/=]){name}(?=$|[/?&])", value, target)
    if isinstance(body, (dict, list)):
        body = json.dumps(body).encode()
    if body is not None:
        given.setdefault("Content-Type", "application/json")
    key = stand.keys[ask.key]
    if key:
        given.setdefault("Authorization", f"Bearer {key}")
    if given.get("Authorization") == "Bearer CHANGED":
        given["Authorization"] = "Bearer " + stand.keys["all"][:-1] + ("A" if stand.keys["all"][-1] != "A" else "B")
    connection = connection_of(stand, kept)
    try:
        connection.putrequest(ask.method, target, skip_accept_encoding=True)
        for name, value in given.items():
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders()
        if body is not None:
            with contextlib.suppress(ConnectionError):  # refused by its head: the rest is not read
                connection.send(body)
        answer = connection.getresponse()
        result = told(answer.status, dict(answer.headers), answer.read())
        if answer.status == 429:
            raise AssertionError(f"{row.name}: the rows ask too fast")
        return result
    finally:
        connection.close()


MOMENT = itertools.count()


def timed(data):
    """The payload with times that the sensor takes and that no other row has."""
    now = int(time.time())
    t = now * 1_000_000 - next(MOMENT)
    return data.replace(b'"t":T', b'"t":%d' % t).replace(b'"t0":T', b'"t0":%d' % t).replace(b":SEC", b":%d" % now)


def ask_readings(stand, row, kept):
    payload = row.send
    connection = connection_of(stand, kept)
    try:
        connection.request("POST", "/v1/readings" + payload.query, timed(payload.data), {"Content-Type": payload.media, "Authorization": f"Bearer {stand.keys['all']}"})
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            return told(answer.status, dict(answer.headers), text)
        refused = [item for item in json.loads(text)["items"] if item["status"] == "quarantined"]
        assert all(item["detail"] for item in refused)
        return refused[0]["reason"] if refused else "accepted"
    finally:
        connection.close()


def quarantine_rows(stand):
    rows, cursor = [], ""
    while cursor is not None:
        page = stand.daemon.get(f"/v1/quarantine?limit=1000{cursor}", key=stand.keys["all"])
        rows += page["items"]
        cursor = f"&cursor={page['next_cursor']}" if "next_cursor" in page else None
    return rows


def ask_mqtt(stand, row):
    """The message is durable when it is counted; what it left in the quarantine is new there."""
    stand.quarantined = stand.quarantined or {item["id"] for item in quarantine_rows(stand)}
    stand.publisher.publish(row.send.topic, timed(row.send.data))
    if row.expect == "nothing":
        return "nothing"  # the next row finds it counted if it is not so
    stand.taken += 1
    end = time.monotonic() + ANSWER_SECONDS
    while stand.daemon.metric("carbond_mqtt_messages_total") < stand.taken:
        assert time.monotonic() < end, "the message is not taken"
    assert stand.daemon.metric("carbond_mqtt_messages_total") == stand.taken, f"{row.name}: another message was taken too"
    new = [item for item in quarantine_rows(stand) if item["id"] not in stand.quarantined]
    stand.quarantined |= {item["id"] for item in new}
    assert all(item["detail"] and len(item["raw"].encode()) <= 4096 for item in new), new
    return new[0]["reason"] if new else "accepted"


def ask_file(stand, row, number):
    path = stand.folder / f"file-{number}"
    if row.send.data is not None:
        path.write_bytes(row.send.data)
    arguments = [{"@": str(path), "@@": f"@{path}"}.get(word, word) for word in row.send.arguments]
    run = subprocess.run([str(CARBONCTL), *arguments], capture_output=True, timeout=ANSWER_SECONDS,
                         env={**os.environ, "CARBOND_URL": f"http://127.0.0.1:{stand.daemon.port}", "CARBOND_API_KEY": stand.keys["admin"]})
    printed = (run.stdout + run.stderr).decode(errors="replace").replace(str(path), "@")
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", printed), printed
    code, words = row.expect.split(" ", 1)
    return row.expect if run.returncode == int(code) and words in printed else f"{run.returncode} {printed[-300:]}"


def ask_admin(stand, row):
    """One line to the admin socket: the slug of its answer."""
    with socket.socket(socket.AF_UNIX) as stream:
        stream.settimeout(ANSWER_SECONDS)
        stream.connect(str(stand.daemon.data / "admin.sock"))
        with contextlib.suppress(ConnectionError):
            stream.sendall(row.send)
        answer = b""
        with contextlib.suppress(ConnectionError):
            while not answer.endswith(b"\n") and (more := stream.recv(65536)):
                answer += more
        if not answer:
            return "closed"
        answer = json.loads(answer)
        return "ok" if answer["ok"] else f"{answer['error']['status']} {answer['error']['slug']} {answer['error'].get('pointer', '')}".strip()


def matches(row, got):
    """"422 invalid-field|read-only-field /name": any of the slugs, and the pointer; where none is wanted any will do."""
    said, _, pointer = row.expect.partition(" /")
    first, *others = said.split("|")
    choices = [first, *(other if other[:3].isdigit() else f"{first.split()[0]} {other}" for other in others)]
    if pointer:
        return got in [f"{choice} /{pointer}" for choice in choices]
    return any(got == choice or (" " in choice and got.startswith(choice + " /")) for choice in choices)


@pytest.fixture(scope="module")
def stand():
    with scratch() as folder:
        made = Stand(folder)
        try:
            yield made
        finally:
            made.stop()


def test_each_row_gets_its_documented_answer(stand):
    before, memory = stand.stored(), resident_mib(stand.daemon.process.pid)
    openapi = stand.daemon.get("/openapi.json")
    tables = {
        "http-raw": (list(heads.rows()), lambda row, kept, number: ask_raw(stand, row)),
        "http": ([*bodies.rows(), *headers.rows(), *fields.rows(openapi, stand.places["UNIT"])], lambda row, kept, number: ask_http(stand, row, kept)),
        "mqtt": (list(payloads.mqtt_rows()), lambda row, kept, number: ask_mqtt(stand, row)),
        "readings": (list(payloads.http_rows()), lambda row, kept, number: ask_readings(stand, row, kept)),
        "admin": (list(admin.rows()), lambda row, kept, number: ask_admin(stand, row)),
        "file": (list(files.rows(before["journal"], stand.folder, stand.broker.port)), lambda row, kept, number: ask_file(stand, row, number)),
    }
    names = [f"{transport} {row.name} {row.expect}" for transport, (rows, _) in tables.items() for row in rows]
    assert len(set(names)) == len(names) >= 500, [name for name in set(names) if names.count(name) > 1]
    wrong, kept = [], {}

    def check(number, row, ask):
        try:
            got = ask(row, kept, number)
        except Exception as fault:  # a hang, a broken answer: this row's result, and the others still run
            got = f"{type(fault).__name__}: {fault}"
            assert stand.daemon.process.alive(), (row.name, stand.daemon.process.text()[-3000:])
        return None if matches(row, got) else f"{row.name}: wanted {row.expect}, got {got}"

    for transport, (rows, ask) in tables.items():
        begin = time.monotonic()
        at_once = 8 if transport == "http-raw" else 2 if transport == "file" else 1  # some raw rows wait for a deadline
        with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
            wrong += [f"{transport}: {fault}" for fault in pool.map(check, range(len(rows)), rows, itertools.repeat(ask)) if fault]
        print(f"{transport}: {len(rows)} rows in {time.monotonic() - begin:.1f} s")
    assert not wrong, f"{len(wrong)} of {len(names)} rows:\n" + "\n".join(wrong[:int(os.environ.get("HOSTILE_SHOWN", 60))])
    check_unharmed(stand, before, memory)


def check_unharmed(stand, before, memory):
    daemon = stand.daemon
    assert daemon.process.alive() and daemon.request("GET", "/readyz")[0] == 200
    assert resident_mib(daemon.process.pid) - memory < 400
    log = daemon.process.text()
    for name, key in stand.keys.items():
        assert not key or key.split("_")[-1] not in log, f"the log holds the key {name}"
    assert "/smuggled" not in log
    for line in log.splitlines():
        entry = json.loads(line)  # nobody forged or broke a line
        assert entry["level"] not in ("error", "fatal") or entry["event"] == "admin_verb_failed", entry
    assert stand.stored() == before
    flow = stand.places["SENSOR"]
    now = int(time.time()) * 1_000_000
    status, answer, _ = daemon.request("POST", "/v1/readings?unit=plant-1", {"t": now, "v": {"FT-101": 4321}}, key=stand.keys["all"])
    assert status == 200 and answer["accepted"] == 1, answer
    taken = lambda at: [row["value"] for row in daemon.get(f"/v1/sensors/{flow}/readings?from={at}&to={at + 1}&agg=raw", key=stand.keys["all"])["items"]]  # durable at once, shown soon
    wait_until(lambda: taken(now) == [4321], "the next request's reading is there")
    stand.publisher.publish("carbond/v1/acme/plant-1/readings", b'{"t":%d,"v":{"FT-101":1234}}' % (now - 1))
    wait_until(lambda: taken(now - 1) == [1234], "the next message is taken")


def test_a_packet_that_is_none_ends_at_the_broker(stand):
    """Remaining length of 256 MB, a length of five bytes, a topic with wildcards, an unknown packet: they end at the
    broker; carbond's own connection stays and takes nothing."""
    taken = stand.daemon.metric("carbond_mqtt_messages_total")
    for packet in (b"\x32\xff\xff\xff\x7f" + b"\0" * 1000, b"\x32\xff\xff\xff\xff\x01", b"\x32\x09\0\3a/#\0\1xx", b"\xf0\0", b"\x32\x02\xff\xff", b"\x36\x05\0\1a\0\1", b"\x32\x06\0\2\xc0\x80\0\1",
                   b"\x32\x2a\0\x26$SYS/carbond/v1/acme/plant-1/readings\0\1"):
        publisher = Publisher(stand.broker.port)
        publisher.socket.settimeout(ANSWER_SECONDS)
        with contextlib.suppress(OSError):  # it may have hung up already
            publisher.socket.sendall(packet)
            publisher.socket.shutdown(socket.SHUT_WR)
            assert publisher.socket.recv(100) == b"", packet
        publisher.socket.close()
    stand.publisher.publish("carbond/v1/acme/plant-1/readings", b'{"t":%d,"v":{"FT-101":5}}' % (int(time.time()) * 1_000_000 - 9))
    wait_until(lambda: stand.daemon.metric("carbond_mqtt_messages_total") > taken, "the next message is taken")
    assert stand.daemon.metric("carbond_mqtt_messages_total") == taken + 1 and stand.daemon.ready()


def test_a_retained_message_is_taken_once_and_not_again_after_a_restart(stand):
    now = int(time.time()) * 1_000_000 - 5
    stand.publisher.publish("carbond/v1/acme/plant-1/readings", b'{"t":%d,"v":{"FT-101":77}}' % now, retain=True)
    path = f"/v1/sensors/{stand.places['SENSOR']}/readings?from={now}&to={now + 1}&agg=raw"
    wait_until(lambda: stand.daemon.get(path, key=stand.keys["all"])["items"], "the retained message is taken")
    quarantined = len(quarantine_rows(stand))
    stand.daemon.stop()
    stand.daemon.start()
    wait_until(stand.daemon.ready, "it is ready again")
    wait_until(lambda: [row["value"] for row in stand.daemon.get(path, key=stand.keys["all"])["items"]] == [77], "it is there once")
    assert len(quarantine_rows(stand)) == quarantined
