#!/usr/bin/env bash
# Makes what building for Windows and testing under wine needs, in DIR, on Debian 12 as root: Debian's rustc, whose sources
# can make the standard library for Windows, the mingw linker, and a wine prefix. Rust's own installation stays as it is.
# Afterwards: source DIR/env.
set -euo pipefail

dir=$(realpath -m "$1")
mingw=x86_64-w64-mingw32
target=x86_64-pc-windows-gnu
usr=$dir/root/usr
bin=$dir/bin

[ -e "$dir/done" ] && exit 0
rm -rf "$dir"
mkdir -p "$dir/debs" "$bin" "$dir/std/src"

[ -x /usr/lib/wine/wine64 ] || DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends wine64

# Unpacked and not installed: they would take the place of rustup's.
std=$(apt-cache depends libstd-rust-web-dev | sed -n 's/.*Depends: \(libstd-rust-web-[0-9.]*\)$/\1/p')
llvm=$(apt-cache depends rustc-web "$std" | sed -n "s/.*Depends: \(libllvm[0-9]*\)$/\1/p" | head -1)
(
    cd "$dir/debs"
    apt-get -qq -o APT::Sandbox::User=root download rustc-web "$std" libstd-rust-web-dev rust-web-src "$llvm" \
        binutils-mingw-w64-x86-64 mingw-w64-common mingw-w64-x86-64-dev gcc-mingw-w64-x86-64-win32 \
        gcc-mingw-w64-x86-64-win32-runtime
    for package in *.deb; do dpkg -x "$package" "$dir/root"; done
)
rm -rf "$dir/debs"

ln -sf "$usr/bin/$mingw"-* "$bin/"
ln -sf "$usr/bin/$mingw-gcc-win32" "$bin/$mingw-gcc"

cat >"$dir/env" <<EOF
export PATH=$bin:\$PATH RUSTC=$usr/bin/rustc RUSTDOC=$usr/bin/rustdoc
export LD_LIBRARY_PATH=$usr/lib:$usr/lib/x86_64-linux-gnu
export CARGO_TARGET_X86_64_PC_WINDOWS_GNU_LINKER=$mingw-gcc
export CC_x86_64_pc_windows_gnu=$mingw-gcc AR_x86_64_pc_windows_gnu=$mingw-ar
export CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER=/usr/lib/wine/wine64
export WINEDEBUG=-all WINEPREFIX=$dir/prefix
EOF
# shellcheck disable=SC1091
. "$dir/env"

# The standard library, into the compiler's own folder.
cd "$dir/std"
printf '[package]\nname = "s"\nversion = "0.1.0"\nedition = "2024"\n[workspace]\n' >Cargo.toml
: >src/lib.rs
RUSTC_BOOTSTRAP=1 cargo build -q --release -Zbuild-std=std,panic_abort,panic_unwind,test --target "$target" \
    --target-dir "$dir/std/target"
lib=$usr/lib/rustlib/$target/lib
mkdir -p "$lib"
cp "target/$target/release/deps/"*.rlib "$lib"
rm -f "$lib"/libs-*

/usr/lib/wine/wine64 wineboot -i 2>/dev/null
/usr/lib/wine/wineserver64 -w 2>/dev/null || true
# Wine 8 lacks a library that each program of today's Rust imports.
cat >random.c <<'EOF'
#include <windows.h>
BOOLEAN NTAPI SystemFunction036(PVOID, ULONG);
__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE bytes, SIZE_T count) { return SystemFunction036(bytes, (ULONG)count); }
EOF
"$mingw-gcc" -O2 -shared -s -o "$WINEPREFIX/drive_c/windows/system32/bcryptprimitives.dll" random.c -ladvapi32
cd /
rm -rf "$dir/std"
touch "$dir/done"
