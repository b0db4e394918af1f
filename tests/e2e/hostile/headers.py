"""Header values: credentials, preconditions, idempotency keys, media types, encodings; and values that would forge a log line."""
from hostile import Ask, Row
from hostile.bodies import GOOD

ID = "0190b3a0-0000-7000-8000-000000000077"
UNKNOWN = "cck_0190b3a0-0000-7000-8000-000000000077_" + "A" * 43


def rows():
    for value in ("", "Bearer", "Bearer ", "Bearer x", "Basic YTpi", "bearer", "Bearer " + UNKNOWN, "Bearer cck_", "Bearer cck__", "Bearer cck_x_y", "Bearer " + UNKNOWN[:-1], "Bearer " + UNKNOWN + "A",
                  "Bearer " + UNKNOWN.replace("A", "+"), "Bearer " + "A" * 8000, "Bearer " + UNKNOWN + ", Bearer " + UNKNOWN, "Bearer eyJhbGciOiJub25lIn0.e30.", "Bearer %s%s%n", UNKNOWN, "Negotiate x",
                  "Bearer " + ID, "Bearer cck_" + ID + "_", "Bearer ' or 1=1 --", "Digest username=a", "Bearer\u00a0" + UNKNOWN):
        yield Row(f"Authorization: {value[:90]!r} of {len(value)} bytes", Ask("GET", "/v1/units", None, {"Authorization": value.encode("latin-1", "replace").decode("latin-1")}, "none"), "401 unauthenticated")
    yield Row("no Authorization", Ask("GET", "/v1/units", key="none"), "401 unauthenticated")
    yield Row("a changed secret", Ask("GET", "/v1/units", None, {"Authorization": "Bearer CHANGED"}, "none"), "401 unauthenticated")
    for method, target in (("POST", "/v1/methodologies"), ("POST", "/v1/organisations"), ("POST", "/v1/verifiers"), ("GET", "/v1/audit/records?org_id=" + ID), ("POST", "/v1/batches/1/hold")):
        yield Row(f"{method} {target} without the right", Ask(method, target, b"{}" if method == "POST" else None, {"Idempotency-Key": ID}, "device"), "403 forbidden")
    for value in ("", "x", '"', '""', '"x"', '"-1"', '"1', "1", 'W/"1"', '"1", "2"', '"99999999999999999999"', '"1 "', '" 1"', '"+1"', '"0x1"', "**", '"1"x', '"9223372036854775808"'):
        yield Row(f"If-Match: {value!r}", Ask("PATCH", "/v1/units/UNIT", b'{"name":"Other"}', {"If-Match": value}), "412 condition-failed")
    yield Row("no If-Match", Ask("PATCH", "/v1/units/UNIT", b'{"name":"Other"}'), "428 precondition-required")
    yield Row("If-Match of another version", Ask("PATCH", "/v1/units/UNIT", b'{"name":"Other"}', {"If-Match": '"77"'}), "412 condition-failed")
    transfer = b'{"to_org_id":"%s","batch":1,"kg":1}' % ID.encode()
    for value in ("", "x", ID[:-1], ID + "0", '"' + ID, ID + '"', '""', "'" + ID + "'", "{" + ID + "}", "00000000-0000-0000-0000-000000000000", "key-1", "a" * 5000):
        yield Row(f"Idempotency-Key: {value[:40]!r}", Ask("POST", "/v1/transfers", transfer, {"Idempotency-Key": value}), "400 idempotency-key-required")
    yield Row("no Idempotency-Key", Ask("POST", "/v1/transfers", transfer), "400 idempotency-key-required")
    yield Row("Idempotency-Key of version 4", Ask("POST", "/v1/accounts/ORG/hold", b'{"reason":"x"}', {"Idempotency-Key": "9b2f6a52-5a3f-4d7b-8a43-0f3ad1c7c0de"}, "admin"), "422 command-id-invalid")
    yield Row("Idempotency-Key of last month", Ask("POST", "/v1/accounts/ORG/hold", b'{"reason":"x"}', {"Idempotency-Key": ID}, "admin"), "422 command-id-invalid")
    for value in ("", "text/plain", "application/json;", "application/jso", "application/json/x", "application/*", "*/*", "json", "application/xml", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
                  "text/json", "application/vnd.api+json", "application/json,application/json", "application/x-ndjson", "a" * 3000):
        expect = "409 duplicate" if value == "application/json;" else "415 unsupported-media"
        yield Row(f"Content-Type: {value[:40]!r}", Ask("POST", "/v1/units", GOOD.replace(b"plant-9", b"plant-1"), {"Content-Type": value}), expect)
    for value in ("gzip", "deflate", "br", "zstd", "compress", "x-gzip", "gzip, identity", "identity, gzip", "x", "gzip;q=0"):
        yield Row(f"Content-Encoding: {value}", Ask("POST", "/v1/units", b"\x1f\x8b\x08" + b"\0" * 1000, {"Content-Encoding": value, "Content-Type": "application/json"}), "415 unsupported-media")
    yield Row("a body over the route's limit", Ask("POST", "/v1/units", b" " * ((64 << 10) + 1), {"Content-Type": "application/json"}), "413 too-large")
    yield Row("a body over the readings' limit", Ask("POST", "/v1/readings?unit=plant-1", b" " * ((16 << 20) + 1), {"Content-Type": "application/json"}), "413 too-large")
    yield Row("a body for a GET", Ask("GET", "/v1/units", b"{}", {"Content-Type": "application/json"}), "413 too-large")
    yield Row("a body for a DELETE", Ask("DELETE", "/v1/units/UNIT", b"{}", {"Content-Type": "application/json", "If-Match": "*"}), "413 too-large")
    for header, value in (("X-Request-Id", 'a"},{"level":"error'), ("X-Request-Id", "a" * 5000), ("X-Request-Id", "../../etc/passwd"), ("X-Request-Id", "%n%n%n%s"), ("X-Forwarded-For", "1.2.3.4, ' --"), ("X-Forwarded-For", "a" * 5000),
                          ("Accept", "image/png"), ("Accept", ",;=/"), ("Accept-Encoding", "gzip;q=9999999999"), ("Accept-Encoding", ",,,,"), ("Range", "bytes=0-"), ("Range", "bytes=99999999999999999999-"), ("Expect", "nonsense"),
                          ("Upgrade", "h2c"), ("Connection", "close, Upgrade, x"), ("X-HTTP-Method-Override", "DELETE"), ("X-Original-URL", "/v1/keys"), ("Cookie", "a=b; " * 50), ("If-None-Match", '"' * 500), ("Origin", "null"), ("Referer", "\u00e9"),
                          ("User-Agent", "() { :; }; /bin/id"), ("User-Agent", "${jndi:ldap://x}"), ("Max-Forwards", "-1"), ("Date", "yesterday"), ("TE", "chunked")):
        yield Row(f"{header}: {value[:30]!r} changes nothing", Ask("GET", "/v1/units/NOUNIT", None, {header: value}), "404 not-found")
    for serial in ("x", "CCN1", "CCN1-IS-P1-DAC1-2026-1-1.10-0", "CCN1-IS-P1-DAC1-2026-1-1.0-0", "CCN1-IS-P1-DAC1-2026--1-1.10-0", "CCN1-IS-P1-DAC1-2026-1-1.99999999999999999999-0", "ccn1-is-p1-dac1-2026-1-1.10-0", "CCN1-IS-P1-DAC1-2026-1-1.10", "CCN1" + "-A" * 50, "CCN2-IS-P1-DAC1-2026-1-1.10-0", "%20", "CCN1-IS-P1-DAC1-99999-1-1.10-0"):
        yield Row(f"serial {serial[:40]}", Ask("GET", f"/v1/serials/{serial}", key="none"), "422 serial-invalid")
    for stream in ("x", "journal.1", "journal.0%20", "audit.", "readings.nothing", "journal.99999999999", "sqlite_master"):
        yield Row(f"stream {stream}", Ask("GET", f"/v1/audit/streams/{stream}/inclusion?index=0&tree_size=1", key="admin"), "404 not-found|422 invalid-field")
    for index, size in ((1, 1), (5, 1), (0, 9007199254740991), (9007199254740990, 9007199254740991)):
        yield Row(f"leaf {index} of {size}", Ask("GET", f"/v1/audit/streams/audit.test/inclusion?index={index}&tree_size={size}", key="admin"), "404 not-found|422 invalid-field")
    for first, second in ((0, 1), (2, 1), (1, 9007199254740991)):
        yield Row(f"trees {first} and {second}", Ask("GET", f"/v1/audit/streams/audit.test/consistency?first={first}&second={second}", key="admin"), "404 not-found|422 invalid-field")
    times = "from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z"
    for query, expect in (("from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "422 invalid-field /to"), (times + "&step=0s", "422 invalid-field /step"), (times + "&step=-1h", "422 invalid-field /step"), (times + "&step=1", "422 invalid-field /step"),
                          (times + "&step=99999999999999999999h", "422 invalid-field /step"), (times + "&step=1us", "422 invalid-field /step"), (times + "&step=1h&agg=percentile&fraction=2", "422 invalid-field /fraction"),
                          (times + "&step=1h&agg=percentile&fraction=nan", "422 invalid-field /fraction"), (times + "&agg=mean;drop", "422 invalid-field /agg"), (times + "&format=xml", "422 invalid-field /format"), ("from=9007199254740993&to=1", "422 invalid-field /from"), ("from=+1&to=2", "422 invalid-field /from"), ("from=0&to=9007199254740993", "422 invalid-field /to"),
                          ("from=-1&to=1", "422 invalid-field /from"), ("from=&to=", "422 invalid-field /from"), (times + "&limit=100001", "422 invalid-field /limit")):
        yield Row(f"readings {query[-60:]}", Ask("GET", f"/v1/sensors/SENSOR/readings?{query}"), expect)
    yield Row("a cursor of another collection", Ask("GET", "/v1/sensors?cursor=CURSOR"), "400 invalid-cursor")
    yield Row("a position that is far ahead", Ask("GET", "/v1/batches?at-least=9007199254740991"), "504 deadline|503 busy|503 not-ready")
