"""Readings in and out over HTTP and MQTT: answers per item, formats, quarantine with re-drive, late data, CSV."""
import datetime
import itertools
import json
import math
import statistics
import subprocess

import pytest

from harness import Broker, Daemon, scratch, wait_until

NOW = datetime.datetime.now(datetime.timezone.utc).replace(minute=0, second=0, microsecond=0)


def iso(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture(scope="module")
def world():
    with scratch() as folder:
        broker = Broker(folder / "broker")
        daemon = Daemon(folder / "carbond", broker).init().start()
        try:
            org = daemon.first["organisation_id"]
            daemon.key = daemon.request("POST", "/v1/keys", {"org_id": org, "label": "operator", "roles": ["operator", "org-admin"]})[1]["key"]
            unit = daemon.request("POST", "/v1/units", {"slug": "u", "code": "UU", "name": "u", "country": "IS", "nameplate_kg_per_hour": 10})[1]["id"]
            point = daemon.request("POST", "/v1/metering-points", {"unit_id": unit, "code": "P", "name": "p", "role": "other"})[1]["id"]
            sensor = daemon.request("POST", "/v1/sensors", {"metering_point_id": point, "tag": "T-1", "quantity": "temperature", "unit": "Cel",
                                                            "sampling_period_us": 60000000, "range_low": -50, "range_high": 100})[1]
            daemon.unit, daemon.sensor, daemon.broker = unit, sensor, broker
            yield daemon
            assert daemon.stop() == 0
        finally:
            if daemon.process.alive():
                daemon.stop()
            broker.stop()


def send(daemon, body, media="application/json", unit="u"):
    if not isinstance(body, str):
        body = json.dumps(body)
    return daemon.request("POST", f"/v1/readings?unit={unit}", body, {"Content-Type": media})[:2]


def values(daemon, start, end):
    rows = daemon.get(f"/v1/sensors/{daemon.sensor['id']}/readings?from={iso(start)}&to={iso(end)}&agg=raw&limit=1000")["items"]
    return [(row["time"], row["value"]) for row in rows]


def test_each_item_is_answered(world):
    t = NOW - datetime.timedelta(hours=3)
    status, answer = send(world, [{"t": iso(t), "v": {"T-1": 20.5}}, {"t": iso(t + datetime.timedelta(minutes=1)), "v": {"T-1": 500}},
                                  {"t": iso(t), "v": {"T-9": 1}}, {"t": iso(NOW + datetime.timedelta(days=2)), "v": {"T-1": 1}}])
    assert status in (200, 207), answer
    assert answer["accepted"] == 1 and answer["quarantined"] == 3, answer
    reasons = [item["reason"] for item in answer["items"] if item.get("reason")]
    assert reasons == ["out_of_range", "unknown_sensor", "in_future"]
    wait_until(lambda: values(world, t, t + datetime.timedelta(hours=1)) == [(iso(t), 20.5)], "the accepted reading can be read")


def test_every_payload_format(world):
    t = NOW - datetime.timedelta(hours=5)
    at = lambda minutes: t + datetime.timedelta(minutes=minutes)
    us = lambda moment: int(moment.timestamp() * 1_000_000)
    bodies = [("application/json", {"t": us(at(0)), "v": {"T-1": 1.25}}),
              ("application/json", {"tag": "T-1", "t0": us(at(1)), "dt": 60000000, "v": [2.5, 3.5]}),
              ("application/x-ndjson", "\n".join(json.dumps({"t": us(at(m)), "v": {"T-1": m}}) for m in (3, 4)) + "\n"),
              ("application/senml+json", [{"bn": "T-", "bu": "Cel", "bt": at(5).timestamp(), "n": "1", "v": 5.5}, {"n": "1", "t": 60, "v": 6.5}])]
    for media, body in bodies:
        status, answer = send(world, body, media)
        assert status in (200, 207) and answer["quarantined"] == 0, (media, answer)
    expected = [(iso(at(m)), v) for m, v in enumerate([1.25, 2.5, 3.5, 3, 4, 5.5, 6.5])]
    wait_until(lambda: values(world, t, at(60)) == expected, "all formats can be read")


def test_mqtt_reading_and_quarantine_with_redrive(world):
    t = NOW - datetime.timedelta(hours=7)
    message = json.dumps({"t": iso(t), "v": {"T-1": 120}})
    subprocess.run(["mosquitto_pub", "-h", "127.0.0.1", "-p", str(world.broker.port), "-q", "1", "-t", "carbond/v1/acme/u/readings", "-m", message], check=True)
    find = lambda: [row for row in world.get("/v1/quarantine?limit=100")["items"] if row["reason"] == "out_of_range" and row.get("time") == iso(t)]
    row = wait_until(find, "the reading is in the quarantine")[0]
    assert "100" in row["detail"] and row["state"] == "open"
    status, answer, _ = world.request("POST", f"/v1/quarantine/{row['id']}/redrive")
    assert status == 422, answer
    status, sensor, _ = world.request("PATCH", f"/v1/sensors/{world.sensor['id']}", {"range_high": 150}, {"If-Match": f'"{world.sensor["version"]}"'})
    assert status == 200, sensor
    status, answer, _ = world.request("POST", f"/v1/quarantine/{row['id']}/redrive")
    assert status == 200, answer
    wait_until(lambda: values(world, t, t + datetime.timedelta(hours=1)) == [(iso(t), 120)], "the re-driven reading can be read")


def test_same_key_with_another_value(world):
    t = NOW - datetime.timedelta(hours=9)
    for value in (1, 1, 2):
        send(world, {"t": iso(t), "v": {"T-1": value}})
    # it is found where the bucket is built: when it closes or, as here, is flushed
    world.stop()
    world.start()
    wait_until(lambda: [row for row in world.get("/v1/quarantine?limit=100")["items"] if row["reason"] in ("conflict", "closed_conflict") and row.get("time") == iso(t)],
               "the conflict is in the quarantine")


def test_csv_and_errors_name_the_field(world):
    path = f"/v1/sensors/{world.sensor['id']}/readings?from={iso(NOW - datetime.timedelta(hours=12))}&to={iso(NOW)}&agg=mean&step=1h"
    status, text, headers = world.request("GET", path + "&format=csv")
    assert status == 200 and headers["Content-Type"].startswith("text/csv") and text.decode().splitlines()[0].startswith("time")
    for wrong, pointer in (("&agg=median2", "agg"), ("&step=-5", "step"), ("&limit=0", "limit")):
        status, problem, _ = world.request("GET", path.replace("&agg=mean", "").replace("&step=1h", "") + wrong)
        assert status in (400, 422) and pointer in json.dumps(problem), problem


def test_reduction_across_sensors(world):
    """Issue 5: one row a step over the sensors that have a reading in it, as computed here from what was sent."""
    point = world.request("POST", "/v1/metering-points", {"unit_id": world.unit, "code": "A", "name": "a", "role": "other"})[1]["id"]
    start, sent, ids = NOW - datetime.timedelta(hours=11), {}, []
    for number in range(5):
        sensor = {"metering_point_id": point, "tag": f"A-{number}", "quantity": "temperature", "unit": "Cel", "sampling_period_us": 10_000_000}
        ids.append(world.request("POST", "/v1/sensors", sensor | {"range_low": -50, "range_high": 150})[1]["id"])
        # sensor 0 is silent, 1 ends early, 2 begins late, 3 has half the readings, 4 all
        seconds = [range(0), range(0, 1800, 10), range(600, 3600, 10), range(0, 3600, 20), range(0, 3600, 10)][number]
        sent[number] = {second: round((second * (number + 3) % 977) / 10 - 7, 2) for second in seconds}
        items = [{"t": iso(start + datetime.timedelta(seconds=second)), "v": {f"A-{number}": value}} for second, value in sent[number].items()]
        if items:
            status, answer = send(world, items)
            assert status == 200 and answer["accepted"] == len(items), answer
    path = f"/v1/readings?sensors={','.join(ids)}&from={iso(start)}&to={iso(start + datetime.timedelta(hours=1))}&step=1m"
    reduce = {"mean": statistics.fmean, "min": min, "max": max, "sum": math.fsum, "count": len}
    within = {"mean": statistics.fmean, "max": max, "count": len}

    def differs():
        for (across, over), (agg, of) in itertools.product(reduce.items(), within.items()):
            rows = world.get(f"{path}&agg={agg}&across={across}")["items"]
            assert len(rows) == 60
            for minute, row in enumerate(rows):
                steps = [[value for second, value in values.items() if second // 60 == minute] for values in sent.values()]
                expected = over([of(step) for step in steps if step])
                found = row["value"], row["count"]
                if not math.isclose(found[0], expected, rel_tol=1e-12, abs_tol=1e-9) or found[1] != sum(map(len, steps)):
                    return across, agg, minute, found, expected
        return None
    wait_until(lambda: differs() is None, "the reductions are those computed here")


def test_whole_payload_faults(world):
    for body, status in (("{", 400), ("[" * 100 + "]" * 100, 400), ('{"t":0,"v":{"T-1":1e400}}', None)):
        got, answer = send(world, body)
        assert got == status or (status is None and answer.get("quarantined")), (body[:20], got, answer)
