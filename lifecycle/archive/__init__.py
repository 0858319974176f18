"""One tar entry as a value; writing, reading, walking, compressing and unpacking archives of them."""
