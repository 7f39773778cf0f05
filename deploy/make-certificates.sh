#!/bin/sh
# Makes certificates for the parts of a cluster, which then know each other by one authority.
#
#   make-certificates.sh FOLDER PARTY HOST...
#
# writes FOLDER/PARTY/ca.pem, cert.pem and key.pem: a certificate for these host names or addresses,
# for a server as well as for its clients. The authority is in FOLDER/authority, which is made if
# there is none; whoever can read its key.pem can act as any part. What exists and is valid for a
# month stays.
set -eu

if [ $# -lt 3 ]; then
  echo "usage: $0 FOLDER PARTY HOST..." >&2
  exit 2
fi
folder=$1
party=$2
shift 2

umask 077
DAYS=825
MONTH=2592000

is_valid() { # FOLDER
  [ -f "$1/key.pem" ] && openssl x509 -in "$1/cert.pem" -noout -checkend $MONTH >/dev/null 2>&1
}

make_key() { # FOLDER
  mkdir -p "$1"
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1/key.pem" 2>/dev/null
}

authority=$folder/authority
if ! is_valid "$authority"; then
  # Many jobs that start at once must not each make one.
  if [ -L "$authority" ]; then
    echo "$authority is not valid any more: run this once in the folder that it links to" >&2
    exit 1
  fi
  void=
  if [ -e "$authority/cert.pem" ]; then void=': certificates of the earlier one are void'; fi
  make_key "$authority"
  openssl req -x509 -new -key "$authority/key.pem" -days $DAYS -subj '/CN=sa-orch authority' \
    -addext 'keyUsage=critical,keyCertSign,cRLSign' -out "$authority/cert.pem"
  echo "made $authority$void"
fi

names=
for host in "$@"; do
  case $host in
    *:* | *[0-9].[0-9]*.[0-9]*.[0-9]*) names=$names,IP:$host ;;
    *) names=$names,DNS:$host ;;
  esac
done
if is_valid "$folder/$party" && cmp -s "$authority/cert.pem" "$folder/$party/ca.pem" &&
  [ "$(cat "$folder/$party/names" 2>/dev/null)" = "${names#,}" ]; then
  exit 0
fi
make_key "$folder/$party"
settings=$(mktemp)
trap 'rm -f "$settings"' EXIT
cat >"$settings" <<END
subjectAltName=${names#,}
extendedKeyUsage=serverAuth,clientAuth
basicConstraints=critical,CA:FALSE
END
openssl req -new -key "$folder/$party/key.pem" -subj "/CN=$party" |
  openssl x509 -req -CA "$authority/cert.pem" -CAkey "$authority/key.pem" -days $DAYS \
    -set_serial "0x$(openssl rand -hex 16)" -extfile "$settings" \
    -out "$folder/$party/cert.pem" 2>/dev/null
cp "$authority/cert.pem" "$folder/$party/ca.pem"
echo "${names#,}" >"$folder/$party/names"
echo "made $folder/$party for $*"
