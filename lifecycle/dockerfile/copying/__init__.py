"""What COPY, ADD and WORKDIR put into a layer."""
