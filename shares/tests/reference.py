"""Answers JSON requests, one a line, with the standard's reference implementation (PyPI shamir-mnemonic)."""

import json
import sys

from shamir_mnemonic import combine_mnemonics, generate_mnemonics

for line in sys.stdin:
    ask = json.loads(line)
    passphrase = ask["passphrase"].encode("ascii")
    if "mnemonics" in ask:
        secret = combine_mnemonics(ask["mnemonics"], passphrase)
        answer = {"secret": secret.hex()}
    else:
        groups = generate_mnemonics(
            ask["group_threshold"],
            [tuple(group) for group in ask["groups"]],
            bytes.fromhex(ask["secret"]),
            passphrase,
            ask["extendable"],
            ask["iteration_exponent"],
        )
        answer = {"groups": groups}
    print(json.dumps(answer), flush=True)
