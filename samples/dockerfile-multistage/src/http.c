#include "http.h"

#include <stdio.h>
#include <string.h>

size_t http_answer(const char *request, const char *page, char *answer, size_t room)
{
    const char *status = "404 Not Found", *body = "not found\n";

    if (strncmp(request, "GET / ", 6) == 0) {
        status = "200 OK";
        body = page;
    } else if (strncmp(request, "GET ", 4) != 0) {
        status = "405 Method Not Allowed";
        body = "only GET\n";
    }
    int length = snprintf(answer, room,
                          "HTTP/1.0 %s\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: %zu\r\n\r\n%s",
                          status, strlen(body), body);
    return length > 0 && (size_t)length < room ? (size_t)length : 0;
}
