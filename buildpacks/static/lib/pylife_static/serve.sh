# Serves the site on $PORT with nginx, as whoever starts it.
set -eu
site=@site@
nginx=@nginx@
work=$(mktemp -d "${TMPDIR:-/tmp}/static-site.XXXXXX")
trap 'rm -rf "$work"' EXIT
port=${PORT:-8000}
case $port in
    *[!0-9]*) echo "PORT is not a number: $port" >&2; exit 1 ;;
esac

# Where there is no IPv6, listening on it would fail.
{
    echo "listen 0.0.0.0:$port reuseport;"
    if [ -s /proc/net/if_inet6 ]; then echo "listen [::]:$port ipv6only=on reuseport;"; fi
} > "$work/listen.conf"

# Standard output cannot be opened by its name where it is a socket, or where another user made it.
log=/dev/stdout
if ! (true >> /dev/stdout) 2> /dev/null; then
    log=$work/access.log
    mkfifo "$log"
    cat "$log" &
fi

cat > "$work/nginx.conf" <<END
daemon off;
$(if [ "$(id -u)" = 0 ]; then echo "user root;"; fi)
pid nginx.pid;
error_log stderr warn;
worker_processes $(cpu_count);
worker_shutdown_timeout 25s;
events { worker_connections 1024; }
http {
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    access_log @access_log@;
    include $site/site.conf;
}
END

# The run image's own libraries come first where it has them, so that a newer run image mends those.
multiarch=$(uname -m)-linux-gnu
export LD_LIBRARY_PATH="${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}/lib/$multiarch:/usr/lib/$multiarch:/lib64:/usr/lib64:$nginx/usr/lib/$multiarch"

if [ "${1:-}" = --check ]; then
    "$nginx/usr/sbin/nginx" -e stderr -p "$work/" -c "$work/nginx.conf" -t -q
    exit
fi
"$nginx/usr/sbin/nginx" -e stderr -p "$work/" -c "$work/nginx.conf" &
server=$!
# SIGTERM would cut the answers that are under way; SIGQUIT lets nginx finish them.
stopping=
trap 'stopping=yes; kill -QUIT "$server" 2> /dev/null || :' TERM INT QUIT HUP
echo "Serving @folder@ on port $port"
code=0
wait "$server" || code=$?
while [ -n "$stopping" ]; do # the signal ended `wait`, and not the server
    stopping= code=0
    wait "$server" || code=$?
done
exit "$code"
