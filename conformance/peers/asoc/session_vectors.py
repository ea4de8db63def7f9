"""Session cases of vectors.py: what may come when, limits on the header, streams, time."""

from vectors import (ACCEPT, CONTROL, DATA, END, HELLO, KEY, MAX, OTHER_KEY, OWN, PEER, TOKEN, File, accept,
                     flipped, frame, head, hello, no, step)

KEEP_ALIVE = frame(CONTROL).hex()
TIMEOUT = {"events": [{"event": "closed", "reason": "timeout"}]}
CHALLENGE = 3_134_890_259


def begin(role, max_frame=4096):
    more = {"challenge": CHALLENGE} if role == "client" else {"token": TOKEN.hex()}
    out = hello(OWN, CHALLENGE).hex() if role == "client" else ""
    return step({"out": out}, {"h": "handle"}, op="asoc.session", role=role, key=KEY, uuid=OWN,
                max_frame=max_frame, **more)


def give(expect, data):
    return step(expect, op="asoc.input", handle="$h", bytes=data.hex())


def tick(expect, at):
    return step(expect, op="asoc.tick", handle="$h", now_ms=at)


def quiet(out=""):
    return {"out": out, "events": []}


def met(role, max_frame=4096):
    if role == "client":
        return [begin(role, max_frame), give({"events": [{"event": "established", "token": TOKEN.hex()}]}, accept())]
    told = {"out": accept().hex(), "events": [{"event": "established", "peer": PEER}]}
    return [begin(role, max_frame), give(told, hello())]


def told(stream, *payloads, end=False):
    events = [{"event": "data", "stream": stream, "bytes": data.hex()} for data in payloads]
    return {"out": "", "events": events + [{"event": "end", "stream": stream}] * end}


def handshakes(out):
    first = {"server": (hello(), HELLO, 36), "client": (accept(), ACCEPT, 16)}
    for role, (good, kind, size) in first.items():
        after = met(role)[1]["expect"]
        for cut in range(1, len(good)):
            out.add(f"{role}: handshake cut after {cut} bytes", begin(role), give(quiet(), good[:cut]),
                    give(after, good[cut:]))
        out.add(f"{role}: handshake byte by byte", begin(role), *(give(quiet(), good[at:at + 1])
                for at in range(len(good) - 1)), give(after, good[-1:]))
        out.add(f"{role}: no bytes at all", begin(role), give(quiet(), b""), give(after, good))
        for bit in range(14 * 8, len(good) * 8, 5):
            out.bad(f"{role}: bit {bit} flipped", begin(role), give(no("auth"), flipped(good, bit)))
        for other in range(256):
            if other == kind:
                continue
            word = "state" if 1 <= other <= 5 else "type"
            out.bad(f"{role}: type {other} first", begin(role), give(no(word), frame(other, payload=good[14:])))
        for length in (0, 1, size - 1, size + 1, 4096, 4097, MAX):
            out.bad(f"{role}: first header says {length}", begin(role), give(no("length"), head(kind, length=length)))
        for version in (0, 2, 0x14, 0x15, 255):
            data = bytes([version]) + good[1:]
            out.bad(f"{role}: version {version} first", begin(role), give(no("version"), data), stricter=True)
        out.bad(f"{role}: a larger limit is not for the handshake", begin(role, 1 << 20),
                give(no("length"), head(kind, length=1 << 20)))
        out.add(f"{role}: a smaller limit neither", *met(role, 1))
        out.bad(f"{role}: a long frame of another type is of the wrong type first", begin(role),
                give(no("state"), head(DATA, 1, 0, MAX)))
        # The calls of an application, before and after a failure.
        for op in ("open", "write", "end"):
            ask = {} if op == "open" else {"stream": 1}
            if op == "write":
                ask["plain"] = "00"
            call = step(no("state"), op=f"asoc.{op}", handle="$h", **ask)
            out.bad(f"{role}: {op} before the handshake", begin(role), call, give(no("state"), good))
            out.bad(f"{role}: {op} after a failure", begin(role), give(no("auth"), flipped(good, 14 * 8)), call)
        out.bad(f"{role}: another key", begin(role),
                give(no("auth"), hello(key=OTHER_KEY) if role == "server" else accept(key=OTHER_KEY)))
    for size in (0, 1, 15):
        out.bad(f"key of {size} bytes", step(no("weak_key"), op="asoc.session", role="client", key="k" * size,
                uuid=OWN, challenge=1, max_frame=9), stricter=True)
    out.bad("15 bytes in 5 letters", step(no("weak_key"), op="asoc.session", role="client", key="群" * 5,
            uuid=OWN, challenge=1, max_frame=9), stricter=True)
    out.add("18 bytes in 6 letters", step({}, op="asoc.session", role="client", key="群" * 6, uuid=OWN,
            challenge=1, max_frame=9))
    out.bad("server: own UUID", begin("server"), give(no("identity"), hello(OWN)), stricter=True)


def frames(out):
    for role in ("server", "client"):
        start = met(role)
        for kind in (0, *range(6, 256)):
            out.add(f"{role}: type {kind} is ignored", *start, give(quiet(), frame(kind, 3, 9, b"x" * 20)),
                    give(told(1, b"y"), frame(DATA, 1, 0, b"y")))
        for payload in (b"", b"\x00", b"\x01", b"\x01" * 17, b"\x02" * 9, b"\x03" * 40, b"x" * 4096):
            out.add(f"{role}: CONTROL of {len(payload)} bytes beginning {payload[:1].hex() or 'with nothing'}", *start,
                    give({"events": []}, frame(CONTROL, payload=payload)))
        for kind in (HELLO, ACCEPT):
            for length in (0, 16, 36, 4096, MAX):
                out.bad(f"{role}: type {kind} of {length} bytes after the handshake", *start,
                        give(no("state"), head(kind, length=length)), stricter=True)
        for kind in (DATA, CONTROL, 0, 6, 255):
            out.bad(f"{role}: type {kind} of max_frame + 1", *start, give(no("limit"), head(kind, 1, 0, 4097)),
                    stricter=True)
            out.bad(f"{role}: type {kind} of 4 GiB", *start, give(no("limit"), head(kind, 1, 0, MAX)), stricter=True)
        for length in (1, 4096, 4097, MAX):
            out.bad(f"{role}: END of {length} bytes", *start, give(no("length"), head(END, 1, 0, length)),
                    stricter=True)
        for version in (0, 2, 17, 255):
            out.bad(f"{role}: version {version} after the handshake", *start,
                    give(no("version"), frame(DATA, 1, 0, b"x", version)), stricter=True)
        for kind in (DATA, END):
            out.bad(f"{role}: type {kind} on stream 0", *start, give(no("state"), frame(kind)), stricter=True)
            for sequence in (1, 2, 256, MAX):
                out.bad(f"{role}: type {kind} begins at {sequence}", *start,
                        give(no("state"), frame(kind, 1, sequence)), stricter=True)
        out.bad(f"{role}: version before everything", *start, give(no("version"), head(HELLO, 0, 9, MAX, 3)),
                stricter=True)
        out.bad(f"{role}: length before sequence", *start, give(no("limit"), head(DATA, 0, 9, MAX)), stricter=True)
        out.add(f"{role}: an empty DATA frame", *start, give(told(1, b""), frame(DATA, 1)),
                give(told(1, b"x"), frame(DATA, 1, 1, b"x")))
        out.add(f"{role}: exactly max_frame", *start, give(told(1, b"x" * 4096), frame(DATA, 1, 0, b"x" * 4096)))
        out.add(f"{role}: ids of any parity and size", *start, *(give(told(stream, b"x", end=True),
                frame(DATA, stream, 0, b"x") + frame(END, stream, 1)) for stream in (1, 2, 3, 100, MAX, MAX - 1)))
        for stream in (1, 2, MAX):
            done = [*start, give(told(stream, end=True), frame(END, stream))]
            for kind, sequence in ((DATA, 0), (DATA, 1), (END, 0), (END, 1)):
                out.bad(f"{role}: type {kind}, sequence {sequence} on {stream}, which has ended", *done,
                        give(no("state"), frame(kind, stream, sequence)), stricter=True)
        open_ = [*start, give(told(1, b"a"), frame(DATA, 1, 0, b"a"))]
        for kind in (DATA, END):
            for sequence in (0, 2, 3, 255, 256, MAX):
                out.bad(f"{role}: type {kind}, sequence {sequence} where 1 is due", *open_,
                        give(no("state"), frame(kind, 1, sequence)), stricter=True)
        whole = frame(DATA, 7, 0, b"abcdef") + frame(99, 1, 1, b"zz") + frame(DATA, 7, 1, b"gh") + frame(END, 7, 2)
        for cut in range(1, len(whole)):
            # Which events come with which half depends on where the last frame of it ends.
            first = [event for end, event in ((20, told(7, b"abcdef")["events"]), (52, told(7, b"gh")["events"]),
                     (66, told(7, end=True)["events"])) if cut >= end for event in event]
            last = (told(7, b"abcdef", b"gh", end=True)["events"])[len(first):]
            out.add(f"{role}: frames cut after {cut} bytes", *start, give({"out": "", "events": first}, whole[:cut]),
                    give({"out": "", "events": last}, whole[cut:]))
        out.bad(f"{role}: what is good before a fault is lost with it", *start,
                give(no("state"), frame(DATA, 1, 0, b"a") + frame(DATA, 1, 0, b"a")), give(no("state"), b""),
                stricter=True)


def writes(out):
    for role, first in (("client", 1), ("server", 2)):
        def call(op, expect, **more):
            return step(expect, op=f"asoc.{op}", handle="$h", **more)

        out.add(f"{role}: ids go up by two", *met(role), *(call("open", {"stream": first + 2 * count, "out": ""})
                for count in range(5)))
        for limit in (1, 2, 7, 8, 9, 20, 21, 4096):
            plain = bytes(range(20))
            parts = [plain[at:at + limit] for at in range(0, 20, limit)]
            data = b"".join(frame(DATA, first, at, part) for at, part in enumerate(parts))
            out.add(f"{role}: 20 bytes in frames of {limit}", *met(role, limit), call("open", {"stream": first}),
                    call("write", {"out": data.hex()}, stream=first, plain=plain.hex()),
                    call("end", {"out": frame(END, first, len(parts)).hex()}, stream=first))
        out.add(f"{role}: END at once", *met(role), call("open", {"stream": first}),
                call("end", {"out": frame(END, first).hex()}, stream=first))
        for stream in (0, first + 2, 3 - first, MAX):
            out.bad(f"{role}: write on {stream}, which was never opened", *met(role), call("open", {}),
                    call("write", no("state"), stream=stream, plain="00"), call("open", no("state")))
            out.bad(f"{role}: end of {stream}, which was never opened", *met(role), call("open", {}),
                    call("end", no("state"), stream=stream))
        out.bad(f"{role}: write on the peer's stream", *met(role), give(told(9, b"x"), frame(DATA, 9, 0, b"x")),
                call("write", no("state"), stream=9, plain="00"))
        out.bad(f"{role}: end twice", *met(role), call("open", {}), call("end", {}, stream=first),
                call("end", no("state"), stream=first))
        out.add(f"{role}: an ended id is not given again", *met(role), call("open", {}), call("end", {}, stream=first),
                call("open", {"stream": first + 2}))


def times(out):
    for role in ("server", "client"):
        start = met(role)
        good = hello() if role == "server" else accept()
        out.add(f"{role}: keep-alive every 10 s", *start, tick(quiet(KEEP_ALIVE), 10_000), tick(quiet(), 19_999),
                tick(quiet(KEEP_ALIVE), 20_000), tick(quiet(), 20_000))
        out.add(f"{role}: silence without a stream ends nothing", *start, tick(quiet(KEEP_ALIVE), 600_000))
        out.add(f"{role}: no handshake within 10 s", begin(role), tick(quiet(), 9_999), tick(TIMEOUT, 10_000),
                tick(no("state"), 10_001))
        out.add(f"{role}: half a handshake within 10 s", begin(role), give(quiet(), good[:-1]), tick(TIMEOUT, 10_000),
                give(no("state"), good[-1:]))
        out.add(f"{role}: a handshake at the last moment", begin(role), tick(quiet(), 9_999),
                give(start[1]["expect"], good), tick(quiet(), 19_998), tick(quiet(KEEP_ALIVE), 19_999))
        out.add(f"{role}: 30 s of silence on an open stream", *start, give(told(1, b"x"), frame(DATA, 1, 0, b"x")),
                tick(quiet(), 9_999), tick(quiet(KEEP_ALIVE), 29_999), tick(TIMEOUT, 30_000), tick(no("state"), 30_001))
        out.add(f"{role}: an ended stream is not active", *start,
                give(told(1, b"x", end=True), frame(DATA, 1, 0, b"x") + frame(END, 1, 1)),
                tick(quiet(KEEP_ALIVE), 30_000))
        out.add(f"{role}: DATA within 30 s keeps a stream", *start, give(told(1, b"x"), frame(DATA, 1, 0, b"x")),
                tick(quiet(KEEP_ALIVE), 29_000), give(told(1, b"y"), frame(DATA, 1, 1, b"y")),
                tick(quiet(KEEP_ALIVE), 58_999), tick(TIMEOUT, 59_000))


def sessions():
    out = File("session-edges")
    handshakes(out)
    frames(out)
    writes(out)
    times(out)
    out.close()
