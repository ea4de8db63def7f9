"""Writes conformance/vectors/ziti/*-edges.json: what libsodium seals, and what it refuses.

    target/peers/pynacl/bin/python conformance/peers/ziti/vectors.py

Values are drawn from fixed labels, so a second run changes nothing. It stops when libsodium opens what
a vector says is refused, or refuses what it says opens.
"""

import hashlib
import json
import pathlib

import nacl
from nacl import bindings as sodium
from nacl.exceptions import CryptoError as Refused

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "vectors" / "ziti"
SOURCE = {"name": "libsodium (PyNaCl)", "version": nacl.__version__}
STREAM = "crypto_secretstream_xchacha20poly1305_"
new_state, init_push, init_pull, push, pull = (
    getattr(sodium, STREAM + name) for name in ("state", "init_push", "init_pull", "push", "pull"))

LOW_ORDER = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]


def draw(label, size):
    return hashlib.shake_256(f"stillwire ziti {label}".encode()).digest(size)


class File:
    def __init__(self, component, notes):
        self.name, self.notes, self.tests = f"{component}-edges", notes, []

    def add(self, comment, positive, *steps):
        flags = ["positive" if positive else "negative", "peer"]
        identity = f"ziti-{self.name}-{len(self.tests) + 1:04}"
        self.tests.append({"id": identity, "comment": comment, "flags": flags, "steps": list(steps)})

    def write(self):
        head = {"format": 1, "protocol": "ziti", "component": self.name, "source": SOURCE, "notes": self.notes}
        lines = ",\n".join(json.dumps(test, separators=(",", ":")) for test in self.tests)
        text = json.dumps(head, separators=(",", ":"))[:-1] + f',"tests":[\n{lines}\n]}}\n'
        (FOLDER / f"{self.name}.json").write_text(text)
        print(self.name, len(self.tests))


def step(expect, bind=None, **ask):
    made = {"do": {key: value.hex() if isinstance(value, bytes) else value for key, value in ask.items()},
            "expect": expect}
    if bind:
        made["bind"] = {"h": "handle"}
    return made


def opening(key, header, dialect="sodium"):
    return step({}, True, op="ziti.pull.new", key=key, header=header, dialect=dialect)


def opens(wire, tag, plain):
    return step({"tag": tag, "plain": plain.hex()}, op="ziti.pull", handle="$h", wire=wire)


def refuses(wire, name="auth"):
    return step({"error": {"class": name}}, op="ziti.pull", handle="$h", wire=wire)


def stream(label):
    """A key, and a direction of libsodium's with its header."""
    key, state = draw(f"{label} key", 32), new_state()
    header = init_push(state, key)
    # libsodium draws the header; a fixed one is put in by opening as its peer would and starting from there.
    header = draw(f"{label} header", len(header))
    init_pull(state, header, key)
    return key, header, state


def check_refused(key, header, wires):
    state = new_state()
    init_pull(state, header, key)
    for wire in wires[:-1]:
        pull(state, wire)
    try:
        pull(state, wires[-1])
    except (Refused, ValueError):
        return
    raise SystemExit(f"libsodium opens {wires[-1].hex()}")


def check_opened(key, header, messages):
    state = new_state()
    init_pull(state, header, key)
    for wire, tag, plain in messages:
        assert pull(state, wire) == (plain, tag), wire.hex()


def secretstream():
    file = File("secretstream", ["every flipped bit, every cut, every tag, every length around the blocks"])
    for first in range(0, 272, 16):
        key, header, state = stream(f"lengths {first}")
        messages = []
        for length in range(first, first + 16):
            plain = draw(f"plain {length}", length)
            messages.append((push(state, plain, tag=0), 0, plain))
        check_opened(key, header, messages)
        sealing = step({}, True, op="ziti.push.new", key=key, header=header)
        seals = [step({"wire": wire.hex()}, op="ziti.push", handle="$h", tag=tag, plain=plain)
                 for wire, tag, plain in messages]
        lengths = f"lengths {first} to {first + 15}"
        file.add(f"{lengths} sealed", True, sealing, *seals)
        file.add(f"{lengths} opened", True, opening(key, header), *(opens(*message) for message in messages))
    for length in (4_096, 16_383, 16_384, 16_392, 65_536):
        key, header, state = stream(f"long {length}")
        plain = draw(f"long {length}", length)
        wire = push(state, plain, tag=2)
        after = push(state, b"after", tag=0)
        check_opened(key, header, [(wire, 2, plain), (after, 0, b"after")])
        file.add(f"{length} bytes with REKEY, then another", True, opening(key, header),
                 opens(wire, 2, plain), opens(after, 0, b"after"))
    for tag in range(256):
        key, header, state = stream(f"tag {tag}")
        plain = draw(f"tag {tag}", tag % 19)
        messages = [(push(state, plain, tag=tag), tag, plain)]
        if tag != 3:
            messages.append((push(state, b"next", tag=0), 0, b"next"))
        check_opened(key, header, messages)
        file.add(f"tag {tag:#04x} is handed on, and the next message opens", True, opening(key, header),
                 *(opens(*message) for message in messages))
        file.add(f"tag {tag:#04x} sealed, and the next message", True,
                 step({}, True, op="ziti.push.new", key=key, header=header),
                 *(step({"wire": wire.hex()}, op="ziti.push", handle="$h", tag=tag, plain=plain)
                   for wire, tag, plain in messages))
    key, header, state = stream("flips")
    wire = push(state, draw("flips", 21), tag=0)
    for bit in range(len(wire) * 8):
        forged = bytearray(wire)
        forged[bit // 8] ^= 1 << bit % 8
        check_refused(key, header, [bytes(forged)])
        file.add(f"bit {bit % 8} of byte {bit // 8} flipped", False, opening(key, header), refuses(bytes(forged)))
    for end in range(len(wire)):
        check_refused(key, header, [wire[:end]])
        file.add(f"cut to {end} bytes", False, opening(key, header),
                 refuses(wire[:end], "truncated" if end < 17 else "auth"))
    for bit in range(len(header) * 8):
        forged = bytearray(header)
        forged[bit // 8] ^= 1 << bit % 8
        check_refused(key, bytes(forged), [wire])
        file.add(f"bit {bit % 8} of byte {bit // 8} of the header flipped", False, opening(key, bytes(forged)),
                 refuses(wire))
    file.write()


def kx():
    file = File("kx", ["every low-order encoding, with the top bit clear and set"])
    for encoding in LOW_ORDER:
        for top in (0, 0x80):
            public = bytearray.fromhex(encoding)
            public[31] |= top
            secret = draw(f"low order {encoding} {top}", 32)
            own = sodium.crypto_scalarmult_base(secret)
            for role, keys in (("client", sodium.crypto_kx_client_session_keys),
                               ("server", sodium.crypto_kx_server_session_keys)):
                try:
                    keys(own, secret, bytes(public))
                    raise SystemExit(f"libsodium takes {public.hex()}")
                except Refused:
                    pass
                file.add("low-order peer key", False, step(
                    {"error": {"class": "weak_key"}}, op="ziti.kx", role=role, sk=secret, peer_pk=bytes(public)))
    for number in range(20):
        seeds = [draw(f"seed {number} {role}", 32) for role in ("client", "server")]
        pairs = [sodium.crypto_kx_seed_keypair(seed) for seed in seeds]
        peers = [pairs[1][0], pairs[0][0]]
        functions = sodium.crypto_kx_client_session_keys, sodium.crypto_kx_server_session_keys
        steps = []
        for role, seed, (public, secret), peer, keys in zip(("client", "server"), seeds, pairs, peers, functions):
            rx, tx = keys(public, secret, peer)
            expect = {"pk": public.hex(), "rx": rx.hex(), "tx": tx.hex()}
            steps += [step(expect, op="ziti.kx", role=role, seed=seed, peer_pk=peer),
                      step(expect, op="ziti.kx", role=role, sk=secret, peer_pk=peer)]
        file.add("both sides from seeds and from secret keys", True, *steps)
    file.write()


if __name__ == "__main__":
    kx()
    secretstream()
