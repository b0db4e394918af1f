"""JSON texts that are none, or that two readers would read differently, to routes with three kinds of readers: a field table,
a merge over a stored row, and a document that its room reads itself."""
import json
import pathlib

from hostile import Ask, Row

TOP = pathlib.Path(__file__).resolve().parents[3]
UNIT = {"slug": "plant-9", "code": "P9", "name": "Plant", "country": "DE", "nameplate_kg_per_hour": 1000}
GOOD = json.dumps(UNIT).encode()


def with_member(text, name=b"name"):
    """The unit with one member's value as it stands."""
    return GOOD.replace(b'"Plant"', text) if name == b"name" else GOOD.replace(b"1000", text)


NOT_JSON = {
    "nothing but a blank": b" ", "an opening brace": b"{", "an opening bracket": b"[", "a closing brace": b"}", "a colon": b":", "text": b"nonsense", "NUL": b"\0",
    "two documents": b"{}{}", "trailing garbage": GOOD + b"x", "trailing comma": GOOD[:-1] + b",}", "trailing NUL": GOOD + b"\0", "leading comma": b"{," + GOOD[1:],
    "byte order mark": b"\xef\xbb\xbf" + GOOD, "UTF-16": GOOD.decode().encode("utf-16"), "UTF-16 without a mark": GOOD.decode().encode("utf-16-le"),
    "UTF-32": GOOD.decode().encode("utf-32-le"), "Latin-1": with_member('"Münster"'.encode("latin-1")), "overlong UTF-8": with_member(b'"\xc0\xaf"'),
    "overlong NUL": with_member(b'"\xc0\x80"'), "surrogate in UTF-8": with_member(b'"\xed\xa0\x80"'), "beyond Unicode": with_member(b'"\xf4\x90\x80\x80"'),
    "half a character": with_member(b'"\xe2\x82"'), "continuation byte alone": with_member(b'"\x80"'), "0xff": with_member(b'"\xff"'),
    "lone high surrogate": with_member(rb'"\ud800"'), "lone low surrogate": with_member(rb'"\udc00"'), "surrogates in the wrong order": with_member(rb'"\udc00\ud800"'),
    "escaped NUL": with_member(rb'"a\u0000b"'), "escaped NUL in a name": GOOD[:-1] + rb',"a\u0000b":1}', "short escape": with_member(rb'"\u12"'),
    "unknown escape": with_member(rb'"\x41"'), "raw newline in a text": with_member(b'"a\nb"'), "raw tab in a text": with_member(b'"a\tb"'), "raw NUL in a text": with_member(b'"a\0b"'),
    "text without an end": GOOD[:-1] + b',"a":"b', "single quotes": GOOD.replace(b'"', b"'"), "a name without quotes": GOOD.replace(b'"slug"', b"slug"),
    "a comment": b"/* a */" + GOOD, "a line comment": b"// a\n" + GOOD, "NaN": with_member(b"NaN", b"n"), "Infinity": with_member(b"Infinity", b"n"),
    "-Infinity": with_member(b"-Infinity", b"n"), "nan": with_member(b"nan", b"n"), "1e400": with_member(b"1e400", b"n"), "-1e400": with_member(b"-1e400", b"n"),
    "hexadecimal": with_member(b"0x10", b"n"), "leading zero": with_member(b"01", b"n"), "leading plus": with_member(b"+1", b"n"), "leading point": with_member(b".5", b"n"),
    "trailing point": with_member(b"1.", b"n"), "exponent without digits": with_member(b"1e", b"n"), "two minus": with_member(b"--1", b"n"), "2^63": with_member(b"9223372036854775808", b"n"),
    "2^64": with_member(b"18446744073709551616", b"n"), "-2^63-1": with_member(b"-9223372036854775809", b"n"), "5,000 digits": with_member(b"9" * 5000, b"n"),
    "True": with_member(b"True"), "undefined": with_member(b"undefined"), "duplicate member": GOOD[:-1] + b',"name":"other"}',
    "duplicate member, escaped": GOOD[:-1] + rb',"n\u0061me":"other"}', "duplicate member inside": GOOD[:-1] + b',"a":{"b":1,"b":2}}', "colon missing": b'{"slug" "a"}',
    "value missing": b'{"slug":}', "a name alone": b'{"slug"}', "a number as a name": b"{1:2}", "brackets mixed": b'{"slug":[1}', "form feed as a blank": b"\f" + GOOD,
    "no-break space as a blank": b"\xc2\xa0" + GOOD, "gzip": b"\x1f\x8b\x08\0\0\0\0\0\0\3" + b"\0" * 20, "multipart": b"--x\r\n\r\n", "a form": b"slug=a&name=b", "XML": b"<unit/>",
    "1,000,000 blanks and no end": b" " * 50000 + b"{",
}
for _at in range(1, len(GOOD), 4):
    NOT_JSON[f"cut off at byte {_at}"] = GOOD[:_at]
DEEP = {"33 arrays": b"[" * 33 + b"]" * 33, "33 objects": b'{"a":' * 33 + b"1" + b"}" * 33, "20,000 arrays": b"[" * 20000 + b"]" * 20000, "20,000 openings": b"[" * 20000,
        "10,000 objects": b'{"a":' * 10000, "32 and one inside a member": b'{"name":' + b"[" * 32 + b"]" * 32 + b"}"}
NO_OBJECT = {"null": b"null", "true": b"true", "a number": b"1", "a text": b'"a"', "an array": b"[]", "an array with the object": b"[" + GOOD + b"]"}
ODD = {  # texts that are JSON: what a field table says of them
    "an empty object": (b"{}", "422 missing-field /slug"),
    "another letter case": (GOOD.replace(b'"slug"', b'"Slug"'), "422 unknown-field /Slug"),
    "a blank in a name": (GOOD.replace(b'"slug"', b'"sl ug"'), "422 unknown-field /sl ug"),
    "a name with a slash": (GOOD[:-1] + b',"a/b~c":1}', "422 unknown-field /a~1b~0c"),
    "an empty name": (GOOD[:-1] + b',"":1}', "422 unknown-field /"),
    "__proto__": (GOOD[:-1] + b',"__proto__":{}}', "422 unknown-field /__proto__"),
    "a name of 20,000 bytes": (GOOD[:-1] + b',"' + b"a" * 20000 + b'":1}', "422 unknown-field"),
    "a name of 20,000 bytes beyond ASCII": (GOOD[:-1] + b',"' + "é".encode() * 10000 + b'":1}', "422 unknown-field"),
    "a name of three-byte characters": (GOOD[:-1] + b',"' + "€".encode() * 300 + b'":1}', "422 unknown-field"),
    "a name of four-byte characters": (GOOD[:-1] + b',"a' + "🌍".encode() * 300 + b'":1}', "422 unknown-field"),
    "a name with an escape code": (GOOD[:-1] + rb',"\u001b[31m":1}', "422 unknown-field /?[31m"),
    "a name with a newline": (GOOD[:-1] + rb',"a\nb":1}', "422 unknown-field"),
    "minus zero": (with_member(b"-0", b"n"), "422 invalid-field /nameplate_kg_per_hour"),
    "2^53 + 1": (with_member(b"9007199254740993", b"n"), "422 invalid-field /nameplate_kg_per_hour"),
    "2^63 - 1": (with_member(b"9223372036854775807", b"n"), "422 invalid-field /nameplate_kg_per_hour"),
    "an integer as a real": (with_member(b"1000.0", b"n"), "422 invalid-field /nameplate_kg_per_hour"),
    "an integer with an exponent": (with_member(b"1e3", b"n"), "422 invalid-field /nameplate_kg_per_hour"),
    "1e-400": (with_member(b"1e-400", b"n"), "422 invalid-field /nameplate_kg_per_hour"),
    "control characters": (with_member(rb'"\u0007"'), "422 invalid-field /name"),
    "a C1 control character": (with_member(rb'"\u0085"'), "422 invalid-field /name"),
    "DEL": (with_member(rb'"\u007f"'), "422 invalid-field /name"),
    "a text of 30,000 bytes": (with_member(b'"' + b"a" * 30000 + b'"'), "422 invalid-field /name"),
    "1,000 unknown members": (GOOD[:-1] + b"".join(b',"m%d":1' % i for i in range(1000)) + b"}", "422 unknown-field"),
    "a slug with a wildcard": (GOOD.replace(b"plant-9", b"plant+"), "422 invalid-field /slug"),
    "a slug with a hash": (GOOD.replace(b"plant-9", b"#"), "422 invalid-field /slug"),
    "a slug with a slash": (GOOD.replace(b"plant-9", b"a/b"), "422 invalid-field /slug"),
    "a slug of dots": (GOOD.replace(b"plant-9", b".."), "422 invalid-field /slug"),
    "a slug in capitals": (GOOD.replace(b"plant-9", b"PLANT"), "422 invalid-field /slug"),
    "a slug beyond ASCII": (GOOD.replace(b"plant-9", "plänt".encode()), "422 invalid-field /slug"),
    "a code in small letters": (GOOD.replace(b'"P9"', b'"p9"'), "422 invalid-field /code"),
    "a code with a hyphen": (GOOD.replace(b'"P9"', b'"P-9"'), "422 invalid-field /code"),
    "a country that there is not": (GOOD.replace(b'"DE"', b'"ZZ"'), "422 invalid-field /country"),
    "a country in small letters": (GOOD.replace(b'"DE"', b'"de"'), "422 invalid-field /country"),
    "another organisation": (GOOD[:-1] + b',"org_id":"0190b3a0-0000-7000-8000-000000000099"}', "403 forbidden"),
    "a slug in use": (GOOD.replace(b"plant-9", b"plant-1"), "409 duplicate"),
}


def rows():
    routes = (("POST", "/v1/units", {}, "all"), ("PATCH", "/v1/units/UNIT", {"If-Match": "*"}, "all"), ("POST", "/v1/methodologies", {}, "admin"),
              ("POST", "/v1/factor-sets", {}, "admin"))
    for method, target, headers, key in routes:
        for name, data in NOT_JSON.items():
            yield Row(f"{method} {target}: {name}", Ask(method, target, data, headers, key), "400 invalid-json")
        for name, data in DEEP.items():
            yield Row(f"{method} {target}: {name}", Ask(method, target, data, headers, key), "400 too-deep")
    for method, target, headers, key in routes:
        for name, data in NO_OBJECT.items():
            yield Row(f"{method} {target}: {name}", Ask(method, target, data, headers, key), "400 invalid-json")
    for target, slug, folder in (("/v1/methodologies", "invalid-methodology", "methodologies"), ("/v1/factor-sets", "invalid-factors", "factors")):
        for name, data in {"an empty object": b"{}", "an object of something else": GOOD, "a format that is a number": b'{"format":1}'}.items():
            yield Row(f"POST {target}: {name}", Ask("POST", target, data, {}, "admin"), f"422 {slug}")
        yield Row(f"POST {target}: the shipped one again", Ask("POST", target, sorted((TOP / "config" / folder).glob("*.json"))[0].read_bytes(), {}, "admin"), "201")
    for name, (data, expect) in ODD.items():
        yield Row(f"POST /v1/units: {name}", Ask("POST", "/v1/units", data), expect)
