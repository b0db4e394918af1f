"""How readings come in, seen from outside: every payload form over HTTP and MQTT, the quarantine and its two answers,
receipts, a disk without space (decision 9), and two daemons that use one node's name by mistake."""
import json
import os
import subprocess
import time

import pytest

from harness import Broker, Daemon, scratch, wait_until

KEY_ID = "0190b3a0-0000-7000-8000-0000000000"


def plant(daemon):
    """One unit, one point, one sensor FT-101 in kg/h 0..5000; the daemon then acts as the plant's operator."""
    organisation = daemon.get("/v1/organisations")["items"][0]["id"]
    daemon.key = post(daemon, "/v1/keys", {"label": "operator", "org_id": organisation, "roles": ["org-admin", "operator"]},
                      {"Idempotency-Key": KEY_ID + "01"}, 201)["key"]
    unit = post(daemon, "/v1/units", {"slug": "plant-1", "code": "P1", "name": "Plant", "country": "DE", "nameplate_kg_per_hour": 1000,
                                      "nameplate_margin_ppm": 1050000, "state": "planned"}, status=201)["id"]
    point = post(daemon, "/v1/metering-points", {"unit_id": unit, "code": "M1", "name": "Gas", "role": "captured", "claimable": True}, status=201)["id"]
    return point, sensor(daemon, point, "FT-101", True)


def sensor(daemon, point, tag, primary=False):
    return post(daemon, "/v1/sensors", {"metering_point_id": point, "tag": tag, "name": tag, "quantity": "mass_flow", "unit": "kg/h",
                                        "sampling_period_us": 1000000, "range_low": 0, "range_high": 5000, "primary": primary}, status=201)["id"]


def post(daemon, path, body=None, headers=None, status=200):
    code, answer, _ = daemon.request("POST", path, body, headers)
    assert code == status, (path, code, answer)
    return answer


def publish(broker, payload, topic="carbond/v1/acme/plant-1/readings"):
    subprocess.run(["mosquitto_pub", "-p", str(broker.port), "-q", "1", "-t", topic, "-m", payload if isinstance(payload, str) else json.dumps(payload)],
                   check=True)


def values(daemon, sensor, start, end):
    return [(row["value"]) for row in daemon.get(f"/v1/sensors/{sensor}/readings?from={start}&to={end}&agg=raw")["items"]]


@pytest.fixture
def running():
    with scratch() as folder:
        broker = Broker(folder / "broker")
        daemon = Daemon(folder / "carbond", broker).init().start()
        try:
            yield folder, broker, daemon, *plant(daemon)
        finally:
            daemon.stop()
            broker.stop()


def test_every_form_is_taken_and_judged(running):
    folder, broker, daemon, point, flow = running
    now = int(time.time()) * 1_000_000
    answer = post(daemon, "/v1/readings?unit=plant-1", {"t": now, "v": {"FT-101": 1, "NOPE": 2}})
    assert (answer["accepted"], answer["quarantined"]) == (1, 1)
    assert [row["status"] for row in answer["items"]] == ["accepted", "quarantined"]
    assert answer["items"][1]["reason"] == "unknown_sensor" and "NOPE" in answer["items"][1]["detail"]
    answer = post(daemon, "/v1/readings", {"unit": "plant-1", "items": [{"t": now - 1_000_000, "v": {"FT-101": 2}}, {"t": now, "v": {"FT-101": 5001}}]})
    assert [row.get("reason") for row in answer["items"]] == [None, "out_of_range"] and "0..5000 kg/h" in answer["items"][1]["detail"]
    answer = post(daemon, "/v1/readings?unit=plant-1", {"tag": "FT-101", "t0": now - 10_000_000, "dt": 1_000_000, "v": [10, 11, None, 13]})
    assert [(row["index"], row["count"], row["status"]) for row in answer["items"]] == [(0, 2, "accepted"), (2, 1, "quarantined"), (3, 1, "accepted")]
    lines = "\n".join([json.dumps({"t": now - 20_000_000, "v": {"FT-101": 3}}), "nonsense", json.dumps({"t": now - 19_000_000, "v": {"FT-101": 4}})])
    answer = post(daemon, "/v1/readings?unit=plant-1", lines, {"Content-Type": "application/x-ndjson"})
    assert [row.get("reason") for row in answer["items"]] == [None, "malformed", None]
    senml = json.dumps([{"n": "FT-101", "u": "kg/h", "bt": now // 1_000_000 - 30, "v": 5}, {"n": "FT-101", "u": "kg", "t": 1, "v": 6}])
    answer = post(daemon, "/v1/readings?unit=plant-1", senml, {"Content-Type": "application/senml+json"})
    assert [row.get("reason") for row in answer["items"]] == [None, "wrong_unit"]
    assert post(daemon, "/v1/readings", {"t": now, "v": {"FT-101": 1}}, status=422)["pointer"] == "/unit"
    assert "byte" in post(daemon, "/v1/readings?unit=plant-1", '{"t":1', {"Content-Type": "application/json"}, 400)["detail"]
    publish(broker, {"t": now - 40_000_000, "v": {"FT-101": 7}, "boot": "b1", "seq": 1})
    publish(broker, [{"t": now - 39_000_000, "v": {"FT-101": 8}, "boot": "b1", "seq": 2}, {"t": now - 38_000_000, "v": {"FT-101": 9}, "boot": "b1", "seq": 4}])
    wait_until(lambda: len(values(daemon, flow, now - 60_000_000, now + 1)) == 11, "all readings are there")
    assert values(daemon, flow, now - 60_000_000, now + 1) == [7, 8, 9, 5, 3, 4, 10, 11, 13, 2, 1]
    receipt = daemon.get("/v1/receipts")["items"][0]
    assert (receipt["boot"], receipt["seq"], receipt["highest_seq"]) == ("b1", 2, 4)


def test_a_refused_item_is_redriven_once_it_has_a_sensor(running):
    folder, broker, daemon, point, flow = running
    now = int(time.time()) * 1_000_000
    publish(broker, {"t": now, "v": {"LATER": 5.25, "NEVER": 1}})
    publish(broker, {"t": now, "v": {"LATER": 5.25, "NEVER": 1}})  # again: the same rows
    publish(broker, {"t": now, "v": {"FT-101": 1}}, "carbond/v1/acme/plant-9/readings")
    wait_until(lambda: len(daemon.get("/v1/quarantine")["items"]) == 3, "the quarantine holds them")
    rows = {row["tag"]: row for row in daemon.get("/v1/quarantine?state=open")["items"]}
    assert rows["FT-101"]["reason"] == "unknown_unit"
    assert "still refused" in post(daemon, f"/v1/quarantine/{rows['LATER']['id']}/redrive", status=422)["detail"]
    later = sensor(daemon, point, "LATER")
    assert post(daemon, f"/v1/quarantine/{rows['LATER']['id']}/redrive")["state"] == "redriven"
    assert values(daemon, later, now - 1, now + 1) == [5.25]
    post(daemon, f"/v1/quarantine/{rows['LATER']['id']}/redrive", status=412)
    assert post(daemon, f"/v1/quarantine/{rows['NEVER']['id']}/discard")["state"] == "discarded"
    actions = [record["action"] for record in daemon.get("/v1/audit/records?limit=10")["items"]]
    assert actions.count("quarantine.redrive") == 1 and actions.count("quarantine.discard") == 1


def test_without_space_nothing_is_acknowledged_and_nothing_lost(running):
    folder, broker, daemon, point, flow = running
    now = int(time.time()) * 1_000_000
    assert daemon.stop() == 0
    free = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize
    daemon.settings["store.low_water_mb"] = (free >> 20) - 512
    daemon.start()
    filler = folder / "filler"
    with open(filler, "wb") as file:
        os.posix_fallocate(file.fileno(), 0, 1 << 30)  # the disk is as good as full: below the low-water mark
    wait_until(lambda: daemon.request("GET", "/readyz")[0] == 503, "it is not ready")
    assert post(daemon, "/v1/readings?unit=plant-1", {"t": now - 1_000_000, "v": {"FT-101": 2}}, status=507)["type"].endswith("no-space")
    publish(broker, {"t": now, "v": {"FT-101": 1}})
    wait_until(lambda: daemon.metric("carbond_mqtt_refused_batches_total") > 0, "the batch is held")
    assert daemon.metric("carbond_mqtt_messages_total") == 0
    assert values(daemon, flow, now - 2_000_000, now + 1) == []
    filler.unlink()
    wait_until(lambda: values(daemon, flow, now - 2_000_000, now + 1) == [1], "it goes on when there is space")
    wait_until(daemon.ready, "it is ready again")
    assert post(daemon, "/v1/readings?unit=plant-1", {"t": now - 1_000_000, "v": {"FT-101": 2}})["accepted"] == 1


def test_two_daemons_of_one_name_do_not_fight(running):
    folder, broker, daemon, point, flow = running
    other = Daemon(folder / "other", broker).init("other").start()
    try:
        wait_until(lambda: "mqtt_session_taken" in daemon.process.text(), "the first one says so")
        status, body, _ = daemon.request("GET", "/readyz")
        assert status == 503 and "taken" in json.dumps(body)
        wait_until(other.ready, "the second one has the session")
        assert other.metric("carbond_mqtt_connections_total") <= 2
    finally:
        other.stop()
