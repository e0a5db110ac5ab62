#!/bin/sh
# What building and testing need and cargo cannot bring: a C and C++ compiler, OpenSSL and zlib, Java and
# Maven, Redis, PostgreSQL, kcat, sqlite3 and Python. Says nothing and takes no time where all is there. Where something is
# missing, root on Debian or Ubuntu gets it from apt; everyone else gets the commands and exit code 69. Tools named
# as arguments are needed too.
set -eu

packages=
need() { packages="$packages $1"; }
has() { command -v "$1" >/dev/null 2>&1; }
header() { printf '#include <%s>\n' "$1" | cc -E - >/dev/null 2>&1; }

has cargo || {
  echo "install.sh: cargo is missing. Rust comes from https://rustup.rs:" >&2
  echo "  curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y" >&2
  exit 69
}

for tool in "$@"; do
  has "$tool" || case $tool in
    perf) need linux-perf ;;
    *) need "$tool" ;;
  esac
done

java_version() { java -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p'; }

has cc && has make || need build-essential
has c++ || need build-essential
has pkg-config || need pkg-config
header openssl/ssl.h || need libssl-dev
header zlib.h || need zlib1g-dev
has openssl || need openssl
has setpriv || need util-linux
has redis-server || need redis-server
has kcat || need kcat
has sqlite3 || need sqlite3
has mvn || need maven
# Its `venv` is a package of its own.
python3 -c 'import ensurepip' 2>/dev/null || need python3-venv
if has java && has javac; then
  [ "$(java_version)" -ge 17 ] 2>/dev/null || need default-jdk-headless
else
  need default-jdk-headless
fi
set -- /usr/lib/postgresql/*/bin/initdb
[ -x "$1" ] || has initdb || need postgresql

[ -n "$packages" ] || exit 0

install="apt-get install -y --no-install-recommends$packages"
if [ "$(id -u)" = 0 ] && has apt-get; then
  echo "install.sh: installing$packages" >&2
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  # shellcheck disable=SC2086 # One word a package.
  apt-get install -y -qq --no-install-recommends $packages >&2
  exit 0
fi
echo "install.sh: missing:$packages. On Debian or Ubuntu:" >&2
echo "  sudo apt-get update && sudo $install" >&2
exit 69
