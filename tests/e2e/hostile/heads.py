"""Request heads and chunked bodies, byte by byte: whatever lets two readers of a connection disagree on where a request ends
(facts.md on libmicrohttpd), and targets that are not what they look like. KEY stands for an API key."""
from hostile import Row

GET, HOST, AUTH = b"GET /healthz HTTP/1.1\r\n", b"Host: a\r\n", b"Authorization: Bearer KEY\r\n"
POST = b"POST /v1/readings?unit=plant-1 HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n" + AUTH
BODY = b'{"t":1000000000000000,"v":{"FT-101":1}}'  # with the present for its time
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
LENGTH = str(len(BODY)).encode()
BAD, NONE = "400 bad-request", "closed|408"  # what never ends is ended by the deadline, unless the sender hangs up before
BARE = "400"  # libmicrohttpd's own refusal: a status, a page without particulars, and the connection's end


def get(target, host=HOST):
    return b"GET " + target + b" HTTP/1.1\r\n" + host + b"\r\n"


def framing():
    yield "plain", GET + HOST + b"\r\n", "200"
    yield "HTTP/1.0", b"GET /healthz HTTP/1.0\r\n\r\n", "200"
    yield "empty line first", b"\r\n" + GET + HOST + b"\r\n", "200"
    yield "body", POST + b"Content-Length: " + LENGTH + b"\r\n\r\n" + BODY, "200"
    for name, value in {"sign": b"+3", "negative": b"-3", "minus zero": b"-0", "hexadecimal": b"0x3", "empty": b"", "list": b"3, 3", "fraction": b"3.0",
                        "exponent": b"3e0", "inner blank": b"3 3", "underscore": b"1_0", "text": b"three", "vertical tab": b"\v3",
                        "form feed": b"\f3", "trailing junk": b"3;a", "Unicode digits": "３".encode(), "quoted": b'"3"'}.items():
        yield f"Content-Length {name}", POST + b"Content-Length: " + value + b"\r\n\r\n" + BODY, BARE
    for digits in (b"16777217", b"99999999999", b"999999999999999999"):
        yield f"Content-Length {digits.decode()}", POST + b"Content-Length: " + digits + b"\r\n\r\n" + BODY, "413 too-large"
    for digits in (b"9223372036854775807", b"9223372036854775808", b"0" * 17 + b"39"):
        yield f"Content-Length {digits.decode()}", POST + b"Content-Length: " + digits + b"\r\n\r\n" + BODY, BAD
    for digits in (b"18446744073709551616", b"99999999999999999999999999"):
        yield f"Content-Length {digits.decode()}", POST + b"Content-Length: " + digits + b"\r\n\r\n" + BODY, "413"
    for first, second in ((LENGTH, LENGTH), (LENGTH, b"0"), (b"0", LENGTH), (LENGTH, b"-1")):
        yield f"Content-Length {first.decode()} and {second.decode()}", POST + b"Content-Length: " + first + b"\r\nContent-Length: " + second + b"\r\n\r\n" + BODY, BAD
    length, chunked, chunks = b"Content-Length: " + LENGTH + b"\r\n", b"Transfer-Encoding: chunked\r\n", b"\r\n0\r\n\r\n"
    yield "CL.TE", POST + length + chunked + chunks, BAD
    yield "TE.CL", POST + chunked + length + chunks, BAD
    yield "CL 0 and TE", POST + b"Content-Length: 0\r\n" + chunked + chunks, BAD
    yield "TE.TE", POST + chunked + chunked + chunks, BAD
    yield "TE.TE identity first", POST + b"Transfer-Encoding: identity\r\n" + chunked + chunks, BAD
    for value in (b"identity", b"gzip", b"gzip, chunked", b"chunked, chunked", b"chunked, identity", b"xchunked", b"chunked;a=b", b"\x0bchunked", b"chunked\x0b",
                  b'"chunked"', b"chunked,", b", chunked", b"chu\tnked", b"chunk", b"", b"cow", b"chunked\x00"):
        yield f"Transfer-Encoding {value!r}", POST + b"Transfer-Encoding: " + value + b"\r\n" + chunks, BAD
    yield "Transfer-Encoding in HTTP/1.0", POST.replace(b"HTTP/1.1", b"HTTP/1.0") + chunked + chunks, BAD
    yield "folded Transfer-Encoding", POST + b"Transfer-Encoding:\r\n chunked\r\n" + chunks, BAD
    yield "folded Content-Length", POST + b"Content-Length:\r\n\t3\r\n\r\nabc", BAD
    yield "Transfer-Encoding with a blank before its colon", POST + b"Transfer-Encoding : chunked\r\n" + chunks, BAD
    yield "Content-Length with a blank before its colon", POST + b"Content-Length : 3\r\n\r\nabc", BAD
    yield "Content-Length with an underscore for its hyphen is another header", GET + HOST + b"Content_Length: 3\r\n\r\n", "200"
    yield "Content-Length behind a bare LF", GET + HOST + b"X: a\nContent-Length: 3\r\n\r\nabc", BAD
    yield "Transfer-Encoding behind a bare CR", GET + HOST + b"X: a\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", BAD
    yield "body of a route without one", GET + HOST + b"Content-Length: 3\r\n\r\nabc", "413 too-large"


def lines():
    for name, line in {"tab before the colon": b"X\t: 3", "blank before the colon": b"X : 3", "control character in a name": b"X\x01Y: 3", "empty name": b": 3",
                       "no colon": b"nonsense", "NUL in a value": b"X: a\0b", "NUL in a name": b"X\0Y: ab", "NUL first": b"\0X: ab", "bare CR in a value": b"X: a\rb",
                       "DEL in a value": b"X: a\x7fb", "escape in a value": b"X: a\x1b[31mb", "backspace in a value": b"X: a\bb", "folded": b"X: a\r\n b",
                       "folded by tab": b"X: a\r\n\tb", "folded and empty": b"X: a\r\n ", "name in brackets": b"(X): a", "name with a slash": b"X/Y: a",
                       "name with a quote": b'"X": a', "name beyond ASCII": "É: a".encode(), "name with an at sign": b"X@Y: a", "second Host": b"Host: a",
                       "second, other Host": b"Host: b", "second Host, folded": b"X: a\r\n Host: b", "Host with a blank before its colon": b"Host : b"}.items():
        yield name, GET + HOST + line + b"\r\n\r\n", BARE if name in ("no colon", "NUL in a name") else BAD
    yield "bare LF everywhere", GET.replace(b"\r", b"") + b"Host: a\n\n", BAD
    yield "bare LF behind a header", GET + b"Host: a\nX: b\r\n\r\n", BAD
    yield "bare LF behind the request line", b"GET /healthz HTTP/1.1\nHost: a\r\n\r\n", BAD
    yield "bare LF at the end", GET + b"Host: a\r\n\n", BAD
    yield "CR LF CR at the end", GET + b"Host: a\r\n\rX: b\r\n\r\n", BAD
    yield "first line begins with a blank", GET + b" Host: a\r\n\r\n", BARE
    for name, host in {"none": b"", "a path": b"Host: a/b\r\n", "a user": b"Host: a@b\r\n", "blanks": b"Host: a b\r\n", "a query": b"Host: a?b\r\n",
                       "a comma": b"Host: a,b\r\n", "an escape": b"Host: a%00\r\n", "a quote": b"Host: \"a\"\r\n"}.items():
        yield f"Host is {name}", get(b"/healthz", host), BARE if name == "none" else BAD
    yield "101 header lines", GET + HOST + b"".join(b"X-%d: a\r\n" % i for i in range(100)) + b"\r\n", "431 headers-too-large"
    yield "100 header lines", GET + HOST + b"".join(b"X-%d: a\r\n" % i for i in range(99)) + b"\r\n", "200"
    yield "a header of 60 KB", GET + HOST + b"X: " + b"a" * 60000 + b"\r\n\r\n", "431"
    yield "5,000 header lines", GET + HOST + b"A: b\r\n" * 5000 + b"\r\n", "431"


def request_lines():
    for name, line, expect in (
            ("NUL in the target", b"GET /healthz\0 HTTP/1.1", BAD), ("NUL in the method", b"GE\0T /healthz HTTP/1.1", BAD),
            ("bare CR in the target", b"GET /hea\rlthz HTTP/1.1", BAD), ("tab behind the method", b"GET\t/healthz HTTP/1.1", BARE),
            ("two blanks before the target", b"GET  /healthz HTTP/1.1", BAD), ("two blanks before the version", b"GET /healthz  HTTP/1.1", NONE),
            ("blank in the target", b"GET /hea lthz HTTP/1.1", NONE), ("HTTP/2.0", b"GET /healthz HTTP/2.0", "505"), ("HTTP/1.2", b"GET /healthz HTTP/1.2", BAD),
            ("HTTP/1.10", b"GET /healthz HTTP/1.10", BARE), ("HTTP/01.1", b"GET /healthz HTTP/01.1", BARE), ("lower-case version", b"GET /healthz http/1.1", BARE),
            ("ICY/1.1", b"GET /healthz ICY/1.1", BARE), ("junk behind the version", b"GET /healthz HTTP/1.1x", BARE), ("HTTP/0.9", b"GET /healthz", BARE),
            ("no target", b"GET", NONE), ("only blanks", b"   ", NONE), ("TLS in plain text", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", NONE),
            ("HTTP/2 preface", b"PRI * HTTP/2.0", "505"), ("CONNECT", b"CONNECT a:80 HTTP/1.1", BAD), ("asterisk", b"OPTIONS * HTTP/1.1", BAD),
            ("unknown method", b"BREW /healthz HTTP/1.1", "405 method-not-allowed"), ("lower-case method", b"get /healthz HTTP/1.1", "405 method-not-allowed"),
            ("TRACE", b"TRACE /healthz HTTP/1.1", "405 method-not-allowed"), ("method with a control character", b"G\x01T /healthz HTTP/1.1", BAD),
            ("method with a colon", b"G:T /healthz HTTP/1.1", BAD), ("method of 4,000 letters", b"G" * 4000 + b" /healthz HTTP/1.1", "405 method-not-allowed"),
            ("absolute form of this host", b"GET http://a/healthz HTTP/1.1", "200"), ("absolute form of another host", b"GET http://b/healthz HTTP/1.1", BAD),
            ("absolute form with a user", b"GET http://a@b/healthz HTTP/1.1", BAD), ("absolute form whose host goes on", b"GET http://a.evil/healthz HTTP/1.1", BAD),
            ("absolute form without a path", b"GET http://a HTTP/1.1", BAD), ("another scheme", b"GET file:///etc/passwd HTTP/1.1", BAD),
            ("absolute form with dots", b"GET http://a/../healthz HTTP/1.1", BAD), ("no slash", b"GET healthz HTTP/1.1", BAD)):
        yield name, line + b"\r\n" + HOST + b"\r\n", expect
    yield "a target of 8,193 bytes", get(b"/" + b"a" * 8192), "414 uri-too-long"
    yield "a target of 40,000 bytes", get(b"/" + b"a" * 40000), "414"
    yield "a query of 8,193 bytes", get(b"/healthz?" + b"a" * 8184), "414 uri-too-long"


def targets():
    for path in (b"/v1/../healthz", b"/./healthz", b"/healthz/..", b"/healthz/.", b"/v1/%2e%2e/healthz", b"/v1/.%2E/healthz", b"/v1/%2E./healthz", b"/%2e/healthz",
                 b"//healthz", b"/v1//units", b"/v1%2funits", b"/v1\\units", b"/v1/%5cunits", b"/healthz%00", b"/v1/units/%00", b"/healthz%0d%0aX:%20y", b"/healthz%0a",
                 b"/healthz%7f", b"/healthz/%4", b"/healthz/%", b"/healthz/%zz", b"/healthz/%u0041", b"/problems/%c0%ae%c0%ae", b"/problems/%c1%81",
                 b"/problems/%e0%80%80", b"/problems/%f0%80%80%80", b"/problems/%f8%88%80%80%80", b"/problems/%e2%82", b"/problems/%80", b"/problems/%ff",
                 b"/problems/%ed%a0%80", b"/problems/%f4%90%80%80", "/problems/€".encode(), b"/problems/<script>", b'/problems/"', b"/problems/{a}", b"/problems/a|b",
                 b"/problems/a^b", b"/problems/`id`", b"/healthz#x", b"/problems/\x01", b"/healthz?a=%00", b"/healthz?a=%0a", b"/healthz?%zz", b"/healthz?a=%f", b"/healthz?a=#b",
                 b"/healthz?a=%c0%80", b"/healthz?a=%ed%bf%bf"):
        yield f"target {path!r}", get(path), BAD
    for path in (b"/healthz/", b"/HEALTHZ", b"/v1", b"/", b"/etc/passwd", b"/problems/%252e%252e", b"/v1/units;a=b", b"/admin",
                 b"/problems/...", b"/problems/%e2%82%ac", b"/problems/'%20or%201=1--", b"/problems/$%7bjndi:x%7d"):
        yield f"target {path!r}", get(path), "404 no-route|not-found"
    yield "a parameter twice", b"GET /v1/units?limit=1&limit=2 HTTP/1.1\r\n" + HOST + AUTH + b"\r\n", BAD
    yield "65 parameters", b"GET /v1/units?" + b"&".join(b"a%d=1" % i for i in range(65)) + b" HTTP/1.1\r\n" + HOST + AUTH + b"\r\n", "422 unknown-field"


def chunks():
    size = b"%x" % len(BODY)
    good = size + b"\r\n" + BODY + b"\r\n"
    yield "chunked", CHUNKED + good + b"0\r\n\r\n", "200"
    yield "chunked, byte by byte", CHUNKED + b"".join(b"1\r\n%c\r\n" % byte for byte in BODY) + b"0\r\n\r\n", "200"
    yield "chunk sizes with leading zeros", CHUNKED + b"000" + good + b"0\r\n\r\n", "200"
    yield "chunk extension", CHUNKED + size + b";a=b\r\n" + BODY + b"\r\n0\r\n\r\n", "200"
    yield "trailer", CHUNKED + good + b"0\r\nX: y\r\n\r\n", "200"
    for name, line in {"text": b"xyz", "sign": b"+27", "negative": b"-27", "hexadecimal prefix": b"0x27", "empty": b"", "blank first": b" 27", "NUL": b"2\0" + b"7", "semicolon alone": b";", "comma": b"2,7",
                       "fraction": b"27.0"}.items():
        yield f"chunk size {name}", CHUNKED + line + b"\r\n" + BODY + b"\r\n0\r\n\r\n", BARE
    for name, line in {"of 65 bits": b"10000000000000000", "of 200 digits": b"f" * 200}.items():
        yield f"chunk size {name}", CHUNKED + line + b"\r\n" + BODY + b"\r\n0\r\n\r\n", "413"
    for name, line in {"of 64 bits": b"FFFFFFFFFFFFFFFF", "with the sign bit": b"8000000000000000", "7fffffff": b"7fffffff", "above what comes": b"ff"}.items():
        yield f"chunk size {name}", CHUNKED + line + b"\r\n" + BODY, NONE
    yield "chunk longer than its size", CHUNKED + b"3\r\n" + BODY + b"\r\n0\r\n\r\n", BARE
    yield "chunk without its end", CHUNKED + size + b"\r\n" + BODY + b"0\r\n\r\n", BARE
    yield "endless chunk extension", CHUNKED + size + b";" + b"a" * 60000, "500"  # its line does not fit the library's buffer
    yield "chunked body over its limit", CHUNKED + b"".join(b"100000\r\n" + b" " * 0x100000 + b"\r\n" for _ in range(17)) + b"0\r\n\r\n", "413 too-large"


def truncated():
    whole = POST + b"Content-Length: " + LENGTH + b"\r\n\r\n" + BODY
    for at in (1, 4, 5, 20, 34, 42, 44, 60, len(POST) - 1, len(POST) + 5, len(whole) - len(BODY), len(whole) - 1):
        yield f"cut off at byte {at}", whole[:at], NONE


def rows():
    for part in (framing, lines, request_lines, targets, chunks, truncated):
        for name, data, expect in part():
            yield Row(f"{part.__name__}: {name}", data, expect)
