"""Escrow and forward offtake through the real daemon and carbonctl (docs/ESCROW.md): delivery versus payment as soon as all conditions
hold, a dispute that is decided in parts, a timeout that gives back, a contract with a prepayment that the seller delivers on."""
import datetime
import decimal
import hashlib
import json

from harness import scratch, wait_until
from offers import Place

D = decimal.Decimal


def in_seconds(seconds):
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def opened(place, who, **terms):
    body = {"payer_org_id": place.orgs["globex"], "payee_org_id": place.orgs["acme"], "expires_at": in_seconds(3600), **terms}
    return place.call("POST", "/v1/escrows", body, 201, who)["id"]


def status_of(place, escrow):
    return place.get(f"/v1/escrows/{escrow}", "globex")["status"]


def test_both_legs_change_hands_when_all_conditions_hold():
    with scratch() as folder:
        place = Place(folder)
        escrow = opened(place, "globex", currency="EUR", amount="500", kg=2000, batch=place.batch)
        assert D(place.money("globex")["escrow"]) == 500
        place.refused(f"/v1/escrows/{escrow}/deliver", {"batch": place.batch, "kg": 2001}, "acme", "nothing-owed")
        place.refused(f"/v1/escrows/{escrow}/fund", None, "globex", "nothing-owed")
        place.refused(f"/v1/escrows/{escrow}/refund", None, "initech", "escrow-done")
        assert status_of(place, escrow) == "open"
        place.call("GET", f"/v1/escrows/{escrow}", status=404, who="initech")  # strangers are told nothing
        place.daemon.ctl("escrows", "deliver", escrow, f"batch={place.batch}", "kg=2000", key=place.keys["acme"])
        wait_until(lambda: status_of(place, escrow) == "settled", "settled")
        assert place.held_kg("globex") == 2000 and place.held_kg("acme") == 98000
        assert D(place.money("acme")["held"]) == 10500 and D(place.money("globex")["held"]) == 9500
        row = place.get(f"/v1/escrows/{escrow}", "acme")
        assert D(row["paid"]) == 500 and row["released_kg"] == 2000 and row["ranges"][0]["length"] == 2000

        # a dispute, decided in parts by the arbiter that was named
        escrow = opened(place, "globex", currency="EUR", amount="100", kg=1000, batch=place.batch, arbiter_org_id=place.orgs["initech"])
        place.call("POST", f"/v1/escrows/{escrow}/deliver", {"batch": place.batch, "kg": 400}, 200, "acme")
        place.call("POST", f"/v1/escrows/{escrow}/dispute", {"reason": "late"}, 200, "globex")
        place.refused(f"/v1/escrows/{escrow}/deliver", {"batch": place.batch, "kg": 600}, "acme", "escrow-disputed")
        decision = {"paid": "30.5", "released_kg": 300, "reason": "a part came"}
        place.refused(f"/v1/escrows/{escrow}/decision", decision, "compliance", "forbidden", 403)
        place.keys["arbiter"] = place.key("initech", "org-admin")
        place.call("POST", f"/v1/escrows/{escrow}/decision", decision, 200, "arbiter")
        assert status_of(place, escrow) == "decided"
        assert place.held_kg("globex") == 2300 and D(place.money("acme")["held"]) == D("10530.5")
        listed = place.get(f"/v1/escrows?org_id={place.orgs['initech']}&side=arbiter", "initech")["items"]
        assert [row["id"] for row in listed] == [escrow]

        # what is not settled goes back by a tick
        escrow = opened(place, "globex", currency="EUR", amount="100", kg=1000, batch=place.batch, expires_at=in_seconds(2))
        wait_until(lambda: status_of(place, escrow) == "expired", "expired")
        assert D(place.money("globex").get("escrow", "0")) == 0
        assert place.daemon.stop() == 0


def test_a_contract_is_delivered_against_its_prepayment():
    with scratch() as folder:
        place = Place(folder)
        terms = {"seller_org_id": place.orgs["acme"], "buyer_org_id": place.orgs["globex"], "instrument": 1, "currency": "EUR", "make_good_days": 5,
                 "penalty_ppm": 100000, "expires_at": in_seconds(3600), "deliveries": [
                     {"due": in_seconds(86400), "kg": 1000, "price": "100"}, {"due": in_seconds(172800), "kg": 2000, "price": "110"}]}
        contract = place.call("POST", "/v1/offtakes", terms, 201, "acme")["id"]
        place.refused(f"/v1/offtakes/{contract}/accept", None, "acme", "forbidden", 403)
        place.daemon.ctl("offtakes", "accept", contract, key=place.keys["globex"])
        escrow = opened(place, "globex", currency="EUR", amount="150", contract_id=contract)
        wait_until(lambda: status_of(place, escrow) == "settled", "settled")
        assert D(place.get(f"/v1/offtakes/{contract}", "acme")["credit"]) == 150
        place.refused(f"/v1/offtakes/{contract}/deliver", {"batch": place.batch, "kg": 1001}, "acme", "nothing-owed")
        place.call("POST", f"/v1/offtakes/{contract}/deliver", {"batch": place.batch, "kg": 1000}, 200, "acme")
        place.call("POST", f"/v1/offtakes/{contract}/deliver", {"batch": place.batch, "kg": 500}, 200, "acme")
        row = place.get(f"/v1/offtakes/{contract}", "globex")
        assert [(d["delivered_kg"], d["state"]) for d in row["deliveries"]] == [(1000, "delivered"), (500, "open")]
        assert D(row["credit"]) == 0 and place.held_kg("globex") == 1500
        assert D(place.money("acme")["held"]) == 10000 + 100 + 55
        place.call("POST", f"/v1/offtakes/{contract}/terminate", {"refund": "0"}, 200, "acme")
        place.call("POST", f"/v1/offtakes/{contract}/terminate", {"refund": "0"}, 200, "globex")
        assert place.get(f"/v1/offtakes/{contract}", "globex")["status"] == "agreed"
        assert place.daemon.stop() == 0


def test_a_verifier_signs_the_statement_that_an_escrow_waits_for():
    """ESCROW.md, condition signature: made offline by carbonctl over this escrow's id and the statement's bytes, and over nothing else."""
    with scratch() as folder:
        place = Place(folder)
        checker = place.orgs["checker"] = place.call("POST", "/v1/organisations", {"slug": "checker", "name": "checker", "country": "IS"}, 201)["id"]
        place.keys["checker"] = place.key("checker", "verifier")
        key, statement, other = folder / "checker.key", folder / "delivered.txt", folder / "other.txt"
        public = place.daemon.ctl("sign", "keygen", key)["key"]
        verifier = place.call("POST", "/v1/verifiers", {"org_id": checker, "key": public, "valid_from": "2025-01-01T00:00:00Z",
                                                        "valid_to": "2035-01-01T00:00:00Z"}, 201)["id"]
        statement.write_text("the plant was commissioned on 1 March\n")
        other.write_text("the plant was commissioned on 2 March\n")
        hashed = hashlib.sha256(statement.read_bytes()).hexdigest()
        terms = {"currency": "EUR", "amount": "250", "verifier_id": verifier, "statement": hashed}
        escrow, twin = opened(place, "globex", **terms), opened(place, "globex", **terms)
        signed = lambda file, of: place.daemon.ctl("sign", file, "--escrow", of, "--key", key, "--verifier", verifier)
        assert signed(statement, escrow)["statement"] == hashed
        place.refused(f"/v1/escrows/{escrow}/attest", signed(other, escrow), "checker", "signature-invalid", 422)
        place.refused(f"/v1/escrows/{escrow}/attest", signed(statement, twin), "checker", "signature-invalid", 422)
        place.refused(f"/v1/escrows/{escrow}/attest", {**signed(other, escrow), "statement": hashed}, "checker", "signature-invalid", 422)
        assert status_of(place, escrow) == "open"
        (folder / "signature.json").write_text(json.dumps(signed(statement, escrow)))
        place.daemon.ctl("escrows", "attest", escrow, f"@{folder / 'signature.json'}", key=place.keys["checker"])
        wait_until(lambda: status_of(place, escrow) == "settled", "settled")
        assert status_of(place, twin) == "open" and D(place.money("acme")["held"]) == 10250
        assert place.daemon.stop() == 0
