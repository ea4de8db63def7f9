"""The other end of Stillwire's interoperability tests: libsodium itself, through PyNaCl.

    peer.py client|server [REKEY]

Speaks on standard input and output: a fresh public key, the framed header, then framed messages,
each of which it sends back until the final one. With REKEY, every so many messages bear the tag
REKEY, and libsodium changes the key. The last line on standard error tells what came, and how often
each side asked for a new key. The exit code is 0 when the stream ended with the final message.

    peer.py speed

Prints how fast libsodium seals and opens messages of 64 KiB, in MB/s: the middle of fifteen turns.
"""

import os
import struct
import sys
import time

from nacl import bindings as sodium

STREAM = "crypto_secretstream_xchacha20poly1305_"
MESSAGE, REKEY, FINAL = (getattr(sodium, f"{STREAM}TAG_{name}") for name in ("MESSAGE", "REKEY", "FINAL"))
new_state, init_push, init_pull, push, pull = (
    getattr(sodium, STREAM + name) for name in ("state", "init_push", "init_pull", "push", "pull"))
LONGEST = 16 << 20


def read_exactly(size):
    data = sys.stdin.buffer.read(size)
    if len(data) != size:
        sys.exit("the stream ended without a final message")
    return data


def read():
    (length,) = struct.unpack(">I", read_exactly(4))
    if length > LONGEST:
        sys.exit(f"a message of {length} bytes")
    return read_exactly(length)


def write(message):
    sys.stdout.buffer.write(struct.pack(">I", len(message)) + message)
    sys.stdout.buffer.flush()


def echo(role, every):
    public, secret = sodium.crypto_kx_keypair()
    sys.stdout.buffer.write(public)
    sys.stdout.buffer.flush()
    keys = {"client": sodium.crypto_kx_client_session_keys, "server": sodium.crypto_kx_server_session_keys}[role]
    rx, tx = keys(public, secret, read_exactly(32))
    sending, receiving = new_state(), new_state()
    write(init_push(sending, tx))
    init_pull(receiving, read(), rx)
    messages = size = asked = asking = 0
    tag = MESSAGE
    while tag != FINAL:
        plain, tag = pull(receiving, read())
        asked += tag == REKEY
        answer = REKEY if every and messages % every == 0 else MESSAGE
        answer = FINAL if tag == FINAL else answer
        asking += answer == REKEY
        write(push(sending, plain, tag=answer))
        messages, size = messages + 1, size + len(plain)
    print(f"final after {messages} messages and {size} bytes, {asked} rekeys there, {asking} back",
          file=sys.stderr)


def speed(turns=15, messages=600):
    """The C functions themselves: PyNaCl's own wrappers copy."""
    from nacl._sodium import ffi, lib
    size, key = 64 << 10, os.urandom(32)
    plain, sealed = ffi.new("unsigned char[]", size), ffi.new("unsigned char[]", size + 17)
    length, tag = ffi.new("unsigned long long *"), ffi.new("unsigned char *")
    sending, receiving = new_state(), new_state()
    init_pull(receiving, init_push(sending, key), key)
    rates = {"push": [], "pull": []}
    for _ in range(turns):
        sealing = opening = 0.0
        for _ in range(messages):
            start = time.perf_counter()
            lib.crypto_secretstream_xchacha20poly1305_push(
                sending.statebuf, sealed, length, plain, size, ffi.NULL, 0, MESSAGE)
            between = time.perf_counter()
            failed = lib.crypto_secretstream_xchacha20poly1305_pull(
                receiving.statebuf, plain, length, tag, sealed, size + 17, ffi.NULL, 0)
            opening += time.perf_counter() - between
            sealing += between - start
            assert not failed
        for name, seconds in (("push", sealing), ("pull", opening)):
            rates[name].append(messages * size / seconds / 1e6)
    for name, found in rates.items():
        print(f"{name}_mb_per_s {sorted(found)[turns // 2]:.0f}")


if __name__ == "__main__":
    if sys.argv[1:] == ["speed"]:
        speed()
    else:
        echo(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0)
