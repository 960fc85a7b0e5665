#!/bin/sh
# Make requirements.txt and sbom.json again from pyproject.toml and constraints.txt, then audit them:
#
#   sh infra/lock/make.sh
#
# The tools live in an environment of their own that goes afterwards: the one that LDP runs in, and its build of
# torch, is not touched. Exit code 1 where the audit finds something, or has no answer.
set -eu
cd "$(dirname "$0")/../.."
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
python3 -m venv "$tools"
"$tools/bin/pip" install -q uv==0.13.9 pip-audit==2.10.1 cyclonedx-bom==7.5.0
"$tools/bin/uv" pip compile -q pyproject.toml --extra formats -c constraints.txt --generate-hashes \
    --no-header --no-annotate --python-version 3.11 -o infra/lock/requirements.txt
sed -e '/--hash/d' -e 's/ \\$//' infra/lock/requirements.txt > "$tools/plain.txt"
# Where a registry keeps a file says nothing of what it is: the digests stand in requirements.txt.
"$tools/bin/cyclonedx-py" requirements "$tools/plain.txt" --pyproject pyproject.toml --output-reproducible 2> "$tools/log" |
    python3 -c 'import json, sys
bom = json.load(sys.stdin)
bom["metadata"].pop("tools", None)
for component in bom["components"]:
    component.pop("externalReferences", None), component.pop("description", None)
print(json.dumps(bom, indent=1))' > infra/lock/sbom.json
"$tools/bin/pip-audit" -r "$tools/plain.txt" --no-deps --disable-pip --strict
