#!/usr/bin/env python3
"""Verifies an exported record of twotap's without twotap: python3 verify.py FOLDER

FOLDER is what `twotap audit export -o FOLDER` writes, or what the file sink keeps (events*.jsonl, checkpoint.note, envelopes/) with rosters.json.
It ends with 0 if nothing was changed and with 1 if something was: the first event concerned is named.

Checked here, with nothing but Python's own library: each line is whole and names the SHA-256 of the line before; the heads in signed checkpoints, in
the record and beside it, are heads of this chain, and rightly signed by this record's host (Ed25519, verify_checkpoints.py); a new epoch is signed and says what was lost; each signed
envelope at hand is the one that its line names. Not checked here, and left to `twotap audit verify --export FOLDER`: the P-256 signatures of custodians
on rosters and approvals, attestations, what requests, manifests and receipts say (the heads in them, too). The keys are those of rosters.json: compare it with a custodian's.
"""
import glob, json, re, sys
from verify_checkpoints import claims_of, read, sha256

def links(line):  # An event's number and the hash of the line before; neither where it is no whole line.
    try:
        head = re.match(rb'\{"v":1,"seq":([1-9][0-9]{0,18}),"prev":"([0-9a-f]{64})","event_type":".*\}\n$', line)
        return (int(head[1]), head[2].decode()) if head and len(line) <= 2**17 + 1 and json.loads(line.decode(), parse_constant=int) else (0, "")
    except ValueError:
        return 0, ""

def verify(folder):  # How many events follow one another, the newest proof, new epochs, and what is wrong, first event first.
    files = (re.findall(rb"[^\n]*\n|[^\n]+", read(path)) for path in glob.glob(folder + "/events*.jsonl"))
    lines, hashes, epochs, bad = sum(sorted(files, key=lambda file: links(file[0] if file else b"")), []), ["0" * 64], [], []
    notes = [(0, note.decode(errors="replace")) for note in [read(folder + "/checkpoint.note")] if note is not None]
    for n, line in enumerate(lines, 1):
        if links(line) != (n, hashes[-1]):
            break
        hashes.append(sha256(line[:-1]))
        event = json.loads(line)
        notes += [(n, note) for note in [event.get("what", {}).get("note")] if note is not None and event["event_type"] == "CHECKPOINT"]
        epochs += [(n, event["what"])] if event["event_type"] == "STORE_RESET" else []
        kept = [(e.get("sha256"), read(f"{folder}/envelopes/{e.get('sha256')}.json")) for e in event.get("envelopes", [])]
        bad += [(n, "a signed envelope of it was changed") for digest, data in kept if data is not None and sha256(data) != digest]
    claims, wrong, signed = claims_of(notes, read(folder + "/rosters.json") or "{}", lines[: len(hashes) - 1])
    bad += wrong + [(n, "no key signed the new epoch") for n, _ in epochs if n not in signed]
    if broken := len(hashes) <= len(lines):  # Which of two lines was changed, if the hash of one is known from elsewhere.
        n, known = len(hashes), {seq: digest for seq, digest, *_ in reversed(claims)}
        (seq, prev), own, after = links(lines[n - 1]), sha256(lines[n - 1][:-1]), links(lines[n])[1] if n < len(lines) else ""
        before = known[n - 1] != hashes[-1] if n - 1 in known else known.get(n, after) in (own, "")
        at = n if not seq or prev == hashes[-1] or seq > n or n == 1 else seq if seq < n else n - before
        bad, hashes = bad + [(at, "it was changed, or does not stand where it should")], hashes if 0 < seq < n and at == seq else hashes[:at]
    good = {(seq, digest): by for seq, digest, by, *_ in claims if hashes[seq : seq + 1] == [digest]}
    for seq, digest, by, at, time, late, kept in claims:  # A new epoch excuses what was signed before it: later heads of these numbers are of the new history.
        lost = [n for n, w in epochs if n not in kept and (w["lost_from"] <= seq < w["held"]["seq"] and time <= signed.get(n, "") or n in signed and w["held"] == {"seq": seq, "hash": digest})]
        if (seq, digest) not in good and not lost and (seq < len(hashes) or 0 < at <= seq or not broken):
            bad.append((at if 0 < at <= seq else 0 if late else min(seq, len(hashes)), late or f"{by} vouches for another event, or for one that is missing"))
    return len(hashes) - 1, max(((seq, by) for (seq, _), by in good.items()), default=(0, "nobody")), epochs, sorted(bad)

if __name__ == "__main__":
    events, (proven, by), epochs, bad = verify(sys.argv[1])
    new = "".join(f"event {n} begins epoch {w['epoch']}, lost from event {w['lost_from']} on: {w['by']}: {w['why']}\n" for n, w in epochs)
    print(f"{new}{events} events follow one another; proven to event {proven} by {by}, beyond that only the host's word")
    sys.exit(f"CHANGED: event {bad[0][0]}: {bad[0][1]}" if bad else 0)
