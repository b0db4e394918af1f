"""No route scans a collection (issue 6, item 5): every GET of the interface with every filter and its second page, and all that the
main job writes, goes through a relay that keeps what carbond asks; each shape of query is held against the collection's indexes and
the server's explain."""
import json
import re
import signal
import subprocess
import urllib.parse

from harness import TOP, Broker, Daemon, Process, can_connect, free_port, mongo_server, scratch, wait_until
from story import Story
from test_main_job import MIDDLE, START, iso

PYTHON, PLANS = TOP / ".deps/venv/bin/python", TOP / "tests/e2e/mongo_plans.py"
DATES = {"from": iso(START), "to": iso(MIDDLE)}
NUMBERED = ("market", "class", "instrument", "trade", "auction", "pool")  # of the market, which trades nothing here


def is_stream(route):
    return route == "/v1/events" or route.endswith("/stream")  # has no end


class Routes:
    def __init__(self, story):
        self.story, self.daemon, self.pages, self.statuses = story, story.daemon, 0, {}

    def ask(self, path, **parameters):
        query = urllib.parse.urlencode(parameters)
        best = None
        for key in (self.story.keys[name] for name in ("auditor", "operator", "buyer", "trader", "north", "issuer")):
            status, body, _ = self.daemon.request("GET", path + (f"?{query}" if query else ""), key=key)
            assert status < 500, (path, parameters, status, body)
            best = best or (status, body)
            if status == 200:
                best = status, body
                if not isinstance(body, dict) or body.get("items", True):
                    break
        return best

    def second_page(self, path, **parameters):
        status, body = self.ask(path, **parameters, limit=1)
        if status == 200 and isinstance(body, dict) and body.get("next_cursor"):
            self.pages += self.ask(path, **parameters, limit=1, cursor=body["next_cursor"])[0] == 200
        return status, body

    def values(self):
        story, one = self.story, lambda path: (self.ask(path)[1].get("items") or [{}])[0]
        sensor = one("/v1/sensors")
        certificate = one("/v1/retirements").get("id")
        return {"org_id": story.orgs["acme"], "unit_id": story.unit, "sensor_id": sensor["id"], "sensors": sensor["id"],
                "metering_point_id": sensor["metering_point_id"], "tag": sensor["tag"], "period_id": story.period_id,
                "project_id": story.project_id, "batch": story.issued["number"], **{name: 1 for name in NUMBERED}, "status": "open", "order_id": certificate, "state": "open", "direction": "in", "slug": "not-found",
                "stream": "journal.0", "index": 0, "tree_size": 1, "first": 1, "second": 2, "code": "DAC1", "version": 1,
                "serial": one("/v1/holdings/ranges").get("serial", "x"), "subject_kind": "sensor", "subject": sensor["id"],
                "asset": "EUR",
                "/v1/periods/{id}": story.period_id, "/v1/jobs/{id}": story.job, "/v1/certificates/{id}": certificate,
                "/certificates/{id}": certificate, "/v1/periods/{id}/manifest": story.submission["id"],
                "/v1/periods/{id}/pack": story.submission["id"], "/v1/factor-sets/{code}/{version}": "ember"}

    def one_of(self, route, name, values):
        if name != "id":
            return "ember" if route.startswith("/v1/factor-sets") and name == "code" else values[name]
        listing = route.split("/{")[0]
        if route in values or listing == "/v1/periods":
            return values.get(route, self.story.period_id)
        items = self.ask(listing)[1].get("items") or [{}]
        return items[0].get("id", self.story.orgs["acme"])

    def all(self):
        values = self.values()
        for route, verbs in json.loads((TOP / "docs/openapi.json").read_text())["paths"].items():
            if "get" not in verbs or is_stream(route):
                continue
            names = [parameter["name"] for parameter in verbs["get"].get("parameters", [])]
            path = re.sub(r"\{(\w+)\}", lambda match: str(self.one_of(route, match[1], values)), route)
            within = {name: DATES[name] for name in ("from", "to") if name in names and not route.startswith("/v1/journal")}
            if route == "/v1/readings":
                within["sensors"] = values["sensors"]
            if route.endswith(("/statement", "/balance")):
                within["asset"] = values["asset"]
            if route == "/v1/money/rates":
                within = {"from": "EUR", "to": "USD"}
            self.statuses[route] = self.second_page(path, **within)[0] if "limit" in names else self.ask(path, **{
                name: values[name] for name in names if name in ("index", "tree_size", "first", "second", "asset")} | within)[0]
            for name in names:
                if name in values and "{" + name + "}" not in route and "limit" in names:
                    self.second_page(path, **within | {name: values[name]})
        return self.statuses


def test_every_route_is_answered_by_an_index():
    with scratch() as folder:
        server, database = mongo_server(), mongo_server().new_uri()
        host = re.match(r"mongodb://(?:[^@/]*@)?([^,/]+)", server.base)[1]
        port = free_port()
        relay = Process([PYTHON, PLANS, "record", port, host if ":" in host else f"{host}:27017", folder / "shapes"], folder / "relay.log")
        wait_until(lambda: can_connect(port), "the relay listens")
        name = database.split("/")[-1].split("?")[0]
        broker = Broker(folder / "broker")
        daemon = Daemon(folder / "carbond", broker, {"store.uri": f"mongodb://127.0.0.1:{port}/{name}?directConnection=true"})
        try:
            story = Story(daemon.init().start(), folder).people().plant(broker, iso(START), iso(MIDDLE)).project()
            story.period_id = story.period(iso(START), iso(MIDDLE))
            story.job = story.post(f"/v1/periods/{story.period_id}/submit", key="operator")["id"]
            wait_until(lambda: daemon.get(f"/v1/jobs/{story.job}", key=story.keys["operator"])["state"] == "done", "it is submitted")
            story.submission = daemon.get(f"/v1/periods/{story.period_id}/submissions", key=story.keys["operator"])["items"][0]
            issued = story.issued = story.issue(story.submission["id"])
            moved = story.post("/v1/transfers", {"to_org_id": story.orgs["globex"], "batch": issued["number"], "kg": 200}, key="trader")
            gone = story.post("/v1/retirements", {"batch": issued["number"], "kg": 100, "beneficiary": "Globex", "country": "GB", "purpose": "voluntary",
                                                    "covered_from": "2026-01-01T00:00:00Z", "covered_to": "2026-07-01T00:00:00Z", "consent": True}, key="buyer")
            wait_until(lambda: daemon.request("GET", f"/v1/holdings?at-least={gone['position']}", key=story.keys["buyer"])[0] == 200, "views")
            assert moved["position"] < gone["position"]
            for amount in ("100", "50"):
                story.post("/v1/money/deposits", {"org_id": story.orgs["acme"], "currency": "EUR", "amount": amount, "reference": "bank"}, key="admin")
                story.post("/v1/money/transfers", {"to_org_id": story.orgs["globex"], "currency": "EUR", "amount": "7", "pending": True}, key="trader")
            story.post("/v1/money/house", {"org_id": story.orgs["north"]}, key="admin")
            story.post("/v1/money/deposits", {"org_id": story.orgs["globex"], "currency": "USD", "amount": "50", "reference": "bank"}, key="admin")
            story.post(f"/v1/accounts/{story.orgs['acme']}/limits", {"currency": "EUR", "lowest": "1"}, key="admin")
            story.post("/v1/money/rates", {"from_currency": "EUR", "to_currency": "USD", "rate": "1.1", "source": "ecb",
                                           "quoted_at": "2026-01-01T00:00:00Z", "expires_at": "2099-01-01T00:00:00Z"}, key="buyer")
            for amount in ("1", "2"):
                last = story.post("/v1/money/conversions", {"provider_id": story.orgs["globex"], "from_currency": "EUR", "to_currency": "USD", "amount": amount}, key="trader")
            wait_until(lambda: daemon.request("GET", f"/v1/holdings?at-least={last['position']}", key=story.keys["buyer"])[0] == 200, "views")
            daemon.ctl("checkpoint", "--socket", daemon.data / "admin.sock")
            routes = Routes(story)
            statuses = routes.all()
            missed = {route: status for route, status in statuses.items() if status != 200 and not any("{" + name + "}" in route for name in NUMBERED)}
            print(f"{len(statuses)} routes, {routes.pages} second pages; other than 200: {missed}")
            assert routes.pages >= 10
            assert len(missed) <= len(statuses) // 10, sorted(missed.items())
            assert daemon.stop() == 0
        finally:
            if daemon.process and daemon.process.alive():
                daemon.stop()
            broker.stop()
            relay.kill(signal.SIGTERM)
        run = subprocess.run([PYTHON, PLANS, "judge", database, folder / "shapes"], capture_output=True, text=True)
        print(run.stdout)
        assert run.returncode == 0, "\n".join(line for line in run.stdout.splitlines() if line.startswith("BAD")) + run.stderr[-2000:]
        assert run.stdout.count("\n") > 60
        # the judge can say no: no index, another order, a member that the index does not have
        bad = [{"filter": {"label": "x"}, "sort": []}, {"filter": {}, "sort": [["tag", 1]]}, {"filter": {"org_id": 1, "label": "x"}, "sort": []}]
        (folder / "shapes").write_text("".join(json.dumps({"collection": "sensors", **shape}) + "\n" for shape in bad))
        run = subprocess.run([PYTHON, PLANS, "judge", database, folder / "shapes"], capture_output=True, text=True)
        assert run.returncode == 1 and run.stdout.count("BAD ") == 3, run.stdout
