"""Money through REST and carbonctl (docs/LEDGER.md): in and out, transfers at once, balancing, pending, linked with kilograms, limits,
conversion, a closed account; balances as of any position and time, statements as JSON and CSV; the trial balance at the newest and at
an earlier position sums to zero (P3), is the same after a restart from the journal alone (P14), and what `carbonctl verify` counts."""
import csv
import datetime
import decimal
import io
import re
import subprocess

from harness import CARBONCTL, Daemon, scratch, wait_until
from story import uuid7

D = decimal.Decimal
STATES = ("held", "listed", "escrow", "pooled", "reserved", "buffer", "transit", "withdrawn", "retired", "cancelled")


class Bank:
    def __init__(self, folder):
        self.daemon = Daemon(folder / "carbond").init("house").start()
        self.daemon.ctl("clock", "confirm", "--socket", self.daemon.data / "admin.sock")  # or nothing expires where the kernel has no NTP
        self.keys = {"admin": self.daemon.key}
        self.orgs = {"house": self.daemon.get("/v1/organisations")["items"][0]["id"]}
        for slug in ("acme", "globex", "forex", "gone"):
            self.orgs[slug] = self.call("POST", "/v1/organisations", {"slug": slug, "name": slug, "country": "IS"}, 201)["id"]
            self.keys[slug] = self.key(slug, "trader", "org-admin")
        self.keys["auditor"] = self.key("house", "auditor")

    def key(self, slug, *roles):
        return self.call("POST", "/v1/keys", {"label": slug, "org_id": self.orgs[slug], "roles": list(roles)}, 201)["key"]

    def call(self, verb, path, body=None, status=200, who="admin", key=None):
        headers = {"Idempotency-Key": key or uuid7()} if verb == "POST" else {}
        got, answer, _ = self.daemon.request(verb, path, body, headers, key=self.keys[who])
        assert got == status, (path, got, answer)
        return answer

    def get(self, path, who="admin"):
        return self.daemon.get(path, key=self.keys[who])

    def refusal(self, path, body, who, slug, status=409):
        answer = self.call("POST", path, body, status, who)
        assert answer["type"] == f"/problems/{slug}", answer

    def amounts(self, slug, currency="EUR"):
        items = self.get(f"/v1/money/balances?org_id={self.orgs[slug]}")["items"]
        return next((item["amounts"] for item in items if item["currency"] == currency), {})


def trial(bank, **at):
    rows, cursor = [], None
    while True:
        query = "".join(f"&{name}={value}" for name, value in at.items()) + (f"&cursor={cursor}" if cursor else "")
        page = bank.get("/v1/trial-balance?limit=3" + query, who="auditor")
        rows += page["items"]
        cursor = page.get("next_cursor")
        if not cursor:
            return rows


def sums(rows):
    total = {}
    for row in rows:
        for unit in ("money", "kilograms"):
            for amount in row.get(unit, {}).values():
                total[row["asset"]] = total.get(row["asset"], 0) + D(amount)
    return total


def by_account(rows):
    return {(row["org_id"], row["asset"]): row.get("money") or row.get("kilograms") for row in rows}


def test_money_goes_in_moves_and_is_accounted_for():
    with scratch() as folder:
        bank = Bank(folder)
        orgs, deposit = bank.orgs, lambda slug, amount, currency="EUR": bank.call("POST", "/v1/money/deposits", {
            "org_id": orgs[slug], "currency": currency, "amount": amount, "reference": "bank 17"}, 201)
        bank.call("POST", "/v1/money/house", {"org_id": orgs["house"]}, 201)
        assert bank.get("/v1/money/house", "acme")["org_id"] == orgs["house"]
        first = deposit("acme", "1000.5")
        early = bank.daemon.position
        assert bank.amounts("acme") == {"held": "1000.5"}
        assert not bank.daemon.holds(b"bank 17")  # the reference is in the vault alone
        bank.call("POST", "/v1/money/deposits", {"org_id": orgs["acme"], "currency": "EUR", "amount": "1", "reference": "x"}, 403, who="acme")

        # at once, twice under one id, and what is refused
        pay, again = {"to_org_id": orgs["globex"], "currency": "EUR", "amount": "100.25", "code": 7, "user_data": 42}, uuid7()
        made = bank.call("POST", "/v1/money/transfers", pay, 201, "acme", again)
        assert bank.call("POST", "/v1/money/transfers", pay, 200, "acme", again)["repeated"] and made["id"] == again
        bank.refusal("/v1/money/transfers", {**pay, "amount": "5000"}, "acme", "insufficient-funds")
        bank.refusal("/v1/money/transfers", {**pay, "amount": "0"}, "acme", "amount-invalid", 422)
        bank.refusal("/v1/money/transfers", {**pay, "to_org_id": orgs["acme"]}, "acme", "payee-invalid", 422)
        row = bank.get(f"/v1/money/transfers/{again}", "globex")
        assert (row["state"], row["paid"], row["code"], row["user_data"]) == ("made", "100.25", 7, 42)
        bank.call("GET", f"/v1/money/transfers/{again}", status=404, who="forex")

        # in two phases: posted in part, voided, expired
        waits = [bank.call("POST", "/v1/money/transfers", {**pay, "amount": "10", "pending": True}, 201, "acme")["id"] for _ in range(3)]
        assert bank.amounts("acme") == {"held": "870.25", "reserved": "30"}
        assert {row["id"] for row in bank.get("/v1/money/transfers?state=pending", "acme")["items"]} == set(waits)
        bank.refusal(f"/v1/money/transfers/{waits[0]}/post", {}, "globex", "forbidden", 403)
        bank.refusal(f"/v1/money/transfers/{waits[0]}/post", {"amount": "11"}, "acme", "exceeds-pending")
        bank.call("POST", f"/v1/money/transfers/{waits[0]}/post", {"amount": "4"}, who="acme")
        bank.call("POST", f"/v1/money/transfers/{waits[1]}/void", who="globex")
        bank.refusal(f"/v1/money/transfers/{waits[1]}/post", {}, "acme", "not-pending")
        soon = bank.daemon.ctl("money", "pay", f"to_org_id={orgs['globex']}", "currency=EUR", "amount=1", "pending=true",
                               "expires_at=" + in_a_second(), key=bank.keys["acme"])
        wait_until(lambda: bank.get(f"/v1/money/transfers/{soon['id']}", "acme")["state"] == "expired", "a pending transfer expires")
        assert bank.amounts("acme") == {"held": "886.25", "reserved": "10"}

        # a linked set: all or none
        linked = [{"to_org_id": orgs["globex"], "currency": "EUR", "amount": "6.25"},
                  {"to_org_id": orgs["forex"], "currency": "EUR", "amount": "20", "pending": True}]
        answer = bank.call("POST", "/v1/transfer-sets", {"linked": linked + [{"to_org_id": orgs["forex"], "batch": 9, "kg": 1}]}, 404, "acme")
        assert answer["pointer"].startswith("/linked/2"), answer
        whole = bank.call("POST", "/v1/transfer-sets", {"linked": linked}, 201, "acme")
        assert [row["state"] for row in bank.get(f"/v1/money/transfers?set_id={whole['id']}", "acme")["items"]].count("pending") == 1
        assert bank.amounts("acme") == {"held": "860", "reserved": "30"}

        # limits: the organisation's own, and the registry's, which it cannot lift
        bank.call("POST", f"/v1/accounts/{orgs['acme']}/limits", {"currency": "EUR", "lowest": "800"}, who="acme")
        bank.call("POST", f"/v1/accounts/{orgs['acme']}/limits", {"currency": "EUR", "daily": "20"})
        bank.refusal("/v1/money/transfers", {**pay, "amount": "61"}, "acme", "limit-lowest")
        bank.refusal("/v1/money/transfers", {**pay, "amount": "21"}, "acme", "limit-daily")
        bank.refusal("/v1/money/withdrawals", {"org_id": orgs["acme"], "currency": "EUR", "amount": "21", "reference": "out"}, "admin", "limit-daily")
        limits = bank.get(f"/v1/accounts/{orgs['acme']}/limits", "acme")["items"]
        assert [(row["own_lowest"], row["registry_daily"]) for row in limits] == [("800", "20")]
        bank.call("POST", "/v1/money/withdrawals", {"org_id": orgs["acme"], "currency": "EUR", "amount": "20", "reference": "out"}, 201)

        # conversion at an offer, the remainder to the house
        deposit("forex", "500", "USD")
        bank.call("POST", "/v1/money/rates", {"from_currency": "EUR", "to_currency": "USD", "rate": "1.086400001", "source": "ecb",
                                              "quoted_at": "2026-01-02T15:00:00Z", "expires_at": "2099-01-01T00:00:00Z"}, who="forex")
        assert bank.get("/v1/money/rates?from=EUR&to=USD", "globex")["items"][0]["rate"] == "1.086400001"
        bought = bank.call("POST", "/v1/money/conversions", {"provider_id": orgs["forex"], "from_currency": "EUR", "to_currency": "USD",
                                                             "amount": "3.000001", "least": "3.2592"}, 201, "globex")
        row = bank.get(f"/v1/money/conversions/{bought['id']}", "globex")
        assert (row["bought"], row["remainder"], row["rate"], row["source"]) == ("3.259201", "0.000001", "1.086400001", "ecb")
        assert bank.amounts("house", "USD") == {"held": "0.000001"}

        # an account is closed when it is empty, for ever
        bank.refusal(f"/v1/accounts/{orgs['globex']}/close", {"reason": "over"}, "admin", "account-not-empty")
        bank.call("POST", f"/v1/accounts/{orgs['gone']}/close", {"reason": "over"})
        bank.refusal("/v1/money/transfers", {**pay, "to_org_id": orgs["gone"], "amount": "1"}, "globex", "account-closed")
        assert bank.get(f"/v1/accounts/{orgs['gone']}")["closed_at"]

        # balances as they were, statements
        account = f"/v1/accounts/{orgs['acme']}"
        assert bank.get(f"{account}/balance?asset=EUR&position={early}", "acme")["money"] == {"held": "1000.5"}
        assert bank.get(f"{account}/balance?asset=EUR&position={early - 2}", "acme")["money"] == {"held": "0"}
        assert bank.get(f"{account}/balance?asset=EUR", "acme")["money"] == {"held": "840", "reserved": "30"}
        whole = statement(bank, account, "acme")
        assert whole[0]["event"] == "money_deposited" and whole[0]["position"] < first["position"]
        held = D(0)
        for line in whole:
            held += D(line["money"]["change"].get("held", "0"))
            assert D(line["money"]["balance"]["held"]) == held, line
        assert held == 840
        moment = whole[2]["made_at"]
        assert bank.get(f"{account}/balance?asset=EUR&at={moment}", "acme")["money"] == [
            line for line in whole if line["made_at"] <= moment][-1]["money"]["balance"]
        part = bank.get(f"{account}/statement?asset=EUR&from={moment}", "acme")
        before = [line for line in whole if line["made_at"] < moment][-1]["money"]["balance"]
        assert part["opening"]["money"] == before and part["closing"]["money"] == {"held": "840", "reserved": "30"}
        bank.call("GET", f"{account}/statement?asset=EUR", status=404, who="globex")
        text = subprocess.run([str(CARBONCTL), "accounts", "statement", orgs["acme"], "--asset", "EUR", "--format", "csv", "--all", "--limit", "5"],
                              capture_output=True, text=True, check=True, env={"CARBOND_URL": f"http://127.0.0.1:{bank.daemon.port}", "CARBOND_API_KEY": bank.keys["acme"]}).stdout
        table = list(csv.DictReader(io.StringIO(text)))
        assert [line["position"] for line in table[1:-1]] == [str(line["position"]) for line in whole]
        assert table[0]["event"] == "opening_balance" and table[-1]["balance_held"] == "840" and table[-1]["balance_reserved"] == "30"

        # the trial balance, newest and earlier; after a restart with views made anew from the journal; and by carbonctl verify
        newest, then = trial(bank), trial(bank, position=early)
        assert set(sums(newest).values()) == {0} and set(sums(then).values()) == {0}
        assert by_account(then)[(orgs["acme"], "EUR")] == {"held": "1000.5"} and len(then) < len(newest)
        journal = folder / "journal.ndjson"
        bank.daemon.ctl("journal", "batches", "--output", journal)
        run = subprocess.run([str(CARBONCTL), "verify", "--journal", str(journal)], capture_output=True, text=True, check=True)
        for asset in ("EUR", "USD"):
            said = {name: D(amount) for name, amount in re.findall(r"(\w+) (-?[\d.]+)", re.search(rf"{asset}: ([^\n]*)", run.stdout)[1])}
            for state in STATES:
                total = sum(D(row["money"].get(state, "0")) for row in newest if row["asset"] == asset and not row["org_id"].startswith("ffffffff"))
                assert said.get(state, 0) == total, (asset, state, said, total)
            assert said["outside"] == D(by_account(newest)[("ffffffff-ffff-ffff-ffff-ffffffffffff", asset)]["held"])
        assert bank.daemon.stop() == 0
        for file in bank.daemon.data.glob("views.db*"):
            file.unlink()
        bank.daemon.start()
        assert by_account(trial(bank)) == by_account(newest)
        assert by_account(trial(bank, position=early)) == by_account(then)
        assert bank.daemon.stop() == 0


def in_a_second():
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def statement(bank, account, who):
    lines, cursor = [], None
    while True:
        page = bank.get(f"{account}/statement?asset=EUR&limit=4" + (f"&cursor={cursor}" if cursor else ""), who)
        lines += page["items"]
        cursor = page.get("next_cursor")
        if not cursor:
            return lines
