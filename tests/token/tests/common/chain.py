# Arguments: a chain of PEM certificates from the root to the statement, then the public key.
# Each has to be signed by the one before; prints the extensions of the statement.
import sys
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding, PublicFormat, load_pem_public_key)

*files, key = sys.argv[1:]
chain = [x509.load_pem_x509_certificate(open(f, "rb").read()) for f in files]
for issuer, subject in zip([chain[0], *chain], chain):
    subject.verify_directly_issued_by(issuer)
for depth, ca in enumerate(reversed(chain[:-1])):
    limits = ca.extensions.get_extension_for_class(x509.BasicConstraints)
    assert limits.critical and limits.value.ca and limits.value.path_length >= depth, ca
der = lambda k: k.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
assert der(chain[-1].public_key()) == der(load_pem_public_key(open(key, "rb").read()))
for e in chain[-1].extensions:
    print(e.oid.dotted_string.removeprefix("1.3.6.1.4.1.41482.3.") + "=" + e.value.value.hex())
