"""Signed checkpoints of a record, for verify.py: whose they are, what they say, whether they are rightly signed.

A checkpoint is a signed note (https://c2sp.org/signed-note) by the agent's Ed25519 key, which the roster lists. Signatures are checked after RFC 8032
section 5.1, with Python's own library alone; good for checking, not for making them.
"""
import base64
import functools
import hashlib
import json
import os
import re

TEXT = re.compile("twotap audit checkpoint v1\norigin \\S+\nseq (0|[1-9][0-9]{0,18})\nhash ([0-9a-f]{64})\ntime (\\S+)\n")


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def read(path):
    """A file's bytes; None where there is no file."""
    return open(path, "rb").read() if os.path.exists(path) else None


def keys_of(rosters):
    """(name, key) of every host in rosters.json. The name in a note is a label: the host's name, or its key id."""
    keys = set()
    for envelope in (envelope for chain in json.loads(rosters).values() for envelope in chain):
        for host in json.loads(base64.b64decode(envelope["payload"]))["hosts"]:
            key = base64.b64decode(host["checkpoint_key"])[-32:]
            keys |= {(host["name"], key), (sha256(base64.b64decode(host["key"])), key)}
    return keys


def claims_of(notes, rosters):
    """The heads that checkpoints vouch for, as (seq, hash, signer, the event that carries it, time); what is wrong with others; and when the event right
    before each in the record was signed."""
    keys, claims, bad = keys_of(rosters), [], []
    for at, note in notes:
        try:
            claim = opened(note, keys)
            claims += [(*claim[:3], at, claim[3])] if claim else []
        except ValueError as why:
            bad.append((at, f"the checkpoint is bad: {why}"))
    return claims, bad, {seq: time for seq, _, _, at, time in claims if at == seq + 1}


def opened(note, keys):
    """(seq, hash, signer, time) of a checkpoint; None if no known key signed it. Raises ValueError if it is bad."""
    end = note.rindex("\n\n") + 1
    text, signer = note[:end], None
    lines = re.findall("(.*)\n", note[end + 1 :])
    for line in lines:
        dash, name, raw = line.split(" ")
        raw = base64.b64decode(raw, validate=True)
        if dash != "\u2014" or len(raw) < 5:
            raise ValueError("not a signed note")
        for key in (key for n, key in keys if n == name and key_id(name, key) == raw[:4]):
            if not verifies(key, text.encode(), raw[4:]):
                raise ValueError("its signature is wrong")
            signer = signer or name
    said = TEXT.fullmatch(text)
    if not lines or not note.endswith("\n") or signer and not said:
        raise ValueError("not a checkpoint")
    return (int(said[1]), said[2], signer, said[3]) if signer else None


def key_id(name, key):
    return hashlib.sha256(name.encode() + b"\n\1" + key).digest()[:4]


P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P


def add(p, q):
    """The sum of two points in extended coordinates (X, Y, Z, T)."""
    a, b = (p[1] - p[0]) * (q[1] - q[0]), (p[1] + p[0]) * (q[1] + q[0])
    c, d = 2 * p[3] * q[3] * D, 2 * p[2] * q[2]
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(n, p):
    q = (0, 1, 1, 0)
    while n:
        q, p, n = add(q, p) if n & 1 else q, add(p, p), n >> 1
    return q


def point(raw):
    """The point that 32 bytes name, or None."""
    y = int.from_bytes(raw, "little") & 2**255 - 1
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if (x * x - square) % P or y >= P:
        return None
    x = x if x % 2 == raw[31] >> 7 else P - x
    return x, y, 1, x * y % P


BASE = point((4 * pow(5, -1, P) % P).to_bytes(32, "little"))


@functools.lru_cache(None)
def verifies(key, text, signature):
    """Whether the holder of the key (32 bytes) has signed these bytes."""
    if len(signature) != 64 or (s := int.from_bytes(signature[32:], "little")) >= ORDER:
        return False
    r, a = point(signature[:32]), point(key)
    if r is None or a is None:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + key + text).digest(), "little") % ORDER
    p, q = times(s, BASE), add(r, times(h, a))
    return all((p[i] * q[2] - q[i] * p[2]) % P == 0 for i in (0, 1))
