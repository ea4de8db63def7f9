"""Answers the line protocol of the conformance page for the hardened profile of ASoc.

    stillwire-conformance run --iut 'python hardened_iut.py' conformance/vectors/asoc/hardened.json
"""

import json
import sys
from uuid import UUID

from hardened_profile import (
    HEADER,
    TAG,
    VERSION,
    Direction,
    Refused,
    Session,
    Settings,
    direction_keys,
    mac_key,
    proof_payload,
    transcript,
)


class Iut:
    def __init__(self):
        self.handles = {}

    def keep(self, thing):
        handle = f"handle-{len(self.handles) + 1}"
        self.handles[handle] = thing
        return handle

    def answer(self, ask):
        operation = OPERATIONS.get(ask["op"])
        if operation is None:
            return {"unsupported": True}
        try:
            return operation(self, ask)
        except Refused as refused:
            return {"error": {"class": refused.kind, "detail": str(refused)}}

    def hello(self, _):
        return {
            "name": "stillwire asoc hardened.py",
            "version": "1",
            "format": 1,
            "profiles": ["hardened"],
            "ops": list(OPERATIONS),
        }

    def reset(self, _):
        self.handles.clear()
        return {}

    def keys(self, ask):
        k = mac_key(ask["key"], ask["community"])
        sizes = {"hello": 121, "accept": 120, "shared": 32}
        parts = {name: bytes.fromhex(ask[name]) for name in sizes}
        if any(len(parts[name]) != size for name, size in sizes.items()):
            raise Refused("length", "not the size of that message")
        hello, accept, shared = parts.values()
        c2s, s2c = direction_keys(k, hello, accept, shared)
        return {
            "mac": k.hex(),
            "transcript": transcript(hello, accept).hex(),
            "proof": proof_payload(k, hello, accept).hex(),
            "c2s": c2s.hex(),
            "s2c": s2c.hex(),
        }

    def direction(self, ask):
        key = bytes.fromhex(ask["key"])
        return Direction(ask["suite"], key, int(ask["n"]), int(ask.get("used", 0)))

    def seal(self, ask):
        wire = self.direction(ask).seal(
            ask["type"], ask["stream"], ask["seq"], bytes.fromhex(ask["plain"])
        )
        return {"wire": wire.hex()}

    def open(self, ask):
        wire = bytes.fromhex(ask["wire"])
        if len(wire) < HEADER.size:
            raise Refused("truncated", "no whole header")
        version, kind, stream, sequence, length = HEADER.unpack(wire[: HEADER.size])
        if version != VERSION:
            raise Refused("version", str(version))
        sealed = wire[HEADER.size :]
        if length < TAG or len(sealed) > length:
            raise Refused("length", str(length))
        if len(sealed) < length:
            raise Refused("truncated", "no whole frame")
        plain = self.direction(ask).open(wire[: HEADER.size], sealed)
        return {"type": kind, "stream": stream, "seq": sequence, "plain": plain.hex()}

    def seen_new(self, _):
        return {"handle": self.keep(set())}

    def session(self, ask):
        if ask.get("profile") != "hardened":
            return {"unsupported": True}
        server = ask["role"] == "server"
        keys = ask.get("keys") or [ask["key"]]
        if any(len(key.encode()) < 16 for key in keys):
            raise Refused("weak_key", "a key is shorter than 16 bytes")
        seen = self.handles[ask["seen"]] if "seen" in ask else set()
        settings = Settings(
            keys=keys,
            community=ask["community"],
            uuid=UUID(ask["uuid"]),
            suite=ask.get("suite", 1),
            max_frame=ask["max_frame"],
            seen=seen,
        )
        nonce, private = bytes.fromhex(ask["nonce"]), bytes.fromhex(ask["esk"])
        made = Session(settings, server, ask["unix_s"], nonce, private)
        made.began_s = ask["unix_s"]
        made.tells = ask.get("notices", False)
        return {"handle": self.keep(made), "out": made.taken().hex()}

    def of(self, ask):
        made = self.handles.get(ask["handle"])
        if made is None or made.failed:
            raise Refused("state", "the session is over")
        return made

    def input(self, ask):
        made = self.of(ask)
        now = made.began_s + made.now_ms // 1000
        events = [self.event(event) for event in made.feed(bytes.fromhex(ask["bytes"]), now)]
        wanted = [event for event in events if event is not None]
        if not made.tells:
            notices = ("announced", "acknowledged")
            wanted = [event for event in wanted if event["event"] not in notices]
        return {"out": made.taken().hex(), "events": wanted}

    @staticmethod
    def event(event):
        match event:
            case ("established", peer, token):
                return {"event": "established", "peer": str(peer), "token": token.hex()}
            case ("data", stream, plain):
                return {"event": "data", "stream": stream, "bytes": plain.hex()}
            case ("end", stream):
                return {"event": "end", "stream": stream}
            case ("announced", named, unix_s, _):
                text = unix_s if unix_s < 2**53 else str(unix_s)
                return {"event": "announced", "key": named.hex(), "unix_s": text}
            case ("acknowledged", named):
                return {"event": "acknowledged", "key": named.hex()}
        return None

    def open_stream(self, ask):
        return {"out": "", "events": [], "stream": self.of(ask).open_stream()}

    def write(self, ask):
        made = self.of(ask)
        made.write(ask["stream"], bytes.fromhex(ask["plain"]))
        return {"out": made.taken().hex(), "events": []}

    def end(self, ask):
        made = self.of(ask)
        made.end(ask["stream"])
        return {"out": made.taken().hex(), "events": []}

    def notify(self, ask):
        made = self.of(ask)
        if "acknowledge" in ask:
            made.acknowledge(bytes.fromhex(ask["acknowledge"]))
        else:
            made.announce(bytes.fromhex(ask["announce"]), int(ask["unix_s"]))
        return {"out": made.taken().hex(), "events": []}

    def tick(self, ask):
        made = self.of(ask)
        late = made.tick(ask["now_ms"])
        events = [{"event": "closed", "reason": "timeout"}] if late else []
        return {"out": made.taken().hex(), "events": events}


OPERATIONS = {
    "hello": Iut.hello,
    "reset": Iut.reset,
    "asoc.hardened.keys": Iut.keys,
    "asoc.hardened.open": Iut.open,
    "asoc.hardened.seal": Iut.seal,
    "asoc.seen.new": Iut.seen_new,
    "asoc.session": Iut.session,
    "asoc.input": Iut.input,
    "asoc.open": Iut.open_stream,
    "asoc.write": Iut.write,
    "asoc.end": Iut.end,
    "asoc.notify": Iut.notify,
    "asoc.tick": Iut.tick,
}


def main():
    iut = Iut()
    for line in sys.stdin:
        print(json.dumps(iut.answer(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
