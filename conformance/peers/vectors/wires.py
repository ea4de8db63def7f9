"""aznet chunk, frames, id, queue, table and url edges: families 4 to 11 and 22 to 40."""

import base64

import model
from peer import File, draw, fails, step

BLOB, QUEUE, TABLE = 4_194_304, 49_080, 983_040
LIMITS = (("azblob", BLOB), ("azqueue", QUEUE), ("aztable", TABLE))
LAST = 2**64 - 1


def number(n):
    return n if n < 2**53 else str(n)


def wire(key, n, plain):
    sealed = model.seal(key, n, plain)
    return len(sealed).to_bytes(4, "big") + sealed


def seal(expect, key, n, plain, limit=BLOB):
    return step(expect, op="aznet.chunk.seal", key=key.hex(), n=number(n), plain=plain.hex(), limit=limit)


def opened(expect, key, n, data, limit=BLOB):
    return step(expect, op="aznet.chunk.open", key=key.hex(), n=number(n), wire=data.hex(), limit=limit)


def no(kind):
    return {"error": {"class": kind}}


def chunks(peer):
    out = File("aznet", "chunk-edges", [
        "sealed with the Python package cryptography, opened and sealed by flynn/noise's cipher state",
        "what the four bytes of length may say is the wire page's rule: nobody outside has confirmed those cases",
    ], peer, "cryptography 50.0.2")
    key, other = draw("chunk key", 32), draw("chunk other key", 32)
    for size in [*range(20), 31, 32, 33, 63, 64, 65, 4_096, 65_519, 65_520]:
        plain = draw(f"chunk plain {size}", size)
        n = size * 257
        data = wire(key, n, plain)
        out.add(f"{size} bytes, sealed and opened", seal({"wire": data.hex()}, key, n, plain),
                opened({"plain": plain.hex(), "rest": ""}, key, n, data))
    plain = draw("chunk plain", 20)
    for n in (1, 2, 255, 256, 2**16, 2**31, 2**32 - 1, 2**32, 2**53 - 1, 2**53, 2**63, LAST - 1):
        data = wire(key, n, plain)
        out.add(f"nonce {n}", seal({"wire": data.hex()}, key, n, plain),
                opened({"plain": plain.hex(), "rest": ""}, key, n, data))
    for at in (0, 5, 2**32, LAST - 1):
        data = wire(key, at, plain)
        for wrong in sorted({(at - 1) % 2**64, at + 1, at ^ 1 << 31, at ^ 1 << 32, at ^ 1 << 63} - {LAST}):
            out.add(f"sealed at {at}, opened at {wrong}", opened(no("auth"), key, wrong, data))
    out.add("sealing at the reserved nonce", seal(no("nonce_limit"), key, LAST, plain))
    out.add("opening at the reserved nonce", opened(no("nonce_limit"), key, LAST, wire(key, LAST, plain)))
    out.add("sealing nothing at the reserved nonce", seal(no("nonce_limit"), key, LAST, b""))
    data = wire(key, 7, plain)
    for at in range(4, len(data)):
        bit = 1 << draw(f"chunk bit {at}", 1)[0] % 8
        altered = data[:at] + bytes([data[at] ^ bit]) + data[at + 1:]
        out.add(f"bit 0x{bit:02x} of byte {at} flipped", opened(no("auth"), key, 7, altered))
    for bit in range(256):
        flipped = key[: bit // 8] + bytes([key[bit // 8] ^ 1 << bit % 8]) + key[bit // 8 + 1:]
        if bit % 16 == 5:
            out.add(f"bit {bit} of the key flipped", opened(no("auth"), flipped, 7, data))
    out.add("the other direction's key", opened(no("auth"), other, 7, data))
    body = data[4:]
    for size in range(16, len(body)):
        out.add(f"cut to {size} bytes, with a length that says so",
                opened(no("auth"), key, 7, size.to_bytes(4, "big") + body[:size]))
    for tag in range(1, 16):
        short = body[: 20 + tag]
        out.add(f"tag cut to {tag} bytes", opened(no("auth"), key, 7, len(short).to_bytes(4, "big") + short))
    longer = body + b"\0"
    out.add("a byte after the tag, counted by the length",
            opened(no("auth"), key, 7, len(longer).to_bytes(4, "big") + longer))
    out.add("length without the tag, all bytes there", opened(no("auth"), key, 7, (20).to_bytes(4, "big") + body))
    out.add("length counts itself", opened(no("auth"), key, 7, (40).to_bytes(4, "big") + body + bytes(4)))
    first, then = wire(key, 0, b"one"), wire(key, 1, b"two")
    out.add("two chunks, the second then", opened({"plain": b"one".hex(), "rest": then.hex()}, key, 0, first + then),
            opened({"plain": b"two".hex(), "rest": ""}, key, 1, then))
    out.add("two chunks swapped", opened(no("auth"), key, 0, then + first))
    out.add("the same chunk twice", opened({"plain": b"one".hex(), "rest": first.hex()}, key, 0, first + first),
            opened(no("auth"), key, 1, first))
    out.add("a chunk left out", opened({"plain": b"one".hex()}, key, 0, first),
            opened(no("auth"), key, 1, wire(key, 2, b"three")))

    for length in range(16):
        out.add(f"declared length {length} with a body of it",
                opened(no("length"), key, 7, length.to_bytes(4, "big") + body[:length]))
        out.add(f"declared length {length}, and more bytes than that",
                opened(no("length"), key, 7, length.to_bytes(4, "big") + body))
    for size in range(4):
        out.add(f"{size} bytes of the length", opened(no("truncated"), key, 7, data[:size]))
    for size in range(4, len(data)):
        out.add(f"cut after {size} bytes", opened(no("truncated"), key, 7, data[:size]))
    out.add("length little-endian", opened(no("limit"), key, 7, len(body).to_bytes(4, "little") + body))
    for length in (2**31, 2**32 - 20, 2**32 - 5, 2**32 - 4, 2**32 - 3, 2**32 - 1):
        out.add(f"declared length {length}", opened(no("limit"), key, 7, length.to_bytes(4, "big") + body))
    for name, limit in LIMITS:
        for over in (1, 2, 4):
            out.add(f"{name}: {over} over the largest chunk, its body not there",
                    opened(no("limit"), key, 7, (limit - 4 + over).to_bytes(4, "big"), limit))
        out.add(f"{name}: the largest chunk announced, its body not there",
                opened(no("truncated"), key, 7, (limit - 4).to_bytes(4, "big"), limit))
    out.add("the smallest limit holds an empty chunk", seal({"wire": wire(key, 0, b"").hex()}, key, 0, b"", 20),
            opened({"plain": "", "rest": ""}, key, 0, wire(key, 0, b""), 20))
    out.add("one below it does not", seal(no("limit"), key, 0, b"", 19))
    out.add("nor when opened", opened(no("limit"), key, 0, wire(key, 0, b""), 19))
    for size, limit in ((100, 120), (QUEUE - 20, QUEUE)):
        plain = draw(f"limit {size}", size)
        out.add(f"{size} bytes fill a chunk of {limit}", seal({"wire": wire(key, 3, plain).hex()}, key, 3, plain, limit))
        out.add(f"{size + 1} bytes do not fit it", seal(no("limit"), key, 3, plain + b"x", limit))
    out.write()


def frame(kind, payload=b""):
    return len(payload).to_bytes(4, "big") + bytes([kind]) + payload


def frames(_peer):
    out = File("aznet", "frames-edges", ["no outside code frames like this, so nobody has confirmed these cases"])

    def decode(expect, data, limit=BLOB - 25):
        return step(expect, op="aznet.frames.decode", bytes=data.hex(), limit=limit)

    everything = [(kind, draw(f"frame {kind}", kind % 7)) for kind in range(256)]
    listed = [{"type": kind, "payload": payload.hex()} for kind, payload in everything]
    data = b"".join(frame(kind, payload) for kind, payload in everything)
    out.add("all 256 types in a row", decode({"frames": listed, "rest": ""}, data))
    out.add("all 256 types, encoded", step({"bytes": data.hex()}, op="aznet.frames.encode", frames=listed))
    for kind in (4, 5, 127, 128, 254, 255):
        out.add(f"unknown type {kind} between data",
                decode({"frames": [{"type": 0, "payload": "61"}, {"type": kind, "payload": "6262"},
                                   {"type": 0, "payload": "63"}], "rest": ""},
                       frame(0, b"a") + frame(kind, b"bb") + frame(0, b"c")))
    out.add("syntax only: data after FIN, FIN twice, rotate in the middle",
            decode({"frames": [{"type": 2, "payload": ""}, {"type": 0, "payload": "61"}, {"type": 3, "payload": ""},
                               {"type": 2, "payload": ""}], "rest": ""},
                   frame(2) + frame(0, b"a") + frame(3) + frame(2)))
    out.add("ping and FIN with a payload are frames all the same",
            decode({"frames": [{"type": 1, "payload": "61"}, {"type": 2, "payload": "62"}], "rest": ""},
                   frame(1, b"a") + frame(2, b"b")))
    whole = frame(0, b"hello")
    for size in range(len(whole)):
        out.add(f"{size} of {len(whole)} bytes", decode({"frames": [], "rest": whole[:size].hex()}, whole[:size]))
    for name, limit in LIMITS:
        mtu = limit - 25
        for kind in (0, 4):
            header = mtu.to_bytes(4, "big") + bytes([kind])
            out.add(f"{name}: a frame of type {kind} as long as may be, its payload not there",
                    decode({"frames": [], "rest": header.hex()}, header, mtu))
            header = (mtu + 1).to_bytes(4, "big") + bytes([kind])
            out.add(f"{name}: a frame of type {kind} one longer", decode(no("limit"), header, mtu))
        cut = (mtu + 1).to_bytes(4, "big")
        out.add(f"{name}: the length alone is no header yet", decode({"frames": [], "rest": cut.hex()}, cut, mtu))
    for length in (2**31, 2**32 - 5, 2**32 - 1):
        out.add(f"length {length}", decode(no("limit"), length.to_bytes(4, "big") + b"\0abc"))
    out.add("limit 0 lets empty frames through", decode({"frames": [{"type": 2, "payload": ""}], "rest": ""}, frame(2), 0))
    out.add("limit 0 and one byte", decode(no("limit"), frame(0, b"a"), 0))
    out.add("the second frame too long, though whole",
            decode(no("limit"), frame(0, b"ab") + frame(0, b"abc"), 2))
    out.write()


def ids(peer):
    out = File("aznet", "id-edges", ["every case was checked with google/uuid: whether it parses, prints back alike and is version 4 of the RFC variant"], peer)
    good = "7d0c3ba1-5e2f-4a6b-9c8d-0e1f2a3b4c5d"

    def check(text, comment):
        out.add(comment, fails("name", op="aznet.id.check", id=text))

    out.add("an id", step({}, op="aznet.id.check", id=good))
    for digit in "89ab":
        for version in "4":
            text = f"{good[:14]}{version}{good[15:19]}{digit}{good[20:]}"
            out.add(f"variant digit {digit}", step({}, op="aznet.id.check", id=text))
    out.add("zeros but for version and variant", step({}, op="aznet.id.check", id="00000000-0000-4000-8000-000000000000"))
    for version in "0123567 89abcdef".replace(" ", ""):
        check(good[:14] + version + good[15:], f"version digit {version}")
    for variant in "01234567cdef":
        check(good[:19] + variant + good[20:], f"variant digit {variant}")
    for at, char in enumerate(good):
        if char.isalpha():
            check(good[:at] + char.upper() + good[at + 1:], f"a capital at {at}")
        check(good[:at] + "g" + good[at + 1:], f"a g at {at}")
    for at in (0, 8, 17, 36):
        for name, char in (("space", " "), ("NUL", "\0"), ("CR", "\r"), ("LF", "\n"), ("tab", "\t"), ("hyphen", "-"),
                           ("zero-width space", "\u200b")):
            check(good[:at] + char + good[at:], f"a {name} put in at {at}")
            if at < 36:
                check(good[:at] + char + good[at + 1:], f"a {name} in place of character {at}") if good[at] != char else None
    for size in (1, 8, 31, 32, 33, 34, 35, 37, 63, 64, 65, 255, 1024):
        check("a" * size, f"{size} letters")
    for text in ("../x", "a/b?c", "..", ".", "/", "\\", "handshake", "token", "$root", "$web", "$logs", "req-0",
                 good + "/..", "../" + good, good + "?comp=list", "%2e%2e%2f", good.replace("-", "_"),
                 good.replace("-", "\u2010"), good.replace("0", "\u0660"), "\uff17" + good[1:], "{" + good + "}",
                 "urn:uuid:" + good, "(" + good + ")", good[:8] + good[9:], good.replace("-", ""),
                 "ffffffff-ffff-ffff-ffff-ffffffffffff", "00000000-0000-0000-0000-000000000000",
                 good[:9] + "-" + good[9:13] + good[14:], good + "\r\nx-evil: 1"):
        check(text, f"the text {ascii(text)}")
    out.write()


def queue(peer):
    out = File("aznet", "queue-edges", ["base64 refused by Go's strict decoder names it; line breaks, which it reads over, are refused by the page's rule"], peer)
    chunk = draw("queue chunk", 37)

    def decode(expect, text):
        return step(expect, op="aznet.queue.decode", text=text)

    for seq in (0, 1, 2**8, 2**32 - 1, 2**32, 2**53 - 1, 2**53, 2**63, LAST):
        text = base64.b64encode(seq.to_bytes(8, "big") + chunk).decode()
        out.add(f"sequence {seq}", step({"text": text}, op="aznet.queue.encode", seq=number(seq), chunk=chunk.hex()),
                decode({"seq": number(seq), "chunk": chunk.hex()}, text))
    out.add("a sequence and no chunk", decode({"seq": 5, "chunk": ""}, base64.b64encode((5).to_bytes(8, "big")).decode()))
    largest = draw("queue largest", QUEUE)
    text = base64.b64encode(bytes(8) + largest).decode()
    out.add("the largest chunk", step({"text": text}, op="aznet.queue.encode", seq=0, chunk=largest.hex()),
            decode({"seq": 0, "chunk": largest.hex()}, text))
    for size in range(1, 8):
        out.add(f"{size} bytes", decode(no("truncated"), base64.b64encode(bytes(size)).decode()))
    good = base64.b64encode(bytes(8) + chunk[:32]).decode()
    for cut in (1, 2, 3):
        out.add(f"{cut} characters cut off", decode(no("encoding"), good[:-cut]))
    for extra in ("=", "==", "A", "A===", "====", " ", "\n", "\r\n", "\0", "\u00e9"):
        out.add(f"{ascii(extra)} at the end", decode(no("encoding"), good + extra))
    for extra in (" ", "\n", "=", "-", "_", ".", "%", "\u00e9", "\0"):
        out.add(f"{ascii(extra)} in the middle", decode(no("encoding"), good[:16] + extra + good[16:]))
        out.add(f"{ascii(extra)} in place of a character", decode(no("encoding"), good[:16] + extra + good[17:]))
    out.add("bits set behind the last byte, one padding character", decode(no("encoding"), "AAAAAAAAAAAAAAB="))
    out.add("bits set behind the last byte, two padding characters", decode(no("encoding"), "AAAAAAAAAAAAAAAAAB=="))
    out.add("padding alone", decode(no("encoding"), "===="))
    out.add("a space first", decode(no("encoding"), " " + good))
    out.add("URL-safe alphabet", decode(no("encoding"), base64.urlsafe_b64encode(b"\xff" * 24).decode()))
    out.write()


def table(_peer):
    out = File("aznet", "table-edges", ["no outside code was asked: nobody has confirmed these cases"])

    def decode(expect, row, properties):
        return step(expect, op="aznet.table.decode", row=row, properties=properties)

    def b64(data):
        return base64.b64encode(data).decode()

    good = b64(b"chunk")
    for row in ("", "0", "00000000", "0000000000", "+00000001", "-00000001", " 00000001", "00000001 ", "0x0000001",
                "00000000a", "0000.0001", "00000001\n", "\u0660" * 9, "\uff10" * 9, "00000000\u00b2", "1e0000000",
                "000_00001"):
        out.add(f"row {ascii(row)}", decode(no("encoding"), row, {"Data": good}))
    for row, seq in (("000000000", 0), ("000000001", 1), ("000000010", 10), ("010000000", 10**7), ("999999999", 10**9 - 1)):
        out.add(f"row {row} both ways", decode({"seq": seq, "chunk": b"chunk".hex()}, row, {"Data": good}),
                step({"row": row, "properties": {"Data": good}}, op="aznet.table.encode", seq=seq, chunk=b"chunk".hex()))
    for seq in (10**9, 10**9 + 1, 2**32, 10**10, 2**53, LAST):
        out.add(f"sequence {seq} has no row", step(no("limit"), op="aznet.table.encode", seq=number(seq), chunk="00"))
    for name, value in (("null", None), ("true", True), ("a number", 5), ("a list", [good]), ("an object", {"v": good})):
        out.add(f"Data is {name}", decode(no("encoding"), "000000001", {"Data": value}))
        out.add(f"Data01 is {name}", decode(no("encoding"), "000000001", {"Data": good, "Data01": value}))
    for name, text in (("padding missing", good.rstrip("=")), ("URL-safe", base64.urlsafe_b64encode(b"\xff" * 9).decode()),
                       ("a line feed", good + "\n"), ("bits behind the last byte", "Y2h1bml="), ("a space", "Y2h1 bms=")):
        out.add(f"Data in base64 with {name}", decode(no("encoding"), "000000001", {"Data": text}))
        out.add(f"Data01 in base64 with {name}", decode(no("encoding"), "000000001", {"Data": good, "Data01": text}))
    out.add("no property at all", decode(no("truncated"), "000000001", {}))
    for name in ("data", "DATA", "Data00", "Data01", "Data1", "Data 01", "xData"):
        out.add(f"{name} alone is no data", decode(no("truncated"), "000000001", {name: good}))
    one = {"seq": 1, "chunk": b"chunk".hex()}
    for name in ("Data02", "Data1", "Data001", "Data15", "Data99", "data01", "DataXX"):
        out.add(f"{name} does not follow Data", decode(one, "000000001", {"Data": good, name: b64(b"no")}))
    out.add("Data02 behind the gap at Data01 and Data03 after it",
            decode(one, "000000001", {"Data": good, "Data02": b64(b"no"), "Data03": b64(b"no")}))
    names = ["Data", *(f"Data{i:02}" for i in range(1, 15))]
    pieces = {name: draw(f"piece {name}", 3 + at) for at, name in enumerate(names)}
    joined = b"".join(pieces.values()).hex()
    out.add("all 15 properties", decode({"seq": 7, "chunk": joined}, "000000007", {k: b64(v) for k, v in pieces.items()}))
    out.add("a sixteenth is ignored", decode({"seq": 7, "chunk": joined}, "000000007",
            {**{k: b64(v) for k, v in pieces.items()}, "Data15": b64(b"no")}))
    full, over = draw("table full", 65_536), draw("table over", 65_537)
    out.add("a property of 65,536 bytes", decode({"seq": 1, "chunk": full.hex()}, "000000001", {"Data": b64(full)}),
            step({"row": "000000001", "properties": {"Data": b64(full)}}, op="aznet.table.encode", seq=1, chunk=full.hex()))
    out.add("a property of 65,537 bytes", decode(no("limit"), "000000001", {"Data": b64(over)}))
    out.add("a chunk of 65,537 bytes takes two", step(
        {"row": "000000001", "properties": {"Data": b64(over[:65_536]), "Data01": b64(over[65_536:])}},
        op="aznet.table.encode", seq=1, chunk=over.hex()))
    out.write()


def urls(peer):
    out = File("aznet", "url-edges", ["what net/url or encoding/base64 of Go refuse or read alike names them; the rest is the page's rule"], peer)
    sas = {"handshake": "sv=2021-12-02&sp=acw&sig=a%2Bb%3D", "token": "sv=2021-12-02&sp=rl&sig=c%2Fd"}
    code = {name: base64.urlsafe_b64encode(text.encode()).decode() for name, text in sas.items()}
    host = "https://stillwire.blob.core.windows.net"
    query = f"handshake={code['handshake']}&token={code['token']}"

    def parse(expect, url):
        return step(expect, op="aznet.url.parse", url=url)

    def good(comment, url, endpoint=host, driver="azblob", rule=False, **values):
        expect = {"endpoint": endpoint, **sas, **values}
        if driver:
            expect["driver"] = driver
        out.add(comment, parse(expect, url), rule=rule)

    for name, service in (("azblob", "blob"), ("azqueue", "queue"), ("aztable", "table")):
        endpoint = f"https://stillwire.{service}.core.windows.net"
        good(f"{service} on Azure", f"{endpoint}?{query}", endpoint, name)
        good(f"{service} on Azure, a slash before the question mark", f"{endpoint}/?{query}", endpoint, name)
    for endpoint in ("http://127.0.0.1:10000/devstoreaccount1", "http://localhost:10000/devstoreaccount1",
                     "http://[::1]:10000/devstoreaccount1", "https://storage.example.org/account",
                     "https://storage.example.org:8443/account"):
        good(f"path style at {endpoint}", f"{endpoint}?{query}", endpoint, None)
    escaped = query.replace("=", "%3D").replace("handshake%3D", "handshake=").replace("token%3D", "token=")
    good("padding written %3D", f"{host}?{escaped}")
    good("padding written %3d", f"{host}?{escaped.replace('%3D', '%3d')}")
    good("the token first", f"{host}?token={code['token']}&handshake={code['handshake']}")
    good("a parameter of ours beside", f"{host}?sw_v=1&{query}&sw_x=")
    good("a stranger's parameter beside", f"{host}?{query}&other=1")
    good("names that are escaped", f"{host}?%68andshake={code['handshake']}&toke%6e={code['token']}")
    everything = bytes(range(0x21, 0x7f)).decode()
    shifted = base64.urlsafe_b64encode(everything.encode()).decode()
    good("every printable character in a SAS", f"{host}?handshake={shifted}&token={code['token']}", handshake=everything)
    for name in ("handshake", "token"):
        rest = "token" if name == "handshake" else "handshake"
        other = f"{rest}={code[rest]}"
        own = code[name]
        for comment, value in (
            ("empty", ""), ("padding missing", own.rstrip("=") if "=" in own else own[:-1]), ("one padding character too many", own + "="),
            ("a character outside the alphabet", own[:8] + "*" + own[9:]), ("a percent sign alone", own[:8] + "%" + own[8:]),
            ("a bad escape", own[:8] + "%zz" + own[8:]), ("a NUL escaped", own + "%00"),
            ("standard alphabet", base64.b64encode(b"sp=\xfb\xff\xbe").decode()),
            ("a space in it", own[:8] + "%20" + own[8:]), ("text that is no base64", "not-base64!"),
            ("bits behind the last byte", "YR=="),
        ):
            out.add(f"{name}: {comment}", parse(no("encoding"), f"{host}?{other}&{name}={value}"))
        out.add(f"{name} missing", parse(no("encoding"), f"{host}?{other}"))
        out.add(f"{name} without a value", parse(no("encoding"), f"{host}?{other}&{name}"))
        out.add(f"{name} twice", parse(no("encoding"), f"{host}?{query}&{name}={own}"))
    for comment, url in (
        ("nothing", ""), ("no query", host), ("an empty query", host + "?"), ("no scheme", f"stillwire.blob.core.windows.net?{query}"),
        ("no host", f"https://?{query}"), ("a scheme alone", "https:"),
        ("a space in the host", f"https://still wire.example?{query}"),
        ("a NUL in the host", f"https://still\0wire.example?{query}"),
        ("a user before the host", f"https://user:pass@stillwire.blob.core.windows.net?{query}"),
        ("another scheme", f"ftp://stillwire.blob.core.windows.net?{query}"),
        ("parameters in the fragment", f"{host}#{query}"), ("only a parameter of ours", f"{host}?sw_v=1"),
    ):
        out.add(comment, parse(no("encoding"), url), rule=comment in ("a user before the host", "another scheme"))
    # Names that are not the default ones: whose SAS lets read is the token.
    first, second = f"here-hs={code['handshake']}", f"here-tk={code['token']}"
    good("other names", f"{host}?{first}&{second}", rule=True)
    good("other names, the token first", f"{host}?{second}&{first}", rule=True)
    good("other names, and parameters of ours", f"{host}?sw_a=1&{first}&sw_b=2&{second}&sw_c=3", rule=True)
    for comment, pairs in (
        ("one other name alone", first), ("a default name and another", f"handshake={code['handshake']}&{second}"),
        ("three other names", f"{first}&{second}&third={code['token']}"),
        ("two that let read", f"{second}&more={code['token']}"), ("none that lets read", f"{first}&more={code['handshake']}"),
    ):
        out.add(comment, parse(no("encoding"), f"{host}?{pairs}"))
    out.add("a broken port", parse(no("encoding"), f"https://stillwire.blob.core.windows.net:99999x?{query}"))
    out.add("a broken bracket", parse(no("encoding"), f"http://[::1/devstoreaccount1?{query}"))
    good("a scheme in capitals", f"HTTPS://stillwire.blob.core.windows.net?{query}")
    for name in sas:
        out.add(f"{name} empty, to be written", step(no("encoding"), op="aznet.url.format", endpoint=host, **{**sas, name: ""}))
    out.write()
