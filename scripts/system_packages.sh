#!/bin/sh
# The programs that the tests run beside modelkit. As root on Debian they are installed; anybody
# else is told their names.
set -eu

missing=
need() { command -v "$1" >/dev/null 2>&1 || missing="$missing $2"; }
need docker-registry docker-registry
need skopeo skopeo
need curl curl
need openssl openssl
need ssh-keygen openssh-client
need g++ g++
need node nodejs
need npm npm
[ -z "$missing" ] && exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing$missing"
    export DEBIAN_FRONTEND=noninteractive
    apt-get -qq update >/dev/null
    # shellcheck disable=SC2086
    exec apt-get -qq install -y --no-install-recommends $missing >/dev/null
fi
echo "Error: the tests need$missing; install them (Debian: apt-get install$missing)" >&2
exit 1
