# What a careful author writes by hand for samples/python-django: packages before code, caches mounted, a small last stage.
FROM localhost/pylife-bench-base AS build
USER 0
WORKDIR /workspace
RUN python3 -m venv --without-pip /venv
COPY requirements.txt ./
RUN --mount=type=cache,target=/root/.cache/pip python3 -m pip --python /venv/bin/python install -r requirements.txt
COPY . .
RUN SECRET_KEY=at-build /venv/bin/python manage.py collectstatic --noinput

FROM localhost/pylife-bench-base
COPY --from=build /venv /venv
COPY --from=build /workspace /workspace
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1
WORKDIR /workspace
USER 1000
CMD ["sh", "-c", "exec gunicorn config.wsgi --bind 0.0.0.0:$PORT"]
