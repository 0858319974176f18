# Trusts the certificate authorities of the service bindings that are there now, beside those that were trusted anyway.
embedded=@embedded@
bindings=${SERVICE_BINDING_ROOT:-}
system=
for file in "${SSL_CERT_FILE:-}" /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem; do
    if [ -n "$file" ] && [ -r "$file" ]; then system=$file; break; fi
done

list() { # the files with certificates, one a line
    if [ -n "$embedded" ]; then echo "$embedded"; fi
    [ -n "$bindings" ] && [ -d "$bindings" ] || return 0
    for binding in "$bindings"/*/; do
        [ -r "${binding}type" ] || continue
        type=
        read -r type < "${binding}type" || :
        case $type in [Cc][Aa]-[Cc][Ee][Rr][Tt][Ii][Ff][Ii][Cc][Aa][Tt][Ee][Ss]*) ;; *) continue ;; esac
        for file in "$binding"*; do
            case ${file##*/} in type | provider) continue ;; esac
            [ -f "$file" ] || continue
            if grep -q -e '-----BEGIN .*CERTIFICATE-----' "$file"; then
                echo "$file"
            else
                echo "ca-certificates: $file holds no certificate in PEM and counts for nothing" >&2
            fi
        done
    done
}

files=$(list)
if [ -n "$files" ]; then
    if ! directory=$(mktemp -d "${TMPDIR:-/tmp}/ca-certificates.XXXXXX"); then
        echo "ca-certificates: nothing can be written to ${TMPDIR:-/tmp}; give the container a writable /tmp" >&2
        exit 1
    fi
    bundle=$directory/bundle.pem
    {
        if [ -n "$system" ]; then cat "$system"; fi
        echo "$files" | while IFS= read -r file; do
            echo
            sed -n '/-----BEGIN .*CERTIFICATE-----/,/-----END .*CERTIFICATE-----/p' "$file"
        done
    } > "$bundle"
    for name in SSL_CERT_FILE NODE_EXTRA_CA_CERTS REQUESTS_CA_BUNDLE PIP_CERT CURL_CA_BUNDLE GIT_SSL_CAINFO; do
        eval "value=\${$name:-}"
        # A variable that the user pointed at a file of its own stays; one that names the system's gets all of it.
        if [ -z "$value" ] || [ "$value" = "$system" ]; then printf '%s = "%s"\n' "$name" "$bundle" >&3; fi
    done
fi
