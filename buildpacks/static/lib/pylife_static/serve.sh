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
if ! { : >> /dev/stdout; } 2> /dev/null; then
    log=$work/access.log
    mkfifo "$log"
    cat "$log" &
fi

cat > "$work/nginx.conf" <<END
daemon off;
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
# SIGTERM would cut the answers that are under way; SIGQUIT lets nginx finish them.
trap 'kill -QUIT "$server" 2> /dev/null || :' TERM INT QUIT HUP
"$nginx/usr/sbin/nginx" -e stderr -p "$work/" -c "$work/nginx.conf" &
server=$!
echo "Serving @folder@ on port $port"
while :; do
    code=0
    wait "$server" || code=$?
    # A signal ends `wait`, not the server.
    kill -0 "$server" 2> /dev/null || break
done
exit "$code"
