/* Serves /index.html on $PORT. --check asks a running one; --self-test checks the answers. */
#include "http.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct sockaddr_in address(in_addr_t host)
{
    const char *port = getenv("PORT");
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(host)};
    at.sin_port = htons((unsigned short)atoi(port ? port : "8000"));
    return at;
}

static int check(void)
{
    struct sockaddr_in at = address(INADDR_LOOPBACK);
    char line[16] = "";
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof at) < 0)
        return 1;
    if (write(fd, "GET / HTTP/1.0\r\n\r\n", 18) != 18 || read(fd, line, sizeof line - 1) < 12)
        return 1;
    return strncmp(line, "HTTP/1.0 200", 12) != 0;
}

static int self_test(void)
{
    static const struct { const char *request, *status; } cases[] = {
        {"GET / HTTP/1.1\r\n", "HTTP/1.0 200"},
        {"GET /x HTTP/1.1\r\n", "HTTP/1.0 404"},
        {"POST / HTTP/1.1\r\n", "HTTP/1.0 405"},
    };
    char answer[256];

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t length = http_answer(cases[i].request, "page", answer, sizeof answer);
        if (length < 12 || strncmp(answer, cases[i].status, 12) != 0) {
            fprintf(stderr, "%s gives %.12s instead of %s\n", cases[i].request, answer, cases[i].status);
            return 1;
        }
    }
    puts("all answers are right");
    return 0;
}

static void stop(int number)
{
    (void)number;
    _exit(0);
}

int main(int argc, char **argv)
{
    static char page[65536], request[4096], answer[sizeof page + 256];

    if (argc > 1)
        return strcmp(argv[1], "--self-test") == 0 ? self_test() : check();
    signal(SIGTERM, stop); /* as process 1 it would not end by itself */
    signal(SIGINT, stop);
    signal(SIGPIPE, SIG_IGN);
    FILE *file = fopen("/index.html", "r");
    if (file == NULL || fread(page, 1, sizeof page - 1, file) == 0) {
        perror("/index.html");
        return 1;
    }
    struct sockaddr_in at = address(INADDR_ANY);
    int one = 1, server = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(server, (struct sockaddr *)&at, sizeof at) < 0 || listen(server, 16) < 0) {
        perror("listen");
        return 1;
    }
    printf("listening on %d\n", ntohs(at.sin_port));
    fflush(stdout);
    for (;;) {
        int client = accept(server, NULL, NULL);
        ssize_t got = client < 0 ? -1 : read(client, request, sizeof request - 1);
        if (got > 0) {
            request[got] = '\0';
            size_t length = http_answer(request, page, answer, sizeof answer);
            for (size_t sent = 0; sent < length;) {
                ssize_t piece = write(client, answer + sent, length - sent);
                if (piece <= 0)
                    break;
                sent += (size_t)piece;
            }
        }
        if (client >= 0)
            close(client);
    }
}
