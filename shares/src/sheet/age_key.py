c, p, n = 1, "age-secret-key-", int(input(), 16) << 4
d = [n >> 5 * i & 31 for i in range(51, -1, -1)]
for v in [ord(x) >> 5 for x in p] + [0] + [ord(x) & 31 for x in p] + d + [0] * 6:
    t, c = c >> 25, (c & 0x1ffffff) << 5 ^ v
    for i in range(5): c ^= (t >> i & 1) * [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3][i]
d += [(c ^ 1) >> 5 * i & 31 for i in range(5, -1, -1)]
print(p.upper() + "1" + "".join("QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L"[v] for v in d))
