#!/usr/bin/env bash
# Fetches real builds in neighbouring versions, which the figure `updates` publishes: DIR/NAME-VERSION, unpacked. What is
# there is left alone. Needs npm and pip, and the registries that they are set up for.
set -euo pipefail
dir=${1:?usage: scripts/corpora.sh DIR}
mkdir -p "$dir"
dir=$(realpath "$dir")
# Beside the builds, so that a build comes to its place in one step.
scratch=$(mktemp -d "$dir/.scratch-XXXXXX")
trap 'rm -rf "$scratch"' EXIT

have() { # NAME-VERSION
    [ -d "$dir/$1" ]
}

unpacked() { # NAME-VERSION: what was unpacked in the scratch folder becomes the build, all of it or nothing
    mv "$scratch/out" "$dir/$1"
    echo "$1: $(du -sm "$dir/$1" | cut -f1) MB"
}

npm_package() { # NAME VERSION
    have "$1-$2" && return
    (cd "$scratch" && npm pack --silent "$1@$2" >/dev/null)
    mkdir "$scratch/out"
    tar -xzf "$scratch/$1-$2.tgz" -C "$scratch/out" --strip-components 1
    unpacked "$1-$2"
}

wheel() { # NAME VERSION
    have "$1-$2" && return
    pip3 download --quiet --no-deps --only-binary :all: --python-version 311 --implementation cp \
        --platform manylinux2014_x86_64 --dest "$scratch" "$1==$2"
    python3 -m zipfile -e "$scratch/$1-$2"-*.whl "$scratch/out"
    unpacked "$1-$2"
}

# The same files in one archive without compression, as many engines ship them. Its order is that of the names.
stored() { # NAME VERSION
    have "$1-stored-$2" && return
    mkdir "$scratch/out"
    (cd "$dir/$1-$2" && find . -type f | LC_ALL=C sort | python3 -c '
import sys, zipfile
with zipfile.ZipFile(sys.argv[1], "w", zipfile.ZIP_STORED) as archive:
    for line in sys.stdin:
        name = line.rstrip("\n")
        with open(name, "rb") as file:
            archive.writestr(zipfile.ZipInfo(name[2:]), file.read())
' "$scratch/out/base.zip")
    unpacked "$1-stored-$2"
}

for version in 1.10.13 1.10.14 1.10.15; do
    wheel panda3d $version
    stored panda3d $version
done
for version in 2.6.0 2.6.1; do wheel pygame $version; done
for version in 2.2.0 2.2.1; do npm_package playcanvas $version; done
for version in 3.85.1 3.85.2; do npm_package phaser $version; done
for version in 0.169.0 0.170.0; do npm_package three $version; done
