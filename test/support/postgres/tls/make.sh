#!/bin/sh
# Makes the certificates beside it, valid from 2020 to 2120; their keys are for tests, and secret to nobody.
set -e
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
cd "$work"
cat > ca.cnf <<END
[ca]
default_ca = own
[own]
database = index
new_certs_dir = .
rand_serial = yes
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
[req]
distinguished_name = none
[none]
END
: > index
# name, common name, extensions, and the authority that signs it (itself for none)
certificate() {
  openssl req -config ca.cnf -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$1.key" -out "$1.csr" -subj "/CN=$2"
  printf '%s' "$3" > "$1.ext"
  if [ -z "$4" ]; then signer="-selfsign -keyfile $1.key"; else signer="-cert $4.crt -keyfile $4.key"; fi
  openssl ca -batch -notext -config ca.cnf $signer -in "$1.csr" -out "$1.crt" -extfile "$1.ext" -startdate 20200101000000Z -enddate 21200101000000Z
}
certificate authority "Tests of Skein" "basicConstraints=critical,CA:TRUE"
certificate stranger "Somebody else" "basicConstraints=critical,CA:TRUE"
certificate server localhost "subjectAltName=DNS:localhost" authority
certificate client postgres "extendedKeyUsage=clientAuth" authority
mv authority.crt stranger.crt server.crt server.key client.crt client.key "$here"
rm -r "$work"
