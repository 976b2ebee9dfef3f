#!/usr/bin/env bash
# Builds the addon for arm64 with Debian's cross compiler, in build-arm64/. Nothing is run: that it
# compiles and links is all that this shows.
set -euo pipefail
cd "$(dirname "$0")/.."

# node-gyp knows no other folder for its output than build/ beside binding.gyp.
rm -rf build-arm64
mkdir build-arm64
cp -r binding.gyp package.json native build-arm64/
ln -s ../node_modules build-arm64/node_modules

export CC=aarch64-linux-gnu-gcc CXX=aarch64-linux-gnu-g++ AR=aarch64-linux-gnu-ar LINK=aarch64-linux-gnu-g++
npm exec --no -- node-gyp -C build-arm64 rebuild --arch=arm64 --loglevel=error

addon=build-arm64/build/Release/doublefork.node
aarch64-linux-gnu-readelf -h "$addon" | grep 'Machine: *AArch64' >/dev/null
# Without the fork engine it would link just as well.
aarch64-linux-gnu-nm -C "$addon" | grep 'doublefork::Move' >/dev/null
echo "$addon: built for arm64, with the fork engine"
