"""Signed checkpoints of a record, for verify.py: whose they are, what they say, whether they are rightly signed.

A checkpoint is a signed note (https://c2sp.org/signed-note) by the agent's Ed25519 key, which the roster lists for its host: it counts for that host's
record, and for no other's. Signatures are checked after RFC 8032
section 5.1, with Python's own library alone; good for checking, not for making them.
"""
import base64
import functools
import hashlib
import json
import os
import re

TEXT = re.compile("twotap audit checkpoint v1\norigin (\\S+)\nseq (0|[1-9][0-9]{0,18})\nhash ([0-9a-f]{64})\ntime (\\S+)\n")


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def read(path):
    """A file's bytes; None where there is no file."""
    return open(path, "rb").read() if os.path.exists(path) else None


def versions_of(rosters):
    """The hosts of each version in rosters.json, as (vault, name, key id, key for checkpoints)."""
    versions = []
    for vault, chain in json.loads(rosters).items():
        for envelope in chain:
            hosts = json.loads(base64.b64decode(envelope["payload"]))["hosts"]
            key, id = lambda h: base64.b64decode(h["checkpoint_key"])[-32:], lambda h: sha256(base64.b64decode(h["key"]))
            versions.append([(vault, host["name"], id(host), key(host)) for host in hosts])
    return versions


def claims_of(notes, rosters, lines):
    """The heads that checkpoints vouch for, as (seq, hash, signer, the event that carries it, time, why it does not count any more, the new epochs that do not
    excuse it); what is wrong with others; and when the event right before each in the record was signed. Event 0 stands for what was given beside the
    record; lines are those that follow one another."""
    versions, claims, bad, turns = versions_of(rosters), [], [], []
    # The name in a note is a label: the host's name, or its key id.
    keys = {(label, host[3]) for version in versions for host in version for label in host[1:3]}
    tells = re.compile(b'"event_type":"(AGENT_STARTED|STORE_RESET)"')
    names = [(n, json.loads(line).get("where", {}).get("host")) for n, line in enumerate(lines, 1) if n == 1 or tells.search(line[:200])]
    names = [(n, name) for n, name in names if name]
    for at, note in sorted(notes, key=lambda note: note[0] or len(lines) + 1):
        try:
            if not (claim := opened(note, keys)):
                continue
            seq, digest, signer, time, origin, key = claim
            # In the record the host that writes there by then; beside it any that has written it.
            named = [name for n, name in names if not at or n <= at]
            # Beside the record a head that is none of its own proves nothing anyway, and may be of what a new epoch says was lost.
            own = at or 0 < seq <= len(lines) and sha256(lines[seq - 1][:-1]) == digest
            late = followed(key, seq, turns, versions)
            if why := foreign(origin, key, named[-1 if at else 0 :], named, [by for by, _ in turns], versions) or own and late:
                raise ValueError(why)
            claims = claims + [(seq, digest, signer, at, time, late, key)]
            # A head that is older than the turn of the one who signs now begins no other turn.
            if at and (key not in [by for by, _ in turns] or turns[-1][0] != key and turns[-1][1] < seq):
                turns.append((key, max([seq] + [from_ for _, from_ in turns[-1:]])))
        except ValueError as why:
            bad.append((at, f"the checkpoint is bad: {why}"))
    signed = {seq: (time, key) for seq, _, _, at, time, _, key in claims if at == seq + 1}

    def keeps(n, key):  # What came after the signer of a new epoch, and after all who signed since, was not there to be lost.
        return all(succeeds(key, by, versions) for by in [signed[n][1]] + [by for by, from_ in turns if from_ >= n])

    claims = [(*claim, [n for n in signed if keeps(n, key)]) for *claim, key in claims]
    return claims, bad, {n: time for n, (time, _) in signed.items()}


def foreign(origin, key, names, before, signed, versions):
    """Why a checkpoint with this origin, by this key, does not count for a record whose lines name these hosts, have named those before, and that these keys
    have signed; None where it does. A host that was replaced goes on with its record: it comes as the other leaves, or later where nobody came then, and no
    version of the roster lists both, side by side."""
    hosts = [host for version in versions for host in version]
    own = [host for host in hosts if host[3] == key]
    meant = [host for host in hosts if origin in host[1:3]]
    if meant and not any(host[3] == key for host in meant):
        return f"it speaks for host {meant[0][1]}, and host {own[-1][1]} has signed it"

    def seat(version, key):
        mine = [host for host in hosts if host[3] == key]
        same_key = [i for i, host in enumerate(version) if host[3] == key]
        same_id = [i for i, host in enumerate(version) if host[2] in [m[2] for m in mine]]
        return (same_key + same_id + [i for i, host in enumerate(version) if host[:2] in [m[:2] for m in mine]] + [None])[0]

    def places():
        empty = []
        for a, b in zip(versions, versions[1:]):
            if a[0][0] != b[0][0]:
                empty = []
                continue
            left, came = (sum(seat(to, host[3]) is None for host in of) for of, to in [(a, b), (b, a)])
            if left and came:
                yield (a, b), (a, b)
            elif left:
                empty.append((a, b))
            for _ in range(0 if left else min(came, len(empty))):
                yield empty.pop(), (a, b)

    def replaced(out, new):
        moves = ([seat(a, out), seat(b, out), seat(c, new), seat(d, new)] for (a, b), (c, d) in places())
        return any([place is None for place in seats] == [False, True, True, False] for seats in moves)

    def one(other):
        same = any(a[2] == b[2] or a[:2] == b[:2] for a in own for b in hosts if b[3] == other)
        return same or replaced(other, key) or replaced(key, other)

    def two(other):
        return other != key and any(None not in (a := seat(v, other), b := seat(v, key)) and a != b for v in versions)

    named = [name for name in names if name in [host[1] for host in hosts]]
    fits = not named or any(host[1] in named for host in own)
    beside = ([two(host[3]) for host in hosts if host[1] == name] for name in set(before))
    begins = not signed and not any(others and all(others) for others in beside)
    goes_on = begins or key in signed or any(map(one, signed)) and not any(map(two, signed))
    return None if fits and goes_on else f"host {own[-1][1]} has signed it, and the record is not by this host"


def chains_of(versions):
    """The keys for checkpoints that each version of each vault's roster lists."""
    chains = {}
    for version in versions:
        for vault in {host[0] for host in version}:
            chains.setdefault(vault, []).append([host[3] for host in version])
    return list(chains.values())


def last_of(key, chain):
    return max((n for n, keys in enumerate(chain) if key in keys), default=len(chain))


def succeeds(by, key, versions):
    """Whether no roster lists a key any more, and one lists the other after it."""
    chains = chains_of(versions)
    struck_out = not any(key in chain[-1] for chain in chains)
    return struck_out and any(by in keys for chain in chains for keys in chain[last_of(key, chain) + 1 :])


def followed(key, seq, turns, versions):
    """Why a key does not count for event seq any more: no roster lists it now, and those who have signed the record by turns, each up to the event that it says,
    had come past the last version that lists it. It may be a thief's; what it signed before still counts. None where it does count."""
    chains = chains_of(versions)
    if any(key in chain[-1] for chain in chains):
        return None
    for chain in chains:
        now = 0
        for by, from_ in turns:
            now = next((n for n in range(now, len(chain)) if from_ < seq and by in chain[n]), now)
            if now > last_of(key, chain):
                return f"no roster lists the key any more that has signed it, and another had signed the record up to event {from_} by then"
    return None


def opened(note, keys):
    """(seq, hash, signer, time, origin, key) of a checkpoint; None if no known key signed it. Raises ValueError if it is bad."""
    end = note.rindex("\n\n") + 1
    text, signer, by = note[:end], None, None
    lines = re.findall("(.*)\n", note[end + 1 :])
    for line in lines:
        dash, name, raw = line.split(" ")
        raw = base64.b64decode(raw, validate=True)
        if dash != "\u2014" or len(raw) < 5:
            raise ValueError("not a signed note")
        for key in (key for n, key in keys if n == name and key_id(name, key) == raw[:4]):
            if not verifies(key, text.encode(), raw[4:]):
                raise ValueError("its signature is wrong")
            signer, by = signer or name, by or key
    said = TEXT.fullmatch(text)
    if not lines or not note.endswith("\n") or signer and not said:
        raise ValueError("not a checkpoint")
    return (int(said[2]), said[3], signer, said[4], said[1], by) if signer else None


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
