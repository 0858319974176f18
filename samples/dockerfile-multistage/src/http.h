/* One request, one answer. */
#ifndef HTTP_H
#define HTTP_H

#include <stddef.h>

/* Writes the answer to `request` into `answer`; `page` is what / shows. Returns its length, 0 if it does not fit. */
size_t http_answer(const char *request, const char *page, char *answer, size_t room);

#endif
