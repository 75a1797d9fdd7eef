# Certificates and client configurations of one cluster, made with openssl. Sourced after config.sh.

make_certificates() {
  [ ! -e "$STATE/pki/complete" ] || return 0
  (
    cd "$STATE/pki" || exit; umask 077
    authority ca "$NAME-ca"; authority front-ca "$NAME-front-ca"
    certificate ca apiserver /CN=kube-apiserver \
      "DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:localhost,IP:$NODE_IP,IP:$API_IP,IP:127.0.0.1"
    certificate ca admin /O=system:masters/CN=admin DNS:admin
    certificate ca controller-manager /CN=system:kube-controller-manager DNS:controller-manager
    certificate ca scheduler /CN=system:kube-scheduler DNS:scheduler
    certificate ca kubelet /O=system:nodes/CN=system:node:node1 "DNS:node1,IP:$NODE_IP"
    certificate ca proxy /CN=system:kube-proxy DNS:proxy
    certificate front-ca front /CN=front-proxy DNS:front
    key service-accounts; openssl pkey -in service-accounts.key -pubout -out service-accounts.pub
    for user in admin controller-manager scheduler kubelet proxy; do client_configuration "$user" >"$user.conf"; done
    touch complete
  )
}

key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.key" 2>/dev/null; }

authority() { key "$1"; openssl req -x509 -new -key "$1.key" -out "$1.crt" -subj "/CN=$2" -days 3650; }

# certificate AUTHORITY FILE SUBJECT ALTERNATIVE_NAMES
certificate() {
  key "$2"
  openssl req -new -key "$2.key" -subj "$3" |
    openssl x509 -req -CA "$1.crt" -CAkey "$1.key" -CAcreateserial -days 3650 -out "$2.crt" \
      -extfile <(printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth,clientAuth' "$4") 2>/dev/null
}

client_configuration() {
  cat <<YAML
apiVersion: v1
kind: Config
clusters: [{name: $NAME, cluster: {server: "$API_URL", certificate-authority-data: $(base64 -w0 ca.crt)}}]
users: [{name: $1, user: {client-certificate-data: $(base64 -w0 "$1.crt"), client-key-data: $(base64 -w0 "$1.key")}}]
contexts: [{name: $NAME, context: {cluster: $NAME, user: $1}}]
current-context: $NAME
YAML
}
