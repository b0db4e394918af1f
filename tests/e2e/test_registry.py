"""What the registry does to credits over REST, through the real daemon: cancellations, disputes, credits of other registries, reversals and
their notices, methodologies and projects; and that the journal of all of it verifies offline. The rules are the tables of docs/REGISTRY.md."""
import datetime
import json
import subprocess

import pytest

from harness import CARBONCTL, wait_until
from story import uuid7
from test_main_job import END, MIDDLE, issued_world, iso

NOON = MIDDLE + datetime.timedelta(hours=10)


@pytest.fixture(scope="module")
def world():
    with issued_world() as world:
        world.number = world.issued["number"]
        world.post("/v1/transfers", {"to_org_id": world.orgs["globex"], "batch": world.number, "kg": 500}, key="trader")
        yield world


def refused(world, path, body, key, status, slug):
    got, answer, _ = world.daemon.request("POST", path, body, {"Idempotency-Key": uuid7()}, key=world.keys[key])
    assert got == status and answer["type"].endswith(slug), (got, answer)


def at(world, path, position, key="auditor"):
    world.daemon.saw(position)
    return world.daemon.get(path, key=world.keys[key])


def holding(world, org, position, batch=None):
    rows = at(world, f"/v1/holdings?org_id={world.orgs[org]}", position)["items"]
    return next(row for row in rows if row["batch"] == (batch or world.number))


def retire(world, kg, key="buyer", **more):
    return world.post("/v1/retirements", {"batch": world.number, "kg": kg, "beneficiary": "Ada", "country": "GB", "purpose": "voluntary",
                                          "covered_from": "2025-01-01T00:00:00Z", "covered_to": "2026-01-01T00:00:00Z", **more}, key=key)


def test_cancelled_kilograms_are_gone_and_no_retirement(world):
    refused(world, "/v1/cancellations", {"batch": world.number, "kg": 10, "reason": "authority", "explanation": "x"}, "buyer", 403, "forbidden")
    refused(world, "/v1/cancellations", {"batch": world.number, "kg": 10, "reason": "conversion", "explanation": "x"}, "buyer", 422, "missing-field")
    refused(world, "/v1/cancellations", {"batch": world.number, "kg": 10, "reason": "error", "explanation": "x", "org_id": world.orgs["acme"]}, "buyer", 403, "forbidden")
    body = {"batch": world.number, "kg": 40, "reason": "conversion", "destination": "VERRA", "explanation": "asked for by letter"}
    command = uuid7()
    made = world.post("/v1/cancellations", body, key="buyer", command=command)
    again = world.post("/v1/cancellations", body, key="buyer", command=command)
    assert again["repeated"] and again["position"] == made["position"]
    row = at(world, f"/v1/cancellations/{made['id']}", made["position"], key="buyer")
    assert (row["number"], row["kg"], row["reason"], row["destination"], row["state"]) == (1, 40, "conversion", "VERRA", "held")
    assert holding(world, "globex", made["position"])["cancelled_kg"] == 40
    first = row["ranges"][0]
    serial = world.daemon.get(f"/v1/batches/{world.number}")["serial"]
    part = next(part for part in world.daemon.get(f"/v1/serials/{serial}")["parts"] if part["start"] == first["start"])
    assert part["state"] == "cancelled" and part["cancellation_id"] == made["id"] and "certificate_id" not in part
    assert not world.daemon.holds(b"asked for by letter")
    taken = world.post("/v1/cancellations", {"batch": world.number, "kg": 5, "reason": "authority", "explanation": "order 17/26",
                                             "org_id": world.orgs["globex"]}, key="compliance")
    assert taken["number"] == 2
    assert holding(world, "globex", taken["position"])["cancelled_kg"] == 45


def test_disputed_batch_is_suspended_until_it_is_decided(world):
    opened = world.post("/v1/disputes", {"batch": world.number, "reason": "the well is said to leak", "evidence_hash": "ab" * 32}, key="north")
    assert at(world, f"/v1/batches/{world.number}", opened["position"])["disputes"] == 1
    refused(world, "/v1/transfers", {"to_org_id": world.orgs["acme"], "batch": world.number, "kg": 1}, "buyer", 409, "batch-held")
    refused(world, f"/v1/disputes/{opened['id']}/decision", {"upheld": False, "reason": "x"}, "north", 403, "forbidden")
    assert [row["id"] for row in at(world, "/v1/disputes?state=open", opened["position"])["items"]] == [opened["id"]]
    decided = world.post(f"/v1/disputes/{opened['id']}/decision", {"upheld": False, "reason": "no leak was found"}, key="compliance")
    row = at(world, f"/v1/disputes/{opened['id']}", decided["position"])
    assert row["state"] == "rejected" and row["evidence_hash"] == "ab" * 32 and row["decided_by"] != row["opened_by"]
    refused(world, f"/v1/disputes/{opened['id']}/decision", {"upheld": True, "kg": 1, "reason": "x"}, "compliance", 409, "not-disputed")
    world.post("/v1/transfers", {"to_org_id": world.orgs["acme"], "batch": world.number, "kg": 1}, key="buyer")


def test_serials_in_dispute_lie_in_escrow_and_are_cancelled_where_it_is_upheld(world):
    ranges = world.daemon.get(f"/v1/holdings/ranges?batch={world.number}", key=world.keys["buyer"])["items"]
    free = next(row for row in ranges if row["state"] == "held")
    serials = [{"batch": world.number, "start": free["start"], "length": 7}]
    opened = world.post("/v1/disputes", {"ranges": serials, "holder_id": world.orgs["globex"], "reason": "stolen key"}, key="compliance")
    assert holding(world, "globex", opened["position"])["escrow_kg"] == 7
    refused(world, f"/v1/disputes/{opened['id']}/decision", {"upheld": True, "reason": "x"}, "compliance", 403, "separation-of-duties")
    world.organisation("registry", judge=["compliance"])
    decided = world.post(f"/v1/disputes/{opened['id']}/decision", {"upheld": True, "reason": "it was stolen"}, key="judge")
    now = holding(world, "globex", decided["position"])
    assert now["escrow_kg"] == 0 and now["cancelled_kg"] == 52 and decided["number"] == 3


def test_numbers_of_another_registry_come_in_once_for_ever(world):
    """Origin lock, also across a restart."""
    body = {"org_id": world.orgs["globex"], "origin": "VERRA", "series": "VCS-VCU-259-VER-IN-1-1529", "unit_kg": 1000, "methodology": "ACM0002",
            "country": "IN", "kind": "reduction", "durability": "none", "vintage": 2024, "evidence_hash": "cd" * 32,
            "numbers": [{"first": 78103245, "count": 100}, {"first": 4294967290, "count": 10}]}
    made = world.post("/v1/imports", body, key="issuer")
    batch = at(world, f"/v1/batches/{made['number']}", made["position"])
    assert batch["kg"] == 110000 and batch["origin"] == "VERRA" and "period_id" not in batch
    assert holding(world, "globex", made["position"], made["number"])["held_kg"] == 110000
    row = at(world, f"/v1/imports/{made['number']}", made["position"])
    assert sum(run["count"] for run in row["numbers"]) == 110 and row["series"] == body["series"]
    world.post("/v1/retirements", {"batch": made["number"], "kg": 1000, "beneficiary": "Ada", "country": "GB", "purpose": "voluntary",
                                   "covered_from": "2025-01-01T00:00:00Z", "covered_to": "2026-01-01T00:00:00Z"}, key="buyer")
    for restart in (False, True):
        if restart:
            world.daemon.stop()
            world.daemon.start()
        for run in ({"first": 78103344, "count": 1}, {"first": 78103000, "count": 246}, {"first": 4294967296, "count": 1}):
            refused(world, "/v1/imports", {**body, "numbers": [run]}, "issuer", 409, "origin-taken")
    refused(world, "/v1/imports", {**body, "numbers": [{"first": 1, "count": 1}], "unit_kg": 10}, "issuer", 422, "invalid-field")
    world.post("/v1/imports", {**body, "numbers": [{"first": 78103345, "count": 1}]}, key="issuer")


def test_numbers_that_are_converted_back_come_in_again(world):
    """Origin lock: what its origin takes back may come in once more, whole, and the records say so."""
    body = {"org_id": world.orgs["globex"], "origin": "VERRA", "series": "VCS-77", "unit_kg": 1000, "methodology": "ACM0002", "country": "IN",
            "kind": "reduction", "durability": "none", "vintage": 2024, "evidence_hash": "ef" * 32, "numbers": [{"first": 5, "count": 3}]}
    made = world.post("/v1/imports", body, key="issuer")
    back = {"reason": "conversion", "destination": "VERRA", "explanation": "the client has its account there"}
    refused(world, "/v1/cancellations", {**back, "batch": made["number"], "kg": 1500}, "buyer", 409, "origin-in-part")
    converted = world.post("/v1/cancellations", {**back, "batch": made["number"], "kg": 2000}, key="buyer")
    assert at(world, f"/v1/cancellations/{converted['id']}", converted["position"])["returned_kg"] == 2000
    assert at(world, f"/v1/imports/{made['number']}", converted["position"])["returned_kg"] == 2000
    refused(world, "/v1/imports", {**body, "numbers": [{"first": 6, "count": 2}]}, "issuer", 409, "origin-taken")
    world.post("/v1/imports", {**body, "numbers": [{"first": 5, "count": 2}]}, key="issuer")
    refused(world, "/v1/imports", {**body, "numbers": [{"first": 5, "count": 1}]}, "issuer", 409, "origin-taken")


def test_who_has_kilograms_of_a_reversed_batch_gets_a_notice(world):
    retired = retire(world, 20)
    reversed_ = world.post(f"/v1/batches/{world.number}/reverse", {"kg": 10, "reason": "leak"}, key="compliance")
    rows = at(world, f"/v1/batches/{world.number}/notices", reversed_["position"])["items"]
    assert {row["org_id"] for row in rows} == {world.orgs["acme"], world.orgs["globex"]}
    mine = at(world, "/v1/notices", reversed_["position"], key="buyer")["items"]
    assert len(mine) == 1 and mine[0]["batch"] == world.number and mine[0]["reversed_kg"] == 10 and mine[0]["retired_kg"] == 20, (retired, mine)
    assert mine[0]["other_kg"] == 52
    assert world.daemon.request("GET", f"/v1/batches/{world.number}/notices", key=world.keys["buyer"])[0] == 403


def test_periods_keep_to_admitted_methodologies_and_registered_projects(world):
    published = world.daemon.get("/v1/methodologies/DAC1/1")["hash"]
    admit = {"methodology_hash": published, "valid_from": "2026-01-01T00:00:00Z", "valid_to": "2026-01-02T00:00:00Z", "reason": "superseded"}
    world.post("/v1/admissions", admit, key="compliance")
    assert world.daemon.get("/v1/admissions")["items"][0]["methodology_hash"] == published

    def submit():
        job = world.post(f"/v1/periods/{period}/submit", key="operator")
        return wait_until(lambda: (lambda j: j if j["state"] in ("done", "failed") else None)(
            world.daemon.get(f"/v1/jobs/{job['id']}", key=world.keys["operator"])), "the job has ended")

    period = world.period(iso(MIDDLE), iso(NOON))
    job = submit()
    assert job["state"] == "failed" and "not valid any more" in json.dumps(job), job
    world.post("/v1/admissions", {**admit, "valid_to": "2036-01-01T00:00:00Z"}, key="compliance")
    registration = {"project_id": world.project_id, "org_id": world.orgs["acme"], "state": "suspended", "crediting_from": "2026-01-01T00:00:00Z",
                    "crediting_to": "2031-01-01T00:00:00Z", "reason": "validated"}
    refused(world, "/v1/registrations", registration, "compliance", 422, "invalid-field")  # registered first
    world.post("/v1/registrations", {**registration, "state": "registered"}, key="compliance")
    world.post("/v1/registrations", registration, key="compliance")
    job = submit()
    assert job["state"] == "failed" and "suspended" in json.dumps(job), job
    made = world.post("/v1/registrations", {**registration, "state": "registered"}, key="compliance")
    assert at(world, "/v1/registrations", made["position"])["items"][0]["state"] == "registered"
    assert submit()["state"] == "done"


def verify_chain(world, document, trust="keys.json", code=0):
    path = world.folder / "chain.json"
    path.write_text(json.dumps(document))
    run = subprocess.run([str(CARBONCTL), "verify", str(path), "--chain", "--registry", world.daemon.first["registry"],
                          *(["--trust", str(world.folder / trust)] if trust else [])], capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"})
    assert run.returncode == code, (run.returncode, run.stdout, run.stderr)
    return run.stdout


def test_what_is_issued_goes_at_once_to_who_contracted_for_it(world):
    """docs/ESCROW.md, Delivery: the seller does nothing; the buyer's money is what limits it; the buffer is not called."""
    world.post("/v1/money/deposits", {"org_id": world.orgs["globex"], "currency": "EUR", "amount": "12", "reference": "offtake"})
    day = lambda days: iso(NOON + datetime.timedelta(days=days))
    terms = {"seller_org_id": world.orgs["acme"], "buyer_org_id": world.orgs["globex"], "unit_id": world.unit, "currency": "EUR",
             "expires_at": day(9), "deliveries": [{"due": day(20), "kg": 100, "price": "100"}, {"due": day(30), "kg": 100, "price": "100"}]}
    contract = world.post("/v1/offtakes", terms, key="trader")["id"]
    world.post(f"/v1/offtakes/{contract}/accept", key="buyer")
    submission = world.submit(world.period(iso(NOON), iso(END)))[0]
    issued = world.issue(submission["id"])
    supplied = submission["kg"] - submission["buffer_kg"]
    assert supplied > 200
    rows = lambda: at(world, f"/v1/offtakes/{contract}", issued["position"], key="buyer")["deliveries"]
    wait_until(lambda: rows()[0]["state"] == "delivered" and rows()[1]["delivered_kg"], "what was issued is delivered")
    assert [row["delivered_kg"] for row in rows()] == [100, 20]  # 10 and 2 of the 12 that the buyer had
    assert rows()[1]["tendered_kg"] == 80
    got = holding(world, "globex", issued["position"], issued["number"])
    kept = holding(world, "acme", issued["position"], issued["number"])
    assert (got["held_kg"], kept["held_kg"], kept["buffer_kg"]) == (120, supplied - 120, submission["buffer_kg"])
    money = at(world, f"/v1/money/balances?org_id={world.orgs['globex']}", issued["position"], key="buyer")["items"]
    assert [float(row["amounts"]["held"]) for row in money if row["currency"] == "EUR"] == [0]
    row = world.daemon.get(f"/v1/offtakes/{contract}", key=world.keys["buyer"])
    serial = world.daemon.get(f"/v1/batches/{issued['number']}")["serial"]
    world.ctl("checkpoint", "--socket", world.daemon.data / "admin.sock")
    chain = at(world, f"/v1/serials/{serial}/trust-chain", row["position"] if "position" in row else issued["position"])
    assert [event["event"] for event in chain["events"]].count("offtake_delivered") == 2
    assert "FAIL" not in verify_chain(world, chain)


def test_nobody_takes_anothers_certificate_over(world):
    """A retirement is called by its command's id, which is public: another organisation cannot use it again."""
    made = world.post("/v1/retirements", {"batch": world.number, "kg": 3, "beneficiary": "Ada", "country": "GB", "purpose": "voluntary",
                                          "covered_from": "2025-01-01T00:00:00Z", "covered_to": "2026-01-01T00:00:00Z"}, key="buyer")
    before = at(world, f"/v1/certificates/{made['id']}", made["position"])
    world.post(f"/v1/batches/{world.number}/release", {"reason": "well sealed"}, key="compliance")
    status, answer, _ = world.daemon.request("POST", "/v1/retirements", {
        "batch": world.number, "kg": 1, "beneficiary": "Eve", "country": "GB", "purpose": "voluntary", "covered_from": "2025-01-01T00:00:00Z",
        "covered_to": "2026-01-01T00:00:00Z"}, {"Idempotency-Key": made["id"]}, key=world.keys["trader"])
    assert status == 422 and answer["type"].endswith("command-id-invalid"), answer
    assert world.daemon.get(f"/v1/certificates/{made['id']}") == before


def test_the_trust_chain_of_a_serial_verifies_offline_and_any_change_fails(world):
    retired = retire(world, 15)
    certificate = at(world, f"/v1/certificates/{retired['id']}", retired["position"])
    serial = certificate["parts"][0]["serial"]
    world.ctl("checkpoint", "--socket", world.daemon.data / "admin.sock")
    chain = at(world, f"/v1/serials/{serial}/trust-chain", retired["position"])
    names = [event["event"] for event in chain["events"]]
    assert names.count("verifier_registered") == names.count("period_attested") == 2 and chain["complete"]
    order = [names.index(name) for name in ("period_submitted", "period_attested", "batch_issued", "transferred", "retired")]
    assert order == sorted(order) and "order_placed" not in names
    text = verify_chain(world, chain)
    assert "PASS  custody" in text and "SKIP" not in text and text.strip().endswith("PASS"), text

    def changed(change):
        copy = json.loads(json.dumps(chain))
        change(copy)
        return copy

    def event(copy, name):
        return next(event for event in copy["events"] if event["event"] == name)

    def flip(copy, name):
        record = event(copy, name)["record"]
        event(copy, name)["record"] = record[:-9] + ("A" if record[-9] != "A" else "B") + record[-8:]

    for step, change in {
            "custody": lambda copy: copy["events"].remove(event(copy, "transferred")),
            "signatures": lambda copy: copy["events"].remove(event(copy, "period_attested")),
            "issue": lambda copy: copy["events"].remove(event(copy, "batch_issued")),
            "checkpoint": lambda copy: flip(copy, "retired"),
            "records": lambda copy: copy["events"].reverse()}.items():
        text = verify_chain(world, changed(change), code=5)
        assert f"FAIL  {step}" in text, text
    assert "FAIL  checkpoint" in verify_chain(world, changed(lambda copy: copy["checkpoint"].update(time_us=1)), code=5)
    assert "CONSISTENT, SIGNERS UNTRUSTED" in verify_chain(world, chain, None, code=6)
    assert world.daemon.request("GET", f"/v1/serials/{serial}/trust-chain", headers={"Authorization": "Bearer x"})[0] == 401
    imported = world.daemon.get("/v1/imports?origin=VERRA")["items"][0]["batch"]
    whole = world.daemon.get(f"/v1/batches/{imported}")["serial"]
    text = verify_chain(world, world.daemon.get(f"/v1/serials/{whole}/trust-chain"))
    assert "imported on root" in text, text


def test_the_journal_of_all_of_it_verifies_offline(world):
    path = world.folder / "journal.ndjson"
    path.write_bytes(world.daemon.get("/v1/journal/batches", key=world.keys["auditor"]))
    run = subprocess.run([str(CARBONCTL), "verify", str(path), "--journal"], capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"})
    assert run.returncode == 0 and "FAIL" not in run.stdout, run.stdout + run.stderr
