"""Both ends of the handshake and the records, from the wire page and nothing else.

Signatures and points are those of edwards25519.py; BLAKE3, X25519, ChaCha20-Poly1305 and HKDF are
the packages of requirements.txt. `python model.py` checks it against the vectors of the crates.
"""

import hashlib
import json
import pathlib
import sys

from blake3 import blake3
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

import edwards25519 as ed


def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def frame(profile, body):
    prefix = varint(len(body)) if profile[0] == "v" else len(body).to_bytes(4, "big")
    return prefix + body


def x_public(secret):
    return X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()


def dh(secret, public):
    return X25519PrivateKey.from_private_bytes(secret).exchange(
        X25519PublicKey.from_public_bytes(public)
    )


class Transcript:
    def __init__(self, start, label, reverse, key=None):
        self.hash = blake3(key=key) if key else blake3()
        self.reverse = reverse
        self.hash.update(bytes([start]))
        self.commit(label)

    def commit(self, data):
        length = varint(len(data))
        self.hash.update(data + (length[::-1] if self.reverse else length))
        return self

    def summary(self):
        return self.hash.digest()

    def fork(self, label):
        return Transcript(2, label, self.reverse, self.summary())

    def noise(self, label):
        return Transcript(3, label, self.reverse, self.summary()).hash.digest(length=32)


class End:
    """What one end of a handshake knows. `time` is its clock when it signs."""

    def __init__(self, profile, namespace, sk, esk, time):
        self.profile, self.namespace = profile, namespace
        self.sk, self.esk, self.time = sk, esk, time
        self.pk, self.epk = ed.public(sk), x_public(esk)


def begin(end):
    if end.profile == "b":
        return Transcript(0, b"commonware/handshake", False)
    if end.profile == "v0":
        whole = Transcript(0, end.namespace, False)
        return whole.fork(b"_COMMONWARE_CRYPTOGRAPHY_HANDSHAKE")
    whole = Transcript(0, end.namespace, True)
    return whole.fork(b"_COMMONWARE_CRYPTOGRAPHY_SAKE").commit(b"\1")


def signed(end, transcript):
    return (b"" if end.profile == "b" else b"\0") + transcript.summary()


def be64(n):
    return n.to_bytes(8, "big")


def commit_syn(end, time, listener, dialer, epk):
    t = begin(end).commit(be64(time)).commit(listener)
    if end.profile == "v1":
        t.commit(dialer)
    return t.commit(epk)


def commit_answer(end, t, dialer, time, epk):
    if end.profile != "v1":
        t.commit(dialer)
    return t.commit(be64(time)).commit(epk)


def info(end, recipient, epk, tag):
    return recipient + epk + varint(end.time) + (b"\1" + tag if tag else b"\0")


def hello(end, recipient, tag=b"", epk=None, sign=None, pk=None):
    part = info(end, recipient, epk or end.epk, tag)
    message = varint(len(end.namespace)) + end.namespace + part
    return part + (pk or end.pk) + (sign or ed.sign)(end.sk, message)


def first(end, listener, epk=None, sign=None, pk=None):
    """The dialer's frames. `epk`, `sign` and `pk` replace what an honest dialer would use."""
    if end.profile == "a":
        return frame("a", hello(end, listener, b"", epk, sign, pk))
    epk, pk = epk or end.epk, pk or end.pk
    t = commit_syn(end, end.time, listener, pk, epk)
    body = be64(end.time) + epk + (sign or ed.sign)(end.sk, signed(end, t))
    return frame(end.profile, pk) + frame(end.profile, body)


def body_of(profile, frames):
    return frames[34 if profile == "v0" or profile == "v1" else 40 :] if profile != "a" else frames[4:]


def answer(end, dialer, frames, epk=None, tag=None, recipient=None, swap=False, sign=None):
    """The listener's frame to `frames`, then its keys (none where the keys cannot agree)."""
    syn = body_of(end.profile, frames)
    use = epk or end.epk
    if end.profile == "a":
        tag = hashlib.sha256(syn).digest() if tag is None else tag
        ours = hello(end, recipient or dialer, tag, use, sign)
        if epk:
            return frame("a", ours + bytes(16)), None
        keys, confirm = schedule(end, syn + ours, dh(end.esk, syn[32:64]))
        conf = mac(confirm["d2l" if swap else "l2d"], syn + ours)
        return frame("a", ours + conf), (keys, mac(confirm["d2l"], syn + ours + conf))
    t = commit_syn(end, int.from_bytes(syn[:8], "big"), end.pk, dialer, syn[8:40])
    commit_answer(end, t, dialer, end.time, use)
    head = be64(end.time) + use + (sign or ed.sign)(end.sk, signed(end, t))
    if epk:
        return frame(end.profile, head + bytes(32)), None
    t.commit(dh(end.esk, syn[8:40]))
    l2d, d2l = (t.fork(b"confirmation_" + way).summary() for way in (b"l2d", b"d2l"))
    root = t.fork(b"_COMMONWARE_STREAM_CUPS").commit(b"\1") if end.profile == "v1" else t
    keys = {way: root.noise(b"cipher_" + way.encode()).hex() for way in ("d2l", "l2d")}
    return frame(end.profile, head + (d2l if swap else l2d)), (keys, d2l)


def schedule(end, hellos, shared):
    salt = hashlib.sha256(b"commonware-stream/KDF/v1/" + end.namespace + hellos).digest()

    def derive(label):
        return HKDF(hashes.SHA256(), 32, salt, label.encode()).derive(shared)

    ways = ("d2l", "l2d")
    keys = {way: derive(way + "/traffic").hex() for way in ways}
    return keys, {way: derive(way + "/confirmation") for way in ways}


def mac(key, said):
    return ChaCha20Poly1305(key).encrypt(bytes(12), b"", said)


def seal(profile, key, n, plain):
    cipher = ChaCha20Poly1305(key)
    order = "big" if profile == "a" else "little"

    def box(counter, data):
        return cipher.encrypt(counter.to_bytes(12, order), data, None)

    if profile == "v1":
        return box(2 * n, len(plain).to_bytes(4, "big")) + box(2 * n + 1, plain)
    return frame(profile, box(n, plain))


def check():
    """Every positive vector of the crates, made again."""
    folder = pathlib.Path(__file__).parents[3] / "vectors/commonware"
    made = 0
    for test in json.loads((folder / "handshake.json").read_text())["tests"]:
        if len(test["steps"]) != 4:
            continue
        dial, listen, finish, _ = (step["do"] for step in test["steps"])
        ends = [
            End(do["profile"], *(bytes.fromhex(do[k]) for k in ("namespace", "sk", "esk")), do["time_ms"])
            for do in (dial, listen)
        ]
        frames = first(ends[0], ends[1].pk)
        assert frames.hex() == test["steps"][0]["expect"]["out"], test["id"]
        out, (keys, ack) = answer(ends[1], ends[0].pk, frames)
        assert out.hex() == test["steps"][1]["expect"]["out"], test["id"]
        expected = test["steps"][2]["expect"]
        assert frame(dial["profile"], ack).hex() == expected["out"], test["id"]
        assert keys == {way: expected[way] for way in keys}, test["id"]
        made += 1
    for test in json.loads((folder / "record.json").read_text())["tests"]:
        step = test["steps"][0]
        if "wire" in step["expect"]:
            do = step["do"]
            wire = seal(do["profile"], bytes.fromhex(do["key"]), int(do["n"]), bytes.fromhex(do["plain"]))
            assert wire.hex() == step["expect"]["wire"], test["id"]
            made += 1
    print(f"{made} vectors of the crates made again", file=sys.stderr)


if __name__ == "__main__":
    check()
