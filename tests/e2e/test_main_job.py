"""From a plant's sensors to a retired tonne, through the real daemon, broker and tool, and the ways in which that must be
refused. Rules named in the tests are those of integrity.md."""
import contextlib
import datetime
import json
import random
import subprocess
import tarfile

import pytest

from harness import CARBONCTL, Broker, Daemon, scratch, wait_until
from story import Story, uuid7

NOW = datetime.datetime.now(datetime.timezone.utc).replace(minute=0, second=0, microsecond=0)
START, MIDDLE, END = NOW - datetime.timedelta(days=4), NOW - datetime.timedelta(days=1), NOW - datetime.timedelta(hours=2)


def iso(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


@contextlib.contextmanager
def issued_world(settings=None):
    """A period of three days, submitted, signed by two verifiers and issued."""
    with scratch() as folder:
        broker = Broker(folder / "broker")
        daemon = Daemon(folder / "carbond", broker, settings).init().start()
        try:
            story = Story(daemon, folder).people().plant(broker, iso(START), iso(NOW)).project()
            story.broker = broker
            story.period_id = story.period(iso(START), iso(MIDDLE))
            story.submission = story.submit(story.period_id)[0]
            story.issued = story.issue(story.submission["id"])
            yield story
            assert daemon.stop() == 0, daemon.process.text()[-3000:]
        finally:
            if daemon.process.alive():
                daemon.stop()
            broker.stop()


@pytest.fixture(scope="module")
def world():
    with issued_world() as world:
        yield world


def verify(world, path, trust=None, code=0):
    arguments = [str(CARBONCTL), "verify", str(path), "--trust", str(trust or world.folder / "keys.json"),
                 "--registry", world.daemon.first["registry"]]
    run = subprocess.run(arguments, capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"})
    assert run.returncode == code, (run.returncode, run.stdout[-3000:], run.stderr[-1000:])
    return run.stdout


def batch(world):
    return world.daemon.get(f"/v1/batches/{world.issued['number']}?at-least={world.issued['position']}")


def test_quantity_is_plausible(world):
    submission = world.submission
    assert submission["kg"] % 10 == 0 and submission["buffer_kg"] % 10 == 0 and submission["held"] == []
    # about 52 kg/h captured over three days, less a tenth
    assert 1500 < submission["kg"] < 3 * 24 * 62
    assert submission["buffer_kg"] == -(-submission["kg"] * 2 // 1000) * 10
    issued = batch(world)
    assert issued["kg"] == submission["kg"] and issued["evidence_root"] == submission["evidence_root"]


def test_offline_verifier_agrees_to_the_kilogram(world):
    text = verify(world, world.pack(world.submission["id"]))
    assert "PASS" in text and "FAIL" not in text and "SKIP" not in text
    assert str(world.submission["kg"]) in text.replace(",", "")


def test_redundant_sensors_are_cited_and_not_claimed(world):
    """Claim lock: the second flow meter's hours are in the pack, the weather's are not."""
    sensors = {row["tag"]: row["id"] for row in world.daemon.get(f"/v1/sensors?unit_id={world.unit}&limit=100")["items"]}
    names = tarfile.open(world.pack(world.submission["id"])).getnames()
    hours = {tag: sum(f"/{sensor}/" in name for name in names) for tag, sensor in sensors.items()}
    assert hours["FT-102"] >= 72 and hours["FT-101"] >= 72 and hours["TT-001"] == 0, hours


def test_flipped_byte_fails_and_is_named(world):
    """P11"""
    whole, rng = world.pack(world.submission["id"]).read_bytes(), random.Random(11)
    for position in [rng.randrange(len(whole)) for _ in range(12)]:
        broken = world.folder / "broken.tar"
        broken.write_bytes(whole[:position] + bytes([whole[position] ^ (1 << rng.randrange(8))]) + whole[position + 1:])
        assert "FAIL" in verify(world, broken, code=5), position


def test_strangers_keys_are_consistent_but_untrusted(world):
    stranger = world.ctl("sign", "keygen", world.folder / "stranger.key")
    trust = world.folder / "stranger.json"
    trust.write_text(json.dumps({"keys": [{"role": "verifier", "name": "nobody", "organisation": uuid7(), "key": stranger["key"]}]}))
    assert "CONSISTENT, SIGNERS UNTRUSTED" in verify(world, world.pack(world.submission["id"]), trust, code=6)


def test_meter_hours_back_a_credit_once(world):
    """Claim lock: the same hours, submitted and attested once more, are not issued."""
    again = world.period(iso(START), iso(START + datetime.timedelta(days=1)))  # longer than any outage of the plant
    job = world.post(f"/v1/periods/{again}/submit", key="operator", expect=(202, 409))
    if "id" in job:
        done = wait_until(lambda: (lambda j: j if j["state"] in ("done", "failed") else None)(
            world.daemon.get(f"/v1/jobs/{job['id']}", key=world.keys["operator"])), "the job has ended")
        if done["state"] == "done":
            for name in ("north", "south"):
                world.sign(again, name)
            answer = world.post(f"/v1/periods/{again}/issue", key="issuer", expect=(409,))
            assert "claim" in json.dumps(answer), answer
        else:
            assert "claim" in done["error"], done


def test_certificate_that_a_batch_used_stays(world):
    sensors = {row["tag"]: row["id"] for row in world.daemon.get(f"/v1/sensors?unit_id={world.unit}&limit=100")["items"]}
    for tag, expected in (("FT-101", 409), ("TT-001", 204)):
        row = world.daemon.get(f"/v1/calibrations?sensor_id={sensors[tag]}")["items"][0]
        status, answer, _ = world.daemon.request("DELETE", f"/v1/calibrations/{row['id']}", None, {"If-Match": f'"{row["version"]}"'}, key=world.keys["operator"])
        assert status == expected, (tag, answer)


def test_separation_of_duties(world):
    daemon, path = world.daemon, f"/v1/periods/{world.submission['id']}"
    key = {"Idempotency-Key": uuid7()}
    assert daemon.request("POST", path + "/issue", None, key, key=world.keys["operator"])[0] == 403
    assert daemon.request("POST", path + "/issue", None, key, key=world.keys["north"])[0] == 403
    assert daemon.request("POST", path + "/submit", None, key, key=world.keys["issuer"])[0] == 403


def test_withdrawn_before_issue(world):
    period = world.period(iso(MIDDLE), iso(END))
    submission = world.submit(period)[0]
    world.post(f"/v1/periods/{submission['id']}/withdraw", {"reason": "wrong project"}, key="operator")
    world.post(f"/v1/periods/{submission['id']}/issue", key="issuer", expect=(409,))


def test_transfer_retire_certificate_and_serials(world):
    daemon, number = world.daemon, world.issued["number"]
    command = uuid7()
    body = {"to_org_id": world.orgs["globex"], "batch": number, "kg": 1000}
    moved = world.post("/v1/transfers", body, key="trader", command=command)
    repeated = world.post("/v1/transfers", body, key="trader", command=command)
    assert repeated["position"] == moved["position"] and repeated["repeated"]
    world.post("/v1/transfers", {**body, "kg": 2000}, key="trader", command=command, expect=(422,))
    holdings = daemon.get("/v1/holdings", key=world.keys["buyer"])["items"]
    assert sum(row["held_kg"] for row in holdings if row["batch"] == number) == 1000
    retired = world.post("/v1/retirements", {"batch": number, "kg": 1000, "beneficiary": "Globex Ltd", "country": "GB", "purpose": "voluntary",
                                             "covered_from": "2026-01-01T00:00:00Z", "covered_to": "2026-07-01T00:00:00Z", "consent": True}, key="buyer")
    certificate = daemon.get(f"/v1/certificates/{retired['id']}", headers={"Authorization": ""})
    assert certificate["kg"] == 1000 and certificate["beneficiary"] == "Globex Ltd"
    assert sum(part["kg"] for part in certificate["parts"]) == 1000
    serial = certificate["parts"][0]["serial"]
    assert serial.startswith(f"CCN1-IS-ICE1-DAC1-{START.year}-")
    found = daemon.get(f"/v1/serials/{serial}")
    assert "retired" in json.dumps(found)
    status, _, _ = daemon.request("GET", f"/v1/serials/{serial[:-1]}{(int(serial[-1]) + 1) % 10}")
    assert status in (400, 404, 422)
    too_much = {"batch": number, "kg": 10 ** 9, "beneficiary": "x", "country": "GB", "purpose": "gift", "covered_from": "2026-01-01T00:00:00Z", "covered_to": "2026-07-01T00:00:00Z"}
    answer = world.post("/v1/retirements", too_much, key="buyer", expect=(409, 422))
    assert answer["type"].startswith("/problems/")


def test_beneficiary_without_consent_is_not_named(world):
    retired = world.post("/v1/retirements", {"batch": world.issued["number"], "kg": 10, "beneficiary": "Quiet Ltd", "country": "GB", "purpose": "voluntary",
                                             "covered_from": "2026-01-01T00:00:00Z", "covered_to": "2026-07-01T00:00:00Z", "consent": False}, key="trader", expect=(403, 409, 201))
    if "id" not in retired:
        world.organisation("acme", seller=["buyer"])
        retired = world.post("/v1/retirements", {"batch": world.issued["number"], "kg": 10, "beneficiary": "Quiet Ltd", "country": "GB", "purpose": "voluntary",
                                                 "covered_from": "2026-01-01T00:00:00Z", "covered_to": "2026-07-01T00:00:00Z", "consent": False}, key="seller")
    text = json.dumps(world.daemon.get(f"/v1/certificates/{retired['id']}?at-least={retired['position']}"))
    assert "Quiet" not in text
    assert "Quiet" not in world.daemon.get("/v1/journal", key=world.keys["auditor"]).decode()
    assert not world.daemon.holds(b"Quiet") and world.daemon.holds(b"globex")


def test_kill_and_restart_keep_every_kilogram(world):
    """P2, P3, P8: what was answered is there after kill −9, and the states add up to what was issued."""
    holdings = lambda: {org: world.daemon.get(f"/v1/holdings?org_id={world.orgs[org]}", key=world.keys["auditor"])["items"] for org in ("acme", "globex")}
    before = holdings()
    world.daemon.stop(how=9)
    world.daemon.start()
    assert holdings() == before
    assert world.daemon.metric("carbond_kilograms") == world.submission["kg"]


def test_journal_export_verifies(world):
    path = world.folder / "journal.ndjson"
    path.write_bytes(world.daemon.get("/v1/journal/batches", key=world.keys["auditor"]))
    run = subprocess.run([str(CARBONCTL), "verify", "--journal", str(path)], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "PASS" in run.stdout
