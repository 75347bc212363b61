#!/bin/sh
# Makes the certificates beside it, of 127.0.0.1 and ::1; their keys are for tests, and secret to nobody. One is valid from
# 2020 to 2120, one was in 2020 alone, one is for another host. Each is signed by itself.
set -e
cd "$(dirname "$0")"
certificate() {
  work=$(mktemp -d)
  : > "$work/index"
  printf '[ca]\ndefault_ca=own\n[own]\ndatabase=%s/index\nnew_certs_dir=%s\nrand_serial=yes\ndefault_md=sha256\npolicy=any\nunique_subject=no\n[any]\ncommonName=supplied\n[req]\ndistinguished_name=none\n[none]\n' "$work" "$work" > "$work/ca.cnf"
  printf 'basicConstraints=critical,CA:TRUE\nsubjectAltName=%s\n' "$2" > "$work/ext"
  openssl req -config "$work/ca.cnf" -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$1.key" -out "$work/csr" -subj "/CN=$1"
  openssl ca -batch -notext -config "$work/ca.cnf" -selfsign -keyfile "$1.key" -in "$work/csr" -out "$1.crt" -extfile "$work/ext" -startdate 20200101000000Z -enddate "$3"
  rm -r "$work"
}
certificate valid "IP:127.0.0.1,IP:::1,DNS:localhost" 21200101000000Z
certificate expired "IP:127.0.0.1,DNS:localhost" 20201231000000Z
certificate other "DNS:other.example" 21200101000000Z
